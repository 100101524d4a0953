package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/overview"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/series"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/gate"
)

// status shows the registry to the admin side.
type status struct {
	reg    *segmenter.Registry
	unsent func(segmenter.Key, segmenter.RecordingID) int64 // bytes that the bucket has not confirmed
	beside func() []gate.Beside                             // publishers that stand by
}

// Streams implements admin.Streams: the newest recording of each stream, and publishers of whom nothing could be used yet.
func (s status) Streams() []admin.Stream {
	var list []admin.Stream
	known := map[segmenter.Key]bool{}
	for _, t := range s.reg.Timelines() {
		if s.reg.Timeline(t.Key().App, t.Key().Stream) != t {
			continue
		}
		known[t.Key()] = true
		v := s.stream(t.Snapshot())
		if second, ok := t.Vitals().Last(); ok {
			v.Input = overview.Input(second)
		}
		v.Ladder, _ = s.reg.LadderOf(t.Key())
		list = append(list, v)
	}
	for _, key := range s.reg.Publishers() {
		if p, ok := s.reg.Publisher(key); ok && !known[key] {
			v := admin.Stream{App: key.App, Name: key.Stream, State: segmenter.Starting.String(), Started: p.Since,
				Play: segmenter.Name{Kind: segmenter.KindEntry, App: key.App, Stream: key.Stream}.String()}
			v.Ladder, _ = s.reg.LadderOf(key)
			publishing(&v, &p)
			list = append(list, v)
		}
	}
	if s.beside != nil {
		for _, b := range s.beside() {
			list = append(list, standing(&b))
		}
	}
	return list
}

// standing is a publisher that stands by.
func standing(b *gate.Beside) admin.Stream {
	s := &admin.Standby{State: b.State, Node: b.Node, From: b.Joined, Same: b.Same - b.Joined}
	if b.State == gate.StandbyQuiet {
		since := b.LastFrame.UTC()
		s.SilentSince = &since
	}
	return admin.Stream{
		App: b.Key.App, Name: b.Key.Stream, State: "standby", Recording: string(b.Recording), Started: b.Since, LastFrame: b.LastFrame,
		Play:     segmenter.Name{Kind: segmenter.KindEntry, App: b.Key.App, Stream: b.Key.Stream}.String(),
		Protocol: b.Protocol, Remote: b.Remote, Standby: s,
	}
}

// ladders are the newest recordings of the ladders, with their rungs.
func (s status) ladders() []admin.Stream {
	var list []admin.Stream
	for _, t := range s.reg.Ladders() {
		key := t.Key()
		rungs := s.reg.Rungs(key)
		if s.reg.Timeline(key.App, key.Stream) != t || len(rungs) == 0 {
			continue
		}
		v := s.stream(t.Snapshot())
		v.LastFrame = v.Started // of its own it has none
		for _, r := range rungs {
			v.Rungs = append(v.Rungs, admin.Rung{Stream: r.Stream, State: r.State, Outside: r.Reason})
			if at := s.newest(segmenter.Key{App: key.App, Stream: r.Stream}); at.After(v.LastFrame) {
				v.LastFrame = at
			}
		}
		list = append(list, v)
	}
	return list
}

// newest is when the newest frame of a stream came.
func (s status) newest(key segmenter.Key) time.Time {
	if p, ok := s.reg.Publisher(key); ok {
		return p.LastFrame
	}
	if t := s.reg.Timeline(key.App, key.Stream); t != nil {
		return t.Snapshot().LastFrame
	}
	return time.Time{}
}

// publishing fills in what there is to say of a publisher.
func publishing(v *admin.Stream, p *segmenter.Publisher) {
	v.Protocol, v.Remote, v.LastFrame = p.Protocol, p.Remote, p.LastFrame
	v.Problem = p.Problem
	if lost := p.Ledger.Problem(); lost != "" && v.Problem != "" {
		v.Problem += "; " + lost
	} else if lost != "" {
		v.Problem = lost
	}
	if p.Ledger == nil {
		return
	}
	for _, a := range []struct {
		kind string
		*ingest.Account
	}{{"video", &p.Ledger.Video}, {"audio", &p.Ledger.Audio}} {
		t := admin.Track{Kind: a.kind, Received: a.Received.Load(), Written: a.Written.Load(), Dropped: map[string]int64{}}
		if t.Received == 0 {
			continue
		}
		if c := a.Codec(); c != 0 {
			t.Codec = c.String()
		}
		for r := range ingest.NumReasons {
			if n := a.Dropped[r].Load(); n > 0 {
				t.Dropped[r.String()] = n
			}
		}
		v.Tracks = append(v.Tracks, t)
	}
}

