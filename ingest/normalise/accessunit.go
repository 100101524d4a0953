package normalise

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// single passes on a message that is a picture, after what waits for it.
func (s *Stream) single(m *Video, sets codec.Sets) error {
	p := &s.pictures
	if p.ahead.empty() {
		return s.deliver(m, m.Units, sets, s.at)
	}
	err := s.deliver(m, s.keep(append(p.ahead.appendTo(s.blank()), m.Units...)), anySets, s.at)
	p.ahead.reset()
	return err
}

// complete passes on the held picture, if there is one.
func (s *Stream) complete() error {
	p := &s.pictures
	if !p.held.some {
		return nil
	}
	p.held.some = false
	err := s.deliver(&p.held.Video, s.keep(p.units.appendTo(s.blank())), p.held.sets, p.held.at)
	p.units.reset()
	return err
}

// stale completes a picture after which only audio came for a while.
func (s *Stream) stale(arrival time.Time) error {
	if h := &s.pictures.held; !h.some || arrival.Sub(h.Arrival) < staleAfter {
		return nil
	}
	return s.complete()
}

// blank returns an empty list of units to append to. keep allows it to be reused, unless frames are retained.
func (s *Stream) blank() [][]byte { return s.units[:0] }

func (s *Stream) keep(units [][]byte) [][]byte {
	if !s.o.Retained {
		s.units = units
	}
	return units
}

// deliver passes on an access unit with its configuration and times; m has everything but its units.
func (s *Stream) deliver(m *Video, units [][]byte, sets codec.Sets, arrival time.Duration) error {
	s.video.received++
	if sets != 0 {
		s.sets.learn(units)
	}
	t := s.sets.made
	if t == nil {
		if t = s.videoTrack(); t == nil {
			s.video.account.Drop(ingest.NoHeader)
			return nil
		}
	}
	base := s.place(&s.video, &s.audio, m.DTS, arrival)
	pts, dts := m.PTS+base, m.DTS+base
	if !s.o.Undecoded {
		var repaired bool
		if pts, dts, repaired = s.decoding.place(pts, dts); repaired {
			s.video.account.Repair()
		}
	}
	f := &s.frame
	f.Track, f.PTS, f.DTS, f.Key, f.Units, f.Arrival = t, pts, dts, m.Key, units, m.Arrival
	return s.sink.WriteFrame(f)
}

// videoTrack returns the Track of the configuration in use, or nil if there is none.
func (s *Stream) videoTrack() *ingest.Track {
	t := s.sets.track(&s.hints, s.hints.company(s.hints.HasVideo, s.hints.HasAudio, s.sound.ready, s.sound.warned && !s.sound.ready))
	if t != nil {
		s.video.account.SetCodec(t.Codec)
	}
	return t
}

// place returns what is added to a track's timestamps to align it with the other track.
func (s *Stream) place(t, other *track, at int64, arrival time.Duration) int64 {
	if l := &t.line; l.follows(at) || s.o.Placed {
		l.at, l.arrival = at, arrival
	} else if l.place(at, arrival, &other.line) {
		s.sayMoved(t)
	}
	return t.line.base
}

// sayMoved counts that a track was aligned with the other, and logs it once.
func (s *Stream) sayMoved(t *track) {
	t.account.Move()
	if !s.moved {
		s.moved = true
		s.log.Warn("the tracks' time stamps are of two clocks: one is put beside the other by arrival",
			"track", t.name, "seconds", float64(t.line.base)/ingest.Clock)
	}
}
