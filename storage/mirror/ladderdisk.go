package mirror

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// ladderDisk keeps the journals of ladders in the spool. Its goroutine is the only one that may wait for the disk on their behalf: while
// that hangs, playlists still go to the stores.
type ladderDisk struct {
	m    *Mirror
	wake chan struct{} // capacity 1

	mu    sync.Mutex
	pages map[ladderID]*ladderPage
}

// ladderPage is one ladder's journal.
type ladderPage struct {
	sh   *show
	want *spool.Batch // guarded by ladderDisk.mu
	gone bool         // it needs no more attention; guarded by ladderDisk.mu
	over bool         // nor does its journal; guarded by ladderDisk.mu
	have *spool.Batch // used by the goroutine; nil: nothing
}

func newLadderDisk(m *Mirror) *ladderDisk {
	return &ladderDisk{m: m, wake: make(chan struct{}, 1), pages: map[ladderID]*ladderPage{}}
}

// want updates the journals to the current ladders.
func (d *ladderDisk) want(shows map[ladderID]*show) {
	if d.m.o.Spool == nil {
		return
	}
	news := false
	d.mu.Lock()
	for id, sh := range shows {
		if sh.entry == "" {
			continue // nobody was shown anything of it
		}
		p := d.pages[id]
		if p == nil {
			p = &ladderPage{sh: sh}
			d.pages[id] = p
		}
		if b := sh.record(); p.want == nil || !p.want.Equal(b) {
			p.want, news = b, true
		}
	}
	d.mu.Unlock()
	if news {
		d.poke()
	}
}

// drop says that a ladder needs no more attention; over, that the stores have all of it.
func (d *ladderDisk) drop(id ladderID, over bool) {
	d.mu.Lock()
	if p := d.pages[id]; p != nil {
		p.gone, p.over = true, over
	}
	d.mu.Unlock()
	d.poke()
}

func (d *ladderDisk) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends, and then once more.
func (d *ladderDisk) run(ctx context.Context) {
	pause := time.Duration(0)
	for {
		stopping := ctx.Err() != nil
		err := d.write()
		var again <-chan time.Time
		switch {
		case err != nil:
			d.m.stats.DiskErrors.Add(1)
			d.m.episodes.diskFailed(d.m.log, err, pause == 0, d.m.o.Now())
			pause = min(max(2*pause, d.m.o.DiskRetryMin), d.m.o.DiskRetryMax)
			again = time.After(pause)
		case pause > 0:
			d.m.episodes.diskHealed(d.m.log, d.m.o.Now())
			pause = 0
		}
		if stopping {
			d.close()
			return
		}
		wake := d.wake
		if again != nil {
			wake = nil // news waits as well
		}
		select {
		case <-wake:
		case <-again:
		case <-ctx.Done():
		}
	}
}

