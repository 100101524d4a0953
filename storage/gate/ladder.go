package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/takeover"
)

// A ladder is one server's as a whole: its rungs share numbers, and its playlists list what one server has. Its claim is written before the
// first of its rungs is admitted, so that of servers that rungs come to at one moment one has the ladder; and a server that goes on with it
// goes on with all rungs that the bucket has, whichever of them has come.

// admitLadder makes the ladder of a rung this server's, or refuses the rung. The ladder's turn is held.
func (g *Gate) admitLadder(ctx context.Context, rung segmenter.Key, w segmenter.Whole) error {
	for range tries {
		c, etag, err := claim.Read(ctx, g.o.Store, claim.Key(w.App, w.Stream))
		switch {
		case claim.Damaged(err):
			if err = g.fedAnywhere(ctx, rung, w.Key); err == nil {
				there := claim.Claim{}
				if line := g.running(w.Key); line != nil {
					there.Recording = string(line.Recording())
				}
				err = g.beginLadder(ctx, w, there, etag)
			}
		case err != nil && g.running(w.Key) != nil:
			return nil
		case err != nil:
			return g.unknown(rung, err)
		default:
			err = g.decideLadder(ctx, rung, w, c, etag)
		}
		if kind := storage.KindOf(err); kind != storage.Changed && kind != storage.Exists {
			return err
		}
	}
	return g.unknown(rung, errors.New("which server has its ladder changes as often as it is asked"))
}

// decideLadder is decide for a ladder.
func (g *Gate) decideLadder(ctx context.Context, rung segmenter.Key, w segmenter.Whole, c claim.Claim, etag string) error {
	line, me := g.running(w.Key), g.o.Mirror.Server()
	own := c.Node == me.Node
	switch {
	case own && line != nil && !g.half(w.Key) && (c.State == claim.Ended || string(line.Recording()) >= c.Recording): // what it says of that follows
		return nil
	case c.Epoch == 0, c.State == claim.Ended:
		return g.beginLadder(ctx, w, c, etag)
	case own && !g.half(w.Key) && (c.Nonce == me.Nonce || g.knows(w, c)):
		return nil
	}
	why := "it is this server's own, which has lost it"
	if !own {
		asking, cancel := context.WithTimeout(ctx, g.o.AskLimit)
		fed, err := g.o.Peer.Fed(asking, c.Address, w.App, w.Stream)
		cancel()
		switch {
		case ctx.Err() != nil:
			return g.unknown(rung, context.Cause(ctx))
		case err == nil && fed:
			return g.refuseRung(rung, w.Key, c)
		case err == nil:
			why = "none of its rungs has a publisher there, or only silent ones"
		default:
			why = err.Error()
		}
	}
	err := g.takeLadder(ctx, w, c, etag, why)
	switch kind := storage.KindOf(err); {
	case errors.Is(err, takeover.ErrOver):
		return g.beginLadder(ctx, w, c, etag)
	case err == nil, kind == storage.Changed, kind == storage.Exists:
		return err
	}
	return g.failed(rung, c, fmt.Errorf("go on with its ladder: %w", err))
}

// refuseRung sends a rung to the server that has its ladder.
func (g *Gate) refuseRung(rung, ladder segmenter.Key, c claim.Claim) error {
	g.stats.Refused.Add(1)
	return ingest.Refuse(ingest.NameTaken, "%s is a rung of the ladder %s, which is being published to the server %s (%s): publish all of its rungs there", rung, ladder.Stream, c.Node, c.Address)
}

// beginLadder takes a ladder for a new recording.
func (g *Gate) beginLadder(ctx context.Context, w segmenter.Whole, c claim.Claim, etag string) error {
	store, ok := storage.As[claim.Store](g.o.Store)
	if !ok {
		return nil
	}
	_, err := claim.Begin(ctx, store, claim.Key(w.App, w.Stream), c, etag, g.o.Mirror.Server())
	switch kind := storage.KindOf(err); {
	case kind == storage.Changed, kind == storage.Exists:
		return err
	case err != nil:
		return g.unknown(w.Key, err)
	}
	g.setHalf(w.Key, false)
	if c.Epoch > 0 && c.Node != g.o.Mirror.Server().Node {
		g.yield(w.Key, c)
	}
	return nil
}

// knows reports whether the mirror works on what a claim leads to: then it was not lost.
func (g *Gate) knows(w segmenter.Whole, c claim.Claim) bool {
	return slices.ContainsFunc(w.Streams, func(stream string) bool {
		known, _ := g.o.Mirror.Holding(segmenter.Key{App: w.App, Stream: stream}, segmenter.RecordingID(c.Recording))
		return known
	})
}

// part is what there is of one rung.
type part struct {
	key   segmenter.Key
	claim claim.Claim
	etag  string
	found *takeover.Found // nil: it begins anew
	rec   segmenter.Recovered
	err   error
}

