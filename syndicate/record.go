// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"
)

// State is how far an announcement, an edit or a removal has come.
type State string

// An announcement is planned, then attempted until the network confirms it or a
// person has to decide.
const (
	Planned    State = "planned"    // nothing of it is on the network
	Attempting State = "attempting" // nobody knows whether it is on the network
	Confirmed  State = "confirmed"  // it is on the network
	Parked     State = "parked"     // it waits for a person
	Forgotten  State = "forgotten"  // a person has decided against it
)

// Op is what is done on a network.
type Op string

// What is done with a post: announcing it, once; then any number of edits, and
// at last its removal.
const (
	OpAnnounce Op = "announce"
	OpEdit     Op = "edit"
	OpDelete   Op = "delete"
)

// Reason is why something is parked.
type Reason string

// Reasons to leave something to a person.
const (
	ReasonUnknown Reason = "unknown" // it may or may not be on the network
	ReasonRefused Reason = "refused" // the network does not want it
	ReasonCap     Reason = "cap"     // too many posts were new at once
	ReasonPage    Reason = "page"    // the page did not come up
	ReasonGaveUp  Reason = "gave up" // it did not work for too long
	ReasonDamaged Reason = "damaged" // its record cannot be read
	ReasonSkipped Reason = "skipped" // forgotten, since the author does not want it there any more
)

// record is what is kept of one [Op] on one post at one target. Its changes are
// compare-and-swap, so of several instances one wins.
type record struct {
	version
	Op     Op     `json:"op"`
	State  State  `json:"state"`
	Reason Reason `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"` // the last one

	// What is announced. The post is dropped when it is confirmed.
	ID          string `json:"id"`
	URL         string `json:"url,omitempty"`
	Title       string `json:"title,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Post        *Post  `json:"post,omitempty"`

	// What is sent. It is made with the first attempt, and stays as it is from
	// the moment on from which it may be on the network.
	Body     json.RawMessage `json:"body,omitempty"`
	BodyHash string          `json:"body_hash,omitempty"`
	Shown    string          `json:"shown,omitempty"` // BodyHash of what is on the network, if known
	Link     string          `json:"link,omitempty"`
	Created  time.Time       `json:"created,omitzero"`

	// The claim of one instance. Others leave the record alone until it has
	// stood unchanged for Timeout and a margin.
	Holder  string        `json:"holder,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`

	Attempts int       `json:"attempts,omitempty"`
	Unknown  time.Time `json:"unknown,omitzero"` // when the last attempt ended about which nobody knows
	Ended    bool      `json:"ended,omitempty"`  // Attempting, and no attempt is under way
	Planned  time.Time `json:"planned,omitzero"`
	Due      time.Time `json:"due,omitzero"` // not before
	Done     time.Time `json:"done,omitzero"`
	Receipt  Receipt   `json:"receipt,omitzero"`
}

// recordPrefix is where the records are in the store.
const recordPrefix = "syndicate/outbox/"

// ref names a record.
type ref struct {
	target string
	op     Op
	key    string // Post.Key
}

func (r ref) String() string { return recordPrefix + path.Join(r.target, string(r.op), r.key) }

// parseRef is the inverse of ref.String.
func parseRef(key string) (ref, bool) {
	rest, ok := strings.CutPrefix(key, recordPrefix)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 || !validKey(parts[2]) {
		return ref{}, false
	}
	switch r := (ref{target: parts[0], op: Op(parts[1]), key: parts[2]}); r.op {
	case OpAnnounce, OpEdit, OpDelete:
		return r, true
	}
	return ref{}, false
}

// validKey reports whether a string is a [Post.Key], and not something that
// names another record.
func validKey(key string) bool {
	return len(key) == 16 && strings.Trim(key, "0123456789abcdef") == ""
}

// parseRecord reads a record. One that cannot be read is an error and not an
// absence: the post would be announced again.
func parseRecord(raw []byte) (record, error) {
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return record{}, err
	}
	switch r.State {
	case Planned, Attempting, Confirmed, Parked, Forgotten:
		return r, nil
	}
	return record{}, fmt.Errorf("state %q is not known", r.State)
}

// final reports whether nothing is to be done without a person.
func (r record) final() bool { return r.State != Planned && r.State != Attempting }

// How much is kept in a record beside a body, in bytes: the post as JSON, each of
// its two texts, the title that people see in lists, an error, and each part of a
// receipt.
const (
	maxPost    = 16 << 10
	maxKept    = 2 << 10
	maxTitle   = 512
	maxError   = 1 << 10
	maxReceipt = 2 << 10
)

// keep returns a post as it is kept in records: a long content is cut, which
// matters only if the post has left the feed by the time it is announced.
func keep(p Post) (*Post, error) {
	p.Title, p.Summary = head(p.Title, maxKept), head(p.Summary, maxKept)
	for {
		raw, err := encode(p)
		if err != nil {
			return nil, err
		}
		over := len(raw) - maxPost
		if over <= 0 {
			return &p, nil
		}
		if p.ContentHTML == "" {
			return nil, errors.New("its address, aliases, tags and texts are too long to be kept")
		}
		// Characters take up to six bytes in JSON, so this may take some rounds.
		p.ContentHTML = head(p.ContentHTML, max(0, len(p.ContentHTML)-max(over/6, 64)))
	}
}

// head is the beginning of a text, of at most n bytes.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
