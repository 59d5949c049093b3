// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// request is one with its parameters, whichever way they were sent.
type request struct {
	*http.Request
	server *Server
	token  *token
	params url.Values
	// attributes are those of media in an edit.
	attributes []map[string]string
	file       []byte
	fileType   string
	given      map[string]bool
}

// answer is what is sent back.
type answer interface{ write(w http.ResponseWriter) }

// document is an answer in JSON.
type document struct {
	status int
	header http.Header
	value  any
}

func (d *document) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), d.header)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(d.status)
	json.NewEncoder(w).Encode(d.value)
}

// object is one of JSON.
type object = map[string]any

func ok(v any) answer { return &document{status: http.StatusOK, value: v} }

func refuse(status int, text string, a ...any) *document {
	return &document{status: status, value: object{"error": fmt.Sprintf(text, a...)}}
}

var notFound = refuse(http.StatusNotFound, "Record not found")

// invalid is what validations of a record say.
func invalid(text string, a ...any) *document {
	return refuse(http.StatusUnprocessableEntity, "Validation failed: "+text, a...)
}

// maxBody is how long a request may be, beside the image in it.
const maxBody = 1 << 20

// read reads the parameters of a request.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (*request, error) {
	q := &request{Request: r, server: s, params: r.URL.Query(), given: map[string]bool{}}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody+2*int64(s.config.MaxImage))
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	switch kind {
	case "application/json":
		err = q.readJSON()
	case "application/x-www-form-urlencoded":
		var body []byte
		if body, err = io.ReadAll(r.Body); err == nil {
			var form url.Values
			form, err = url.ParseQuery(string(body))
			q.add(form)
		}
	case "multipart/form-data":
		err = q.readMultipart()
	default: // Rails ignores what it does not know
		_, err = io.Copy(io.Discard, r.Body)
	}
	for name := range q.params {
		q.given[strings.TrimSuffix(name, "[]")] = true
	}
	return q, err
}

func (q *request) add(form url.Values) {
	for name, values := range form {
		q.params[name] = append(q.params[name], values...)
	}
}

func (q *request) readJSON() error {
	var body map[string]any
	d := json.NewDecoder(q.Body)
	d.UseNumber()
	if err := d.Decode(&body); errors.Is(err, io.EOF) {
		return nil // DELETE with a content type and no content
	} else if err != nil {
		return errors.New("error occurred while parsing request parameters")
	}
	for name, v := range body {
		if name == "media_attributes" {
			q.attributes = objects(v)
			continue
		}
		if list, ok := v.([]any); ok {
			q.given[name] = true
			for _, item := range list {
				q.params.Add(name+"[]", text(item))
			}
		} else if v != nil {
			q.params.Set(name, text(v))
		}
	}
	return nil
}

// text is how Rails sees a value.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func objects(v any) []map[string]string {
	var all []map[string]string
	list, _ := v.([]any)
	for _, item := range list {
		o := map[string]string{}
		fields, _ := item.(map[string]any)
		for name, value := range fields {
			o[name] = text(value)
		}
		all = append(all, o)
	}
	return all
}

func (q *request) readMultipart() error {
	reader, err := q.MultipartReader()
	if err != nil {
		return err
	}
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := q.readPart(part); err != nil {
			return err
		}
	}
}

func (q *request) readPart(part *multipart.Part) error {
	content, err := io.ReadAll(part)
	switch {
	case err != nil:
		return err
	case part.FormName() == "file":
		q.file, q.fileType = content, http.DetectContentType(content)
	default:
		q.params.Add(part.FormName(), string(content))
	}
	return nil
}

// list returns the values of an array.
func (q *request) list(name string) []string { return q.params[name+"[]"] }

// flag returns a truth value as Rails reads it.
func (q *request) flag(name string) bool {
	return !slices.Contains([]string{"", "0", "f", "F", "false", "FALSE", "off", "OFF"}, q.params.Get(name))
}

// number returns a number, which may not be more than most, or zero.
func (q *request) number(name string, most int64) int64 {
	n, err := strconv.ParseInt(q.params.Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return min(n, most)
}

// base is the server's own address.
func (q *request) base() string {
	switch {
	case q.server.config.URL != "":
		return strings.TrimSuffix(q.server.config.URL, "/")
	case q.TLS != nil:
		return "https://" + q.Host
	}
	return "http://" + q.Host
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return token
}

// limited counts a request, and tells whether it is one too many.
func (t *token) limited(limit int, h http.Header) bool {
	const period = 5 * time.Minute
	now := time.Now()
	if start := now.Truncate(period); !t.period.Equal(start) {
		t.period, t.requests = start, 0
	}
	t.requests++
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-t.requests)))
	h.Set("X-RateLimit-Reset", t.period.Add(period).UTC().Format("2006-01-02T15:04:05.000000Z"))
	return t.requests > limit
}
