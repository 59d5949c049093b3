// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package call_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

const token = "token-5ecret"

// post makes a request that changes something, with a secret in its address and
// one in its header.
func post(ctx context.Context, client *http.Client, base string) (*call.Response, error) {
	return call.Do(ctx, client, call.Request{
		Method: http.MethodPost, URL: base + "/hook/" + token, Name: "post", Body: []byte("{}"),
		Header: http.Header{"Authorization": {"Bearer " + token}, "Idempotency-Key": {"1"}},
	})
}

// raw is a server that does with connections as told, and counts the requests
// that it has read.
func raw(t *testing.T, serve func(c net.Conn, request *http.Request)) (address string, requests *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests = new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err == nil {
					io.Copy(io.Discard, r.Body)
					requests.Add(1)
				}
				serve(c, r)
			}()
		}
	}()
	return "http://" + l.Addr().String(), requests
}

// closed is an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// opaque is a transport that does not say whether there is a connection.
type opaque struct{}

func (opaque) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("something went wrong")
}

func TestWhatMayHaveBeenActedUponIsNotCalledUnsent(t *testing.T) {
	answer := func(text string) func(net.Conn, *http.Request) {
		return func(c net.Conn, _ *http.Request) { io.WriteString(c, text) }
	}
	cut, cutCount := raw(t, answer(""))
	half, halfCount := raw(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
	junk, junkCount := raw(t, answer("SSH-2.0-OpenSSH\r\n"))
	silent, silentCount := raw(t, func(c net.Conn, _ *http.Request) { io.Copy(io.Discard, c) })
	proceed, proceedCount := raw(t, answer("HTTP/1.1 100 Continue\r\n\r\n"))
	huge, hugeCount := raw(t, func(c net.Conn, _ *http.Request) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", call.MaxAnswer+1)
		io.CopyN(c, zeros{}, call.MaxAnswer+1)
	})
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx      context.Context
		patience time.Duration
		client   *http.Client
		base     string
		requests *atomic.Int32
		notSent  bool
	}{
		"refused connection":      {base: closed(t), notSent: true},
		"no such name":            {base: "http://nobody.invalid", notSent: true},
		"wrong certificate":       {base: secure.URL, notSent: true},
		"no TLS":                  {base: strings.Replace(junk, "http:", "https:", 1), notSent: true},
		"ended before":            {ctx: over, base: cut, notSent: true},
		"no address":              {base: "http:", notSent: true},
		"cut before the answer":   {base: cut, requests: cutCount},
		"cut in the answer":       {base: half, requests: halfCount},
		"another protocol":        {base: junk, requests: junkCount},
		"too slow":                {patience: 300 * time.Millisecond, base: silent, requests: silentCount},
		"only 100 Continue":       {base: proceed, requests: proceedCount},
		"an answer without end":   {base: huge, requests: hugeCount},
		"a transport that is mum": {client: &http.Client{Transport: opaque{}}, base: "http://a.example"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.ctx == nil {
				tt.ctx = t.Context()
			}
			if tt.patience > 0 {
				var cancel context.CancelFunc
				tt.ctx, cancel = context.WithTimeout(tt.ctx, tt.patience)
				defer cancel()
			}
			before := int32(0)
			if tt.requests != nil {
				before = tt.requests.Load()
			}
			_, err := post(tt.ctx, tt.client, tt.base)
			known, ok := errors.AsType[*syndicate.Error](err)
			if !ok || known.NotSent != tt.notSent {
				t.Fatalf("error %v (%+v), want NotSent %t", err, known, tt.notSent)
			}
			if strings.Contains(err.Error(), token) || strings.Contains(fmt.Sprintf("%+v", known), token) {
				t.Errorf("the secret is in %v", err)
			}
			if tt.requests != nil && tt.requests.Load()-before != 1 {
				t.Errorf("the server got %d requests, want 1", tt.requests.Load()-before)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A server that closes connections that were quiet cannot cut a request that
// changes something, since that does not come on one of those.
func TestWritesComeOnConnectionsOfTheirOwn(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("http2=", http2), func(t *testing.T) {
			var conns, requests atomic.Int32
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if http2 != (r.ProtoMajor == 2) {
					t.Errorf("%s, want HTTP/2: %t", r.Proto, http2)
				}
			}))
			srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					conns.Add(1)
				}
			}
			srv.EnableHTTP2 = http2
			srv.StartTLS()
			defer srv.Close()
			for range 3 {
				if _, err := call.Do(t.Context(), srv.Client(), call.Request{Method: "GET", URL: srv.URL, Name: "get"}); err != nil {
					t.Fatal(err)
				}
				if _, err := post(t.Context(), srv.Client(), srv.URL); err != nil {
					t.Fatal(err)
				}
			}
			if conns.Load() != 4 || requests.Load() != 6 {
				t.Errorf("%d connections for %d requests, want 1 for those that read and 3 for the others", conns.Load(), requests.Load())
			}
		})
	}
}

