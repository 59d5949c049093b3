// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// line is a transport like direct, over which a handler can end a connection.
type line struct{ http.Handler }

func (l line) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			resp, err = nil, io.ErrUnexpectedEOF
		} else if p != nil {
			panic(p)
		}
	}()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return direct(l).RoundTrip(r)
}

// shop is a campaign on a fake Patreon, and its list of supporters.
type shop struct {
	*patreon.Supporters
	t        *testing.T
	fake     *patreontest.Server
	campaign string
	tiers    []string // of 5 and 20 dollars
	token    patreon.Secret
	log      wait.Buffer
	cfg      patreon.SupportersConfig
}

func newShop(t *testing.T, fake patreontest.Config, edit func(*patreon.SupportersConfig)) *shop {
	t.Helper()
	s := &shop{t: t, fake: patreontest.New(fake)}
	s.fake.AddClient(patreontest.Client{ID: "client", Secret: "client-secret"})
	creator := s.fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
	s.campaign = s.fake.AddCampaign(patreontest.Campaign{Creator: creator})
	s.tiers = []string{
		s.fake.AddTier(patreontest.Tier{Campaign: s.campaign, Title: "Nib", AmountCents: 500}),
		s.fake.AddTier(patreontest.Tier{Campaign: s.campaign, Title: "Quill", AmountCents: 2000}),
	}
	s.token = patreon.Secret(s.fake.Portal("client", creator).AccessToken)
	s.cfg = patreon.SupportersConfig{
		Client: s.client(), Path: filepath.Join(t.TempDir(), "supporters.json"),
		Logger: slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	if edit != nil {
		edit(&s.cfg)
	}
	s.restart()
	return s
}

func (s *shop) client() *patreon.Client {
	s.t.Helper()
	c, err := patreon.NewClient(patreon.ClientConfig{
		Tokens: patreon.StaticToken(s.token), HTTPClient: &http.Client{Transport: line{s.fake}}, Retries: -1,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *shop) restart() {
	s.t.Helper()
	all, err := patreon.NewSupporters(s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Supporters = all
}

// join adds a member who pays.
func (s *shop) join(name string, edit func(*patreontest.Member)) (member string) {
	user := s.fake.AddUser(patreontest.User{FullName: name, Email: "user-canary@example.com"})
	m := patreontest.Member{
		Campaign: s.campaign, User: user, FullName: name, Email: "member-canary@example.com", Note: "note-canary",
		Tiers: s.tiers[:1], Status: "active_patron", AmountCents: 500, LastChargeStatus: "Paid",
	}
	if edit != nil {
		edit(&m)
	}
	return s.fake.AddMember(m)
}

func (s *shop) update() patreon.SupporterList {
	s.t.Helper()
	l, err := s.Update(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func names(l patreon.SupporterList) []string {
	all := []string{}
	for _, s := range l.Supporters {
		all = append(all, s.Name)
	}
	return all
}

// are compares who is on a list, in its order.
func (s *shop) are(l patreon.SupporterList, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), names(l)); diff != "" {
		s.t.Errorf("the list differs:\n%s", diff)
	}
}

func TestWhoCountsAsASupporter(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	counts := func(status, charge string, amount int, gifted any) bool {
		bad := []string{"Declined", "Deleted", "Fraud", "Refunded", "Refunded by Patreon"}
		return status == "active_patron" && !slices.Contains(bad, charge) && (amount > 0 || gifted == true)
	}
	want := []string{}
	for _, status := range []string{"active_patron", "declined_patron", "former_patron", "", "dreaming_patron"} {
		for _, charge := range []string{
			"Paid", "Declined", "Deleted", "Pending", "Refunded", "Fraud", "Refunded by Patreon", "Other",
			"Partially Refunded", "Free Trial", "", "Some Day",
		} {
			for _, amount := range []int{0, 1, 500} {
				for _, gifted := range []any{true, false, nil} {
					name := fmt.Sprintf("%s %s %d %v", status, charge, amount, gifted)
					s.join(name, func(m *patreontest.Member) {
						m.Status, m.LastChargeStatus, m.AmountCents = status, charge, amount
						m.Attributes = map[string]any{"is_gifted": gifted}
					})
					if counts(status, charge, amount, gifted) {
						want = append(want, strings.Join(strings.Fields(name), " "))
					}
				}
			}
		}
	}
	got := names(s.update())
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNobodyVanishesOnOneReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, patreontest.Config{}, nil)
		s.join("Ada", nil)
		bo := s.join("Bo", nil)
		s.are(s.update(), "Ada", "Bo")
		s.fake.UpdateMember(bo, func(m *patreontest.Member) { m.Status = "former_patron" })
		s.are(s.update(), "Ada", "Bo")
		pass(7*24*time.Hour - time.Second)
		s.restart()
		s.are(s.update(), "Ada", "Bo")
		pass(time.Second)
		s.are(s.update(), "Ada")
		s.fake.UpdateMember(bo, func(m *patreontest.Member) { m.Status = "active_patron" })
		s.are(s.update(), "Ada", "Bo")
	})
}

func TestNobodyVanishesBecausePatreonWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, patreontest.Config{TokenLifetime: 99 * 24 * time.Hour}, nil)
		bo := s.join("Bo", nil)
		s.update()
		for range 30 {
			pass(24 * time.Hour)
			s.fake.Next(1, patreontest.Fault{Kind: patreontest.Maintenance})
			l, err := s.Update(t.Context())
			if !errors.Is(err, patreon.ErrUnavailable) {
				t.Fatal(err)
			}
			s.are(l, "Bo")
		}
		s.fake.DeleteMember(bo)
		s.are(s.update(), "Bo")
		pass(6 * 24 * time.Hour)
		s.are(s.update(), "Bo")
	})
}

