// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// someCampaign is a Patreon to try examples with: its address, and the token of a
// creator.
func someCampaign() (address, token string, stop func()) {
	fake := patreontest.New(patreontest.Config{})
	fake.AddClient(patreontest.Client{ID: "app", Secret: "hush"})
	creator := fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
	campaign := fake.AddCampaign(patreontest.Campaign{Creator: creator, Name: "Quills and Ink"})
	nib := fake.AddTier(patreontest.Tier{Campaign: campaign, Title: "Nib", AmountCents: 500})
	for _, name := range []string{"Ada Made Up", "Bo Made Up"} {
		user := fake.AddUser(patreontest.User{FullName: name})
		fake.AddMember(patreontest.Member{Campaign: campaign, User: user, FullName: name, Tiers: []string{nib}, Status: "active_patron", AmountCents: 500})
	}
	server := httptest.NewServer(fake)
	return server.URL, fake.Portal("app", creator).AccessToken, server.Close
}

// The members of the first campaign of whoever the token belongs to. With the
// creator's access token of the client's page on Patreon, this works as it is
// without the BaseURL.
func Example() {
	address, token, stop := someCampaign()
	defer stop()

	client, err := patreon.NewClient(patreon.ClientConfig{
		Tokens:    patreon.StaticToken(token),
		UserAgent: "my-site/1.0 (+https://example.com)",
		BaseURL:   address,
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for campaign, err := range client.Campaigns(ctx, patreon.Query{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(campaign.Name)
		for member, err := range client.Members(ctx, campaign.ID, patreon.Query{}) {
			if err != nil {
				log.Fatal(err)
			}
			tiers, err := member.CurrentlyEntitledTiers.All()
			if err != nil {
				log.Fatal(err)
			}
			for _, tier := range tiers {
				fmt.Println(member.FullName, member.PatronStatus, tier.Title)
			}
		}
		break
	}
	// Output:
	// Quills and Ink
	// Ada Made Up active_patron Nib
	// Bo Made Up active_patron Nib
}

// Nobody is taken from a list of supporters unless the snapshot is complete.
func ExampleClient_CollectMembers() {
	address, token, stop := someCampaign()
	defer stop()
	client, err := patreon.NewClient(patreon.ClientConfig{Tokens: patreon.StaticToken(token), BaseURL: address})
	if err != nil {
		log.Fatal(err)
	}
	for campaign, err := range client.Campaigns(context.Background(), patreon.Query{}) {
		if err != nil {
			log.Fatal(err)
		}
		s, err := client.CollectMembers(context.Background(), campaign.ID, patreon.Query{})
		if err != nil {
			fmt.Println("the list stays as it was:", err)
			return
		}
		fmt.Println(len(s.Members), "of", s.Total, "members, complete:", s.Complete)
	}
	// Output: 2 of 2 members, complete: true
}

// What went wrong is told by sentinels, and in detail by an [patreon.Error].
func ExampleError() {
	address, _, stop := someCampaign()
	defer stop()
	client, err := patreon.NewClient(patreon.ClientConfig{Tokens: patreon.StaticToken("stale"), BaseURL: address})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Identity(context.Background(), patreon.Query{})
	switch e, _ := errors.AsType[*patreon.Error](err); {
	case errors.Is(err, patreon.ErrUnauthorized):
		fmt.Println("a new token is needed: status", e.Status, e.Name)
	case errors.Is(err, patreon.ErrRateLimited):
		fmt.Println("later:", e.RetryAfter)
	case errors.Is(err, patreon.ErrUnavailable), errors.Is(err, patreon.ErrChallenge):
		fmt.Println("Patreon has trouble:", err)
	}
	// Output: a new token is needed: status 401 Unauthorized
}

// E-mail addresses are personal: they must be asked for, and the token needs a
// scope for them.
func ExampleQuery() {
	q := patreon.Query{
		Fields: patreon.Fields{
			patreon.TypeMember: append(patreon.MemberFields(), "email"),
			patreon.TypeTier:   {"title"},
		},
		Include: []string{"currently_entitled_tiers"},
	}
	fmt.Println(len(q.Fields), q.Include)
	// Output: 2 [currently_entitled_tiers]
}

// Zero, null and "not asked for" are three things.
func ExampleOpt() {
	var m patreon.Member
	m.PledgeCadence = patreon.Some[int64](0)
	m.LastChargeStatus = patreon.Null[patreon.ChargeStatus]()
	fmt.Println(m.PledgeCadence, m.LastChargeStatus, m.FullName)
	fmt.Println(m.FullName.Or("a supporter"))
	// Output:
	// 0 null absent
	// a supporter
}
