package ladder

import (
	"context"
	"errors"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/shared"
)

// hold is what a ladder's recording knows of the claim to the ladder in one store. It belongs to the goroutine of Ladders.
type hold struct {
	tenure   *claim.Tenure // nil: there are none
	state    shared.Hold
	asked    time.Time // when the store last said that the ladder is this server's
	released bool
}

// feed notes whether publishers feed the ladder. Those that come back may come from another server: the claims are read again.
func (sh *show) feed(fed bool) {
	for _, c := range sh.claims {
		if fed && !sh.fed && c.tenure != nil && c.state != shared.Lost {
			c.state = shared.Unread
		}
	}
	sh.fed = fed
}

// claim makes sure that the ladder is this server's in a store, as the mirror does for a stream. It reports whether playlists may be
// written there.
func (l *Ladders) claim(ctx context.Context, store int, sh *show) (may bool, err error) {
	c, u := sh.claims[store], l.stores[store].Shared()
	if c.state != shared.Unread {
		return c.state != shared.Lost, nil
	}
	v := claim.Ours
	if u.Claims(c.tenure) {
		var keys []string
		for _, n := range append(shared.Entries(sh.key), shared.TrackEntries(sh.key)...) {
			over := n.Kind == segmenter.KindCMAFEntry || n.Kind == segmenter.KindDASHEntry
			if n.Kind == segmenter.KindEntry || n.Kind == segmenter.KindLowLatencyEntry && sh.low || over && l.o.CMAF(sh.key.App) {
				delete(l.written, object{store, n.String()}) // another may have written it
				keys = append(keys, n.String())
			}
		}
		if err = u.Fence.Look(ctx, keys...); err == nil || storage.KindOf(err) == storage.Permanent {
			v, err = c.tenure.Take(ctx, sh.fed && !sh.ended, sh.recalled)
		}
		if storage.KindOf(err) == storage.Permanent && u.Takes() || errors.Is(err, errors.ErrUnsupported) {
			u.Unclaimed(err)
			v, err, c.released = claim.Ours, nil, true
		}
		if err != nil {
			return false, err
		}
	}
	sh.stand(store, v)
	return c.state != shared.Lost, nil
}

// stand records what the claim in a store says.
func (sh *show) stand(store int, v claim.Verdict) {
	c, u := sh.claims[store], sh.l.stores[store]
	switch {
	case c.state == shared.Lost:
	case v == claim.Past:
		c.state = shared.Past
	case v == claim.Lost:
		c.state = shared.Lost
		for _, n := range append(shared.Entries(sh.key), shared.TrackEntries(sh.key)...) {
			u.Shared().Rechecks.Forget(n.String())
		}
		u.StandsDown("its rungs' segments go to the store; nothing need be done for the stream", mirror.Notice{Kind: mirror.StoodDown, Key: sh.key, Recording: sh.id}, c.tenure.Claim())
	default:
		c.state, c.asked = shared.Ours, sh.l.o.Now()
	}
}

// mine returns what the fence asks before it writes over something that it has just read; nil: there is nobody to ask.
func (sh *show) mine(store int, kind segmenter.Kind) func(context.Context) error {
	c, u := sh.claims[store], sh.l.stores[store].Shared()
	if c.tenure == nil {
		return nil
	}
	return func(ctx context.Context) error {
		v, err := c.tenure.Check(ctx)
		switch {
		case storage.KindOf(err) == storage.Permanent, errors.Is(err, errors.ErrUnsupported):
			u.Unclaimed(err)
			return nil
		case err != nil:
			return err
		}
		if v == claim.Ours {
			c.asked = sh.l.o.Now()
			return nil
		}
		sh.stand(store, v)
		own := kind == segmenter.KindArchive || kind == segmenter.KindCMAFArchive || kind == segmenter.KindDASHArchive
		if v == claim.Lost || !own {
			return shared.ErrAnother
		}
		return nil
	}
}

// release says in the claim that the ladder's recording is done with.
func (sh *show) release(ctx context.Context, store int) error {
	c := sh.claims[store]
	if c.released || c.state != shared.Ours || sh.superseded || !sh.l.stores[store].Shared().Claims(c.tenure) {
		return nil
	}
	err := c.tenure.Release(ctx)
	c.released = err == nil || storage.KindOf(err) == storage.Permanent
	if c.released {
		err = nil
	}
	return err
}
