// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package metrics_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/metrics"
)

func TestStatusIsShown(t *testing.T) {
	status := syndicate.Status{Targets: []syndicate.TargetStatus{{
		Name: "irc", Fault: "refused", Halted: true,
		Outbox: map[syndicate.State]int{syndicate.Parked: 2, syndicate.Forgotten: 9},
		Counts: map[syndicate.Outcome]int{syndicate.OutcomeRetried: 3, syndicate.OutcomeUnknown: 9},
	}}}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.Collector(func() syndicate.Status { return status }))
	want := `
# HELP syndicate_outbox Announcements, edits and removals that are recorded, by state.
# TYPE syndicate_outbox gauge
syndicate_outbox{state="attempting",target="irc"} 0
syndicate_outbox{state="confirmed",target="irc"} 0
syndicate_outbox{state="parked",target="irc"} 2
syndicate_outbox{state="planned",target="irc"} 0
# HELP syndicate_posts_total Announcements, edits and removals by what came of them.
# TYPE syndicate_posts_total counter
syndicate_posts_total{result="confirmed",target="irc"} 0
syndicate_posts_total{result="parked",target="irc"} 0
syndicate_posts_total{result="retried",target="irc"} 3
# HELP syndicate_target_failing Whether nothing can be sent to the target now.
# TYPE syndicate_target_failing gauge
syndicate_target_failing{target="irc"} 1
# HELP syndicate_target_halted Whether the target waits for a person.
# TYPE syndicate_target_halted gauge
syndicate_target_halted{target="irc"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func ExampleCollector() {
	registry := prometheus.NewRegistry()
	syndicator, err := syndicate.New(syndicate.Config{ /* … */ })
	if err != nil {
		return // a Store is required
	}
	registry.MustRegister(metrics.Collector(syndicator.Status))
}
