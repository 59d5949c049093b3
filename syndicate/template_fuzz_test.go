// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"regexp"
	"testing"
)

// Whatever a template says and whatever is in a post: there is a text of bounded
// length or an error.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{DefaultTemplate, "{{.Title}} {{join .Tags \", \"}}", "{{range .Hashtags}}{{.}}{{end}}", "{{.Published.Year}}", "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}"} {
		f.Add(text, "A title", "tag one")
	}
	// Templates are the operator's own, who may count to a billion if they like.
	patient := regexp.MustCompile(`range[^}]*[0-9]{4,}|printf`)
	f.Fuzz(func(t *testing.T, text, title, tag string) {
		if patient.MatchString(text) {
			t.Skip()
		}
		tmpl, err := parseTemplate(text)
		if err != nil {
			return
		}
		d := &destination{text: tmpl}
		m, err := d.message(Post{ID: "x", URL: "https://me.example/x", Title: title, Summary: tag, Tags: []string{tag}})
		if err == nil && len(m.Text) > maxText {
			t.Errorf("a text of %d bytes", len(m.Text))
		}
	})
}
