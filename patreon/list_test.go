// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// world is a fake Patreon with a campaign, and a client of its creator.
type world struct {
	*patreontest.Server
	*patreon.Client
	campaign patreon.CampaignID
	creator  string
}

func newWorld(t testing.TB, cfg patreontest.Config, change func(*patreon.ClientConfig)) *world {
	t.Helper()
	fake := patreontest.New(cfg)
	fake.AddClient(patreontest.Client{ID: "app", Secret: "hush"})
	w := &world{Server: fake, creator: fake.AddUser(patreontest.User{FullName: "Wren Quillon"})}
	w.campaign = patreon.CampaignID(fake.AddCampaign(patreontest.Campaign{Creator: w.creator, Name: "Quills"}))
	pair := fake.Portal("app", w.creator)
	w.Client = newClient(t, fake, func(cfg *patreon.ClientConfig) {
		cfg.Tokens = patreon.StaticToken(pair.AccessToken)
		if change != nil {
			change(cfg)
		}
	})
	return w
}

// pages returns how many pages were asked for.
func (w *world) pages() int { return len(w.Requests()) }

// list reads a listing of members to its end.
func (w *world) list(ctx context.Context, q patreon.Query) (ids []string, errs []error) {
	for m, err := range w.Client.Members(ctx, w.campaign, q) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ids = append(ids, string(m.ID))
	}
	return ids, errs
}

// same complains unless each of the wanted ids is there, once.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d ids, %d of them different; want %d", what, len(got), len(slices.Compact(got)), len(want))
	}
}

func TestEachListingQuirkEndsWithEverybodyOnce(t *testing.T) {
	for name, paging := range map[string]patreontest.Paging{
		"null":           {},
		"absent":         {End: patreontest.EndAbsent},
		"empty string":   {End: patreontest.EndEmpty},
		"no cursors":     {End: patreontest.EndBare},
		"loop":           {LoopAtEnd: true},
		"empty page":     {EmptyLast: true},
		"empty and loop": {EmptyLast: true, LoopAtEnd: true},
		"links too":      {LinksNext: true},
		"links only":     {LinksNextOnly: true},
		"overlap":        {Overlap: 3},
		"total too low":  {Total: func(int) any { return 4 }},
	} {
		for _, n := range []int{0, 1, 10, 25, 30} {
			w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
			w.SetPaging(paging)
			want := w.FillMembers(string(w.campaign), n)
			if name == "total too low" && n < 4 {
				continue
			}
			what := fmt.Sprintf("%s, %d members", name, n)
			got, errs := w.list(t.Context(), patreon.Query{})
			same(t, what, got, want)
			if errs != nil {
				t.Errorf("%s: %v", what, errs)
			}
			if most := n/7 + 3; w.pages() > most {
				t.Errorf("%s: %d requests, want %d at most", what, w.pages(), most)
			}
			s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
			if err != nil || !s.Complete || len(s.Members) != n {
				t.Errorf("%s: snapshot of %d, complete %t: %v", what, len(s.Members), s.Complete, err)
			}
		}
	}
}

