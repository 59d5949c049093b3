// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

func TestLeadRunsWhileTheInstanceBuildsAndIsToldWhatIsServed(t *testing.T) {
	repo := newRepo(t)
	began, ended := make(chan *xesite.Published, 1), make(chan bool, 1)
	edit := func(cfg *xesite.Config) {
		cfg.Lead = func(ctx context.Context, served *xesite.Published) {
			began <- served
			<-ctx.Done()
			ended <- true
		}
	}
	r := newRig(t, repo.Bare, edit).run()
	if served := <-began; served != nil {
		t.Errorf("at the first start: %+v, want nothing", served)
	}
	wait.Until(t, "the first build is served", r.Ready)
	first, _ := r.Current()
	change(repo, "second")
	r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	second, _ := r.Current()
	r.stop()
	<-ended

	r = openRig(t, r.cfg.DataDir, repo.Bare, edit).run()
	if served := <-began; served == nil || served.Current != second || served.Rollback || served.FS == nil {
		t.Errorf("at the second start: %+v, want %+v", served, second)
	}
	if _, err := r.Rollback(t.Context(), first.Release); err != nil {
		t.Fatal(err)
	}
	r.stop()
	<-ended

	r = openRig(t, r.cfg.DataDir, repo.Bare, edit).run()
	if served := <-began; served == nil || served.Release != first.Release || !served.Rollback {
		t.Errorf("after a rollback: %+v, want the first release, as one that was gone back to", served)
	}
	r.stop()
	<-ended
}

func TestMoreAdminHandlersAreProtected(t *testing.T) {
	r := newRig(t, newRepo(t).Bare, nil).run()
	h := r.AdminHandler(xesite.Admin{Token: "letmein", More: map[string]http.Handler{
		"/extra":      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("extra")) }),
		"/api/extra/": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.URL.Path)) }),
	}})
	get := func(path, token string) (int, string) {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	for path, want := range map[string]string{"/extra": "extra", "/api/extra/a/b": "/api/extra/a/b"} {
		if status, body := get(path, "letmein"); status != 200 || body != want {
			t.Errorf("%s: %d %q", path, status, body)
		}
		if status, _ := get(path, "wrong"); status != 401 {
			t.Errorf("%s with a wrong token: %d", path, status)
		}
	}
	if _, body := get("/", "letmein"); !strings.Contains(body, `href="/extra"`) || strings.Contains(body, `href="/api/extra/"`) {
		t.Error("the page does not link to what is for people, or to what is not")
	}
}
