// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markup_test

import (
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/syndicate/internal/markup"
)

// list writes elements as "name href|rel", with "-" for what is missing.
func list(document string) string {
	var all []string
	for e := range markup.Elements(document) {
		value := func(name string) string {
			if !e.Has(name) {
				return "-"
			}
			return e.Attr(name)
		}
		all = append(all, e.Name+" "+value("href")+"|"+value("rel"))
	}
	return strings.Join(all, ", ")
}

func TestElementsAreFoundAsBrowsersFindThem(t *testing.T) {
	for document, want := range map[string]string{
		`<a href="/x" rel='me'>`:                 "a /x|me",
		`<A HREF=/x REL=me>`:                     "a /x|me",
		`<link href=/x/>`:                        "link /x/|-",
		`<link href="/x"/>`:                      "link /x|-",
		`<a href="/x"rel="me">`:                  "a /x|me",
		"<a\n\thref\n=\n'/x'\f>":                 "a /x|-",
		`<a href="/1" href="/2">`:                "a /1|-",
		`<a href=">" rel='"'>`:                   `a >|"`,
		`<a href="it's" rel='say "x"'>`:          `a it's|say "x"`,
		`<a href=" /x?a=1&amp;b=2 ">`:            "a /x?a=1&b=2|-",
		`<a href=>`:                              "a |-",
		`<a href>`:                               "a |-",
		`<a =href=/x>`:                           "a -|-",
		"<a hr\x00ef=/x href=/y\x00>":            "a /y\x00|-",
		`<a href="/x`:                            "",
		`<a href=/x`:                             "",
		`<a`:                                     "",
		`<`:                                      "",
		`1 < 2 <a href=/x>`:                      "a /x|-",
		`</a href=/x><b>`:                        "b -|-",
		`<!-- <a href=/x> --><b>`:                "b -|-",
		`<!--><b><!--->`:                         "b -|-",
		`<!-- <b>`:                               "",
		`<!doctype html><?xml <x>?><b>`:          "b -|-",
		`<script>"<a href=/x>"</script><b>`:      "script -|-, b -|-",
		`<script>"</scripture><a>"</SCRIPT ><b>`: "script -|-, b -|-",
		`<title><link rel=canonical href=/x></title><b>`:     "title -|-, b -|-",
		`<template><a href=/x></template><b>`:                "template -|-, b -|-",
		`<textarea><a href=/x>`:                              "textarea -|-",
		"\xff\xfe<a href=\xff>":                              "a \xff|-",
		`<<a href=/x>`:                                       "a /x|-",
		`<link rel="alternate webmention" href="">`:          "link |alternate webmention",
		`<a href="javascript:alert(1)" href="https://me.x">`: "a javascript:alert(1)|-",
	} {
		if got := list(document); got != want {
			t.Errorf("%q: %s\nwant %s", document, got, want)
		}
	}
}

// hostile are documents that would take quadratic time with a careless reader,
// by the part that is repeated.
func hostile(part string, size int) string { return strings.Repeat(part, size/len(part)+1)[:size] }

// More input must take more time in proportion. The bound is 8 times that, and far
// from the factor of 1024 that squares would make of one of 32.
func TestHostileDocumentsTakeTimeInProportion(t *testing.T) {
	const size, factor = 32 << 10, 32
	for _, part := range []string{
		"<", "<a", "<a ", "<a b", "<a b=", "<a b='", `<a b="`, "<!--", "<!", "</", "<script>", "<script></", "<title></titl",
		"<a/", "=", "a=b ", "<a a=b ", "<a \"", "&amp", "<a href=&amp;>", "<x y='>", "<?", "\x00", "<a\x00",
	} {
		measure := func(size int) time.Duration {
			document := hostile(part, size)
			best := time.Hour
			for range 3 {
				start := time.Now()
				for e := range markup.Elements(document) {
					e.HasToken("rel", "webmention")
				}
				best = min(best, time.Since(start))
			}
			return best
		}
		once, more := measure(size), measure(factor*size)
		if more > 8*factor*once && more > 100*time.Millisecond {
			t.Errorf("%q: %s for %d bytes, %s for %d times as many", part, once, size, more, factor)
		}
	}
}

func FuzzElements(f *testing.F) {
	f.Add(`<a href="/x" rel=me><!-- <b> --><script>"</script>`)
	f.Add("<a b='\x00")
	f.Add("<!--><title></title")
	f.Fuzz(func(t *testing.T, document string) {
		n := 0
		for e := range markup.Elements(document) {
			if n++; n > len(document) {
				t.Fatalf("more elements than bytes in %q", document)
			}
			if e.Name == "" || strings.ContainsAny(e.Name, " \t\n\f\r/>") {
				t.Errorf("%q has an element %q", document, e.Name)
			}
			e.Attr("href")
			e.HasToken("rel", "me")
		}
	})
}
