// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"strings"

	"github.com/klauspost/compress/flate"
)

// inflater is a decompressor for raw deflate streams that is used again.
type inflater struct {
	in  *bufio.Reader
	out io.ReadCloser
}

// inflate returns a decompressor of a member, to be put into a.inflaters.
func (a *Archive) inflate(m *member) *inflater {
	section := io.NewSectionReader(a.r, m.offset, m.packed)
	z, ok := a.inflaters.Get().(*inflater)
	if !ok {
		// A ByteReader, so that nothing behind the stream is taken.
		in := bufio.NewReaderSize(section, 16<<10)
		return &inflater{in, flate.NewReader(in)}
	}
	z.in.Reset(section)
	z.out.(flate.Resetter).Reset(z.in, nil) // of a type that cannot fail
	return z
}

// read opens a member for reading once, and checks it on the way.
func (a *Archive) read(m *member) io.ReadCloser {
	c := &checked{a: a, m: m, sum: crc32.NewIEEE()}
	if m.deflated {
		c.z = a.inflate(m)
		c.src = c.z.out
	} else {
		c.src = io.NewSectionReader(a.r, m.offset, m.packed)
	}
	return c
}

// checked reads the content of a member, and fails at its end if that was not
// what the directory says.
type checked struct {
	a   *Archive
	m   *member
	z   *inflater // nil for one that is stored
	src io.Reader
	sum hash.Hash32
	n   int64
	err error
}

// Read implements [io.Reader].
func (c *checked) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.src.Read(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	switch {
	case c.n > c.m.size:
		c.err = refuse(c.m.name, "it unpacks to more than the %d bytes that it declares", c.m.size)
		return 0, c.err
	case err == io.EOF:
		c.err = c.end()
	case err != nil:
		c.err = c.broken(err)
	}
	return n, c.err
}

func (c *checked) broken(err error) error {
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		return refuse(c.m.name, "its compressed data is broken: %v", err)
	}
	return fmt.Errorf("member %q: %w", c.m.name, err)
}

// end returns io.EOF if the content is what it should be.
func (c *checked) end() error {
	if c.n != c.m.size {
		return refuse(c.m.name, "it unpacks to %d bytes and declares %d", c.n, c.m.size)
	}
	if c.m.summed && c.sum.Sum32() != c.m.crc {
		return refuse(c.m.name, "its content does not have its checksum")
	}
	if c.z != nil {
		// A browser that gets the stream as it is would take this for the
		// trailer.
		if _, err := c.z.in.ReadByte(); err != io.EOF {
			return refuse(c.m.name, "there is something behind its compressed data")
		}
	}
	return io.EOF
}

// Close implements [io.Closer].
func (c *checked) Close() error {
	if c.z != nil {
		c.a.inflaters.Put(c.z)
		c.z, c.src, c.err = nil, nil, cmp.Or(c.err, fs.ErrClosed)
	}
	return nil
}

// Release reads the whole archive, checks it, and returns a release that is
// served from it: a stored member as it is, a deflated one as gzip without
// being compressed again, and inflated where somebody wants it so. The archive
// must stay open and unchanged as long as the release is used.
//
// Its gzip variants are the archive's own bytes and have tags of their own. The
// other codings are missing: write the archive into a [Store] to have them.
func (a *Archive) Release(ctx context.Context) (*Release, *Report, error) {
	x, report, err := scan(ctx, a, hashes{})
	if err != nil {
		return nil, nil, err
	}
	_, id, err := x.Encode()
	if err != nil {
		return nil, nil, err
	}
	blobs := &archived{archive: a, contents: map[Hash]*packed{}}
	if err := blobs.index(ctx, x); err != nil {
		return nil, nil, err
	}
	r := &Release{ID: id, Index: x, blobs: blobs, variants: make([][]Variant, len(x.Files)), inflated: make([]bool, len(x.Files))}
	for i, f := range x.Files {
		p := blobs.contents[f.Hash]
		r.inflated[i] = p.stored == nil
		if p.deflated != nil {
			r.variants[i] = []Variant{{Coding: Gzip, Size: gzipHeaderLen + p.deflated.packed + gzipTrailerLen, Tag: p.tag}}
		}
	}
	return r, report, nil
}

// hashes is a sink that keeps nothing.
type hashes struct{}

func (hashes) put(ctx context.Context, open func() (fs.File, error), _ int64) (Hash, int64, bool, error) {
	f, err := open()
	if err != nil {
		return Hash{}, 0, false, err
	}
	defer f.Close()
	h, n, err := hashing(ctx, io.Discard, f)
	return h, n, false, err
}

// archived is the contents of an archive, by hash.
type archived struct {
	archive  *Archive
	contents map[Hash]*packed
}

// packed is where a content is in an archive. All files that have it are served
// from the same members, so that one tag never stands for two streams.
type packed struct {
	stored   *member // nil if there is none
	deflated *member // likewise, or if it is no smaller
	any      *member
	tag      string // of deflated
}

