// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import "time"

// How peers are watched.
const (
	// firstGap is until a handshake that was not answered is begun anew; the device
	// itself waits for 5 seconds. It doubles each time: what is begun anew cannot be
	// answered any more, so the gap must become longer than the way there and back.
	firstGap = 250 * time.Millisecond
	lastGap  = 5 * time.Second
	// silence is for how long nothing may come from a peer that was sent something.
	// With it, the handshake is done when TCP tries to connect for the third time,
	// after 3 seconds; the fourth time would be after 7.
	silence = 2500 * time.Millisecond
	// longSilence is for a peer that answers handshakes, and nothing else: it is well,
	// and has nothing to say. It lets us know after 10 seconds, as all peers do.
	longSilence = 15 * time.Second
	// calm is for how long after a handshake none is begun. The device ignores
	// attempts that come more often, see RekeyTimeout.
	calm = 5 * time.Second
	// rejectAfter is how long the keys of a handshake are good for: RejectAfterTime
	// of the protocol.
	rejectAfter = 180 * time.Second

	keepaliveLength = 32 // bytes of a message without content
)

// watch is what is remembered of a peer between two looks at it.
type watch struct {
	last        peerState
	shook       time.Time     // when a handshake was seen; zero: never
	attempts    int           // since then
	tried       time.Time     // the last of them
	gap         time.Duration // from it to the next
	silentSince time.Time     // since when what was sent has had no answer; zero: it has
	patience    time.Duration // how long that may be
	problem     error         // of an attempt, until something can be sent
}

// see takes in how a peer is now, and reports whether there was a handshake.
func (w *watch) see(now time.Time, s peerState) (shook bool) {
	if s.sent < w.last.sent || s.received < w.last.received { // the device has it anew
		*w = watch{problem: w.problem}
	}
	if w.patience == 0 {
		w.gap, w.patience = firstGap, silence
	}
	shook = !s.lastHandshake.IsZero() && !s.lastHandshake.Equal(w.last.lastHandshake)
	sent, received := s.sent-w.last.sent, s.received-w.last.received
	w.last = s
	if sent > 0 {
		w.problem = nil
	}
	if shook {
		if w.attempts > 0 && w.alive(now) { // it was only silent
			w.patience = min(2*w.patience, longSilence)
		}
		w.shook, w.attempts, w.gap, w.problem = now, 0, firstGap, nil
	}
	switch {
	case received > 0:
		w.silentSince = time.Time{}
		if !shook && received != keepaliveLength {
			w.patience = silence
		}
	case sent > 0 && sent != keepaliveLength && w.silentSince.IsZero():
		w.silentSince = now // who gets nothing but a keepalive need not answer
	}
	return shook
}

// doubt has a peer that was spoken with be called: the clock has jumped.
func (w *watch) doubt(now time.Time, by time.Duration) {
	if w.shook.IsZero() {
		return
	}
	w.silentSince, w.tried, w.shook = now.Add(-longSilence), time.Time{}, now.Add(-calm)
	if by >= rejectAfter {
		w.shook = now.Add(-rejectAfter) // the keys were good for that long
	}
}

// alive reports whether the keys of the last handshake are still good.
func (w *watch) alive(now time.Time) bool {
	return !w.shook.IsZero() && now.Sub(w.shook) < rejectAfter
}

// failing reports whether the peer does not answer as far as can be told.
func (w *watch) failing(now time.Time) bool {
	return w.attempts > 0 || !w.alive(now)
}

// due reports whether a handshake should be attempted now. If so, anew tells whether
// one that is under way can be given up, and the keys of the last one, too. Keys that
// are alive never are: who only listens is well.
func (w *watch) due(now time.Time, called bool) (due, anew bool) {
	switch {
	case w.shook.IsZero() && called:
		// The device may have tried before it knew where, and would not again.
		return now.Sub(w.tried) >= w.gap, true
	case w.silentSince.IsZero():
		return false, false
	case !w.alive(now): // the device has made the first attempt when it had something to send
		return now.Sub(w.silentSince) >= w.gap && now.Sub(w.tried) >= w.gap, true
	}
	return now.Sub(w.silentSince) >= w.patience && now.Sub(w.shook) >= calm && now.Sub(w.tried) >= calm, false
}

// try takes down that one is made.
func (w *watch) try(now time.Time) {
	if w.attempts > 0 || !w.shook.IsZero() { // else it is the first
		w.gap = min(2*w.gap, lastGap)
	}
	w.tried = now
	w.attempts++
}