// On the first of a month Patreon has said of people who pay that they are
// entitled to nothing, until the charge went through.
func TestWhoIsEntitledToNothingForADayStaysWithTheTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, patreontest.Config{TokenLifetime: 999 * 24 * time.Hour}, nil)
		ada := s.join("Ada", func(m *patreontest.Member) { m.Tiers = s.tiers[1:] })
		before, _ := s.update().JSON()
		for range 12 {
			for _, gone := range []bool{true, true, false} {
				s.fake.UpdateMember(ada, func(m *patreontest.Member) {
					m.Tiers, m.AmountCents = s.tiers[1:], 2000
					if gone {
						m.Tiers, m.AmountCents = nil, 0
					}
				})
				now, _ := s.update().JSON()
				if diff := cmp.Diff(string(before), string(now)); diff != "" {
					t.Fatal(diff)
				}
				pass(24 * time.Hour)
			}
			pass(27 * 24 * time.Hour)
		}
	})
}

func TestAPartOfAListAddsAndTakesNobodyAway(t *testing.T) {
	for _, fault := range []patreontest.Kind{
		patreontest.CutBefore, patreontest.CutAnswer, patreontest.Truncated, patreontest.HTMLSuccess, patreontest.NullBody,
		patreontest.ServerError, patreontest.Challenge, patreontest.RateLimitedBare, patreontest.Unauthorized,
	} {
		t.Run(string(fault), func(t *testing.T) {
			s := newShop(t, patreontest.Config{PageSize: 2}, func(cfg *patreon.SupportersConfig) { cfg.Grace = -1 })
			for _, name := range []string{"Ada", "Bo", "Cy"} {
				s.join(name, nil)
			}
			s.update()
			first := s.fake.Members(s.campaign)[0]
			s.fake.UpdateMember(first.ID, func(m *patreontest.Member) { m.Status = "former_patron" })
			for _, m := range s.fake.Members(s.campaign)[1:] {
				s.fake.DeleteMember(m.ID)
			}
			for _, name := range []string{"Dee", "Ed", "Flo"} {
				s.join(name, nil)
			}
			s.fake.Next(1, patreontest.Fault{})
			s.fake.Next(1, patreontest.Fault{Kind: fault})
			l, err := s.Update(t.Context())
			if err == nil {
				t.Error("there is no error")
			}
			s.are(l, "Ada", "Bo", "Cy", "Dee")
			s.restart() // and all that is in the file
			l, err = s.List()
			if err != nil {
				t.Fatal(err)
			}
			s.are(l, "Ada", "Bo", "Cy", "Dee")
			s.are(s.update(), "Dee", "Ed", "Flo")
		})
	}
}

