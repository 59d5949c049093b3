// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// watched goes through time with a peer that the device tells of.
type watched struct {
	t     *testing.T
	w     watch
	state peerState
	now   time.Time
	tries []time.Duration // when handshakes were begun, since from
	anew  []bool
	from  time.Time
}

func newWatched(t *testing.T) *watched {
	now := time.Now()
	return &watched{t: t, now: now, from: now}
}

// pass lets time go by, and looks as often as the supervisor does.
func (x *watched) pass(d time.Duration, called bool) {
	for end := x.now.Add(d); x.now.Before(end); x.now = x.now.Add(lookEvery) {
		x.w.see(x.now, x.state)
		if due, anew := x.w.due(x.now, called); due {
			x.w.try(x.now)
			x.state.sent += 148
			x.tries = append(x.tries, x.now.Sub(x.from))
			x.anew = append(x.anew, anew)
		}
	}
}

func (x *watched) shake() {
	x.state.lastHandshake = x.now
	x.state.received += 92
	x.state.sent += 148
	x.pass(lookEvery, true)
	x.tries, x.anew, x.from = nil, nil, x.now
}

func TestTheFirstHandshakeIsBegunAnewAtGrowingGaps(t *testing.T) {
	x := newWatched(t)
	x.pass(40*time.Second, true)
	if !x.anew[0] {
		t.Error("a peer with keepalives was tried by the device when it was not known where it is, and is not called for 5 seconds")
	}
	gap := time.Duration(0)
	for i, at := range x.tries[1:] {
		if last := gap; at-x.tries[i] < firstGap || at-x.tries[i] < last || at-x.tries[i] > lastGap+lookEvery {
			t.Errorf("attempts are at %v", x.tries)
		}
		gap = at - x.tries[i]
		if !x.anew[i+1] {
			t.Error("the device would not send another one so soon")
		}
	}
	if x.tries[0] != 0 || len(x.tries) < 9 {
		t.Errorf("attempts are at %v", x.tries)
	}
	if !x.w.failing(x.now) {
		t.Error("all is well")
	}
	x.shake()
	if x.w.failing(x.now) || x.w.attempts != 0 {
		t.Error("all is not well")
	}
}

func TestAPeerThatComesToUsIsNotCalled(t *testing.T) {
	x := newWatched(t)
	x.pass(time.Minute, false)
	if len(x.tries) > 0 {
		t.Errorf("attempts are at %v", x.tries)
	}
}

func TestNothingIsDoneWhileThereIsNothingToSay(t *testing.T) {
	x := newWatched(t)
	x.shake()
	x.pass(10*time.Minute, true)
	if len(x.tries) > 0 {
		t.Errorf("attempts are at %v", x.tries)
	}
}

func TestKeepalivesNeedNoAnswer(t *testing.T) {
	x := newWatched(t)
	x.shake()
	for range 6 {
		x.state.sent += keepaliveLength
		x.pass(25*time.Second, true)
	}
	if len(x.tries) > 0 {
		t.Errorf("attempts are at %v", x.tries)
	}
}

func TestAPeerThatFallsSilentIsAskedAfterThreeSeconds(t *testing.T) {
	x := newWatched(t)
	x.shake()
	x.pass(time.Minute, true)
	x.from = x.now
	x.state.sent += 1000
	x.pass(30*time.Second, true)
	if len(x.tries) < 4 || x.tries[0] < silence || x.tries[0] > 3*time.Second {
		t.Fatalf("attempts are at %v", x.tries)
	}
	for i, at := range x.tries {
		if x.anew[i] {
			t.Error("keys that are alive were given up")
		}
		if i > 0 && at-x.tries[i-1] < calm {
			t.Errorf("attempts are at %v", x.tries)
		}
	}
}

// Who listens only, and says so every 10 seconds, as the protocol has it, is asked
// seldom.
func TestAPeerThatOnlyListensIsAskedSeldom(t *testing.T) {
	x := newWatched(t)
	x.shake()
	all := 0
	for i := range 600 { // a minute, ten packets a second
		x.state.sent += 1000
		x.pass(lookEvery, true)
		if i%100 == 99 {
			x.state.received += keepaliveLength
		}
		if len(x.tries) > 0 {
			all++
			x.shake()
		}
	}
	if all == 0 || all > 6 {
		t.Errorf("%d handshakes in a minute", all)
	}
	x.state.received += 1000
	x.pass(lookEvery, true)
	if x.w.patience != silence {
		t.Errorf("a peer that has something to say may be silent for %s", x.w.patience)
	}
}

func TestAPeerWithoutKeysIsAskedAtOnceAndAgainSoon(t *testing.T) {
	x := newWatched(t)
	x.shake()
	x.pass(rejectAfter, true)
	x.from = x.now
	x.state.sent += 148 // the device has something to send, and asks for keys
	x.pass(3*time.Second, true)
	if len(x.tries) < 3 || x.tries[0] < firstGap || x.tries[0] > time.Second || !x.anew[0] {
		t.Errorf("attempts are at %v, %v", x.tries, x.anew)
	}
}

