// Package whole places segments that their sender cut on a recording's time line, one behind the other: where each begins and ends, on the
// media's clock and on the wall, whether it goes on from the one before, and what the playlists have to say of it. It refuses to change a
// byte of them, to cut or to join, and to look at a clock.
package whole

import (
	"bytes"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Segment is what one is made of, and where it stands.
type Segment struct {
	Tracks      cut.Tracks
	Start, End  int64 // presentation time, ticks; a segment that goes on starts where the one before ended, so that durations add up
	Boundary    int64 // decoding time of its first access unit
	Independent bool
	Breaks      bool // it does not go on from the one before
	Misstated   bool // the sender's EXTINF is off by more than a frame; End is the media's own

	VideoBytes int64
	Captions   codec.Captions
	Captioned  bool // captions are sent, though they may have said nothing yet
	Key        int  // bytes up to the end of its first picture, if that is a keyframe

	First ingest.Frame // its first picture, or sound where it has none
	Frame int64        // how long that lasts, ticks

	newest [2]int64 // decoding times
}

// Line is where the segments have got to. The zero value is ready, and the next segment begins a stretch.
type Line struct {
	on     bool
	tracks cut.Tracks
	end    int64
	newest [2]int64
	clock  cut.Wallclock
}

// Break ends the stretch: the next segment begins another.
func (l *Line) Break() { l.on = false }

// On reports whether there is a stretch to go on with.
func (l *Line) On() bool { return l.on }

// Like reports whether a segment has the tracks of the one before.
func (l *Line) Like(s *Segment) bool { return l.tracks.Same(s.Tracks) }

// Gap notes a segment of some duration that never came: the next may go on behind it.
func (l *Line) Gap(duration int64) { l.end += duration }

// PDTEarliest is how long before its arrival a segment may have been made, as its sender says, to be believed: encoders keep what they could
// not send, and clocks are wrong.
const PDTEarliest = 24 * time.Hour

// Made is when a segment's first frame was made, as far as is known: as its sender says, unless that is later than it came, or a day before;
// else a segment's length before it came.
func Made(w *ingest.Whole, arrival time.Time) time.Time {
	if at := w.Wall; !at.IsZero() && !at.After(arrival) && arrival.Sub(at) < PDTEarliest {
		return at
	}
	return arrival.Add(-cut.Duration(w.Duration))
}

// Look examines a segment and finds its place. The error is why it cannot be passed on as it is.
func (l *Line) Look(w *ingest.Whole) (s Segment, err error) {
	var pictures, sounds int
	var first, last [2]int64
	var entry ingest.Frame
	var sound *ingest.Frame
	leads := false
	for i := range w.Frames {
		f := &w.Frames[i]
		k, n := 1, &sounds
		if f.Track.Codec.IsVideo() {
			k, n = 0, &pictures
		}
		track := &s.Tracks.Video
		if k == 1 {
			track = &s.Tracks.Audio
		}
		if *n > 0 && !cut.SameConfiguration(*track, f.Track) {
			return s, &ingest.NotWhole{Reason: "the configuration of a track changes in the middle of a segment"}
		}
		*track = f.Track
		if *n == 0 {
			first[k] = f.DTS
		} else if f.DTS <= last[k] {
			return s, &ingest.NotWhole{Reason: "decoding times do not rise"}
		}
		last[k] = f.DTS
		*n++
		if k == 1 {
			if sound == nil {
				sound = f
			}
			continue
		}
		v := f.Track.Codec.Survey(f.Units)
		for _, u := range f.Units {
			s.VideoBytes += int64(len(u))
		}
		s.Captioned, s.Captions = s.Captioned || v.Captions, s.Captions|v.Channels
		switch {
		case *n == 1:
			entry = *f
			if v.Access == codec.NoAccess {
				return s, &ingest.NotWhole{Reason: "a segment does not begin with a keyframe"}
			}
			if f.Track.Codec.NeededSets()&^v.Sets != 0 {
				return s, &ingest.NotWhole{Reason: "a segment begins without parameter sets"}
			}
			s.Independent = v.Access > codec.Recovery || v.RecoverIn == 0
			leads = s.Independent && (v.Access != codec.Clean || f.Track.Codec == ingest.H265)
		case leads && v.Access >= codec.Open:
			leads = false
		case leads && (v.Leading || f.Track.Codec == ingest.H264 && f.PTS < entry.PTS):
			leads, s.Independent = false, false
		}
	}
	var frame, length int64
	switch {
	case pictures > 0:
		s.Start, s.Boundary = entry.PTS, first[0]
		if frame = codec.FrameDuration(s.Tracks.Video.FrameRate); pictures > 1 {
			frame = (last[0] - first[0]) / int64(pictures-1)
		}
		length = last[0] - first[0] + frame
	case sounds > 0:
		s.Start, s.Boundary, s.Independent = first[1], first[1], true
		entry = *sound
		frame = cut.FrameDuration(s.Tracks.Audio)
		length = last[1] - first[1] + frame
	default:
		return s, &ingest.NotWhole{Reason: "a segment has neither pictures nor sound that can be used"}
	}
	s.First, s.Frame = entry, frame
	if k, e := mpegts.FindKeyframe(bytes.NewReader(w.Packets)); e == nil && k.Size > 0 {
		s.Key = int(k.Offset + k.Size)
	}
	if off := w.Duration - length; off > frame*3/2 || off < -frame*3/2 {
		s.Misstated = true
	} else {
		length = w.Duration
	}
	s.End, s.newest = s.Start+max(length, 1), last
	off, slack := s.Start-l.end, max(2*frame, codec.Clock/20)
	late := func(k, n int) bool { return n > 0 && first[k] <= l.newest[k] }
	s.Breaks = w.Discontinuity || !l.on || !l.tracks.Same(s.Tracks) || off > slack || off < -slack || late(0, pictures) || late(1, sounds)
	if !s.Breaks {
		s.Start = l.end
		s.End = max(s.End, s.Start+1)
	}
	return s, nil
}

// Begin begins a stretch with a segment, which was made at an instant, no earlier than another.
func (l *Line) Begin(s *Segment, made, notBefore time.Time, maxDrift time.Duration) {
	l.clock = cut.NewWallclock(maxDrift)
	l.clock.Anchor(made, notBefore, s.Start)
	l.clock.Settle()
	l.on = true
}

// Drifted reports whether the wall clock has to be set anew with a segment, which was made at an instant: a stretch begins there.
func (l *Line) Drifted(s *Segment, made time.Time) bool {
	return l.on && l.clock.Drifted(made, s.Start, l.clock.At(s.Start))
}

// Wall is when a segment begins.
func (l *Line) Wall(s *Segment) time.Time { return l.clock.At(s.Start) }

// Next goes on behind a segment.
func (l *Line) Next(s *Segment) { l.tracks, l.end, l.newest = s.Tracks, s.End, s.newest }
