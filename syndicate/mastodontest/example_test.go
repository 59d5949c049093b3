// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"xeiaso.net/site/syndicate/mastodontest"
)

// A client that sends again what failed, without looking first, posts twice if
// it has no key.
func Example() {
	fake := mastodontest.New(mastodontest.Config{})
	server := httptest.NewServer(fake)
	defer server.Close()
	token := fake.Token("blog", "my app", "write")

	fake.Next(1, mastodontest.Fault{Kind: mastodontest.ErrorAfter})
	for {
		form := url.Values{"status": {"Hello https://blog.example/1"}}
		req, err := http.NewRequest("POST", server.URL+"/api/v1/statuses", strings.NewReader(form.Encode()))
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := server.Client().Do(req)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
		if resp.StatusCode == 200 {
			break
		}
	}
	fmt.Println(len(fake.Statuses()), "statuses")
	// Output:
	// 500 Internal Server Error
	// 200 OK
	// 2 statuses
}
