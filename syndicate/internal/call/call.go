// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package call makes HTTP requests to networks, and tells of each whether the
// network can have acted upon it.
package call

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"xeiaso.net/site/syndicate"
)

// MaxAnswer is how much of an answer is read, in bytes.
const MaxAnswer = 8 << 20

// UserAgent is sent with requests that have none.
const UserAgent = "xeiaso.net-site-syndicate/0 (+https://xeiaso.net)"

// Request is one to make.
type Request struct {
	Method, URL string
	Header      http.Header // may be nil
	Body        []byte      // may be nil
	// Name is what errors call the request, since addresses can have secrets in
	// them: "create status at https://social.example".
	Name string
}

// Response is an answer that was read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do makes a request, once, and returns its answer, whatever the status.
//
// An error is a *[syndicate.Error]. It has NotSent if no connection came about;
// otherwise the request may have been acted upon. Of a client whose transport
// does not say, as package net/http/httptrace has it, that is not known. Redirects
// are not followed.
//
// The request has a connection of its own unless it only reads: one that was
// open for a while can be closed by the server while the request is under way,
// and then nobody knows. (Package net/http would send a request that has an
// Idempotency-Key again by itself, which not every server is ready for.)
func Do(ctx context.Context, client *http.Client, r Request) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, &syndicate.Error{Err: fmt.Errorf("%s: %w", r.Name, err), NotSent: true}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil || req.URL.Host == "" {
		return nil, wrong(r.Name, "the address is not valid")
	}
	for name, values := range r.Header {
		if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
			return nil, wrong(r.Name, "what is set for "+name+" has a line break in it")
		}
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", UserAgent)
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !reads {
		req.GetBody, req.Close = nil, true
	}
	var wanted, connected atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}))
	resp, err := direct(client, !reads).Do(req)
	if err != nil {
		return nil, failed(r.Name, err, wanted.Load() && !connected.Load())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if err == nil && len(body) > MaxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", MaxAnswer)
	}
	if err != nil {
		return nil, failed(r.Name, fmt.Errorf("read the answer: %w", err), false)
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// wrong is an error of a request that cannot be made.
func wrong(name, what string) error {
	return &syndicate.Error{Err: fmt.Errorf("%s: %s", name, what), NotSent: true, Refused: true, Everything: true}
}

// direct returns a client that follows no redirects. If alone, it also shares no
// connection: [http.Request.Close] ends one after the request, but would take one
// that is left from another.
func direct(client *http.Client, alone bool) *http.Client {
	var c http.Client // nil is one with nothing set
	if client != nil {
		c = *client
	}
	if t, ok := c.Transport.(*http.Transport); ok && alone {
		own := t.Clone()
		own.DisableKeepAlives = true
		c.Transport = own
	} else if c.Transport == nil && alone {
		c.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment, // as without settings
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true,
			DisableKeepAlives:   true,
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// failed makes an error of one without an answer. The address, of which
// net/http makes a part of its errors, is left out.
func failed(name string, err error, notSent bool) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		err = fmt.Errorf("%w: the certificate is not one for this server", err)
	}
	return &syndicate.Error{Err: fmt.Errorf("%s: %w", name, err), NotSent: notSent, Everything: notSent}
}

// Check returns nil for an answer with a status of 2xx, and otherwise a
// *[syndicate.Error] with what the status means for a request that changes
// something, and with what the server says, which detail finds in the body. If
// detail is nil, well-known fields are looked for.
//
//	2xx              nil
//	429              not sent; wait
//	401, 403         not sent, refused, everything
//	404, 410         not sent, refused
//	408              unknown
//	other 3xx, 4xx   not sent, refused
//	5xx              unknown
func (r *Response) Check(name string, detail func(body []byte) string) error {
	if r.Status >= 200 && r.Status < 300 {
		return nil
	}
	if detail == nil {
		detail = Detail
	}
	text := fmt.Sprintf("%s: status %d", name, r.Status)
	if d := clean(detail(r.Body)); d != "" {
		text += ": " + d
	}
	e := &syndicate.Error{NotSent: r.Status < 500 && r.Status != http.StatusRequestTimeout, RetryAfter: RetryAfter(r.Header, time.Now())}
	switch {
	case r.Status == http.StatusTooManyRequests:
		e.Everything = true
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		e.Refused, e.Everything = true, true
	case r.Status >= 300 && r.Status < 400:
		e.Refused, e.Everything = true, true
		text += "; a redirect: set the address that the server has now"
	case e.NotSent:
		e.Refused = true
	}
	e.Err = errors.New(text)
	return e
}

// NotSent returns an error of a request that announces nothing: whatever became
// of it, the announcement is not on the network.
func NotSent(err error) error {
	e, ok := errors.AsType[*syndicate.Error](err)
	if !ok {
		return &syndicate.Error{Err: err, NotSent: true}
	}
	also := *e
	also.NotSent = true
	return &also
}

// RetryAfter reads the header field of that name, RFC 9110 10.2.3: seconds, also
// with a fraction, or a date. It is zero if there is none that makes sense, and
// a day at most.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	const most = 24 * time.Hour
	v := strings.TrimSpace(h.Get("Retry-After"))
	wait := time.Duration(0)
	if seconds, err := strconv.ParseFloat(v, 64); err == nil && seconds >= 0 {
		wait = time.Duration(min(seconds, most.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(v); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, most))
}

// Detail finds what a server says about an error in the fields that APIs use for
// it, or else in a short text.
func Detail(body []byte) string {
	var fields struct {
		Error, Message, Detail any
		Description            any `json:"error_description"`
	}
	if json.Unmarshal(body, &fields) == nil {
		var said []string
		for _, v := range []any{fields.Error, fields.Message, fields.Detail, fields.Description} {
			if s, ok := v.(string); ok && s != "" {
				said = append(said, s)
			}
		}
		return strings.Join(said, ": ")
	}
	if bytes.ContainsAny(body, "<{") { // a page for people, or half an answer
		return ""
	}
	return string(body)
}

// clean makes a foreign text fit for an error message: one line, not long.
func clean(s string) string {
	const most = 300
	s = syndicate.PlainLine(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
