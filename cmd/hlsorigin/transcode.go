package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/transcode"
	"github.com/hlsorigin/hlsorigin/origin/peer"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/pair"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/gate"
)

// transcodeOptions are the ladders that an external ffmpeg makes, in front of the registry.
func transcodeOptions(c configs.Config, to ingest.Publisher, memory *ingest.Memory, log *slog.Logger) transcode.Options {
	return transcode.Options{Publisher: to, Apps: transcodeApps(c), Memory: memory, Log: log.With("part", "transcode")}
}

// admitting is where those go who publish: to the registry, and in a cluster through the gate before it.
func (s *server) admitting(c configs.Config, log *slog.Logger) ingest.Publisher {
	if !c.Cluster.On() || len(s.archive.stores) == 0 {
		return s.registry
	}
	s.archive.gate = gate.New(gate.Options{
		Registry: s.registry, Mirror: s.archive.mirror, Store: s.archive.stores[0], Now: time.Now, Log: log.With("part", "gate"),
		Peer: peers{s}, Others: peers{s}.others, Twin: twins{s}, Took: s.took, Loses: s.loses, Warn: s.episodes.Warn,
	})
	return s.archive.gate
}

// took notes a recording that this server goes on with.
func (s *server) took(t gate.Taken) {
	s.origin.Took(t.Key.App, t.Key.Stream, t.Recording)
	s.hooks.Took(t)
}

// loses notes a recording that this server is about to let go of.
func (s *server) loses(key segmenter.Key, id segmenter.RecordingID) {
	s.origin.Loses(key.App, key.Stream, id)
}

// standbys are the publishers that stand by.
func (s *server) standbys() []gate.Beside {
	if s.archive.gate == nil {
		return nil
	}
	return s.archive.gate.Standbys()
}

// standing is how many they are, and how many of them are silent.
func (s *server) standing() (all, silent int) {
	for _, b := range s.standbys() {
		if all++; b.State == gate.StandbyQuiet {
			silent++
		}
	}
	return all, silent
}

// peers asks other servers for the gate.
type peers struct{ s *server }

// others are the other servers of the cluster.
func (p peers) others() (all []claim.Server) {
	for _, n := range p.s.cluster.Known() {
		if !n.Self {
			all = append(all, claim.Server{Node: n.Node.Node, Address: n.Address})
		}
	}
	return all
}

// unsentPoll is how often a server is asked again that has lost its publisher, and still sends what came last.
const unsentPoll = 50 * time.Millisecond

// Fed implements gate.Peer. It waits, as long as ctx lets it, until the other server has sent all that it had: what it sends later would come
// under numbers that are this server's by then.
func (p peers) Fed(ctx context.Context, address, app, stream string) (bool, error) {
	fed, unsent, err := p.s.cluster.Fed(ctx, address, app, stream)
	for err == nil && !fed && unsent > 0 {
		select {
		case <-time.After(unsentPoll):
		case <-ctx.Done():
			return false, nil
		}
		if f, n, failed := p.s.cluster.Fed(ctx, address, app, stream); failed == nil {
			fed, unsent = f, n
		}
	}
	return fed, err
}

// twins asks other servers for publishers that stand by.
type twins struct{ s *server }

// Report implements gate.Twin.
func (t twins) Report(ctx context.Context, address, app, stream string, step bool) (r pair.Report, ok bool, err error) {
	if r, ok, err = t.s.cluster.Report(ctx, address, app, stream, step); errors.Is(err, peer.ErrAway) {
		err = fmt.Errorf("%w: %w", gate.ErrAway, err)
	}
	return r, ok, err
}

// Segment implements gate.Twin.
func (t twins) Segment(ctx context.Context, address string, name segmenter.Name) ([]byte, error) {
	return t.s.cluster.Segment(ctx, address, name)
}

