// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"testing/fstest"

	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/serve"
)

func Example() {
	site := fstest.MapFS{
		"index.html": {Data: []byte("<h1>Hello</h1>")},
		"_redirects": {Data: []byte("/blog.atom /index.xml 301\n")},
	}
	rel, report, err := release.New(context.Background(), site)
	if err != nil {
		log.Fatal(err)
	}
	for _, mistake := range report.Mistakes {
		fmt.Println(mistake)
	}
	h := serve.New(rel, serve.Options{})

	for _, path := range []string{"/", "/blog.atom", "/missing"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Printf("%s %d %q\n", path, w.Code, w.Header().Get("Location"))
	}
	// Output:
	// / 200 ""
	// /blog.atom 301 "/index.xml"
	// /missing 404 ""
}
