// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// User is somebody on Patreon. All fields may be left out.
type User struct {
	// ID is a decimal number. If empty, one is made up.
	ID string
	// FullName and Email are the attributes of these names.
	FullName, Email string
	// Attributes are set in place of what the server makes up. A nil value is
	// null; [Absent] leaves an attribute out.
	Attributes map[string]any
}

// Campaign is a creator's page.
type Campaign struct {
	// ID is a decimal number. If empty, one is made up.
	ID string
	// Creator is the id of the user who owns it. Only that user's tokens see its
	// members and posts.
	Creator string
	// Name is the attribute of this name.
	Name string
	// Attributes are as those of [User].
	Attributes map[string]any
}

// Tier is what a member of a campaign can buy.
type Tier struct {
	// ID is a decimal number. If empty, one is made up.
	ID string
	// Campaign is the id of the campaign.
	Campaign string
	// Title and AmountCents are the attributes of these names.
	Title       string
	AmountCents int
	// Attributes are as those of [User].
	Attributes map[string]any
}

// Member is somebody's membership of a campaign.
type Member struct {
	// ID is a UUID. If empty, one is made up.
	ID string
	// Campaign and User are ids.
	Campaign, User string
	// Tiers are the ids of currently_entitled_tiers.
	Tiers []string
	// FullName, Email and Note are the attributes of these names.
	FullName, Email, Note string
	// Status is patron_status. If empty, it is null: somebody who never was a
	// patron.
	Status string
	// AmountCents is currently_entitled_amount_cents, and what the member will
	// pay. LifetimeCents is what the member has paid until now.
	AmountCents, LifetimeCents int
	// LastChargeStatus is the attribute of this name. If empty, it is null, and
	// so is last_charge_date.
	LastChargeStatus string
	// Address are the attributes of the address. If nil, there is none.
	Address map[string]any
	// Pledges are the pledge events.
	Pledges []Pledge
	// Attributes are as those of [User].
	Attributes map[string]any
}

// Pledge is a pledge event of a [Member].
type Pledge struct {
	// ID is a decimal number. If empty, one is made up.
	ID string
	// Tier is the id of the tier it is about. It may be empty.
	Tier string
	// AmountCents is the attribute of this name.
	AmountCents int
	// Attributes are as those of [User].
	Attributes map[string]any
}

// Post is one of a campaign.
type Post struct {
	// ID is a decimal number. If empty, one is made up.
	ID string
	// Campaign and User are ids. If User is empty, it is the campaign's creator.
	Campaign, User string
	// Title and Content are the attributes of these names.
	Title, Content string
	// Attributes are as those of [User].
	Attributes map[string]any
}

// content is what creators and patrons have made.
type content struct {
	users     map[string]*User
	campaigns map[string]*Campaign
	tiers     map[string]*Tier
	members   map[string]*Member
	posts     map[string]*Post
	// The orders are those in which things were made; members and posts by
	// campaign.
	campaignOrder, tierOrder []string
	memberOrder, postOrder   map[string][]string
	// memberships are the ids of members by user.
	memberships map[string][]string
	// deleted are resources that are not there any more, for webhooks that tell
	// of it.
	deleted map[ref]resource
}

func newContent() content {
	return content{
		users:       map[string]*User{},
		campaigns:   map[string]*Campaign{},
		tiers:       map[string]*Tier{},
		members:     map[string]*Member{},
		posts:       map[string]*Post{},
		memberOrder: map[string][]string{},
		postOrder:   map[string][]string{},
		memberships: map[string][]string{},
		deleted:     map[ref]resource{},
	}
}

// id returns a number that nothing has yet.
func (s *Server) id() string {
	s.lastID++
	return strconv.FormatInt(s.lastID, 10)
}

// set adds something, or replaces what has its id.
func set[T any](all map[string]*T, order *[]string, id string, v T) {
	if all[id] == nil && order != nil {
		*order = append(*order, id)
	}
	all[id] = &v
}