func TestWithoutATotalOnlyAPageWithoutCursorIsTrusted(t *testing.T) {
	unknown := func(int) any { return nil }
	for name, tt := range map[string]struct {
		patreontest.Paging
		n        int
		complete bool
	}{
		"no cursor":  {patreontest.Paging{Total: unknown}, 25, true},
		"loop":       {patreontest.Paging{Total: unknown, LoopAtEnd: true}, 25, false},
		"empty page": {patreontest.Paging{Total: unknown, EmptyLast: true, LoopAtEnd: true}, 25, false},
		"nobody":     {patreontest.Paging{Total: unknown}, 0, false},
	} {
		w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
		w.SetPaging(tt.Paging)
		want := w.FillMembers(string(w.campaign), tt.n)
		got, errs := w.list(t.Context(), patreon.Query{})
		same(t, name, got, want)
		if errs != nil {
			t.Errorf("%s: the listing does not end cleanly: %v", name, errs)
		}
		s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
		if s.Complete != tt.complete || (err == nil) != tt.complete || len(s.Members) != tt.n {
			t.Errorf("%s: snapshot of %d, complete %t: %v", name, len(s.Members), s.Complete, err)
		}
		if !tt.complete && !errors.Is(err, patreon.ErrIncomplete) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFewerThanPatreonSaysAreNotComplete(t *testing.T) {
	w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
	want := w.FillMembers(string(w.campaign), 25)
	w.SetPaging(patreontest.Paging{Total: func(n int) any { return n + 1 }})
	got, errs := w.list(t.Context(), patreon.Query{})
	same(t, "listing", got, want)
	if len(errs) != 1 || !errors.Is(errs[0], patreon.ErrIncomplete) {
		t.Errorf("errors %v", errs)
	}
	s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
	if s.Complete || len(s.Members) != 25 || !errors.Is(err, patreon.ErrIncomplete) {
		t.Errorf("snapshot of %d, complete %t: %v", len(s.Members), s.Complete, err)
	}
}

func TestOneWhoIsPassedOverMakesASnapshotIncomplete(t *testing.T) {
	// Pages by place, as many services cut them: one who leaves moves all others up,
	// and the first of the next page is never seen.
	c := newClient(t, answers(
		`{"data":[{"type":"member","id":"a"},{"type":"member","id":"b"}],"meta":{"pagination":{"total":4,"cursors":{"next":"x"}}}}`,
		`{"data":[{"type":"member","id":"d"}],"meta":{"pagination":{"total":3,"cursors":{"next":null}}}}`,
	), nil)
	s, err := c.CollectMembers(t.Context(), "1", patreon.Query{})
	if s.Complete || len(s.Members) != 3 || !errors.Is(err, patreon.ErrIncomplete) {
		t.Errorf("snapshot of %d, complete %t: %v", len(s.Members), s.Complete, err)
	}
}

func TestOnlyTheCursorOfALinkIsUsed(t *testing.T) {
	// A request to the address itself would take the token there.
	for link, want := range map[string]string{
		`"https://elsewhere.example/steal?page%5Bcursor%5D=abc&x=y"`:           "abc",
		`{"href":"/api/oauth2/v2/campaigns/1/members?page%5Bcursor%5D=a%2Bb"}`: "a+b",
	} {
		s := answers(
			`{"data":[{"type":"member","id":"a"}],"meta":{"total":2},"links":{"next":`+link+`}}`,
			`{"data":[{"type":"member","id":"b"}],"meta":{"total":2},"links":{"next":null}}`,
		)
		snapshot, err := newClient(t, s, nil).CollectMembers(t.Context(), "1", patreon.Query{})
		if err != nil || !snapshot.Complete || s.count() != 2 {
			t.Fatalf("%d requests: %v", s.count(), err)
		}
		if got := s.requests[1].URL.Query().Get("page[cursor]"); got != want || s.requests[1].URL.Query().Get("x") != "" {
			t.Errorf("%s: cursor %q, want %q", link, got, want)
		}
	}
}

func TestPagesThatCannotBeUnderstoodEndAListing(t *testing.T) {
	for page, text := range map[string]string{
		`{"data":[{"type":"member","id":"b"}],"links":{"next":"https://x.example/?cursor=1"}}`: "the link to the next page has no cursor",
		`{"data":[{"type":"member","id":"b"}],"meta":{"pagination":{"cursors":{"next":5}}}}`:   "a number in place of a string",
		`{"data":[{"type":"member","id":"b"}],"meta":{"pagination":{"total":"2"}}}`:            "the total is a string in place of a number",
		`{"data":{"type":"member","id":"b"}}`:                                                  "data: an object in place of a list",
		`{"data":[{"type":"member","id":"b"`:                                                   "unexpected end of JSON input",
		`{"data":[{"type":"member","id":"b"}],"included":"x"}`:                                 "included: a string in place of a list",
		`{"errors":[{"title":"with a good status"}]}`:                                          "it has no data",
	} {
		s := answers(`{"data":[{"type":"member","id":"a"}],"meta":{"pagination":{"total":2,"cursors":{"next":"x"}}}}`, page)
		snapshot, err := newClient(t, s, nil).CollectMembers(t.Context(), "1", patreon.Query{})
		if snapshot.Complete || len(snapshot.Members) != 1 || !errors.Is(err, patreon.ErrMalformed) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: snapshot of %d, complete %t: %v", page, len(snapshot.Members), snapshot.Complete, err)
		}
	}
}

func TestThingsThatAreNoMembersAreToldOneByOne(t *testing.T) {
	s := answers(`{"data":[{"type":"member","id":"a"},{"type":"post","id":"b"},{"type":"member"},{"type":"member","id":7},5,null,{"id":"c"},{"type":"member","id":""},
		{"type":"member","id":"d"}],"meta":{"pagination":{"total":2,"cursors":{"next":null}}}}`)
	snapshot, err := newClient(t, s, nil).CollectMembers(t.Context(), "1", patreon.Query{})
	if snapshot.Complete || len(snapshot.Members) != 2 || len(snapshot.Malformed) != 7 || !errors.Is(err, patreon.ErrMalformed) {
		t.Errorf("snapshot of %d, %d malformed, complete %t: %v", len(snapshot.Members), len(snapshot.Malformed), snapshot.Complete, err)
	}
}

func TestAnOlderPageThatComesAgainIsALoop(t *testing.T) {
	pages := make([]string, 3)
	for i := range pages {
		pages[i] = fmt.Sprintf(`{"data":[{"type":"member","id":"%d"}],"meta":{"pagination":{"cursors":{"next":"c%d"}}}}`, i%2, i)
	}
	s := answers(pages...)
	_, err := newClient(t, s, nil).CollectMembers(t.Context(), "1", patreon.Query{})
	if !errors.Is(err, patreon.ErrIncomplete) || !strings.Contains(err.Error(), "older page") || s.count() != 3 {
		t.Errorf("after %d pages: %v", s.count(), err)
	}
}

func TestMembersWhoComeAndGoMeanwhileComeOnce(t *testing.T) {
	for _, overlap := range []int{0, 2} {
		w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
		want := w.FillMembers(string(w.campaign), 25)
		user := w.AddUser(patreontest.User{FullName: "Late Comer"})
		var late string
		w.SetPaging(patreontest.Paging{Overlap: overlap, BeforePage: func(page int) {
			if page == 2 {
				late = w.AddMember(patreontest.Member{Campaign: string(w.campaign), User: user})
				w.DeleteMember(want[3])
			}
		}})
		got, errs := w.list(t.Context(), patreon.Query{})
		same(t, "members", got, append(want, late))
		if errs != nil {
			t.Error(errs)
		}
	}
}

func TestAListingWithoutAnEndIsEndedAndSaidSo(t *testing.T) {
	w := newWorld(t, patreontest.Config{PageSize: 1}, func(cfg *patreon.ClientConfig) { cfg.MaxPages = 5 })
	w.FillMembers(string(w.campaign), 9)
	got, errs := w.list(t.Context(), patreon.Query{})
	if len(got) != 5 || len(errs) != 1 || !errors.Is(errs[0], patreon.ErrTooManyPages) || !errors.Is(errs[0], patreon.ErrIncomplete) {
		t.Errorf("%d members, errors %v", len(got), errs)
	}
	if s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{}); s.Complete || len(s.Members) != 5 || !errors.Is(err, patreon.ErrTooManyPages) {
		t.Errorf("snapshot of %d, complete %t: %v", len(s.Members), s.Complete, err)
	}
}

