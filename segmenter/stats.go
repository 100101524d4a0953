package segmenter

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
)

// Stats counts what the segmenter did since it started; readable at any time.
type Stats struct {
	Publishers      atomic.Int64 // connected now
	Recordings      atomic.Int64 // not ended now
	Frames          atomic.Int64 // written to a segment
	Bytes           atomic.Int64 // of transport stream published
	Segments        atomic.Int64 // published
	Whole           atomic.Int64 // of them, those that came whole and were passed on byte for byte
	MemoryBytes     atomic.Int64 // of segments in memory now
	ForcedCuts      atomic.Int64 // segments that do not begin with a keyframe, because none came in time
	Discontinuities atomic.Int64 // published
	Gaps            atomic.Int64 // numbers that a rung of a ladder did not deliver
	Takeovers       atomic.Int64 // silent publishers replaced by themselves
	Refused         atomic.Int64 // publishers turned away
	RefusedMemory   atomic.Int64 // of them, and of those that had begun, for want of memory
	MetadataLost    atomic.Int64 // tags that were accepted and have no place in their recording
	CuesLost        atomic.Int64 // ad breaks, likewise
	DTSRepaired     atomic.Int64 // frames whose DTS did not rise, or whose PTS was before it

	DroppedBeforeKey    atomic.Int64 // video frames before a keyframe, and frames of a rung that has no place in its ladder
	DroppedBeforeVideo  atomic.Int64 // audio frames before the first video of a segment could begin, or far from its time line
	DroppedUnconfigured atomic.Int64 // frames without parameter sets, or of a configuration that waits for a keyframe
	DroppedLate         atomic.Int64 // frames of a rung whose number had been declared a gap
	DroppedEmpty        atomic.Int64 // frames without content
}

// dropped counts a frame that went no further than the segmenter.
func (s *Stats) dropped(why ingest.Reason) {
	switch why {
	case ingest.BeforeKey:
		s.DroppedBeforeKey.Add(1)
	case ingest.BeforeVideo:
		s.DroppedBeforeVideo.Add(1)
	case ingest.Uncarried:
		s.DroppedUnconfigured.Add(1)
	}
}

// Vitals returns what is measured of each stream that has a publisher, or had one and is still known.
func (r *Registry) Vitals() map[Key]*vitals.Vitals {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make(map[Key]*vitals.Vitals, len(r.streams))
	for key, st := range r.streams {
		if st.vitals != nil {
			all[key] = st.vitals
		}
	}
	return all
}

// Unconfirmed is how many segments viewers are not shown yet, because no store has confirmed them; see Options.Confirmed.
func (r *Registry) Unconfirmed() (n int) {
	for _, t := range r.Timelines() {
		if !t.yielded.Load() { // else nobody is shown anything of it
			n += t.Snapshot().Unlisted()
		}
	}
	return n
}

// awaited is whether viewers wait for a store longer than an upload takes.
type awaited struct {
	mu    sync.Mutex
	since time.Time // zero: they do not
}

// awaitedAfter is how many target durations a segment may wait to be listed before that is worth a line: what players hold in advance
// is three.
const awaitedAfter = 2

// await logs the beginning and the end of each time that viewers wait for a store.
func (r *Registry) await(now time.Time) {
	r.awaited.mu.Lock()
	defer r.awaited.mu.Unlock()
	if !r.confirmed.Load() && r.awaited.since.IsZero() {
		return
	}
	streams, segments := 0, 0
	for _, t := range r.Timelines() {
		s := t.Snapshot()
		n := s.Unlisted()
		if n == 0 || t.yielded.Load() || now.Sub(s.Whole().Rows[len(s.Rows)].End()) < awaitedAfter*time.Duration(s.TargetDuration)*time.Second {
			continue
		}
		streams, segments = streams+1, segments+n
	}
	switch since := r.awaited.since; {
	case streams > 0 && since.IsZero():
		r.awaited.since = now
		r.o.Log.Warn("viewers wait for the bucket: a segment is listed when the bucket has it, and it is slow or away; what is recorded is kept, and listed later. Where viewers matter more than takeovers, set cluster.live_first",
			"streams", streams, "segments", segments)
	case streams == 0 && !since.IsZero():
		r.awaited.since = time.Time{}
		r.o.Log.Info("viewers no longer wait for the bucket", "after", now.Sub(since).Round(time.Millisecond))
	}
}
