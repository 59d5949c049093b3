// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// What can be wrong with a listing that came to an end.
var (
	// ErrIncomplete: the listing ended, and there is reason to think that not all of
	// it was listed: fewer than Patreon says there are, or pages that came again.
	ErrIncomplete = errors.New("patreon: the listing is not complete")
	// ErrTooManyPages: the listing is longer than [ClientConfig.MaxPages] allows.
	// It matches [ErrIncomplete], too.
	ErrTooManyPages = fmt.Errorf("%w: it has too many pages", ErrIncomplete)
)

// ending is how a listing ended. It is trusted where nothing speaks against its
// being complete. The zero value is not trusted.
type ending struct {
	trusted bool
	// total is what the last page said, or -1.
	total int64
}

// lister reads a listing.
type lister[T any, R resourceOf[T]] struct {
	client *Client
	path   string
	query  Query
	selection
	// ended is told how it ended, unless it was by an error or a break. It may be
	// nil.
	ended func(ending)
	// included is told what is wrong in what a page includes. It may be nil.
	included func([]error)
}

// all lists. An error about one resource, which is or wraps a [*FieldError] and
// comes with the resource as far as it was understood, does not end the listing;
// all other errors do.
//
// The guards against listings that do not end, and endings that are none, come
// from what has been seen of Patreon: the last page has a cursor at times, which
// leads to the same page for ever, or to an empty one.
func (l lister[T, R]) all(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		values, asked, err := l.values(l.query)
		if err != nil {
			yield(none, err)
			return
		}
		// Ids alone are kept: members move between pages when others join or leave,
		// and each must come once.
		seen := map[string]struct{}{}
		var before []string // the ids of the last page
		for page := 1; ; page++ {
			if page > l.client.maxPages {
				yield(none, &detailed{ErrTooManyPages, fmt.Sprintf(
					"patreon: %s: the listing has more than %d pages; it is not complete", l.path, l.client.maxPages)})
				return
			}
			r, resp, err := l.client.read(ctx, l.path, values)
			if err != nil {
				yield(none, err)
				return
			}
			p, err := readPage(resp.body, asked)
			if err != nil {
				yield(none, malformed(r, resp, err))
				return
			}
			if l.included != nil && len(p.in.faults) > 0 {
				l.included(p.in.faults)
			}
			ids, unseen, more := each[T, R](p, seen, yield)
			if !more {
				return
			}
			if p.next != "" && unseen {
				before = ids
				values.Set("page[cursor]", p.next)
				continue
			}
			end := verdict(p, len(seen), len(ids) == 0, slices.Equal(ids, before))
			if end.err != nil {
				yield(none, &detailed{ErrIncomplete, fmt.Sprintf("patreon: %s: the listing is not complete: %s", l.path, end.err)})
				return
			}
			if l.ended != nil {
				l.ended(end.ending)
			}
			return
		}
	}
}

// page is one page of a listing.
type page struct {
	paging
	data []byte
	in   *index
}

func readPage(body []byte, asked []askedFor) (page, error) {
	e, err := open(body)
	if err != nil {
		return page{}, err
	}
	if jsonKind(e.data) != "a list" {
		return page{}, fmt.Errorf("data: %w", mismatch(e.data, "a list"))
	}
	p, err := pagingOf(e)
	if err != nil {
		return page{}, err
	}
	return page{paging: p, data: e.data, in: newIndex(e.included, asked)}, nil
}

// each yields the resources of a page that were not seen before. It returns the
// ids of all, whether some were new, and whether to go on.
func each[T any, R resourceOf[T]](p page, seen map[string]struct{}, yield func(T, error) bool) (ids []string, unseen, more bool) {
	for raw := range jsonElements(p.data) {
		v, id, err := decodeOne[T, R](raw, p.in)
		if id != "" {
			ids = append(ids, id)
			if _, again := seen[id]; again {
				continue
			}
			seen[id] = struct{}{}
			unseen = true
		}
		if !yield(v, err) {
			return ids, unseen, false
		}
	}
	return ids, unseen, true
}

// judgement is how a listing ended, or what is wrong with its end.
type judgement struct {
	ending
	err error
}

// verdict judges the end of a listing, at a page without a cursor, or without
// anything new.
//
// Patreon says how many there are. If fewer have come, some are missing: one may
// have left meanwhile and moved another over the edge between two pages, or an
// answer was cut short with its form intact. Then the listing is not complete,
// whatever else it says. More than it says is no reason for doubt: those who
// left meanwhile are among them.
//
// Where it does not say how many, only a page without a cursor is an end that can
// be trusted, and only if anything was listed: an empty list without a number is
// also what a broken answer looks like. A page that is empty or the same as the
// one before it, under a new cursor, has been seen at the end of listings. It is
// no error, and no proof either. An older page that comes again is a loop.
func verdict(p page, seen int, empty, repeated bool) judgement {
	end := ending{total: p.total}
	switch {
	case p.total >= 0 && int64(seen) >= p.total:
		end.trusted = true
	case p.total >= 0:
		return judgement{end, fmt.Errorf("it ended after %d of %d", seen, p.total)}
	case p.next == "":
		end.trusted = seen > 0
	case !empty && !repeated:
		return judgement{end, fmt.Errorf("a page came again after %d resources", seen)}
	}
	return judgement{ending: end}
}
