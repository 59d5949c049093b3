// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Snapshot is what the members of a campaign were at a moment.
type Snapshot struct {
	// Campaign is whose members they are.
	Campaign CampaignID

	// Members are those that were listed and understood.
	Members []Member

	// Complete tells that these are all. Only then does it mean anything that
	// somebody is not among them: members must never be removed because of a
	// snapshot that is not complete.
	Complete bool

	// At is when the listing began. What has changed since may be missing.
	At time.Time

	// Total is how many members Patreon said there are, at most if it said several
	// numbers. It is -1 if it said none, or if the listing did not end.
	Total int64

	// Malformed are the errors of members, and of what they are related to, that
	// were not what the API promises. Each matches [ErrMalformed].
	Malformed []error `json:"-"`
}

// CollectMembers lists all members of a campaign. If the snapshot is not
// complete, it comes with what was read and an error, and matches
// [ErrIncomplete] where Patreon gave no other reason.
//
// A member that cannot be understood, or is related to something that cannot,
// makes the snapshot incomplete. The others are in it all the same.
//
// That it is complete is as good as what Patreon says: how many there are, and
// which page is the last. There is no way to tell of one who was passed over while
// another joined.
func (c *Client) CollectMembers(ctx context.Context, campaign CampaignID, q Query) (Snapshot, error) {
	s := Snapshot{Campaign: campaign, At: time.Now(), Total: -1}
	l, err := c.members(campaign, q)
	if err != nil {
		return s, err
	}
	trusted := false
	l.ended = func(e ending) { trusted, s.Total = e.trusted, e.total }
	l.included = func(faults []error) { s.Malformed = append(s.Malformed, faults...) }
	for m, err := range l.all(ctx) {
		switch _, one := errors.AsType[*FieldError](err); {
		case err == nil:
			s.Members = append(s.Members, m)
		case one:
			s.Malformed = append(s.Malformed, err)
		default:
			return s, err
		}
	}
	if len(s.Malformed) > 0 {
		return s, fmt.Errorf("patreon: %d parts of the members of campaign %q cannot be understood: %w", len(s.Malformed), campaign, s.Malformed[0])
	}
	if !trusted {
		return s, &detailed{ErrIncomplete, fmt.Sprintf(
			"patreon: the members of campaign %q: %d came, and nothing says that these are all", campaign, len(s.Members))}
	}
	s.Complete = true
	return s, nil
}
