package segmenter

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// How long a session waits for its second track before it begins with one: in media time, frames and bytes.
const (
	gatherTicks  = Clock
	gatherFrames = 512
	gatherBytes  = 16 << 20
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
	tl     *Timeline // nil until the first frame that can be written
	gather gather
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
		s.r.stats.DroppedUnconfigured.Add(1)
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
	if s.tl == nil {
		if s.gather.video != nil && !(f.Track.Codec.IsVideo() && (f.Key || isIDR(f.Track.Codec, f.Units))) && !s.gather.overdue(f) {
			if f.Track.Codec.IsVideo() {
				s.r.stats.DroppedBeforeKey.Add(1)
			} else {
				s.r.stats.DroppedBeforeVideo.Add(1)
			}
			return nil
		}
		if !f.Track.Codec.IsVideo() {
			s.gather.video = nil
		}
		s.tl = s.r.timeline(s, f.Arrival)
		w := &s.tl.w
		s.tl.mu.Lock()
		w.video, w.audio = nil, nil
		if s.gather.video != nil {
			w.video, w.sets = s.gather.video, parameterSets(s.gather.video)
			w.cadence.announce(s.gather.video.KeyframeInterval)
		}
		w.audio = s.gather.audio
		s.tl.mu.Unlock()
	}
	return s.tl.write(s, f)
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
	if s.tl != nil {
		s.tl.detach(s, cause, s.r.o.Now())
	}
	return true
}

// gather holds a publisher's first frames until it is known which tracks there are, because the program map at the head
// of the first segment must name them.
type gather struct {
	done         bool
	video, audio *ingest.Track
	frames       []ingest.Frame
	bytes        int
	first        [2]int64 // DTS of the first frame of each kind
	span         int64
	keyless      int64
	isKeyless    bool
}

// add copies a frame. One without content only makes its track known.
func (g *gather) add(f *ingest.Frame) {
	kind := 0
	if f.Track.Codec.IsVideo() {
		if g.video == nil {
			g.first[0] = f.DTS
		}
		g.video = f.Track
	} else {
		kind = 1
		if g.audio == nil {
			g.first[1] = f.DTS
		}
		g.audio = f.Track
	}
	if !hasContent(f) {
		return
	}
	g.span = max(g.span, f.DTS-g.first[kind])
	held := *f
	held.Units = make([][]byte, len(f.Units))
	for i, u := range f.Units {
		held.Units[i] = append([]byte(nil), u...)
		g.bytes += len(u)
	}
	g.frames = append(g.frames, held)
}

func (g *gather) ready() bool {
	return g.video != nil && g.audio != nil ||
		g.video != nil && g.video.Alone || g.audio != nil && g.audio.Alone ||
		g.span >= gatherTicks || len(g.frames) >= gatherFrames || g.bytes >= gatherBytes
}

// overdue tells whether so much came without a keyframe that none can be expected any more. Sound that has no picture at
// all beside it waits a little longer.
func (g *gather) overdue(f *ingest.Frame) bool {
	if !g.isKeyless {
		g.isKeyless, g.keyless = true, f.DTS
	}
	wait := int64(keylessSeconds) * Clock
	if !f.Track.Codec.IsVideo() {
		wait += Clock
	}
	return f.DTS-g.keyless >= wait
}

// keylessSeconds is how long a recording waits for its first keyframe before it begins without one.
const keylessSeconds = 12
