package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// multivariant is the keeper of a ladder's own timeline: a state and multivariant playlists, and no segments.
type multivariant struct {
	t *Timeline
	o *AppOptions
	r *Registry

	state      State
	generation uint64
	target     int // seconds
	modified   time.Time
	ends       time.Time // when an ended one is forgotten
	entry      *Playlist
	archive    *archive
}

func newMultivariant(r *Registry, key Key, id RecordingID, o *AppOptions, begun time.Time) *multivariant {
	m := &multivariant{
		t: &Timeline{key: key, id: id}, o: o, r: r, modified: begun, archive: &archive{r: &r.renderer},
	}
	m.t.keeper = m
	r.stats.Recordings.Add(1)
	m.snapshot()
	return m
}

// update takes new playlists: that of what plays now, and that of the whole recording. What did not change keeps its ETag
// and date. fed tells whether a rung has input: that a gap was listed does not make a stalled ladder live.
func (m *multivariant) update(live, whole []byte, target int, at time.Time, fed bool) {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if m.state == Ended {
		return
	}
	if at.IsZero() {
		at = m.modified
	}
	entry, all := m.r.renderer.finish(live, at), m.r.renderer.finish(whole, at)
	state := Live
	if m.state == Stalled && !fed {
		state = Stalled
	}
	if m.state == state && m.entry != nil && entry.ETag == m.entry.ETag && all.ETag == m.archive.last.ETag {
		return
	}
	m.state, m.entry, m.archive = state, entry, &archive{fixed: true, last: all}
	m.target, m.modified = target, at
	m.snapshot()
}

// stall shows that no rung has input.
func (m *multivariant) stall() {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if m.state == Live {
		m.state = Stalled
		m.snapshot()
	}
}

// expire implements keeper. The ladder ends its timeline.
func (m *multivariant) expire(now time.Time) bool {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	return m.state == Ended && !now.Before(m.ends)
}

// stop implements keeper.
func (m *multivariant) stop(now time.Time, hold bool) {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if hold || m.state == Ended {
		return
	}
	m.state, m.modified, m.ends = Ended, now, now.Add(m.o.EndedTTL)
	m.r.stats.Recordings.Add(-1)
	m.snapshot()
}

// yield implements keeper. What belongs to the ladder has been let go of before.
func (m *multivariant) yield(now time.Time) bool {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if m.state == Ended {
		return false
	}
	m.t.yielded.Store(true)
	m.state, m.ends = Ended, now.Add(restoredTTL)
	m.r.stats.Recordings.Add(-1)
	m.snapshot()
	return true
}

func (m *multivariant) snapshot() {
	m.generation++
	m.t.publish(&Snapshot{
		Key: m.t.key, Recording: m.t.id, Generation: m.generation, State: m.state, TargetDuration: m.target,
		Yielded: m.t.yielded.Load(), Modified: m.modified, LastFrame: m.modified, Entry: m.entry, ArchiveName: m.t.id, archive: m.archive,
		PartTarget: codec.Ticks(m.o.parts()),
	})
}
