// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package pds

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Account is a new account on a [Server].
type Account struct {
	// Handle is its name, "abc123.test", and DID its identity.
	Handle, DID string
	// AppPassword is one that was made for a program.
	AppPassword string

	server *Server
	access string // token of the owner's own session
}

// Account makes an account.
func (s *Server) Account(t testing.TB) *Account {
	t.Helper()
	handle := "t" + strings.ToLower(rand.Text()[:12]) + ".test"
	a := &Account{Handle: handle, server: s}
	var made struct{ DID, AccessJWT string }
	a.must(t, "com.atproto.server.createAccount", map[string]any{
		"handle": handle, "email": handle + "@example.com", "password": rand.Text(),
	}, &made)
	a.DID, a.access = made.DID, made.AccessJWT
	var app struct{ Password string }
	a.must(t, "com.atproto.server.createAppPassword", map[string]any{"name": "tests"}, &app)
	a.AppPassword = app.Password
	return a
}

// Call does something as the owner of the account would with another program:
// it calls a procedure, and returns status and answer.
func (a *Account) Call(t testing.TB, method string, in any) (status int, answer []byte) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.server.URL+"/xrpc/"+method, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if a.access != "" {
		req.Header.Set("Authorization", "Bearer "+a.access)
	}
	return do(t, req)
}

func (a *Account) must(t testing.TB, method string, in, out any) {
	t.Helper()
	status, answer := a.Call(t, method, in)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d: %s", method, status, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatal(err)
	}
}

// Record is one that an account has.
type Record struct {
	URI, CID string
	Value    json.RawMessage
}

// Records returns all posts of an account, the newest first.
func (s *Server) Records(t testing.TB, did string) []Record {
	t.Helper()
	var all []Record
	for cursor := ""; ; {
		var page struct {
			Records []Record
			Cursor  string
		}
		answer := s.get(t, "com.atproto.repo.listRecords", url.Values{
			"repo": {did}, "collection": {"app.bsky.feed.post"}, "limit": {"100"}, "cursor": {cursor},
		})
		if err := json.Unmarshal(answer, &page); err != nil {
			t.Fatal(err)
		}
		all, cursor = append(all, page.Records...), page.Cursor
		if cursor == "" {
			return all
		}
	}
}

// Blob returns a file that a record of the account refers to.
func (s *Server) Blob(t testing.TB, did, cid string) []byte {
	t.Helper()
	return s.get(t, "com.atproto.sync.getBlob", url.Values{"did": {did}, "cid": {cid}})
}

// get calls a query, and ends the test if that fails.
func (s *Server) get(t testing.TB, method string, params url.Values) []byte {
	t.Helper()
	if params.Get("cursor") == "" {
		params.Del("cursor")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/xrpc/"+method+"?"+params.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	status, answer := do(t, req)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d: %s", method, status, answer)
	}
	return answer
}

func do(t testing.TB, req *http.Request) (status int, answer []byte) {
	t.Helper()
	var client http.Client
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}