func TestHTTP2IsNotAskedAgain(t *testing.T) {
	var requests atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		panic(http.ErrAbortHandler) // resets the stream
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	_, err := post(t.Context(), srv.Client(), srv.URL)
	known, ok := errors.AsType[*syndicate.Error](err)
	if !ok || known.NotSent || requests.Load() != 1 || strings.Contains(err.Error(), token) {
		t.Errorf("error %v after %d requests", err, requests.Load())
	}
}

func TestRedirectsAreToldAndNotFollowed(t *testing.T) {
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	resp, err := post(t.Context(), nil, srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	known, _ := errors.AsType[*syndicate.Error](resp.Check("post", nil))
	if known == nil || !known.NotSent || !known.Refused || requests.Load() != 1 {
		t.Errorf("%+v after %d requests", known, requests.Load())
	}
}

func TestATokenWithALineBreakIsNamedAndNotShown(t *testing.T) {
	_, err := call.Do(t.Context(), nil, call.Request{Method: "GET", URL: "http://a.example/", Name: "get", Header: http.Header{"Authorization": {token + "\n"}}})
	known, _ := errors.AsType[*syndicate.Error](err)
	if known == nil || !known.NotSent || !known.Refused || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "Authorization") {
		t.Errorf("error %v", err)
	}
}

func TestStatusesSayWhatTheyMean(t *testing.T) {
	for status, want := range map[int]syndicate.Error{
		400: {NotSent: true, Refused: true},
		401: {NotSent: true, Refused: true, Everything: true},
		403: {NotSent: true, Refused: true, Everything: true},
		404: {NotSent: true, Refused: true},
		408: {},
		422: {NotSent: true, Refused: true},
		429: {NotSent: true, Everything: true, RetryAfter: 90 * time.Second},
		500: {RetryAfter: 90 * time.Second},
		503: {RetryAfter: 90 * time.Second},
	} {
		r := &call.Response{Status: status, Header: http.Header{}, Body: []byte("{\"error\": \"no\\u0000\\r\\n" + strings.Repeat("long ", 200) + "\"}")}
		if want.RetryAfter > 0 {
			r.Header.Set("Retry-After", "90")
		}
		err := r.Check("do", nil)
		got, ok := errors.AsType[*syndicate.Error](err)
		if !ok {
			t.Fatalf("%d: %v", status, err)
		}
		if got.NotSent != want.NotSent || got.Refused != want.Refused || got.Everything != want.Everything || got.RetryAfter != want.RetryAfter {
			t.Errorf("%d: %+v, want %+v", status, got, want)
		}
		if text := err.Error(); len(text) > 400 || strings.ContainsAny(text, "\r\n\x00") || !strings.Contains(text, fmt.Sprint(status)) {
			t.Errorf("%d: error %q", status, text)
		}
	}
	if err := (&call.Response{Status: 204}).Check("do", nil); err != nil {
		t.Error(err)
	}
}

func TestRetryAfterInAllItsForms(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for field, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, " 1.5 ": 1500 * time.Millisecond, "-5": 0, "soon": 0, "NaN": 0,
		"+Inf": 24 * time.Hour, "1e300": 24 * time.Hour, "1e999": 0, "99999999999999999999": 24 * time.Hour,
		"Fri, 02 Jan 2026 03:05:05 GMT":  time.Minute,
		"Friday, 02-Jan-26 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:04:04 GMT":  0,
		"Fri, 02 Jan 2099 03:04:05 GMT":  24 * time.Hour,
	} {
		if got := call.RetryAfter(http.Header{"Retry-After": {field}}, now); got != want {
			t.Errorf("RetryAfter(%q) = %s, want %s", field, got, want)
		}
	}
}

func TestDetailIsWhatServersSay(t *testing.T) {
	for body, want := range map[string]string{
		`{"error": "a", "message": "b", "error_description": "c"}`: "a: b: c",
		`{"error": {"x": 1}, "detail": ["y"]}`:                     "",
		`<html>oops`:                                               "", `{"half`: "", "plain words": "plain words", "null": "", "[1]": "[1]",
	} {
		if got := call.Detail([]byte(body)); got != want {
			t.Errorf("Detail(%s) = %q, want %q", body, got, want)
		}
	}
}

func TestTLSConfigurationOfAClientHolds(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}}}
	if _, err := post(t.Context(), client, srv.URL); err != nil {
		t.Error(err)
	}
}
