// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"xeiaso.net/site/internal/atomicfile"
)

// SupportersConfig configures [Supporters]. Client and Path are required.
type SupportersConfig struct {
	// Client reads the members of the campaign.
	Client *Client

	// Campaign is whose members they are. If empty, it is the one campaign of
	// whom the token belongs to.
	Campaign CampaignID

	// Path is the file with the last known list. Its folder must exist.
	Path string

	// Grace is for how long somebody stays on the list who is not a supporter any
	// more. Patreon now and then says so of people who pay, for a day or two around
	// the first of the month. If 0, 7 days; if negative, none.
	Grace time.Duration

	// Hide are the ids of members, or of users, who are never on the list.
	Hide []string

	// ShowHidden has those on the list, too, who keep private on Patreon whom
	// they support.
	ShowHidden bool

	// Images adds the addresses of pictures, and Amounts what somebody is
	// entitled to, in cents. They are left out otherwise.
	Images, Amounts bool

	// Logger is told of changes, by number and not by name. If nil, nobody is.
	Logger *slog.Logger
}

// Supporter is somebody who pays, as a page of thanks shows it.
type Supporter struct {
	// Name is what the person is called on Patreon, made fit for one line. It is
	// not escaped for HTML.
	Name string `json:"name"`
	// Tier is the title of the highest tier; empty if there is none.
	Tier string `json:"tier,omitzero"`
	// Since is when the person began; zero if that is not known.
	Since time.Time `json:"since,omitzero"`
	// ImageURL and AmountCents are there if [SupportersConfig] asks for them.
	ImageURL    string `json:"image_url,omitzero"`
	AmountCents int64  `json:"amount_cents,omitzero"`
}

// SupporterList is a list for a page of thanks: the highest tier first, in it
// who has been there for longest, then by name. Of whom it is not known since
// when come last in their tier.
type SupporterList struct {
	// At is when Patreon was last read as a whole. The zero value means never.
	At time.Time
	// Supporters are who is on the list.
	Supporters []Supporter
}

// Supporters keeps the list of a campaign's supporters, so that nobody vanishes
// by mistake: what Patreon does not answer, or answers in part, takes nobody
// away, and what it says takes effect after a time of grace. It is safe for
// concurrent use; one process at a time may have the file.
//
// A supporter is an active patron who is entitled to something for money, or was
// given it, and whose last charge was neither declined, refunded nor found to be
// fraud. One that is pending, partially refunded or part of a free trial counts.
// Who has no name is not on the list, and neither is somebody whose account
// Patreon does not show, for then it is not known whether the person wants to be
// seen, until it was known once.
//
// Names are what people choose to be called: a page has to escape them, as any
// text that comes from others. They are of one line, without control characters
// and without those that turn the direction of the text after them, and of at
// most 100 characters.
type Supporters struct {
	cfg SupportersConfig
	log *slog.Logger

	updating chan struct{} // held while Patreon is read

	mu   sync.Mutex // guards book
	book *book
}

// book is the content of the file.
type book struct {
	Schema   int                 `json:"schema"`
	Campaign CampaignID          `json:"campaign"`
	At       time.Time           `json:"at,omitzero"`
	Members  map[MemberID]patron `json:"members"`
}

// patron is somebody on the list.
type patron struct {
	Supporter
	User UserID `json:"user,omitzero"`
	// Rank is the price of the tier. It orders the list, and is not given out.
	Rank int64 `json:"rank"`
	// Private tells that the person keeps private whom they support.
	Private bool `json:"private,omitzero"`
	// Missing is since when complete lists have not had them as a supporter.
	Missing time.Time `json:"missing,omitzero"`

	id MemberID // in a list
}

const bookSchema = 1

