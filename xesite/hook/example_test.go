// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"xeiaso.net/site/xesite/hook"
)

func ExampleNew() {
	github, err := hook.New(hook.Config{
		Forge:   hook.GitHub,
		Secrets: []hook.Secret{"It's a Secret to Everybody"},
		Branch:  "main",
		Receive: func(_ context.Context, p hook.Push) (trigger string, err error) {
			fmt.Println("build", p.Branch, "of", p.Repository)
			return "trigger/1", nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/.within/hook/github", github)

	// What GitHub would send.
	push := hook.Push{Forge: hook.GitHub, Branch: "main", Repository: "owner/site", Delivery: "1"}
	for _, secret := range []hook.Secret{"a guess", "It's a Secret to Everybody", "It's a Secret to Everybody"} {
		r, err := hook.NewRequest(context.Background(), "/.within/hook/github", secret, push)
		if err != nil {
			log.Fatal(err)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 401 {"error":"missing or wrong signature"}
	// build main of owner/site
	// 202 {"trigger":"trigger/1"}
	// 202 {"reason":"duplicate delivery"}
}

func ExampleForge_Sign() {
	header := make(http.Header)
	hook.GitHub.Sign(header, "It's a Secret to Everybody", []byte("Hello, World!"))
	fmt.Println(header.Get("X-Hub-Signature-256"))
	// Output: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17
}

func ExampleRefusal() {
	receive := func(context.Context, hook.Push) (trigger string, err error) {
		return "", &hook.Refusal{Message: "web-2 builds this site"}
	}
	_, err := receive(context.Background(), hook.Push{})
	fmt.Println(err)
	// Output: web-2 builds this site
}

func ExampleIgnored() {
	receive := func(_ context.Context, p hook.Push) (trigger string, err error) {
		return "", &hook.Ignored{Reason: "this site is pinned"}
	}
	_, err := receive(context.Background(), hook.Push{})
	fmt.Println(err)
	// Output: ignored: this site is pinned
}

func ExampleNewRequest() {
	push := hook.Push{Forge: hook.Forgejo, Branch: "main"}
	r, err := hook.NewRequest(context.Background(), "https://site.example/.within/hook/forgejo", "secret", push)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Method, r.URL.Path, r.Header.Get("X-Forgejo-Event"))
	// Output: POST /.within/hook/forgejo push
}
