// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package openapi holds requests and answers against an OpenAPI document: as
// much of it as the documents of the services have that tests need.
//
// It is stricter than the documents in one way: a field that no schema names is
// a mistake, though they allow more than they name.
package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"xeiaso.net/site/internal/test/need"
)

// Document is one that was read.
type Document struct {
	root map[string]any
	// Forgive are paths into answers at which nothing is looked at, since the
	// service itself does not do what its document says: "$.meta". With "[]",
	// they are for every item of a list.
	Forgive []string
	// Errors is the field of answers with a status of 4xx that holds what the
	// document says is the whole answer. It may be empty.
	Errors string
	// Responses are names of components to use in place of the response that the
	// document has for a success, by operationId.
	Responses map[string]string
	// Beside are paths that the document does not have, and that pass.
	Beside []string
	// AnswersOnly lets all requests pass: for those that are wrong on purpose.
	AnswersOnly bool
}

// forgiven reports whether nothing is looked at there.
func (d *Document) forgiven(path string) bool {
	return slices.Contains(d.Forgive, path) || slices.Contains(d.Forgive, index.ReplaceAllString(path, "[]"))
}

// index is the place in a list, in a path.
var index = regexp.MustCompile(`\[\d+\]`)

// Load reads a document of the folder specs beside the checkout, or skips the
// test.
func Load(t testing.TB, name string) *Document {
	t.Helper()
	path := need.Path(t, "../shared/specs/"+name, "contracts of services are not part of the repository")
	root, ok := read.Load(path)
	if !ok {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var parsed map[string]any
		if err := json.Unmarshal(content, &parsed); err != nil {
			t.Fatal(err)
		}
		root, _ = read.LoadOrStore(path, parsed)
	}
	return &Document{root: root.(map[string]any)}
}

// read are the documents that were read, by path: they are long.
var read sync.Map

// at returns what is at a path of keys, or nil.
func at(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// resolve follows a reference.
func (d *Document) resolve(v any) map[string]any {
	m, _ := v.(map[string]any)
	for {
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		m, _ = at(d.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...).(map[string]any)
	}
}

// Wrap returns a handler that tells of every request, and of every answer of the
// other handler, that is not as the document says. The path of the service's API
// is what stands before the document's paths.
func (d *Document) Wrap(t testing.TB, prefix string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(d.Beside, r.URL.Path) {
			h.ServeHTTP(w, r)
			return
		}
		operation, template := d.operation(r.Method, strings.TrimPrefix(r.URL.Path, prefix))
		name := r.Method + " " + template
		if operation == nil {
			t.Errorf("%s %s is not in the document", r.Method, strings.TrimPrefix(r.URL.Path, prefix))
			h.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !d.AnswersOnly {
			for _, fault := range d.checkRequest(operation, r, body) {
				t.Errorf("request %s: %s\n%s", name, fault, body)
			}
		}
		answer := &tee{ResponseWriter: w}
		defer func() {
			if !answer.aborted(recover()) {
				return
			}
			panic(http.ErrAbortHandler)
		}()
		h.ServeHTTP(answer, r)
		for _, fault := range d.checkAnswer(operation, answer) {
			t.Errorf("answer %d to %s: %s\n%s", answer.status, name, fault, answer.body.Bytes())
		}
	})
}

