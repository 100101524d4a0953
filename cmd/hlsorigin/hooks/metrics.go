package hooks

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/origin/webhook"
)

// collector exports the counters as metrics. The targets change with the configuration, so their series are created on each collection.
type collector struct {
	h    *Hooks
	lost *prometheus.Desc
	each []series
}

// series is one metric of each target.
type series struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*webhook.TargetStats) float64
}

// Metrics returns the counters of the webhooks. Labels show no more of a URL than its host.
func (h *Hooks) Metrics() prometheus.Collector {
	c := collector{h: h, lost: prometheus.NewDesc("hlsorigin_webhook_lost_total", "Events that no webhook heard of, because more came at once than the queue took.", nil, nil)}
	for _, m := range []struct {
		name, help string
		kind       prometheus.ValueType
		value      func(*webhook.TargetStats) float64
	}{
		{"sent_total", "Events that the webhook took.", prometheus.CounterValue, func(s *webhook.TargetStats) float64 { return float64(s.Sent) }},
		{"failures_total", "Attempts that failed; the event is kept and tried again.", prometheus.CounterValue, func(s *webhook.TargetStats) float64 { return float64(s.Failed) }},
		{"dropped_total", "Events given up, because they were too old or more waited than there is room for.", prometheus.CounterValue,
			func(s *webhook.TargetStats) float64 { return float64(s.Dropped) }},
		{"pending", "Events that wait for the webhook.", prometheus.GaugeValue, func(s *webhook.TargetStats) float64 { return float64(s.Pending) }},
		{"oldest_pending_seconds", "Age of the oldest event that waits; 0 where none does.", prometheus.GaugeValue, func(s *webhook.TargetStats) float64 {
			if s.Oldest.IsZero() {
				return 0
			}
			return max(0, time.Since(s.Oldest).Seconds())
		}},
	} {
		c.each = append(c.each, series{prometheus.NewDesc("hlsorigin_webhook_"+m.name, m.help, []string{"index", "host"}, nil), m.kind, m.value})
	}
	return c
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.lost
	for _, s := range c.each {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	stats := c.h.Stats()
	ch <- prometheus.MustNewConstMetric(c.lost, prometheus.CounterValue, float64(stats.Lost))
	for i := range stats.Targets {
		t := &stats.Targets[i]
		for _, s := range c.each {
			ch <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(t), strconv.Itoa(t.Index), t.Host)
		}
	}
}
