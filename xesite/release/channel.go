// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

// Pointer is what a channel's file holds: the one thing that changes when a
// release is published.
type Pointer struct {
	Release ID `json:"release"`
	// Sequence numbers the publications of a channel from 1. It rises on a
	// rollback too, so a reader never goes back to a lower one.
	Sequence uint64 `json:"sequence"`
	// Fence is the number of the lease under which it was published. A
	// publication under a lower one is refused.
	Fence uint64 `json:"fence"`
}

// Publication is the record of one publication on a channel.
type Publication struct {
	Pointer
	Commit      string    `json:"commit,omitempty"` // revision of the source, if it has one
	Build       uint64    `json:"build,omitempty"`  // number of the build
	Reason      string    `json:"reason,omitempty"` // what caused it: "github", "rollback", …
	PublishedAt time.Time `json:"published_at"`
	// Modified has, for each file of the index, the Unix time of the
	// publication in which its path last changed.
	Modified []int64 `json:"modified"`
	// Purged are paths that must not be served from earlier releases.
	Purged []Purged `json:"purged,omitempty"`
}

// Purged is a path, or all that begin like it if it ends in an asterisk, that
// must not be served from publications before Sequence.
type Purged struct {
	Path     string    `json:"path"` // begins with a slash
	Sequence uint64    `json:"sequence"`
	At       time.Time `json:"at"`
}

// IsPurged reports whether a path must not be served from the publication with
// a lower sequence.
func (p *Publication) IsPurged(path string, sequence uint64) bool {
	return slices.ContainsFunc(p.Purged, func(u Purged) bool {
		prefix, all := strings.CutSuffix(u.Path, "*")
		return sequence < u.Sequence && (path == u.Path || all && strings.HasPrefix(path, prefix))
	})
}

// PublishOptions say what to publish.
type PublishOptions struct {
	Release ID
	Commit  string
	Build   uint64
	Reason  string
	Fence   uint64
	// Purge has paths that must not be served from earlier publications any
	// more, see [Purged].
	Purge []string
	// Time of the publication. If zero, now. It is moved forward where it
	// would lie before the previous publication.
	Time time.Time
}

// CheckChannel reports whether name can be that of a channel: 1 to 63 lower
// case letters, digits and hyphens, the form of a DNS label.
func CheckChannel(name string) error {
	if name == "" || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("release: channel name %q: want 1 to 63 of a-z, 0-9 and -", name)
	}
	return nil
}

