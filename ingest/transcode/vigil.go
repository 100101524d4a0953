package transcode

import (
	"fmt"
	"log/slog"
	"time"
)

// vigil detects a process that writes nothing although pictures come. Time counts only while they do: a source that pauses is no stall.
type vigil struct {
	o       *Options
	p       *process
	feed    *feed
	offered int64
	out     []int64
	silent  []time.Duration
	age     time.Duration
}

func newVigil(o *Options, p *process, f *feed) *vigil {
	v := &vigil{o: o, p: p, feed: f, out: make([]int64, len(p.rungs)), silent: make([]time.Duration, len(p.rungs))}
	v.offered, _ = f.load()
	return v
}

// look is called at every tick. The error names the stalled rung.
func (v *vigil) look() error {
	tick := v.o.tick()
	v.age += tick
	offered, _ := v.feed.load()
	comes := offered != v.offered
	v.offered = offered
	for i := range v.out {
		limit := v.o.StallTimeout
		if v.out[i] == 0 {
			limit = v.o.StartTimeout
		}
		if n := v.p.out[i].Load(); n != v.out[i] {
			v.out[i], v.silent[i] = n, 0
		} else if comes {
			v.silent[i] += tick
		}
		if v.silent[i] >= limit {
			return fmt.Errorf("%w: no picture of rung %s in %s", errStalled, v.p.rungs[i].Name, limit)
		}
	}
	return nil
}

// well reports whether the process has run long enough to forget earlier failures.
func (v *vigil) well() bool { return v.age >= v.o.MaxBackoff }

// slowness logs once per episode that a process cannot keep up, and at its end how much was lost.
type slowness struct {
	on    bool
	began int64 // groups dropped before the episode
	seen  int64
	last  time.Time // when a drop was last seen
}

// slowOver is how long nothing must be dropped for an episode to be over.
const slowOver = 30 * time.Second

func (s *slowness) note(log *slog.Logger, f *feed, now time.Time) {
	_, gops := f.load()
	if gops != s.seen {
		if !s.on {
			s.on, s.began = true, s.seen
			log.Warn("the transcoder is too slow: groups of pictures are missing in all rungs but the source. Fewer or lower rungs, or a faster machine, would do")
		}
		s.seen, s.last = gops, now
	} else if s.on && now.Sub(s.last) >= slowOver {
		s.end(log)
	}
}

func (s *slowness) end(log *slog.Logger) {
	if s.on {
		log.Info("the transcoder keeps up, or has ended", "groups_dropped", s.seen-s.began)
	}
	s.on = false
}
