// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package metrics_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"xeiaso.net/site/internal/test/tornet"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/onion"
	"xeiaso.net/site/onion/metrics"
)

func TestMain(m *testing.M) { os.Exit(tornet.Main(m)) }

func TestWithoutAServiceNothingIsReady(t *testing.T) {
	c := metrics.Collector(metrics.Sources{Service: func() *onion.Service { return nil }})
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
	want := "# HELP onion_ready Whether visitors can come.\n# TYPE onion_ready gauge\nonion_ready 0\n"
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "onion_ready"); err != nil {
		t.Error(err)
	}
	if families, err := metrics.Gatherer(func() *onion.Service { return nil }).Gather(); err != nil || families != nil {
		t.Errorf("%v, %v", families, err)
	}
}

func TestMetricsOfAServiceThatRuns(t *testing.T) {
	n := tornet.Need(t)
	s, err := onion.New(onion.Config{Dir: t.TempDir(), Torrc: n.Torrc(), Metrics: true, Mode: onion.SingleHop})
	if err != nil {
		t.Fatal(err)
	}
	service := func() *onion.Service { return s }
	limits := &onion.CircuitLimits{Rate: onion.Rate{PerSecond: 1, Burst: 1}}
	limits.Allow(1, time.Now())
	limits.Allow(1, time.Now())
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.Collector(metrics.Sources{Service: service, Limits: limits.Limited}))
	if families, err := metrics.Gatherer(service).Gather(); err != nil || families != nil {
		t.Errorf("before tor runs: %v, %v", families, err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	wait.Until(t, "it is ready", func() bool { return s.State().Phase == onion.Ready })
	want := `
# HELP onion_ready Whether visitors can come.
# TYPE onion_ready gauge
onion_ready 1
# HELP onion_bootstrap_percent How far tor is on the way into its network.
# TYPE onion_bootstrap_percent gauge
onion_bootstrap_percent 100
# HELP onion_circuits_limited_total Requests that were refused because their circuit had too many.
# TYPE onion_circuits_limited_total counter
onion_circuits_limited_total 1
# HELP onion_tor_info The version of tor.
# TYPE onion_tor_info gauge
onion_tor_info{version="` + s.State().TorVersion + `"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "onion_ready", "onion_bootstrap_percent", "onion_circuits_limited_total", "onion_tor_info"); err != nil {
		t.Error(err)
	}
	families, err := metrics.Gatherer(service).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	for _, name := range []string{"tor_hs_intro_established_count", "tor_hs_rdv_established_count"} {
		if !slices.Contains(names, name) {
			t.Errorf("tor does not tell %s, but %q", name, names)
		}
	}
	if _, err := (prometheus.Gatherers{registry, metrics.Gatherer(service)}).Gather(); err != nil {
		t.Error(err)
	}
}
