// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package picture_test

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"testing"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/outside"
	"xeiaso.net/site/syndicate/internal/picture"
)

func content(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 3))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFetchTellsWhetherToTryAgain(t *testing.T) {
	dot := content(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/dot.png", func(w http.ResponseWriter, _ *http.Request) { w.Write(dot) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write(dot)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, tt := range []struct {
		path    string
		limit   int64
		ok      bool
		refused bool
	}{
		{"/dot.png", int64(len(dot)), true, false},
		{"/dot.png", int64(len(dot)) - 1, false, true},
		{"/page", 1000, false, true},
		{"/missing", 1000, false, true},
		{"/busy", 1000, false, false},
		{"/cut", 1000, false, false},
	} {
		p, err := picture.Fetch(t.Context(), server.Client(), server.URL+tt.path, picture.Limits{Bytes: tt.limit, Types: []string{"image/png"}})
		e, _ := errors.AsType[*syndicate.Error](err)
		switch {
		case tt.ok:
			if err != nil || !bytes.Equal(p.Content, dot) || p.Type != "image/png" || len(p.Hash()) != 64 {
				t.Errorf("%s: %d bytes of %s, error %v", tt.path, len(p.Content), p.Type, err)
			}
		case e == nil || !e.NotSent || e.Refused != tt.refused:
			t.Errorf("%s: error %#v, want NotSent, and Refused: %t", tt.path, err, tt.refused)
		}
	}
}

// The server would answer if it was asked.
func TestFetchGoesToPublicAddressesOnly(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, err := picture.Fetch(t.Context(), nil, server.URL, picture.Limits{Bytes: 1000})
	if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.NotSent || !e.Refused || !errors.Is(err, outside.ErrInside) {
		t.Errorf("error %v, want it refused", err)
	}
}