// takeLadder goes on with the recording of a ladder's claim. takeover.ErrOver means that nothing of it can be gone on with; then nothing was
// written.
func (g *Gate) takeLadder(ctx context.Context, w segmenter.Whole, c claim.Claim, etag, why string) error {
	begun, id := g.o.Now(), segmenter.RecordingID(c.Recording)
	store, ok := storage.As[claim.Store](g.o.Store)
	if !ok {
		return errors.ErrUnsupported
	}
	parts, err := g.gatherLadder(ctx, w, id, begun)
	if err != nil {
		return err
	}
	if _, err := claim.Succeed(ctx, store, claim.Key(w.App, w.Stream), c, etag, g.o.Mirror.Server()); err != nil {
		return err
	}
	g.setHalf(w.Key, true) // until the rungs follow
	var all sync.WaitGroup
	for i := range parts {
		p := &parts[i]
		all.Go(func() { p.err = g.takePart(ctx, store, p, id, begun) })
	}
	all.Wait()
	var rungs []*takeover.Found
	for i := range parts {
		if err := parts[i].err; err != nil {
			return fmt.Errorf("the rung %s: %w", parts[i].key, unchanged(err))
		}
		if parts[i].found != nil {
			rungs = append(rungs, parts[i].found)
		}
	}
	takeover.Align(rungs)
	g.yield(w.Key, c)
	for i := range parts {
		p := &parts[i]
		if p.found == nil {
			continue
		}
		g.yield(p.key, c) // what is here of it beside the ladder
		all.Go(func() { p.rec, p.err = g.o.Mirror.Adopt(ctx, p.found) })
	}
	all.Wait()
	for i := range parts { // all or none, as far as it is known
		if parts[i].err != nil {
			return parts[i].err
		}
	}
	for i := range parts {
		if parts[i].found == nil {
			continue
		}
		if err := g.o.Registry.Restore(parts[i].rec); err != nil {
			return err
		}
	}
	g.setHalf(w.Key, false)
	if len(rungs) == 0 {
		return nil // all of it ended meanwhile
	}
	g.tellTaken(Taken{Key: w.Key, Recording: id, From: c, Next: rungs[0].State.Next, Why: why, Lasted: g.o.Now().Sub(begun)}, "rungs", len(rungs))
	return nil
}

// unchanged is an error about a rung's claim: that one has changed says nothing about the ladder's.
func unchanged(err error) error {
	if kind := storage.KindOf(err); kind == storage.Changed || kind == storage.Exists {
		return errors.New(err.Error())
	}
	return err
}

// gatherLadder reads what the bucket has of the rungs of a recording. The claims are read first.
func (g *Gate) gatherLadder(ctx context.Context, w segmenter.Whole, id segmenter.RecordingID, now time.Time) ([]part, error) {
	if _, ok := id.Time(); !ok || id == claim.Never {
		return nil, fmt.Errorf("%w: nothing was recorded", takeover.ErrOver)
	}
	parts := make([]part, len(w.Streams))
	var inside []string
	var all sync.WaitGroup
	var failed error
	all.Go(func() { inside, failed = takeover.Rungs(ctx, g.o.Store, w.Key, id) })
	for i, stream := range w.Streams {
		p := &parts[i]
		p.key = segmenter.Key{App: w.App, Stream: stream}
		all.Go(func() {
			if p.claim, p.etag, p.err = claim.Read(ctx, g.o.Store, claim.Key(w.App, stream)); p.err == nil || claim.Damaged(p.err) {
				p.found, p.err = takeover.Gather(ctx, g.o.Store, p.key, id, now)
			}
		})
	}
	all.Wait()
	if failed != nil {
		return nil, failed
	}
	var there []part
	for _, p := range parts {
		switch {
		case errors.Is(p.err, takeover.ErrOver): // it has ended, or nobody was shown anything of it
		case p.err != nil:
			return nil, fmt.Errorf("the rung %s: %w", p.key, p.err)
		case len(inside) > 0 && !slices.Contains(inside, p.key.Stream): // it stands outside
		case p.claim.Epoch > 0 && p.claim.Recording != string(id): // it belongs to another recording by now
		default:
			there = append(there, p)
		}
	}
	if len(there) == 0 {
		return nil, fmt.Errorf("%w: none of its rungs can be gone on with", takeover.ErrOver)
	}
	return there, nil
}

// takePart takes the claim of a rung, and makes sure that nothing came to what was read of it.
func (g *Gate) takePart(ctx context.Context, store claim.Store, p *part, id segmenter.RecordingID, now time.Time) error {
	mine, err := g.succeedPart(ctx, store, p, id)
	if err != nil {
		return err
	}
	p.found, err = g.fence(ctx, p.key, id, p.found, mine.Epoch, now)
	if errors.Is(err, takeover.ErrOver) { // it was ended meanwhile, and an end is final
		p.found, err = nil, nil
	}
	return err
}

// succeedPart writes the claim of a rung. Its former server learns from the ladder's claim that it has lost it, and may write the rung's once more
// at this moment, to say that it has nothing more of it: that is written over.
func (g *Gate) succeedPart(ctx context.Context, store claim.Store, p *part, id segmenter.RecordingID) (mine claim.Claim, err error) {
	key, was := claim.Key(p.key.App, p.key.Stream), p.claim
	for range 4 {
		old := p.claim
		if old.Recording == "" {
			old.Recording = string(id)
		}
		if old.State == claim.Ended { // a recording has no end, and who wrote that has no playlist of it
			old.State = claim.Live
		}
		mine, err = claim.Succeed(ctx, store, key, old, p.etag, g.o.Mirror.Server())
		if kind := storage.KindOf(err); kind != storage.Changed && kind != storage.Exists {
			return mine, err
		}
		var again error
		if p.claim, p.etag, again = claim.Read(ctx, store, key); again != nil || p.claim.Node != was.Node || p.claim.Epoch != was.Epoch {
			return mine, err // another server has it
		}
	}
	return mine, err
}
