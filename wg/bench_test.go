// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// BenchmarkCancel is how long calls take to return when they are no longer wanted, in
// a tunnel whose peer does not answer.
func BenchmarkCancel(b *testing.B) {
	_, tun := pairOf(b) // the other end is not up
	cfg := tun.cfg.clone()
	cfg.DNS = []netip.Addr{netip.MustParseAddr("10.9.0.1")}
	if err := tun.Reconfigure(&cfg); err != nil {
		b.Fatal(err)
	}
	for name, call := range map[string]func(context.Context){
		"Up":     func(ctx context.Context) { tun.Up(ctx) },
		"Dial":   func(ctx context.Context) { tun.DialContext(ctx, "tcp", "10.9.0.1:80") },
		"Lookup": func(ctx context.Context) { tun.Resolver().LookupNetIP(ctx, "ip", "name.example") },
		"Ping":   func(ctx context.Context) { tun.Ping(ctx, netip.MustParseAddr("10.9.0.1")) },
	} {
		b.Run(name, func(b *testing.B) {
			var all []time.Duration
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				var at time.Time
				// When it waits: soon after it was called.
				timer := time.AfterFunc(20*time.Millisecond, func() {
					at = time.Now()
					cancel()
				})
				call(ctx)
				all = append(all, time.Since(at))
				timer.Stop()
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, "max-ms")
			b.ReportMetric(0, "ns/op") // is what is waited for
		})
	}
}
