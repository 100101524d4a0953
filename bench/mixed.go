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
	"github.com/hlsorigin/hlsorigin/bench/system"
)

const (
	capacityTable = "Capacity: publishers at 300 kb/s, added until segments come late"
	// lateness is how much later than 1.5 target durations after the previous one a segment may be, since polls do not see it at once.
	lateness = 300 * time.Millisecond
)

// mix measures a day of work: many publishers, players on each, and others that only poll.
func (r *runner) mix(ctx context.Context, s contestant) error {
	table := fmt.Sprintf("Mixed: %d publishers at 1 Mb/s, %d players each, %d pollers, %v", r.mixedStreams, r.players, r.pollers, r.mixed)
	running, err := r.start(ctx, s)
	if err != nil {
		return err
	}
	defer running.Stop()
	f, err := r.fleet(ctx, running, r.mixedStreams, publish.Phone, nil)
	if err != nil {
		return err
	}
	defer f.Stop()
	watches, err := watchAll(ctx, running, 0, r.mixedStreams, 1)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.mixed+2*time.Second)
	defer cancel()
	tally := &load.Tally{}
	var viewers sync.WaitGroup
	defer viewers.Wait()
	defer cancel()
	for i, w := range watches {
		polls := r.pollers*(i+1)/len(watches) - r.pollers*i/len(watches)
		all := r.players + polls
		for k := range all {
			// Players poll twice in a target duration, spread evenly.
			every := max(w.TD, time.Second) / 2
			first := every * time.Duration(k*len(watches)+i) / time.Duration(all*len(watches))
			viewers.Go(func() { w.Player(ctx, first, every, k < r.players, tally) })
		}
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	late := f.Late.Snapshot()
	before, begin := running.Usage(), time.Now()
	<-ctx.Done()
	cpu, length := running.Usage().CPU-before.CPU, time.Since(begin)
	viewers.Wait()
	add := func(id, title string, only bool, v float64) {
		r.results.Add(report.Metric{ID: "mixed." + id, Title: title, Table: table, Only: only}, s.Name, v)
	}
	add("late", "segments later than 1.5 target durations", true, float64(tally.Late.Load()))
	add("errors", "errors seen by viewers", true, float64(tally.Errors()+f.Lost.Load()))
	add("cpu", "cores used", false, cpu.Seconds()/length.Seconds())
	add("playlists", "playlists fetched per second", true, float64(tally.Playlists.Load())/length.Seconds())
	add("playlist", "playlist ms p99", false, tally.Took.Playlist.Snapshot().Quantile(0.99).Seconds()*1000)
	add("segment", "segment ms p99", false, tally.Took.Segment.Snapshot().Quantile(0.99).Seconds()*1000)
	r.watchLoad(f, late, s.Name, "mixed")
	for _, w := range tally.Words() {
		say("  %s", w)
	}
	return nil
}

// watchAll finds the playlists of streams from, from+step and so on below to.
func watchAll(ctx context.Context, running *system.Running, from, to, step int) ([]*load.Watch, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var (
		all  []*load.Watch
		mu   sync.Mutex
		errs error
		wait sync.WaitGroup
	)
	turn := make(chan struct{}, 8)
	for i := from; i < to; i += step {
		turn <- struct{}{}
		wait.Go(func() {
			defer func() { <-turn }()
			t, p, err := load.Resolve(ctx, running.PlaylistURL(streamName(i)), 1, 250*time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = err
				return
			}
			all = append(all, load.NewWatch(t, p, lateness))
		})
	}
	wait.Wait()
	return all, errs
}

// capacity adds publishers until the machine cannot carry them: a segment late, a publisher dropped or a second behind.
func (r *runner) capacity(ctx context.Context, s contestant) error {
	running, err := r.start(ctx, s)
	if err != nil {
		return err
	}
	defer running.Stop()
	f, err := r.fleet(ctx, running, r.step, publish.Camera, nil)
	if err != nil {
		return err
	}
	defer f.Stop()
	ctx, cancel := context.WithCancel(ctx)
	var viewers sync.WaitGroup
	defer viewers.Wait()
	defer cancel()
	tally := &load.Tally{}
	carried, why := 0, "the search ended there"
	for n := r.step; ; n += r.step {
		watches, err := watchAll(ctx, running, n-r.step, n, max(r.step/10, 1))
		if err != nil {
			why = firstLine(err)
			break
		}
		for _, w := range watches {
			viewers.Go(func() { w.Player(ctx, 0, 250*time.Millisecond, false, tally) })
		}
		before, late, begin := running.Usage(), f.Late.Snapshot(), time.Now()
		if err := pause(ctx, r.hold); err != nil {
			return err
		}
		cpu := (running.Usage().CPU - before.CPU).Seconds() / time.Since(begin).Seconds()
		behind := f.Late.Snapshot().Since(late).Quantile(0.99)
		say("  %d: %.2f cores, publishers behind by %v", n, cpu, behind.Round(time.Millisecond))
		if tally.Late.Load()+tally.Errors()+f.Lost.Load() > 0 || behind > time.Second {
			why = fmt.Sprintf("at %d: %d segments late, %d errors, %d publishers dropped, publishers behind by %v", n, tally.Late.Load(), tally.Errors(), f.Lost.Load(), behind.Round(time.Millisecond))
			break
		}
		carried = n
		r.results.Add(report.Metric{ID: fmt.Sprintf("capacity.%d", n), Title: fmt.Sprintf("cores used at %d", n), Table: capacityTable}, s.Name, cpu)
		if n+r.step > r.most {
			break
		}
		if err := f.Grow(ctx, r.step); err != nil {
			why = firstLine(err)
			break
		}
	}
	say("  %s", why)
	r.results.Add(report.Metric{ID: "capacity", Title: "publishers carried", Table: capacityTable}, s.Name, float64(carried))
	return nil
}