// tee keeps what it passes on.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (a *tee) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *tee) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.body.Write(p)
	return a.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (a *tee) Flush() {
	if f, ok := a.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// aborted reports whether the handler cut the answer off.
func (a *tee) aborted(cause any) bool {
	if cause != nil && cause != http.ErrAbortHandler {
		panic(cause)
	}
	return cause != nil
}

// operation finds what a path means. A path without parameters goes first.
func (d *Document) operation(method, path string) (operation map[string]any, template string) {
	paths, _ := at(d.root, "paths").(map[string]any)
	best := -1
	for candidate, item := range paths {
		op, ok := at(item, strings.ToLower(method)).(map[string]any)
		if fixed := match(candidate, path); ok && fixed > best {
			best, operation, template = fixed, op, candidate
		}
	}
	return operation, template
}

// match returns how many parts of a path a template names, or -1.
func match(template, path string) int {
	a, b := strings.Split(template, "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return -1
	}
	fixed := 0
	for i := range a {
		switch {
		case a[i] == b[i]:
			fixed++
		case !strings.HasPrefix(a[i], "{") || b[i] == "":
			return -1
		}
	}
	return fixed
}

func (d *Document) checkRequest(operation map[string]any, r *http.Request, body []byte) []string {
	faults := d.checkQuery(operation, r.URL.Query())
	for _, p := range list(operation["parameters"]) {
		p := d.resolve(p)
		if name := text(p["name"]); p["in"] == "header" && p["required"] == true && r.Header.Get(name) == "" {
			faults = append(faults, "no field "+name)
		}
	}
	schema := at(operation, "requestBody", "content", "application/json", "schema")
	if schema == nil {
		if len(body) > 0 {
			faults = append(faults, "it should have no body")
		}
		return faults
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/json" {
		return append(faults, "the content type is "+strconv.Quote(kind))
	}
	return append(faults, d.checkJSON(schema, body)...)
}

func (d *Document) checkQuery(operation map[string]any, query url.Values) []string {
	var faults []string
	for name, values := range query {
		whole, property, deep := strings.Cut(strings.TrimSuffix(name, "]"), "[")
		parameter := d.parameter(operation, whole)
		schema := d.resolve(parameter["schema"])
		if deep {
			schema, deep = d.property(schema, property), parameter["style"] == "deepObject"
		}
		if parameter == nil || schema == nil || deep != strings.Contains(name, "[") {
			faults = append(faults, "unknown parameter "+name)
			continue
		}
		v, ok := d.value(parameter, schema, values[0])
		if !ok {
			faults = append(faults, name+" is "+values[0])
			continue
		}
		faults = append(faults, d.check(schema, v, name, true)...)
	}
	return faults
}

// parameter finds one in the query, or nil.
func (d *Document) parameter(operation map[string]any, name string) map[string]any {
	for _, p := range list(operation["parameters"]) {
		if p := d.resolve(p); p["name"] == name && p["in"] == "query" {
			return p
		}
	}
	return nil
}

// property returns the schema of a part of an object in the query. Paths of more
// than one relation lead to types that are not listed with a request, so a list
// of the fields of any type is taken.
func (d *Document) property(object map[string]any, name string) map[string]any {
	found, ok := at(object, "properties", name).(map[string]any)
	if !ok && at(d.root, "components", "schemas", name) != nil {
		found = map[string]any{"type": "array", "items": map[string]any{"$ref": "#/components/schemas/" + name}}
	}
	if found == nil {
		return nil
	}
	found = d.resolve(found)
	// Items that are said to be like an object are names of its properties.
	if properties, ok := d.resolve(found["items"])["properties"].(map[string]any); ok && found["type"] == "array" {
		names := []any{}
		for name := range properties {
			names = append(names, name)
		}
		return map[string]any{"type": "array", "items": map[string]any{"enum": names}}
	}
	return found
}

// value reads the text of a parameter. Of paths with dots, as JSON:API has them,
// the document lists first steps only.
func (d *Document) value(parameter, schema map[string]any, text string) (v any, ok bool) {
	switch {
	case schema["type"] == "string":
		return text, true
	case schema["type"] == "array" && (parameter["explode"] == false || parameter["style"] == "deepObject"):
		items := []any{}
		for item := range strings.SplitSeq(text, ",") {
			item, _, _ = strings.Cut(item, ".")
			items = append(items, item)
		}
		return items, true
	}
	return v, json.Unmarshal([]byte(text), &v) == nil
}

func (d *Document) checkAnswer(operation map[string]any, a *tee) []string {
	status := strconv.Itoa(a.status)
	if a.status >= 500 {
		return nil // nobody promises how these look
	}
	responses, _ := operation["responses"].(map[string]any)
	response, ok := responses[status]
	if !ok {
		response, ok = responses[status[:1]+"XX"]
	}
	if !ok {
		return []string{"no such status"}
	}
	if name := d.Responses[text(operation["operationId"])]; name != "" && a.status < 300 {
		response = at(d.root, "components", "responses", name)
	}
	resolved := d.resolve(response)
	headers, _ := resolved["headers"].(map[string]any)
	var faults []string
	for name := range headers {
		if a.Header().Get(name) == "" {
			faults = append(faults, "no field "+name)
		}
	}
	schema := at(resolved, "content", "application/json", "schema")
	if schema == nil {
		if a.body.Len() > 0 {
			faults = append(faults, "it should have no body")
		}
		return faults
	}
	if d.Errors != "" && a.status >= 400 {
		schema = map[string]any{"type": "object", "properties": map[string]any{d.Errors: schema}, "required": []any{d.Errors}}
	}
	return append(faults, d.checkJSON(schema, a.body.Bytes())...)
}

// text returns v if it is a string.
func text(v any) string {
	s, _ := v.(string)
	return s
}

func (d *Document) checkJSON(schema any, body []byte) []string {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return []string{err.Error()}
	}
	return d.check(schema, v, "$", true)
}