// write updates all journals. It returns the first error, but tries the others all the same.
func (d *ladderDisk) write() (first error) {
	d.mu.Lock()
	var all []*ladderPage
	for _, p := range d.pages {
		all = append(all, p)
	}
	d.mu.Unlock()
	for _, p := range all {
		if err := d.writePage(p); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (d *ladderDisk) writePage(p *ladderPage) (err error) {
	d.mu.Lock()
	want, gone, over := p.want, p.gone, p.over
	d.mu.Unlock()
	sh := p.sh
	if sh.folder == nil {
		if sh.folder, err = d.m.o.Spool.Folder(spool.ID{App: sh.key.App, Stream: sh.key.Stream, Recording: string(sh.id)}, nil); err != nil {
			return err
		}
	}
	switch {
	case over:
		err = sh.folder.Finish()
	case p.have == nil || !p.have.Equal(want):
		if err = sh.folder.Rewrite(want); err == nil {
			p.have = want
		}
	}
	if err != nil || !gone {
		return err
	}
	d.mu.Lock()
	delete(d.pages, sh.ladderID)
	d.mu.Unlock()
	return sh.folder.Close()
}

// close closes the files.
func (d *ladderDisk) close() {
	for _, p := range d.pages {
		if p.sh.folder != nil {
			if err := p.sh.folder.Close(); err != nil {
				d.m.log.Warn("close journal", "stream", p.sh.key.String(), "err", err)
			}
		}
	}
}

// showClaim is what a ladder's recording knows of the claim to the ladder in one store. It belongs to the goroutine of Ladders.
type showClaim struct {
	tenure   *claim.Tenure // nil: there are none
	hold     hold
	released bool
}

// feed notes whether publishers feed the ladder. Those that come back may come from another server: the claims are read again.
func (sh *show) feed(fed bool) {
	for _, c := range sh.claims {
		if fed && !sh.fed && c.tenure != nil && c.hold != lost {
			c.hold = unread
		}
	}
	sh.fed = fed
}

// claim makes sure that the ladder is this server's in a store, as Uploader.claim does for a stream. It reports whether playlists may be
// written there.
func (l *Ladders) claim(ctx context.Context, target int, sh *show) (may bool, err error) {
	c, u := sh.claims[target], l.m.uploaders[target]
	if c.hold != unread {
		return c.hold != lost, nil
	}
	v := claim.Ours
	if u.claims(c.tenure) {
		var keys []string
		for _, n := range append(entryNames(sh.key), entriesOverTracks(sh.key)...) {
			over := n.Kind == segmenter.KindCMAFEntry || n.Kind == segmenter.KindDASHEntry
			if n.Kind == segmenter.KindEntry || n.Kind == segmenter.KindLowLatencyEntry && sh.low || over && l.m.cmaf(sh.key.App) {
				delete(l.written, ladderObject{target, n.String()}) // another may have written it
				keys = append(keys, n.String())
			}
		}
		if err = u.fence.Look(ctx, keys...); err == nil || storage.KindOf(err) == storage.Permanent {
			v, err = c.tenure.Take(ctx, sh.fed && !sh.ended, sh.recalled)
		}
		if storage.KindOf(err) == storage.Permanent && u.takes() || errors.Is(err, errors.ErrUnsupported) {
			u.unclaimed(err)
			v, err, c.released = claim.Ours, nil, true
		}
		if err != nil {
			return false, err
		}
	}
	sh.stand(target, v)
	return c.hold != lost, nil
}

// stand records what the claim in a store says.
func (sh *show) stand(target int, v claim.Verdict) {
	c, u := sh.claims[target], sh.m.uploaders[target]
	switch {
	case c.hold == lost:
	case v == claim.Past:
		c.hold = past
	case v == claim.Lost:
		c.hold = lost
		for _, n := range append(entryNames(sh.key), entriesOverTracks(sh.key)...) {
			u.rechecks.Forget(n.String())
		}
		sh.m.stoodDown(u, "its rungs' segments go to the store; nothing need be done for the stream", Notice{Kind: StoodDown, Key: sh.key, Recording: sh.id}, c.tenure.Claim())
	default:
		c.hold = ours
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
			u.unclaimed(err)
			return nil
		case err != nil:
			return err
		}
		if v == claim.Ours {
			return nil
		}
		sh.stand(target, v)
		own := kind == segmenter.KindArchive || kind == segmenter.KindCMAFArchive || kind == segmenter.KindDASHArchive
		if v == claim.Lost || !own {
			return errAnother
		}
		return nil
	}
}

// release says in the claim that the ladder's recording is done with.
func (sh *show) release(ctx context.Context, target int) error {
	c := sh.claims[target]
	if c.released || c.hold != ours || sh.superseded || !sh.m.uploaders[target].claims(c.tenure) {
		return nil
	}
	err := c.tenure.Release(ctx)
	c.released = err == nil || storage.KindOf(err) == storage.Permanent
	if c.released {
		err = nil
	}
	return err
}

// Ladders returns the ladders that Recover found which have not ended, with the streams that are their rungs, best first.
func (m *Mirror) Ladders() map[segmenter.Key][]string {
	all := map[segmenter.Key][]string{}
	for _, f := range m.ladders {
		if f.State.Ended {
			continue
		}
		var rungs []string
		for _, page := range []string{f.State.Ladder.Archive, f.State.Ladder.Entry} {
			master, err := m3u8.ParseMaster([]byte(page))
			if err != nil {
				continue
			}
			for i := range master.Variants {
				if name := rungOf(master.Variants[i].URI); name != "" && name != f.State.ID.Stream+segmenter.AudioSuffix && !slices.Contains(rungs, name) {
					rungs = append(rungs, name)
				}
			}
		}
		if len(rungs) > 1 {
			all[segmenter.Key{App: f.State.ID.App, Stream: f.State.ID.Stream}] = rungs
		}
	}
	return all
}

// rungOf is the stream whose playlist a ladder's playlist names: "show_720p/{recording}/live.m3u8", "show_720p-{recording}.m3u8"; empty: it
// names another thing.
func rungOf(uri string) string {
	if name, _, ok := strings.Cut(uri, "/"); ok {
		return name
	}
	name, ok := strings.CutSuffix(uri, ".m3u8")
	n := len(name) - len("-2023-08-24_16-02-52.970")
	if !ok || n <= 0 || name[n] != '-' {
		return ""
	}
	return name[:n]
}