func TestAListThatIsShorterThanPatreonSaysIsAPart(t *testing.T) {
	s := newShop(t, patreontest.Config{}, func(cfg *patreon.SupportersConfig) { cfg.Grace = -1 })
	ada := s.join("Ada", nil)
	s.join("Bo", nil)
	s.update()
	s.fake.DeleteMember(ada)
	s.fake.SetPaging(patreontest.Paging{Total: func(n int) any { return n + 1 }})
	l, err := s.Update(t.Context())
	if !errors.Is(err, patreon.ErrIncomplete) {
		t.Errorf("the error is %v", err)
	}
	s.are(l, "Ada", "Bo")
	s.fake.SetPaging(patreontest.Paging{})
	s.are(s.update(), "Bo")
}

func TestWhoWantsToBePrivateIsNotShown(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	hides := s.fake.AddUser(patreontest.User{FullName: "Hidden", Attributes: map[string]any{"hide_pledges": true}})
	s.join("Hidden", func(m *patreontest.Member) { m.User = hides })
	unsure := s.fake.AddUser(patreontest.User{FullName: "Unsure", Attributes: map[string]any{"hide_pledges": nil}})
	s.join("Unsure", func(m *patreontest.Member) { m.User = unsure })
	byMember := s.join("By Member", nil)
	byUser := s.fake.AddUser(patreontest.User{FullName: "By User"})
	s.join("By User", func(m *patreontest.Member) { m.User = byUser })
	s.cfg.Hide = []string{byMember, byUser}
	s.restart()
	s.are(s.update(), "Unsure")
	s.cfg.ShowHidden = true
	s.restart()
	s.are(s.update(), "Hidden", "Unsure")
	// The file has them all, so that what is asked for can change without Patreon.
	s.cfg.Hide, s.cfg.ShowHidden = nil, false
	s.restart()
	l, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	s.are(l, "By Member", "By User", "Unsure")
}

func TestADeletedAccountIsShownOnlyIfItWasKnown(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	user := s.fake.AddUser(patreontest.User{FullName: "Known"})
	s.join("Known", func(m *patreontest.Member) { m.User = user })
	s.are(s.update(), "Known")
	s.fake.DeleteUser(user)
	gone := s.fake.AddUser(patreontest.User{FullName: "Unknown"})
	s.join("Unknown", func(m *patreontest.Member) { m.User = gone })
	s.fake.DeleteUser(gone)
	s.are(s.update(), "Known")
	s.cfg.Hide = []string{user} // it is still known whose it was
	s.restart()
	s.are(s.update())
}

func TestNamesAreMadeFitForOneLine(t *testing.T) {
	for name, want := range map[string]string{
		"Plain Name":                       "Plain Name",
		"  two \t lines\r\n\n":             "two lines",
		"line\u2028separator":              "line separator",
		"bell\x07 and \x1b[31mred\x00":     "bell and [31mred",
		"\u202eright to left\u202c":        "right to left",
		"\u2066isolate\u2069\u200f\u061c!": "isolate!",
		"<b>bold</b> & 'more'":             "<b>bold</b> & 'more'",
		"family 👩\u200d👩\u200d👧":           "family 👩\u200d👩\u200d👧",
		"נויה שִׁיר":                       "נויה שִׁיר",
		"\ufeffmark":                       "mark",
		strings.Repeat("é", 500):           strings.Repeat("é", 100),
	} {
		s := newShop(t, patreontest.Config{}, nil)
		s.join(name, nil)
		l := s.update()
		s.are(l, want)
		raw, err := l.JSON()
		if err != nil || !json.Valid(raw) || !strings.Contains(string(raw), strings.ReplaceAll(want, `"`, `\"`)) {
			t.Errorf("%q: %s, %v", name, raw, err)
		}
	}
}

