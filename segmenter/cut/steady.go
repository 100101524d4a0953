package cut

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Steady makes a function of media time what a frame has from its way to the server: its arrival, and the time stamps of audio that were
// evened out since the connection began. Two servers that are given the same frames, one of them from a later frame on and with the
// other's Steady, make the same of them. Frames come in the order of their decoding times. The zero value begins with the next frame.
type Steady struct {
	Begun bool
	Wall  time.Time // the arrival of what is decoded at Last
	Last  int64     // decoding time of the newest frame, ticks

	// Audio that was sent at From, and Count frames more of Length ticks and Rest parts of Rate, follow one another exactly.
	From, Count, Length, Rest, Rate int64
}

// Tolerances of Steady, ticks.
const (
	steadyGap   = 3600 * codec.Clock     // a longer step ahead is another clock's, and takes no time
	steadySound = 3 * codec.Clock / 1000 // audio that is further from its count begins another: milliseconds are rounded twice, and clocks drift
)

// Frame changes a frame, which it does not keep.
func (s *Steady) Frame(f *ingest.Frame) {
	if !f.Track.Codec.IsVideo() {
		f.PTS = s.sound(f)
		f.DTS = f.PTS
	}
	if !s.Begun {
		s.Begun, s.Wall, s.Last = true, f.Arrival.Round(0), f.DTS
	}
	if step := f.DTS - s.Last; step > 0 && step < steadyGap {
		s.Wall, s.Last = s.Wall.Add(Duration(step)), f.DTS
	} else if step < -BackLimit || step >= steadyGap {
		s.Last = f.DTS
	}
	f.Arrival = s.Wall
}

// sound returns the time of an audio frame: where it follows those before it, if that is near what was sent.
func (s *Steady) sound(f *ingest.Frame) int64 {
	if f.Sent == 0 {
		return f.PTS
	}
	samples, rate := int64(codec.AACSamples), int64(f.Track.SampleRate)
	if f.Track.Codec != ingest.AAC && len(f.Units) > 0 {
		h, ok := codec.ParseMP3(f.Units[0])
		if !ok {
			return f.Sent
		}
		samples, rate = int64(h.Samples), int64(h.Rate)
	}
	if rate <= 0 {
		return f.Sent
	}
	s.Count++
	length, rest := samples*codec.Clock/rate, samples*codec.Clock%rate
	at := s.From + s.Count*s.Length
	if s.Rate > 0 {
		at += s.Count * s.Rest / s.Rate
	}
	if off := f.Sent - at; s.Rate != rate || s.Length != length || off > steadySound || off < -steadySound {
		s.From, s.Count, s.Length, s.Rest, s.Rate = f.Sent, 0, length, rest, rate
		return f.Sent
	}
	return at
}
