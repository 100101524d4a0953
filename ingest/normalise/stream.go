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
	audited time.Duration // when it looks again
	begun   time.Time     // the first arrival
	arrival time.Time     // the newest one; many messages of one read have the same
	at      time.Duration // the newest one, counted from the first
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
	name     string
	account  *ingest.Account
	line     line
	still    still
	newest   int64 // time stamp, as it was sent
	messages int64 // that came
	received int64 // frames; the account is told of them when it is looked at
	extra    bool  // it was said that there are others of its kind
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
		pictures: pictures{ahead: store{memory: o.Memory}, units: store{memory: o.Memory}},
		o:        o, sink: sink, log: o.Log, auditor: ingest.NewAuditor(o.Ledger),
		video: track{name: "video", account: &o.Ledger.Video}, audio: track{name: "audio", account: &o.Ledger.Audio},
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
	s.tell(arrival)
	return s.audit()
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

// Audio takes a message of audio.
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

// Flush hands on what is held. It comes before the session is closed, and where a protocol knows that the time line ends.
func (s *Stream) Flush() error {
	err := s.release()
	if err == nil {
		err = s.complete()
	}
	s.pictures.ahead.yield()
	s.pictures.units.yield() // where the sink took no more
	s.count()
	return err
}

// release ends the hold: what was learnt counts, and what was held is handed on in the order in which it came.
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

// audit says what is lost, and refuses a publisher of whom nothing can be used.
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
			continue // that was said when it came
		}
		s.log.Warn("frames arrive and none is used", "track", f.Track, "reason", f.Reason.String(), "cause", f.Words, "frames", f.Frames)
	}
	return err
}

// count tells the accounts what was received.
func (s *Stream) count() {
	for _, t := range []*track{&s.video, &s.audio} {
		t.account.Received.Add(t.received)
		t.received = 0
	}
}

// auditEvery is how often the ledger is looked at.
const auditEvery = time.Second