func TestALoopThatBreaksAsksForNoMorePages(t *testing.T) {
	w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
	w.FillMembers(string(w.campaign), 30)
	listing := w.Client.Members(t.Context(), w.campaign, patreon.Query{})
	for range 2 { // a listing can be read again
		for m, err := range listing {
			if err != nil || m.ID == "" {
				t.Fatalf("member %q: %v", m.ID, err)
			}
			break
		}
	}
	if w.pages() != 2 {
		t.Errorf("%d requests", w.pages())
	}
}

func TestTroubleInTheMiddleOfAListingIsGotOver(t *testing.T) {
	for _, kind := range []patreontest.Kind{
		patreontest.RateLimitedBody, patreontest.RateLimitedHeader, patreontest.RateLimitedBare, patreontest.ServerError,
		patreontest.Maintenance, patreontest.CutBefore, patreontest.CutAnswer,
	} {
		w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
		want := w.FillMembers(string(w.campaign), 30)
		w.SetPaging(patreontest.Paging{BeforePage: func(page int) {
			if page == 1 {
				w.Next(2, patreontest.Fault{Kind: kind, Wait: time.Millisecond})
			}
		}})
		s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
		if err != nil || !s.Complete || len(s.Members) != len(want) || w.Met()[kind] != 2 {
			t.Errorf("%s, met %d times: snapshot of %d, complete %t: %v", kind, w.Met()[kind], len(s.Members), s.Complete, err)
		}
	}
}

