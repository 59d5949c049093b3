// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"xeiaso.net/site/onion"
)

// Gatherer returns what tor counts itself, for services with [onion.Config.Metrics],
// to be shown beside the rest:
//
//	promhttp.HandlerFor(prometheus.Gatherers{registry, metrics.Gatherer(service)}, …)
//
// Their names begin with "tor_": see MetricsPort in tor(1). While tor does not run
// there are none.
func Gatherer(service func() *onion.Service) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		s := service()
		if s == nil {
			return nil, nil
		}
		text, err := s.TorMetrics(context.Background()) // it has a timeout of its own
		switch {
		case errors.Is(err, onion.ErrNotRunning):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return parse(text)
	})
}

// parse reads tor's text, and keeps of it what is tor's.
func parse(text []byte) ([]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("onion: tor's metrics are in no form that Prometheus has: %w", err)
	}
	maps.DeleteFunc(families, func(name string, _ *dto.MetricFamily) bool { return !strings.HasPrefix(name, "tor_") })
	var list []*dto.MetricFamily
	for _, name := range slices.Sorted(maps.Keys(families)) {
		list = append(list, families[name])
	}
	return list, nil
}
