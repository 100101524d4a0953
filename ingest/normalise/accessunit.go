package normalise

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// single hands on a message that is a picture, behind what waits for it.
func (s *Stream) single(u *accessUnit) error {
	p := &s.pictures
	if !p.ahead.empty() {
		u.Units = append(p.ahead.appendTo(s.blank()), u.Units...)
		s.keep(u.Units)
	}
	err := s.deliver(u)
	p.ahead.reset()
	return err
}

// complete hands on the picture that is held, if there is one.
func (s *Stream) complete() error {
	p := &s.pictures
	if !p.held.some {
		return nil
	}
	u := p.held
	p.held = accessUnit{}
	u.Units = p.units.appendTo(s.blank())
	s.keep(u.Units)
	err := s.deliver(&u)
	p.units.reset()
	return err
}

// stale completes a picture behind which only sound came for a while.
func (s *Stream) stale(arrival time.Time) error {
	if h := &s.pictures.held; !h.some || arrival.Sub(h.Arrival) < staleAfter {
		return nil
	}
	return s.complete()
}

// blank is an empty list of units to append to; keep lets it be used again, unless frames are kept.
func (s *Stream) blank() [][]byte { return s.units[:0] }

func (s *Stream) keep(units [][]byte) {
	if !s.o.Retained {
		s.units = units
	}
}

// deliver hands on an access unit with its configuration and its place in time.
func (s *Stream) deliver(u *accessUnit) error {
	a := s.video.account
	a.Received.Add(1)
	if u.sets != 0 {
		s.sets.learn(u.Units)
	}
	t, made := s.sets.track(&s.hints, s.hints.company(s.hints.HasVideo, s.hints.HasAudio, s.sound.ready, s.sound.warned && !s.sound.ready))
	if t == nil {
		a.Drop(ingest.NoHeader)
		return nil
	}
	if made {
		a.SetCodec(t.Codec)
	}
	base := s.place(&s.video, &s.audio, u.DTS, u.Arrival)
	pts, dts := u.PTS+base, u.DTS+base
	if !s.o.Undecoded {
		var repaired bool
		if pts, dts, repaired = s.decoding.place(pts, dts); repaired {
			a.Repair()
		}
	}
	s.frame = ingest.Frame{Track: t, PTS: pts, DTS: dts, Key: u.Key, Units: u.Units, Arrival: u.Arrival}
	return s.sink.WriteFrame(&s.frame)
}

// place is what is added to a track's time stamps, so that it is beside the other.
func (s *Stream) place(t, other *track, at int64, arrival time.Time) int64 {
	if s.o.Placed {
		return 0
	}
	if t.line.place(at, arrival, &other.line) {
		t.account.Move()
		if !s.moved {
			s.moved = true
			s.log.Warn("the tracks' time stamps are of two clocks: one is put beside the other by arrival",
				"track", t.name, "seconds", float64(t.line.base)/ingest.Clock)
		}
	}
	return t.line.base
}