// AddUser adds a user, or replaces the one with that id, and returns the id.
func (s *Server) AddUser(u User) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addUser(u)
}

func (s *Server) addUser(u User) string {
	if u.ID == "" {
		u.ID = s.id()
	}
	u.Attributes = maps.Clone(u.Attributes)
	set(s.content.users, nil, u.ID, u)
	return u.ID
}

// AddCampaign adds a campaign, or replaces the one with that id, and returns the
// id.
func (s *Server) AddCampaign(c Campaign) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ID == "" {
		c.ID = s.id()
	}
	c.Attributes = maps.Clone(c.Attributes)
	set(s.content.campaigns, &s.content.campaignOrder, c.ID, c)
	return c.ID
}

// AddTier adds a tier, or replaces the one with that id, and returns the id.
func (s *Server) AddTier(t Tier) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addTier(t)
}

func (s *Server) addTier(t Tier) string {
	if t.ID == "" {
		t.ID = s.id()
	}
	t.Attributes = maps.Clone(t.Attributes)
	set(s.content.tiers, &s.content.tierOrder, t.ID, t)
	return t.ID
}

// AddMember adds a member, or replaces the one with that id, and returns the id.
func (s *Server) AddMember(m Member) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addMember(m)
}

func (s *Server) addMember(m Member) string {
	if m.ID == "" {
		s.lastID++
		m.ID = fmt.Sprintf("00000000-0000-4000-8000-%012x", s.lastID)
	}
	m.Tiers, m.Pledges = slices.Clone(m.Tiers), slices.Clone(m.Pledges)
	m.Address, m.Attributes = maps.Clone(m.Address), maps.Clone(m.Attributes)
	for i := range m.Pledges {
		if m.Pledges[i].ID == "" {
			m.Pledges[i].ID = s.id()
		}
	}
	if old := s.content.members[m.ID]; old != nil {
		s.content.memberships[old.User] = without(s.content.memberships[old.User], m.ID)
	}
	s.content.memberships[m.User] = append(s.content.memberships[m.User], m.ID)
	order := s.content.memberOrder[m.Campaign]
	set(s.content.members, &order, m.ID, m)
	s.content.memberOrder[m.Campaign] = order
	return m.ID
}

// AddPost adds a post, or replaces the one with that id, and returns the id.
func (s *Server) AddPost(p Post) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ID == "" {
		p.ID = s.id()
	}
	if c := s.content.campaigns[p.Campaign]; c != nil && p.User == "" {
		p.User = c.Creator
	}
	p.Attributes = maps.Clone(p.Attributes)
	order := s.content.postOrder[p.Campaign]
	set(s.content.posts, &order, p.ID, p)
	s.content.postOrder[p.Campaign] = order
	return p.ID
}

// UpdateMember lets a function change a member, and reports whether there is
// one with that id. ID and Campaign stay as they are. The function must not call
// methods of the server.
func (s *Server) UpdateMember(id string, change func(*Member)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.content.members[id]
	if old == nil {
		return false
	}
	m := *old
	m.Tiers, m.Pledges = slices.Clone(m.Tiers), slices.Clone(m.Pledges)
	m.Address, m.Attributes = maps.Clone(m.Address), maps.Clone(m.Attributes)
	change(&m)
	m.ID, m.Campaign = old.ID, old.Campaign
	s.addMember(m)
	return true
}

// Members returns the members of a campaign, in the order in which they came.
// What they refer to must not be changed.
func (s *Server) Members(campaignID string) []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	var members []Member
	for _, id := range s.content.memberOrder[campaignID] {
		members = append(members, *s.content.members[id])
	}
	return members
}

// DeleteUser removes a user. Memberships still refer to the id, and the user is
// not included any more, as when somebody closes an account.
func (s *Server) DeleteUser(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deletes(ref{"user", id})
	delete(s.content.users, id)
}

