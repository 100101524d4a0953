package transcode

import (
	"fmt"
	"log/slog"
	"time"
)

// vigil notices a process that puts nothing out although pictures come. Time counts only while they do: a source that
// pauses is no stall.
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

// look is called at every tick; its error says which rung stalled.
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

// well tells whether the process has run for long enough to forget what was before it.
func (v *vigil) well() bool { return v.age >= v.o.MaxBackoff }

// slowness says once per episode that a process cannot keep up, and how much that cost when it is over.
type slowness struct {
	on    bool
	began int64 // groups dropped before the episode
	seen  int64
	last  time.Time // when the newest drop was seen
}

// slowOver is how long nothing may be dropped until an episode is over.
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
