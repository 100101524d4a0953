package mirror

import (
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// copyFrom copies what is new in a snapshot: positions first, then the bytes are held in memory until they are safe. It
// tells how many segments were new, and takes r.mu itself.
func (r *recording) copyFrom(s *segmenter.Snapshot) (fresh int) {
	var held, lost []uint64
	var stills []*segmenter.Segment
	r.mu.Lock()
	if s.Generation < r.generation {
		r.mu.Unlock()
		return 0 // somebody was here with a newer one
	}
	r.generation = s.Generation
	from := r.next()
	if len(r.rows) == 0 && s.Next() > s.Base {
		r.base, from = s.Base, s.Base
		r.splits = append(r.splits, split{first: r.base, name: r.id})
		for _, l := range r.lanes {
			l.start(r.base)
		}
		r.journal.start(r.base)
	}
	begin := from
	for ; from < s.Base; from++ { // rows that the timeline forgot before they were seen here
		start := r.end()
		if start.IsZero() {
			start = r.lastFrame
		}
		r.invent(segmenter.Row{Sequence: from, Start: start, Duration: int64(s.TargetDuration) * segmenter.Clock})
		r.added(from)
	}
	if from < s.Next() {
		r.extend(s)
	}
	for seq := from; seq < s.Next(); seq++ {
		r.added(seq)
		if s.Rows[seq-s.Base].Gap {
			if seg := s.Segment(seq); seg != nil && seg.Size > 0 && seg.Retain() {
				stills = append(stills, seg)
			}
			continue
		}
		if seg := s.Segment(seq); seg != nil && seg.Retain() {
			r.memory[seq] = seg
			r.m.memory.used.Add(seg.Size)
			held = append(held, seq)
		} else {
			lost = append(lost, seq)
			r.row(seq).set(isDropped, true)
			r.note(event{dropped, 0, seq})
		}
	}
	opened := s.Opened
	if s.Writing {
		opened++
	}
	r.opened = max(r.opened, opened, s.Next())
	r.writing = s.Writing && s.State != segmenter.Ended
	r.lastFrame = s.LastFrame
	if s.TargetDuration != r.target || s.Variant != r.variant {
		r.target, r.variant = s.TargetDuration, s.Variant
		r.journal.meta = true
	}
	if n := len(s.Rows) - s.First; n > 0 {
		r.journal.meta = r.journal.meta || n != r.window
		r.slideTo(s.Base + uint64(s.First))
		r.window = n
		r.place()
	}
	if s.Entry != nil {
		r.entry = s.Entry.Body
	}
	if s.Live != nil {
		r.live = liveBody{s.Live.Body, r.first, s.Next(), s.State == segmenter.Ended}
	}
	r.ended = r.ended || s.State == segmenter.Ended
	fresh = int(r.next() - begin)
	r.settle()
	r.mu.Unlock()

	for _, seg := range stills {
		n := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: seg.Sequence}
		for _, u := range r.m.uploaders {
			u.stills.add(n, seg)
		}
		seg.Release()
	}
	for _, seq := range lost {
		r.m.stats.Gaps.Add(1)
		r.m.log.Warn("segment left memory before it could be mirrored: a gap", "stream", r.key.String(), "sequence", seq)
	}
	r.m.memory.keep(r, held)
	return fresh
}

// slideTo sets where the live window begins. It may begin earlier than was thought after a restart: what of the backlog lies in
// it then is looked for at the edge.
func (r *recording) slideTo(first uint64) {
	for _, l := range r.lanes {
		if first < r.first {
			l.edge = min(l.edge, first)
		}
	}
	r.first = first
}

// place lets the lanes of a recording that was taken up again begin their live playlists where the timeline does. The
// journal alone does not know that place: of a window that was not full it knows only how many there were.
func (r *recording) place() {
	if r.placed {
		return
	}
	r.placed = true
	for _, l := range r.lanes {
		l.liveFirst = r.first
	}
}

// added notes a row that is new in the table, and begins a new timestamped playlist where its time has come.
func (r *recording) added(sequence uint64) {
	e := r.row(sequence)
	if n := len(r.splits); r.m.o.ArchiveSplit > 0 && n > 0 {
		first := r.row(r.splits[n-1].first)
		if !first.none() && e.Start.Sub(first.Start) >= r.m.o.ArchiveSplit {
			r.splits = append(r.splits, split{first: sequence, name: segmenter.NewRecordingID(e.Start)})
			r.journal.splits = true
		}
	}
	for _, l := range r.lanes {
		if !e.Gap {
			l.u.stats.BacklogSegments.Add(1)
			l.u.stats.BacklogBytes.Add(e.Size)
		}
	}
}