// Publish makes a release the current one of a channel. It returns [ErrFenced]
// if somebody with a higher fence has published before.
//
// Any other error means that the outcome is unknown: read the pointer.
func (s *Store) Publish(ctx context.Context, channel string, opts PublishOptions) (*Publication, error) {
	if err := CheckChannel(channel); err != nil {
		return nil, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	x, err := s.readIndex(opts.Release)
	if err != nil {
		return nil, err
	}
	prev, err := s.previous(channel)
	if err != nil {
		return nil, err
	}
	if prev.Fence > opts.Fence {
		return nil, fmt.Errorf("release: publish %s on %s with fence %d after %d: %w",
			opts.Release.Short(), channel, opts.Fence, prev.Fence, ErrFenced)
	}
	pub := s.next(prev, x, opts)
	return pub, s.commit(channel, pub)
}

// next returns the publication that follows prev.
func (s *Store) next(prev *Publication, x *Index, opts PublishOptions) *Publication {
	at := opts.Time
	if at.IsZero() {
		at = time.Now()
	}
	if at.Before(prev.PublishedAt) { // the clock was set back
		at = prev.PublishedAt
	}
	pub := &Publication{
		Pointer: Pointer{opts.Release, prev.Sequence + 1, opts.Fence},
		Commit:  opts.Commit, Build: opts.Build, Reason: opts.Reason,
		PublishedAt: at.UTC(),
		Modified:    make([]int64, len(x.Files)),
		Purged:      purged(prev, opts.Purge, at.UTC()),
	}
	old, err := s.readIndex(prev.Release)
	if err != nil || len(old.Files) != len(prev.Modified) {
		old = &Index{} // the first publication, or a lost record: all is new
	}
	for i, f := range x.Files {
		pub.Modified[i] = at.Unix()
		j, ok := old.Find(f.Path)
		switch {
		case ok && old.Files[j] == f:
			pub.Modified[i] = prev.Modified[j]
		case ok:
			// Two versions within a second would have one date between them.
			pub.Modified[i] = max(at.Unix(), prev.Modified[j]+1)
		}
	}
	return pub
}

// purgedFor is how long a publication record carries what was purged: longer
// than anything of earlier releases is served.
const purgedFor = 90 * 24 * time.Hour

// maxPurged is how many paths are purged one by one. More than that stand for
// all.
const maxPurged = 1000

// purged returns what is purged as of the publication after prev.
func purged(prev *Publication, paths []string, at time.Time) (all []Purged) {
	for _, u := range prev.Purged {
		if at.Sub(u.At) < purgedFor && !slices.Contains(paths, u.Path) {
			all = append(all, u)
		}
	}
	for _, path := range paths {
		all = append(all, Purged{path, prev.Sequence + 1, at})
	}
	if len(all) > maxPurged {
		return []Purged{{"/*", prev.Sequence + 1, at}}
	}
	return all
}

// commit writes the record, then the pointer.
func (s *Store) commit(channel string, pub *Publication) error {
	if err := atomicfile.MkdirAll(s.channelPath(channel)+".d", 0o755); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	record, err := json.Marshal(pub)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	pointer, err := json.Marshal(pub.Pointer)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if err := atomicfile.Write(s.recordPath(channel, pub.Sequence), record, 0o644); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if err := atomicfile.Write(s.channelPath(channel), append(pointer, '\n'), 0o644); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// previous returns the record that the pointer names, one with no release if
// nothing was published, or only the pointer if its record is lost.
func (s *Store) previous(channel string) (*Publication, error) {
	p, err := s.Pointer(channel)
	if errors.Is(err, ErrNoRelease) {
		return &Publication{Pointer: p}, nil
	}
	if err != nil {
		return nil, err
	}
	pub, err := s.Publication(channel, p.Sequence)
	if err != nil {
		return &Publication{Pointer: p}, nil
	}
	return pub, nil
}

// Pointer reads the pointer of a channel: one small file. The error is
// [ErrNoRelease] if nothing was ever published.
//
// A pointer that cannot be read is replaced by the newest record: records are
// written first, so at worst a publication counts that was about to.
func (s *Store) Pointer(channel string) (Pointer, error) {
	if err := CheckChannel(channel); err != nil {
		return Pointer{}, err
	}
	var p Pointer
	b, err := os.ReadFile(s.channelPath(channel))
	if err == nil {
		if err = json.Unmarshal(b, &p); err == nil && p.Release.Valid() && p.Sequence > 0 {
			return p, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Pointer{}, fmt.Errorf("release: %w", err)
	}
	sequences, err := s.sequences(channel)
	if err != nil {
		return Pointer{}, err
	}
	for _, n := range slices.Backward(sequences) {
		if pub, err := s.Publication(channel, n); err == nil {
			return pub.Pointer, nil
		}
	}
	return Pointer{}, fmt.Errorf("release: channel %s: %w", channel, ErrNoRelease)
}

// Publication reads one record.
func (s *Store) Publication(channel string, sequence uint64) (*Publication, error) {
	b, err := os.ReadFile(s.recordPath(channel, sequence))
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	var pub Publication
	if err := json.Unmarshal(b, &pub); err != nil {
		return nil, fmt.Errorf("release: publication %d of %s: %w", sequence, channel, err)
	}
	if pub.Sequence != sequence || !pub.Release.Valid() {
		return nil, fmt.Errorf("release: publication %d of %s: %w: it is a record of another", sequence, channel, ErrCorrupt)
	}
	return &pub, nil
}

// Publications returns the records of a channel that are kept, newest first.
// Records that cannot be read are left out.
func (s *Store) Publications(channel string) ([]*Publication, error) {
	sequences, err := s.sequences(channel)
	if err != nil {
		return nil, err
	}
	var pubs []*Publication
	for _, n := range slices.Backward(sequences) {
		if pub, err := s.Publication(channel, n); err == nil {
			pubs = append(pubs, pub)
		}
	}
	return pubs, nil
}

// sequences returns the numbers of the records, rising.
func (s *Store) sequences(channel string) ([]uint64, error) {
	entries, err := os.ReadDir(s.channelPath(channel) + ".d")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	var ns []uint64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if n, err := strconv.ParseUint(name, 10, 64); ok && err == nil {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns, nil
}

// Load opens what a channel should serve: the release that its pointer names,
// or, if that one is corrupt, the newest earlier one that is whole. In the
// latter case err tells what is wrong although a release is returned. The
// error is [ErrNoRelease] if there is nothing to serve.
func (s *Store) Load(ctx context.Context, channel string) (*Release, *Publication, error) {
	p, err := s.Pointer(channel)
	if err != nil {
		return nil, nil, err
	}
	sequences, err := s.sequences(channel)
	if err != nil {
		return nil, nil, err
	}
	// A record above the pointer was written, but its pointer was not.
	sequences = slices.DeleteFunc(sequences, func(n uint64) bool { return n >= p.Sequence })
	var faults []error
	for _, n := range slices.Backward(append(sequences, p.Sequence)) {
		pub, err := s.Publication(channel, n)
		if err != nil {
			faults = append(faults, err)
			if n != p.Sequence {
				continue
			}
			pub = &Publication{Pointer: p} // it says what to serve; times are lost
		}
		r, err := s.Release(ctx, pub.Release)
		if err == nil {
			return r, pub, errors.Join(faults...)
		}
		faults = append(faults, err)
	}
	return nil, nil, errors.Join(append(faults, fmt.Errorf("release: channel %s: %w", channel, ErrNoRelease))...)
}

// Channels lists the channels that were ever published on and not removed.
func (s *Store) Channels() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "channels"))
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".d"); CheckChannel(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Remove removes a channel. Its releases go with the next [Store.Collect].
func (s *Store) Remove(ctx context.Context, channel string) error {
	if err := CheckChannel(channel); err != nil {
		return err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	// The pointer last: a pointer that is missing is made of the records.
	if err := os.RemoveAll(s.channelPath(channel) + ".d"); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if err := os.Remove(s.channelPath(channel)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// Prune removes the records of a channel beyond the newest keep, the pointer's
// own excepted, and returns the releases that the remaining ones name. Records
// of what was current less than grace ago stay: other instances may still be
// serving it.
func (s *Store) Prune(channel string, keep int, grace time.Duration) ([]ID, error) {
	pubs, err := s.Publications(channel)
	if err != nil {
		return nil, err
	}
	p, err := s.Pointer(channel)
	if err != nil && !errors.Is(err, ErrNoRelease) {
		return nil, err
	}
	var ids []ID
	var errs []error
	replaced := false // the publication after this one is recent
	for _, pub := range pubs {
		path := s.recordPath(channel, pub.Sequence)
		again := slices.Contains(ids, pub.Release)
		recent := !s.expired(path, grace)
		if pub.Sequence == p.Sequence || (len(ids) < keep && !again) || recent || replaced {
			if !again {
				ids = append(ids, pub.Release)
			}
		} else {
			errs = append(errs, os.Remove(path))
		}
		replaced = recent
	}
	return ids, errors.Join(errs...)
}

func (s *Store) readIndex(id ID) (*Index, error) {
	if !id.Valid() {
		return nil, fmt.Errorf("release: %q is not the name of a release", id)
	}
	b, err := os.ReadFile(s.indexPath(id))
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return DecodeIndex(b)
}

func (s *Store) channelPath(channel string) string {
	return filepath.Join(s.dir, "channels", channel)
}

func (s *Store) recordPath(channel string, sequence uint64) string {
	return filepath.Join(s.channelPath(channel)+".d", strconv.FormatUint(sequence, 10)+".json")
}
