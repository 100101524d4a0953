package series

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"net/http/httptest"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
)

// scrape is the samples that a Collector shows, by series.
func scrape(t *testing.T, c *Collector) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	samples := map[string]float64{}
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		var v float64
		if _, err := fmt.Sscan(line[i:], &v); err != nil {
			t.Fatal(line, err)
		}
		samples[strings.TrimPrefix(line[:i], "hlsorigin_stream")] = v
	}
	return samples
}

// stream is one with n pictures.
func stream(app, name string, n int64) Stream {
	r := vitals.Reading{Frames: [2]int64{n, 2 * n}, Skew: -time.Duration(n) * time.Millisecond, KeyframeInterval: time.Duration(n) * time.Second, Requests: n}
	r.Jitter.Counts[0], r.Jitter.Sum = n, time.Second
	r.Lost[ingest.NoPicture] = n
	return Stream{App: app, Name: name, Reading: r, Live: true, Window: time.Minute, TargetDuration: 4 * time.Second, Unsent: 10 * n}
}

func TestSeries(t *testing.T) {
	c := New(func() []Stream { return []Stream{stream("live", "cam", 3)} }, 10)
	got := scrape(t, c)
	for series, want := range map[string]float64{
		`_frames_total{app="live",stream="cam",track="video"}`:                3,
		`_frames_total{app="live",stream="cam",track="audio"}`:                6,
		`_frames_dropped_total{app="live",reason="no_picture",stream="cam"}`:  3,
		`_live{app="live",stream="cam"}`:                                      1,
		`_skew_seconds{app="live",stream="cam"}`:                              -0.003,
		`_keyframe_interval_seconds{app="live",stream="cam"}`:                 3,
		`_window_seconds{app="live",stream="cam"}`:                            60,
		`_target_duration_seconds{app="live",stream="cam"}`:                   4,
		`_unsent_bytes{app="live",stream="cam"}`:                              30,
		`_playlist_requests_total{app="live",stream="cam"}`:                   3,
		`_arrival_jitter_seconds_bucket{app="live",stream="cam",le="0.005"}`:  3,
		`_arrival_jitter_seconds_bucket{app="live",stream="cam",le="+Inf"}`:   3,
		`_arrival_jitter_seconds_sum{app="live",stream="cam"}`:                1,
		`_segment_interval_seconds_bucket{app="live",stream="cam",le="+Inf"}`: 0,
		`s_folded{app="live"}`:                                                0,
	} {
		if v, ok := got[series]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", series, v, ok, want)
		}
	}
	for series := range got {
		if strings.Contains(series, Other) {
			t.Errorf("%s: there are no others", series)
		}
	}
}

// TestOthers lets streams come and go: those beyond the limit are shown together, each stays where it is for as long as it is there, and no
// counter falls.
func TestOthers(t *testing.T) {
	now := []Stream{stream("live", "b", 1), stream("live", "c", 2), stream("live", "d", 4), stream("other", "x", 8)}
	c := New(func() []Stream { return slices.Clone(now) }, 2)
	frames := func(got map[string]float64, app, name string) float64 {
		v, ok := got[fmt.Sprintf(`_frames_total{app=%q,stream=%q,track="video"}`, app, name)]
		if !ok {
			return -1
		}
		return v
	}
	expect := func(when string, want map[string]float64, folded float64) map[string]float64 {
		t.Helper()
		got := scrape(t, c)
		for n, v := range want {
			app, name, _ := strings.Cut(n, "/")
			if f := frames(got, app, name); f != v {
				t.Errorf("%s: %s has %v frames, want %v", when, n, f, v)
			}
		}
		if v := got[`s_folded{app="live"}`]; v != folded {
			t.Errorf("%s: %v are shown together", when, v)
		}
		return got
	}
	expect("at first", map[string]float64{"live/b": 1, "live/c": 2, "live/_other": 4, "other/_other": 8, "live/d": -1}, 1)

	now = append(now, stream("live", "a", 16)) // first by name, last to come
	got := expect("one more", map[string]float64{"live/a": -1, "live/b": 1, "live/_other": 20}, 2)
	if got[`_keyframe_interval_seconds{app="live",stream="_other"}`] != 16 || got[`_live{app="live",stream="_other"}`] != 2 || got[`_unsent_bytes{app="live",stream="_other"}`] != 200 {
		t.Errorf("the others are shown as %v", got)
	}

	now = slices.DeleteFunc(now, func(s Stream) bool { return s.Name == "b" || s.Name == "d" })
	got = expect("two gone", map[string]float64{"live/b": -1, "live/c": 2, "live/_other": 20}, 1)
	if n := got[`_keyframe_interval_seconds{app="live",stream="_other"}`]; n != 16 {
		t.Errorf("keyframes each %v s", n)
	}

	now = append(now, stream("live", "e", 32), stream("live", "f", 64))
	expect("two came", map[string]float64{"live/a": -1, "live/e": 32, "live/f": -1, "live/_other": 84}, 2)

	now = now[:0]
	expect("all gone", map[string]float64{"live/e": -1, "live/_other": 84, "other/_other": 8}, 0)
	if len(c.own) != 0 || len(c.folded) != 0 {
		t.Error("what is gone is remembered")
	}

	c.SetMax(0)
	now = []Stream{stream("live", "c", 1)}
	expect("none has its own", map[string]float64{"live/c": -1, "live/_other": 85}, 1)
}
