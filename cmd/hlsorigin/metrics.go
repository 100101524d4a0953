package main

import (
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/series"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/origin/remote"
)

// load is what an atomic counter or gauge of any width can do.
type load[T int64 | uint64] interface{ Load() T }

// meters registers the parts' counters in a registry of our own. Every name begins with hlsorigin_ and carries its unit; no label names
// a viewer. What is of one stream comes by package series, for a bounded number of them.
type meters struct{ reg *prometheus.Registry }

func of[T int64 | uint64](l load[T]) func() float64 {
	return func() float64 { return float64(l.Load()) }
}

// sum adds up counters.
func sum(all ...*atomic.Int64) func() float64 {
	return func() float64 {
		var n int64
		for _, c := range all {
			n += c.Load()
		}
		return float64(n)
	}
}

func (m meters) counter(name, help string, labels prometheus.Labels, fn func() float64) {
	m.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "hlsorigin_" + name, Help: help, ConstLabels: labels}, fn))
}

func (m meters) gauge(name, help string, labels prometheus.Labels, fn func() float64) {
	m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "hlsorigin_" + name, Help: help, ConstLabels: labels}, fn))
}

// times registers a histogram of times that a part counts by bounds; sum is in nanoseconds.
func (m meters) times(name, help string, labels prometheus.Labels, bounds []time.Duration, counts []atomic.Int64, sum *atomic.Int64) {
	m.reg.MustRegister(times{prometheus.NewDesc("hlsorigin_"+name, help, nil, labels), bounds, counts, sum})
}

// times is a histogram that a part counts.
type times struct {
	desc   *prometheus.Desc
	bounds []time.Duration
	counts []atomic.Int64
	sum    *atomic.Int64
}

// Describe implements prometheus.Collector.
func (h times) Describe(ch chan<- *prometheus.Desc) { ch <- h.desc }

// Collect implements prometheus.Collector.
func (h times) Collect(ch chan<- prometheus.Metric) {
	counts := make([]int64, len(h.counts))
	for i := range counts {
		counts[i] = h.counts[i].Load()
	}
	ch <- series.Histogram(h.desc, h.bounds, counts, time.Duration(h.sum.Load()))
}

// metrics is the handler of /metrics.
func (s *server) metrics() http.Handler {
	m := meters{prometheus.NewRegistry()}
	m.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.gauge("build_info", "Always 1; what runs is in the labels.", prometheus.Labels{"version": versionString(), "commit": commitString(), "goversion": runtime.Version()}, func() float64 { return 1 })
	s.ingestMetrics(m)
	s.putMetrics(m)
	s.admissionMetrics(m)
	s.transcodeMetrics(m)
	s.segmenterMetrics(m)
	s.httpMetrics(m)
	s.archive.metrics(m)
	s.reloadMetrics(m)
	s.clusterMetrics(m)
	s.gateMetrics(m)
	s.memoryMetrics(m)
	s.jobMetrics(m)
	m.reg.MustRegister(s.hooks.Metrics(), s.series)
	return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{})
}

