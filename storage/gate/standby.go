package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/pair"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/takeover"
)

// Twin asks the server that has a stream, for one that stands by.
type Twin interface {
	// Report returns what the server at an address tells of a stream; false where it has no recording of it under way. step says that this
	// server is in step with what that one told before, and could go on. ErrAway is in the error where nobody answers there.
	Report(ctx context.Context, address, app, stream string, step bool) (r pair.Report, ok bool, err error)
	// Segment returns the bytes of a segment.
	Segment(ctx context.Context, address string, name segmenter.Name) ([]byte, error)
}

// ErrAway means that nobody answers at a server's address.
var ErrAway = errors.New("no server answers there")

// errBroken means that a recording goes on here, but with a discontinuity: not with what stood by.
var errBroken = errors.New("what stood by is not what the bucket has")

// errBehind means that the bucket has a segment which what stands by has not completed yet: whether both are the same is not known.
var errBehind = errors.New("what stands by has not come as far as the bucket")

// elsewhere refuses a publisher whose stream another server is fed with.
type elsewhere struct {
	*ingest.Refusal
	claim claim.Claim
}

func (e *elsewhere) Unwrap() error { return e.Refusal }

// Pace of one that stands by.
const (
	askEvery  = 250 * time.Millisecond // the other server, and while none is known, the bucket
	askAgain  = 100 * time.Millisecond // one that did not answer
	claimWait = 15 * time.Second       // for another server to have the stream, which the encoder says feeds it first
	findWait  = 40 * time.Second       // for a place where the two are alike
)

// pairs reports whether publishers of a stream may stand by.
func (g *Gate) pairs(key segmenter.Key) bool {
	return g.o.Twin != nil && g.o.Registry.Deterministic(key)
}

// standby is the session of a publisher that stands by, or did. WriteFrame and Close come from the goroutine that reads the socket; run is one of its
// own, which Close ends.
type standby struct {
	g      *Gate
	key    segmenter.Key
	a      ingest.Announce
	since  time.Time
	cancel context.CancelFunc
	done   chan struct{}

	replaced bool // by a newer connection; of Gate.mu

	mu      sync.Mutex // held while a frame is written
	by      *segmenter.Standby
	session ingest.Session // by, or what came in its place
	failed  error
	owner   claim.Claim // who has the stream; zero: nobody is known
	said    pair.Report // by the owner, last

	newest atomic.Int64 // arrival of the newest frame, nanoseconds

	seeks time.Time // since when; of run alone, as what follows
	away  int       // questions in a row that nobody answered
}

// standBy begins a session that stands by for the server of a claim; for any that has the stream before claimWait is over, if it is zero. Of one
// stream one publisher stands by here: as with those on the air, one that is silent makes room for its own new connection.
func (g *Gate) standBy(a ingest.Announce, of claim.Claim) (ingest.Session, error) {
	by, err := g.o.Registry.Standby(a)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	now := g.o.Now()
	b := &standby{
		g: g, key: segmenter.Key{App: a.App, Stream: a.Stream}, a: a, since: now, cancel: cancel, done: make(chan struct{}), by: by, session: by,
		owner: of, seeks: now,
	}
	b.newest.Store(now.UnixNano())
	old, err := g.enlist(b, now)
	if err != nil {
		cancel()
		by.Close(err)
		g.stats.Refused.Add(1)
		return nil, err
	}
	if old != nil {
		old.cancel()
		old.fail(ingest.ErrReplaced)
	}
	g.stats.Standing.Add(1)
	g.o.Log.Info("a publisher stands by", "stream", b.key.String(), "node", of.Node, "remote", a.Remote)
	go b.run(ctx)
	return b, nil
}

// enlist adds one that stands by. old is the one that it replaces; nil: there was none.
func (g *Gate) enlist(b *standby, now time.Time) (old *standby, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for other := range g.beside {
		if other.key != b.key || other.replaced {
			continue
		}
		if !other.quiet(now) || other.a.Identity != b.a.Identity {
			return nil, ingest.Refuse(ingest.NameTaken, "%s is already being published here from %s since %s, and stands by: stop that encoder, or publish to another server",
				b.key, other.a.Remote, other.since.UTC().Format(time.RFC3339))
		}
		other.replaced, old = true, other
	}
	g.beside[b] = true
	return old, nil
}

