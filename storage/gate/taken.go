package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/takeover"
)

// Taken is a recording that this server goes on with.
type Taken struct {
	Key       segmenter.Key
	Recording segmenter.RecordingID
	From      claim.Claim   // of the server that had it
	Next      uint64        // the number of its next segment
	Why       string        // what that server answered, in words
	Lasted    time.Duration // how long it took
}

// takeOver goes on with the recording of a claim, with what one that stands by has, unless that is nil. What the bucket has is read before the
// claim is written.
func (g *Gate) takeOver(ctx context.Context, key segmenter.Key, c claim.Claim, etag, why string, by *segmenter.Standby) error {
	begun, id := g.o.Now(), segmenter.RecordingID(c.Recording)
	if _, ok := id.Time(); !ok {
		return fmt.Errorf("%w: %q is no recording", takeover.ErrOver, c.Recording)
	}
	found, err := takeover.Gather(ctx, g.o.Store, key, id, begun)
	if err != nil {
		return err
	}
	if !waitsFor(by, found) {
		return errBehind
	}
	store, ok := storage.As[claim.Store](g.o.Store)
	if !ok {
		return errors.ErrUnsupported
	}
	mine, err := claim.Succeed(ctx, store, claim.Key(key.App, key.Stream), c, etag, g.o.Mirror.Server())
	if err != nil {
		return err
	}
	g.setHalf(key, true)
	if found, err = g.fence(ctx, key, id, found, mine.Epoch, begun); err != nil {
		if errors.Is(err, takeover.ErrOver) { // nothing of it is gone on with
			g.setHalf(key, false)
		}
		return err
	}
	g.yield(key, c)
	_ = waitsFor(by, found)
	rec, err := g.o.Mirror.Adopt(ctx, found)
	if err != nil {
		return err
	}
	if err = g.goOn(rec, by); err != nil && !errors.Is(err, errBroken) {
		return err
	}
	g.setHalf(key, false)
	g.tellTaken(Taken{Key: key, Recording: id, From: c, Next: rec.Next, Why: why, Lasted: g.o.Now().Sub(begun)})
	return err
}

// half reports whether a stream, or a ladder, was claimed that could not be taken up, or not all of it. The next publisher does.
func (g *Gate) half(key segmenter.Key) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.halves[key]
}

func (g *Gate) setHalf(key segmenter.Key, on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if on {
		g.halves[key] = true
	} else {
		delete(g.halves, key)
	}
}

// fence keeps the former server from writing, and returns what it has written until then. The claim is this server's.
func (g *Gate) fence(ctx context.Context, key segmenter.Key, id segmenter.RecordingID, found *takeover.Found, epoch uint64, now time.Time) (*takeover.Found, error) {
	for n := 1; ; n++ {
		err := found.Fence(ctx, g.o.Store, epoch)
		if err == nil {
			return found, nil
		}
		if kind := storage.KindOf(err); n == tries || kind != storage.Changed && kind != storage.Exists {
			return nil, fmt.Errorf("keep the former server from writing: %v", err) // of no kind: it says nothing about the claim
		}
		if found, err = takeover.Gather(ctx, g.o.Store, key, id, now); err != nil {
			return nil, err
		}
	}
}

// tellTaken tells of a recording that goes on here.
func (g *Gate) tellTaken(t Taken, more ...any) {
	g.stats.Takeovers.Add(1)
	g.o.Log.Warn("another server's recording goes on here", append([]any{"stream", t.Key.String(), "recording", string(t.Recording), "node", t.From.Node, "address", t.From.Address,
		"epoch", t.From.Epoch + 1, "next", t.Next, "why", t.Why, "after", t.Lasted.Round(time.Millisecond)}, more...)...)
	if g.o.Took != nil {
		g.o.Took(t)
	}
}

// goOn makes an adopted recording one that goes on here: with what one that stands by has, unless that is nil, or with whoever publishes next.
// errBroken says that it was to be the former, and is the latter.
func (g *Gate) goOn(rec segmenter.Recovered, by *segmenter.Standby) error {
	if by == nil {
		return g.o.Registry.Restore(rec)
	}
	broken := by.Promote(rec)
	if broken == nil {
		g.stats.Promotions.Add(1)
		return nil
	}
	g.o.Log.Warn("what stood by cannot be gone on with, so that there will be a discontinuity", "stream", rec.Key.String(), "recording", string(rec.Recording), "why", broken)
	if err := g.o.Registry.Restore(rec); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", errBroken, broken)
}