func (s *server) ingestMetrics(m meters) {
	r, t := &s.rtmp.Stats, &s.rtsp.Stats
	rtmp, rtsp := prometheus.Labels{"protocol": "rtmp"}, prometheus.Labels{"protocol": "rtsp"}
	m.gauge("ingest_connections", "Ingest connections open now.", rtmp, of(&r.Connections))
	m.gauge("ingest_connections", "Ingest connections open now.", rtsp, of(&t.ConnectionsOpen))
	m.counter("ingest_connections_total", "Ingest connections accepted.", rtmp, of(&r.Accepted))
	m.counter("ingest_connections_total", "Ingest connections accepted.", rtsp, of(&t.Connections))
	m.gauge("ingest_publishers", "Publishers sending now.", rtmp, of(&r.Publishers))
	m.gauge("ingest_publishers", "Publishers sending now.", rtsp, of(&t.SessionsOpen))
	m.counter("ingest_refused_total", "Publishers turned away.", rtmp, of(&r.Refused))
	m.counter("ingest_refused_total", "Publishers turned away.", rtsp, of(&t.Refused))
	m.counter("ingest_bytes_total", "Bytes received from publishers.", rtmp, of(&r.BytesIn))
	m.counter("ingest_bytes_total", "Bytes received from publishers.", rtsp, of(&t.Bytes))
	m.counter("ingest_malformed_total", "RTMP connections ended because what they sent is not RTMP or beyond a limit.", nil, of(&r.Malformed))
	m.counter("ingest_timeouts_total", "RTMP connections ended for silence, or for not publishing in time.", nil, of(&r.TimedOut))
	m.counter("ingest_rtp_lost_packets_total", "RTP packets that never came.", nil, of(&t.LostPackets))
	m.counter("ingest_rtp_overflow_packets_total", "RTP and RTCP packets over UDP that were dropped because their publisher's stream was worked off too slowly.", nil,
		of(&t.OverflowPackets))
	m.counter("ingest_rtp_errors_total", "RTP and RTCP packets that could not be used.", nil, of(&t.DecodeErrors))
	const dropped, help = "ingest_frames_dropped_total", "Frames that could not be used, by reason."
	lost, put := &t.Ledger.Dropped, &s.put.Stats.Frames
	m.counter(dropped, help, prometheus.Labels{"reason": "rtsp_no_parameters"}, of(&lost[ingest.NoHeader]))
	m.counter(dropped, help, prometheus.Labels{"reason": "rtsp_no_dts"}, of(&lost[ingest.NoTime]))
	m.counter(dropped, help, prometheus.Labels{"reason": "rtsp_backwards"}, of(&lost[ingest.Backwards]))
	m.counter(dropped, help, prometheus.Labels{"reason": "rtsp_unusable"}, sum(&lost[ingest.NotAFrame], &lost[ingest.Malformed], &lost[ingest.NoPicture]))
	for reason := range ingest.NumReasons {
		label := prometheus.Labels{"reason": reason.String()}
		switch reason {
		case ingest.BeforeKey, ingest.BeforeVideo: // counted by the segmenter, for those without a ledger too
		case ingest.NoHeader, ingest.NoTime, ingest.Backwards, ingest.NotAFrame, ingest.Malformed, ingest.NoPicture: // RTSP has labels of its own
			m.counter(dropped, help, label, sum(&r.Frames.Dropped[reason], &put.Dropped[reason]))
		default:
			m.counter(dropped, help, label, sum(&r.Frames.Dropped[reason], &lost[reason], &put.Dropped[reason]))
		}
	}
	m.counter("ingest_timestamps_repaired_total", "Frames whose DTS did not rise or was after their PTS as they were sent.", nil,
		sum(&r.Frames.Repaired, &t.Ledger.Repaired, &put.Repaired))
	m.counter("ingest_tracks_moved_total", "Times that a track of another clock was put beside the other by arrival.", nil,
		sum(&r.Frames.Moved, &t.Ledger.Moved, &put.Moved))
	g := s.registry.Stats()
	m.counter(dropped, help, prometheus.Labels{"reason": "before_keyframe"}, of(&g.DroppedBeforeKey))
	m.counter(dropped, help, prometheus.Labels{"reason": "before_video"}, of(&g.DroppedBeforeVideo))
	m.counter(dropped, help, prometheus.Labels{"reason": "unconfigured"}, of(&g.DroppedUnconfigured))
	m.counter(dropped, help, prometheus.Labels{"reason": "empty"}, of(&g.DroppedEmpty))
}

// putMetrics says what encoders send by HTTP.
func (s *server) putMetrics(m meters) {
	p, protocol := &s.put.Stats, prometheus.Labels{"protocol": "http"}
	connections := func(load func(*listen.Stats) float64) func() float64 {
		return func() (n float64) {
			for _, l := range s.limited {
				if l.put {
					n += load(&l.Stats)
				}
			}
			return n
		}
	}
	m.gauge("ingest_connections", "Ingest connections open now.", protocol, connections(func(st *listen.Stats) float64 { return float64(st.Open.Load()) }))
	m.counter("ingest_connections_total", "Ingest connections accepted.", protocol, connections(func(st *listen.Stats) float64 { return float64(st.Accepted.Load()) }))
	m.gauge("ingest_publishers", "Publishers sending now.", protocol, of(&p.Publishers))
	m.counter("ingest_refused_total", "Publishers turned away.", protocol, of(&p.Refused))
	m.counter("ingest_bytes_total", "Bytes received from publishers.", protocol, of(&p.BytesIn))
	m.gauge("ingest_put_held", "Segments that came by HTTP and wait in memory for a playlist, or for others before them.", nil, of(&p.Held))
	if k := s.archive.keeper; k != nil {
		m.gauge("ingest_put_kept", "Segments that came by HTTP and are on disk as well while they wait for a playlist, and for a moment after that.", nil, of(&k.Stats.Files))
		m.gauge("ingest_put_kept_bytes", "Their bytes.", nil, of(&k.Stats.Bytes))
		m.counter("ingest_put_kept_errors_total", "Segments that came by HTTP and were held in memory alone, because the disk did not take them, or not in time.", nil, of(&k.Stats.Failed))
		m.counter("ingest_put_restored_total", "Segments by HTTP that the process before this one had held, and this one holds again for their playlist.", nil, of(&p.Restored))
	}
	m.gauge("ingest_put_standby", "Senders by HTTP that would take another's place now.", nil, of(&p.Standby))
	m.counter("ingest_put_takeovers_total", "Times that another sender by HTTP went on with a stream, because the first fell silent.", nil, of(&p.Takeovers))
	m.counter("ingest_put_cut_short_total", "Bodies of requests that ended too early, or came too slowly.", nil, of(&p.CutShort))
	const help = "Segments by HTTP, by what became of them: passed on as they came (whole), or cut and packed anew (remuxed); named and never come, or useless (lost: a gap); never named, or too late (unnamed); come again without need (duplicate)."
	for fate, n := range map[string]*atomic.Uint64{"whole": &p.Whole, "remuxed": &p.Remuxed, "lost": &p.Lost, "unnamed": &p.Unnamed, "duplicate": &p.Duplicates} {
		m.counter("ingest_put_segments_total", help, prometheus.Labels{"fate": fate}, of(n))
	}
}

