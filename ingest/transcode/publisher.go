package transcode

import (
	"context"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Publisher is an ingest.Publisher in front of another, which adds rungs to the streams of some apps. It owns every process and goroutine
// that it starts; Close waits for them.
type Publisher struct {
	o     Options
	stats Stats
	pool  mpegts.Pool
	slots chan struct{}
	kill  chan struct{} // closed when time has run out

	apps atomic.Pointer[map[string][]Rung]

	mu      sync.Mutex
	running sync.WaitGroup
	newest  map[name]*transcoder
	closed  bool
	killed  bool
}

type name struct{ app, stream string }

// New returns a Publisher. If ffmpeg cannot be found, it logs that once and works nevertheless: sources are published, and the rungs follow
// when ffmpeg is there.
func New(o Options) *Publisher {
	o = o.withDefaults()
	p := &Publisher{o: o, slots: make(chan struct{}, o.MaxPublishers), kill: make(chan struct{}), newest: map[name]*transcoder{}}
	p.SetApps(o.Apps)
	return p
}

// SetApps changes Options.Apps for new publishers. It is safe for concurrent use.
func (p *Publisher) SetApps(apps map[string][]Rung) {
	before := p.apps.Swap(&apps)
	_, err := exec.LookPath(p.o.Command)
	for app := range apps {
		if err != nil && (before == nil || (*before)[app] == nil) {
			p.o.Log.Warn("there is no ffmpeg for the rungs of apps."+app+".ladder: its streams have their source alone. Install ffmpeg 5.1 or newer, or take the setting out",
				"command", p.o.Command, "error", err)
		}
	}
}

// Stats returns the counters of all transcoders.
func (p *Publisher) Stats() *Stats { return &p.stats }

// Publish implements ingest.Publisher. In an app with a ladder, the announced stream is the ladder's name, and its frames are those of the
// rung SourceName.
func (p *Publisher) Publish(ctx context.Context, a ingest.Announce) (ingest.Session, error) {
	rungs := (*p.apps.Load())[a.App]
	if len(rungs) == 0 {
		return p.o.Publisher.Publish(ctx, a)
	}
	source := a
	source.Stream = Stream(a.Stream, SourceName)
	inner, err := p.o.Publisher.Publish(ctx, source)
	if err != nil {
		return nil, err
	}
	t := p.begin(a, rungs)
	if t == nil {
		return inner, nil // the server is stopping
	}
	return &session{inner: inner, feed: t.feed}, nil
}

// begin starts the transcoder of an accepted publisher. An earlier transcoder of the same stream may not have finished, because its last
// pictures are in transit or its publisher was replaced; it is ended first.
func (p *Publisher) begin(a ingest.Announce, rungs []Rung) *transcoder {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	t := &transcoder{
		o: &p.o, stats: &p.stats, log: p.o.Log.With("stream", a.App+"/"+a.Stream), pool: &p.pool,
		slots: p.slots, kill: p.kill, feed: newFeed(&p.o, &p.stats), audio: audioLine{memory: p.o.Memory}, done: make(chan struct{}),
	}
	for _, r := range rungs {
		announce := a
		announce.Stream, announce.Protocol = Stream(a.Stream, r.Name), "ladder"
		announce.Cancel = func(error) {} // its next frame finds the session ended
		announce.Ledger = nil            // that is the source's
		announce.Derived = true
		t.rungs = append(t.rungs, &rung{Rung: r, announce: announce, publisher: p.o.Publisher, audio: &t.audio, stats: &p.stats, log: t.log})
	}
	key := name{a.App, a.Stream}
	var before chan struct{}
	if old := p.newest[key]; old != nil {
		old.feed.close(ingest.ErrReplaced)
		before = old.done
	}
	p.newest[key] = t
	p.stats.Publishers.Add(1)
	p.running.Go(func() {
		t.run(before)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.newest[key] == t {
			delete(p.newest, key)
		}
	})
	return t
}

// Close ends all transcoders and waits until every process is gone. When ctx is done it kills them. From then on no publisher gets rungs;
// those that still publish keep their source.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for _, t := range p.newest {
		t.feed.close(ingest.ErrShutdown)
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	if !p.killed {
		p.killed = true
		close(p.kill)
	}
	p.mu.Unlock()
	<-done
	return ctx.Err()
}

// session is a publisher's connection to its source rung, with a copy of each frame for the other rungs.
type session struct {
	inner ingest.Session
	feed  *feed
}

// WriteFrame implements ingest.Session: first the source.
func (s *session) WriteFrame(f *ingest.Frame) error {
	err := s.inner.WriteFrame(f)
	if f.Whole == nil { // it is refused there, and its frames follow
		s.feed.offer(f)
	}
	return err
}

// Awaited implements ingest.Awaiting.
func (s *session) Awaited() time.Duration { return ingest.Awaited(s.inner) }

// Close implements ingest.Session. It waits for nothing: the rungs follow with the same cause when their last pictures are
// through.
func (s *session) Close(cause error) {
	s.inner.Close(cause)
	s.feed.close(cause)
}
