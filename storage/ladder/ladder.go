// Package ladder copies the multivariant playlists of ladders to the stores of a mirror, and their DASH manifests. It lists a variant in a store
// only when that has the variant's playlist. It refuses to touch segments and media playlists, which are the mirror's: the rungs are recordings
// as all others, of which it asks what the stores have.
package ladder

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/episode"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/pages"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// Source returns the multivariant playlists of ladders; segmenter.Registry is one.
type Source interface{ Ladders() []*segmenter.Timeline }

// Ladders copies the multivariant playlists of ladders to the stores of a mirror. The rungs are ordinary recordings; what remains are a few
// small objects that change rarely, so one loop handles all of them. A variant is listed in a store only once its playlist is there. What
// the stores still lack is recorded in the spool, and outlives the process.
type Ladders struct {
	m       *mirror.Mirror
	o       mirror.Options
	stores  []*mirror.Uploader
	src     Source
	shows   map[showID]*show       // ladders that a store does not have in their final state; the registry may have forgotten them
	written map[object]string      // bodies and ages, by store and key, of the existing ladders
	touched map[object]bool        // by the current step
	asked   map[object]answer      // about playlists of rungs that the mirror has finished
	had     map[object]answer      // about those that it may have from before a start or a takeover: see mirror.Rung.HadBefore
	spells  map[int]*episode.Spell // of failures, by store
}

// showID identifies one ladder's recording.
type showID struct {
	key segmenter.Key
	id  segmenter.RecordingID
}

type object struct {
	store int
	key   string
}

// answer is a store's answer about a playlist.
type answer struct {
	there bool
	at    time.Time
}

const (
	// interval is how often ladders are checked.
	interval = 500 * time.Millisecond
	// lastStep bounds the last step.
	lastStep = 5 * time.Second
	// askAgain is when a store is asked again for a playlist that it lacked.
	askAgain = 30 * time.Second
)

// New returns the loop; Run runs it. It goes on with the ladders that Mirror.Recover found, and is called after Mirror.Name.
func New(m *mirror.Mirror, src Source) *Ladders {
	l := &Ladders{m: m, o: m.Options(), stores: m.Uploaders(), src: src, shows: map[showID]*show{}, written: map[object]string{}, asked: map[object]answer{}, had: map[object]answer{}, spells: map[int]*episode.Spell{}}
	for _, f := range m.Ladders() {
		sh := recalled(l, f)
		l.shows[sh.showID] = sh
	}
	newest := l.newest()
	for _, sh := range l.shows {
		if sh.superseded && newest[sh.key] == sh.id {
			sh.forgetEntry()
		}
	}
	return l
}

// Unended returns the ladders that Mirror.Recover found which have not ended, with the streams that are their rungs, best first.
func Unended(m *mirror.Mirror) map[segmenter.Key][]string {
	all := map[segmenter.Key][]string{}
	for _, f := range m.Ladders() {
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
				n, ok := segmenter.ParseName(f.State.ID.App + "/streams/" + master.Variants[i].URI)
				if ok && n.Stream != f.State.ID.Stream+segmenter.AudioSuffix && !slices.Contains(rungs, n.Stream) {
					rungs = append(rungs, n.Stream)
				}
			}
		}
		if len(rungs) > 1 {
			all[segmenter.Key{App: f.State.ID.App, Stream: f.State.ID.Stream}] = rungs
		}
	}
	return all
}

// Run writes what changes until ctx is done, and then, for an orderly stop after Mirror.Flush, once more.
func (l *Ladders) Run(ctx context.Context) error {
	disk := l.m.Pages()
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		disk.Run(writing)
		close(done)
	}()
	defer func() {
		stop()
		timer := time.NewTimer(l.o.HangLimit)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C: // the mirror logs that the disk does not answer
		}
	}()
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		l.step(ctx, disk)
		select {
		case <-t.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastStep)
			defer cancel()
			l.step(last, disk)
			return nil
		}
	}
}

// spool identifies its journal.
func (id showID) spool() spool.ID {
	return spool.ID{App: id.key.App, Stream: id.key.Stream, Recording: string(id.id)}
}

// keep updates the journals to the current ladders. Of one of which nobody was shown anything there is none.
func (l *Ladders) keep(disk *pages.Pages) {
	for id, sh := range l.shows {
		if sh.entry != "" {
			disk.Want(id.spool(), sh.folder, sh.record())
		}
	}
}

// newest returns the newest recordings of all ladders.
func (l *Ladders) newest() map[segmenter.Key]segmenter.RecordingID {
	newest := map[segmenter.Key]segmenter.RecordingID{}
	for _, sh := range l.shows {
		newest[sh.key] = max(newest[sh.key], sh.id)
	}
	return newest
}

// look updates from the registry.
func (l *Ladders) look() {
	for _, sh := range l.shows {
		sh.current = false
	}
	for _, t := range l.src.Ladders() {
		id := showID{t.Key(), t.Recording()}
		switch sh := l.shows[id]; {
		case sh != nil && sh.line != nil && sh.line != t && t.Snapshot().Yielded:
			continue // it was let go of, and taken up again
		case sh == nil:
			l.shows[id] = newShow(l, id)
		case sh.line != t && (sh.gone() || sh.ended): // this server has had it before, and has taken it up again
			l.shows[id] = newShow(l, id)
			l.forget(id)
		}
		l.shows[id].line, l.shows[id].current = t, true
	}
	newest := l.newest()
	for _, sh := range l.shows {
		sh.superseded = sh.superseded || newest[sh.key] != sh.id
		sh.look()
	}
}

// forget forgets what the stores have of a ladder's recording: another server may have written it.
func (l *Ladders) forget(id showID) {
	clear(l.had)
	for at := range l.written {
		if n, _ := segmenter.ParseName(at.key); n.App == id.key.App && n.Stream == id.key.Stream {
			delete(l.written, at)
		}
	}
}

func (l *Ladders) step(ctx context.Context, disk *pages.Pages) {
	l.look()
	l.keep(disk) // before waiting for a store
	l.touched = map[object]bool{}
	settled := map[*show]int{} // in how many stores
	for store, u := range l.stores {
		var err error
		for _, sh := range l.shows {
			final, e := l.copy(ctx, store, sh)
			if err = errors.Join(err, e); final && e == nil {
				settled[sh]++
			}
		}
		l.tell(ctx, store, u.Name(), err)
	}
	for id, sh := range l.shows {
		whole := settled[sh] == len(l.stores) && sh.ended && !sh.inDoubt()
		if !sh.current && (whole || !sh.ended) {
			delete(l.shows, id)
			disk.Drop(id.spool(), whole)
		}
	}
	l.keep(disk)
	for at := range l.written {
		if !l.touched[at] {
			delete(l.written, at)
		}
	}
}

// tell logs how a store accepts the playlists.
func (l *Ladders) tell(ctx context.Context, store int, name string, err error) {
	s := l.spells[store]
	if s == nil {
		s = &episode.Spell{}
		l.spells[store] = s
	}
	now := l.o.Now()
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if lasted, tell := s.Good(now); tell {
			l.o.Log.Info("the multivariant playlists of ladders are written again", "target", name, "after", lasted.Round(time.Millisecond))
		}
	case s.Bad(now):
		l.o.Log.Warn("the multivariant playlists of ladders cannot be written; tried again until they can", "target", name, "error", err)
	}
}
