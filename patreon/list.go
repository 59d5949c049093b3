// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
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
	// total is the largest number that a page told, or -1.
	total int64
}

// lister is a listing that can be read.
type lister[T any, R resourceOf[T]] struct {
	client *Client
	path   string
	query  Query
	selection
	// ended is told how it ended, unless that was by an error or a break. It may
	// be nil.
	ended func(ending)
	// included is told what is wrong in what a page includes. It may be nil.
	included func([]error)
}

// all lists. An error about one resource, which is or wraps a [*FieldError] and
// comes with the resource as far as it was understood, does not end the listing;
// all other errors do.
func (l lister[T, R]) all(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := l.pages(ctx, yield); err != nil {
			var none T
			yield(none, err)
		}
	}
}

// pages yields the resources of one page after another.
//
// The guards against listings that do not end, and endings that are none, come
// from what has been seen of Patreon: the last page has a cursor at times, which
// leads to the same page for ever, or to an empty one. A cursor is followed even
// if there are as many as there should be, since the number may be wrong: one
// request more is better than somebody less.
func (l lister[T, R]) pages(ctx context.Context, yield func(T, error) bool) error {
	values, asked, err := l.values(l.query)
	if err != nil {
		return err
	}
	// Ids alone are kept: members move between pages when others join or leave,
	// and each must come once.
	seen := map[string]struct{}{}
	var before []string // the ids of the page before
	total := int64(-1)
	for range l.client.maxPages {
		p, err := l.page(ctx, values, asked)
		if err != nil {
			return err
		}
		total = max(total, p.total)
		ids, unseen, more := each[T, R](p, seen, yield)
		if !more {
			return nil
		}
		if p.next == "" || !unseen {
			return l.end(verdict(len(seen), total, p.next != "", len(ids) == 0 || slices.Equal(ids, before)))
		}
		before = ids
		values.Set("page[cursor]", p.next)
	}
	return &detailed{ErrTooManyPages, fmt.Sprintf("patreon: GET %s: the listing is not complete: it has more than %d pages", l.path, l.client.maxPages)}
}

func (l lister[T, R]) page(ctx context.Context, values url.Values, asked []askedFor) (page, error) {
	r, resp, err := l.client.read(ctx, l.path, values)
	if err != nil {
		return page{}, err
	}
	p, err := readPage(resp.body, asked)
	if err != nil {
		return page{}, malformed(r, resp, err)
	}
	if l.included != nil && len(p.in.faults) > 0 {
		l.included(p.in.faults)
	}
	return p, nil
}

func (l lister[T, R]) end(e ending, err error) error {
	if err != nil {
		return &detailed{ErrIncomplete, fmt.Sprintf("patreon: GET %s: the listing is not complete: %s", l.path, err)}
	}
	if l.ended != nil {
		l.ended(e)
	}
	return nil
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

// verdict judges the end of a listing, at a page without a cursor, or without
// anything new. The total is the largest that a page has told, or -1. Stale tells
// that the last page was empty, or the same as the one before it.
//
// Patreon says how many there are. If fewer have come, some are missing: somebody
// may have left meanwhile and moved another one over the edge between two pages,
// or an answer was cut short with its form intact. Then the listing is not
// complete, whatever else speaks for it. If the number falls meanwhile, those who
// left have either come or not, and the largest one finds out if somebody else
// was passed over. More than it says is no reason for doubt.
//
// Where it does not say how many, only a page without a cursor is an end that can
// be trusted, and only if anything was listed: an empty list without a number is
// also what a broken answer looks like. A page that is empty or the same as the
// one before it, under a new cursor, has been seen at the end of listings. It is
// no error, and no proof either. An older page that comes again is a loop.
func verdict(seen int, total int64, cursor, stale bool) (ending, error) {
	end := ending{total: total}
	switch {
	case total >= 0 && int64(seen) >= total:
		end.trusted = true
	case total >= 0:
		return end, fmt.Errorf("it ended after %d of %d", seen, total)
	case !cursor:
		end.trusted = seen > 0
	case !stale:
		return end, fmt.Errorf("an older page came again after %d", seen)
	}
	return end, nil
}
