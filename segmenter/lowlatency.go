package segmenter

import (
	"sync"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// renditions are the timelines that a ladder's multivariant playlist names now.
type renditions struct {
	sync.Mutex
	list []*Timeline
}

func (r *renditions) set(list []*Timeline) {
	r.Lock()
	defer r.Unlock()
	r.list = list
}

// lowLatency is the low-latency playlists of one snapshot. They are rendered when they are asked for, each once.
type lowLatency struct {
	r           *renderer
	t           *Timeline
	whole, skip sync.Once
	full, delta *Playlist
}

// LowLatency is the low-latency media playlist: the live playlist with the parts of its newest segments. With skip it leaves out
// what the client has already, where there is so much (rfc8216bis 6.2.5.1). It is rendered at the first call for this snapshot and
// shared afterwards; nil where there are no parts, and while Starting.
func (s *Snapshot) LowLatency(skip bool) *Playlist {
	s = s.Whole()
	e := s.ll
	if e == nil || len(s.Rows) == 0 {
		return nil
	}
	if n := s.skippable(); skip && n > 0 {
		e.skip.Do(func() { e.delta = s.render(n) })
		return e.delta
	}
	e.whole.Do(func() { e.full = s.render(0) })
	return e.full
}

// render makes the playlist without its first skip rows.
func (s *Snapshot) render(skip int) *Playlist {
	m := s.list(skip)
	m.Reports = s.ll.t.reports()
	return s.ll.r.finish(m.Append(make([]byte, 0, 1024+128*len(s.Rows[s.First:])+64*len(s.Parts))), s.Modified)
}

// Skips reports whether there is something that a delta update leaves out.
func (s *Snapshot) Skips() bool { return s.Whole().skippable() > 0 }

// List is what LowLatency renders, without its rendition reports; there must be a row.
func (s *Snapshot) List(skip bool) *m3u8.Media {
	s = s.Whole()
	n := 0
	if skip {
		n = s.skippable()
	}
	return s.list(n)
}

// skippable is how many rows of the playlist are older than CAN-SKIP-UNTIL.
func (s *Snapshot) skippable() int {
	left := int64(s.SkipUntil) * Clock
	if left == 0 {
		return 0
	}
	for i := len(s.Rows); i > s.First; i-- {
		if left <= 0 {
			return i - s.First
		}
		left -= s.Rows[i-1].Duration
	}
	return 0
}

func (s *Snapshot) list(skip int) *m3u8.Media {
	rows := s.Rows[s.First:]
	m := &m3u8.Media{
		TargetDuration: s.TargetDuration, MediaSequence: rows[0].Sequence, DiscontinuitySequence: rows[0].DiscontinuitySequence,
		IndependentSegments: independent(rows) && (s.Edge.Start.IsZero() || s.Edge.Independent), EndList: s.State == Ended,
		LowLatency: &m3u8.Control{PartTarget: s.PartTarget, SkipUntil: s.SkipUntil},
		Segments:   make([]m3u8.Segment, 0, len(rows)-skip), Skipped: skip, Running: rows[0].Running,
	}
	for i := range skip { // date ranges are not left out: there is no CAN-SKIP-DATERANGES (rfc8216bis 4.4.3.8)
		m.Running += rows[i].Cues
	}
	from, left := len(rows), int64(3*s.TargetDuration)*Clock // parts stand before the rows from there on
	for ; from > skip && left > 0; from-- {
		left -= rows[from-1].Duration
	}
	for i := skip; i < len(rows); i++ {
		e := &rows[i]
		m.Segments = append(m.Segments, m3u8.Segment{
			URI: SegmentFile(e.Sequence), Duration: e.Duration, Discontinuity: e.Discontinuity, Gap: e.Gap, ProgramDateTime: e.Start,
			Ranges: e.Cues,
		})
		if i >= from {
			m.Parts = append(m.Parts, s.listed(e.Sequence))
		}
	}
	m.Edge, m.AtEdge = m3u8.Segment{Discontinuity: s.Edge.Discontinuity, ProgramDateTime: s.Edge.Start}, s.listed(s.Next())
	if sequence, index, ok := s.Hint(); ok {
		m.Hint = PartFile(sequence, index)
	}
	return m
}

// listed are the parts of a segment as they stand in a playlist.
func (s *Snapshot) listed(sequence uint64) (parts []m3u8.Part) {
	for i := range s.Parts {
		if p := &s.Parts[i]; p.Sequence == sequence {
			parts = append(parts, m3u8.Part{URI: PartFile(sequence, p.Index), Duration: p.Duration, Independent: p.Independent})
		}
	}
	return parts
}

// Shown is what is newest of the recordings that a multivariant playlist shows together with this one, which is among them: those of
// its ladder that have something to play and parts.
func (t *Timeline) Shown() (list []*Snapshot) {
	all := []*Timeline{t}
	if l := t.ladder.Load(); l != nil {
		l.Lock()
		all = l.list
		l.Unlock()
	}
	for _, o := range all {
		if s := o.Snapshot().Whole(); o.id == t.id && s.PartTarget > 0 && s.Next() > 0 {
			list = append(list, s)
		}
	}
	return list
}

// reports are what is newest in the other renditions of the timeline's ladder.
func (t *Timeline) reports() (reports []m3u8.Report) {
	for _, s := range t.Shown() {
		if s.Stream == t.key.Stream {
			continue
		}
		r := m3u8.Report{URI: "../../" + s.Stream + "/" + string(s.Recording) + "/" + LowLatencyFile}
		r.MSN, r.Part = s.Newest()
		reports = append(reports, r)
	}
	return reports
}
