package series

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
)

// descs are the metrics of a stream.
type descs struct {
	frames, bytes, lost, requests         *prometheus.Desc
	live, keyframes, skew, window, target *prometheus.Desc
	unsent, folded                        *prometheus.Desc
	jitter, intervals                     *prometheus.Desc
}

func newDescs() descs {
	of := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("hlsorigin_stream"+name, help, append([]string{"app", "stream"}, labels...), nil)
	}
	return descs{
		frames:    of("_frames_total", "Frames that came from a stream's publishers.", "track"),
		bytes:     of("_bytes_total", "Bytes of the frames that came, without what the protocol adds.", "track"),
		lost:      of("_frames_dropped_total", "Frames of a stream that could not be used, by reason; a reason without any has no series. Rungs that ffmpeg makes have none.", "reason"),
		requests:  of("_playlist_requests_total", "Requests for a stream's live media playlist that this server answered; a CDN's are few."),
		live:      of("_live", "1 where frames of a stream come, else 0; of others that are shown together, how many do."),
		keyframes: of("_keyframe_interval_seconds", "Between the two newest keyframes."),
		skew:      of("_skew_seconds", "By how much sound is sent ahead of the picture; below zero: later."),
		window:    of("_window_seconds", "Length of the live playlist."),
		target:    of("_target_duration_seconds", "EXT-X-TARGETDURATION; a segment that takes half as long again is late."),
		unsent:    of("_unsent_bytes", "Bytes of a stream's newest recording that a bucket has not confirmed."),
		folded:    prometheus.NewDesc("hlsorigin_streams_folded", "Streams of an app that are shown together as "+Other+", because metrics.max_streams others have series of their own.", []string{"app"}, nil),
		jitter: of("_arrival_jitter_seconds", "By how much the time between two pictures of a stream (without video: sounds) arriving differs from that between their decoding times. "+
			"Up to 50 ms is usual, some 100 ms are keyframes on a slow line, from 1 s on the line stalls."),
		intervals: of("_segment_interval_seconds", "Between two segments of a stream being listed, while one publisher is connected. Each target duration from 1 s to 12 s has a bound at half as much again, or below."),
	}
}

func (d *descs) each(visit func(*prometheus.Desc)) {
	for _, desc := range []*prometheus.Desc{d.frames, d.bytes, d.lost, d.requests, d.live, d.keyframes, d.skew, d.window, d.target, d.unsent, d.folded, d.jitter, d.intervals} {
		visit(desc)
	}
}

// show sends the metrics of one stream.
func (d *descs) show(ch chan<- prometheus.Metric, s *Stream, live float64) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, value, append([]string{s.App, s.Name}, labels...)...)
	}
	for i, track := range [...]string{vitals.Video: "video", vitals.Audio: "audio"} {
		send(d.frames, prometheus.CounterValue, float64(s.Frames[i]), track)
		send(d.bytes, prometheus.CounterValue, float64(s.Bytes[i]), track)
	}
	for reason := range ingest.NumReasons {
		if n := s.Lost[reason]; n > 0 {
			send(d.lost, prometheus.CounterValue, float64(n), reason.String())
		}
	}
	send(d.requests, prometheus.CounterValue, float64(s.Requests))
	send(d.live, prometheus.GaugeValue, live)
	send(d.keyframes, prometheus.GaugeValue, s.KeyframeInterval.Seconds())
	send(d.skew, prometheus.GaugeValue, s.Skew.Seconds())
	send(d.window, prometheus.GaugeValue, s.Window.Seconds())
	send(d.target, prometheus.GaugeValue, s.TargetDuration.Seconds())
	send(d.unsent, prometheus.GaugeValue, float64(s.Unsent))
	ch <- Histogram(d.jitter, vitals.JitterBounds(), s.Jitter.Counts[:], s.Jitter.Sum, s.App, s.Name)
	ch <- Histogram(d.intervals, vitals.IntervalBounds(), s.Intervals.Counts[:], s.Intervals.Sum, s.App, s.Name)
}

// Histogram is one of times that were counted elsewhere: counts[i] at most bounds[i], the first without a bound above them all.
func Histogram(desc *prometheus.Desc, bounds []time.Duration, counts []int64, sum time.Duration, labels ...string) prometheus.Metric {
	buckets, total := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, n := range counts {
		total += uint64(n)
		if i < len(bounds) {
			buckets[bounds[i].Seconds()] = total
		}
	}
	return prometheus.MustNewConstHistogram(desc, total, sum.Seconds(), buckets, labels...)
}
