// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package webmention_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/webmention"
	"xeiaso.net/site/xesite/state"
)

// pages is a site of somebody else: documents by path, and the mentions it gets.
type pages struct {
	mu       sync.Mutex
	docs     map[string]func(w http.ResponseWriter, r *http.Request)
	mentions []string // "path source target"
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
		p.mentions = append(p.mentions, fmt.Sprint(r.URL, " ", r.PostFormValue("source"), " ", r.PostFormValue("target")))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	doc, ok := p.docs[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	doc(w, r)
}

func html(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, text)
	}
}

func header(link ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, l := range link {
			w.Header().Add("Link", l)
		}
		html(`<link rel=webmention href="/wrong">`)(w, r)
	}
}

// begin returns a syndicator that has seen an empty site.
func begin(t *testing.T, target syndicate.Target) *syndicate.Syndicator {
	t.Helper()
	s, err := syndicate.New(syndicate.Config{
		Store: new(state.Mem), Targets: map[string]syndicate.Destination{"webmention": {Target: target}},
		Page: syndicate.Page{Off: true}, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Observe(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func announce(t *testing.T, s *syndicate.Syndicator, content string) {
	t.Helper()
	p := syndicate.Post{ID: "a", URL: "https://me.example/a", ContentHTML: content, Published: time.Now()}
	if err := s.Observe(t.Context(), []syndicate.Post{p}); err != nil {
		t.Fatal(err)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The cases are those that section 3.1.2 of the standard and the tests of its
// authors name.
func TestEndpointsAreFoundWhereTheyMayBe(t *testing.T) {
	for name, tt := range map[string]struct {
		doc  func(http.ResponseWriter, *http.Request)
		want string
	}{
		"header, unquoted, relative":    {header("</hook>; rel=webmention"), "/hook"},
		"header, quoted, several words": {header(`</hook>; rel="pingback webmention"`), "/hook"},
		"header, capitals":              {header(`</hook>; REL="WebMention"`), "/hook"},
		"header, second of a list":      {header(`</x,y>; rel="next"; title="a, \"b\"", </hook?q=1>; rel=webmention`), "/hook?q=1"},
		"header, second field":          {header(`</x>; rel=next`, `</hook>; rel=webmention`), "/hook"},
		"header without the right word": {header(`</x>; rel=not-webmention`), "/wrong"},
		"link element":                  {html(`<html><link href="hook" rel="webmention">`), "/posts/hook"},
		"a element, comes first":        {html(`<a rel="webmention" href="/first">x</a><link rel=webmention href=/second>`), "/first"},
		"several words":                 {html(`<link rel="alternate webmention" href=/hook>`), "/hook"},
		"not in a comment":              {html(`<!-- <a rel=webmention href=/wrong> --><a rel=webmention href=/hook>`), "/hook"},
		"not in escaped code":           {html(`<code>&lt;a rel=webmention href=/wrong></code><a href="/hook" rel=webmention>`), "/hook"},
		"not in a script":               {html(`<script>"<a rel=webmention href=/wrong>"</script><a href="/hook" rel=webmention>`), "/hook"},
		"not part of another word":      {html(`<a rel="not-webmention" href=/wrong></a><a rel=webmention href=/hook>`), "/hook"},
		"empty: the page itself":        {html(`<link rel=webmention href="">`), "/posts/x"},
		"without href: none":            {html(`<link rel=webmention><a rel=webmention href=/hook>`), "/hook"},
		"query is kept":                 {html(`<link rel=webmention href="/hook?a=1&amp;b=2">`), "/hook?a=1&b=2"},
		"base element":                  {html(`<base href="/other/"><link rel=webmention href=hook>`), "/other/hook"},
		"after a redirect, relative":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/moved/y", http.StatusFound) }, "/moved/hook"},
		"none":                          {html(`<p>Hello`), ""},
		"text that looks like HTML": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, `<a rel=webmention href=/wrong>`)
		}, ""},
		"an endpoint that is no address": {html(`<a rel=webmention href="javascript:alert(1)">`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			site := &pages{docs: map[string]func(http.ResponseWriter, *http.Request){
				"/posts/x": tt.doc, "/moved/y": html(`<link rel=webmention href=hook>`),
			}}
			srv := httptest.NewServer(site)
			defer srv.Close()
			link := srv.URL + "/posts/x"
			announce(t, begin(t, webmention.New(webmention.Config{Client: srv.Client()})), fmt.Sprintf(`<p><a href=%q>x</a> <a href=%q>again</a>`, link, link))
			var want []string
			if tt.want != "" {
				want = []string{fmt.Sprint(tt.want, " https://me.example/a ", link)}
			}
			if !slices.Equal(site.mentions, want) {
				t.Errorf("mentions %q, want %q", site.mentions, want)
			}
		})
	}
}

func TestDeadLinksDoNotHoldUpOthers(t *testing.T) {
	site := &pages{docs: map[string]func(http.ResponseWriter, *http.Request){
		"/good":   html(`<link rel=webmention href=/hook>`),
		"/broken": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
	}}
	srv := httptest.NewServer(site)
	defer srv.Close()
	var tries []string
	target := webmention.New(webmention.Config{Client: srv.Client(), OnMention: func(_, target, _ string, err error) {
		tries = append(tries, fmt.Sprint(strings.TrimPrefix(target, srv.URL), " ", err == nil))
	}})
	s := begin(t, target)
	announce(t, s, fmt.Sprintf(`<a href=%[1]s/broken></a><a href=%[1]s/gone></a><a href="%[1]s/good#part"></a>
		<a href="/own">own</a><a href="https://me.example/b">own</a><a href="mailto:x@example.com">mail</a><a rel=nofollow href=%[1]s/good></a>`, srv.URL))
	if want := []string{"/hook https://me.example/a " + srv.URL + "/good#part"}; !slices.Equal(site.mentions, want) {
		t.Errorf("mentions %q, want %q", site.mentions, want)
	}
	if want := []string{"/broken false", "/gone true", "/good#part true", "/broken false", "/broken false"}; !slices.Equal(tries, want) {
		t.Errorf("tries %q, want %q", tries, want)
	}
	entries, err := s.Entries(t.Context())
	if err != nil || len(entries) != 1 || entries[0].State != syndicate.Confirmed {
		t.Errorf("entries %+v, %v; want one that is confirmed", entries, err)
	}
}

func TestLinksDoNotLeadToThisMachine(t *testing.T) {
	asked := false
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer srv.Close()
	announce(t, begin(t, webmention.New(webmention.Config{})), fmt.Sprintf(`<a href=%q>x</a>`, srv.URL+"/admin"))
	if asked {
		t.Error("a service of this machine was asked")
	}
}

func TestLinkPostsMentionNobody(t *testing.T) {
	site := &pages{docs: map[string]func(http.ResponseWriter, *http.Request){"/x": html(`<link rel=webmention href=/hook>`)}}
	srv := httptest.NewServer(site)
	defer srv.Close()
	s := begin(t, webmention.New(webmention.Config{Client: srv.Client()}))
	p := syndicate.Post{ID: "a", URL: srv.URL + "/x", External: true, ContentHTML: "<a href=" + srv.URL + "/x>x</a>", Published: time.Now()}
	if err := s.Observe(t.Context(), []syndicate.Post{p}); err != nil {
		t.Fatal(err)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(site.mentions) != 0 {
		t.Errorf("mentions %q", site.mentions)
	}
}

// silence is a transport for a web on which some hosts never answer.
type silence struct {
	mu    sync.Mutex
	asked []string
}

func (s *silence) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Host)
	s.mu.Unlock()
	if strings.HasPrefix(r.URL.Host, "dead") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	if r.Method == http.MethodGet {
		w.Header().Set("Link", "</hook>; rel=webmention")
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func TestAShortAttemptIsLongEnoughToPassByALinkThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := &silence{}
		target := webmention.New(webmention.Config{Client: &http.Client{Transport: web}})
		body := []byte(`{"source": "https://me.example/a", "targets": ["https://dead.example/", "https://alive.example/"]}`)
		var err error
		for n := range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			_, err = target.Send(ctx, syndicate.Attempt{ID: "a", Key: "k", Number: n + 1, Body: body})
			cancel()
			if err == nil {
				break
			}
		}
		if err != nil || !slices.Contains(web.asked, "alive.example") {
			t.Errorf("asked %q, %v", web.asked, err)
		}
	})
}

func TestLinksThatHangDoNotTakeTheTurnOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := map[string]error{}
		web := &silence{}
		s := begin(t, webmention.New(webmention.Config{
			Client:    &http.Client{Transport: web},
			OnMention: func(_, target, endpoint string, err error) { told[target] = err },
		}))
		var content strings.Builder
		for i := range 20 {
			fmt.Fprintf(&content, "<a href=https://dead%d.example/>", i)
		}
		content.WriteString("<a href=https://alive.example/>")
		announce(t, s, content.String())
		if err, ok := told["https://alive.example/"]; !ok || err != nil || len(told) != 21 {
			t.Errorf("%d links, the one that answers: %t, %v", len(told), ok, err)
		}
		count := map[string]int{}
		for _, host := range web.asked {
			count[host]++
		}
		if count["alive.example"] != 2 || count["dead7.example"] != 3 {
			t.Errorf("hosts were asked so often: %v", count)
		}
	})
}
