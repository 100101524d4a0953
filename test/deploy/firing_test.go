package deploy

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// scrapes is how often a test's server is scraped, and its rules are evaluated.
const scrapes = 30 * time.Second

// sample is a chunks.Sample of a plain number.
type sample struct {
	at    int64 // milliseconds
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// scraped is what a server showed, as a store that Prometheus's engine asks.
type scraped struct {
	series []storage.Series
	steps  int
}

// load reads series in promtool's notation: `up{job="hlsorigin"} 1x10 0x20`.
func load(t *testing.T, lines []string) (s scraped) {
	t.Helper()
	for _, line := range lines {
		set, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var samples []chunks.Sample
		for i, v := range values {
			if !v.Omitted {
				samples = append(samples, sample{int64(i) * scrapes.Milliseconds(), v.Value})
			}
		}
		s.series, s.steps = append(s.series, storage.NewListSeries(set, samples)), max(s.steps, len(values))
	}
	return s
}

// Querier implements storage.Queryable.
func (s scraped) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		var found []storage.Series
		for _, series := range s.series {
			ok := true
			for _, m := range matchers {
				ok = ok && m.Matches(series.Labels().Get(m.Name))
			}
			if ok {
				found = append(found, series)
			}
		}
		return &seriesSet{list: found}
	}}, nil
}

// seriesSet is a storage.SeriesSet of what is in memory.
type seriesSet struct {
	list []storage.Series
	next int
}

func (s *seriesSet) Next() bool {
	s.next++
	return s.next <= len(s.list)
}

func (s *seriesSet) At() storage.Series                { return s.list[s.next-1] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// fires reports whether a rule fires at some evaluation: its expression has had a result for as long as it says.
func (s scraped) fires(t *testing.T, r *rulefmt.Rule) bool {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{})})
	active := map[uint64]time.Time{}
	for i := range s.steps {
		now := time.UnixMilli(int64(i) * scrapes.Milliseconds())
		q, err := engine.NewInstantQuery(context.Background(), s, nil, r.Expr, now)
		if err != nil {
			t.Fatal(err)
		}
		v, err := q.Exec(context.Background()).Vector()
		if err != nil {
			t.Fatalf("%s: %v", r.Alert, err)
		}
		still := map[uint64]time.Time{}
		for _, e := range v {
			id := e.Metric.Hash()
			since, ok := active[id]
			if !ok {
				since = now
			}
			if still[id] = since; now.Sub(since) >= time.Duration(r.For) {
				q.Close()
				return true
			}
		}
		active = still
		q.Close()
	}
	return false
}

// times are the series of a histogram that counts n more at each scrape, all of them in the bucket up to some bound.
func times(name, rest string, bounds []string, upTo string, n int) (series []string) {
	count := 0
	for _, le := range append(slices.Clone(bounds), "+Inf") {
		if le == upTo {
			count = n
		}
		series = append(series, fmt.Sprintf(`%s_bucket{%s,le=%q} 0+%dx60`, name, rest, le, count))
	}
	return series
}

// servers are what a server shows for half an hour that is well, and what one shows that is not, by the alert that says so.
type servers struct{ well, wrong []string }