// NewSupporters checks a configuration. It reads neither the file nor Patreon.
func NewSupporters(cfg SupportersConfig) (*Supporters, error) {
	switch {
	case cfg.Client == nil:
		return nil, errors.New("patreon: SupportersConfig.Client is not set")
	case cfg.Path == "":
		return nil, errors.New("patreon: SupportersConfig.Path is not set")
	}
	if cfg.Grace == 0 {
		cfg.Grace = 7 * 24 * time.Hour
	}
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Supporters{cfg: cfg, log: logger, updating: make(chan struct{}, 1)}, nil
}

// List returns the last known list, without asking Patreon. If there is none,
// the error matches [io/fs.ErrNotExist].
func (s *Supporters) List() (SupporterList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return SupporterList{}, err
	}
	if s.book.At.IsZero() && len(s.book.Members) == 0 {
		return SupporterList{}, fmt.Errorf("patreon: there is no list of supporters yet: %w", fs.ErrNotExist)
	}
	return s.list(), nil
}

// Update reads Patreon, and returns the list as it is then. With an error comes
// the last known list, to which those were added whom Patreon did name.
func (s *Supporters) Update(ctx context.Context) (SupporterList, error) {
	select {
	case s.updating <- struct{}{}:
		defer func() { <-s.updating }()
	case <-ctx.Done():
		l, err := s.List()
		return l, cmp.Or(context.Cause(ctx), err)
	}
	campaign, err := s.campaign()
	if err != nil {
		return SupporterList{}, err
	}
	snapshot, err := s.read(ctx, campaign)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.take(snapshot, now) {
		err = errors.Join(err, s.save())
	}
	return s.list(), err
}

// open reads the file, once.
func (s *Supporters) open() error {
	if s.book != nil {
		return nil
	}
	raw, err := os.ReadFile(s.cfg.Path)
	b := &book{Schema: bookSchema, Members: map[MemberID]patron{}}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.book = b
		return nil
	case err != nil:
		return fmt.Errorf("patreon: read the list of supporters: %w", err)
	}
	if err := json.Unmarshal(raw, b); err != nil || b.Schema != bookSchema {
		// Patreon has it all, but for the time of grace.
		moved := os.Rename(s.cfg.Path, s.cfg.Path+".damaged")
		s.log.Error("patreon: the list of supporters is damaged, or of a newer program; it is put aside", "path", s.cfg.Path, "err", moved)
		b = &book{Schema: bookSchema}
	}
	if b.Members == nil {
		b.Members = map[MemberID]patron{}
	}
	if s.cfg.Campaign != "" && b.Campaign != "" && b.Campaign != s.cfg.Campaign {
		s.log.Warn("patreon: the list of supporters is of another campaign, and begins anew", "was", b.Campaign, "is", s.cfg.Campaign)
		b = &book{Schema: bookSchema, Members: map[MemberID]patron{}}
	}
	s.book = b
	return nil
}

func (s *Supporters) save() error {
	raw, err := json.Marshal(s.book)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(s.cfg.Path, raw, 0o600); err != nil {
		return fmt.Errorf("patreon: keep the list of supporters: %w", err)
	}
	return nil
}

// campaign returns the campaign as far as it is known.
func (s *Supporters) campaign() (CampaignID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.open()
	if err != nil {
		return "", err
	}
	return cmp.Or(s.cfg.Campaign, s.book.Campaign), nil
}

// read lists the members.
func (s *Supporters) read(ctx context.Context, campaign CampaignID) (Snapshot, error) {
	if campaign != "" {
		snapshot, err := s.cfg.Client.CollectMembers(ctx, campaign, s.query())
		if s.cfg.Campaign != "" || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrGone) {
			return snapshot, err
		}
		// The token may be of somebody else by now than when the file was written.
	}
	now, err := onlyCampaign(ctx, s.cfg.Client)
	if err != nil {
		return Snapshot{}, err
	}
	return s.cfg.Client.CollectMembers(ctx, now, s.query())
}

