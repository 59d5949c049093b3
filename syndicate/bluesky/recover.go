// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"xeiaso.net/site/syndicate"
)

// maxRecovered is how many records Recover looks at, a hundred in each request.
const maxRecovered = 50_000

// Recover implements [syndicate.Recoverer]. A post that this package announced is
// known by the key of its record. One that was announced by another program, or
// by hand, is known by its link; of several the oldest counts, and answers to
// others do not.
func (t *Target) Recover(ctx context.Context, posts []syndicate.Post) (map[string]syndicate.Receipt, error) {
	s, err := t.session(ctx)
	if err != nil {
		return nil, err
	}
	search := newSearch(s.DID, posts)
	cursor := ""
	for seen := 0; seen < maxRecovered; {
		records, next, err := t.list(ctx, s.DID, cursor)
		if err != nil {
			return search.found, err
		}
		for _, r := range records {
			search.look(r)
		}
		if seen += len(records); next == "" || next == cursor || len(records) == 0 {
			return search.found, nil
		}
		cursor = next
	}
	return search.found, fmt.Errorf("bluesky: recover: the account has more than %d posts: the rest was not looked at", maxRecovered)
}

// list returns some records of the account, the oldest keys first: among them
// are all that this package made.
func (t *Target) list(ctx context.Context, did, cursor string) (records []found, next string, err error) {
	const method = "com.atproto.repo.listRecords"
	query := url.Values{"repo": {did}, "collection": {collection}, "limit": {"100"}, "reverse": {"true"}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	resp, err := t.authorized(ctx, request{method: method, query: query})
	if err != nil {
		return nil, "", err
	}
	if err := t.check(method, resp); err != nil {
		return nil, "", err
	}
	var page struct {
		Records []found
		Cursor  string
	}
	if err := t.decode(method, resp, &page); err != nil {
		return nil, "", err
	}
	return page.Records, page.Cursor, nil
}

// search looks for the announcements of posts among records.
type search struct {
	did   string
	found map[string]syndicate.Receipt
	byKey map[string]string           // post's id by key of the record
	byURL map[string][]syndicate.Post // by what all addresses of a page share
}

func newSearch(did string, posts []syndicate.Post) *search {
	s := &search{did, map[string]syndicate.Receipt{}, map[string]string{}, map[string][]syndicate.Post{}}
	for _, p := range posts {
		s.byKey[recordKey(did, p.ID)] = p.ID
		for _, address := range append([]string{p.URL}, p.Aliases...) {
			if key := rough(address); key != "" {
				s.byURL[key] = append(s.byURL[key], p)
			}
		}
	}
	return s
}

// rough is the same for all addresses of a page. It spares comparing thousands
// of links with thousands of posts.
func rough(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return strings.ToLower(u.Hostname()) + strings.TrimSuffix(u.EscapedPath(), "/")
}

// look notes which posts a record announces.
func (s *search) look(r found) {
	rkey, ok := strings.CutPrefix(r.URI, recordURI(s.did, ""))
	if !ok || !keyForm.MatchString(rkey) {
		return
	}
	if id, ok := s.byKey[rkey]; ok {
		s.found[id] = receipt(s.did, rkey)
		return
	}
	for _, link := range links(r.Value) {
		for _, p := range s.byURL[rough(link)] {
			if _, known := s.found[p.ID]; !known && p.IsAbout(link) {
				s.found[p.ID] = receipt(s.did, rkey)
			}
		}
	}
}

// links returns where a record links to: its card, its facets, and what stands
// in its text without a facet. Answers have none.
func links(value json.RawMessage) []string {
	var r struct {
		Text   string
		Facets []facet
		Embed  struct {
			External card
			Media    struct{ External card }
		}
		Reply json.RawMessage
	}
	// Others may write what does not fit; then what does is looked at.
	_ = json.Unmarshal(value, &r)
	if r.Reply != nil {
		return nil
	}
	all := []string{r.Embed.External.URI, r.Embed.Media.External.URI}
	for _, f := range r.Facets {
		for _, feature := range f.Features {
			all = append(all, feature.URI)
		}
	}
	for _, f := range (syndicate.Enricher{}).Enrich(r.Text).Facets {
		all = append(all, f.URL)
	}
	return all
}
