package transcode

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// transcoder makes the rungs of one publisher while it publishes: process after process, until the feed is closed and empty.
type transcoder struct {
	o     *Options
	stats *Stats
	log   *slog.Logger
	pool  *mpegts.Pool
	slots chan struct{}   // room for a process
	kill  <-chan struct{} // closed if the end must be immediate

	feed  *feed
	audio audioLine
	rungs []*rung
	done  chan struct{}

	next     *packet                // the keyframe with which the next process begins; nil: the feed's next
	failures int                    // in this episode
	trouble  atomic.Pointer[string] // why no rungs are made; nil: they are
	losses   losses
}

// Causes for closing rungs while their source goes on.
var (
	errEnded   = errors.New("the transcoder ended")
	errStalled = errors.New("the transcoder puts nothing out")
	errHole    = errors.New("pictures are missing in what the transcoder puts out")
	errLower   = errors.New("the source's picture is lower than this rung")
)

// run owns the rungs. It begins when the previous transcoder of the same stream has finished.
func (t *transcoder) run(before <-chan struct{}) {
	defer close(t.done)
	defer t.stats.Publishers.Add(-1)
	if before != nil {
		<-before
	}
	if t.enter() {
		defer func() { <-t.slots }()
		for t.turn() {
		}
	}
	now := time.Now()
	<-t.feed.closed
	t.losses.end(t.log)
	for _, r := range t.rungs {
		r.finish(t.feed.cause, now)
	}
	t.feed.drop()
	t.audio.drop()
}

// enter waits for a free slot. It returns false if the publisher left first.
func (t *transcoder) enter() bool {
	select {
	case t.slots <- struct{}{}:
		return true
	default:
	}
	t.log.Warn("as many transcoders run as may: this stream has its source alone until one ends", "limit", cap(t.slots))
	t.troubled("as many ffmpeg run on this server as may: it is made when one of them ends")
	defer t.trouble.Store(nil)
	t.stats.Waiting.Add(1)
	defer t.stats.Waiting.Add(-1)
	t.feed.pause()
	defer t.feed.resume()
	select {
	case t.slots <- struct{}{}:
		return true
	case <-t.feed.closed:
		return false
	}
}

// turn runs one process from its first keyframe to its end, and pauses after a failure. It returns false at the end.
func (t *transcoder) turn() bool {
	if t.next == nil && !t.wait() {
		return false
	}
	first := t.next
	t.next = nil
	began := time.Now()
	err := t.process(first)
	if err == nil {
		if t.next == nil {
			return false
		}
		t.stats.Turnovers.Add(1)
		return t.rest(t.o.MinBackoff - time.Since(began)) // a publisher cannot make us start processes faster
	}
	if isClosed(t.feed.closed) {
		return false
	}
	for _, r := range t.rungs {
		r.close(err)
	}
	t.stats.Restarts.Add(1)
	if time.Since(began) >= t.o.MaxBackoff {
		t.failures = 0
	}
	t.troubled(err.Error())
	return t.backOff(err)
}

func (t *transcoder) troubled(why string) { t.trouble.Store(&why) }

// backOff waits before the next process. It returns false if the publisher left meanwhile.
func (t *transcoder) backOff(err error) bool {
	pause := t.o.MaxBackoff
	if t.failures < 16 {
		pause = min(pause, t.o.MinBackoff<<t.failures)
	}
	level := slog.LevelDebug
	if t.failures++; t.failures == 1 {
		level = slog.LevelWarn
	}
	var f *ffmpeg.Failure
	attrs := []any{"error", err, "again_in", pause}
	if errors.As(err, &f) && len(f.Words) > 0 {
		attrs = append(attrs, "it_said", strings.Join(f.Words, " | "))
	}
	t.log.Log(context.Background(), level, "the transcoder failed: all rungs but the source begin again", attrs...)
	t.feed.pause()
	defer t.feed.resume()
	return t.rest(pause)
}

// rest waits. It returns false if the publisher left meanwhile.
func (t *transcoder) rest(pause time.Duration) bool {
	if pause <= 0 {
		return true
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.feed.closed:
		return false
	}
}

// wait takes from the feed up to a keyframe, which is the next process's first. It returns false if the publisher left.
func (t *transcoder) wait() bool {
	for {
		p, ok := t.feed.take(nil)
		switch {
		case !ok:
			return false
		case p.keyframe():
			t.next = &p
			return true
		case p.video():
			t.stats.DroppedFrames.Add(1)
		default:
			t.audio.add(p)
		}
	}
}

// process runs one process to its end. It returns nil if the feed ended or another process must follow, which then begins with t.next.
func (t *transcoder) process(first *packet) error {
	var rungs []*rung
	for _, r := range t.rungs {
		lower := first.track.Height > 0 && r.Height > first.track.Height
		if r.lower.Store(lower); lower {
			t.log.Info("a rung is left out: the source's picture is not so high", "rung", r.Name, "height", r.Height, "source", first.track.Height)
			r.close(errLower)
			continue
		}
		r.begin(first)
		rungs = append(rungs, r)
	}
	w := &writer{feed: t.feed, audio: &t.audio, stats: t.stats, maxAge: codec.Ticks(t.o.MaxAge), pool: t.pool, first: first}
	if len(rungs) == 0 {
		var err error
		t.next, err = w.run(nothing{}, t.kill)
		return err
	}
	p, err := start(t.o, rungs)
	if err != nil {
		return &ffmpeg.Failure{Err: err}
	}
	defer p.ClosePipes()
	t.stats.Starts.Add(1)
	t.stats.Processes.Add(1)
	defer t.stats.Processes.Add(-1)
	return t.supervise(p, w)
}

// nothing accepts pictures from which no rung is made.
type nothing struct{}

func (nothing) Write(b []byte) (int, error) { return len(b), nil }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