// gateMetrics say what became of publishers whose streams other servers had.
func (s *server) gateMetrics(m meters) {
	g := &gate.Stats{}
	if s.archive.gate != nil {
		g = s.archive.gate.Stats()
	}
	m.counter("cluster_takeovers_total", "Recordings of other servers that this one went on with.", nil, of(&g.Takeovers))
	m.counter("cluster_takeovers_failed_total", "Attempts at that which failed: the publisher was refused, and tries again.", nil, of(&g.Failed))
	m.gauge("cluster_standbys", "Publishers that stand by for another server that has their stream.", nil, of(&g.Standing))
	m.gauge("cluster_standbys_silent", "Of them, those from whose encoders nothing comes: they protect from nothing.", nil, func() float64 {
		_, silent := s.standing()
		return float64(silent)
	})
	m.counter("cluster_standby_joins_total", "Publishers that stand by and found where what they send is what the other server is fed.", nil, of(&g.Joined))
	m.counter("cluster_standby_segments_total", "Segments that both servers have completed, by whether they are the same. One that is not ends the standby.", prometheus.Labels{"same": "true"}, of(&g.Same))
	m.counter("cluster_standby_segments_total", "Segments that both servers have completed, by whether they are the same. One that is not ends the standby.", prometheus.Labels{"same": "false"}, of(&g.Different))
	m.counter("cluster_standby_refused_total", "Publishers sent away because they cannot stand by: they send something else, or the settings differ.", nil, of(&g.Unlike))
	m.counter("cluster_standby_takeovers_total", "Of the takeovers, those by a publisher that stood by: without a discontinuity, and without a loss.", nil, of(&g.Promotions))
	const help = "Publishers refused, by why: another server has the stream, or the bucket does not say which."
	m.counter("cluster_publishers_refused_total", help, prometheus.Labels{"reason": "elsewhere"}, of(&g.Refused))
	m.counter("cluster_publishers_refused_total", help, prometheus.Labels{"reason": "unknown"}, of(&g.Unknown))
}

// transcodeApps are the rungs of each app that has such a ladder.
func transcodeApps(c configs.Config) map[string][]transcode.Rung {
	apps := map[string][]transcode.Rung{}
	for name, app := range c.Apps {
		for _, r := range app.Ladder {
			apps[name] = append(apps[name], transcode.Rung{Name: r.Name, Height: r.Height, Bitrate: int(r.Bitrate)})
		}
	}
	return apps
}

// groups are an app's ladders: those the configuration names, or in an app with a ladder by ffmpeg, one for each stream.
func groups(app configs.App) map[string][]string {
	if len(app.Ladder) == 0 {
		return app.Groups
	}
	rungs := slices.Clone(app.Ladder)
	slices.SortStableFunc(rungs, func(a, b configs.Rung) int { return cmp.Compare(b.Bitrate, a.Bitrate) })
	best := []string{transcode.Stream(segmenter.Wildcard, transcode.SourceName)}
	for _, r := range rungs {
		best = append(best, transcode.Stream(segmenter.Wildcard, r.Name))
	}
	return map[string][]string{segmenter.Wildcard: best}
}

func (s *server) transcodeMetrics(m meters) {
	l := s.rungs.Stats()
	m.gauge("ladder_publishers", "Publishers with a ladder by ffmpeg.", nil, of(&l.Publishers))
	m.gauge("ladder_waiting", "Of them, those without a process because as many run as may.", nil, of(&l.Waiting))
	m.gauge("ladder_processes", "ffmpeg processes running.", nil, of(&l.Processes))
	m.counter("ladder_starts_total", "ffmpeg processes started.", nil, of(&l.Starts))
	m.counter("ladder_failures_total", "ffmpeg processes that could not be started, ended or stalled.", nil, of(&l.Restarts))
	m.counter("ladder_gops_dropped_total", "Groups of pictures that ffmpeg was too slow for.", nil, of(&l.DroppedGOPs))
	m.counter("ladder_gops_starved_total", "Groups of pictures that did not reach ffmpeg because the server was short of memory: raise memory.", nil, of(&l.StarvedGOPs))
	m.counter("ladder_frames_dropped_total", "Frames that no ffmpeg took.", nil, of(&l.DroppedFrames))
	m.counter("ladder_frames_total", "Frames handed on as rungs, audio included.", nil, of(&l.FramesOut))
}
