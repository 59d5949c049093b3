// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package metrics shows Prometheus how an onion service is doing:
//
//	registry.MustRegister(metrics.Collector(metrics.Sources{
//		Service: func() *onion.Service { return service },
//	}))
//
// It has these, none of which says anything about a visitor:
//
//	onion_ready                             1 while visitors can come
//	onion_state{state}                      1 for the state that the service is in
//	onion_bootstrap_percent                 how far tor is on the way into its network
//	onion_restarts_total{cause}             how often tor was started again
//	onion_descriptor_uploads_total{result}  "uploaded", "failed"
//	onion_streams_open                      connections of visitors
//	onion_bytes_total{direction}            "received", "sent"
//	onion_circuits_limited_total            requests that [onion.CircuitLimits] has refused
//	onion_tor_info{version}                 always 1
//
// Labels come from closed sets, but for the version of tor. What should wake
// somebody up is onion_ready == 0 for ten minutes.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"xeiaso.net/site/onion"
)

// Sources are what is shown.
type Sources struct {
	// Service returns the service, or nil while there is none. It is required.
	Service func() *onion.Service
	// Limits returns how many requests were refused: [onion.CircuitLimits.Limited].
	// It may be nil.
	Limits func() uint64
}

// Collector returns a collector of what the sources say.
func Collector(s Sources) prometheus.Collector { return collector{s} }

type collector struct{ Sources }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	ready    = desc("onion_ready", "Whether visitors can come.")
	state    = desc("onion_state", "The state that the service is in.", "state")
	percent  = desc("onion_bootstrap_percent", "How far tor is on the way into its network.")
	restarts = desc("onion_restarts_total", "How often tor was started again.", "cause")
	uploads  = desc("onion_descriptor_uploads_total", "Descriptors that directories took, or not.", "result")
	streams  = desc("onion_streams_open", "Connections of visitors.")
	traffic  = desc("onion_bytes_total", "Bytes from and to visitors.", "direction")
	limited  = desc("onion_circuits_limited_total", "Requests that were refused because their circuit had too many.")
	version  = desc("onion_tor_info", "The version of tor.", "version")
)

var phases = []onion.Phase{
	onion.Stopped, onion.Starting, onion.Bootstrapping, onion.Publishing,
	onion.Ready, onion.Degraded, onion.Backoff, onion.Failed,
}

// Describe implements [prometheus.Collector].
func (collector) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ready, state, percent, restarts, uploads, streams, traffic, limited, version} {
		c <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	now, stats := onion.State{Phase: onion.Stopped}, onion.Stats{}
	if s := c.Service(); s != nil {
		now, stats = s.State(), s.Stats()
	}
	for _, p := range phases {
		gauge(state, one(now.Phase == p), string(p))
	}
	gauge(ready, one(now.Phase == onion.Ready))
	gauge(percent, progress(now))
	for _, cause := range onion.Causes() {
		count(restarts, stats.Restarts[cause], cause)
	}
	count(uploads, stats.Uploads, "uploaded")
	count(uploads, stats.FailedUploads, "failed")
	gauge(streams, float64(stats.StreamsOpen))
	count(traffic, stats.Received, "received")
	count(traffic, stats.Sent, "sent")
	if c.Limits != nil {
		count(limited, c.Limits())
	}
	if now.TorVersion != "" {
		gauge(version, 1, now.TorVersion)
	}
}

// progress is the percentage, which is over when the service is published.
func progress(s onion.State) float64 {
	switch s.Phase {
	case onion.Publishing, onion.Ready, onion.Degraded:
		return 100
	}
	return float64(s.Percent)
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