func TestAJumpOfTheClockHasPeersAsked(t *testing.T) {
	for by, anew := range map[time.Duration]bool{20 * time.Second: false, time.Hour: true} {
		x := newWatched(t)
		x.shake()
		x.pass(time.Second, true)
		x.from = x.now
		x.w.doubt(x.now, by)
		x.pass(lookEvery, true)
		if len(x.tries) != 1 || x.tries[0] != 0 || x.anew[0] != anew {
			t.Errorf("after %s: attempts are at %v, %v", by, x.tries, x.anew)
		}
	}
	x := newWatched(t)
	x.w.doubt(x.now, time.Hour)
	x.pass(time.Second, false)
	if len(x.tries) != 0 {
		t.Errorf("one that was never heard of was asked at %v", x.tries)
	}
}

func TestAPeerThatIsMadeAnewIsSeenAnew(t *testing.T) {
	x := newWatched(t)
	x.shake()
	x.state = peerState{}
	x.pass(time.Second, true)
	if len(x.tries) == 0 {
		t.Error("it was not called")
	}
}

func TestWhereAPeerIsCalled(t *testing.T) {
	at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	a, b, c := at("192.0.2.1:1"), at("192.0.2.2:1"), at("192.0.2.3:1")
	none := netip.AddrPort{}
	for _, tt := range []struct {
		name    string
		e       endpoint
		present netip.AddrPort
		deaf    bool
		want    netip.AddrPort
	}{
		{"nothing is known", endpoint{}, none, false, none},
		{"it has come by itself", endpoint{}, a, true, a},
		{"the first time", endpoint{addrs: []netip.AddrPort{a, b}}, none, false, a},
		{"it is where it was", endpoint{addrs: []netip.AddrPort{a, b}}, b, false, b},
		{"it does not answer there", endpoint{addrs: []netip.AddrPort{a, b}}, b, true, a},
		{"nor there", endpoint{addrs: []netip.AddrPort{a, b}}, a, true, b},
		{"it has roamed", endpoint{addrs: []netip.AddrPort{a, b}}, c, false, c},
		{"it has roamed and is gone", endpoint{addrs: []netip.AddrPort{a, b}}, c, true, a},
		{"its name has moved", endpoint{addrs: []netip.AddrPort{b}, moved: true}, a, false, b},
		{"its name has moved, not it", endpoint{addrs: []netip.AddrPort{b, a}, moved: true}, a, false, a},
		{"it was configured to be elsewhere", endpoint{addrs: []netip.AddrPort{b}, fresh: true}, a, false, b},
	} {
		if got := tt.e.aim(tt.present, tt.deaf); got != tt.want {
			t.Errorf("%s: it is called at %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestNamesAreLookedUpSeldom(t *testing.T) {
	var e endpoint
	now := time.Now()
	var at []time.Duration
	for from := now; now.Sub(from) < 2*time.Minute; now = now.Add(lookEvery) {
		if e.wanted(now, "peer.example:1") {
			at = append(at, now.Sub(from))
			e.pending = false
		}
	}
	if len(at) < 4 || len(at) > 7 || at[0] != 0 || at[1] < resolveGap {
		t.Errorf("lookups are at %v", at)
	}
	if e.wanted(now.Add(time.Hour), "192.0.2.1:1") || len(e.addrs) != 1 || e.wanted(now.Add(time.Hour), "") {
		t.Error("an address was looked up")
	}
}

func TestLookupsThatFailAreTriedAgain(t *testing.T) {
	tun := &Tunnel{log: quiet(), peers: map[PublicKey]*peer{}}
	key := NewKey().Public()
	p := &peer{cfg: Peer{PublicKey: key, Endpoint: "peer.example:1"}}
	tun.peers[key] = p
	now := time.Now()
	for range 9 {
		if !p.endpoint.wanted(now, p.cfg.Endpoint) {
			t.Fatal("it is not looked up")
		}
		tun.takeIn(found{key, "peer.example:1", nil, errors.New("no such host")})
		if p.endpoint.gap < retryGap || p.endpoint.gap > lastResolveGap {
			t.Errorf("the next one is after %s", p.endpoint.gap)
		}
		now = now.Add(p.endpoint.gap)
	}
	if p.trouble() == nil || p.state(now) != StateUnreachable {
		t.Errorf("it is %s: %v", p.state(now), p.trouble())
	}
	tun.takeIn(found{key, "other.example:1", []netip.AddrPort{{}}, nil})
	if len(p.endpoint.addrs) > 0 {
		t.Error("what was found for another name was taken in")
	}
	tun.takeIn(found{key, "peer.example:1", []netip.AddrPort{{}}, nil})
	if len(p.endpoint.addrs) == 0 || p.trouble() != nil || p.endpoint.moved {
		t.Errorf("it is %v", p.endpoint)
	}
}
