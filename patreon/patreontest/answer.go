// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"
)

// object is one of JSON.
type object = map[string]any

// answer is what is sent back.
type answer struct {
	status int
	header http.Header
	body   []byte
	// value is what body was made of, if it is JSON.
	value any
}

// newAnswer returns one with the fields that each answer of Patreon has.
func newAnswer(status int) *answer {
	h := http.Header{}
	h.Set("X-Patreon-Uuid", newUUID())
	h.Set("X-Patreon-Sha", "0000000000000000000000000000000000000000")
	h.Set("Cf-Cache-Status", "DYNAMIC")
	h.Set("Cf-Ray", randomHex(8)+"-TST")
	return &answer{status: status, header: h}
}

// jsonAnswer returns one with a document.
func jsonAnswer(status int, contentType string, v any) *answer {
	a := newAnswer(status)
	a.header.Set("Content-Type", contentType)
	a.setJSON(v)
	return a
}

func (a *answer) setJSON(v any) {
	body, err := json.Marshal(v)
	if err != nil {
		// An attribute that a test has set, such as a channel or NaN.
		a.status, v = http.StatusInternalServerError, nil
		body = []byte("patreontest: an attribute has no form in JSON: " + err.Error())
	}
	a.value, a.body = v, body
}

// page returns an answer for people.
func page(status int, title string) *answer {
	a := newAnswer(status)
	a.header.Set("Content-Type", "text/html; charset=UTF-8")
	a.body = fmt.Appendf(nil, "<!DOCTYPE html>\n<html lang=\"en\"><head><title>%[1]s</title></head>\n<body><h1>%[1]s</h1></body></html>\n", title)
	return a
}

// challenge is what stands in front of Patreon and wants to see a browser.
func challenge() *answer {
	a := page(http.StatusForbidden, "Just a moment...")
	a.header.Set("Cf-Mitigated", "challenge")
	return a
}

// noContent is the answer to a deletion.
func noContent() *answer { return newAnswer(http.StatusNoContent) }

// failure is an error of JSON:API.
func failure(status int, name, detail string) object {
	return object{
		"code":      errorCode(name),
		"code_name": name,
		"detail":    detail,
		"id":        newUUID(),
		"status":    strconv.Itoa(status),
		"title":     http.StatusText(status),
	}
}

// errorCode numbers the names of errors. Known are those of Unauthorized, and
// that there is none with RequestThrottled.
func errorCode(name string) any {
	switch name {
	case "Unauthorized":
		return 1
	case "RequestThrottled":
		return nil
	}
	return 100
}

func (c *call) fail(status int, name, detail string) *answer {
	return c.failures(status, failure(status, name, detail))
}

func (c *call) failures(status int, errors ...object) *answer {
	return jsonAnswer(status, c.s.config.ContentType, object{"errors": errors})
}

// unauthorized is the answer to a token that is not accepted.
func (c *call) unauthorized() *answer {
	return c.fail(http.StatusUnauthorized, "Unauthorized", "The server could not verify that you are authorized to access the URL requested.")
}

// invalidParameter refuses a parameter of the query.
func (c *call) invalidParameter(name, detail string, a ...any) *answer {
	e := failure(http.StatusBadRequest, "ParameterInvalid", fmt.Sprintf(detail, a...))
	e["source"] = object{"parameter": name}
	return c.failures(http.StatusBadRequest, e)
}

// invalidBody refuses a part of a document that was sent.
func (c *call) invalidBody(pointer, detail string, a ...any) *answer {
	e := failure(http.StatusBadRequest, "BadRequest", fmt.Sprintf(detail, a...))
	e["source"] = object{"pointer": pointer}
	return c.failures(http.StatusBadRequest, e)
}

func (c *call) notFound(kind, id string) *answer {
	return c.fail(http.StatusNotFound, "ResourceMissing", fmt.Sprintf("%s with id %q was not found.", kind, id))
}

// throttled is the answer to too many requests.
func (c *call) throttled(wait time.Duration) *answer {
	seconds := int(math.Ceil(wait.Seconds()))
	e := failure(http.StatusTooManyRequests, "RequestThrottled", "You have made too many attempts. Please try again later.")
	e["retry_after_seconds"] = seconds
	a := c.failures(http.StatusTooManyRequests, e)
	a.header.Set("Retry-After", strconv.Itoa(seconds))
	return a
}

// send sends the answer, or the part of it that the fault lets through.
func (a *answer) send(w http.ResponseWriter, f Fault) {
	maps.Copy(w.Header(), a.header)
	n := len(a.body)
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(n))
	}
	if f.Kind == CutAnswer {
		n /= 2
	}
	w.WriteHeader(a.status)
	w.Write(a.body[:n])
	if f.Kind == CutAnswer {
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// newUUID returns a random one, version 4.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// randomHex returns n random bytes.
func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// timestamp is how Patreon writes times.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-07:00") }