// WriteFrame implements ingest.Session.
func (b *standby) WriteFrame(f *ingest.Frame) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed != nil {
		return b.failed
	}
	b.newest.Store(f.Arrival.UnixNano())
	return b.session.WriteFrame(f)
}

// Awaited implements ingest.Awaiting.
func (b *standby) Awaited() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return ingest.Awaited(b.session)
}

// Close implements ingest.Session.
func (b *standby) Close(cause error) {
	b.cancel()
	<-b.done
	b.session.Close(cause)
}

// waitsFor leaves to one that stands by what no playlist lists, and reports whether it has come as far as the rest; of nil, true.
func waitsFor(by *segmenter.Standby, found *takeover.Found) bool {
	if by == nil {
		return true
	}
	if from, _, ok := by.Place(); ok {
		found.Leave(from)
	}
	return by.Reaches(found.State.Next)
}

// run keeps in step with the server that has the stream, until the stream is this server's or the publisher is sent away.
func (b *standby) run(ctx context.Context) {
	defer close(b.done)
	defer func() {
		b.g.mu.Lock()
		delete(b.g.beside, b)
		b.g.mu.Unlock()
		b.g.stats.Standing.Add(-1)
	}()
	for {
		next, over := b.step(ctx)
		if over {
			return
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// step does what is due, and returns after how long to do the next.
func (b *standby) step(ctx context.Context) (next time.Duration, over bool) {
	if b.owner.Address == "" {
		return askEvery, b.find(ctx)
	}
	_, _, in := b.by.Place()
	asking, cancel := context.WithTimeout(ctx, b.g.o.AskLimit)
	r, ok, err := b.g.o.Twin.Report(asking, b.owner.Address, b.key.App, b.key.Stream, in && !b.quiet(b.g.o.Now()))
	cancel()
	switch {
	case ctx.Err() != nil:
		return 0, true
	case errors.Is(err, ErrAway):
		if b.away++; b.away < 2 {
			return askAgain, false
		}
		return askEvery, b.succeed(ctx, err.Error())
	case err != nil:
		return askEvery, b.seek(fmt.Sprintf("the server does not say how far it is: %v", err))
	}
	b.away = 0
	switch {
	case !ok:
		return askEvery, b.succeed(ctx, "it has no recording of it under way")
	case !r.Fed:
		return askEvery, b.succeed(ctx, "it has no publisher, or a silent one")
	}
	b.mu.Lock()
	b.said = r
	b.mu.Unlock()
	if !in {
		if in, err = b.by.Join(&r); err != nil {
			return 0, b.unlike(err)
		}
		if !in {
			return askEvery, b.seek("nothing of what comes here is what that server is fed")
		}
		from, _, _ := b.by.Place()
		b.g.stats.Joined.Add(1)
		b.g.o.Log.Info("what is published here is what another server has: it is made here, too", "stream", b.key.String(), "recording", r.Recording,
			"node", b.owner.Node, "from", from, "after", b.g.o.Now().Sub(b.since).Round(time.Millisecond))
	}
	n, err := b.by.Compare(&r)
	b.g.stats.Same.Add(int64(n))
	var d *segmenter.Difference
	switch {
	case errors.As(err, &d):
		b.g.stats.Different.Add(1)
		return 0, b.unlike(fmt.Errorf("%w%s", err, b.where(ctx, &r, d)))
	case r.Leaving:
		return askEvery, b.succeed(ctx, "it is being drained")
	}
	return askEvery, false
}

// find looks for the server that has the stream.
func (b *standby) find(ctx context.Context) (over bool) {
	asking, cancel := context.WithTimeout(ctx, b.g.o.ReadLimit)
	c, _, err := claim.Read(asking, b.g.o.Store, claim.Key(b.key.App, b.key.Stream))
	cancel()
	if err == nil && b.has(c) {
		return false
	}
	if b.g.o.Now().Sub(b.since) < claimWait {
		return false
	}
	return b.publish(ctx, "no other server has it")
}

// has notes who has the stream; false: nobody whom this server could stand by for.
func (b *standby) has(c claim.Claim) bool {
	if c.Epoch == 0 || c.State == claim.Ended || c.Node == b.g.o.Mirror.Server().Node || c.Address == "" {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owner, b.away = c, 0
	return true
}

// seek sends a publisher away that has looked for its place for too long.
func (b *standby) seek(why string) (over bool) {
	if b.g.o.Now().Sub(b.seeks) < findWait {
		return false
	}
	return b.unlike(errors.New(why))
}

// unlike sends the publisher away: it cannot stand by.
func (b *standby) unlike(why error) (over bool) {
	b.g.stats.Unlike.Add(1)
	b.g.o.Log.Warn("a publisher cannot stand by, and is sent away", "stream", b.key.String(), "node", b.owner.Node, "remote", b.a.Remote, "why", why)
	b.fail(ingest.Refuse(ingest.NameTaken, "%s is being published to the server %s (%s), and this one cannot stand by for it: %v", b.key, b.owner.Node, b.owner.Address, why))
	return true
}

func (b *standby) fail(err error) {
	b.mu.Lock()
	b.failed = err
	b.mu.Unlock()
	b.a.Cancel(err)
}

// where says where a segment begins to differ, if the other server gives it.
func (b *standby) where(ctx context.Context, r *pair.Report, d *segmenter.Difference) string {
	if d.Own == nil || !d.Own.Retain() {
		return ""
	}
	defer d.Own.Release()
	own := bytes.Join(d.Own.Slices(nil), nil)
	asking, cancel := context.WithTimeout(ctx, b.g.o.AskLimit)
	defer cancel()
	other, err := b.g.o.Twin.Segment(asking, b.owner.Address, segmenter.Name{
		Kind: segmenter.KindSegment, App: b.key.App, Stream: b.key.Stream, Recording: segmenter.RecordingID(r.Recording), Sequence: d.Number,
	})
	if err != nil {
		return ""
	}
	n := 0
	for n < min(len(own), len(other)) && own[n] == other[n] {
		n++
	}
	if n == len(own) && n == len(other) {
		return ", though its bytes are the same"
	}
	return fmt.Sprintf(", from byte %d on", n)
}

// succeed goes on with the recording of a server that cannot, unless another one does.
func (b *standby) succeed(ctx context.Context, why string) (over bool) {
	if _, _, in := b.by.Place(); !in {
		return b.publish(ctx, why)
	}
	ctx, cancel := context.WithTimeout(ctx, b.g.o.ReadLimit)
	defer cancel()
	leave, err := b.g.enter(ctx, b.key)
	if err != nil {
		return false
	}
	defer leave()
	c, etag, err := claim.Read(ctx, b.g.o.Store, claim.Key(b.key.App, b.key.Stream))
	switch {
	case err != nil:
		return false
	case c.Node != b.owner.Node && b.has(c):
		return false // that one has it by now
	case c.Node != b.owner.Node, c.State == claim.Ended, c.Recording != b.said.Recording:
		return b.publishes(ctx, "the recording that it stood by for is over")
	}
	switch err = b.g.takeOver(ctx, b.key, c, etag, why, b.by); {
	case err == nil:
		return true
	case errors.Is(err, errBehind):
		return false
	case errors.Is(err, takeover.ErrOver), errors.Is(err, errBroken):
		return b.publishes(ctx, err.Error())
	}
	if kind := storage.KindOf(err); kind != storage.Changed && kind != storage.Exists {
		b.g.stats.Failed.Add(1)
		b.g.o.Log.Warn("the recording of another server cannot be gone on with yet", "stream", b.key.String(), "node", c.Node, "error", err)
	}
	return false
}

// publish lets the publisher be one like any other, from the newest picture on that a decoder can begin with.
func (b *standby) publish(ctx context.Context, why string) (over bool) {
	err := b.g.admit(ctx, b.key)
	var fed *elsewhere
	if errors.As(err, &fed) {
		b.has(fed.claim)
		return b.seek(why)
	}
	if err != nil {
		return false // it is asked again
	}
	return b.publishes(ctx, why)
}

// publishes is publish of one that is admitted.
func (b *standby) publishes(ctx context.Context, why string) (over bool) {
	b.g.o.Log.Info("a publisher does not stand by any more", "stream", b.key.String(), "why", why)
	b.mu.Lock()
	frames := b.by.Give()
	s, err := b.g.o.Registry.Publish(ctx, b.a)
	for i := 0; err == nil && i < len(frames); i++ {
		err = s.WriteFrame(&frames[i])
	}
	if s != nil {
		b.session = s
	}
	b.mu.Unlock()
	if err != nil {
		b.fail(err)
	}
	return true
}