func TestWhoHasNoNameIsNotOnTheListUntilThereIsOne(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	none := s.join("x", func(m *patreontest.Member) { m.Attributes = map[string]any{"full_name": nil} })
	s.join("\u200f\x00 ", nil)
	s.are(s.update())
	s.fake.UpdateMember(none, func(m *patreontest.Member) { m.Attributes = nil; m.FullName = "Named" })
	s.are(s.update(), "Named")
	s.fake.UpdateMember(none, func(m *patreontest.Member) { m.Attributes = map[string]any{"full_name": nil} })
	s.are(s.update(), "Named")
}

func TestTheListIsInOrder(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	since := func(day any, tiers ...string) func(*patreontest.Member) {
		return func(m *patreontest.Member) {
			m.Tiers, m.Attributes = tiers, map[string]any{"pledge_relationship_start": day}
		}
	}
	s.join("No Date", since(nil, s.tiers[0]))
	s.join("Late Nib", since("2025-01-01T00:00:00.000+00:00", s.tiers[0]))
	s.join("Twin", since("2024-01-01T00:00:00.000+00:00", s.tiers[0]))
	s.join("Twin", since("2024-01-01T00:00:00.000+00:00", s.tiers[0]))
	s.join("Another", since("2024-01-01T00:00:00.000+00:00", s.tiers[0]))
	s.join("Quill", since("2026-01-01T00:00:00.000+00:00", s.tiers...))
	s.join("No Tier", since("2020-01-01T00:00:00.000+00:00"))
	want := []string{"Quill", "Another", "Twin", "Twin", "Late Nib", "No Date", "No Tier"}
	s.are(s.update(), want...)
	first, _ := s.update().JSON()
	s.restart()
	again, _ := s.update().JSON()
	if string(first) != string(again) {
		t.Errorf("the same supporters make\n%s and\n%s", first, again)
	}
}