func TestTroubleThatStaysLeavesAnIncompleteSnapshot(t *testing.T) {
	for kind, want := range map[patreontest.Kind]error{
		patreontest.Unauthorized:     patreon.ErrUnauthorized,
		patreontest.UnauthorizedHTML: patreon.ErrUnauthorized,
		patreontest.Challenge:        patreon.ErrChallenge,
		patreontest.HTMLSuccess:      patreon.ErrChallenge,
		patreontest.Gone:             patreon.ErrGone,
		patreontest.Truncated:        patreon.ErrMalformed,
		patreontest.NullBody:         patreon.ErrMalformed,
		patreontest.RateLimitedBare:  patreon.ErrRateLimited,
		patreontest.Maintenance:      patreon.ErrUnavailable,
		patreontest.CutAfter:         nil,
	} {
		w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
		w.FillMembers(string(w.campaign), 30)
		w.SetPaging(patreontest.Paging{BeforePage: func(page int) {
			if page == 2 {
				w.Next(100, patreontest.Fault{Kind: kind})
			}
		}})
		s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
		if s.Complete || len(s.Members) != 20 || err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: snapshot of %d, complete %t: %v", kind, len(s.Members), s.Complete, err)
		}
	}
}

func TestAnAnswerOfAnotherContentTypeIsReadAllTheSame(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, nil)
	w.FillMembers(string(w.campaign), 3)
	w.Next(1, patreontest.Fault{Kind: patreontest.WrongType})
	if s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{}); err != nil || !s.Complete {
		t.Errorf("snapshot of %d, complete %t: %v", len(s.Members), s.Complete, err)
	}
}

func TestOneMemberThatCannotBeUnderstoodLosesNoOther(t *testing.T) {
	w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
	ids := w.FillMembers(string(w.campaign), 30)
	w.UpdateMember(ids[12], func(m *patreontest.Member) {
		m.Attributes = map[string]any{"currently_entitled_amount_cents": "500", "full_name": "Still There"}
	})
	listed := 0
	for m, err := range w.Client.Members(t.Context(), w.campaign, patreon.Query{}) {
		listed++
		if (string(m.ID) == ids[12]) != (err != nil) {
			t.Errorf("member %q: %v", m.ID, err)
		}
		if err == nil {
			continue
		}
		field, ok := errors.AsType[*patreon.FieldError](err)
		if !ok || field.Field != "currently_entitled_amount_cents" || !errors.Is(err, patreon.ErrMalformed) || strings.Contains(err.Error(), "500") {
			t.Errorf("error %v", err)
		}
		if m.FullName.Or("") != "Still There" || !m.CurrentlyEntitledAmountCents.IsZero() {
			t.Errorf("member %v, %v", m.FullName, m.CurrentlyEntitledAmountCents)
		}
	}
	if listed != 30 {
		t.Errorf("%d members were listed", listed)
	}
	s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
	if s.Complete || len(s.Members) != 29 || len(s.Malformed) != 1 || !errors.Is(err, patreon.ErrMalformed) {
		t.Errorf("snapshot of %d, complete %t: %v", len(s.Members), s.Complete, err)
	}
}

func TestATierThatCannotBeUnderstoodMakesASnapshotIncomplete(t *testing.T) {
	w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
	tier := w.AddTier(patreontest.Tier{Campaign: string(w.campaign), Title: "Quill", Attributes: map[string]any{"amount_cents": true}})
	user := w.AddUser(patreontest.User{})
	w.AddMember(patreontest.Member{Campaign: string(w.campaign), User: user, Tiers: []string{tier}})
	s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
	if s.Complete || len(s.Members) != 1 || len(s.Malformed) != 1 || !errors.Is(err, patreon.ErrMalformed) {
		t.Fatalf("snapshot of %d, complete %t: %v", len(s.Members), s.Complete, err)
	}
	if _, err := s.Members[0].CurrentlyEntitledTiers.All(); !errors.Is(err, patreon.ErrMalformed) {
		t.Errorf("error %v", err)
	}
}

func TestTenThousandMembersTakeTenRequests(t *testing.T) {
	n := need.Times(10_000, 50_000)
	w := newWorld(t, patreontest.Config{}, nil)
	want := w.FillMembers(string(w.campaign), n)
	s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
	if err != nil || !s.Complete || len(s.Members) != n || s.Total != int64(n) {
		t.Fatalf("snapshot of %d, complete %t: %v", len(s.Members), s.Complete, err)
	}
	if got := w.pages(); got != n/1000 {
		t.Errorf("%d requests", got)
	}
	got := make([]string, n)
	for i, m := range s.Members {
		got[i] = string(m.ID)
		if _, err := m.CurrentlyEntitledTiers.All(); err != nil {
			t.Fatal(err)
		}
		if u, err := m.User.Get(); err != nil || u.FullName.Or("") == "" {
			t.Fatalf("user %v of %q: %v", u.FullName, m.ID, err)
		}
	}
	same(t, "members", got, want)
}

