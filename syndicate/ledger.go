// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ledger is the records of a store, and a copy of them in memory. The store
// decides: what the copy has wrong fails its compare-and-swap, and is read
// again.
type ledger struct {
	store Store

	loading sync.Mutex // one load at a time, so that an older one does not end later

	mu      sync.Mutex
	loaded  bool
	entries map[ref]*entry   // guarded by mu; an entry is replaced, not changed
	seen    map[string]*seen // guarded by mu; by target, missing if it has no mark
	blind   map[string]error // guarded by mu; by target, why its seen posts are not known
}

// entry is a record as it lies in the store.
type entry struct {
	ref
	raw []byte
	record
	since time.Time // when this instance first found it like this, for others' claims
	fault error     // why it cannot be read; then the record says only that
	again bool      // it could not be loaded, which may pass
}

// seen are posts that are not announced at a target because they were there
// before it, or were too old. It lies in pages; the first one is written last,
// and says that the target has begun.
type seen struct {
	keys  map[string]bool
	pages []seenPage
}

type seenPage struct {
	version
	Keys []string `json:"keys"`
	raw  []byte
}

const (
	seenPrefix = "syndicate/seen/"
	// maxSeen is how many keys fit a page: with quotes and comma 19 bytes each.
	maxSeen = 3000
)

// load reads what is not in memory yet, and with again everything that may have
// changed. A record that cannot be read is no error here: it becomes an entry that
// says so and keeps others out, see [ledger.faults].
func (l *ledger) load(ctx context.Context, again bool) error {
	l.loading.Lock()
	defer l.loading.Unlock()
	l.mu.Lock()
	done := l.loaded && !again
	l.mu.Unlock()
	if done {
		return nil
	}
	keys, err := l.store.Keys(ctx, recordPrefix)
	if err != nil {
		return fmt.Errorf("list records: %w", err)
	}
	for _, key := range keys {
		r, ok := parseRef(key)
		if e := l.get(r); !ok || e != nil && e.op == OpAnnounce && e.State == Confirmed {
			continue // those stay what they are, and are the most
		}
		if _, err := l.refresh(ctx, r); err != nil && ctx.Err() != nil {
			return err
		} else if err != nil {
			l.unreadable(r, err)
		}
	}
	if err := l.loadSeen(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	l.loaded = true
	l.mu.Unlock()
	return nil
}

// refresh reads one record, and returns nil if there is none.
func (l *ledger) refresh(ctx context.Context, r ref) (*entry, error) {
	for {
		before := l.get(r)
		raw, err := load(ctx, l.store, r.String())
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		moved := l.entries[r] != before // what was read may be older than that
		if !moved && raw == nil {
			delete(l.entries, r)
		}
		if !moved && raw != nil {
			before = l.keepLocked(r, raw)
		}
		l.mu.Unlock()
		switch {
		case !moved && raw == nil:
			return nil, nil
		case !moved:
			return before, nil
		}
	}
}

// keep puts what was written to the store into memory.
func (l *ledger) keep(r ref, raw []byte) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keepLocked(r, raw)
}

func (l *ledger) keepLocked(r ref, raw []byte) *entry {
	if e := l.entries[r]; e != nil && !e.again && bytes.Equal(e.raw, raw) {
		return e
	}
	e := &entry{ref: r, raw: raw, since: time.Now()}
	var err error
	if e.record, err = parseRecord(raw); err != nil {
		e.blame(fmt.Errorf("record %s is damaged: %w; mend or remove it, or decide here what is to be done about the post", r, err))
	}
	l.entries[r] = e
	return e
}

// unreadable notes that a record is there and cannot be loaded.
func (l *ledger) unreadable(r ref, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[r]; e != nil && !e.again {
		return // what it was is better than nothing, and the store decides
	}
	e := &entry{ref: r, since: time.Now(), again: true}
	e.blame(err)
	l.entries[r] = e
}

// blame makes an entry one of a record that cannot be read. It is parked: the
// post may have been announced.
func (e *entry) blame(err error) {
	e.fault = err
	e.record = record{Op: e.op, State: Parked, Reason: ReasonDamaged, Error: head(err.Error(), maxError)}
}

// faults returns what is wrong with the records of a target.
func (l *ledger) faults(target string) error {
	l.mu.Lock()
	errs := []error{l.blind[target]}
	l.mu.Unlock()
	for _, e := range l.all(target) {
		errs = append(errs, e.fault)
	}
	return errors.Join(errs...)
}

// get returns what memory has of a record, or nil.
func (l *ledger) get(r ref) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[r]
}

