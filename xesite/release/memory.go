// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// New makes a release in memory from the files of fsys, all codings included.
// It is meant for tests and for sites that are embedded in a program.
func New(ctx context.Context, fsys fs.FS) (*Release, *Report, error) {
	m := &memory{contents: map[memoryKey][]byte{}}
	x, report, err := scan(ctx, fsys, m)
	if err != nil {
		return nil, nil, err
	}
	_, id, err := x.Encode()
	if err != nil {
		return nil, nil, err
	}
	r := &Release{ID: id, Index: x, blobs: m, variants: make([][]Variant, len(x.Files))}
	err = parallel(ctx, len(x.Files), func(_ context.Context, i int) error {
		for c := Gzip; c < codings; c++ {
			if err := m.compress(x.Files[i], c); err != nil {
				return err
			}
		}
		r.variants[i] = m.variants(x.Files[i])
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return r, report, nil
}

// memory holds blobs in a map.
type memory struct {
	mu       sync.Mutex // guards contents
	contents map[memoryKey][]byte

	encoders encoders
}

type memoryKey struct {
	hash   Hash
	coding Coding
}

func (m *memory) get(h Hash, c Coding) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.contents[memoryKey{h, c}]
	return b, ok
}

func (m *memory) set(h Hash, c Coding, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.contents[memoryKey{h, c}] = b
}

func (m *memory) put(ctx context.Context, open func() (fs.File, error), _ int64) (Hash, int64, bool, error) {
	f, err := open()
	if err != nil {
		return Hash{}, 0, false, err
	}
	defer f.Close()
	var b bytes.Buffer
	h, n, err := hashing(ctx, &b, f)
	if err != nil {
		return Hash{}, 0, false, err
	}
	_, known := m.get(h, Identity)
	m.set(h, Identity, b.Bytes())
	return h, n, !known, nil
}

func (m *memory) compress(f File, c Coding) error {
	content, _ := m.get(f.Hash, Identity)
	if _, known := m.get(f.Hash, c); known || !wants(f, c) {
		return nil
	}
	var b bytes.Buffer
	if err := m.encoders.encode(&b, bytes.NewReader(content), c); err != nil {
		return err
	}
	if pays(f.Size, int64(b.Len())) {
		m.set(f.Hash, c, b.Bytes())
	}
	return nil
}

func (m *memory) variants(f File) (vs []Variant) {
	for c := Gzip; c < codings; c++ {
		// Another file may have the same content under a type that wants more.
		if b, ok := m.get(f.Hash, c); ok && wants(f, c) {
			vs = append(vs, variant(c, int64(len(b))))
		}
	}
	return bySize(vs)
}

func (m *memory) openBlob(h Hash, c Coding) (Body, error) {
	b, ok := m.get(h, c)
	if !ok {
		return nil, fmt.Errorf("blob %s: %w", h, fs.ErrNotExist)
	}
	return nopCloser{bytes.NewReader(b)}, nil
}

// tried is always so: New makes all variants.
func (m *memory) tried(Hash, Coding) bool { return true }

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

var _ io.WriterTo = nopCloser{}