// remoteStats counts what was asked of other servers; nothing where there are none.
func (s *server) remoteStats() *remote.Stats {
	if s.remote == nil {
		return &remote.Stats{}
	}
	return &s.remote.Stats
}

// clusterMetrics says what is known of the other servers.
func (s *server) clusterMetrics(m meters) {
	nodes := func(reachable bool) func() float64 {
		return func() (n float64) {
			for _, node := range s.cluster.Known() {
				if node.Reachable == reachable {
					n++
				}
			}
			return n
		}
	}
	const help = "Servers of the cluster, this one among them, by whether they answer; none where there is no cluster."
	m.gauge("cluster_nodes", help, prometheus.Labels{"state": "reachable"}, nodes(true))
	m.gauge("cluster_nodes", help, prometheus.Labels{"state": "unreachable"}, nodes(false))
	m.gauge("cluster_held_requests", "Answers to other servers of the cluster that wait for a change now.", nil, func() float64 { return float64(s.cluster.Held()) })
	r := s.remoteStats()
	const asked = "Requests to other servers of the cluster for what viewers want of streams that are theirs, by what came of them; unchanged: nothing new in 10 s."
	m.counter("remote_requests_total", asked, prometheus.Labels{"result": "answered"}, of(&r.Answered))
	m.counter("remote_requests_total", asked, prometheus.Labels{"result": "unchanged"}, of(&r.Unchanged))
	m.counter("remote_requests_total", asked, prometheus.Labels{"result": "refused"}, of(&r.Refused))
	m.counter("remote_requests_total", asked, prometheus.Labels{"result": "unreachable"}, of(&r.Unreachable))
	m.counter("remote_requests_total", asked, prometheus.Labels{"result": "unusable"}, of(&r.Unusable))
	m.counter("remote_requests_total", asked, prometheus.Labels{"result": "full"}, of(&r.Full))
	m.gauge("remote_polls", "Playlists of other servers' streams that are followed for viewers now; a request waits there for each.", nil, of(&r.Polls))
	const looked = "Times that it was asked whose a stream is, and not asked, because too many unknown names were wanted."
	m.counter("remote_lookups_total", looked, prometheus.Labels{"result": "asked"}, of(&r.Lookups))
	m.counter("remote_lookups_total", looked, prometheus.Labels{"result": "limited"}, of(&r.Limited))
	m.gauge("cluster_draining", "1 where this server is being drained.", nil, func() float64 {
		if _, draining := s.cluster.Drained(); draining {
			return 1
		}
		return 0
	})
}

