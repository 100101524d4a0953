// Package pages keeps journals in the spool that are small, and replaced as a whole, such as those of ladders. One goroutine waits for the disk
// on behalf of all of them, so that nobody else does. It refuses to know what is in them.
package pages

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// Options of Pages.
type Options struct {
	Spool *spool.Spool // nil: nothing is kept
	Log   *slog.Logger
	// RetryMin and RetryMax bound the pauses while the disk fails; they double.
	RetryMin, RetryMax time.Duration
	// Failed is told of each failure; first says that what was written before that was. Healed is told when all is written again.
	Failed func(err error, first bool)
	Healed func()
}

// Pages are the journals. They are safe for concurrent use.
type Pages struct {
	o    Options
	wake chan struct{} // capacity 1

	mu    sync.Mutex
	pages map[spool.ID]*page
}

// page is one journal.
type page struct {
	id     spool.ID
	want   *spool.Batch  // guarded by Pages.mu
	gone   bool          // it needs no more attention; guarded by Pages.mu
	over   bool          // nor does its journal; guarded by Pages.mu
	folder *spool.Folder // used by the goroutine; nil: it is not open yet
	have   *spool.Batch  // used by the goroutine; nil: nothing
}

// New returns Pages without any.
func New(o Options) *Pages {
	return &Pages{o: o, wake: make(chan struct{}, 1), pages: map[spool.ID]*page{}}
}

// Want says what a journal is to contain. folder is its, from a start that found it; nil: it is made. Of those that are known already it is
// ignored.
func (p *Pages) Want(id spool.ID, folder *spool.Folder, b *spool.Batch) {
	if p.o.Spool == nil {
		return
	}
	p.mu.Lock()
	g := p.pages[id]
	if g == nil {
		g = &page{id: id, folder: folder}
		p.pages[id] = g
	}
	news := g.gone || g.want == nil || !g.want.Equal(b)
	if news {
		g.want, g.gone, g.over = b, false, false
	}
	p.mu.Unlock()
	if news {
		p.poke()
	}
}

// Drop says that a journal needs no more attention; over, that it need not be kept any more.
func (p *Pages) Drop(id spool.ID, over bool) {
	p.mu.Lock()
	if g := p.pages[id]; g != nil {
		g.gone, g.over = true, over
	}
	p.mu.Unlock()
	p.poke()
}

func (p *Pages) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run writes until ctx ends, and then once more.
func (p *Pages) Run(ctx context.Context) {
	pause := time.Duration(0)
	for {
		stopping := ctx.Err() != nil
		err := p.write()
		var again <-chan time.Time
		switch {
		case err != nil:
			p.o.Failed(err, pause == 0)
			pause = min(max(2*pause, p.o.RetryMin), p.o.RetryMax)
			again = time.After(pause)
		case pause > 0:
			p.o.Healed()
			pause = 0
		}
		if stopping {
			p.close()
			return
		}
		wake := p.wake
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
func (p *Pages) write() (first error) {
	p.mu.Lock()
	all := make([]*page, 0, len(p.pages))
	for _, g := range p.pages {
		all = append(all, g)
	}
	p.mu.Unlock()
	for _, g := range all {
		if err := p.writePage(g); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (p *Pages) writePage(g *page) (err error) {
	p.mu.Lock()
	want, gone, over := g.want, g.gone, g.over
	p.mu.Unlock()
	if g.folder == nil {
		if g.folder, err = p.o.Spool.Folder(g.id, nil); err != nil {
			return err
		}
	}
	switch {
	case over:
		err = g.folder.Finish()
	case g.have == nil || !g.have.Equal(want):
		if err = g.folder.Rewrite(want); err == nil {
			g.have = want
		}
	}
	if err != nil || !gone {
		return err
	}
	folder := g.folder
	p.mu.Lock()
	if g.folder, g.have = nil, nil; g.gone {
		delete(p.pages, g.id)
	} else { // it is wanted again
		p.poke()
	}
	p.mu.Unlock()
	return folder.Close()
}

// close closes the files.
func (p *Pages) close() {
	for _, g := range p.pages {
		if g.folder != nil {
			if err := g.folder.Close(); err != nil {
				p.o.Log.Warn("close journal", "stream", g.id.App+"/"+g.id.Stream, "err", err)
			}
		}
	}
}
