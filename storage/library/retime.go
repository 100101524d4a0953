package library

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// time gives each row that no playlist knew its duration, its discontinuity and, where the clock is not that of the row
// before, its date.
func (w *repairWork) time() {
	usual := w.usualDuration()
	var clock time.Time // of the row's first frame; zero: not known yet
	for i := range w.rows {
		r := &w.rows[i]
		if !r.known || r.info != nil {
			w.timeRow(i, usual, clock)
		}
		if !r.seg.ProgramDateTime.IsZero() {
			clock = r.seg.ProgramDateTime
		} else if clock.IsZero() {
			clock = w.startOf(i)
			if i == 0 {
				r.seg.ProgramDateTime = clock
			}
		}
		clock = clock.Add(ticksToDuration(r.seg.Duration))
		w.count(r)
	}
}

// timeRow is for a row whose bytes were read, or of which nothing is known at all.
func (w *repairWork) timeRow(i int, usual int64, clock time.Time) {
	r := &w.rows[i]
	if r.info == nil {
		if before := i - 1; before >= 0 && w.rows[before].info == nil && !w.rows[before].known {
			r.seg.Duration = w.rows[before].seg.Duration // one of several that are missing: their share is the same
			return
		}
		r.seg.Duration = w.missing(i, usual)
		return
	}
	if r.known { // a gap that returned keeps its place in time
		return
	}
	r.seg.Duration, r.seg.Size, r.seg.CRC32C = r.info.Base().Span(), r.info.Size, r.info.CRC32C
	if next := w.infoAt(i + 1); next != nil {
		if d, ok := r.info.Follows(next); ok {
			r.seg.Duration = d
		}
	}
	if r.seg.Duration <= 0 {
		r.seg.Duration = usual
	}
	w.out.Scanned++
	if r.info.Jumps > 0 {
		r.seg.Discontinuity = true
	}
	if before := w.infoAt(i - 1); before != nil {
		if _, ok := before.Follows(r.info); !ok {
			r.seg.Discontinuity = true
		}
	}
	if r.seg.Discontinuity && !clock.IsZero() {
		// How long the publisher was away is in no time stamp. The store's clock knows at least when the segment came.
		came := r.object.Modified.Add(-ticksToDuration(r.seg.Duration))
		if came.Before(clock) {
			came = clock
		}
		r.seg.ProgramDateTime = came.UTC().Truncate(time.Millisecond)
	}
}

func (w *repairWork) infoAt(i int) *mpegts.Scanned {
	if i < 0 || i >= len(w.rows) || !w.rows[i].exists {
		return nil
	}
	return w.rows[i].info
}

// missing estimates how long a segment was of which nothing is left, the first of those that are missing there: what lies between its
// neighbours' time stamps, shared among all of them, if that is plausible.
func (w *repairWork) missing(i int, usual int64) int64 {
	from, to := i-1, i+1
	for to < len(w.rows) && w.rows[to].info == nil && !w.rows[to].known {
		to++
	}
	for from >= 0 && w.rows[from].info == nil && !w.rows[from].known {
		from--
	}
	before, after := w.infoAt(from), w.infoAt(to)
	if before == nil || after == nil {
		return usual
	}
	d := (mpegts.Distance(before.Base().First, after.Base().First) - before.Base().Span()) / int64(to-from-1)
	if d < usual/2 || d > 2*usual {
		return usual
	}
	return d
}

// usualDuration is the average of what is known.
func (w *repairWork) usualDuration() int64 {
	var sum, n int64
	for i := range w.rows {
		r := &w.rows[i]
		switch {
		case r.known && r.seg.Duration > 0:
			sum, n = sum+r.seg.Duration, n+1
		case r.info != nil && r.info.Base().Span() > 0:
			sum, n = sum+r.info.Base().Span(), n+1
		}
	}
	if n == 0 {
		return 4 * segmenter.Clock
	}
	return sum / n
}

// startOf is the date of the first row: the recording's own name where it begins here, else when it came.
func (w *repairWork) startOf(i int) time.Time {
	r := &w.rows[i]
	if t, ok := w.ref.ID.Time(); ok {
		return t // a recording is named by its first segment's instant, and so is each split
	}
	return r.object.Modified.Add(-ticksToDuration(r.seg.Duration))
}

// count settles whether the row is a gap, and what that changes.
func (w *repairWork) count(r *repairRow) {
	was := r.seg.Gap || r.known && !r.listed && !r.exists
	switch {
	case r.exists && r.seg.Gap:
		r.seg.Gap = false
		r.seg.Size, r.seg.CRC32C = r.info.Size, r.info.CRC32C
		w.out.Returned++
	case !r.exists && !was:
		w.out.Gaps++
	}
	if !r.exists {
		r.seg.Gap = true // size and checksum stay: by them the segment is known should it return
	}
	if r.exists && !r.listed {
		w.out.Added++
	}
}

// media is the playlist of all rows.
func (w *repairWork) media() *m3u8.Media {
	m := &m3u8.Media{Type: m3u8.VOD, EndList: true, IndependentSegments: true, MediaSequence: w.rows[0].seq}
	for _, from := range []*m3u8.Media{w.live, w.oldMedia()} {
		if from != nil {
			m.TargetDuration = max(m.TargetDuration, from.TargetDuration)
		}
	}
	for i := range w.rows {
		r := &w.rows[i]
		s := r.seg
		s.URI = relative(w.folder.segment(r.seq))
		m.TargetDuration = max(m.TargetDuration, int((s.Duration+segmenter.Clock/2)/segmenter.Clock))
		if !s.Gap && !w.independent(r) {
			m.IndependentSegments = false
		}
		m.Segments = append(m.Segments, s)
	}
	m.DiscontinuitySequence = w.discontinuitySequence()
	return m
}

func (w *repairWork) independent(r *repairRow) bool {
	switch {
	case r.info != nil:
		return r.info.Key
	case r.listed:
		return w.old.media.IndependentSegments
	}
	return w.live != nil && w.live.IndependentSegments
}

func (w *repairWork) oldMedia() *m3u8.Media {
	if w.old == nil {
		return nil
	}
	return w.old.media
}

// discontinuitySequence is that of the first row: as the playlist had it, or counted back from live.m3u8. A recording's
// first playlist begins at zero, and so does a later one of which nothing else is known.
func (w *repairWork) discontinuitySequence() uint64 {
	first := w.rows[0].seq
	if old := w.oldMedia(); old != nil && old.MediaSequence == first {
		return old.DiscontinuitySequence
	}
	if w.live == nil || w.live.MediaSequence < first {
		return 0
	}
	n := w.live.DiscontinuitySequence
	for i := range w.rows {
		if r := &w.rows[i]; r.seq < w.live.MediaSequence && r.seg.Discontinuity && n > 0 {
			n--
		}
	}
	return n
}
