package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Job is a process with the readers of what it puts out.
type Job struct {
	Spec
	// Readers read the pipes of Outputs, each in a goroutine of its own, up to their ends; Spec.Outputs is their number. The first error
	// ends the process.
	Readers []func(io.Reader) error
	// Stdout reads the standard output likewise; nil: there is no pipe.
	Stdout func(io.Reader) error
	// Source is the file that it reads, if it does: a standstill of that is none of the process. May be nil.
	Source *Shared
	// Stall is how long nothing may come out, and nothing be read of Source, while the readers wait; 5 minutes.
	Stall time.Duration
}

// ErrStalled says that a process put nothing out.
var ErrStalled = errors.New("it puts nothing out")

// ErrEnded says that a process reported an error.
var ErrEnded = errors.New("it ended with an error")

// Run runs a job to its end, and waits until the process and all readers are gone. The error is that of the context, of a reader, or of the
// file; or a *Failure. A reader that finds its input to end in the middle says so with an io.ErrUnexpectedEOF, which is the process's failure.
// The words are the last lines that the process logged, however it ended.
func Run(ctx context.Context, j Job) (words []string, err error) {
	j.Outputs = len(j.Readers)
	j.Spec.Stdout = j.Stdout != nil
	if j.Stall == 0 {
		j.Stall = 5 * time.Minute
	}
	p, err := Start(j.Spec)
	if err != nil {
		return nil, &Failure{Err: err}
	}
	defer p.ClosePipes()
	var all sync.WaitGroup
	meter := &meter{}
	parts := len(j.Readers) + 1 // and its words
	if j.Stdout != nil {
		parts++
	}
	ends := make(chan error, parts)
	read := func(r io.Reader, fn func(io.Reader) error) {
		meter.readers.Add(1)
		all.Go(func() {
			err := fn(&metered{meter, r})
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			meter.readers.Add(-1)
			ends <- err
		})
	}
	for i, fn := range j.Readers {
		read(p.Outs[i], fn)
	}
	if j.Stdout != nil {
		read(p.Out, j.Stdout)
	}
	all.Go(func() {
		words = Tail(p.Words)
		ends <- nil
	})
	failed := watch(ctx, p, &j, meter, ends)
	all.Wait()
	ended := p.Wait()
	if j.Source != nil { // its address is a secret, and says nothing
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], j.Source.url, "the file")
		}
	}
	switch {
	case ctx.Err() != nil:
		return words, ctx.Err()
	case j.Source != nil && j.Source.Err() != nil:
		return words, fmt.Errorf("read the file: %w", j.Source.Err())
	case errors.Is(failed, ErrStalled), errors.Is(failed, io.ErrUnexpectedEOF):
		return words, &Failure{Err: failed, State: p.State(), Words: words}
	case failed != nil: // a reader's reason
		return words, failed
	case ended != nil:
		return words, &Failure{Err: ErrEnded, State: p.State(), Words: words}
	}
	return words, nil
}

// watch waits for the goroutines to end, and kills the process where there is a reason to.
func watch(ctx context.Context, p *Process, j *Job, m *meter, ends <-chan error) (failed error) {
	tick := min(250*time.Millisecond, j.Stall/4)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	done := ctx.Done()
	var silent time.Duration
	var seen int64
	fail := func(err error) {
		if failed == nil {
			failed = err
		}
		p.Kill()
	}
	for n := cap(ends); n > 0; {
		select {
		case err := <-ends:
			if n--; err != nil {
				fail(err)
			}
		case <-done:
			done = nil
			fail(ctx.Err())
		case <-ticker.C:
			got := m.bytes.Load()
			if j.Source != nil {
				got += j.Source.Read()
			}
			if got != seen || m.waiting.Load() < m.readers.Load() || j.Source != nil && j.Source.reading.Load() > 0 {
				seen, silent = got, 0
				continue
			}
			if silent += tick; silent >= j.Stall {
				fail(fmt.Errorf("%w for %s", ErrStalled, j.Stall))
			}
		}
	}
	return failed
}

// meter counts what comes out, and who waits for more.
type meter struct{ bytes, waiting, readers atomic.Int64 }

type metered struct {
	m *meter
	r io.Reader
}

// Read implements io.Reader.
func (r *metered) Read(p []byte) (int, error) {
	r.m.waiting.Add(1)
	n, err := r.r.Read(p)
	r.m.waiting.Add(-1)
	r.m.bytes.Add(int64(n))
	return n, err
}
