// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"text/template"
)

// templateData is what templates see.
type templateData struct {
	Post
	Link     string
	Hashtags []string
}

// parseTemplate reads a template, and tries it, so that a misspelt field is
// found at once and not by the first post.
func parseTemplate(text string) (*template.Template, error) {
	t, err := template.New("Template").Funcs(template.FuncMap{"join": strings.Join}).Parse(text)
	if err != nil {
		return nil, err
	}
	sample := Post{ID: "x", URL: "https://example.com/", Title: "x", Summary: "x", ContentHTML: "x", Authors: []string{"x"}, Tags: []string{"x"}, Language: "en"}
	if _, err := execute(t, templateData{Post: sample, Link: sample.URL, Hashtags: []string{"#x"}}); err != nil {
		return nil, err
	}
	return t, nil
}

// maxText is how long a text from a template may be, in bytes. No network takes
// as much.
const maxText = 256 << 10

func execute(t *template.Template, data templateData) (string, error) {
	var out limited
	if err := t.Execute(&out, data); err != nil {
		return "", err
	}
	return strings.TrimSpace(out.String()), nil
}

// limited is a builder that does not grow beyond maxText.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxText {
		return 0, fmt.Errorf("the text would have more than %d bytes", maxText)
	}
	return l.Builder.Write(p)
}

// message is what is to be said about a post here.
func (d *destination) message(p Post) (Message, error) {
	m := Message{Post: p, Link: p.URL}
	if p.URL != "" {
		tagged, err := d.UTM.Tag(p.URL)
		if err != nil {
			return Message{}, err
		}
		m.Link = tagged
	}
	over := p.For(d.Network)
	m.Language = cmp.Or(over.Language, p.Language, d.Language)
	m.ContentWarning = cmp.Or(over.ContentWarning, d.ContentWarning)
	m.Visibility = cmp.Or(over.Visibility, d.Visibility)
	if m.Text = over.Text; m.Text != "" {
		return m, nil
	}
	data := templateData{Post: p, Link: m.Link}
	for _, tag := range p.Tags {
		if h := Hashtag(tag); h != "" {
			data.Hashtags = append(data.Hashtags, h)
		}
	}
	var err error
	if m.Text, err = execute(d.text, data); err != nil {
		return Message{}, err
	}
	if m.Text == "" && m.Link == "" {
		return Message{}, errors.New("the template makes nothing of the post")
	}
	return m, nil
}

// attemptKey is [Attempt.Key].
func attemptKey(target string, op Op, id, fingerprint string) string {
	if op == OpAnnounce {
		fingerprint = "" // an announcement is the same one whatever it says
	}
	sum := sha256.Sum256([]byte(string(op) + "\x00" + target + "\x00" + id + "\x00" + fingerprint))
	return hex.EncodeToString(sum[:16])
}