// DeleteTier removes a tier. Members who are entitled to it still refer to it.
func (s *Server) DeleteTier(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deletes(ref{"tier", id})
	delete(s.content.tiers, id)
	s.content.tierOrder = without(s.content.tierOrder, id)
}

// DeleteMember removes a member.
func (s *Server) DeleteMember(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.content.members[id]; m != nil {
		s.deletes(ref{"member", id})
		delete(s.content.members, id)
		s.content.memberOrder[m.Campaign] = without(s.content.memberOrder[m.Campaign], id)
		s.content.memberships[m.User] = without(s.content.memberships[m.User], id)
	}
}

// DeletePost removes a post.
func (s *Server) DeletePost(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.content.posts[id]; p != nil {
		s.deletes(ref{"post", id})
		delete(s.content.posts, id)
		s.content.postOrder[p.Campaign] = without(s.content.postOrder[p.Campaign], id)
	}
}

func (s *Server) deletes(name ref) {
	if r, ok := s.resource(name); ok {
		s.content.deleted[name] = r
	}
}

// without returns a list without one id. The list that was given stays as it
// is, since a page may be made of it.
func without(ids []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(other string) bool { return other == id })
}

// FillMembers adds n made-up members to a campaign, with a user each, over its
// tiers, and returns their ids. If the campaign has no tiers, it gets three. Out
// of ten, seven are active, one was declined, one has left, and one never paid.
// They are the same each time.
func (s *Server) FillMembers(campaignID string, n int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	tiers := s.tiersOf(campaignID)
	if len(tiers) == 0 {
		for i, title := range []string{"Seed", "Sapling", "Tree"} {
			tiers = append(tiers, s.addTier(Tier{Campaign: campaignID, Title: title, AmountCents: []int{300, 500, 1000}[i]}))
		}
	}
	var ids []string
	for i := range n {
		ids = append(ids, s.fillMember(campaignID, tiers, i))
	}
	return ids
}

func (s *Server) tiersOf(campaignID string) []string {
	return slices.DeleteFunc(slices.Clone(s.content.tierOrder), func(id string) bool {
		return s.content.tiers[id].Campaign != campaignID
	})
}

// fillMember makes up the ith member.
func (s *Server) fillMember(campaignID string, tiers []string, i int) string {
	first := []string{"Wren", "Juniper", "Sorrel", "Linden", "Aster", "Tansy", "Rowan", "Briar", "Fennel", "Maple"}
	last := []string{"Quillon", "Marrowby", "Thistledown", "Oxbarrow", "Fernwhistle", "Puddlegate", "Hazelmoor"}
	name := fmt.Sprintf("%s %s %d", first[i%len(first)], last[i%len(last)], i+1)
	email := fmt.Sprintf("patron%d@example.com", i+1)
	user := s.addUser(User{FullName: name, Email: email})
	tier := s.content.tiers[tiers[i%len(tiers)]]
	m := Member{Campaign: campaignID, User: user, FullName: name, Email: email}
	switch i % 10 {
	case 7:
		m.Status, m.LastChargeStatus, m.LifetimeCents = "declined_patron", "Declined", tier.AmountCents
	case 8:
		m.Status, m.LastChargeStatus, m.LifetimeCents = "former_patron", "Deleted", 4*tier.AmountCents
	case 9:
	default:
		m.Status, m.LastChargeStatus, m.LifetimeCents = "active_patron", "Paid", (i%24+1)*tier.AmountCents
		m.AmountCents, m.Tiers = tier.AmountCents, []string{tier.ID}
	}
	if m.Status != "" {
		m.Pledges = []Pledge{{Tier: tier.ID, AmountCents: tier.AmountCents}}
	}
	return s.addMember(m)
}

// began is when everything that the server makes up was made.
func began() time.Time { return time.Date(2024, 2, 29, 12, 34, 56, 789e6, time.UTC) }

// splitName splits a full name at the first blank.
func splitName(name string) (first, last string) {
	first, last, _ = strings.Cut(name, " ")
	return first, last
}