// query asks for no more than the list is made of.
func (s *Supporters) query() Query {
	user := []string{"hide_pledges"}
	if s.cfg.Images {
		user = append(user, "image_url")
	}
	return Query{
		Fields: Fields{
			TypeMember: {
				"full_name", "patron_status", "last_charge_status", "currently_entitled_amount_cents", "is_gifted",
				"pledge_relationship_start",
			},
			TypeTier: {"title", "amount_cents"},
			TypeUser: user,
		},
		Include: []string{"currently_entitled_tiers", "user"},
	}
}

// onlyCampaign finds the campaign if there is one.
func onlyCampaign(ctx context.Context, client *Client) (CampaignID, error) {
	var all []CampaignID
	for c, err := range client.Campaigns(ctx, Query{Fields: Fields{TypeCampaign: {}}, Include: []string{}}) {
		if err != nil {
			return "", err
		}
		all = append(all, c.ID)
	}
	if len(all) != 1 {
		return "", fmt.Errorf("patreon: the token sees %d campaigns %q; say which one it is", len(all), all)
	}
	return all[0], nil
}

// take puts what was read into the book, and reports whether that is to be
// kept.
func (s *Supporters) take(snapshot Snapshot, now time.Time) bool {
	switch {
	case snapshot.Campaign == "":
		return false
	case s.book.Campaign != "" && s.book.Campaign != snapshot.Campaign:
		if !snapshot.Complete {
			return false
		}
		s.log.Warn("patreon: the list of supporters is of another campaign now, and begins anew", "was", s.book.Campaign, "is", snapshot.Campaign)
		s.book.Members = map[MemberID]patron{}
	}
	s.book.Campaign = snapshot.Campaign
	supporting := map[MemberID]bool{}
	added := 0
	for _, m := range snapshot.Members {
		if !supports(m) {
			continue
		}
		supporting[m.ID] = true
		before, known := s.book.Members[m.ID]
		if !known {
			added++
			before.Private = true // until it is known that it is not so
		}
		s.book.Members[m.ID] = s.entry(m, before)
	}
	removed := 0
	if snapshot.Complete {
		s.book.At = now.UTC().Round(0)
		removed = s.age(supporting, now)
	}
	if added > 0 || removed > 0 {
		s.log.Info("patreon: the list of supporters has changed", "added", added, "removed", removed, "all", len(s.book.Members))
	}
	return snapshot.Complete || len(supporting) > 0
}

// age begins the time of grace of those who do not support any more, and removes
// those for whom it is over.
func (s *Supporters) age(supporting map[MemberID]bool, now time.Time) (removed int) {
	for id, e := range s.book.Members {
		if supporting[id] {
			continue
		}
		if e.Missing.IsZero() || e.Missing.After(now) {
			e.Missing = now.UTC().Round(0)
			s.book.Members[id] = e
		}
		if now.Sub(e.Missing) >= s.cfg.Grace {
			delete(s.book.Members, id)
			removed++
		}
	}
	return removed
}

// supports reports whether a member pays at present, as far as Patreon says:
// there is no one attribute for it.
func supports(m Member) bool {
	status, _ := m.PatronStatus.Get()
	charge, _ := m.LastChargeStatus.Get()
	switch charge {
	case ChargeDeclined, ChargeDeleted, ChargeFraud, ChargeRefunded, ChargeRefundedByPatreon:
		return false
	}
	return status == ActivePatron && (m.CurrentlyEntitledAmountCents.Or(0) > 0 || m.IsGifted.Or(false))
}

