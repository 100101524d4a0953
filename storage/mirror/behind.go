package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/shared"
)

// Behind is what a store still lacks.
type Behind struct {
	Target   string // "bucket" or "replica"
	Segments int64
	Bytes    int64
	Tracks   int64     // segments not stored as CMAF
	Oldest   time.Time // PROGRAM-DATE-TIME of the oldest segment that is not stored; zero if all are
	Sent     int64     // bytes of segments stored since the start
	InFlight int64     // requests on their way

	Failing time.Time // since when it takes nothing; zero: it takes what it is sent
	Error   string    // what it says; also of a single object that it refuses while it takes others
	Act     bool      // repeating does not help: somebody has to do something
}

// Behind returns what each store still lacks.
func (m *Mirror) Behind() []Behind {
	all := m.all()
	out := make([]Behind, len(m.uploaders))
	for i, u := range m.uploaders {
		b := Behind{
			Target: u.name, Tracks: u.stats.BacklogTracks.Load(), Segments: u.stats.BacklogSegments.Load(), Bytes: u.stats.BacklogBytes.Load(),
			Sent: u.stats.Bytes.Load(), InFlight: u.stats.Inflight.Load(),
		}
		u.mu.Lock()
		if b.Failing = u.spell.Since(); !b.Failing.IsZero() {
			b.Error, b.Act = fmt.Sprint(u.trouble), u.permanent
		} else if u.alone.Lasts(m.o.Now()) {
			_, err := u.alone.Refusal()
			b.Error, b.Act = fmt.Sprint(err), true
		}
		u.mu.Unlock()
		for _, r := range all {
			r.mu.Lock()
			if l := r.lanes[i]; l.settled < r.next() {
				if at := r.row(l.settled).Start; b.Oldest.IsZero() || at.Before(b.Oldest) {
					b.Oldest = at
				}
			}
			r.mu.Unlock()
		}
		out[i] = b
	}
	return out
}

// Sync copies all timelines to their ends and waits until the spool holds that, durable whatever the policy. If ingest has stopped, nothing
// can be lost from then on.
func (m *Mirror) Sync(ctx context.Context) error {
	if !m.catchUp() {
		return nil
	}
	for _, r := range m.all() {
		if err := r.durable(ctx); err != nil {
			return err
		}
	}
	return nil
}

// catchUp copies all timelines to their ends, and lets the uploaders have that. It reports whether the mirror runs.
func (m *Mirror) catchUp() bool {
	m.discover()
	m.mu.Lock()
	run := m.run
	m.mu.Unlock()
	if run == nil {
		return false
	}
	for _, t := range run.src.Timelines() {
		if r := m.find(t.Key(), t.Recording()); r != nil {
			r.copyFrom(t.Snapshot())
			r.handOver()
		}
	}
	return true
}

// Barrier waits until every store has every segment copied so far, and the live playlists that list them.
func (m *Mirror) Barrier(ctx context.Context) error { return m.barrier(ctx, false) }

// Flush copies all timelines to their ends, and is then a Barrier that also waits for the growing timestamped playlists to be written, and for
// ended ones to be made final. It is for an orderly stop: what a timeline ended with a moment ago nobody has followed yet.
func (m *Mirror) Flush(ctx context.Context) error {
	m.catchUp()
	for _, u := range m.uploaders {
		u.flushing.Store(true)
		defer u.flushing.Store(false)
	}
	all := m.all()
	for _, r := range all {
		r.wakeLanes()
	}
	return m.barrier(ctx, true)
}

func (m *Mirror) barrier(ctx context.Context, archives bool) error {
	marks := map[*recording]uint64{}
	for _, r := range m.all() {
		r.mu.Lock()
		marks[r] = r.next()
		r.mu.Unlock()
	}
	for {
		moved := m.moved.wait()
		waiting := 0
		for r, mark := range marks {
			if r.reached(mark, archives) {
				delete(marks, r)
			} else {
				waiting++
			}
		}
		for _, u := range m.uploaders {
			if archives && u.stills.pending() {
				waiting++
			}
		}
		if waiting == 0 {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			var text string
			for _, b := range m.Behind() {
				text += fmt.Sprintf(", %s %d segments, %d bytes", b.Target, b.Segments, b.Bytes)
				if b.Tracks > 0 {
					text += fmt.Sprintf(", %d segments as CMAF", b.Tracks)
				}
			}
			return fmt.Errorf("%d recordings or stills are behind%s: %w", waiting, text, ctx.Err())
		}
	}
}

// reached reports whether all stores have reached a position.
func (r *recording) reached(mark uint64, archives bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rows) == 0 {
		return true
	}
	for _, l := range r.ways {
		if l.settled < mark {
			return false
		}
		if l.main().hold == shared.Lost {
			continue // no playlist will come
		}
		open := l.main().hold != shared.Closed // live playlists are still written
		if open && l.liveNext < mark {
			return false
		}
		if archives && (l.inflight > 0 || open && l.twinDue() || l.named < mark || r.ended && !l.complete()) {
			return false
		}
	}
	return true
}

// Trouble is something that is wrong now.
type Trouble struct {
	Kind   string    // "uploads", "object", "aside", "disk" or "lost"
	Target string    // the store or the directory that it is of; "": there is but one
	Since  time.Time // zero: not known
	Text   string    // for people
}

