package transcode

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
)

// ending is how one of a process's goroutines ended.
type ending struct {
	part part
	err  error
}

type part uint8

const (
	partWriter part = iota
	partReader
	partWords
)

// supervise starts the goroutines of a process, makes sure that they end, and waits for them and for the process.
func (t *transcoder) supervise(p *process, w *writer) error {
	ends := make(chan ending, len(p.rungs)+2)
	var all sync.WaitGroup
	var words []string
	all.Go(func() {
		next, err := w.run(p.In, p.quit)
		if err == nil {
			err = p.In.Close() // so that it writes what it still has
		}
		t.next = next
		ends <- ending{partWriter, err}
	})
	for i := range p.rungs {
		all.Go(func() { ends <- ending{partReader, p.read(i, &t.stats.demux)} })
	}
	all.Go(func() {
		words = ffmpeg.Tail(p.Words)
		ends <- ending{partWords, nil}
	})
	failed := t.watch(p, ends, cap(ends))
	all.Wait()
	err := p.Wait()
	switch {
	case failed != nil:
	case err != nil: // it got all its input and still reported an error
		failed = errEnded
	default:
		return nil
	}
	t.next = nil
	return &ffmpeg.Failure{Err: failed, State: p.State(), Words: words}
}

// watch waits for n goroutines to end, and kills the process if it misbehaves.
func (t *transcoder) watch(p *process, ends <-chan ending, n int) (failed error) {
	fail := func(err error) {
		if failed == nil {
			failed = err
		}
		p.kill()
	}
	ticker := time.NewTicker(t.o.tick())
	defer ticker.Stop()
	v := newVigil(t.o, p, t.feed)
	closed, kill, quiet := t.feed.closed, t.kill, false
	var deadline time.Time
	for n > 0 {
		select {
		case e := <-ends:
			n--
			switch {
			case e.part == partWriter && e.err == nil:
				quiet = true
				if deadline.IsZero() {
					deadline = time.Now().Add(t.o.StallTimeout)
				}
			case e.part == partWriter && errors.Is(e.err, os.ErrClosed): // it was killed
			case e.part == partWriter:
				fail(fmt.Errorf("%w: %w", errEnded, e.err))
			case e.part == partReader && e.err != nil:
				fail(e.err)
			case e.part == partReader && !quiet:
				fail(errEnded)
			}
		case <-closed:
			closed, deadline = nil, time.Now().Add(t.o.FlushTimeout)
		case <-kill:
			kill = nil
			fail(errEnded)
		case now := <-ticker.C:
			t.losses.note(t.log, t.feed, now)
			switch {
			case !deadline.IsZero() && now.After(deadline):
				fail(errStalled)
			case !quiet && deadline.IsZero():
				if err := v.look(); err != nil {
					fail(err)
				}
			}
			if t.failures > 0 && v.well() {
				t.log.Info("the transcoder runs again", "failures", t.failures)
				t.failures = 0
				t.trouble.Store(nil)
			}
		}
	}
	return failed
}
