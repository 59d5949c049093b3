// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"xeiaso.net/site/internal/test/need"
)

// zeros is a content of n zero bytes that takes no memory.
type zeros struct {
	*io.SectionReader
}

func (zeros) Close() error { return nil }

type zeroAt struct{}

func (zeroAt) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// zeroBlobs has zeros for every hash, in the size of its first byte in GiB.
type zeroBlobs struct{}

func (zeroBlobs) openBlob(h Hash, _ Coding) (Body, error) {
	return zeros{io.NewSectionReader(zeroAt{}, 0, int64(h[0])<<30)}, nil
}

func (zeroBlobs) tried(Hash, Coding) bool { return true }

// sparse is a file of which only what is not zero is kept.
type sparse struct {
	chunks map[int64][]byte // by position in units of sparseUnit
	size   int64
	part   []byte // the last chunk
}

const sparseUnit = 1 << 16

var empty = make([]byte, sparseUnit)

func (s *sparse) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(len(p), sparseUnit-len(s.part))
		s.part = append(s.part, p[:k]...)
		s.size += int64(k)
		p = p[k:]
		if len(s.part) == sparseUnit {
			s.flush()
		}
	}
	return n, nil
}

func (s *sparse) flush() {
	if !bytes.Equal(s.part, empty[:len(s.part)]) {
		s.chunks[(s.size-1)/sparseUnit] = bytes.Clone(s.part)
	}
	s.part = s.part[:0]
}

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for n := 0; n < len(p); {
		at := off + int64(n)
		if at >= s.size {
			return n, io.EOF
		}
		in := int(at % sparseUnit)
		k := min(len(p)-n, sparseUnit-in, int(min(s.size-at, sparseUnit)))
		if chunk := s.chunks[at/sparseUnit]; in < len(chunk) {
			copy(p[n:n+k], chunk[in:])
		}
		n += k
	}
	return len(p), nil
}

// More members than 16 bits can count.
func TestZipOfManyFiles(t *testing.T) {
	unzip := need.Program(t, "unzip", "apt-get install unzip")
	x := &Index{Version: indexVersion}
	for i := range 66_000 {
		x.Files = append(x.Files, File{Path: fmt.Sprintf("%06d", i), Type: TypeOf(".txt", nil)})
	}
	_, id, err := x.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r := &Release{ID: id, Index: x, blobs: zeroBlobs{}, variants: make([][]Variant, len(x.Files))}
	var b bytes.Buffer
	if err := r.WriteZip(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	a, err := OpenArchive(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), "", Limits{})
	if err != nil || len(a.members) != len(x.Files) {
		t.Fatalf("%v, %v", a, err)
	}
	path := filepath.Join(t.TempDir(), "many.zip")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), unzip, "-tqq", path).CombinedOutput(); err != nil {
		t.Errorf("unzip -t: %v\n%.1000s", err, out)
	}
}

// Files and offsets that 32 bits cannot tell.
func TestZipOfHugeFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("it copies 5 GiB of nothing")
	}
	const gib = 1 << 30
	x := &Index{Version: indexVersion}
	for _, f := range []struct {
		path string
		gib  int64
	}{{"a.mp4", 4}, {"b.mp4", 1}, {"c.txt", 0}} {
		x.Files = append(x.Files, File{Path: f.path, Hash: Hash{byte(f.gib)}, Size: f.gib * gib, Type: TypeOf(f.path, nil)})
	}
	_, id, err := x.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r := &Release{ID: id, Index: x, blobs: zeroBlobs{}, variants: make([][]Variant, len(x.Files))}
	file := &sparse{chunks: map[int64][]byte{}}
	if err := r.WriteZip(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	file.flush()

	if _, err := OpenArchive(t.Context(), file, file.size, "", Limits{Archive: 20 * gib}); err == nil {
		t.Error("the default limits allow it")
	}
	a, err := openZip(context.Background(), file, file.size, Limits{Archive: 20 * gib, File: 4 * gib, Total: 5 * gib, Files: 3})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := zip.NewReader(file, file.size)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range x.Files {
		ours, other := a.members[i], theirs.File[i]
		offset, err := other.DataOffset()
		if err != nil || ours.size != want.Size || ours.name != want.Path || other.Name != want.Path ||
			other.UncompressedSize64 != uint64(want.Size) || offset != ours.offset || other.CRC32 != ours.crc {
			t.Errorf("%s: %+v, archive/zip has %+v at %d, %v", want.Path, ours, other.FileHeader, offset, err)
		}
	}
}
