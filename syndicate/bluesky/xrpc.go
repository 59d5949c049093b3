// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

// request is one to the account's server.
type request struct {
	method      string     // the last part of its name is enough for people
	query       url.Values // of one that only reads; else nil
	content     []byte
	contentType string // if empty, JSON
	token       string // if empty, none
}

// procedure makes a request that changes something.
func procedure(method string, in any) request {
	content, err := json.Marshal(in)
	if err != nil {
		panic(err) // cannot happen: strings, numbers and what was read as JSON
	}
	return request{method: method, content: content}
}

// name is what errors call a request.
func (t *Target) name(method string) string {
	_, host, _ := strings.Cut(t.pds, "://")
	return "bluesky: " + method[strings.LastIndexByte(method, '.')+1:] + " at " + host
}

// do makes a request, once, and returns the answer whatever it is.
func (t *Target) do(ctx context.Context, r request) (*call.Response, error) {
	c := call.Request{Method: http.MethodPost, URL: t.pds + "/xrpc/" + r.method, Body: r.content, Name: t.name(r.method), Header: http.Header{}}
	switch {
	case r.query != nil:
		c.Method = http.MethodGet
		c.URL += "?" + r.query.Encode()
	case r.content != nil && r.contentType == "":
		c.Header.Set("Content-Type", "application/json")
	case r.content != nil:
		c.Header.Set("Content-Type", r.contentType)
	}
	if r.token != "" {
		c.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := call.Do(ctx, t.client, c)
	if err == nil && resp.Status >= http.StatusMultipleChoices {
		resp.Body = hide(resp.Body, t.password.Reveal(), r.token)
	}
	return resp, err
}

// hide takes secrets out of what a server says about an error: what is between
// us and the server may repeat the request. What is shorter than any secret may
// be a part of a word.
func hide(text []byte, secrets ...string) []byte {
	const shortest = 4
	for _, secret := range secrets {
		if len(secret) >= shortest {
			text = bytes.ReplaceAll(text, []byte(secret), []byte("[redacted]"))
		}
	}
	return text
}

// problem is the name of the error that an answer has.
func problem(resp *call.Response) string {
	var e struct{ Error string }
	if resp.Status < 400 || json.Unmarshal(resp.Body, &e) != nil {
		return ""
	}
	return e.Error
}

// Names of errors that are about the account: a person has to look.
var accountProblems = []string{
	"AccountTakedown", "AccountSuspended", "AccountDeactivated", "AccountNotFound",
	"RepoNotFound", "RepoTakendown", "RepoSuspended", "RepoDeactivated",
}

// check returns nil for an answer with a status of 2xx, and otherwise an error
// with what the answer means.
func (t *Target) check(method string, resp *call.Response) error {
	e, failed := errors.AsType[*syndicate.Error](resp.Check(t.name(method), nil))
	if !failed {
		return nil
	}
	name := problem(resp)
	switch {
	case resp.Status == http.StatusTooManyRequests && e.RetryAfter == 0:
		e.RetryAfter = rateLimitReset(resp.Header, time.Now())
	case slices.Contains(accountProblems, name):
		e.Refused, e.Everything = true, true
	case strings.HasPrefix(name, "Upstream") || strings.HasPrefix(name, "Internal"):
		// A server in front says that it does not know, whatever the status.
		e.NotSent, e.Refused, e.Everything = false, false, false
	}
	return e
}

// rateLimitReset reads when requests will be answered again: seconds since 1970.
// Servers that are closer to the draft of the header field have seconds from now.
func rateLimitReset(h http.Header, now time.Time) time.Duration {
	const most, longAgo = 24 * time.Hour, 100_000_000
	seconds, err := strconv.ParseInt(strings.TrimSpace(h.Get("RateLimit-Reset")), 10, 64)
	if err != nil || seconds <= 0 {
		return 0
	}
	if seconds < longAgo {
		return min(time.Duration(seconds)*time.Second, most)
	}
	return max(0, min(time.Unix(min(seconds, 1<<40), 0).Sub(now), most))
}

// decode reads the answer to a request that went well. The error promises
// nothing, since it did go well.
func (t *Target) decode(method string, resp *call.Response, v any) error {
	if err := json.Unmarshal(resp.Body, v); err != nil {
		return fmt.Errorf("%s: the answer is not as it should be: %w", t.name(method), err)
	}
	return nil
}

// notSent says of an error that came before anything was published that this
// is so.
func notSent(err error) error {
	e := asError(err)
	e.NotSent = true
	return e
}

// unsure takes back what an error promises about the announcement, since it is
// about another request.
func unsure(err error) error {
	e := asError(err)
	e.NotSent = false
	return e
}

// asError returns a copy of an error to change.
func asError(err error) *syndicate.Error {
	if e, ok := errors.AsType[*syndicate.Error](err); ok {
		changed := *e
		changed.Err = err
		return &changed
	}
	return &syndicate.Error{Err: err}
}
