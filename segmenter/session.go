package segmenter

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/intake"
	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
	"github.com/hlsorigin/hlsorigin/segmenter/whole"
)

// session is one publisher's connection to a stream. WriteFrame comes from the goroutine that reads the socket; end may
// come from another.
type session struct {
	r   *Registry
	st  *stream
	o   *AppOptions
	a   ingest.Announce
	log *slog.Logger

	since     time.Time
	lastFrame atomic.Int64 // arrival of the last frame, nanoseconds after since: the wall clock may be set meanwhile

	mu     sync.Mutex
	closed error
	gone   atomic.Bool // closed is set, for who must not wait for mu; before readers see that the recording lost its publisher
	rec    *recording  // nil until the first frame that can be written
	gather intake.Gather
	weave  *intake.Interleaver // nil: the tracks are in step
	spare  *Standby            // nil: it publishes
	shift  int64               // what is added to its times, ticks: see Standby.Join

	patience atomic.Int64 // how long it may be silent, nanoseconds, where it sends whole segments

	accounts [2]*ingest.Account // of pictures and of sound
	vitals   *vitals.Vitals
}

// account is where the frames of a unit's track are accounted for.
func (s *session) account(u *cut.Unit) *ingest.Account {
	if u.Video {
		return s.accounts[0]
	}
	return s.accounts[1]
}

// heard is when the publisher was last heard of as a frame is written: the frame's arrival, unless that had to wait.
func (s *session) heard(f *ingest.Frame) time.Time {
	if s.weave != nil {
		return s.newest()
	}
	return f.Arrival
}

// newest is the arrival of the last frame; the beginning where none came.
func (s *session) newest() time.Time { return s.since.Add(time.Duration(s.lastFrame.Load())) }