func alertCases() map[string]servers {
	const on = `instance="a",job="hlsorigin"`
	intervals := []string{"0.5", "1", "1.5", "2", "3", "4", "5", "6", "8", "10", "12", "15", "20", "30", "60"}
	jitters := []string{"0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10"}
	uploads := []string{"0.05", "0.1", "0.25", "0.5", "1", "2", "4", "8", "15", "30", "60"}
	answers := []string{"0.001", "0.005", "0.025", "0.1", "0.5", "2.5", "10"}
	cam, left, bucket := on+`,app="live",stream="cam"`, on+`,app="live",stream="left"`, on+`,target="bucket"`
	of := func(name, rest, values string) string { return fmt.Sprintf("hlsorigin_%s{%s} %s", name, rest, values) }
	return map[string]servers{
		"HlsoriginDown":          {[]string{"up{" + on + "} 1x60"}, []string{"up{" + on + "} 1x20 0x40"}},
		"HlsoriginRestarting":    {[]string{"process_start_time_seconds{" + on + "} 1x30 2x30"}, []string{"process_start_time_seconds{" + on + "} 1x10 2x4 3x4 4x4 5x10"}},
		"HlsoriginSegmentsLost":  {[]string{of("archive_gaps_total", on, "7x60")}, []string{of("archive_gaps_total", on, "7x30 8x30")}},
		"HlsoriginNameConflict":  {[]string{of("upload_conflicts_total", bucket, "0x60")}, []string{of("upload_conflicts_total", bucket, "0x30 1x30")}},
		"HlsoriginServerAway":    {[]string{of("cluster_nodes", on+`,state="unreachable"`, "0x20 1x4 0x36")}, []string{of("cluster_nodes", on+`,state="unreachable"`, "0x20 1x40")}},
		"HlsoriginUploadsBehind": {[]string{of("upload_oldest_unsent_seconds", bucket, "2x20 70x2 3x30")}, []string{of("upload_oldest_unsent_seconds", bucket, "0+10x60")}},
		"HlsoriginUploadsFail": {
			[]string{of("upload_failures_total", bucket+`,kind="transient"`, "0+1x60"), of("upload_segments_total", bucket, "0+8x60")},
			[]string{of("upload_failures_total", bucket+`,kind="transient"`, "0+1x60"), of("upload_segments_total", bucket, "0+8x10 80x50")},
		},
		"HlsoriginViewersWait": {
			[]string{of("segmenter_unconfirmed_segments", on, "4x20 30x1 4x39"), of("segmenter_recordings", on, "4x60")},
			[]string{of("segmenter_unconfirmed_segments", on, "4x20 4+8x40"), of("segmenter_recordings", on, "4x60")},
		},
		"HlsoriginUploadsSlow": {
			times("hlsorigin_upload_duration_seconds", bucket, uploads, "0.25", 8),
			times("hlsorigin_upload_duration_seconds", bucket, uploads, "8", 8),
		},
		"HlsoriginSpoolFilling": {
			[]string{of("spool_bytes", on, "70x60"), of("spool_max_bytes", on, "100x60")},
			[]string{of("spool_bytes", on, "85x60"), of("spool_max_bytes", on, "100x60")},
		},
		"HlsoriginSpoolFullSoon": {
			[]string{of("spool_bytes", on, "50x60"), of("spool_max_bytes", on, "1000x60")},
			[]string{of("spool_bytes", on, "0+12x60"), of("spool_max_bytes", on, "1000x60")},
		},
		"HlsoriginDiskErrors": {
			[]string{of("archive_disk_errors_total", on, "0x60"), of("spool_errors_total", on, "3x60")},
			[]string{of("archive_disk_errors_total", on, "0x60"), of("spool_errors_total", on, "3x30 4x30")},
		},
		"HlsoriginFoldersAside": {
			[]string{of("spool_aside_folders", on, "0x60"), of("archive_damaged_journals_total", on, "1x60")},
			[]string{of("spool_aside_folders", on, "1x60"), of("archive_damaged_journals_total", on, "1x60")},
		},
		"HlsoriginTracksDropped": {
			[]string{of("ingest_frames_dropped_total", on+`,reason="late"`, "0+10x60")},
			[]string{of("ingest_frames_dropped_total", on+`,reason="malformed"`, "0+900x60")},
		},
		"HlsoriginForcedCuts":      {[]string{of("segmenter_forced_cuts_total", on, "5x30 7x30")}, []string{of("segmenter_forced_cuts_total", on, "0+1x60")}},
		"HlsoriginDiscontinuities": {[]string{of("segmenter_discontinuities_total", on, "0x30 5x30")}, []string{of("segmenter_discontinuities_total", on, "0+1x60")}},
		"HlsoriginKeyGuessing": {
			[]string{of("ingest_auth_total", on+`,outcome="wrong_key"`, "0+3x60")},
			[]string{of("ingest_auth_total", on+`,outcome="paused"`, "0+60x60")},
		},
		"HlsoriginAuthUnavailable": {
			[]string{of("ingest_auth_total", on+`,outcome="unavailable"`, "4x60")},
			[]string{of("ingest_auth_total", on+`,outcome="unavailable"`, "4x30 6x30")},
		},
		"HlsoriginViewerErrors": {
			[]string{of("http_requests_total", on+`,code="2xx"`, "0+9000x60"), of("http_requests_total", on+`,code="5xx"`, "0+3x60")},
			[]string{of("http_requests_total", on+`,code="2xx"`, "0+9000x60"), of("http_requests_total", on+`,code="5xx"`, "0+300x60")},
		},
		"HlsoriginSlowAnswers": {
			times("hlsorigin_http_request_duration_seconds", on, answers, "0.1", 100),
			times("hlsorigin_http_request_duration_seconds", on, answers, "2.5", 100),
		},
		"HlsoriginOverload": {
			[]string{of("http_overloads_total", on, "9x60"), of("http_connections_refused_total", on, "0x60")},
			[]string{of("http_overloads_total", on, "9x60"), of("http_connections_refused_total", on, "0+1x60")},
		},
		"HlsoriginLadderWaits":   {[]string{of("ladder_waiting", on, "0x60")}, []string{of("ladder_waiting", on, "0x10 2x50")}},
		"HlsoriginLadderFails":   {[]string{of("ladder_failures_total", on, "0x30 1x30")}, []string{of("ladder_failures_total", on, "0+1x60")}},
		"HlsoriginReloadRefused": {[]string{of("config_last_reload_successful", on, "1x60")}, []string{of("config_last_reload_successful", on, "1x10 0x50")}},
		"HlsoriginMemoryShort":   {[]string{of("memory_refused_total", on+`,share="pages"`, "2x60")}, []string{of("memory_refused_total", on+`,share="pages"`, "0+1x60")}},
		"HlsoriginWebhookWaits":  {[]string{of("webhook_oldest_pending_seconds", on+`,host="h"`, "100x60")}, []string{of("webhook_oldest_pending_seconds", on+`,host="h"`, "0+30x60")}},
		"HlsoriginJobsFail":      {[]string{of("jobs_total", on+`,result="failed"`, "3x60")}, []string{of("jobs_total", on+`,result="failed"`, "0x30 1x30")}},
		"HlsoriginJobsWait":      {[]string{of("jobs_oldest_waiting_seconds", on, "0+30x60")}, []string{of("jobs_oldest_waiting_seconds", on, "3000+60x60")}},
		"HlsoriginSegmentsLate": {
			append(times("hlsorigin_stream_segment_interval_seconds", cam, intervals, "5", 7), of("stream_target_duration_seconds", cam, "4x60")),
			append(times("hlsorigin_stream_segment_interval_seconds", cam, intervals, "8", 4), of("stream_target_duration_seconds", cam, "4x60")),
		},
		"HlsoriginArrivalStalls": {
			times("hlsorigin_stream_arrival_jitter_seconds", cam, jitters, "0.5", 900),
			times("hlsorigin_stream_arrival_jitter_seconds", cam, jitters, "5", 900),
		},
		"HlsoriginSoundAstray": { // a publisher that has left is remembered for a while
			[]string{of("stream_skew_seconds", cam, "-0.2x60"), of("stream_live", cam, "1x60"), of("stream_skew_seconds", left, "-2.5x60"), of("stream_live", left, "1x2 0x57")},
			[]string{of("stream_skew_seconds", cam, "-2.5x60"), of("stream_live", cam, "1x60")},
		},
		"HlsoriginStreamsFolded": {[]string{of("streams_folded", on+`,app="live"`, "0x60")}, []string{of("streams_folded", on+`,app="live"`, "0x10 3x50")}},
	}
}

// TestAlertsFire has Prometheus's own engine evaluate each alert, over half an hour of a server that is well and of one that is not.
func TestAlertsFire(t *testing.T) {
	groups, errs := rulefmt.Parse(read(t, "prometheus", "alerts.yaml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	cases := alertCases()
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			tc, ok := cases[r.Alert]
			if !ok {
				t.Errorf("%s: nobody has seen it fire", r.Alert)
				continue
			}
			delete(cases, r.Alert)
			if load(t, tc.well).fires(t, &r) {
				t.Errorf("%s fires where all is well", r.Alert)
			}
			if !load(t, tc.wrong).fires(t, &r) {
				t.Errorf("%s does not fire", r.Alert)
			}
		}
	}
	for alert := range cases {
		t.Errorf("there is no alert %s", alert)
	}
}
