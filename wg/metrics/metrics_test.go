// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"xeiaso.net/site/wg"
	"xeiaso.net/site/wg/metrics"
)

func TestMetricsSayHowEachPeerIs(t *testing.T) {
	up, silent := wg.NewKey().Public(), wg.NewKey().Public()
	status := wg.Status{Peers: []wg.PeerStatus{
		{PublicKey: up, LastHandshake: time.Now().Add(-10 * time.Second), Sent: 1000, Received: 2000, State: wg.StateUp},
		{PublicKey: silent, Attempts: 7, State: wg.StateUnreachable},
	}}
	c := metrics.Collector(func() wg.Status { return status })
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
	want := strings.NewReplacer("UP", up.String(), "SILENT", silent.String()).Replace(`
# HELP wg_bytes_total Bytes to and from a peer, outside of the tunnel.
# TYPE wg_bytes_total counter
wg_bytes_total{direction="received",peer="SILENT"} 0
wg_bytes_total{direction="received",peer="UP"} 2000
wg_bytes_total{direction="sent",peer="SILENT"} 0
wg_bytes_total{direction="sent",peer="UP"} 1000
# HELP wg_peer_state The state that a peer is in.
# TYPE wg_peer_state gauge
wg_peer_state{peer="SILENT",state="handshaking"} 0
wg_peer_state{peer="SILENT",state="idle"} 0
wg_peer_state{peer="SILENT",state="stale"} 0
wg_peer_state{peer="SILENT",state="unreachable"} 1
wg_peer_state{peer="SILENT",state="up"} 0
wg_peer_state{peer="UP",state="handshaking"} 0
wg_peer_state{peer="UP",state="idle"} 0
wg_peer_state{peer="UP",state="stale"} 0
wg_peer_state{peer="UP",state="unreachable"} 0
wg_peer_state{peer="UP",state="up"} 1
`)
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "wg_bytes_total", "wg_peer_state"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(c, "wg_last_handshake_age_seconds"); n != 1 {
		t.Errorf("%d ages, want that of the peer that has answered", n)
	}
	status.Peers = status.Peers[:1]
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if age := f.GetMetric()[0].GetGauge().GetValue(); f.GetName() == "wg_last_handshake_age_seconds" && (age < 10 || age > 600) {
			t.Errorf("the age is %v, want some 10 seconds", age)
		}
	}
	status.Peers[0].LastHandshake = time.Now().Add(time.Hour) // the clock was set back
	if got := testutil.ToFloat64(only{c, "wg_last_handshake_age_seconds"}); got != 0 {
		t.Errorf("the age is %v", got)
	}
}

// only is a collector of one family.
type only struct {
	prometheus.Collector
	name string
}

// Collect implements [prometheus.Collector].
func (o only) Collect(out chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric, 100)
	o.Collector.Collect(all)
	close(all)
	for m := range all {
		if strings.Contains(m.Desc().String(), `"`+o.name+`"`) {
			out <- m
		}
	}
}

func TestWithoutATunnelThereAreNoMetrics(t *testing.T) {
	if n := testutil.CollectAndCount(metrics.Collector(func() wg.Status { return wg.Status{} })); n != 0 {
		t.Errorf("there are %d", n)
	}
}
