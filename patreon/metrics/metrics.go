// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package metrics shows Prometheus how the parts of package patreon are doing:
//
//	registry.MustRegister(metrics.Collector(metrics.Sources{
//		Keeper:   keeper.Status,
//		Webhooks: handler.Deliveries,
//	}))
//
// Of a [patreon.Keeper]:
//
//	patreon_token_expires_seconds          until the access token ends; negative: since
//	patreon_token_generation               rises with each refresh
//	patreon_lineage_lost                   1 once somebody has to seed again
//	patreon_token_unsaved                  1 while the store does not take the tokens
//	patreon_token_refreshes_total{result}  "refreshed", "failed", "refused"
//	patreon_token_refresh_seconds          how long the last call of the token endpoint took
//	patreon_token_intent_age_seconds       of a refresh that has not ended; 0: there is none
//	patreon_store_errors_total             what the store did not do
//	patreon_clock_skew_seconds             Patreon's clock less the local one
//
// Of a [patreon.TokenServer], a [patreon.WebhookHandler] and [patreon.Supporters]:
//
//	patreon_server_requests_total{client,path,code}
//	patreon_webhook_deliveries_total{trigger,result}
//	patreon_supporters                     how many are on the list
//	patreon_supporters_age_seconds         since Patreon was last read as a whole
//
// Labels come from closed sets; names of clients are those of the configuration.
// What should wake somebody up is patreon_lineage_lost == 1, and
// patreon_token_expires_seconds below five days.
package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"xeiaso.net/site/patreon"
)

// Sources are what is shown. Any may be nil.
type Sources struct {
	// Keeper is [patreon.Keeper.Status].
	Keeper func() patreon.Status
	// Requests is [patreon.TokenServer.Requests].
	Requests func() map[patreon.Asked]uint64
	// Webhooks is [patreon.WebhookHandler.Deliveries].
	Webhooks func() map[patreon.Delivery]uint64
	// Supporters is [patreon.Supporters.List].
	Supporters func() (patreon.SupporterList, error)
}

// Collector returns a collector of what the sources say.
func Collector(s Sources) prometheus.Collector { return collector{s} }

type collector struct{ Sources }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	expires    = desc("patreon_token_expires_seconds", "Time until the access token ends.")
	generation = desc("patreon_token_generation", "Number of the pair of tokens.")
	lost       = desc("patreon_lineage_lost", "Whether somebody has to seed the tokens again.")
	unsaved    = desc("patreon_token_unsaved", "Whether the store does not take the tokens.")
	refreshes  = desc("patreon_token_refreshes_total", "Calls of the token endpoint by what came of them.", "result")
	duration   = desc("patreon_token_refresh_seconds", "How long the last call of the token endpoint took.")
	intent     = desc("patreon_token_intent_age_seconds", "Age of a refresh that has not ended.")
	storeFails = desc("patreon_store_errors_total", "What the store of the tokens did not do.")
	skew       = desc("patreon_clock_skew_seconds", "Patreon's clock less the local one.")
	requests   = desc("patreon_server_requests_total", "Requests to the token server.", "client", "path", "code")
	deliveries = desc("patreon_webhook_deliveries_total", "Deliveries of webhooks by what became of them.", "trigger", "result")
	supporters = desc("patreon_supporters", "How many supporters are on the list.")
	age        = desc("patreon_supporters_age_seconds", "Time since Patreon was last read as a whole.")
)

// Describe implements [prometheus.Collector].
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		expires, generation, lost, unsaved, refreshes, duration, intent, storeFails, skew,
		requests, deliveries, supporters, age,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(ch chan<- prometheus.Metric) {
	if c.Keeper != nil {
		collectKeeper(ch, c.Keeper())
	}
	if c.Requests != nil {
		for kind, n := range c.Requests() {
			counter(ch, requests, n, kind.Client, kind.Path, strconv.Itoa(kind.Code))
		}
	}
	if c.Webhooks != nil {
		for kind, n := range c.Webhooks() {
			counter(ch, deliveries, n, string(kind.Trigger), kind.Result)
		}
	}
	if c.Supporters != nil {
		if list, err := c.Supporters(); err == nil {
			gauge(ch, supporters, float64(len(list.Supporters)))
			if !list.At.IsZero() {
				gauge(ch, age, time.Since(list.At).Seconds())
			}
		}
	}
}

func collectKeeper(ch chan<- prometheus.Metric, s patreon.Status) {
	gauge(ch, lost, one(s.State == "lost"))
	gauge(ch, unsaved, one(s.State == "unsaved"))
	counter(ch, refreshes, s.Refreshed, "refreshed")
	counter(ch, refreshes, s.Failed, "failed")
	counter(ch, refreshes, s.Refused, "refused")
	counter(ch, storeFails, s.StoreErrors)
	gauge(ch, duration, s.LastCall.Seconds())
	gauge(ch, skew, s.ClockSkew.Seconds())
	if s.Generation == 0 {
		return // there are no tokens
	}
	gauge(ch, generation, float64(s.Generation))
	gauge(ch, expires, time.Until(s.ExpiresAt).Seconds())
	since := 0.0
	if !s.IntentAt.IsZero() {
		since = max(0, time.Since(s.IntentAt).Seconds())
	}
	gauge(ch, intent, since)
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
