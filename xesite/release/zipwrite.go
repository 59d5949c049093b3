// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"
)

// ZipTag names the form of the zips that [Release.WriteZip] makes. It belongs
// into an entity tag, beside the release's id: another form is other bytes.
const ZipTag = "zip1"

// WriteZip writes the release as a zip that every tool reads: files in the
// order of their paths, text deflated and everything else stored, with the
// rules as the _redirects and _headers files that they are at other hosts. The
// bytes depend on the release alone, not on time, machine or what variants
// there are; [OpenArchive] and [OpenZip] read it as the same release.
//
// Where the gzip variants are there, nothing is compressed. Memory is bounded:
// large files are copied. It fails before the first byte if a path is one that
// could not be read again, such as one with a backslash.
func (r *Release) WriteZip(ctx context.Context, w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	z := &zipWriter{ctx: ctx, w: buffered, r: r}
	err := z.write()
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return fmt.Errorf("release %s: write zip: %w", r.ID.Short(), err)
	}
	return nil
}

// zipWriter writes one zip.
type zipWriter struct {
	ctx      context.Context
	w        *bufio.Writer
	r        *Release
	n        int64 // bytes written
	written  []zipHeader
	encoders encoders
}

// zipHeader is what both headers of a member say.
type zipHeader struct {
	name         string
	method       uint16
	crc          uint32
	packed, size int64
	offset       int64 // of the local header
}

func (z *zipWriter) write() error {
	for _, f := range z.r.Index.Files {
		if err := checkMemberName(f.Path); err != nil {
			return fmt.Errorf("%w: rename it", err)
		}
	}
	for _, m := range z.sources() {
		if z.ctx.Err() != nil {
			return context.Cause(z.ctx)
		}
		if err := z.add(m); err != nil {
			return fmt.Errorf("%q: %w", m.file.Path, err)
		}
	}
	return z.end()
}

// zipSource is a file that becomes a member: one of the index, or the text of
// a rule file.
type zipSource struct {
	file  File
	index int
	text  []byte
}

// sources returns what the zip is made of, in order.
func (z *zipWriter) sources() []zipSource {
	x := z.r.Index
	var all []zipSource
	for _, rules := range []struct {
		name string
		text []byte
	}{{redirectsFile, redirectsText(x.Redirects)}, {headersFile, headersText(x.Headers)}} {
		if len(rules.text) > 0 {
			file := File{Path: rules.name, Size: int64(len(rules.text)), Type: types[".txt"]}
			all = append(all, zipSource{file: file, text: rules.text})
		}
	}
	for i, f := range x.Files {
		all = append(all, zipSource{file: f, index: i})
	}
	slices.SortFunc(all, func(a, b zipSource) int { return strings.Compare(a.file.Path, b.file.Path) })
	return all
}

// add writes one member: deflated by the recipe of [Gzip] where that is wanted
// and pays, stored otherwise. That is decided by content and type alone, so
// that it comes out the same without variants.
func (z *zipWriter) add(m zipSource) error {
	if !wants(m.file, Gzip) {
		return z.store(m)
	}
	if m.text == nil {
		for _, v := range z.r.Variants(m.index) {
			if v.Tag == Gzip.Tag() {
				return z.copyVariant(m, v)
			}
		}
		if z.r.blobs.tried(m.file.Hash, Gzip) {
			return z.store(m)
		}
	}
	return z.compress(m)
}

// copyVariant takes the deflate stream out of a gzip file.
func (z *zipWriter) copyVariant(m zipSource, v Variant) error {
	body, err := z.r.Open(m.index, Gzip)
	if err != nil {
		return err
	}
	defer body.Close()
	return z.addGzip(m.file, body, v.Size)
}

// compress is copyVariant for a variant that is not there. It is at most
// maxVariant long before it is compressed.
func (z *zipWriter) compress(m zipSource) error {
	src, err := z.open(m)
	if err != nil {
		return err
	}
	defer src.Close()
	var packed bytes.Buffer
	if err := z.encoders.encode(&packed, contextReader{z.ctx, src}, Gzip); err != nil {
		return err
	}
	if !pays(m.file.Size, int64(packed.Len())) {
		return z.store(m)
	}
	return z.addGzip(m.file, bytes.NewReader(packed.Bytes()), int64(packed.Len()))
}

func (z *zipWriter) addGzip(f File, gz io.ReaderAt, size int64) error {
	var header [gzipHeaderLen]byte
	var trailer [gzipTrailerLen]byte
	if _, err := gz.ReadAt(header[:], 0); err != nil {
		return unexpected(err)
	}
	if n, err := gz.ReadAt(trailer[:], size-gzipTrailerLen); n < len(trailer) {
		return unexpected(err)
	}
	// Our recipe writes no optional fields, so the stream begins here.
	if !bytes.HasPrefix(header[:], []byte(gzipHeader[:4])) || le.Uint32(trailer[4:]) != uint32(f.Size&math.MaxUint32) {
		return fmt.Errorf("its gzip variant is damaged: %w", ErrCorrupt)
	}
	packed := size - gzipHeaderLen - gzipTrailerLen
	h := zipHeader{name: f.Path, method: methodDeflated, crc: le.Uint32(trailer[:]), packed: packed, size: f.Size}
	return z.member(h, io.NewSectionReader(gz, gzipHeaderLen, packed))
}

func (z *zipWriter) open(m zipSource) (Body, error) {
	if m.text != nil {
		return nopCloser{bytes.NewReader(m.text)}, nil
	}
	return z.r.Open(m.index, Identity)
}