// Health returns what is wrong now; empty if all is well. There is one of a kind for each target.
func (m *Mirror) Health() []Trouble {
	var out []Trouble
	now := m.o.Now()
	for _, u := range m.uploaders {
		u.mu.Lock()
		if !u.spell.Since().IsZero() {
			what := "uploads to the %s have failed for %s: %v"
			if u.permanent {
				what = "the %s has refused uploads for %s, somebody must act (does it exist, may these credentials write to it?): %v"
			}
			out = append(out, Trouble{"uploads", u.name, u.spell.Since(), fmt.Sprintf(what, u.name, now.Sub(u.spell.Since()).Round(time.Second), u.trouble)})
		}
		if u.spell.Since().IsZero() && u.alone.Lasts(now) {
			since, err := u.alone.Refusal()
			out = append(out, Trouble{"object", u.name, since, fmt.Sprintf("the %s has refused one object for %s and takes others, somebody must act (what forbids this name?): %v",
				u.name, now.Sub(since).Round(time.Second), err)})
		}
		u.mu.Unlock()
	}
	if m.o.Spool != nil {
		for _, dir := range m.o.Spool.Aside() {
			out = append(out, Trouble{Kind: "aside", Target: dir,
				Text: fmt.Sprintf("%s holds a recording that could not be understood and was put aside: the log of the start says why; repair it, then remove the directory", dir)})
		}
	}
	out = append(out, m.down()...)
	if since, err := m.episodes.Failing(); !since.IsZero() {
		out = append(out, Trouble{Kind: "disk", Since: since, Text: fmt.Sprintf("the spool's disk has failed for %s: %v", now.Sub(since).Round(time.Second), err)})
	}
	if drops := m.episodes.Drops(now); drops > 0 {
		out = append(out, Trouble{Kind: "lost", Text: fmt.Sprintf("%d segments were given up before they reached the bucket", drops)})
	}
	return out
}

// down tells of the recordings that stand down, one for each stream.
func (m *Mirror) down() (out []Trouble) {
	seen := map[string]bool{}
	for _, r := range m.all() {
		r.mu.Lock()
		for _, l := range r.lanes {
			if name := r.key.String(); l.hold == shared.Lost && !seen[name] {
				seen[name] = true
				text := fmt.Sprintf("another server (%s) has the stream in the %s: the playlists of recording %s are not written there; its segments are, and stay in the spool for recordings repair", cmp.Or(l.taker, "since before the start"), l.u.name, r.id)
				if l.taken {
					text = fmt.Sprintf("another server (%s) goes on with the recording %s in the %s: nothing need be done", l.taker, r.id, l.u.name)
				}
				out = append(out, Trouble{Kind: "stood down", Target: name, Text: text})
			}
		}
		r.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Trouble) int { return cmp.Compare(a.Target, b.Target) })
	return out
}

// Standing is the state of one recording in the stores.
type Standing struct {
	Unsent  int64 // bytes of segments that a store has not confirmed; with two stores the larger number
	Settled bool  // it has ended, and every store has all of it, with final playlists
}

// Standing returns the state of one recording. One that the mirror does not know, or no longer knows, is settled.
func (m *Mirror) Standing(key segmenter.Key, id segmenter.RecordingID) Standing {
	r := m.find(key, id)
	if r == nil {
		return Standing{Settled: true}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Standing{Settled: r.ended}
	for _, l := range r.tracks {
		p.Settled = p.Settled && l.complete()
	}
	for _, l := range r.lanes {
		p.Settled = p.Settled && l.complete()
		var unsent int64
		for seq := l.settled; seq < r.next(); seq++ {
			if w := r.row(seq); !w.settled(l.target) {
				unsent += w.Size
			}
		}
		p.Unsent = max(p.Unsent, unsent)
	}
	return p
}

// Place says where the bytes of a segment are, besides memory.
type Place struct {
	Sequence uint64
	Spool    bool // a file of the spool
	Sending  bool // on its way to a store
	Stored   bool // in every store
	Lost     bool // some store will never have it
}

// Unsent is segments that a store has not confirmed yet.
type Unsent struct {
	Segments int
	Bytes    int64
}

// Places tells it of a recording's segments from a number on, and how many before it a store does not have yet. A recording that
// the mirror does not know, or does not know any more, has none: what there was of it is in every store.
func (m *Mirror) Places(key segmenter.Key, id segmenter.RecordingID, from uint64) (places []Place, earlier Unsent, known bool) {
	r := m.find(key, id)
	if r == nil {
		return nil, earlier, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	settled := from
	for _, l := range r.lanes {
		settled = min(settled, l.settled)
	}
	for seq := max(settled, r.base); seq < min(from, r.next()); seq++ {
		w := r.row(seq)
		for t := range r.lanes {
			if !w.settled(t) {
				earlier.Segments++
				earlier.Bytes += w.Size
				break
			}
		}
	}
	for seq := max(from, r.base); seq < r.next(); seq++ {
		w := r.row(seq)
		p := Place{Sequence: seq, Spool: w.is(onDisk), Stored: len(r.lanes) > 0}
		for t := range r.lanes {
			p.Sending = p.Sending || w.is(sending<<t)
			p.Stored = p.Stored && w.is(confirmed<<t)
			p.Lost = p.Lost || w.lost(t)
		}
		places = append(places, p)
	}
	return places, earlier, true
}
