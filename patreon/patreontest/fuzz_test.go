// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"xeiaso.net/site/patreon/patreontest"
)

// Whatever comes, the server answers with a document or a page, and finds no
// fault with itself.
func FuzzRequests(f *testing.F) {
	f.Add("GET", "/campaigns/1/members", "fields%5Bmember%5D=full_name&include=user.memberships&page%5Bcount%5D=2&sort=-full_name", "application/json", "")
	f.Add("GET", "/identity", "include=memberships.currently_entitled_tiers.campaign.creator", "", "")
	f.Add("GET", "/campaigns", "fields%5B%5D=&fields%5B=&%zz", "", "")
	f.Add("POST", "/webhooks", "", "application/json", `{"data":{"type":"webhook","attributes":{"triggers":["members:create"],"uri":"https://blog.example/"},"relationships":{"campaign":{"data":{"type":"campaign","id":"1"}}}}}`)
	f.Add("PATCH", "/webhooks/2", "", "application/json", `{"data":{"type":"webhook","id":"2","attributes":{"paused":false}}}`)
	f.Add("POST", "/lives", "", "application/json", `{"data":{"type":"live","attributes":{"state":"live","title":null}}}`)
	f.Add("POST", "/../token", "", "application/x-www-form-urlencoded", "grant_type=refresh_token&client_id=client-1&client_secret=s3cr3t&refresh_token=x")
	f.Fuzz(func(t *testing.T, method, path, query, contentType, body string) {
		fake := patreontest.New(patreontest.Config{PageSize: 2})
		fake.AddClient(patreontest.Client{ID: clientID, Secret: secret})
		fake.AddUser(patreontest.User{ID: "1"})
		fake.AddCampaign(patreontest.Campaign{ID: "1", Creator: "1"})
		fake.FillMembers("1", 5)
		fake.AddWebhook(patreontest.Hook{Client: clientID, Campaign: "1", URI: "https://blog.example/", Triggers: patreontest.Triggers()})
		r := httptest.NewRequest("GET", "/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: api + path, RawQuery: query}
		if after, ok := strings.CutPrefix(path, "/../"); ok {
			r.URL.Path = "/api/oauth2/" + after
		}
		r.Header = http.Header{
			"User-Agent":    {"tests/1"},
			"Authorization": {"Bearer " + fake.Portal(clientID, "1").AccessToken},
			"Content-Type":  {contentType},
		}
		w := httptest.NewRecorder()
		fake.ServeHTTP(w, r)
		html := strings.HasPrefix(w.Header().Get("Content-Type"), "text/html")
		if w.Code >= 500 || w.Code != http.StatusNoContent && !html && !json.Valid(w.Body.Bytes()) {
			t.Errorf("answer %d: %s", w.Code, w.Body)
		}
	})
}