// store writes a member as it is. The checksum stands before the content, since
// not every tool can do without it there; so the content is read twice.
func (z *zipWriter) store(m zipSource) error {
	src, err := z.open(m)
	if err != nil {
		return err
	}
	defer src.Close()
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, contextReader{z.ctx, src}); err != nil {
		return err
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := zipHeader{name: m.file.Path, method: methodStored, crc: sum.Sum32(), packed: m.file.Size, size: m.file.Size}
	return z.member(h, src)
}

// member writes a local header and the data behind it.
func (z *zipWriter) member(h zipHeader, data io.Reader) error {
	h.offset = z.n
	if err := z.put(h.local()); err != nil {
		return err
	}
	n, err := io.Copy(z.w, contextReader{z.ctx, data})
	z.n += n
	if err == nil && n != h.packed {
		err = fmt.Errorf("it has %d bytes, not %d: %w", n, h.packed, ErrCorrupt)
	}
	z.written = append(z.written, h)
	return err
}

func (z *zipWriter) put(b []byte) error {
	n, err := z.w.Write(b)
	z.n += int64(n)
	return err
}

// The moment that all members have: midnight of the first day that a zip can
// name, in no time zone.
const (
	zipTime = 0
	zipDate = 0<<9 | 1<<5 | 1
)

const (
	version20 = 20               // deflate
	version45 = 45               // 64-bit sizes
	madeBy    = 3<<8 | version45 // Unix, for the mode
	fileMode  = 0o100644 << 16   // a plain file
	tooBig    = int64(max32)     // sizes from here on do not fit
	tooMany   = uint64(max16)    // likewise for counts
)

// common appends what both headers have, from the version on.
func (h zipHeader) common(b []byte, extra int) []byte {
	version, flags := version20, 0
	if extra > 0 {
		version = version45
	}
	if strings.ContainsFunc(h.name, func(c rune) bool { return c > '~' }) {
		flags = flagUTF8
	}
	b = le.AppendUint16(b, uint16(version))
	b = le.AppendUint16(b, uint16(flags))
	b = le.AppendUint16(b, h.method)
	b = le.AppendUint16(b, zipTime)
	b = le.AppendUint16(b, zipDate)
	b = le.AppendUint32(b, h.crc)
	b = le.AppendUint32(b, uint32(min(h.packed, tooBig)))
	b = le.AppendUint32(b, uint32(min(h.size, tooBig)))
	b = le.AppendUint16(b, uint16(len(h.name)))
	return le.AppendUint16(b, uint16(extra))
}

// local returns the header before the data.
func (h zipHeader) local() []byte {
	var extra []byte
	if h.packed >= tooBig || h.size >= tooBig { // here it has both or none
		extra = extraField(h.size, h.packed)
	}
	b := le.AppendUint32(nil, localSignature)
	b = h.common(b, len(extra))
	return append(append(b, h.name...), extra...)
}

// central returns the entry of the directory.
func (h zipHeader) central() []byte {
	var values []int64
	for _, v := range []int64{h.size, h.packed, h.offset} {
		if v >= tooBig {
			values = append(values, v)
		}
	}
	extra := extraField(values...)
	b := le.AppendUint32(nil, centralSignature)
	b = le.AppendUint16(b, madeBy)
	b = h.common(b, len(extra))
	b = le.AppendUint16(b, 0) // comment
	b = le.AppendUint16(b, 0) // disk
	b = le.AppendUint16(b, 0) // internal attributes
	b = le.AppendUint32(b, fileMode)
	b = le.AppendUint32(b, uint32(min(h.offset, tooBig)))
	return append(append(b, h.name...), extra...)
}

// extraField returns the field with values that did not fit, nil if all did.
func extraField(values ...int64) []byte {
	if len(values) == 0 {
		return nil
	}
	b := le.AppendUint16(nil, zip64Extra)
	b = le.AppendUint16(b, uint16(8*len(values)))
	for _, v := range values {
		b = le.AppendUint64(b, uint64(v))
	}
	return b
}

// end writes the directory, and the records that say where it is.
func (z *zipWriter) end() error {
	start := z.n
	for _, h := range z.written {
		if err := z.put(h.central()); err != nil {
			return err
		}
	}
	count, size := uint64(len(z.written)), z.n-start
	if count >= tooMany || size >= tooBig || start >= tooBig {
		if err := z.put(end64(count, size, start)); err != nil {
			return err
		}
	}
	comment := zipComment + string(z.r.ID)
	b := le.AppendUint32(nil, endSignature)
	b = le.AppendUint32(b, 0) // disks
	b = le.AppendUint16(b, uint16(min(count, tooMany)))
	b = le.AppendUint16(b, uint16(min(count, tooMany)))
	b = le.AppendUint32(b, uint32(min(size, tooBig)))
	b = le.AppendUint32(b, uint32(min(start, tooBig)))
	b = le.AppendUint16(b, uint16(len(comment)))
	return z.put(append(b, comment...))
}

// end64 returns the 64-bit form of the end, and the record that finds it.
func end64(count uint64, size, start int64) []byte {
	b := le.AppendUint32(nil, end64Signature)
	b = le.AppendUint64(b, end64Len-12) // of what follows
	b = le.AppendUint16(b, madeBy)
	b = le.AppendUint16(b, version45)
	b = le.AppendUint64(b, 0) // disks
	b = le.AppendUint64(b, count)
	b = le.AppendUint64(b, count)
	b = le.AppendUint64(b, uint64(size))
	b = le.AppendUint64(b, uint64(start))
	b = le.AppendUint32(b, locator64Signature)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, uint64(start+size))
	return le.AppendUint32(b, 1)
}