func TestPagesWithPledgeHistoryAreHalfAsLong(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, nil)
	want := w.FillMembers(string(w.campaign), 700)
	got, errs := w.list(t.Context(), patreon.Query{Include: []string{"pledge_history"}})
	same(t, "members", got, want)
	if w.pages() != 2 || errs != nil || !strings.Contains(w.Requests()[0].Query, "page%5Bcount%5D=500") {
		t.Errorf("%d requests, the first %s: %v", w.pages(), w.Requests()[0].Query, errs)
	}
}

func TestListsOfOtherThingsAreReadLikewise(t *testing.T) {
	w := newWorld(t, patreontest.Config{PageSize: 2}, nil)
	w.SetPaging(patreontest.Paging{LoopAtEnd: true})
	for i := range 5 {
		w.AddPost(patreontest.Post{Campaign: string(w.campaign), Title: fmt.Sprint("Post ", i)})
		if i > 0 {
			w.AddCampaign(patreontest.Campaign{Creator: w.creator})
		}
		_, err := w.CreateWebhook(t.Context(), patreon.NewWebhook{
			Campaign: w.campaign, URI: fmt.Sprintf("https://hooks.example/%d", i), Triggers: []patreon.Trigger{patreon.PostsPublish},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	titles, campaigns, hooks := map[string]bool{}, map[patreon.CampaignID]bool{}, map[patreon.WebhookID]bool{}
	for p, err := range w.Posts(t.Context(), w.campaign, patreon.Query{}) {
		if titles[p.Title.Or("")] = true; err != nil {
			t.Error(err)
		}
	}
	for c, err := range w.Campaigns(t.Context(), patreon.Query{}) {
		if campaigns[c.ID] = true; err != nil {
			t.Error(err)
		}
	}
	for h, err := range w.Webhooks(t.Context(), patreon.Query{}) {
		hooks[h.ID] = true
		if err != nil || h.Secret == "" || h.Campaign.ID() != w.campaign {
			t.Errorf("webhook %q of campaign %q: %v", h.ID, h.Campaign.ID(), err)
		}
	}
	if len(titles) != 5 || len(campaigns) != 5 || len(hooks) != 5 {
		t.Errorf("%d posts, %d campaigns, %d webhooks", len(titles), len(campaigns), len(hooks))
	}
}

func TestTheZeroQueryNeedsNoScopesButTheUsual(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, nil)
	w.FillMembers(string(w.campaign), 2)
	post := w.AddPost(patreontest.Post{Campaign: string(w.campaign)})
	with := func(scopes ...string) *patreon.Client {
		pair := w.Portal("app", w.creator, scopes...)
		return newClient(t, w.Server, func(cfg *patreon.ClientConfig) { cfg.Tokens = patreon.StaticToken(pair.AccessToken) })
	}
	_, identity := with("identity").Identity(t.Context(), patreon.Query{})
	_, campaign := with("campaigns").Campaign(t.Context(), w.campaign, patreon.Query{})
	s, members := with("campaigns.members").CollectMembers(t.Context(), w.campaign, patreon.Query{})
	_, member := with("campaigns.members").Member(t.Context(), s.Members[0].ID, patreon.Query{})
	_, single := with("campaigns.posts").Post(t.Context(), patreon.PostID(post), patreon.Query{})
	if err := cmp.Or(identity, campaign, members, member, single); err != nil {
		t.Error(err)
	}
	hooks := with("w:campaigns.webhook")
	for _, err := range hooks.Webhooks(t.Context(), patreon.Query{}) {
		t.Error(err)
	}
	_, err := with("campaigns.members").CollectMembers(t.Context(), w.campaign, patreon.Query{
		Fields: patreon.Fields{patreon.TypeMember: patreon.AllMemberFields()},
	})
	if !errors.Is(err, patreon.ErrForbidden) {
		t.Errorf("e-mail addresses without the scope: %v", err)
	}
}

func TestPersonalAttributesComeWhenTheyAreAskedFor(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, nil)
	user := w.AddUser(patreontest.User{FullName: "Made Up", Email: "made-up@patron.example"})
	id := w.AddMember(patreontest.Member{
		Campaign: string(w.campaign), User: user, Email: "made-up@patron.example", Note: "likes quills",
		Address: map[string]any{"city": "Nowhere", "line_2": nil},
	})
	m, err := w.Member(t.Context(), patreon.MemberID(id), patreon.Query{})
	if err != nil || !m.Email.IsZero() || !m.Note.IsZero() || !m.Address.IsZero() {
		t.Errorf("unasked: %v, %v: %v", m.Email, m.Note, err)
	}
	if _, err := m.Address.Get(); !errors.Is(err, patreon.ErrNotIncluded) {
		t.Errorf("unasked address: %v", err)
	}
	m, err = w.Member(t.Context(), patreon.MemberID(id), patreon.Query{
		Fields:  patreon.Fields{patreon.TypeMember: patreon.AllMemberFields(), patreon.TypeUser: patreon.AllUserFields()},
		Include: []string{"address", "user"},
	})
	if err != nil || m.Email.Or("") != "made-up@patron.example" || m.Note.Or("") != "likes quills" {
		t.Errorf("asked: %v, %v: %v", m.Email, m.Note, err)
	}
	a, err := m.Address.Get()
	if err != nil || a.City.Or("") != "Nowhere" || !a.Line2.IsNull() {
		t.Errorf("address in %v, %v: %v", a.City, a.Line2, err)
	}
	if u, err := m.User.Get(); err != nil || u.Email.Or("") != "made-up@patron.example" {
		t.Errorf("user %v: %v", u.Email, err)
	}
}

func TestADeletedUserIsToldFromOneThatWasNotAskedFor(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, nil)
	ids := w.FillMembers(string(w.campaign), 2)
	m, err := w.Member(t.Context(), patreon.MemberID(ids[0]), patreon.Query{})
	if err != nil {
		t.Fatal(err)
	}
	w.DeleteUser(string(m.User.ID()))
	s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
	if err != nil || !s.Complete {
		t.Fatal(err)
	}
	if _, err := s.Members[0].User.Get(); !errors.Is(err, patreon.ErrDangling) || s.Members[0].User.ID() != m.User.ID() {
		t.Errorf("deleted user %q: %v", s.Members[0].User.ID(), err)
	}
	if _, err := s.Members[1].User.Get(); err != nil {
		t.Error(err)
	}
	m, err = w.Member(t.Context(), patreon.MemberID(ids[0]), patreon.Query{Include: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.User.Get(); !errors.Is(err, patreon.ErrNotIncluded) {
		t.Errorf("user who was not asked for: %v", err)
	}
	if _, err := m.CurrentlyEntitledTiers.All(); !errors.Is(err, patreon.ErrNotIncluded) {
		t.Errorf("tiers that were not asked for: %v", err)
	}
}

func TestRelationshipsGoOnOverSeveralSteps(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, nil)
	w.FillMembers(string(w.campaign), 5)
	var patron string
	for _, m := range w.Server.Members(string(w.campaign)) {
		if len(m.Tiers) > 0 {
			patron = m.User
		}
	}
	pair := w.Portal("app", patron)
	c := newClient(t, w.Server, func(cfg *patreon.ClientConfig) { cfg.Tokens = patreon.StaticToken(pair.AccessToken) })
	u, err := c.Identity(t.Context(), patreon.Query{Include: []string{"memberships.currently_entitled_tiers"}})
	if err != nil {
		t.Fatal(err)
	}
	memberships, err := u.Memberships.All()
	if err != nil || len(memberships) != 1 {
		t.Fatalf("%d memberships: %v", len(memberships), err)
	}
	tiers, err := memberships[0].CurrentlyEntitledTiers.All()
	if err != nil || len(tiers) == 0 || tiers[0].Title.Or("") == "" {
		t.Errorf("tiers %v: %v", tiers, err)
	}
}

func TestGoesOutNeverWithTheAgentOfGo(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, func(cfg *patreon.ClientConfig) { cfg.UserAgent = "" })
	if _, err := w.Identity(t.Context(), patreon.Query{}); err != nil {
		t.Error(err)
	}
	if agent := w.Requests()[0].UserAgent; agent != patreon.DefaultUserAgent {
		t.Errorf("user agent %q", agent)
	}
}
