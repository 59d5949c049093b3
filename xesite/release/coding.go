// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Coding is a content coding of HTTP (RFC 9110 section 8.4.1).
type Coding uint8

// The codings that releases hold.
const (
	Identity Coding = iota
	Gzip
	Zstd
	Brotli
	codings // how many there are
)

// recipe says how a coding is made. Its tag names the file beside the blob
// and is part of the entity tag: another encoder or level gives other bytes,
// so whoever changes one changes the tag.
type recipe struct {
	name    string // in Content-Encoding
	tag     string
	slow    bool // made in the background, after the release is live
	encoder func() (encoder, error)
	decoder func(io.Reader) (io.Reader, error)
}

// encoder is what the compression libraries have in common. Making one is
// dear, so they are used again.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

var recipes = [codings]recipe{
	Identity: {name: "identity"},
	Gzip: {
		name: "gzip", tag: "gz1",
		encoder: func() (encoder, error) { return kgzip.NewWriterLevel(nil, 6) },
		decoder: func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	},
	Zstd: {
		name: "zstd", tag: "zs1",
		// Clients may refuse windows over 8 MiB (RFC 9659).
		encoder: func() (encoder, error) {
			return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
				zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
		},
		decoder: func(r io.Reader) (io.Reader, error) {
			return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		},
	},
	Brotli: {
		name: "br", tag: "br1", slow: true,
		encoder: func() (encoder, error) { return brotli.NewWriterLevel(nil, 11), nil },
		decoder: func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	},
}

// String returns the name that HTTP has for the coding.
func (c Coding) String() string { return recipes[c].name }

// Tag returns the recipe by which this package makes the coding, the empty
// string for [Identity].
func (c Coding) Tag() string { return recipes[c].tag }

// Variant is one form in which a content is held.
type Variant struct {
	Coding Coding
	Size   int64 // bytes
	// Tag tells these very bytes from others that the coding could make of
	// the same content. It goes into entity tags.
	Tag string
}

func variant(c Coding, size int64) Variant { return Variant{c, size, c.Tag()} }

const (
	// minVariant is the smallest content that is compressed: below it the
	// headers of an answer weigh more than what is saved.
	minVariant = 256
	// maxVariant bounds the time and memory that one content takes.
	maxVariant = 64 << 20
	// maxSlow is the same for level 11 of brotli, at about 0.5 MB/s.
	maxSlow = 8 << 20
)

// wants reports whether f should be held in c.
func wants(f File, c Coding) bool {
	limit := int64(maxVariant)
	if recipes[c].slow {
		limit = maxSlow
	}
	return c != Identity && f.Size >= minVariant && f.Size <= limit && Compressible(f.Type)
}

// pays reports whether a variant saves at least 5 % and 64 bytes.
func pays(size, compressed int64) bool {
	return size-compressed >= 64 && compressed <= size/20*19
}

// encoders hands out encoders and takes them back. The zero value is ready.
type encoders struct{ pools [codings]sync.Pool }

// encode writes src to dst in coding c.
func (e *encoders) encode(dst io.Writer, src io.Reader, c Coding) (err error) {
	w, ok := e.pools[c].Get().(encoder)
	if !ok {
		if w, err = recipes[c].encoder(); err != nil {
			return err
		}
	}
	w.Reset(dst)
	_, err = io.Copy(w, src)
	if err = errors.Join(err, w.Close()); err == nil {
		e.pools[c].Put(w)
	}
	return err
}

// decode returns the identity content of src, held in coding c.
func decode(src io.Reader, c Coding) (io.Reader, error) {
	if c == Identity {
		return src, nil
	}
	r, err := recipes[c].decoder(src)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", c, err)
	}
	return r, nil
}
