package s3

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hlsorigin/hlsorigin/storage"
)

// lendingMoment is how long a write may go on after the answer.
const lendingMoment = 50 * time.Millisecond

// errStalled ends a transfer without progress.
var errStalled = errors.New("no byte moved, and no answer came, within storage.no_progress_timeout")

// watchdog gives up a transfer in which no byte moves, however long a moving one takes: a slow uplink is no failure, a silent one is. It
// also makes sure that a request's body is not read after Do has returned: the transport may go on sending in the background, and the bytes
// may be the memory of a segment that is about to be reused.
type watchdog struct {
	next  aws.HTTPClient
	stall time.Duration
}

func (w *watchdog) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(w.stall, func() { cancel(errStalled) })
	timer.Stop()
	req = req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		body := &requestBody{body: req.Body, timer: timer, stall: w.stall}
		if u, ok := req.Body.(unclosed); ok {
			body.lender, _ = u.ReadSeeker.(storage.Lender)
		}
		req.Body = body
		defer body.end()
	}
	res, err := w.next.Do(req)
	if err != nil {
		timer.Stop()
		if context.Cause(ctx) == errStalled || unanswered(err) {
			err = errStalled
		}
		cancel(nil)
		return nil, err
	}
	res.Body = &responseBody{body: res.Body, ctx: ctx, cancel: cancel, timer: timer, stall: w.stall}
	return res, nil
}

// unanswered reports whether the transport has waited too long for an answer, which is also a stall. A connection that could not be made is
// not.
func unanswered(err error) bool {
	var late net.Error
	var system *net.OpError
	return errors.As(err, &late) && late.Timeout() && !errors.As(err, &system) && !errors.Is(err, context.Canceled)
}

// requestBody restarts the timer with each piece that the transport takes, and stops it at the end: from there on the timeout for the
// answer's headers applies.
type requestBody struct {
	lender storage.Lender // nil: it is read
	timer  *time.Timer
	stall  time.Duration

	mu       sync.Mutex
	body     io.ReadCloser // nil once Do has returned
	lentTo   net.Conn      // nil: nothing is sent from the body's memory
	returned chan struct{} // closed when that is over
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.body == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.body.Read(p)
	if err != nil {
		b.timer.Stop()
	} else {
		b.timer.Reset(b.stall)
	}
	return n, err
}

// lends reports whether the body may be sent directly from its memory.
func (b *requestBody) lends() bool { return b.lender != nil }

// lend lends slices of the next n bytes to a connection, which calls back when it no longer needs them.
func (b *requestBody) lend(to net.Conn, dst [][]byte, n int64) ([][]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.body == nil {
		return nil, http.ErrBodyReadAfterClose
	}
	if b.lentTo == nil {
		b.lentTo, b.returned = to, make(chan struct{})
	}
	b.timer.Reset(b.stall)
	return b.lender.Lend(dst, n), nil
}

// moved records whether something has moved since the last call. It reports whether the body is still to be sent.
func (b *requestBody) moved(some bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.body == nil {
		return false
	}
	if some {
		b.timer.Reset(b.stall)
	}
	return true
}

func (b *requestBody) back() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lentTo != nil {
		b.lentTo = nil
		close(b.returned)
	}
}

func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.body == nil {
		return nil
	}
	b.timer.Stop()
	return b.body.Close()
}

// end takes the body away. A connection that is still sending from it gets a moment, since the answer may arrive before the write has
// returned. Then the write is aborted.
func (b *requestBody) end() {
	b.mu.Lock()
	b.timer.Stop()
	b.body = nil
	to, returned := b.lentTo, b.returned
	b.mu.Unlock()
	if to == nil {
		return
	}
	moment := time.NewTimer(lendingMoment)
	defer moment.Stop()
	select {
	case <-returned:
	case <-moment.C:
		_ = to.SetWriteDeadline(time.Unix(1, 0)) // a closed connection does not write any more
		<-returned
		_ = to.SetWriteDeadline(time.Time{}) // the write may have succeeded just before, and the connection can be reused
	}
}

// responseBody runs the timer only while a caller waits for bytes: a slow caller is no stall.
type responseBody struct {
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

func (b *responseBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	n, err := b.body.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF && context.Cause(b.ctx) == errStalled {
		err = errStalled
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.timer.Stop()
	err := b.body.Close()
	b.cancel(nil)
	return err
}
