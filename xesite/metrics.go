// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the site's own counters. Their labels come from closed sets.
type metrics struct {
	site      *Site
	builds    map[Result]prometheus.Counter
	duration  prometheus.Histogram
	triggers  map[string]prometheus.Counter
	success   prometheus.Gauge
	requests  *prometheus.CounterVec
	buildsVec *prometheus.CounterVec
	trigVec   *prometheus.CounterVec

	releaseInfo, dataAge, builder *prometheus.Desc
}

// countedResults are the values of the label result.
var countedResults = []Result{ResultPublished, ResultUnchanged, ResultFailed, ResultSuperseded, ResultRejected}

func newMetrics(s *Site) *metrics {
	m := &metrics{
		site: s,
		buildsVec: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xesite_builds_total", Help: "Builds that ended, by how.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "xesite_build_duration_seconds", Help: "Time from the start of a build to its end.",
			Buckets: prometheus.ExponentialBuckets(0.1, 2, 14),
		}),
		trigVec: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xesite_triggers_total", Help: "Reasons to look for something new, by where they came from.",
		}, []string{"source"}),
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "xesite_last_success_timestamp_seconds", Help: "When the last build ended that published or found nothing changed.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xesite_http_requests_total", Help: "Requests answered, by listener, method and status.",
		}, []string{"listener", "method", "code"}),
		releaseInfo: prometheus.NewDesc("xesite_release_info", "What is served; always 1.", []string{"release", "commit"}, nil),
		dataAge:     prometheus.NewDesc("xesite_data_age_seconds", "Age of the last good value of a data file.", []string{"file"}, nil),
		builder:     prometheus.NewDesc("xesite_builder", "1 on the instance that builds, 0 on those that only serve.", nil, nil),
		builds:      map[Result]prometheus.Counter{},
		triggers:    map[string]prometheus.Counter{},
	}
	// All series exist from the start, at zero: a rate over one that appears
	// with its first failure misses that failure.
	for _, r := range countedResults {
		m.builds[r] = m.buildsVec.WithLabelValues(string(r))
	}
	for _, source := range sources {
		m.triggers[source] = m.trigVec.WithLabelValues(source)
	}
	return m
}

// Collector returns the site's metrics, to be registered once:
//
//	registry.MustRegister(site.Collector())
func (s *Site) Collector() prometheus.Collector { return s.metrics }

func (m *metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.buildsVec, m.duration, m.trigVec, m.success, m.requests}
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.parts() {
		c.Describe(ch)
	}
	ch <- m.releaseInfo
	ch <- m.dataAge
	ch <- m.builder
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.parts() {
		c.Collect(ch)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if cur, err := m.site.Current(); err == nil {
		gauge(m.releaseInfo, 1, string(cur.Release), cur.Commit)
	}
	for _, f := range m.site.cfg.DataFiles {
		if info, err := os.Stat(m.site.data.file(f)); err == nil {
			gauge(m.dataAge, time.Since(info.ModTime()).Seconds(), f.Path)
		}
	}
	_, mine := m.site.lease.holder()
	gauge(m.builder, map[bool]float64{true: 1}[mine])
}

// built counts a build.
func (m *metrics) built(b Build) {
	m.builds[b.Result].Inc()
	m.duration.Observe(b.Seconds)
	if b.ok() && b.Channel == "" {
		m.success.SetToCurrentTime()
	}
}

// methods are the values of the label method.
var methods = [...]string{http.MethodGet, http.MethodHead, http.MethodPost, "other"}

func methodIndex(method string) int {
	for i, m := range methods[:len(methods)-1] {
		if m == method {
			return i
		}
	}
	return len(methods) - 1
}

// requestCounters are the counters of one listener, resolved at their first
// use, so that a request finds its own without a lock or an allocation.
type requestCounters struct {
	vec      *prometheus.CounterVec
	listener string
	mu       sync.Mutex // held while a counter is resolved
	slots    [len(methods)][600]atomic.Pointer[prometheus.Counter]
}

func (c *requestCounters) count(method string, status int) {
	if status < 100 || status >= 600 {
		status = http.StatusInternalServerError
	}
	slot := &c.slots[methodIndex(method)][status]
	counter := slot.Load()
	if counter == nil {
		counter = c.resolve(slot, method, status)
	}
	(*counter).Inc()
}

func (c *requestCounters) resolve(slot *atomic.Pointer[prometheus.Counter], method string, status int) *prometheus.Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	counter := c.vec.WithLabelValues(c.listener, methods[methodIndex(method)], strconv.Itoa(status))
	slot.Store(&counter)
	return &counter
}
