package segmenter

import (
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// relief keeps what segments take in memory within Options.MaxMemory. A segment that has left the window stays as long as
// somebody reads it: a viewer who takes a byte now and then could hold it for hours, and another one each of those after it.
type relief struct {
	pool *mpegts.Pool // nil: there is no bound

	turn  sync.Mutex // of relieve: two at once would send two publishers away where one is enough
	short bool       // more than MaxMemory was in use at the last look; guarded by turn
	next  time.Time  // before which no other publisher goes: the memory of the last is given back meanwhile; guarded by turn

	mu   sync.Mutex
	read []*Segment // that left the window and are still read or uploaded, oldest first
}

// reliefPause is how long the memory of a publisher that was sent away may take to come back, before another has to go: viewers who are
// at its segments give up first.
const reliefPause = time.Second

// inUse is the memory of all segments, in bytes; 0 where nobody needs to know.
func (r *relief) inUse() int64 {
	if r.pool == nil {
		return 0
	}
	return r.pool.InUse()
}

// left takes note of segments that left the window.
func (r *relief) left(segments []*Segment) {
	if r.pool == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range segments {
		if s.refs.Load() > 0 {
			r.read = append(r.read, s)
		}
	}
}

// sweep forgets those whose readers are done, and asks the others to give up where that is wanted.
func (r *relief) sweep(revoke bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.read[:0]
	for _, s := range r.read {
		if s.refs.Load() > 0 {
			if revoke {
				s.revoked.Store(true)
			}
			kept = append(kept, s)
		}
	}
	clear(r.read[len(kept):])
	r.read = kept
}

// short reports whether there is no memory for another stream.
func (r *Registry) short() bool {
	o := &r.o
	return o.MaxMemory > 0 && r.relief.inUse() > o.Memory+(o.MaxMemory-o.Memory)/2
}

// relieve makes room where segments take too much: slow readers of what left the window go first, then what ended recordings
// still have in memory, then publishers, the newest first, each with its window.
func (r *Registry) relieve(now time.Time) {
	if r.o.MaxMemory <= 0 {
		return
	}
	r.relief.turn.Lock()
	defer r.relief.turn.Unlock()
	r.relief.sweep(r.relief.inUse() > r.o.Memory)
	was := r.relief.short
	r.relief.short = r.relief.inUse() > r.o.MaxMemory
	if r.relief.short != was {
		if was {
			r.o.Log.Info("there is memory for segments again")
			return
		}
		r.o.Log.Warn("segments take more memory than they may: ended recordings leave it, and the newest publishers are sent away until it does; give the server more memory, or fewer streams",
			"bytes", r.relief.inUse(), "limit", r.o.MaxMemory)
	}
	if !r.relief.short {
		return
	}
	for _, t := range r.Timelines() {
		if t.Snapshot().Whole().State == Ended && t.letGo(0) {
			return // the next look shows whether that was enough
		}
	}
	s, others := r.newest()
	if s == nil {
		return
	}
	if others == 0 { // of the only show the newest matters most
		for _, t := range r.Timelines() {
			if snap := t.Snapshot().Whole(); snap.State != Ended {
				t.letGo(len(snap.Segments) / 2)
			}
		}
		return
	}
	if now.Before(r.relief.next) {
		return
	}
	r.relief.next = now.Add(reliefPause)
	why := ingest.Refuse(ingest.Overloaded, "the server is short of memory, and this stream came last: try again later, or another server")
	r.stats.RefusedMemory.Add(1)
	s.Close(why)
	s.a.Cancel(why)
	for _, key := range r.with(s.st.key) {
		if t := r.current(key); t != nil {
			t.letGo(1)
		}
	}
}

// with is a publisher's stream, and those that the server makes of it: the other rungs of its ladder that are derived.
func (r *Registry) with(key Key) []Key {
	keys := []Key{key}
	m := r.ladders.byRung(key)
	if m == nil {
		return keys
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, name := range m.l.names {
		k := Key{key.App, name}
		if st := r.streams[k]; st != nil && k != key && st.session != nil && st.session.a.Derived {
			keys = append(keys, k)
		}
	}
	return keys
}

// newest is the publisher who came last, nil where there is none, and how many others there are. What the server makes itself of a publisher's
// pictures is none: it goes with that one, and would be back at once alone.
func (r *Registry) newest() (last *session, others int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, st := range r.streams {
		s := st.session
		if s == nil || s.a.Derived || s.gone.Load() {
			continue
		}
		others++
		if last == nil || s.since.After(last.since) {
			last = s
		}
	}
	return last, max(0, others-1)
}

// letGo gives the memory of all segments but the newest few back; false where there was none.
func (t *Timeline) letGo(keep int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		return false
	}
	n := len(t.rows.table.segments) - keep
	if n <= 0 {
		return false
	}
	t.rows.evict(n)
	t.rows.snapshot()
	return true
}
