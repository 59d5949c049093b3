// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package metrics shows Prometheus how a [syndicate.Syndicator] is doing:
//
//	registry.MustRegister(metrics.Collector(syndicator.Status))
//
// The metrics are
//
//	syndicate_posts_total{target,result}  results "confirmed", "parked", "retried", since the start
//	syndicate_outbox{target,state}        states "planned", "attempting", "confirmed", "parked", now
//	syndicate_target_failing{target}      1 while nothing can be sent there
//	syndicate_target_halted{target}       1 while that waits for a person
//
// The names of targets are the only labels that are not fixed. What should wake
// somebody up is syndicate_outbox{state="parked"} above 0, or a target that is
// halted, or failing for a day.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"xeiaso.net/site/syndicate"
)

// Collector returns a collector of what a status says.
func Collector(status func() syndicate.Status) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"target"}, labels...), nil)
	}
	return &collector{
		status:  status,
		posts:   desc("syndicate_posts_total", "Announcements, edits and removals by what came of them.", "result"),
		outbox:  desc("syndicate_outbox", "Announcements, edits and removals that are recorded, by state.", "state"),
		failing: desc("syndicate_target_failing", "Whether nothing can be sent to the target now."),
		halted:  desc("syndicate_target_halted", "Whether the target waits for a person."),
	}
}

type collector struct {
	status                         func() syndicate.Status
	posts, outbox, failing, halted *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.posts, c.outbox, c.failing, c.halted} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, t := range c.status().Targets {
		for _, o := range []syndicate.Outcome{syndicate.OutcomeConfirmed, syndicate.OutcomeParked, syndicate.OutcomeRetried} {
			ch <- prometheus.MustNewConstMetric(c.posts, prometheus.CounterValue, float64(t.Counts[o]), t.Name, string(o))
		}
		for _, s := range []syndicate.State{syndicate.Planned, syndicate.Attempting, syndicate.Confirmed, syndicate.Parked} {
			gauge(c.outbox, float64(t.Outbox[s]), t.Name, string(s))
		}
		gauge(c.failing, one(t.Fault != ""), t.Name)
		gauge(c.halted, one(t.Halted), t.Name)
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