func (s status) stream(snap *segmenter.Snapshot) admin.Stream {
	started, _ := snap.Recording.Time()
	v := admin.Stream{
		App: snap.App, Name: snap.Stream, State: snap.State.String(), Recording: string(snap.Recording),
		Started: started, LastFrame: snap.LastFrame,
		Play:    segmenter.Name{Kind: segmenter.KindEntry, App: snap.App, Stream: snap.Stream}.String(),
		Archive: segmenter.Name{Kind: segmenter.KindArchive, App: snap.App, Stream: snap.Stream, Recording: snap.Recording}.String(),
		Codecs:  snap.Variant.Codecs, Width: snap.Variant.Width, Height: snap.Variant.Height, FrameRate: snap.Variant.FrameRate,
		Bitrate: snap.Variant.AverageBandwidth, TargetDuration: snap.TargetDuration, Segments: snap.Whole().Next(), Gaps: uint64(snap.Whole().Gaps), Unlisted: snap.Unlisted(), Backed: snap.Handed,
	}
	if snap.PartTarget > 0 {
		v.PlayLowLatency = segmenter.Name{Kind: segmenter.KindLowLatencyEntry, App: snap.App, Stream: snap.Stream}.String()
	}
	if p, ok := s.reg.Publisher(snap.Key); ok {
		publishing(&v, &p)
	}
	if s.unsent != nil {
		v.Unsent = s.unsent(snap.Key, snap.Recording)
	}
	return v
}

// series is what Prometheus is shown of each stream that has a publisher, or had one and is still known.
func (s status) series() (list []series.Stream) {
	for key, v := range s.reg.Vitals() {
		m := series.Stream{App: key.App, Name: key.Stream, Reading: v.Read()}
		if t := s.reg.Timeline(key.App, key.Stream); t != nil {
			snap := t.Snapshot()
			m.Live = snap.Whole().State == segmenter.Live
			m.TargetDuration = time.Duration(snap.TargetDuration) * time.Second
			for i := range snap.Rows[snap.First:] {
				m.Window += codec.Duration(snap.Rows[snap.First+i].Duration)
			}
			if s.unsent != nil {
				m.Unsent = s.unsent(key, snap.Recording)
			}
		}
		list = append(list, m)
	}
	return list
}

// readiness is what /readyz says. What is wrong with disk or bucket is shown but does not block: live works without
// them, and a load balancer that took the server out for it would make the outage total.
type readiness struct {
	up      atomic.Bool
	archive *archive
	drained func() (until time.Time, drained bool) // may be nil
}

// admission is what /readyz?publish=1 says beyond that: a server of a cluster that cannot reach the bucket goes on with what it has, and takes
// nothing new.
type admission struct{ ready func() error }

// Checks implements admin.Readiness.
func (p admission) Checks() []admin.Check {
	c := admin.Check{Name: "publish", Kind: "publish", Blocks: true}
	if err := p.ready(); err != nil {
		c.Reason = fmt.Sprintf("the bucket does not say which server has a stream, so publishers are refused, but for those whose recordings run here: %v", err)
	}
	return []admin.Check{c}
}

func (r *readiness) set(up bool) { r.up.Store(up) }

// Checks implements admin.Readiness.
func (r *readiness) Checks() []admin.Check {
	listeners := admin.Check{Name: "listeners", Kind: "listeners"}
	if !r.up.Load() {
		listeners.Reason, listeners.Blocks = "the server is starting or stopping", true
	}
	checks := []admin.Check{listeners}
	if r.drained != nil {
		if _, yes := r.drained(); yes {
			checks = append(checks, admin.Check{Name: "drain", Kind: "drain", Reason: "this server is being drained: publishers and viewers belong to another", Blocks: true})
		}
	}
	return append(checks, r.archive.checks()...)
}