// entry makes the entry of a member. What Patreon does not tell at present stays
// as it was before.
func (s *Supporters) entry(m Member, before patron) patron {
	e := patron{User: cmp.Or(m.User.ID(), before.User), Supporter: Supporter{
		Name:  clean(m.FullName.Or("")),
		Since: m.PledgeRelationshipStart.Or(time.Time{}).UTC(),
	}}
	e.Name = cmp.Or(e.Name, before.Name)
	if e.Since.IsZero() {
		e.Since = before.Since
	}
	e.Tier, e.Rank = before.Tier, before.Rank
	if tiers, _ := m.CurrentlyEntitledTiers.All(); len(tiers) > 0 {
		best := slices.MaxFunc(tiers, func(a, b Tier) int { return cmp.Compare(a.AmountCents.Or(0), b.AmountCents.Or(0)) })
		e.Tier, e.Rank = clean(best.Title.Or("")), best.AmountCents.Or(0)
	}
	user, err := m.User.Get()
	if s.cfg.Images {
		e.ImageURL = cmp.Or(user.ImageURL.Or(""), before.ImageURL)
	}
	if s.cfg.Amounts {
		e.AmountCents = m.CurrentlyEntitledAmountCents.Or(0)
	}
	e.Private = before.Private
	if err == nil {
		e.Private = user.HidePledges.Or(false)
	}
	return e
}

// maxName is how long a name on the list may be, in characters.
const maxName = 100

// clean makes a name of one line that does nothing to the text around it.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\ufeff', r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	name := []rune(strings.Join(strings.Fields(s), " "))
	return strings.TrimSpace(string(name[:min(len(name), maxName)]))
}

// list returns those who are shown.
func (s *Supporters) list() SupporterList {
	var shown []patron
	for id, e := range s.book.Members {
		hidden := slices.Contains(s.cfg.Hide, string(id)) || e.User != "" && slices.Contains(s.cfg.Hide, string(e.User))
		if e.Name != "" && !hidden && (!e.Private || s.cfg.ShowHidden) {
			e.id = id
			shown = append(shown, e)
		}
	}
	slices.SortFunc(shown, func(a, b patron) int {
		return cmp.Or(cmp.Compare(b.Rank, a.Rank), since(a, b), cmp.Compare(a.Name, b.Name), cmp.Compare(a.id, b.id))
	})
	l := SupporterList{At: s.book.At, Supporters: []Supporter{}}
	for _, e := range shown {
		one := e.Supporter
		if !s.cfg.Images {
			one.ImageURL = ""
		}
		if !s.cfg.Amounts {
			one.AmountCents = 0
		}
		l.Supporters = append(l.Supporters, one)
	}
	return l
}

// since compares since when two have been there, with those last of whom it is
// not known.
func since(a, b patron) int {
	switch {
	case a.Since.IsZero() == b.Since.IsZero():
		return a.Since.Compare(b.Since)
	case a.Since.IsZero():
		return 1
	}
	return -1
}

// JSON returns the list as a site generator reads it:
//
//	{"supporters": [{"name": "…", "tier": "…", "since": "…"}]}
//
// The same supporters make the same bytes: there is no time of reading in it.
func (l SupporterList) JSON() ([]byte, error) {
	supporters := l.Supporters
	if supporters == nil {
		supporters = []Supporter{}
	}
	return marshal(map[string]any{"supporters": supporters})
}

// V1 returns the list in the form that programs for version 1 of the API keep:
// the users of a document of pledges, under "included" and, with a capital,
// "Items". Pictures are in it if [SupportersConfig.Images] is set.
func (l SupporterList) V1() ([]byte, error) {
	type attributes struct {
		FullName string `json:"full_name"`
		ImageURL string `json:"image_url"`
	}
	type item struct {
		Type       string     `json:"type"`
		Attributes attributes `json:"attributes"`
	}
	items := []item{}
	for _, s := range l.Supporters {
		items = append(items, item{"user", attributes{s.Name, s.ImageURL}})
	}
	return marshal(map[string]any{"included": map[string]any{"Items": items}})
}

// marshal writes names as they are, with "<" and "&" for themselves: the file is
// read by a program.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	err := enc.Encode(v)
	return b.Bytes(), err
}

// Format writes how many there are, whatever the verb: names of people do not
// belong into logs.
func (l SupporterList) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%d supporters at %s", len(l.Supporters), l.At.Format(time.RFC3339))
}

// Format writes of which campaign this is, whatever the verb.
func (s *Supporters) Format(f fmt.State, _ rune) {
	io.WriteString(f, "patreon.Supporters("+string(s.cfg.Campaign)+")")
}