func TestTheFormsOfTheListAreAsPromised(t *testing.T) {
	compact := func(raw []byte, err error) string {
		t.Helper()
		var v any
		if err == nil {
			err = json.Unmarshal(raw, &v)
		}
		if err != nil {
			t.Fatal(err)
		}
		short, _ := json.Marshal(v)
		return string(short)
	}
	var empty patreon.SupporterList
	if got, want := compact(empty.V1()), `{"included":{"Items":[]}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := compact(empty.JSON()), `{"supporters":[]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	l := patreon.SupporterList{Supporters: []patreon.Supporter{{Name: "Ada", Tier: "Nib", ImageURL: "https://images.example/1.jpg", Since: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)}, {Name: "Bo"}}}
	if got, want := compact(l.V1()), `{"included":{"Items":[{"attributes":{"full_name":"Ada","image_url":"https://images.example/1.jpg"},"type":"user"},`+
		`{"attributes":{"full_name":"Bo","image_url":""},"type":"user"}]}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := compact(l.JSON()), `{"supporters":[{"image_url":"https://images.example/1.jpg","name":"Ada","since":"2024-01-02T03:04:05Z","tier":"Nib"},{"name":"Bo"}]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNothingPersonalIsInTheListsOrTheLog(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	id := s.join("Ada", func(m *patreontest.Member) { m.AmountCents, m.LifetimeCents = 98765, 987650 })
	user := s.fake.Members(s.campaign)[0].User
	l := s.update()
	j, _ := l.JSON()
	v1, _ := l.V1()
	s.fake.DeleteMember(id)
	s.cfg.Grace = -1
	s.restart()
	s.update()
	all := string(j) + string(v1) + s.log.String() + fmt.Sprintf("%v %+v %#v %v %+v %#v", l, l, l, s.Supporters, s.Supporters, s.Supporters)
	for _, leak := range []string{"canary", "@example.com", "98765", id, `"` + user + `"`, s.token.Reveal()} {
		if strings.Contains(all, leak) {
			t.Errorf("%q is in\n%s", leak, all)
		}
	}
	if strings.Contains(s.log.String(), "Ada") {
		t.Error("there is a name in the log")
	}
	file, err := os.ReadFile(s.cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(file), "canary") || strings.Contains(string(file), "98765") {
		t.Errorf("the file has more than it should: %s", file)
	}
	if info, err := os.Stat(s.cfg.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %v", info.Mode())
	}
	for _, r := range s.fake.Requests() {
		if strings.Contains(r.Query, "email") || strings.Contains(r.Query, "note") || strings.Contains(r.Query, "address") {
			t.Errorf("more is asked for than needed: %s", r.Query)
		}
	}
}

func TestPicturesAndAmountsComeWhenTheyAreAskedFor(t *testing.T) {
	s := newShop(t, patreontest.Config{}, func(cfg *patreon.SupportersConfig) { cfg.Images, cfg.Amounts = true, true })
	user := s.fake.AddUser(patreontest.User{FullName: "Ada", Attributes: map[string]any{"image_url": "https://images.example/ada.jpg"}})
	s.join("Ada", func(m *patreontest.Member) { m.User = user })
	l := s.update()
	if got := l.Supporters[0]; got.ImageURL != "https://images.example/ada.jpg" || got.AmountCents != 500 || got.Tier != "Nib" {
		t.Errorf("%+v", got)
	}
	s.cfg.Images, s.cfg.Amounts = false, false
	s.restart()
	l, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Supporters[0]; got.ImageURL != "" || got.AmountCents != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAFileThatCannotBeReadIsPutAside(t *testing.T) {
	for _, content := range []string{"", "null", "{", `{"schema":2,"members":{}}`, `[]`, `{"schema":"1"}`, "\x00\x00"} {
		s := newShop(t, patreontest.Config{}, nil)
		s.join("Ada", nil)
		if err := os.WriteFile(s.cfg.Path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.List(); content != "null" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", content, err)
		}
		s.are(s.update(), "Ada")
		s.restart()
		if l, err := s.List(); err != nil || len(l.Supporters) != 1 {
			t.Errorf("%q: %v, %v", content, l, err)
		}
		if kept, err := os.ReadFile(s.cfg.Path + ".damaged"); content != "null" && (err != nil || string(kept) != content) {
			t.Errorf("%q: put aside is %q, %v", content, kept, err)
		}
	}
}

func TestAListOfAnotherCampaignBeginsAnew(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	s.join("Ada", nil)
	s.update()
	old, path := s.campaign, s.cfg.Path
	other := newShop(t, patreontest.Config{}, func(cfg *patreon.SupportersConfig) { cfg.Path = path })
	// Campaigns of two fakes can have the same id.
	creator := other.fake.AddUser(patreontest.User{FullName: "Another Creator"})
	other.campaign = other.fake.AddCampaign(patreontest.Campaign{ID: "777", Creator: creator})
	other.token = patreon.Secret(other.fake.Portal("client", creator).AccessToken)
	other.cfg.Client = other.client()
	other.join("Zoe", func(m *patreontest.Member) { m.Tiers = nil })
	other.restart()
	if l, err := other.List(); err != nil || len(l.Supporters) != 1 {
		t.Errorf("%v, %v", l, err)
	}
	other.are(other.update(), "Zoe") // the token is of somebody else now
	other.cfg.Campaign = patreon.CampaignID(old)
	other.restart()
	if _, err := other.List(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the list of another campaign is given: %v", err)
	}
}

func TestAFolderThatCannotBeWrittenIsToldAndTheListIsGiven(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	s.join("Ada", nil)
	s.cfg.Path = filepath.Join(t.TempDir(), "missing", "supporters.json")
	s.restart()
	l, err := s.Update(t.Context())
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
	s.are(l, "Ada")
	if l, err = s.List(); err != nil {
		t.Error(err)
	}
	s.are(l, "Ada")
}

func TestTwoWhoUpdateGoOneAfterTheOther(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	for i := range 20 {
		s.join(fmt.Sprint("Ada ", i), nil)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if l, err := s.Update(t.Context()); err != nil || len(l.Supporters) != 20 {
				t.Errorf("%v, %v", l, err)
			}
			s.List()
		})
	}
	all.Wait()
	s.restart()
	if l, err := s.List(); err != nil || len(l.Supporters) != 20 {
		t.Errorf("the file has %v, %v", l, err)
	}
}

func TestWhoGivesUpWhileAnotherReadsGetsTheLastList(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	s.join("Ada", nil)
	s.update()
	met, release := make(chan struct{}), make(chan struct{})
	s.fake.Next(1, patreontest.Fault{Kind: patreontest.Slow, Release: release, Met: func(*http.Request) { close(met) }})
	var slow sync.WaitGroup
	slow.Go(func() { s.update() })
	<-met
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, err := s.Update(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	s.are(l, "Ada")
	close(release)
	slow.Wait()
}

func TestTenThousandSupportersComeWhileOthersJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, patreontest.Config{}, func(cfg *patreon.SupportersConfig) { cfg.Grace = -1 })
		s.fake.FillMembers(s.campaign, 10_000)
		s.fake.SetPaging(patreontest.Paging{BeforePage: func(page int) { s.fake.FillMembers(s.campaign, 1) }})
		c, err := patreon.NewClient(patreon.ClientConfig{Tokens: patreon.StaticToken(s.token), HTTPClient: &http.Client{Transport: line{s.fake}}})
		if err != nil {
			t.Fatal(err)
		}
		s.cfg.Client = c
		s.restart()
		s.fake.Next(4, patreontest.Fault{})
		s.fake.Next(1, patreontest.Fault{Kind: patreontest.RateLimitedBody, Wait: 30 * time.Second})
		l := s.update()
		if n := len(l.Supporters); n < 6000 || n > 7100 {
			t.Errorf("%d supporters", n)
		}
		if got := s.fake.Met()[patreontest.RateLimitedBody]; got != 1 {
			t.Errorf("%d requests were throttled", got)
		}
		before := len(l.Supporters)
		if after := len(s.update().Supporters); after < before {
			t.Errorf("%d after %d", after, before)
		}
	})
}

