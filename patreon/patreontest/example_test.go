// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"xeiaso.net/site/patreon/patreontest"
)

// A client that reads one page and stops sees a part of the patrons.
func Example() {
	fake := patreontest.New(patreontest.Config{})
	server := httptest.NewServer(fake)
	defer server.Close()
	fake.AddClient(patreontest.Client{ID: "my client", Secret: "hush"})
	creator := fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
	campaign := fake.AddCampaign(patreontest.Campaign{Creator: creator})
	fake.FillMembers(campaign, 2500)
	pair := fake.Portal("my client", creator, "campaigns.members")

	query := url.Values{"fields[member]": {"full_name,patron_status"}}
	req, err := http.NewRequest("GET", server.URL+"/api/oauth2/v2/campaigns/"+campaign+"/members?"+query.Encode(), nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+pair.AccessToken)
	req.Header.Set("User-Agent", "my-program/1 (+https://blog.example)")
	resp, err := server.Client().Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	var page struct {
		Data []struct {
			Attributes map[string]any `json:"attributes"`
		} `json:"data"`
		Meta struct {
			Pagination struct {
				Total int `json:"total"`
			} `json:"pagination"`
		} `json:"meta"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		panic(err)
	}
	fmt.Println(resp.Status, page.Data[0].Attributes)
	fmt.Println(len(page.Data), "of", page.Meta.Pagination.Total)
	// Output:
	// 200 OK map[full_name:Wren Quillon 1 patron_status:active_patron]
	// 1000 of 2500
}
