// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const tarBlock = 512

// openTar reads the headers of a tar.
func openTar(ctx context.Context, r io.ReaderAt, size int64, limits Limits) (*Archive, error) {
	t := &tarDirectory{src: io.NewSectionReader(r, 0, size), size: size, limits: limits, meter: meter{limits: limits}}
	if err := t.read(ctx); err != nil {
		return nil, err
	}
	return newArchive(r, "tar", t.members, t.dirs, false)
}

type tarDirectory struct {
	src     *io.SectionReader
	size    int64
	limits  Limits
	meter   meter
	end     int64 // of the last member's data
	count   uint64
	members []member
	dirs    []string
}

func (t *tarDirectory) read(ctx context.Context) error {
	headers := tar.NewReader(t.src)
	for ctx.Err() == nil {
		h, err := headers.Next()
		if err == io.EOF {
			return t.checkEnd()
		}
		if err == nil {
			err = t.add(h)
		} else if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrInsecurePath) {
			err = fmt.Errorf("%w: behind byte %d: %w: was the tar cut off?", ErrArchive, t.end, err)
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// add notes where a member is. The tar reader leaves its source at the data.
func (t *tarDirectory) add(h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // of git archive: the commit
	}
	t.count++
	if err := t.limits.checkCount(t.count); err != nil {
		return err
	}
	name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
	if name == "" || name == "." {
		if h.Typeflag == tar.TypeDir {
			return nil // the directory that was archived
		}
		return refuse(h.Name, "it has no name")
	}
	if err := checkMemberName(name); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		t.dirs = append(t.dirs, name)
		return nil
	}
	if err := checkTarKind(name, h); err != nil {
		return err
	}
	offset, err := t.src.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	t.end = offset + h.Size
	if h.Size > t.size-offset {
		return refuse(name, "its data ends behind the archive: was the tar cut off?")
	}
	t.members = append(t.members, member{name: name, offset: offset, packed: h.Size, size: h.Size})
	return t.meter.add(name, h.Size)
}

// checkTarKind refuses what is no plain file.
func checkTarKind(name string, h *tar.Header) error {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return refuse(name, "it is a sparse file: archive it without --sparse")
		}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return nil
	case tar.TypeSymlink:
		return refuse(name, "it is a symbolic link: archive what it leads to, with tar --dereference")
	case tar.TypeLink:
		return refuse(name, "it is a hard link: archive it as a file, with tar --hard-dereference")
	case tar.TypeGNUSparse:
		return refuse(name, "it is a sparse file: archive it without --sparse")
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return refuse(name, "it is a device or a pipe: remove it from the site")
	}
	return refuse(name, "its type is %q, which is none of a file", h.Typeflag)
}

// checkEnd asks for one of the two empty blocks that end a tar. It has no
// checksum of contents, so this alone tells half an upload from a whole one.
func (t *tarDirectory) checkEnd() error {
	var block [tarBlock]byte
	at := (t.end + tarBlock - 1) / tarBlock * tarBlock
	if t.end == 0 {
		return nil // nothing but directories
	}
	for at < t.size {
		if err := readAt(t.src, block[:], at); err != nil {
			return err
		}
		if block == [tarBlock]byte{} {
			return nil
		}
		at += tarBlock // headers of directories
	}
	return fmt.Errorf("%w: the tar has no end: was it cut off?", ErrArchive)
}

// openPackedTar unpacks a compressed tar into a file of scratch.
func openPackedTar(ctx context.Context, packed io.Reader, format, scratch string, limits Limits) (*Archive, error) {
	spool, err := anonymous(scratch)
	if err != nil {
		return nil, fmt.Errorf("unpack archive: %w", err)
	}
	a, err := unpackTar(ctx, spool, bufio.NewReader(packed), format, limits)
	if err != nil {
		return nil, errors.Join(err, spool.Close())
	}
	a.spool = spool
	a.format = map[string]string{"gzip": "tar.gz", "zstd": "tar.zst"}[format]
	return a, nil
}

// anonymous returns a file that has no name any more, so that nobody has to
// remove it, whatever happens.
func anonymous(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "unpacked-")
	if err != nil {
		return nil, err
	}
	// Somebody who cleans up may have been faster.
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func unpackTar(ctx context.Context, spool *os.File, packed io.Reader, format string, limits Limits) (*Archive, error) {
	unpacked, err := decompressor(packed, format)
	if err != nil {
		return nil, fmt.Errorf("%w: its %s is broken: %w", ErrArchive, format, err)
	}
	defer unpacked.Close()
	// Beside the contents each member has a header and padding, and may have
	// a long name.
	most := limits.Total + int64(limits.Files)*4*tarBlock + 1<<20
	size, err := io.Copy(spool, io.LimitReader(contextReader{ctx, unpacked}, most+1))
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case size > most:
		return nil, fmt.Errorf("%w: it unpacks to more than %d bytes: raise Limits.Total", ErrTooLarge, most)
	case isPathError(err): // of the spool
		return nil, fmt.Errorf("unpack archive: %w", err)
	case err != nil:
		return nil, fmt.Errorf("%w: its %s is broken: %w", ErrArchive, format, err)
	}
	head, err := readHead(spool, size)
	if err == nil && detect(head) != "tar" {
		err = fmt.Errorf("%w: there is no tar in the %s", ErrArchive, format)
	}
	if err != nil {
		return nil, err
	}
	return openTar(ctx, spool, size, limits)
}

func isPathError(err error) bool {
	var e *os.PathError
	return errors.As(err, &e)
}

// decompressor bounds the memory that a stream can ask for.
func decompressor(packed io.Reader, format string) (io.ReadCloser, error) {
	if format == "gzip" {
		return gzip.NewReader(packed)
	}
	z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(32<<20), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}
