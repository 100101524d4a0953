package segmenter

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
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
	rec    *recording // nil until the first frame that can be written
	gather gather

	accounts [2]*ingest.Account // of pictures and of sound
}

// account is where the frames of a unit's track are accounted for.
func (s *session) account(u *unit) *ingest.Account {
	if u.video {
		return s.accounts[0]
	}
	return s.accounts[1]
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
	if s.gather.done {
		return s.accept(f)
	}
	if !configured(f.Track) {
		s.account(&unit{video: f.Track.Codec.IsVideo()}).Drop(ingest.Uncarried)
		s.r.stats.dropped(ingest.Uncarried)
		return nil
	}
	s.gather.add(f)
	if s.gather.ready() {
		s.release()
	}
	return nil
}

// release writes what was gathered, which is less than a segment may have.
func (s *session) release() {
	s.gather.done = true
	for i := range s.gather.frames {
		_ = s.accept(&s.gather.frames[i])
	}
	s.gather.frames = nil
}

func (s *session) accept(f *ingest.Frame) error {
	if !hasContent(f) {
		s.r.stats.DroppedEmpty.Add(1)
		return nil
	}
	video := f.Track.Codec.IsVideo()
	if s.rec == nil {
		if s.gather.video != nil && !(video && f.Track.Codec.Survey(f.Units).Access > codec.NoAccess) && !s.gather.overdue(f) {
			s.drop(f, video)
			return nil
		}
		if !video {
			s.gather.video = nil
		}
		s.rec = s.r.recording(s, f.Arrival, tracks{s.gather.video, s.gather.audio})
	}
	err := s.rec.write(s, f)
	if err != errSplit {
		return err
	}
	old := s.rec
	s.rec = s.r.split(s, f.Arrival, old.with(f.Track))
	return s.rec.write(s, f)
}

func (s *session) drop(f *ingest.Frame, video bool) {
	why := ingest.BeforeVideo
	if video {
		why = ingest.BeforeKey
	}
	s.account(&unit{video: video}).Drop(why)
	s.r.stats.dropped(why)
}

func hasContent(f *ingest.Frame) bool {
	for _, u := range f.Units {
		if len(u) > 0 {
			return true
		}
	}
	return false
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
	if !s.gather.done {
		s.release()
	}
	s.closed = cause
	if s.rec != nil {
		s.rec.detach(s, cause, s.r.o.Now())
	}
	return true
}
