// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// DefaultURL is where Patreon is.
const DefaultURL = "https://www.patreon.com"

// DefaultUserAgent is sent where none is set. Patreon may drop requests without
// one of their own.
const DefaultUserAgent = "xeiaso.net-site-patreon/0 (+https://xeiaso.net)"

// maxAnswer is how much of an answer is read, in bytes. A page of 1,000 members
// with everything has about 4 MB.
const maxAnswer = 32 << 20

// endpoint makes requests to one server of the API.
type endpoint struct {
	client *http.Client
	base   *url.URL
	agent  string
}

// newEndpoint checks a configuration. Empty values get their defaults.
func newEndpoint(client *http.Client, base, agent string) (endpoint, error) {
	if base == "" {
		base = DefaultURL
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return endpoint{}, fmt.Errorf("patreon: the address %q is not of the form https://host", strip(base))
	}
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), ""
	if agent == "" {
		agent = DefaultUserAgent
	}
	if strings.ContainsFunc(agent, unicode.IsControl) {
		return endpoint{}, fmt.Errorf("patreon: the user agent %q has control characters in it", agent)
	}
	return endpoint{client: direct(client), base: u, agent: agent}, nil
}

// strip takes user and password out of an address that is quoted in an error.
func strip(address string) string {
	scheme, rest, found := strings.Cut(address, "://")
	if at := strings.LastIndexByte(rest, '@'); found && at >= 0 {
		return scheme + "://[redacted]@" + rest[at+1:]
	}
	return address
}

// direct returns a client that follows no redirects: one to another host would
// get the token, or a page where JSON is expected. It waits for connections and
// the beginning of answers for so long and no longer.
func direct(client *http.Client) *http.Client {
	var c http.Client
	if client != nil {
		c = *client
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment, // as without settings
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 60 * time.Second,
			IdleConnTimeout:       90 * time.Second,
			ForceAttemptHTTP2:     true,
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// request is one to make.
type request struct {
	method, path string
	query        url.Values
	header       http.Header // may be nil
	body         []byte      // may be nil
	// secrets are cut out of what errors quote.
	secrets []string
}

// name is what errors call the request.
func (r request) name() string { return r.method + " " + r.path }

// response is an answer that was read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
}

// do makes a request once and returns its answer. An answer with another status
// than 2xx is an [*Error].
func (e endpoint) do(ctx context.Context, r request) (*response, error) {
	u := *e.base
	u.Path += r.path
	u.RawQuery = r.query.Encode() // brackets become %5B and %5D
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("patreon: %s: the address is not valid", r.name())
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	req.Header.Set("User-Agent", e.agent)
	req.Header.Set("Accept", "application/json, application/vnd.api+json")
	if r.method != http.MethodGet && r.method != http.MethodHead {
		// A connection that was open for a while may be closed by the server at
		// this moment. Then nobody knows whether the request was acted upon.
		req.Close, req.GetBody = true, nil
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, failed(r, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("it has more than %d bytes", maxAnswer)
	}
	if err != nil {
		return nil, failed(r, fmt.Errorf("read the answer: %w", err))
	}
	answer := &response{status: resp.StatusCode, header: resp.Header, body: body}
	if err := answer.check(r); err != nil {
		return answer, err
	}
	return answer, nil
}

// failed makes an error of one without an answer. The address, of which net/http
// makes a part of its errors, can have a cursor or a code in it and is left out.
func failed(r request, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	// It quotes what is not HTTP.
	if slices.ContainsFunc(r.secrets, func(s string) bool { return s != "" && strings.Contains(err.Error(), s) }) {
		return fmt.Errorf("patreon: %s: %s", r.name(), scrub(err.Error(), r.secrets))
	}
	return fmt.Errorf("patreon: %s: %w", r.name(), err)
}

// check returns an [*Error] unless the answer is a success.
func (a *response) check(r request) error {
	html := a.isHTML()
	if a.status >= 200 && a.status < 300 && !html {
		return nil
	}
	e := &Error{
		Request:    r.name(),
		Status:     a.status,
		RequestID:  a.requestID(),
		RetryAfter: retryAfter(a.header, time.Now()),
		HTML:       html,
	}
	if !html {
		e.describe(a.body)
	}
	if e.RetryAfter > maxRetryAfter {
		e.RetryAfter = maxRetryAfter
	}
	for _, text := range []*string{&e.Name, &e.Title, &e.Detail, &e.ID, &e.Parameter, &e.RequestID} {
		*text = scrub(*text, r.secrets)
	}
	return e
}

// isHTML reports whether the answer is a page, by its type, or by its first
// byte where the type is missing or wrong.
func (a *response) isHTML() bool {
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	return media == "text/html" || media == "application/xhtml+xml" || bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<"))
}

func (a *response) requestID() string {
	if id := a.header.Get("X-Patreon-Uuid"); id != "" {
		return id
	}
	return a.header.Get("Cf-Ray")
}

// describe takes what the body says, in one of the two forms of Patreon: a
// JSON:API error document, or that of RFC 6749.
func (e *Error) describe(body []byte) {
	var doc struct {
		Errors           []json.RawMessage `json:"errors"`
		Error            any               `json:"error"`
		ErrorDescription any               `json:"error_description"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return
	}
	if len(doc.Errors) == 0 {
		e.Name, e.Detail = text(doc.Error), text(doc.ErrorDescription)
		return
	}
	var first map[string]any
	if json.Unmarshal(doc.Errors[0], &first) != nil {
		return
	}
	if code, ok := first["code"].(float64); ok && code == float64(int(code)) {
		e.Code = int(code)
	}
	e.Name, e.Title, e.Detail, e.ID = text(first["code_name"]), text(first["title"]), text(first["detail"]), text(first["id"])
	if source, ok := first["source"].(map[string]any); ok {
		e.Parameter = text(source["parameter"])
	}
	if seconds, ok := first["retry_after_seconds"].(float64); ok && seconds > 0 && e.RetryAfter == 0 {
		e.RetryAfter = maxRetryAfter
		if seconds < maxRetryAfter.Seconds() {
			e.RetryAfter = time.Duration(seconds * float64(time.Second))
		}
	}
}

// text returns v if it is a string.
func text(v any) string {
	s, _ := v.(string)
	return s
}

// maxText is how much of a server's text is quoted, in bytes.
const maxText = 300

// shortest is how long a secret is at least that is cut out, in bytes. Shorter
// ones are parts of many words.
const shortest = 4

// scrub makes a text of a server fit for one line of a log, and cuts out secrets
// that it may have echoed.
func scrub(s string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= shortest {
			s = strings.ReplaceAll(s, secret, "[redacted]")
		}
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(strings.TrimSpace(s), "")
}

// maxRetryAfter bounds what a server can ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads the header field of that name, RFC 9110 10.2.3: seconds or a
// date. It is 0 if there is none that makes sense.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if !(seconds > 0) {
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, min(at.Sub(now), maxRetryAfter))
	}
	return 0
}
