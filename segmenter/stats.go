package segmenter

import (
	"sync/atomic"

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
