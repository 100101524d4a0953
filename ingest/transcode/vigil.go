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
	v.offered, _, _ = f.load()
	return v
}

// look is called at every tick. The error names the stalled rung.
func (v *vigil) look() error {
	tick := v.o.tick()
	v.age += tick
	offered, _, _ := v.feed.load()
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

// losses logs that groups of pictures are dropped, for each of the two reasons once per episode, and at its end how many were.
type losses struct{ slow, short loss }

func (l *losses) note(log *slog.Logger, f *feed, now time.Time) {
	_, slow, short := f.load()
	if l.slow.begins(slow, now) {
		log.Warn("the transcoder is too slow: groups of pictures are missing in all rungs but the source. Fewer or lower rungs, or a faster machine, would do")
	}
	if l.short.begins(short, now) {
		log.Warn("the server is short of memory for what waits for the transcoder: groups of pictures are missing in all rungs but the source. Raise memory, or have fewer streams with a ladder")
	}
	if l.slow.over(now) {
		l.slow.end(log, keepsUp)
	}
	if l.short.over(now) {
		l.short.end(log, hasMemory)
	}
}

func (l *losses) end(log *slog.Logger) {
	l.slow.end(log, keepsUp)
	l.short.end(log, hasMemory)
}

// What is logged at the end of an episode.
const (
	keepsUp   = "the transcoder keeps up, or has ended"
	hasMemory = "what waits for the transcoder has memory again, or the transcoder has ended"
)

// loss is the dropping of groups for one reason. The zero value is ready to use.
type loss struct {
	on    bool
	began int64 // groups dropped before the episode
	seen  int64
	last  time.Time // when a drop was last seen
}

// lossOver is how long nothing must be dropped for an episode to be over.
const lossOver = 30 * time.Second

// begins is told how many were dropped so far. It reports whether an episode begins with that.
func (l *loss) begins(gops int64, now time.Time) bool {
	if gops == l.seen {
		return false
	}
	first := !l.on
	if first {
		l.on, l.began = true, l.seen
	}
	l.seen, l.last = gops, now
	return first
}

// over reports whether an episode has been over for long enough.
func (l *loss) over(now time.Time) bool { return l.on && now.Sub(l.last) >= lossOver }

func (l *loss) end(log *slog.Logger, says string) {
	if l.on {
		log.Info(says, "groups_dropped", l.seen-l.began)
	}
	l.on = false
}
