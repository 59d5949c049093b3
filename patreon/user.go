// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"encoding/json"
	"time"
)

// User is an account, of a creator or a patron.
type User struct {
	// ID is the id.
	ID UserID `json:"id"`

	// About is what the profile says, as HTML.
	About Opt[string] `json:"about,omitzero"`
	// CanSeeNSFW tells whether adult content is shown to the user.
	CanSeeNSFW Opt[bool] `json:"can_see_nsfw,omitzero"`
	// Created is when the account was made.
	Created Opt[time.Time] `json:"created,omitzero"`
	// Email is personal: it needs the scope identity[email] or
	// campaigns.members[email].
	Email     Opt[string] `json:"email,omitzero"`
	FirstName Opt[string] `json:"first_name,omitzero"`
	FullName  Opt[string] `json:"full_name,omitzero"`
	// HidePledges tells whether the user keeps private whom they support.
	HidePledges Opt[bool] `json:"hide_pledges,omitzero"`
	// ImageURL is a picture 400 pixels wide.
	ImageURL        Opt[string] `json:"image_url,omitzero"`
	IsCreator       Opt[bool]   `json:"is_creator,omitzero"`
	IsEmailVerified Opt[bool]   `json:"is_email_verified,omitzero"`
	LastName        Opt[string] `json:"last_name,omitzero"`
	// LikeCount is how many posts the user likes.
	LikeCount Opt[int64] `json:"like_count,omitzero"`
	// SocialConnections is an object of accounts elsewhere, which is personal.
	SocialConnections Opt[json.RawMessage] `json:"social_connections,omitzero"`
	// ThumbURL is a square picture of 100 by 100 pixels.
	ThumbURL Opt[string] `json:"thumb_url,omitzero"`
	// URL is the page of the profile.
	URL Opt[string] `json:"url,omitzero"`
	// Vanity is the name in the address of the profile.
	Vanity Opt[string] `json:"vanity,omitzero"`

	// Campaign is the one that the user has made.
	Campaign One[Campaign, CampaignID] `json:"campaign,omitzero"`
	// Memberships are of campaigns of others.
	Memberships Many[Member, MemberID] `json:"memberships,omitzero"`

	Extras
}

func (u *User) name() Type { return TypeUser }

func (u *User) setID(id string) { u.ID = UserID(id) }

func (u *User) extras() *Extras { return &u.Extras }

func (u *User) attribute(name []byte) attribute {
	switch string(name) {
	case "about":
		return &u.About
	case "can_see_nsfw":
		return &u.CanSeeNSFW
	case "created":
		return &u.Created
	case "email":
		return &u.Email
	case "first_name":
		return &u.FirstName
	case "full_name":
		return &u.FullName
	case "hide_pledges":
		return &u.HidePledges
	case "image_url":
		return &u.ImageURL
	case "is_creator":
		return &u.IsCreator
	case "is_email_verified":
		return &u.IsEmailVerified
	case "last_name":
		return &u.LastName
	case "like_count":
		return &u.LikeCount
	case "social_connections":
		return &u.SocialConnections
	case "thumb_url":
		return &u.ThumbURL
	case "url":
		return &u.URL
	case "vanity":
		return &u.Vanity
	}
	return nil
}

func (u *User) relation(name []byte) relation {
	switch string(name) {
	case "campaign":
		return &u.Campaign
	case "memberships":
		return &u.Memberships
	}
	return nil
}

// UserFields returns the names of all attributes of a [User] but those that
// are nobody else's business: can_see_nsfw, email, is_email_verified and
// social_connections.
func UserFields() []string {
	return []string{
		"about", "created", "first_name", "full_name", "hide_pledges", "image_url", "is_creator",
		"last_name", "like_count", "thumb_url", "url", "vanity",
	}
}

// AllUserFields returns the names of all attributes of a [User]. Some need scopes of
// their
// own, without which Patreon answers that the request is forbidden.
func AllUserFields() []string {
	return append(UserFields(), "can_see_nsfw", "email", "is_email_verified", "social_connections")
}
