package gate

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/claim"
)

// lookEvery is how often Run looks for streams that another server has taken; silent is how long nothing has come from a publisher whose
// stream may have been; looks is how many claims are read at a time.
const (
	lookEvery = time.Second
	silent    = 2 * time.Second
	looks     = 16
)

// Run lets go of streams that nothing comes for here any more, and that another server has taken: who has a publisher finds out when it writes.
// It also asks the bucket for Ready. It returns when ctx is done.
func (g *Gate) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { g.askBucket(ctx) })
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		g.lookAll(ctx)
	}
}

// lookAll looks at all streams and ladders that nothing comes for. Where the bucket does not answer about one, it asks about no more of them: it would be
// asked about thousands, for as long as it is away.
func (g *Gate) lookAll(ctx context.Context) {
	var all sync.WaitGroup
	var away atomic.Bool
	places := make(chan struct{}, looks)
	for _, line := range slices.Concat(g.o.Registry.Timelines(), g.o.Registry.Ladders()) {
		if !g.quiet(line) {
			continue
		}
		places <- struct{}{}
		if away.Load() || ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-places }()
			if g.look(ctx, line) != nil {
				away.Store(true)
			}
		})
	}
	all.Wait()
}

// quiet reports whether a recording runs here for which nothing comes.
func (g *Gate) quiet(line *segmenter.Timeline) bool {
	key := line.Key()
	p, published := g.o.Registry.Publisher(key)
	fed := published && g.o.Now().Sub(p.LastFrame) < silent || !published && line.Snapshot().Whole().State == segmenter.Live // what a ladder makes has none
	return !fed && g.running(key) == line
}

// look lets go of one stream or ladder, if another server has it. The error is that the bucket does not say.
func (g *Gate) look(ctx context.Context, line *segmenter.Timeline) error {
	key := line.Key()
	ctx, cancel := context.WithTimeout(ctx, g.o.AskLimit)
	defer cancel()
	c, _, err := claim.Read(ctx, g.o.Store, claim.Key(key.App, key.Stream))
	switch {
	case claim.Damaged(err):
		return nil
	case err != nil:
		return err
	case c.Epoch > 0 && c.Node != g.o.Mirror.Server().Node && c.Recording >= string(line.Recording()) && g.quiet(line):
		g.Lost(ctx, key, line.Recording(), c.Node)
	}
	return nil
}

// Lost lets go of a recording of which another server has the stream, and of the whole ladder that it is part of, if that server has the ladder.
func (g *Gate) Lost(ctx context.Context, key segmenter.Key, id segmenter.RecordingID, node string) {
	w, part := g.o.Registry.Whole(key)
	turn := key
	if part {
		turn = w.Key
	}
	ctx, cancel := context.WithTimeout(ctx, g.o.ReadLimit)
	defer cancel()
	if leave, err := g.enter(ctx, turn); err == nil { // else somebody waits for the bucket there
		defer leave()
	}
	if line := g.running(key); line == nil || line.Recording() != id {
		return
	}
	if part && key != w.Key {
		c, _, err := claim.Read(ctx, g.o.Store, claim.Key(w.App, w.Stream))
		if line := g.running(w.Key); err == nil && c.Epoch > 0 && c.Node != g.o.Mirror.Server().Node && line != nil && line.Recording() == id {
			key = w.Key
		}
	}
	g.yield(key, claim.Claim{Node: node, Recording: string(id)})
}
