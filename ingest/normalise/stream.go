package normalise

import (
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Sink takes frames, like an ingest.Session.
type Sink interface {
	WriteFrame(*ingest.Frame) error
}

// Stream normalises one publisher, with at most one video and one audio track. It is used by one goroutine. Its methods return the sink's
// errors, or an *ingest.Refusal with which to end the publisher. What can be dropped is dropped and counted.
type Stream struct {
	o       Options
	sink    Sink
	log     *slog.Logger
	auditor ingest.Auditor
	audited time.Duration // next look
	begun   time.Time     // the first arrival
	arrival time.Time     // the newest one; many messages of one read share it
	at      time.Duration // the newest one, counted from the first
	hints   Hints

	hold         *hold // of the first messages; nil: they are passed on as they come
	seen         bool  // pictures have been learned from
	heard        bool  // audio has come
	pictures     pictures
	sets         sets
	decoding     decoding
	sound        sound
	sounding     decoding
	video, audio track
	frame        ingest.Frame
	units        [][]byte // of frame, unless they are those of a message
	one          [1][]byte
	moved        bool // it was logged that the tracks have two clocks
}

// track is what is kept for each kind.
type track struct {
	name     string
	account  *ingest.Account
	line     line
	still    still
	newest   int64 // timestamp, as sent
	messages int64 // received so far
	received int64 // frames; the account is updated when it is looked at
	extra    bool  // it was logged that there are others of its kind
}

// New returns a Stream that passes frames to sink. It reuses one Frame, which is borrowed.
func New(sink Sink, o Options) *Stream {
	if o.Ledger == nil {
		o.Ledger = new(ingest.Ledger)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Stream{
		pictures: pictures{ahead: store{memory: o.Memory}, units: store{memory: o.Memory}},
		o:        o, sink: sink, log: o.Log, auditor: ingest.NewAuditor(o.Ledger),
		video: track{name: "video", account: &o.Ledger.Video}, audio: track{name: "audio", account: &o.Ledger.Audio},
	}
}

// Hint takes what the encoder says about itself. It applies to tracks created from now on.
func (s *Stream) Hint(h Hints) { s.hints = h }

// Hints returns the newest hints.
func (s *Stream) Hints() Hints { return s.hints }

// VideoHeader takes all or some of the parameter sets of a sequence header or an SDP, and keeps nothing of v. Encoders repeat their header:
// only one that says something new counts.
func (s *Stream) VideoHeader(v *codec.Video) error {
	if s.hold != nil && s.sets.usable() && !s.sets.known(v) {
		if err := s.release(); err != nil { // what is held belongs to the previous one
			return err
		}
	}
	if err := s.complete(); err != nil {
		return err
	}
	s.sets.announce(v)
	return nil
}

// AudioHeader takes an AudioSpecificConfig and keeps nothing of it. A bad one is counted and leaves the current one in place. One that
// cannot be carried is a refusal if audio is the only announced track; otherwise the audio is left out.
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

// Uncarried notes an audio frame of an unsupported codec, and why; see AudioHeader.
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

// Drop counts a frame, or what should have been one, that the protocol cannot use. Only the codec's kind counts; 0 stands for messages
// about the media.
func (s *Stream) Drop(c ingest.Codec, r ingest.Reason, arrival time.Time) error {
	s.o.Ledger.Of(c).Refuse(r)
	s.tell(arrival)
	return s.audit()
}

// ExtraTrack notes a second track of a codec's kind, which is left out, and counts a frame of it.
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

// Video takes a video message.
func (s *Stream) Video(m *Video) error {
	s.tell(m.Arrival)
	s.video.newest = m.DTS
	s.video.messages++
	if s.hold == nil && !s.seen && !s.o.Direct {
		s.hold = &hold{retained: s.o.Retained, memory: s.o.Memory}
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
	return s.audit()
}

// Audio takes an audio message.
func (s *Stream) Audio(m *Audio) error {
	s.tell(m.Arrival)
	s.audio.newest = m.PTS
	s.audio.messages++
	if !s.sound.ready && s.sound.headerless(m) {
		if s.hold == nil && !s.heard && !s.o.Direct {
			s.hold = &hold{retained: s.o.Retained, memory: s.o.Memory}
		}
		s.sound.guess.add(m.PTS, m.Data)
	}
	s.heard = true
	var err error
	if s.pictures.held.some {
		err = s.stale(m.Arrival)
	}
	if err == nil && s.hold == nil {
		err = s.audible(m)
	} else if err == nil {
		if s.hold.audio(m); s.hold.done(m.Arrival, s.sound.undecided()) {
			err = s.release()
		}
	}
	if err != nil {
		return err
	}
	return s.audit()
}

// Flush passes on what is held. It is called before the session is closed, and when a protocol knows that the timeline ends.
func (s *Stream) Flush() error {
	err := s.release()
	if err == nil {
		err = s.complete()
	}
	s.pictures.ahead.yield()
	s.pictures.units.yield() // in case the sink refused some
	s.count()
	return err
}

// release ends the hold: it applies what was learned, and passes on what was held in order of arrival.
func (s *Stream) release() error {
	h := s.hold
	if h == nil {
		return nil
	}
	s.hold = nil
	s.o.Memory.Yield(int64(h.bytes))
	s.seen = s.seen || h.pictures > 0
	s.pictures.holding = s.pictures.holding || h.split
	s.decoding.lower(-h.lowest)
	for i := range h.items {
		var err error
		if m := &h.items[i]; m.isVideo {
			s.tell(m.video.Arrival)
			err = s.picture(&m.video)
		} else {
			s.tell(m.audio.Arrival)
			err = s.audible(&m.audio)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tell sets the time to that of an arrival.
func (s *Stream) tell(arrival time.Time) {
	if arrival == s.arrival {
		return
	}
	if s.begun.IsZero() {
		s.begun = arrival
	}
	s.arrival, s.at = arrival, arrival.Sub(s.begun)
}

// audit logs what is lost, and refuses a publisher from whom nothing can be used.
func (s *Stream) audit() error {
	if s.at < s.audited {
		return nil
	}
	return s.auditNow()
}

func (s *Stream) auditNow() error {
	s.audited = s.at + auditEvery
	s.count()
	for _, t := range []*track{&s.video, &s.audio} {
		if t.messages == 0 {
			continue
		}
		if n := t.still.look(t.newest, t.messages, s.at); n > 0 {
			return ingest.Refuse(ingest.Unsupported, "the %s's time stamps stand still at %.2f s: %d frames came in %d s; restart the encoder",
				t.name, float64(t.newest)/ingest.Clock, n, int((s.at - t.still.since).Seconds()))
		}
	}
	found, err := s.auditor.Audit(s.arrival)
	for _, f := range found {
		if f.Reason == ingest.Uncarried && f.Track == s.audio.name && s.sound.warned {
			continue // it was logged when it came
		}
		s.log.Warn("frames arrive and none is used", "track", f.Track, "reason", f.Reason.String(), "cause", f.Words, "frames", f.Frames)
	}
	return err
}

// count updates the accounts with what was received.
func (s *Stream) count() {
	for _, t := range []*track{&s.video, &s.audio} {
		t.account.Received.Add(t.received)
		t.received = 0
	}
}

// auditEvery is the interval between looks at the ledger.
const auditEvery = time.Second
