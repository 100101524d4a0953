package segmenter

import (
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// laws holds, for all that a stream listed, what viewers may rely on whatever the encoder's shape: how a segment begins,
// that what is said to be independent is, that EXTINF is the media's own duration, that PROGRAM-DATE-TIME goes on, and that
// no time stamp was changed on the way. The frame is the longest distance between two pictures, or between sound frames
// where there is no picture, in ticks.
func (s *stage) laws(stream string, frame int64) {
	s.t.Helper()
	t := s.tape(stream)
	for i := range t.rows {
		row := &t.rows[i]
		if row.Gap {
			continue
		}
		s.beginning(stream, row)
		s.ownDuration(stream, t.rows, i, frame)
		if i == 0 || t.rows[i-1].recording != row.recording || row.Sequence != t.rows[i-1].Sequence+1 || t.rows[i-1].Gap {
			continue
		}
		off := row.Start.Sub(t.rows[i-1].Start) - cut.Duration(t.rows[i-1].Duration)
		if off < -cut.Duration(frame) || !row.Discontinuity && off > cut.Duration(frame) {
			s.twice(stream, "%d begins %v after the end of the one before", row.Sequence, off)
		}
	}
	s.sums(stream, t.rows, frame)
	s.stamps(stream, t.rows)
}

// beginning holds how a segment begins, and that it is independent where it says so, and says so where it is.
func (s *stage) beginning(stream string, row *tapeRow) {
	s.t.Helper()
	seg := row.segment
	if !seg.tables {
		s.twice(stream, "%d does not begin with PAT and PMT", row.Sequence)
	}
	if seg.codecs[astVideo] == 0 {
		if !row.Independent {
			s.twice(stream, "%d has no picture and is not independent", row.Sequence)
		}
		return
	}
	pictures := seg.units[astVideo]
	if len(pictures) == 0 {
		return
	}
	if !seg.firstIsVideo {
		s.twice(stream, "%d does not begin with a picture", row.Sequence)
	}
	c := seg.codecs[astVideo]
	survey := c.Survey(pictures[0].units)
	if survey.Sets&c.NeededSets() != c.NeededSets() {
		s.twice(stream, "%d begins without its parameter sets", row.Sequence)
	}
	if alone := independentPictures(c, pictures); alone != row.Independent {
		s.twice(stream, "%d is independent: %v; it begins with picture %d, access by %v, so it should be %v", row.Sequence,
			row.Independent, pictures[0].id, survey.Access, alone)
	}
	if row.Independent && !pictures[0].access {
		s.twice(stream, "%d begins without random_access_indicator", row.Sequence)
	}
}

// independentPictures reports whether all pictures of a segment can be decoded without the one before it.
func independentPictures(c ingest.Codec, pictures []tsUnit) bool {
	first := c.Survey(pictures[0].units)
	switch first.Access {
	case codec.Clean:
		return true
	case codec.NoAccess:
		return false
	case codec.Recovery:
		if first.RecoverIn > 0 {
			return false
		}
	}
	for _, p := range pictures[1:] {
		survey := c.Survey(p.units)
		if survey.Access >= codec.Open {
			return true // what leads this one refers to what is here
		}
		if first.Access == codec.Recovery && after33(p.pts, pictures[0].pts) < 0 || survey.Leading {
			return false
		}
	}
	return true
}

// unitsOf are the pictures of a segment, or its sound where it is of sound alone.
func unitsOf(seg *tsSegment) []tsUnit {
	if seg.codecs[astVideo] != 0 {
		return seg.units[astVideo]
	}
	return seg.units[astAudio]
}

// ownDuration holds that a segment's EXTINF is what it shows: up to the first picture of the next, or, where none follows on
// its time line, to the end of its last.
func (s *stage) ownDuration(stream string, rows []tapeRow, i int, frame int64) {
	s.t.Helper()
	row := &rows[i]
	units := unitsOf(row.segment)
	if len(units) == 0 {
		return
	}
	want, tolerance := int64(0), frame+1
	if next := follower(rows, i); next != nil && len(unitsOf(next.segment)) > 0 {
		want = after33(unitsOf(next.segment)[0].pts, units[0].pts)
	} else if next == nil {
		for _, u := range units {
			if u.pts >= 0 {
				want = max(want, after33(u.pts, units[0].pts))
			}
		}
		if row.segment.codecs[astVideo] == 0 {
			tolerance = max(frame, Clock/8) // of what stands in one PES packet only the first time stamp is known
		}
		want += frame
	}
	if off := row.Duration - want; off > tolerance || off < -tolerance {
		s.twice(stream, "EXTINF of %d is %v, its media lasts %v", row.Sequence, cut.Duration(row.Duration), cut.Duration(want))
	}
}

// follower is the row that goes on from row i on its time line; nil where none does.
func follower(rows []tapeRow, i int) *tapeRow {
	if i+1 == len(rows) || rows[i+1].Discontinuity || rows[i+1].Gap || rows[i+1].recording != rows[i].recording {
		return nil
	}
	return &rows[i+1]
}

// sums holds that durations do not add up to another time than the media's own.
func (s *stage) sums(stream string, rows []tapeRow, frame int64) {
	s.t.Helper()
	for i := range rows {
		if i > 0 && follower(rows, i-1) != nil || rows[i].Gap || len(unitsOf(rows[i].segment)) == 0 {
			continue
		}
		sum, from := int64(0), unitsOf(rows[i].segment)[0].pts
		for k := i; ; k++ {
			sum += rows[k].Duration
			next := follower(rows, k)
			if next == nil {
				break
			}
			if u := unitsOf(next.segment); len(u) > 0 {
				if off := sum - after33(u[0].pts, from); off > frame || off < -frame {
					s.twice(stream, "the segments from %d to %d are %v longer than their media", rows[i].Sequence, rows[k].Sequence, cut.Duration(off))
					break
				}
			}
		}
	}
}

// stamps holds that all time stamps are those that were sent.
func (s *stage) stamps(stream string, rows []tapeRow) {
	s.t.Helper()
	sent := [2]map[int64]*sentFrame{{}, {}}
	for i := range s.sent[stream] {
		f := &s.sent[stream][i]
		sent[f.kind()][f.id] = f
	}
	bad := 0
	for i := range rows {
		for kind, units := range rows[i].segment.units {
			for _, u := range units {
				f := sent[kind][u.id]
				if f == nil {
					s.twice(stream, "%d holds a frame that nobody sent, %d", rows[i].Sequence, u.id)
					continue
				}
				if u.pts >= 0 && (after33(u.pts, f.PTS+mpegts.Offset) != 0 || after33(u.dts, f.DTS+mpegts.Offset) != 0) {
					if bad++; bad == 1 {
						s.twice(stream, "frame %d of %v was sent with PTS %d, DTS %d and stands there with %d, %d", u.id, f.Track.Codec,
							f.PTS, f.DTS, u.pts-mpegts.Offset, u.dts-mpegts.Offset)
					}
				}
			}
		}
	}
}

// playlists holds, for both playlists of a stream at this moment, that the tag for independent segments tells the truth,
// and that no row goes back in time. It says each once.
func (s *stage) playlists(stream string) {
	s.t.Helper()
	s.eachPlaylist(stream, func(name string, m *m3u8.Media, rows []Row) {
		last := time.Time{}
		for i := range m.Segments {
			if at := m.Segments[i].ProgramDateTime; at.IsZero() {
				continue
			} else if at.Before(last) {
				s.once("%s: the %s playlist goes back in time", stream, name)
			} else {
				last = at
			}
		}
		if m.IndependentSegments != independent(rows) {
			s.once("%s: EXT-X-INDEPENDENT-SEGMENTS is %v in the %s playlist", stream, m.IndependentSegments, name)
		}
	})
}

// eachPlaylist looks at the live and the timestamped playlist of a stream, with the rows that each lists, where they are new.
func (s *stage) eachPlaylist(stream string, see func(name string, m *m3u8.Media, rows []Row)) {
	s.t.Helper()
	tl := s.reg.Timeline("live", stream)
	if tl == nil || tl.Snapshot().Live == nil || s.rendered[stream] == tl.Snapshot() {
		return
	}
	snap := tl.Snapshot()
	s.rendered[stream] = snap
	for name, p := range map[string]*Playlist{"live": snap.Live, "timestamped": snap.Archive()} {
		m, err := m3u8.ParseMedia(p.Body)
		if err != nil {
			s.t.Fatalf("%v in %s", err, p.Body)
		}
		from := m.MediaSequence - snap.Base
		see(name, m, snap.Rows[from:from+uint64(len(m.Segments))])
	}
}

// once is Errorf, of the same words only once.
func (s *stage) once(format string, args ...any) {
	s.t.Helper()
	if words := fmt.Sprintf(format, args...); s.said[words] == 0 {
		s.said[words]++
		s.t.Error(words)
	}
}

// twice is Errorf, of the same format and stream only twice: what is wrong with one segment mostly is with all.
func (s *stage) twice(stream, format string, args ...any) {
	s.t.Helper()
	if s.said[stream+format]++; s.said[stream+format] <= 2 {
		s.t.Errorf(stream+": "+format, args...)
	}
}