// index finds the contents of the files of x.
func (b *archived) index(ctx context.Context, x *Index) error {
	var contents []*packed
	for _, f := range x.Files {
		i, _ := findFile(b.archive.files, f.Path)
		m := &b.archive.members[i]
		p := b.contents[f.Hash]
		if p == nil {
			p = &packed{any: m}
			b.contents[f.Hash] = p
			contents = append(contents, p)
		}
		switch {
		case !m.deflated && p.stored == nil:
			p.stored = m
		case m.deflated && p.deflated == nil && gzipHeaderLen+m.packed+gzipTrailerLen < m.size:
			p.deflated = m
		}
	}
	return parallel(ctx, len(contents), func(ctx context.Context, i int) error {
		return contents[i].hash(ctx, b.archive.r)
	})
}

// hash gives the deflate stream its tag. It is a foreign encoder's, so only its
// bytes can tell it from others of the same content.
func (p *packed) hash(ctx context.Context, r io.ReaderAt) error {
	if p.deflated == nil {
		return nil
	}
	h, _, err := hashing(ctx, io.Discard, io.NewSectionReader(r, p.deflated.offset, p.deflated.packed))
	p.tag = "gz-" + h.String()[:16]
	return err
}

func (b *archived) openBlob(h Hash, c Coding) (Body, error) {
	p := b.contents[h]
	switch {
	case p == nil:
	case c == Gzip && p.deflated != nil:
		return gzipOf(b.archive.r, p.deflated), nil
	case c == Identity && p.stored != nil:
		return section{io.NewSectionReader(b.archive.r, p.stored.offset, p.stored.size)}, nil
	case c == Identity:
		return &inflating{a: b.archive, m: p.any}, nil
	}
	return nil, fmt.Errorf("content %s: %w", h, fs.ErrNotExist)
}

func (b *archived) tried(Hash, Coding) bool { return false }

// section is a part of an archive. Closing it does nothing: the archive belongs
// to somebody else.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// A gzip file is a header, a raw deflate stream and a trailer (RFC 1952).
const (
	gzipHeaderLen  = 10
	gzipTrailerLen = 8
)

// gzipHeader says: deflate, no name, no time, unknown system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// gzipOf is a deflated member as a gzip file.
func gzipOf(r io.ReaderAt, m *member) Body {
	trailer := le.AppendUint32(le.AppendUint32(nil, m.crc), uint32(m.size&math.MaxUint32))
	parts := parts{
		{strings.NewReader(gzipHeader), gzipHeaderLen},
		{io.NewSectionReader(r, m.offset, m.packed), m.packed},
		{bytes.NewReader(trailer), gzipTrailerLen},
	}
	return section{io.NewSectionReader(parts, 0, gzipHeaderLen+m.packed+gzipTrailerLen)}
}

// parts are pieces of a file, one behind the other.
type parts []struct {
	section io.ReaderAt
	size    int64
}

// ReadAt implements [io.ReaderAt].
func (ps parts) ReadAt(p []byte, off int64) (n int, err error) {
	for _, part := range ps {
		want := int(min(part.size-off, int64(len(p)-n)))
		if want <= 0 {
			off = max(0, off-part.size)
			continue
		}
		k, err := part.section.ReadAt(p[n:n+want], off)
		if n += k; k < want {
			return n, unexpected(err)
		}
		off = 0
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// inflating is the identity content of a deflated member. Only a window of it
// is ever in memory. To go back it begins again.
type inflating struct {
	a   *Archive
	m   *member
	z   *inflater // nil until something is read
	at  int64     // where z is
	pos int64     // where the next Read is
}

// Read implements [io.Reader].
func (b *inflating) Read(p []byte) (int, error) {
	if b.pos >= b.m.size {
		return 0, io.EOF
	}
	if b.z != nil && b.at > b.pos {
		b.Close()
	}
	if b.z == nil {
		b.z, b.at = b.a.inflate(b.m), 0
	}
	skipped, err := io.CopyN(io.Discard, b.z.out, b.pos-b.at)
	b.at += skipped
	if err != nil {
		return 0, unexpected(err)
	}
	n, err := b.z.out.Read(p[:min(int64(len(p)), b.m.size-b.pos)])
	b.at += int64(n)
	b.pos = b.at
	if err == io.EOF && b.pos == b.m.size {
		err = nil // said by the next call
	}
	return n, unexpected(err)
}

// unexpected is for an end that comes too early.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Seek implements [io.Seeker].
func (b *inflating) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.pos
	case io.SeekEnd:
		offset += b.m.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("release: seek to %d: %w", offset, fs.ErrInvalid)
	}
	b.pos = offset
	return offset, nil
}

// ReadAt implements [io.ReaderAt]. Each call begins at the beginning.
func (b *inflating) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("release: read at %d: %w", off, fs.ErrInvalid)
	}
	own := &inflating{a: b.a, m: b.m, pos: off}
	defer own.Close()
	n, err := io.ReadFull(own, p)
	if err == io.ErrUnexpectedEOF && own.pos >= b.m.size {
		err = io.EOF
	}
	return n, err
}

// Close implements [io.Closer].
func (b *inflating) Close() error {
	if b.z != nil {
		b.a.inflaters.Put(b.z)
		b.z = nil
	}
	return nil
}
