package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/shared"
)

// showClaim is what a ladder's recording knows of the claim to the ladder in one store. It belongs to the goroutine of Ladders.
type showClaim struct {
	tenure   *claim.Tenure // nil: there are none
	hold     shared.Hold
	asked    time.Time // when the store last said that the ladder is this server's
	released bool
}

// feed notes whether publishers feed the ladder. Those that come back may come from another server: the claims are read again.
func (sh *show) feed(fed bool) {
	for _, c := range sh.claims {
		if fed && !sh.fed && c.tenure != nil && c.hold != shared.Lost {
			c.hold = shared.Unread
		}
	}
	sh.fed = fed
}

// claim makes sure that the ladder is this server's in a store, as Uploader.claim does for a stream. It reports whether playlists may be
// written there.
func (l *Ladders) claim(ctx context.Context, target int, sh *show) (may bool, err error) {
	c, u := sh.claims[target], l.m.uploaders[target]
	if c.hold != shared.Unread {
		return c.hold != shared.Lost, nil
	}
	v := claim.Ours
	if u.shared.Claims(c.tenure) {
		var keys []string
		for _, n := range append(shared.Entries(sh.key), shared.TrackEntries(sh.key)...) {
			over := n.Kind == segmenter.KindCMAFEntry || n.Kind == segmenter.KindDASHEntry
			if n.Kind == segmenter.KindEntry || n.Kind == segmenter.KindLowLatencyEntry && sh.low || over && l.m.cmaf(sh.key.App) {
				delete(l.written, ladderObject{target, n.String()}) // another may have written it
				keys = append(keys, n.String())
			}
		}
		if err = u.shared.Fence.Look(ctx, keys...); err == nil || storage.KindOf(err) == storage.Permanent {
			v, err = c.tenure.Take(ctx, sh.fed && !sh.ended, sh.recalled)
		}
		if storage.KindOf(err) == storage.Permanent && u.shared.Takes() || errors.Is(err, errors.ErrUnsupported) {
			u.shared.Unclaimed(err)
			v, err, c.released = claim.Ours, nil, true
		}
		if err != nil {
			return false, err
		}
	}
	sh.stand(target, v)
	return c.hold != shared.Lost, nil
}

// stand records what the claim in a store says.
func (sh *show) stand(target int, v claim.Verdict) {
	c, u := sh.claims[target], sh.m.uploaders[target]
	switch {
	case c.hold == shared.Lost:
	case v == claim.Past:
		c.hold = shared.Past
	case v == claim.Lost:
		c.hold = shared.Lost
		for _, n := range append(shared.Entries(sh.key), shared.TrackEntries(sh.key)...) {
			u.shared.Rechecks.Forget(n.String())
		}
		sh.m.stoodDown(u, "its rungs' segments go to the store; nothing need be done for the stream", Notice{Kind: StoodDown, Key: sh.key, Recording: sh.id}, c.tenure.Claim())
	default:
		c.hold, c.asked = shared.Ours, sh.m.o.Now()
	}
}

// mine is lane.mine for a ladder.
func (sh *show) mine(target int, kind segmenter.Kind) func(context.Context) error {
	c, u := sh.claims[target], sh.m.uploaders[target]
	if c.tenure == nil {
		return nil
	}
	return func(ctx context.Context) error {
		v, err := c.tenure.Check(ctx)
		switch {
		case storage.KindOf(err) == storage.Permanent, errors.Is(err, errors.ErrUnsupported):
			u.shared.Unclaimed(err)
			return nil
		case err != nil:
			return err
		}
		if v == claim.Ours {
			c.asked = sh.m.o.Now()
			return nil
		}
		sh.stand(target, v)
		own := kind == segmenter.KindArchive || kind == segmenter.KindCMAFArchive || kind == segmenter.KindDASHArchive
		if v == claim.Lost || !own {
			return shared.ErrAnother
		}
		return nil
	}
}

// release says in the claim that the ladder's recording is done with.
func (sh *show) release(ctx context.Context, target int) error {
	c := sh.claims[target]
	if c.released || c.hold != shared.Ours || sh.superseded || !sh.m.uploaders[target].shared.Claims(c.tenure) {
		return nil
	}
	err := c.tenure.Release(ctx)
	c.released = err == nil || storage.KindOf(err) == storage.Permanent
	if c.released {
		err = nil
	}
	return err
}