// all returns the records of a target, or of all for "", in the order of their
// names.
func (l *ledger) all(target string) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*entry
	for _, e := range l.entries {
		if target == "" || e.target == target {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// errMoved is returned by put if somebody else has written the record.
var errMoved = errors.New("syndicate: somebody else has changed the record")

// put writes a record in place of an entry, which is nil if there must be none.
// After errMoved memory has what lies there now.
func (l *ledger) put(ctx context.Context, r ref, old *entry, next record) (*entry, error) {
	var raw []byte
	next.version = version{}.next()
	if old != nil {
		raw, next.version = old.raw, old.version.next()
	}
	raw, won, err := swap(ctx, l.store, r.String(), raw, next)
	if err != nil {
		return nil, err
	}
	if won {
		return l.keep(r, raw), nil
	}
	if _, err := l.refresh(ctx, r); err != nil {
		return nil, err
	}
	return nil, errMoved
}

// change applies a change to a record as it lies in the store, again if somebody
// else was faster. The change gets nil if there is no record, and returns false
// to leave it.
func (l *ledger) change(ctx context.Context, r ref, change func(old *entry) (record, bool, error)) (*entry, error) {
	for {
		old, err := l.refresh(ctx, r)
		if err != nil {
			return nil, err
		}
		next, ok, err := change(old)
		if err != nil || !ok {
			return old, err
		}
		e, err := l.put(ctx, r, old, next)
		if !errors.Is(err, errMoved) {
			return e, err
		}
	}
}

// began reports whether a target has taken the posts before it as seen.
func (l *ledger) began(target string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[target] != nil
}

// hasSeen reports whether a post is one of those that are not announced.
func (l *ledger) hasSeen(target, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.seen[target]
	return s != nil && s.keys[key]
}

// seenCount is how many posts are not announced at a target.
func (l *ledger) seenCount(target string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.seen[target]; s != nil {
		return len(s.keys)
	}
	return 0
}

// sight returns nil, or why it is not known which posts a target has seen. Then
// nothing new can be planned there.
func (l *ledger) sight(target string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blind[target]
}

// loadSeen reads the posts that were seen, of all targets.
func (l *ledger) loadSeen(ctx context.Context) error {
	keys, err := l.store.Keys(ctx, seenPrefix)
	if err != nil {
		return fmt.Errorf("list records: %w", err)
	}
	all := map[string]map[int]seenPage{}
	blind := map[string]error{}
	for _, key := range keys {
		target, number, _ := strings.Cut(strings.TrimPrefix(key, seenPrefix), "/")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			continue
		}
		raw, err := load(ctx, l.store, key)
		if err != nil && ctx.Err() != nil {
			return err
		}
		page := seenPage{raw: raw}
		if err == nil && raw != nil {
			err = json.Unmarshal(raw, &page)
		}
		if err != nil {
			blind[target] = fmt.Errorf("record %s is damaged: %w; mend it, or remove all of %s%s/ to take all posts as seen", key, err, seenPrefix, target)
		}
		if raw == nil {
			continue
		}
		if all[target] == nil {
			all[target] = map[int]seenPage{}
		}
		all[target][n] = page
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.blind = map[string]*seen{}, blind
	for target, pages := range all {
		if _, ok := pages[0]; ok {
			l.seen[target] = newSeen(pages)
		}
	}
	return nil
}

func newSeen(pages map[int]seenPage) *seen {
	s := &seen{keys: map[string]bool{}, pages: make([]seenPage, 1+slices.Max(slices.Collect(maps.Keys(pages))))}
	for n, page := range pages {
		s.pages[n] = page
		for _, key := range page.Keys {
			s.keys[key] = true
		}
	}
	return s
}

// addSeen adds posts to those that are not announced. To begin a target, which
// takes all posts as seen, it must not have begun: if another instance was
// faster nothing is added, since it may have missed posts that are new.
func (l *ledger) addSeen(ctx context.Context, target string, keys []string, begin bool) error {
	l.loading.Lock()
	defer l.loading.Unlock()
	for {
		if err := errors.Join(l.loadSeen(ctx), l.sight(target)); err != nil {
			return err
		}
		l.mu.Lock()
		s := cmp.Or(l.seen[target], &seen{})
		l.mu.Unlock()
		if begin && len(s.pages) > 0 {
			return errMoved
		}
		moved, err := l.writeSeen(ctx, target, s, keys)
		if err != nil {
			return err
		}
		if !moved {
			return l.loadSeen(ctx)
		}
	}
}

// writeSeen writes the pages that change, the first one last. It reports whether
// somebody else has written meanwhile.
func (l *ledger) writeSeen(ctx context.Context, target string, s *seen, keys []string) (moved bool, err error) {
	missing := slices.Compact(slices.Sorted(slices.Values(keys)))
	missing = slices.DeleteFunc(missing, func(key string) bool { return s.keys[key] })
	began := len(s.pages) > 0
	if began && len(missing) == 0 {
		return false, nil
	}
	next := slices.Clone(s.pages)
	changed := map[int]bool{}
	if !began {
		// Pages of a start that was cut off may lie there: they are in the way
		// of none of these, since they are read before they are written.
		next, changed[0] = []seenPage{{}}, true
	}
	for n := len(next) - 1; len(missing) > 0; n++ {
		if n == len(next) {
			next = append(next, seenPage{})
		}
		room := min(len(missing), maxSeen-len(next[n].Keys))
		if room > 0 {
			next[n].Keys = append(slices.Clone(next[n].Keys), missing[:room]...)
			missing, changed[n] = missing[room:], true
		}
	}
	for n := len(next) - 1; n >= 0; n-- {
		if !changed[n] {
			continue
		}
		if won, err := l.writePage(ctx, target, n, next[n], began || n == 0); err != nil || !won {
			return true, err
		}
	}
	return false, nil
}

// writePage writes a page; if it need not be as it was read, in place of
// whatever lies there.
func (l *ledger) writePage(ctx context.Context, target string, n int, page seenPage, asRead bool) (won bool, err error) {
	key := seenPrefix + target + "/" + strconv.Itoa(n)
	if !asRead {
		if page.raw, err = load(ctx, l.store, key); err != nil {
			return false, err
		}
	}
	page.version = page.version.next()
	_, won, err = swap(ctx, l.store, key, page.raw, page)
	return won, err
}
