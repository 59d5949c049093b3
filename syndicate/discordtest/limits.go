// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discordtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// form is what is wrong with a field of a request, given as a path with dots.
func form(path, code, text string) answer {
	var errors any = object{"_errors": []any{object{"code": code, "message": text}}}
	parts := strings.Split(path, ".")
	for _, part := range slices.Backward(parts) {
		errors = object{part: errors}
	}
	return answer{status: http.StatusBadRequest, value: object{"code": 50035, "message": "Invalid Form Body", "errors": errors}}
}

func tooLong(path string, most int) answer {
	return form(path, "BASE_TYPE_MAX_LENGTH", fmt.Sprintf("Must be %d or fewer in length.", most))
}

// length counts as JavaScript does, which is never less than Discord counts.
func length(s string) int { return len(utf16.Encode([]rune(s))) }

// fill gives a message what the request says, or returns what is wrong with it.
// More are names of fields that go besides.
func (q *request) fill(m *message, more ...string) *answer {
	for name := range q.body {
		if !slices.Contains([]string{"content", "embeds", "allowed_mentions", "flags"}, name) && !slices.Contains(more, name) {
			refusal := form(name, "UNSUPPORTED", "This server for tests does not have that.")
			return &refusal
		}
	}
	if v, given := q.body["content"]; given {
		content, isString := v.(string)
		if v != nil && !isString {
			refusal := form("content", "BASE_TYPE_STRING", "Could not interpret value as string.")
			return &refusal
		}
		if content = strings.TrimSpace(content); length(content) > 2000 {
			refusal := tooLong("content", 2000)
			return &refusal
		}
		m.content = content
	}
	if v, given := q.body["embeds"]; given {
		embeds, refusal := checkEmbeds(v)
		if refusal != nil {
			return refusal
		}
		m.embeds = embeds
	}
	if refusal := checkMentions(q.body["allowed_mentions"]); refusal != nil {
		return refusal
	}
	if m.content == "" && len(m.embeds) == 0 {
		return &empty
	}
	m.pings = append(m.pings, pings(m.content, q.body["allowed_mentions"])...)
	return nil
}

func checkMentions(v any) *answer {
	if v == nil {
		return nil
	}
	rules, isObject := v.(object)
	if !isObject {
		refusal := form("allowed_mentions", "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType.")
		return &refusal
	}
	parse, _ := rules["parse"].([]any)
	for i, kind := range parse {
		if !slices.Contains([]any{"users", "roles", "everyone"}, kind) {
			refusal := form(fmt.Sprintf("allowed_mentions.parse.%d", i), "BASE_TYPE_CHOICES", "Value must be one of ('users', 'roles', 'everyone').")
			return &refusal
		}
	}
	return nil
}

// username returns the name that a webhook is to have for a message.
func (q *request) username() (string, *answer) {
	v := q.body["username"]
	name, isString := v.(string)
	refuse := func(code, text string) (string, *answer) { a := form("username", code, text); return "", &a }
	lower := strings.ToLower(name)
	switch {
	case v == nil:
		return "", nil
	case !isString || length(name) < 1 || length(name) > 80:
		return refuse("BASE_TYPE_BAD_LENGTH", "Must be between 1 and 80 in length.")
	case strings.Contains(lower, "discord") || strings.Contains(lower, "clyde"):
		return refuse("USERNAME_INVALID_CONTAINS", `Username cannot contain "discord" or "clyde"`)
	case lower == "everyone" || lower == "here":
		return refuse("USERNAME_INVALID_CONTAINS", "Username cannot be that")
	}
	return name, nil
}

// embedLimits are the lengths of an embed's texts, by path.
var embedLimits = []struct {
	path string
	most int
}{
	{"title", 256},
	{"description", 4096},
	{"footer.text", 2048},
	{"author.name", 256},
}

func checkEmbeds(v any) ([]any, *answer) {
	embeds, isList := v.([]any)
	if v != nil && !isList {
		refusal := form("embeds", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
		return nil, &refusal
	}
	if len(embeds) > 10 {
		refusal := form("embeds", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
		return nil, &refusal
	}
	sum := 0
	for i, e := range embeds {
		embed, isObject := e.(object)
		if !isObject {
			refusal := form(fmt.Sprintf("embeds.%d", i), "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType.")
			return nil, &refusal
		}
		n, refusal := checkEmbed(fmt.Sprintf("embeds.%d.", i), embed)
		if refusal != nil {
			return nil, refusal
		}
		sum += n
	}
	if sum > 6000 {
		refusal := form("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")
		return nil, &refusal
	}
	return embeds, nil
}

// checkEmbed returns how many characters an embed has.
func checkEmbed(at string, embed object) (int, *answer) {
	sum := 0
	for _, l := range embedLimits {
		text := inside(embed, l.path)
		if n := length(text); n > l.most {
			refusal := tooLong(at+l.path, l.most)
			return 0, &refusal
		}
		sum += length(text)
	}
	for _, path := range []string{"url", "image.url", "thumbnail.url", "author.url", "author.icon_url", "footer.icon_url"} {
		if refusal := checkURL(at+path, inside(embed, path)); refusal != nil {
			return 0, refusal
		}
	}
	n, refusal := checkFields(at, embed["fields"])
	if sum += n; refusal == nil && sum == 0 && inside(embed, "image.url") == "" && inside(embed, "thumbnail.url") == "" {
		return 0, &empty
	}
	return sum, refusal
}

func checkFields(at string, v any) (int, *answer) {
	fields, _ := v.([]any)
	if len(fields) > 25 {
		refusal := form(at+"fields", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
		return 0, &refusal
	}
	sum := 0
	for i, f := range fields {
		field, _ := f.(object)
		for _, l := range []struct {
			name string
			most int
		}{{"name", 256}, {"value", 1024}} {
			text, _ := field[l.name].(string)
			path := fmt.Sprintf("%sfields.%d.%s", at, i, l.name)
			if text == "" {
				refusal := form(path, "BASE_TYPE_REQUIRED", "This field is required")
				return 0, &refusal
			}
			if length(text) > l.most {
				refusal := tooLong(path, l.most)
				return 0, &refusal
			}
			sum += length(text)
		}
	}
	return sum, nil
}

// inside returns a text within objects, by a path with dots.
func inside(o object, path string) string {
	parts := strings.Split(path, ".")
	for _, part := range parts[:len(parts)-1] {
		o, _ = o[part].(object)
	}
	text, _ := o[parts[len(parts)-1]].(string)
	return text
}

func checkURL(path, address string) *answer {
	if address == "" {
		return nil
	}
	if length(address) > 2048 {
		refusal := tooLong(path, 2048)
		return &refusal
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		refusal := form(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")
		return &refusal
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		refusal := form(path, "URL_TYPE_INVALID_SCHEME", fmt.Sprintf("Scheme %q is not supported. Scheme must be one of ('http', 'https').", u.Scheme))
		return &refusal
	}
	return nil
}