func (s *server) segmenterMetrics(m meters) {
	g := s.registry.Stats()
	m.gauge("segmenter_recordings", "Recordings that have not ended.", nil, of(&g.Recordings))
	m.counter("segmenter_frames_total", "Frames written to segments.", nil, of(&g.Frames))
	m.counter("segmenter_segments_total", "Segments published.", nil, of(&g.Segments))
	m.counter("segmenter_bytes_total", "Bytes of transport stream published.", nil, of(&g.Bytes))
	m.gauge("segmenter_unconfirmed_segments", "Segments that viewers are not shown yet, because the bucket has not confirmed them; in a cluster without live_first.", nil,
		func() float64 { return float64(s.registry.Unconfirmed()) })
	m.gauge("segmenter_memory_bytes", "Bytes of segments in memory.", nil, of(&g.MemoryBytes))
	m.counter("segmenter_forced_cuts_total", "Segments that do not begin with a keyframe because none came in time.", nil, of(&g.ForcedCuts))
	m.counter("segmenter_discontinuities_total", "Discontinuities published.", nil, of(&g.Discontinuities))
	m.counter("segmenter_timestamps_repaired_total", "Frames whose DTS did not rise or whose PTS was before it.", nil, of(&g.DTSRepaired))
	m.counter("segmenter_metadata_lost_total", "Tags of timed metadata that were accepted and are not in their recording, which ended before.", nil, of(&g.MetadataLost))
	m.counter("segmenter_cues_lost_total", "Ad breaks that were ordered and are not in their recording, which ended before.", nil, of(&g.CuesLost))
	m.counter("segmenter_takeovers_total", "Silent publishers replaced by their own new connection.", nil, of(&g.Takeovers))
	m.counter("segmenter_refused_total", "Publishers refused by name or because the name is taken.", nil, of(&g.Refused))
}

func (s *server) httpMetrics(m meters) {
	h := s.origin.Stats()
	for kind := range origin.NumKinds {
		for class := 2; class <= 5; class++ {
			m.counter("http_requests_total", "Answers, by what was asked for and status class.",
				prometheus.Labels{"kind": kind.String(), "code": strconv.Itoa(class) + "xx"}, of(&h.Requests[kind][class]))
		}
		m.counter("http_bytes_total", "Body bytes sent, by what was asked for.", prometheus.Labels{"kind": kind.String()}, of(&h.Bytes[kind]))
	}
	m.times("http_request_duration_seconds", "From the request being read to the last byte being handed to the kernel; held requests are left out.", nil,
		origin.LatencyBounds[:], h.Latency[:], &h.LatencySum)
	m.gauge("http_connections", "Viewer connections open now.", nil, of(&h.Connections))
	m.counter("http_connections_total", "Viewer connections accepted.", nil, of(&h.Accepted))
	m.counter("http_connections_refused_total", "Viewer connections over the limit.", nil, of(&h.Refused))
	const evicted = "Viewer connections closed to make room for new ones, by what they were doing."
	m.counter("http_connections_evicted_total", evicted, prometheus.Labels{"state": "unasked"}, of(&h.EvictedUnasked))
	m.counter("http_connections_evicted_total", evicted, prometheus.Labels{"state": "idle"}, of(&h.EvictedIdle))
	m.counter("http_connections_evicted_total", evicted, prometheus.Labels{"state": "slow"}, of(&h.EvictedSlow))
	m.gauge("http_engine_bytes", "Bytes that viewer connections and held requests take, estimated from above.", nil, func() float64 { return float64(s.origin.Bytes()) })
	m.gauge("http_requests_in_flight", "Requests being answered now.", nil, of(&h.InFlight))
	m.gauge("http_requests_held", "Requests waiting for a stream's first playlist now.", nil, of(&h.Held))
	m.counter("http_slow_viewers_total", "Connections dropped because the viewer took no byte in time.", nil, of(&h.SlowViewers))
	m.counter("http_malformed_total", "Requests refused because they cannot be read in one way only, or are too large.", nil, of(&h.Malformed))
	const secret = "Requests refused with 403, by what was wrong with the CDN's secret."
	m.counter("http_secret_refused_total", secret, prometheus.Labels{"reason": "missing"}, of(&h.SecretMissing))
	m.counter("http_secret_refused_total", secret, prometheus.Labels{"reason": "wrong"}, of(&h.SecretWrong))
	m.counter("http_secret_refused_total", secret, prometheus.Labels{"reason": "limited"}, of(&h.SecretLimited))
	m.counter("http_slow_headers_total", "Connections dropped because a request did not arrive in time.", nil, of(&h.SlowHeaders))
	m.counter("http_segments_from_memory_total", "Segments served from memory.", nil, of(&h.FromMemory))
	m.counter("http_objects_from_archive_total", "Objects served from spool or bucket.", nil, of(&h.FromArchive))
	m.counter("http_archive_errors_total", "Archive failures other than a missing object.", nil, of(&h.ArchiveErrs))
	m.counter("http_overloads_total", "Requests answered 503 because too many read the archive.", nil, of(&h.Overloads))
}
