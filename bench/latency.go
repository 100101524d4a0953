//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/bench/load"
	"github.com/hlsorigin/hlsorigin/bench/publish"
	"github.com/hlsorigin/hlsorigin/bench/report"
	"github.com/hlsorigin/hlsorigin/bench/stat"
	"github.com/hlsorigin/hlsorigin/bench/system"
)

const (
	latencyTable = "Latency: 20 publishers of 1080p30, 6 Mb/s, a keyframe every 2 s"
	// The number of publishers, and how many of them are watched.
	latencyStreams, latencyProbes = 20, 4
	// The interval at which a probe polls while it waits for a segment: the resolution of the measurement.
	probePoll = 500 * time.Microsecond
)

// latency measures how soon a segment is listed and fetched after the keyframe that closes it, and how soon a new stream can be played.
func (r *runner) latency(ctx context.Context, s contestant) error {
	running, err := r.start(ctx, s)
	if err != nil {
		return err
	}
	defer running.Stop()
	var keys [latencyProbes]chan time.Time
	for i := range keys {
		keys[i] = make(chan time.Time, 1)
	}
	f, err := r.fleet(ctx, running, latencyStreams, publish.Studio, func(i, n int, sent time.Time) {
		if i >= latencyProbes {
			return
		}
		select {
		case keys[i] <- sent:
		default: // the probe is still waiting for the previous segment
		}
	})
	if err != nil {
		return err
	}
	defer f.Stop()
	l := &latencies{poll: probePoll}
	ready, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	var probes []*load.Probe
	for i := range keys {
		t, p, err := load.Resolve(ready, running.PlaylistURL(streamName(i)), 3, 100*time.Millisecond)
		if err != nil {
			return err
		}
		probe := load.NewProbe(t, p)
		defer probe.Close()
		probes = append(probes, probe)
	}
	late := f.Late.Snapshot()
	length, stop := context.WithTimeout(ctx, max(r.seconds*3/2, 5*time.Second))
	defer stop()
	var wait sync.WaitGroup
	for i, probe := range probes {
		wait.Go(func() { l.follow(length, probe, keys[i]) })
	}
	wait.Wait()
	if l.err != nil {
		return l.err
	}
	add := func(id, title string, v float64) {
		r.results.Add(report.Metric{ID: "latency." + id, Title: title, Table: latencyTable}, s.Name, v)
	}
	add("listed", "last keyframe sent → segment listed, ms p50", stat.Quantile(l.listed, 0.5))
	add("p50", "last keyframe sent → segment listed and fetched, ms p50", stat.Quantile(l.fetched, 0.5))
	add("p99", "last keyframe sent → segment listed and fetched, ms p99", stat.Quantile(l.fetched, 0.99))
	r.watchLoad(f, late, s.Name, "latency")
	if l.missed > 0 {
		r.results.Note("%s, latency, round %d: %d of %d segments did not come within a second", s.Name, r.round, l.missed, l.missed+len(l.fetched))
	}
	first, err := r.firstPlayable(ctx, running)
	if err == nil {
		add("first", "publish → first playable playlist, s", first.Seconds())
	}
	return err
}

type latencies struct {
	poll time.Duration

	mu              sync.Mutex
	listed, fetched []float64 // ms
	missed          int
	err             error
}

// follow measures a segment for each keyframe that is sent.
func (l *latencies) follow(ctx context.Context, p *load.Probe, keys <-chan time.Time) {
	// The first keyframe may have been sent before the playlist was read: it only sets the probe.
	select {
	case <-ctx.Done():
		return
	case <-keys:
	}
	if err := pause(ctx, time.Second); err != nil {
		return
	}
	for {
		if err := p.Sync(); err != nil {
			l.fail(err)
			return
		}
		var sent time.Time
		select {
		case <-ctx.Done():
			return
		case sent = <-keys:
		}
		if time.Since(sent) > 100*time.Millisecond {
			continue // from before
		}
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		listed, fetched, err := p.Await(soon, l.poll)
		slow := soon.Err() != nil
		cancel()
		switch {
		case slow:
			l.mu.Lock()
			l.missed++
			l.mu.Unlock()
		case err != nil:
			l.fail(err)
			return
		default:
			l.mu.Lock()
			l.listed = append(l.listed, listed.Sub(sent).Seconds()*1000)
			l.fetched = append(l.fetched, fetched.Sub(sent).Seconds()*1000)
			l.mu.Unlock()
		}
	}
}

func (l *latencies) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
}

// firstPlayable publishes one more stream, and polls it from then on until its first segment has come.
func (r *runner) firstPlayable(ctx context.Context, running *system.Running) (time.Duration, error) {
	clip, err := r.clip(ctx, publish.Studio)
	if err != nil {
		return 0, err
	}
	f := publish.Start(ctx, publish.Options{Clip: clip, Workers: 1, Stagger: time.Millisecond, URL: func(int) string { return running.IngestURL("first") }})
	defer f.Stop()
	begin := time.Now()
	if err := f.Grow(ctx, 1); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		t, p, err := load.Resolve(ctx, running.PlaylistURL("first"), 1, 5*time.Millisecond)
		if err != nil {
			return 0, err
		}
		path, err := t.Beside(p.Segments[0].URI)
		if err != nil {
			return 0, err
		}
		c := load.NewClient(t, 5*time.Second)
		a, err := c.Get(path)
		c.Close()
		if err == nil && a.Status == 200 {
			return time.Since(begin), nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return 0, fmt.Errorf("the first segment cannot be fetched: %w", err)
		}
	}
}