// WriteFrame implements ingest.Session.
func (s *session) WriteFrame(f *ingest.Frame) error {
	s.lastFrame.Store(int64(f.Arrival.Sub(s.since)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != nil {
		return s.closed
	}
	if f.Whole != nil {
		return s.append(f)
	}
	s.vitals.Frame(f)
	if s.o.Deterministic {
		f = asSent(f)
	}
	switch {
	case s.weave != nil:
		s.weave.Add(f)
		return s.interleave()
	case s.gather.Done():
		return s.accept(f)
	}
	if !configured(f.Track) {
		s.account(&cut.Unit{Video: f.Track.Codec.IsVideo()}).Drop(ingest.Uncarried)
		s.r.stats.dropped(ingest.Uncarried)
		return nil
	}
	if !intake.HasContent(f) {
		s.r.stats.DroppedEmpty.Add(1)
	}
	if lost := s.gather.Add(f); lost != nil {
		s.drop(lost)
	}
	if !s.gather.Ready() {
		return nil
	}
	return s.release()
}

// Awaited implements ingest.Awaiting: where there are parts, and viewers, these wait for the frame that ends one.
func (s *session) Awaited() time.Duration {
	if !s.o.LowLatency {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rec == nil {
		return 0
	}
	return s.rec.awaited(s)
}

// asSent returns a frame with the times that the encoder sent: what counting has made of them depends on where that began.
func asSent(f *ingest.Frame) *ingest.Frame {
	if f.Sent == 0 {
		return f
	}
	g := *f
	g.PTS, g.DTS = g.Sent, g.Sent
	return &g
}

// release begins the recording, or goes on with it, and writes what was gathered, which is less than a segment may have.
func (s *session) release() error {
	frames, lost := s.gather.Take()
	for i := range lost {
		s.drop(&lost[i])
	}
	if len(frames) == 0 {
		return nil
	}
	s.rec = s.r.recording(s, intake.Made(frames), s.gather.Tracks())
	if s.rec.even {
		s.weave = intake.NewOrder(s.gather.Tracks().Video == nil || s.gather.Tracks().Audio == nil)
		s.weave.Memory = s.r.o.Waiting
		for i := range frames {
			s.weave.Add(&frames[i])
		}
		return s.interleave()
	}
	if s.weave = intake.NewInterleaver(frames); s.weave != nil {
		s.weave.Memory = s.r.o.Waiting
		late, by := s.weave.Late()
		s.log.Warn("one track is sent much later than the other, which waits for it: look at the encoder's audio and video delay",
			"late", late, "by", by.Round(time.Millisecond))
		for i := range frames {
			s.weave.Add(&frames[i])
		}
		return s.interleave()
	}
	for i := range frames {
		if err := s.accept(&frames[i]); err != nil {
			return err
		}
	}
	return nil
}

// interleave writes what need not wait any more.
func (s *session) interleave() error {
	for f := s.weave.Next(s.newest()); f != nil; f = s.weave.Next(s.newest()) {
		if err := s.accept(f); err != nil {
			return err
		}
	}
	if s.weave.Done() {
		s.weave = nil
	}
	return nil
}

func (s *session) accept(f *ingest.Frame) error {
	if !intake.HasContent(f) {
		s.r.stats.DroppedEmpty.Add(1)
		return nil
	}
	switch {
	case s.rec != nil:
	case s.spare != nil:
		s.spare.hold(f)
		return nil
	default:
		return nil // it never began
	}
	if s.shift != 0 {
		moved(f, s.shift)
	}
	err := s.rec.write(s, f)
	if err != errSplit {
		return err
	}
	s.rec = s.r.split(s, f.Arrival, s.rec.with(f.Track))
	return s.rec.write(s, f)
}

// append passes on a segment that came whole.
func (s *session) append(f *ingest.Frame) error {
	w := f.Whole
	if s.gather.Done() {
		return &ingest.NotWhole{Reason: "its frames were written one by one before"}
	}
	if w.Lost && s.rec == nil {
		return nil
	}
	for i := range w.Frames {
		s.vitals.Frame(&w.Frames[i])
	}
	if s.rec == nil {
		var line whole.Line
		g, err := line.Look(w)
		if err != nil {
			return err
		}
		if err := s.r.passes(s.st.key, s.o); err != nil {
			return err
		}
		s.rec = s.r.recording(s, whole.Made(w, f.Arrival), g.Tracks)
	}
	s.patience.Store(int64(max(2*time.Duration(w.Longest)*time.Second, 2*cut.Duration(w.Duration))))
	err := s.rec.append(s, f)
	if err == errSplit {
		var line whole.Line
		g, _ := line.Look(w)
		s.rec = s.r.split(s, whole.Made(w, f.Arrival), g.Tracks)
		err = s.rec.append(s, f)
	}
	return err
}

// passes says why the segments of a stream cannot be passed on as they came; nil: they can.
func (r *Registry) passes(k Key, o *AppOptions) error {
	switch {
	case o.LowLatency:
		return &ingest.NotWhole{Reason: "low latency needs parts, which are made frame by frame"}
	case o.Audio && r.rung(k):
		return &ingest.NotWhole{Reason: "the ladder has an audio-only variant, which is made frame by frame"}
	}
	return nil
}

// drop counts a frame that came before the recording could begin.
func (s *session) drop(f *ingest.Frame) {
	why, video := ingest.BeforeVideo, f.Track.Codec.IsVideo()
	if video {
		why = ingest.BeforeKey
	}
	s.account(&cut.Unit{Video: video}).Drop(why)
	s.r.stats.dropped(why)
}

// Close implements ingest.Session.
func (s *session) Close(cause error) {
	if s.end(cause) {
		s.r.leave(s)
	}
}

// end publishes what was written and ends the session; false where it has ended before.
func (s *session) end(cause error) bool {
	if cause == nil {
		cause = ingest.ErrUnpublished
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != nil {
		return false
	}
	if s.gather.Usable() {
		_ = s.release()
	}
	s.gather.Drop()
	if s.weave != nil {
		for f := s.weave.Rest(); f != nil; f = s.weave.Rest() {
			_ = s.accept(f)
		}
	}
	s.closed = cause
	s.gone.Store(true)
	if s.rec != nil {
		s.rec.detach(s, cause, s.r.o.Now())
	}
	return true
}
