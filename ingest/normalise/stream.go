package normalise

import (
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Sink takes frames, as an ingest.Session does.
type Sink interface {
	WriteFrame(*ingest.Frame) error
}

// Stream normalises one publisher: at most one track of video and one of audio. It is used by one goroutine. The errors of
// its methods are the sink's, or an *ingest.Refusal with which the publisher is to be ended; what can be dropped is dropped
// and counted.
type Stream struct {
	o       Options
	sink    Sink
	log     *slog.Logger
	auditor ingest.Auditor
	hints   Hints

	hold         *hold // of the first messages; nil: they are handed on as they come
	seen         bool  // pictures have been learnt from
	heard        bool  // sound has come
	pictures     pictures
	sets         sets
	decoding     decoding
	sound        sound
	sounding     decoding
	video, audio track
	frame        ingest.Frame
	units        [][]byte // of frame, where they are not those of a message
	one          [1][]byte
	moved        bool // it was said that the tracks have two clocks
}

// track is what is kept of either kind.
type track struct {
	name    string
	account *ingest.Account
	line    line
	still   still
	extra   bool // it was said that there are others of its kind
}

// New makes a Stream that hands frames to sink. Each Frame is the same one, and borrowed.
func New(sink Sink, o Options) *Stream {
	if o.Ledger == nil {
		o.Ledger = new(ingest.Ledger)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Stream{
		o: o, sink: sink, log: o.Log, auditor: ingest.NewAuditor(o.Ledger),
		video: track{name: "video", account: &o.Ledger.Video}, audio: track{name: "audio", account: &o.Ledger.Audio},
		pictures: pictures{retained: o.Retained},
	}
}

// Hint takes what the encoder says of itself. It serves the tracks that are made from now on.
func (s *Stream) Hint(h Hints) { s.hints = h }

// Hints are the newest.
func (s *Stream) Hints() Hints { return s.hints }

// VideoHeader takes the parameter sets of a sequence header or an SDP, all or some; nothing of v is kept. Encoders repeat
// their header: only one that says something new counts.
func (s *Stream) VideoHeader(v *codec.Video) error {
	if s.hold != nil && s.sets.usable() && !s.sets.known(v) {
		if err := s.release(); err != nil { // what is held belongs to the one before
			return err
		}
	}
	if err := s.complete(); err != nil {
		return err
	}
	s.sets.announce(v)
	return nil
}

// AudioHeader takes an AudioSpecificConfig; nothing of it is kept. A bad one is counted and leaves what was there. One that
// cannot be carried is a refusal where audio is the only track that was announced; else the sound is left out.
func (s *Stream) AudioHeader(asc []byte, arrival time.Time) error {
	if s.sound.known(asc) {
		return nil
	}
	if s.hold != nil && s.sound.ready {
		if err := s.release(); err != nil {
			return err
		}
	}
	c, err := codec.ParseASC(asc)
	if u, ok := err.(*codec.Unsupported); ok {
		s.sound.reject(asc, ingest.Refuse(ingest.Unsupported, "%s", u.Error()))
		return s.uncarried(s.sound.refusal)
	}
	if err != nil {
		return s.Drop(ingest.AAC, ingest.Malformed, arrival)
	}
	s.sound.announce(asc, c)
	return nil
}

// Uncarried takes note of an audio frame of a codec that is not carried, and why; see AudioHeader.
func (s *Stream) Uncarried(r *ingest.Refusal, arrival time.Time) error {
	if err := s.uncarried(r); err != nil {
		return err
	}
	return s.Drop(ingest.AAC, ingest.Uncarried, arrival)
}

func (s *Stream) uncarried(r *ingest.Refusal) error {
	if s.hints.audioAlone() {
		return r
	}
	if !s.sound.warned {
		s.sound.warned = true
		s.audio.account.Explain(ingest.Uncarried, r.Reason)
		s.log.Warn("the sound is left out", "reason", r.Reason)
	}
	return nil
}

// Drop counts a frame, or what should have been one, of which the protocol can make nothing. Only the codec's kind counts;
// 0 stands for messages about the media.
func (s *Stream) Drop(c ingest.Codec, r ingest.Reason, arrival time.Time) error {
	s.o.Ledger.Of(c).Refuse(r)
	return s.audit(arrival)
}

// ExtraTrack takes note of a further track of a codec's kind, which is left out, and counts a frame of it.
func (s *Stream) ExtraTrack(c ingest.Codec, frame bool, arrival time.Time) error {
	t := s.of(c)
	if !t.extra {
		t.extra = true
		s.log.Warn("there are several tracks of a kind: the first is taken; publish each as a stream of its own", "track", t.name)
	}
	if !frame {
		return nil
	}
	return s.Drop(c, ingest.ExtraTrack, arrival)
}

func (s *Stream) of(c ingest.Codec) *track {
	if c.IsVideo() {
		return &s.video
	}
	return &s.audio
}

// Video takes a message of video.
func (s *Stream) Video(m *Video) error {
	if err := s.video.check(m.DTS, m.Arrival); err != nil {
		return err
	}
	if s.hold == nil && !s.seen && !s.o.Direct {
		s.hold = &hold{retained: s.o.Retained}
	}
	var err error
	if s.hold == nil {
		err = s.picture(m)
	} else if s.hold.video(m); s.hold.done(m.Arrival, s.sound.undecided()) {
		err = s.release()
	}
	if err != nil {
		return err
	}
	return s.audit(m.Arrival)
}

// Audio takes a message of audio.
func (s *Stream) Audio(m *Audio) error {
	if err := s.audio.check(m.PTS, m.Arrival); err != nil {
		return err
	}
	if s.sound.headerless(m) {
		if s.hold == nil && !s.heard && !s.o.Direct {
			s.hold = &hold{retained: s.o.Retained}
		}
		s.sound.guess.add(m.PTS, m.Data)
	}
	s.heard = true
	err := s.stale(m.Arrival)
	if s.hold == nil && err == nil {
		err = s.audible(m)
	} else if err == nil {
		if s.hold.audio(m); s.hold.done(m.Arrival, s.sound.undecided()) {
			err = s.release()
		}
	}
	if err != nil {
		return err
	}
	return s.audit(m.Arrival)
}

// Flush hands on what is held. It comes before the session is closed, and where a protocol knows that the time line ends.
func (s *Stream) Flush() error {
	if err := s.release(); err != nil {
		return err
	}
	return s.complete()
}

// release ends the hold: what was learnt counts, and what was held is handed on in the order in which it came.
func (s *Stream) release() error {
	h := s.hold
	if h == nil {
		return nil
	}
	s.hold = nil
	s.seen = s.seen || h.pictures > 0
	s.pictures.holding = s.pictures.holding || h.split
	s.decoding.lower(-h.lowest)
	for i := range h.items {
		var err error
		if m := &h.items[i]; m.isVideo {
			err = s.picture(&m.video)
		} else {
			err = s.audible(&m.audio)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// audit says what is lost, and refuses a publisher of whom nothing can be used.
func (s *Stream) audit(arrival time.Time) error {
	found, err := s.auditor.Audit(arrival)
	for _, f := range found {
		s.log.Warn("frames arrive and none is used", "track", f.Track, "reason", f.Reason.String(), "cause", f.Words, "frames", f.Frames)
	}
	return err
}

// check refuses time stamps that stand still.
func (t *track) check(at int64, arrival time.Time) error {
	if !t.still.add(at, arrival) {
		return nil
	}
	return ingest.Refuse(ingest.Unsupported, "the %s's time stamps stand still at %.2f s: %d frames came in %d s; restart the encoder",
		t.name, float64(at)/ingest.Clock, t.still.frames, int(arrival.Sub(t.still.since).Seconds()))
}