func TestAListWithTooManyPagesIsAPart(t *testing.T) {
	s := newShop(t, patreontest.Config{PageSize: 1}, func(cfg *patreon.SupportersConfig) { cfg.Grace = -1 })
	for _, name := range []string{"Ada", "Bo", "Cy"} {
		s.join(name, nil)
	}
	s.update()
	c, err := patreon.NewClient(patreon.ClientConfig{
		Tokens: patreon.StaticToken(s.token), HTTPClient: &http.Client{Transport: line{s.fake}}, Retries: -1, MaxPages: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.Client = c
	s.restart()
	l, err := s.Update(t.Context())
	if !errors.Is(err, patreon.ErrTooManyPages) {
		t.Errorf("the error is %v", err)
	}
	s.are(l, "Ada", "Bo", "Cy")
}

func TestAnEmptyListIsNoReasonToThrowEverybodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, patreontest.Config{}, nil)
		s.join("Ada", nil)
		s.update()
		for _, m := range s.fake.Members(s.campaign) {
			s.fake.DeleteMember(m.ID)
		}
		s.are(s.update(), "Ada")
		pass(8 * 24 * time.Hour)
		s.are(s.update())
		if l, err := s.List(); err != nil || l.At.IsZero() {
			t.Errorf("%v, %v", l, err)
		}
	})
}

func TestSupportersNeedAClientAndAPath(t *testing.T) {
	s := newShop(t, patreontest.Config{}, nil)
	for _, cfg := range []patreon.SupportersConfig{{}, {Client: s.cfg.Client}, {Path: "x"}} {
		if _, err := patreon.NewSupporters(cfg); err == nil {
			t.Errorf("%v is taken", cfg)
		}
	}
	if _, err := s.List(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a list that there is not: %v", err)
	}
}
