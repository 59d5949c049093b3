// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Paging is how lists are cut into pages, with the quirks that clients have met
// and some that they may meet. The zero value has none of them.
type Paging struct {
	// End is how the last page says that it is the last.
	End End
	// LoopAtEnd makes the last page name a new cursor, of the same page: a list
	// without an end.
	LoopAtEnd bool
	// EmptyLast puts an empty page behind the last.
	EmptyLast bool
	// LinksNext adds links.next to pages that others follow.
	LinksNext bool
	// LinksNextOnly says links.next and not meta.pagination.cursors.
	LinksNextOnly bool
	// Overlap is how many resources of a page come again on the next one. It is
	// less than a page in any case.
	Overlap int
	// Total changes meta.pagination.total, given the true number; if it returns
	// nil, there is none. If it is nil itself, the true number is told.
	Total func(n int) any
	// BeforePage is called before a page is put together, with its number from
	// 1. It may change the content.
	BeforePage func(page int)
}

// End is how the last page of a list says that it is the last.
type End string

// How the last page says so.
const (
	// EndNull says that the next cursor is null.
	EndNull End = ""
	// EndAbsent says nothing of a next cursor.
	EndAbsent End = "absent"
	// EndEmpty says that the next cursor is "".
	EndEmpty End = "empty"
	// EndBare says nothing of cursors, as the examples in Patreon's
	// documentation.
	EndBare End = "bare"
)

// SetPaging changes how lists are cut into pages, from the next request on.
func (s *Server) SetPaging(p Paging) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paging = p
}

// position is what a cursor stands for.
type position struct {
	// path and sort are those of the request that named the cursor.
	path, sort string
	page       int
	// after is the last resource of the page before, and its place at that
	// time: it may be gone now.
	after string
	place int
}

// listing is a list of resources that is asked for.
type listing struct {
	kind string
	// cap is how many a page has at most.
	cap int
	// ids returns all, in the order in which they were made.
	ids func() []string
}

// list answers with a page. It lets go of the server's lock for the hook.
func (c *call) list(l listing) *answer {
	q, refusal := c.query(l.kind, true)
	if refusal != nil {
		return refusal
	}
	at, refusal := c.position(q)
	if refusal != nil {
		return refusal
	}
	c.beforePage(at.page)
	all := c.sorted(l, q)
	size := l.size(q, c.s.config.PageSize)
	start := c.start(at, all, size)
	end := min(start+size, len(all))
	var resources []resource
	for _, id := range all[start:end] {
		if r, ok := c.s.resource(ref{l.kind, id}); ok {
			resources = append(resources, r)
		}
	}
	doc := object{"data": []object{}, "meta": object{}}
	data, included := c.render(q, resources)
	if len(data) > 0 {
		doc["data"] = data
	}
	if len(included) > 0 {
		doc["included"] = included
	}
	c.turn(doc, c.following(at, all, start, end), len(all))
	return jsonAnswer(http.StatusOK, c.s.config.ContentType, doc)
}

// size is how many resources a page has. To ask for more than there may be is
// no mistake.
func (l listing) size(q query, configured int) int {
	most := l.cap
	if l.kind == "member" && q.asks("member", "pledge-event") {
		most /= 2
	}
	if configured > 0 {
		most = configured
	}
	if q.count > 0 {
		return min(q.count, most)
	}
	return most
}

// position returns that of the cursor, or the first.
func (c *call) position(q query) (position, *answer) {
	if q.cursor == "" {
		return position{path: c.URL.Path, sort: q.sort, page: 1}, nil
	}
	at, ok := c.s.cursors[q.cursor]
	if !ok || at.path != c.URL.Path || at.sort != q.sort {
		return at, c.invalidParameter("page[cursor]", "The cursor is not one of this list.")
	}
	return at, nil
}

func (c *call) beforePage(n int) {
	if hook := c.s.paging.BeforePage; hook != nil {
		c.s.mu.Unlock()
		defer c.s.mu.Lock()
		hook(n)
	}
}

// sorted returns the ids in the order that is asked for.
func (c *call) sorted(l listing, q query) []string {
	ids := slices.Clone(l.ids())
	name, descending := strings.CutPrefix(q.sort, "-")
	if name == "" {
		return ids
	}
	keys := map[string]string{}
	for _, id := range ids {
		r, _ := c.s.resource(ref{l.kind, id})
		keys[id] = sortKey(r.attributes[name])
	}
	slices.SortStableFunc(ids, func(a, b string) int {
		if descending {
			a, b = b, a
		}
		return cmp.Compare(keys[a], keys[b])
	})
	return ids
}

// sortKey makes numbers and texts comparable.
func sortKey(v any) string {
	if n, ok := v.(int); ok {
		return fmt.Sprintf("%020d", n)
	}
	return fmt.Sprint(v)
}

// start is the place of the first resource of a page.
func (c *call) start(at position, all []string, size int) int {
	if at.page == 1 {
		return 0
	}
	start := slices.Index(all, at.after) + 1
	if start == 0 {
		start = min(at.place, len(all))
	}
	return max(0, start-min(c.s.paging.Overlap, size-1))
}

// following returns where the next page begins, or nil if this is the last.
func (c *call) following(at position, all []string, start, end int) *position {
	next := position{path: at.path, sort: at.sort, page: at.page + 1, place: end}
	if end > 0 {
		next.after = all[end-1]
	}
	switch {
	case end < len(all):
		return &next
	case c.s.paging.EmptyLast && start < end:
		return &next
	case c.s.paging.LoopAtEnd:
		next.after, next.place = at.after, at.place
		if at.page == 1 { // its only page is the first one
			next.place = 0
		}
		return &next
	}
	return nil
}

// turn writes into a document how to go on.
func (c *call) turn(doc object, next *position, total int) {
	p := c.s.paging
	pagination, cursors := object{}, object{}
	if next != nil {
		cursor := "01" + randomHex(20)
		c.s.cursors[cursor] = *next
		cursors["next"] = cursor
		if p.LinksNext || p.LinksNextOnly {
			doc["links"] = object{"next": c.withCursor(cursor)}
		}
	} else {
		switch p.End {
		case EndNull:
			cursors["next"] = nil
		case EndEmpty:
			cursors["next"] = ""
		}
	}
	if !p.LinksNextOnly && (next != nil || p.End != EndBare) {
		pagination["cursors"] = cursors
	}
	pagination["total"] = total
	if p.Total != nil {
		pagination["total"] = p.Total(total)
	}
	if pagination["total"] == nil {
		delete(pagination, "total")
	}
	doc["meta"] = object{"pagination": pagination}
}

// withCursor is the address of the next page.
func (c *call) withCursor(cursor string) string {
	values, _ := url.ParseQuery(c.URL.RawQuery) // it was read before
	values.Set("page[cursor]", cursor)
	return c.base() + c.URL.Path + "?" + values.Encode()
}
