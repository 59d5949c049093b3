// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/tun"
)

// A path is a wire that takes time, loses packets and lets some be late.
type path struct {
	quality
	free          time.Time // when the wire has sent what is queued
	queue         arrivals
	in            chan arrival
	from, to      tun.Device
	random        *rand.Rand
	numberOfSends int
}

// quality is how good a path is.
type quality struct {
	delay      time.Duration
	lost, late float64 // share of packets
	// If not 0, a router is in between that passes on so many bytes in a second, and
	// drops what would have to wait for longer than that.
	rate float64
	wait time.Duration
}

type arrival struct {
	at     time.Time
	number int // keeps the order of equal times
	packet []byte
}

// arrivals is a heap, the earliest first.
type arrivals []arrival

func (a arrivals) Len() int { return len(a) }
func (a arrivals) Less(i, j int) bool {
	return cmp.Or(a[i].at.Compare(a[j].at), cmp.Compare(a[i].number, a[j].number)) < 0
}
func (a arrivals) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(x any)   { *a = append(*a, x.(arrival)) }
func (a *arrivals) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// send takes packets off one device until it is closed.
func (p *path) send() {
	defer close(p.in)
	bufs, sizes := make([][]byte, 64), make([]int, 64)
	for i := range bufs {
		bufs[i] = make([]byte, 65535)
	}
	for {
		n, err := p.from.Read(bufs, sizes, 0)
		if err != nil {
			return
		}
		now := time.Now()
		for i := range n {
			leaves, passes := p.pass(now, sizes[i])
			if p.random.Float64() < p.lost || !passes {
				continue
			}
			p.numberOfSends++
			a := arrival{leaves.Add(p.delay), p.numberOfSends, append([]byte(nil), bufs[i][:sizes[i]]...)}
			if p.random.Float64() < p.late {
				a.at = a.at.Add(p.delay / 5)
			}
			p.in <- a
		}
	}
}

// pass is when a packet leaves the router, if it does.
func (p *path) pass(now time.Time, size int) (time.Time, bool) {
	if p.rate == 0 {
		return now, true
	}
	if p.free.Before(now) {
		p.free = now
	}
	if p.free.Sub(now) > p.wait {
		return now, false
	}
	p.free = p.free.Add(time.Duration(float64(size) / p.rate * float64(time.Second)))
	return p.free, true
}

// receive delivers to the other device what is due.
func (p *path) receive() {
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for {
		if len(p.queue) > 0 {
			due.Reset(time.Until(p.queue[0].at))
		}
		select {
		case a, ok := <-p.in:
			if !ok {
				return
			}
			heap.Push(&p.queue, a)
		case now := <-due.C:
			var packets [][]byte
			for len(p.queue) > 0 && !p.queue[0].at.After(now) {
				packets = append(packets, heap.Pop(&p.queue).(arrival).packet)
			}
			_, _ = p.to.Write(packets, 0)
		}
	}
}

// overPath measures Mbit/s of one stream over a bad path.
func overPath(q quality, size int) func(*testing.B, variant) float64 {
	var round uint64
	return func(b *testing.B, v variant) (speed float64) {
		round++
		from, to := v.make(b)
		var all sync.WaitGroup
		for i, d := range [][2]*host{{from, to}, {to, from}} {
			p := &path{quality: q, from: d[0].device, to: d[1].device, in: make(chan arrival, 4096), random: rand.New(rand.NewPCG(round, uint64(i)))}
			all.Go(p.send)
			all.Go(p.receive)
		}
		dialed, accepted := through(b, from, to, b4, 80)
		begin := time.Now()
		pump(b, []net.Conn{dialed}, []net.Conn{accepted}, size)
		speed = float64(size) * 8 / time.Since(begin).Seconds() / 1e6
		from.device.Close()
		to.device.Close()
		all.Wait()
		return speed
	}
}

// BenchmarkBadPath compares detection of losses over paths with 30 ms there and
// back.
func BenchmarkBadPath(b *testing.B) {
	const delay = 15 * time.Millisecond
	compare(b, []measure{
		{"0ms+1%lost", overPath(quality{lost: 0.01}, 1<<20)},
		{"30ms", overPath(quality{delay: delay}, 64<<20)},
		{"30ms+1%lost", overPath(quality{delay: delay, lost: 0.01}, 4<<20)},
		{"30ms+2%late", overPath(quality{delay: delay, late: 0.02}, 4<<20)},
		{"30ms+1%lost+2%late", overPath(quality{delay: delay, lost: 0.01, late: 0.02}, 4<<20)},
		{"30ms+20Mbit+30msqueue", overPath(quality{delay: delay, rate: 20e6 / 8, wait: 30 * time.Millisecond}, 4<<20)},
		{"30ms+100Mbit+10msqueue", overPath(quality{delay: delay, rate: 100e6 / 8, wait: 10 * time.Millisecond}, 16<<20)},
		{"2ms+20Mbit+5msqueue", overPath(quality{delay: time.Millisecond, rate: 20e6 / 8, wait: 5 * time.Millisecond}, 4<<20)},
	}, []variant{
		byDefault, ours("RACK", Config{RACK: true}),
	})
}
