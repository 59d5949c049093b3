// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/syndicate"
)

// lexicons are the published contracts of the calls and records, of which the
// rules are checked that they make use of.
type lexicons map[string]map[string]any

// loadLexicons reads them, or skips the test.
func loadLexicons(t *testing.T) lexicons {
	t.Helper()
	dir := need.Path(t, "../shared/specs/lexicons", "the lexicons are not part of the repository")
	all := lexicons{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var doc struct {
			ID   string
			Defs map[string]any
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			return err
		}
		all[doc.ID] = doc.Defs
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// call checks the input of a procedure, and the record in it.
func (l lexicons) call(method string, input map[string]any) error {
	main, ok := l[method]["main"].(map[string]any)
	if !ok {
		return fmt.Errorf("there is no lexicon for %s", method)
	}
	schema, _ := main["input"].(map[string]any)
	if schema["schema"] == nil {
		return nil
	}
	if err := l.check(method, "input", schema["schema"].(map[string]any), input); err != nil {
		return err
	}
	if value, ok := input["record"].(map[string]any); ok {
		id, _ := input["collection"].(string)
		record := l[id]["main"].(map[string]any)
		if key, _ := input["rkey"].(string); !validTID.MatchString(key) {
			return fmt.Errorf("rkey %q is no TID", key)
		}
		return l.check(id, "record", record["record"].(map[string]any), value)
	}
	return nil
}

// check checks a value against a schema of the lexicon id.
func (l lexicons) check(id, at string, schema map[string]any, value any) error {
	switch schema["type"] {
	case "ref":
		return l.ref(id, at, schema["ref"].(string), value)
	case "union":
		return l.union(id, at, schema, value)
	case "object":
		return l.object(id, at, schema, value)
	case "array":
		return l.array(id, at, schema, value)
	case "string":
		return checkString(at, schema, value)
	case "integer":
		n, ok := value.(float64)
		least, bounded := schema["minimum"].(float64)
		if !ok || n != math.Trunc(n) || bounded && n < least {
			return fmt.Errorf("%s: %v is not such a number", at, value)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return fmt.Errorf("%s: %v is no boolean", at, value)
		}
	case "blob":
		return checkBlob(at, schema, value)
	case "unknown":
	default:
		return fmt.Errorf("%s: schema of type %v", at, schema["type"])
	}
	return nil
}

func (l lexicons) ref(id, at, ref string, value any) error {
	doc, name, ok := strings.Cut(ref, "#")
	if !ok {
		name = "main"
	}
	if doc == "" {
		doc = id
	}
	schema, ok := l[doc][name].(map[string]any)
	if !ok {
		return fmt.Errorf("%s: there is no %s", at, ref)
	}
	return l.check(doc, at, schema, value)
}

func (l lexicons) union(id, at string, schema map[string]any, value any) error {
	object, _ := value.(map[string]any)
	name, _ := object["$type"].(string)
	for _, ref := range schema["refs"].([]any) {
		ref := ref.(string)
		if full := id + ref; ref == name || strings.HasPrefix(ref, "#") && full == name {
			if _, known := l[strings.Split(ref, "#")[0]]; !known && !strings.HasPrefix(ref, "#") {
				return nil // a lexicon that is not among these
			}
			return l.ref(id, at, ref, value)
		}
	}
	return fmt.Errorf("%s: type %q is not among %v", at, name, schema["refs"])
}

func (l lexicons) object(id, at string, schema map[string]any, value any) error {
	object, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: %v is no object", at, value)
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := object[name.(string)]; !ok {
			return fmt.Errorf("%s: %s is missing", at, name)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	nullable, _ := schema["nullable"].([]any)
	for name, value := range object {
		property, ok := properties[name].(map[string]any)
		switch {
		case name == "$type", name == "extra": // what tests have added to a record
		case !ok:
			return fmt.Errorf("%s: nothing says what %s is", at, name)
		case value == nil && slices.Contains(nullable, any(name)):
		default:
			if err := l.check(id, at+"."+name, property, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l lexicons) array(id, at string, schema map[string]any, value any) error {
	list, ok := value.([]any)
	if most, limited := schema["maxLength"].(float64); !ok || limited && len(list) > int(most) {
		return fmt.Errorf("%s: %v is no such list", at, value)
	}
	for i, item := range list {
		if err := l.check(id, fmt.Sprintf("%s[%d]", at, i), schema["items"].(map[string]any), item); err != nil {
			return err
		}
	}
	return nil
}

var validTID = regexp.MustCompile(`^[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}$`)

// formats are the rules of the specification for strings.
var formats = map[string]*regexp.Regexp{
	"uri":           regexp.MustCompile(`^[a-z]+:\S+$`),
	"language":      regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]+)*$`),
	"datetime":      regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$`),
	"at-identifier": regexp.MustCompile(`^(did:[a-z]+:[a-zA-Z0-9._:%-]+|[a-z0-9.-]+)$`),
	"nsid":          regexp.MustCompile(`^[a-z]+(\.[a-zA-Z]+)+$`),
	"record-key":    regexp.MustCompile(`^[A-Za-z0-9._:~-]{1,512}$`),
	"cid":           regexp.MustCompile(`^b[a-z2-7]{20,}$`),
}

func checkString(at string, schema map[string]any, value any) error {
	s, ok := value.(string)
	if !ok {
		return fmt.Errorf("%s: %v is no string", at, value)
	}
	if most, limited := schema["maxLength"].(float64); limited && len(s) > int(most) {
		return fmt.Errorf("%s: %d bytes are more than %v", at, len(s), most)
	}
	if most, limited := schema["maxGraphemes"].(float64); limited && syndicate.Graphemes(s) > int(most) {
		return fmt.Errorf("%s: %d characters are more than %v", at, syndicate.Graphemes(s), most)
	}
	if name, ok := schema["format"].(string); ok && (formats[name] == nil || !formats[name].MatchString(s)) {
		return fmt.Errorf("%s: %q is no %s", at, s, name)
	}
	return nil
}

func checkBlob(at string, schema map[string]any, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var b struct {
		Type string `json:"$type"`
		Ref  struct {
			Link string `json:"$link"`
		}
		MimeType string
		Size     int
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return err
	}
	accepted := slices.ContainsFunc(schema["accept"].([]any), func(accept any) bool {
		ok, err := path.Match(accept.(string), b.MimeType)
		return ok && err == nil
	})
	if b.Type != "blob" || !formats["cid"].MatchString(b.Ref.Link) || !accepted || b.Size <= 0 || b.Size > int(schema["maxSize"].(float64)) {
		return fmt.Errorf("%s: %s is not such a file", at, raw)
	}
	return nil
}

// strict returns a transport that checks every request against the lexicons,
// where there are any.
func strict(t *testing.T) http.RoundTripper {
	root, err := filepath.Abs("../../../shared/specs/lexicons")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	if _, err := os.Stat(root); err != nil {
		return transport
	}
	return checking{t, loadLexicons(t), transport}
}

type checking struct {
	t *testing.T
	l lexicons
	http.RoundTripper
}

func (c checking) RoundTrip(r *http.Request) (*http.Response, error) {
	method := path.Base(r.URL.Path)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	var input map[string]any
	if r.Header.Get("Content-Type") == "application/json" {
		err = json.Unmarshal(body, &input)
	}
	if err == nil {
		err = c.l.call(method, input)
	}
	if err != nil {
		c.t.Errorf("%s: %v\n%s", method, err, body)
	}
	return c.RoundTripper.RoundTrip(r)
}

// The lexicons would be worth nothing if they let everything pass.
func TestLexiconsRefuse(t *testing.T) {
	t.Parallel()
	l := loadLexicons(t)
	good := func() map[string]any {
		var v map[string]any
		err := json.Unmarshal([]byte(`{"repo":"did:plc:abc","collection":"app.bsky.feed.post","rkey":"3jzfcijpj2z2a","swapRecord":null,"record":{
			"$type":"app.bsky.feed.post","text":"x #y","createdAt":"`+time.Now().UTC().Format("2006-01-02T15:04:05.000Z")+`","langs":["en"],"tags":["z"],
			"facets":[{"index":{"byteStart":2,"byteEnd":4},"features":[{"$type":"app.bsky.richtext.facet#tag","tag":"y"}]}],
			"embed":{"$type":"app.bsky.embed.external","external":{"uri":"https://me.example/","title":"","description":"",
				"thumb":{"$type":"blob","ref":{"$link":"bafkreiaaaaaaaaaaaaaaaaaaaa"},"mimeType":"image/png","size":5}}}}}`), &v)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	check := func(name string, change func(input, record, external map[string]any)) (failed bool) {
		v := good()
		record := v["record"].(map[string]any)
		change(v, record, record["embed"].(map[string]any)["external"].(map[string]any))
		err := l.call("com.atproto.repo.putRecord", v)
		t.Log(name, err)
		return err != nil
	}
	if check("good", func(_, _, _ map[string]any) {}) {
		t.Error("what is right was refused")
	}
	for name, change := range map[string]func(input, record, external map[string]any){
		"key":     func(in, _, _ map[string]any) { in["rkey"] = "my-post" },
		"missing": func(in, _, _ map[string]any) { delete(in, "repo") },
		"long":    func(_, r, _ map[string]any) { r["text"] = strings.Repeat("é", 301) },
		"bytes":   func(_, r, _ map[string]any) { r["text"] = strings.Repeat("👨‍👩‍👧‍👦", 121) },
		"langs":   func(_, r, _ map[string]any) { r["langs"] = []any{"en", "de", "fr", "it"} },
		"facet":   func(_, r, _ map[string]any) { r["facets"] = []any{map[string]any{"features": []any{}}} },
		"thumb":   func(_, _, e map[string]any) { e["thumb"] = "https://me.example/a.png" },
		"size":    func(_, _, e map[string]any) { e["thumb"].(map[string]any)["size"] = 1_000_001.0 },
		"uri":     func(_, _, e map[string]any) { e["uri"] = "me.example" },
		"unknown": func(_, r, _ map[string]any) { r["link"] = "x" },
		"time":    func(_, r, _ map[string]any) { delete(r, "createdAt") },
	} {
		if !check(name, change) {
			t.Errorf("%s: what is wrong was let pass", name)
		}
	}
}