// check returns what is wrong with a value. If strict, all fields have to be
// named.
func (d *Document) check(schema any, v any, path string, strict bool) []string {
	s := d.resolve(schema)
	if d.forgiven(path) {
		return nil
	}
	var faults []string
	fault := func(format string, a ...any) { faults = append(faults, path+": "+fmt.Sprintf(format, a...)) }
	if types := list(s["type"]); len(types) > 0 && !slices.ContainsFunc(types, func(t any) bool { return isType(v, t) }) {
		fault("%v is not of type %v", v, types)
		return faults
	}
	if c, ok := s["const"]; ok && c != v {
		fault("%v is not %v", v, c)
	}
	nullable := v == nil && slices.Contains(list(s["type"]), any("null"))
	if enum, ok := s["enum"].([]any); ok && !nullable && !slices.Contains(enum, v) {
		fault("%v is none of %v", v, enum)
	}
	for _, all := range list(s["allOf"]) {
		faults = append(faults, d.check(all, v, path, false)...)
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		faults = append(faults, d.checkAny(list(s[keyword]), v, path, strict && s["properties"] == nil)...)
	}
	switch v := v.(type) {
	case string:
		faults = append(faults, checkString(s, v, path)...)
	case float64:
		if low, ok := s["minimum"].(float64); ok && v < low {
			fault("%v is less than %v", v, low)
		}
		if high, ok := s["maximum"].(float64); ok && v > high {
			fault("%v is more than %v", v, high)
		}
	case []any:
		faults = append(faults, d.checkArray(s, v, path)...)
	case map[string]any:
		faults = append(faults, d.checkObject(s, v, path, strict)...)
	}
	return faults
}

// checkAny returns nothing if one of the schemas fits, and otherwise what is
// wrong by the one that comes closest.
func (d *Document) checkAny(schemas []any, v any, path string, strict bool) []string {
	var closest []string
	for i, one := range schemas {
		faults := d.check(one, v, path, strict)
		if len(faults) == 0 {
			return nil
		}
		if i == 0 || len(faults) < len(closest) {
			closest = faults
		}
	}
	return closest
}

func (d *Document) checkArray(s map[string]any, v []any, path string) []string {
	var faults []string
	if most, ok := s["maxItems"].(float64); ok && float64(len(v)) > most {
		faults = append(faults, fmt.Sprintf("%s: %d items, want %v at most", path, len(v), most))
	}
	if least, ok := s["minItems"].(float64); ok && float64(len(v)) < least {
		faults = append(faults, fmt.Sprintf("%s: %d items, want %v at least", path, len(v), least))
	}
	for i, item := range v {
		if s["items"] != nil {
			faults = append(faults, d.check(s["items"], item, fmt.Sprintf("%s[%d]", path, i), true)...)
		}
	}
	return faults
}

func (d *Document) checkObject(s, v map[string]any, path string, strict bool) []string {
	var faults []string
	for _, name := range list(s["required"]) {
		if _, ok := v[name.(string)]; !ok {
			faults = append(faults, fmt.Sprintf("%s: no %s", path, name))
		}
	}
	properties, _ := s["properties"].(map[string]any)
	additional, open := s["additionalProperties"]
	named := d.named(s)
	for name, value := range v {
		switch {
		case properties[name] != nil:
			faults = append(faults, d.check(properties[name], value, path+"."+name, true)...)
		case open && additional != false:
			faults = append(faults, d.check(additional, value, path+"."+name, true)...)
		case (strict && len(named) > 0 || additional == false) && !slices.Contains(named, name):
			if !d.forgiven(path + "." + name) {
				faults = append(faults, fmt.Sprintf("%s: %s is not in the document", path, name))
			}
		}
	}
	return faults
}

// named returns the names of all fields that a schema, or a part of it, has.
func (d *Document) named(s map[string]any) []string {
	var names []string
	properties, _ := s["properties"].(map[string]any)
	for name := range properties {
		names = append(names, name)
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		for _, part := range list(s[keyword]) {
			names = append(names, d.named(d.resolve(part))...)
		}
	}
	return names
}

// list returns a value that may stand alone as a list.
func list(v any) []any {
	if v == nil {
		return nil
	}
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

func isType(v, want any) bool {
	switch v := v.(type) {
	case nil:
		return want == "null"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && v == math.Trunc(v)
	case string:
		return want == "string"
	case []any:
		return want == "array"
	}
	return want == "object"
}

func checkString(s map[string]any, v, path string) []string {
	var faults []string
	fault := func(format string, a ...any) { faults = append(faults, path+": "+fmt.Sprintf(format, a...)) }
	n := float64(utf8.RuneCountInString(v))
	if most, ok := s["maxLength"].(float64); ok && n > most {
		fault("%v characters, want %v at most", n, most)
	}
	if least, ok := s["minLength"].(float64); ok && n < least {
		fault("%v characters, want %v at least", n, least)
	}
	if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
		fault("%q does not match %s", v, pattern)
	}
	switch s["format"] {
	case "date-time":
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			fault("%q is no time", v)
		}
	case "uri":
		if u, err := url.Parse(v); err != nil || u.Scheme == "" {
			fault("%q is no address", v)
		}
	}
	return faults
}
