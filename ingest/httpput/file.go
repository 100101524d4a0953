package httpput

import (
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// file is a segment that waits to be named, or for its turn.
type file struct {
	segment *segment
	at      time.Time
	came    time.Time         // the same; where another process took it in, when this one had it, and its sender
	held    int64             // bytes of Options.Memory
	done    func(passed bool) // of Options.Keep; nil: it is not kept, or not any more
}

// holds is how much of Options.Memory a segment takes: with what was unpacked of it.
func holds(g *segment) int64 { return 2 * int64(len(g.packets)) }

// release says that nobody needs to keep it any more.
func (f *file) release(passed bool) {
	if f.done != nil {
		f.done(passed)
		f.done = nil
	}
}

// discard lets go of a segment, and counts it where there is a counter.
func (in *input) discard(name string, count *atomic.Uint64) {
	f := in.files[name]
	if f == nil {
		return
	}
	delete(in.files, name)
	in.s.Stats.Held.Add(-1)
	in.s.o.Memory.Yield(f.held)
	f.release(false)
	if count != nil {
		count.Add(1)
	}
}

// errFull refuses a segment for which there is no room.
var errFull = ingest.Refuse(ingest.Overloaded, "the server holds as many segments as it may, which no playlist has named yet: send the playlist, or try again later")

// keep takes a segment in. What has waited longest goes where there is no room otherwise, if nothing names it.
func (in *input) keep(name string, f *file) error {
	if old := in.files[name]; old != nil {
		in.discard(name, &in.s.Stats.Duplicates)
	}
	for len(in.files) >= in.s.o.MaxHeld || !in.s.o.Memory.Hold(f.held) {
		if !in.drop() {
			return errFull
		}
	}
	in.files[name] = f
	in.s.Stats.Held.Add(1)
	return nil
}

// drop lets the segment go that has waited longest without a name; false: there is none.
func (in *input) drop() bool {
	name := in.unnamed(false)
	if name == "" {
		return false
	}
	in.discard(name, &in.s.Stats.Unnamed)
	return true
}

// unnamed is the segment that has waited longest without a name, here: of those that came to this process alone; empty: there is none.
func (in *input) unnamed(here bool) (oldest string) {
	named := map[string]bool{}
	for _, l := range in.lines {
		for _, e := range l.entries {
			named[e.file] = true
		}
	}
	for name, f := range in.files {
		if !named[name] && (!here || f.at.Equal(f.came)) && (oldest == "" || f.at.Before(in.files[oldest].at)) {
			oldest = name
		}
	}
	return oldest
}

// forgetUnnamed lets go of what no playlist has named for so long that none will.
func (in *input) forgetUnnamed(now time.Time) {
	if in.awaited {
		return
	}
	wait := time.Minute
	for _, l := range in.lines {
		wait = max(wait, 10*time.Duration(l.longest)*time.Second)
	}
	for _, f := range in.files {
		if now.Sub(f.came) > wait { // there is one that may have to go
			if name := in.unnamed(false); name != "" && now.Sub(in.files[name].came) > wait {
				in.discard(name, &in.s.Stats.Unnamed)
			}
			return // the next tick sees the next
		}
	}
}
