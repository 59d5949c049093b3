// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package metrics shows Prometheus how a tunnel is doing:
//
//	registry.MustRegister(metrics.Collector(tunnel.Status))
//
// Of each peer of the configuration, which its public key names:
//
//	wg_last_handshake_age_seconds{peer}  since the peer has answered last; none if it never has
//	wg_bytes_total{peer,direction}       "sent", "received", outside of the tunnel
//	wg_peer_state{peer,state}            1 for the state that the peer is in, see [wg.State]
//
// What should wake somebody up is wg_peer_state{state="unreachable"} == 1 for some
// minutes. The age rises while nothing is said: keys are made anew every two minutes
// if there is something to say, and are of no use after three.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"xeiaso.net/site/wg"
)

// Collector returns a collector of what status says. It is [wg.Tunnel.Status], or a
// func that returns nothing while there is no tunnel.
func Collector(status func() wg.Status) prometheus.Collector { return collector{status} }

type collector struct{ status func() wg.Status }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	age     = desc("wg_last_handshake_age_seconds", "Time since a peer has answered last.", "peer")
	traffic = desc("wg_bytes_total", "Bytes to and from a peer, outside of the tunnel.", "peer", "direction")
	state   = desc("wg_peer_state", "The state that a peer is in.", "peer", "state")
)

var states = []wg.State{wg.StateIdle, wg.StateHandshaking, wg.StateUp, wg.StateStale, wg.StateUnreachable}

// Describe implements [prometheus.Collector].
func (collector) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{age, traffic, state} {
		c <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(out chan<- prometheus.Metric) {
	add := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for _, p := range c.status().Peers {
		peer := p.PublicKey.String()
		if !p.LastHandshake.IsZero() {
			// The clock may have been set back since.
			add(age, prometheus.GaugeValue, max(0, time.Since(p.LastHandshake).Seconds()), peer)
		}
		add(traffic, prometheus.CounterValue, float64(p.Sent), peer, "sent")
		add(traffic, prometheus.CounterValue, float64(p.Received), peer, "received")
		for _, s := range states {
			add(state, prometheus.GaugeValue, one(p.State == s), peer, string(s))
		}
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
