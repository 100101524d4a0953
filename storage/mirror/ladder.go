package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/episode"
	"github.com/hlsorigin/hlsorigin/storage/pages"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// LadderSource returns the multivariant playlists of ladders; segmenter.Registry is one.
type LadderSource interface{ Ladders() []*segmenter.Timeline }

// Ladders copies the multivariant playlists of ladders to the stores of a mirror. The rungs are ordinary recordings; what remains are a few
// small objects that change rarely, so one loop handles all of them. A variant is listed in a store only once its playlist is there. What
// the stores still lack is recorded in the spool, and outlives the process.
type Ladders struct {
	m       *Mirror
	src     LadderSource
	shows   map[ladderID]*show      // ladders that a store does not have in their final state; the registry may have forgotten them
	written map[ladderObject]string // bodies and ages, by store and key, of the existing ladders
	touched map[ladderObject]bool   // by the current step
	asked   map[ladderObject]answer // about playlists of rungs that the mirror has finished
	had     map[ladderObject]answer // about those that it may have from before a start or a takeover: see recording.hadBefore
	spells  map[int]*episode.Spell  // of failures, by store
}

// ladderID identifies one ladder's recording.
type ladderID struct {
	key segmenter.Key
	id  segmenter.RecordingID
}

type ladderObject struct {
	target int
	key    string
}

// answer is a store's answer about a playlist.
type answer struct {
	there bool
	at    time.Time
}

const (
	// ladderInterval is how often ladders are checked.
	ladderInterval = 500 * time.Millisecond
	// ladderStop bounds the last step.
	ladderStop = 5 * time.Second
	// askAgain is when a store is asked again for a playlist that it lacked.
	askAgain = 30 * time.Second
)

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

// NewLadders returns the loop; Run runs it. It takes over the ladders that Recover found.
func NewLadders(m *Mirror, src LadderSource) *Ladders {
	l := &Ladders{m: m, src: src, shows: map[ladderID]*show{}, written: map[ladderObject]string{}, asked: map[ladderObject]answer{}, had: map[ladderObject]answer{}, spells: map[int]*episode.Spell{}}
	for _, f := range m.ladders {
		sh := recalledShow(m, f)
		l.shows[sh.ladderID] = sh
	}
	newest := l.newest()
	for _, sh := range l.shows {
		if sh.superseded && newest[sh.key] == sh.id {
			sh.forgetEntry()
		}
	}
	m.ladders = nil
	return l
}

// Run writes what changes until ctx is done, and then, for an orderly stop after Mirror.Flush, once more.
func (l *Ladders) Run(ctx context.Context) error {
	disk := l.m.pages()
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		disk.Run(writing)
		close(done)
	}()
	defer func() {
		stop()
		within(l.m.o.HangLimit, func() { <-done }) // the mirror logs if the disk does not answer
	}()
	t := time.NewTicker(ladderInterval)
	defer t.Stop()
	for {
		l.step(ctx, disk)
		select {
		case <-t.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), ladderStop)
			defer cancel()
			l.step(last, disk)
			return nil
		}
	}
}

// pages returns the journals of ladders.
func (m *Mirror) pages() *pages.Pages {
	return pages.New(pages.Options{
		Spool: m.o.Spool, Log: m.log, RetryMin: m.o.DiskRetryMin, RetryMax: m.o.DiskRetryMax,
		Failed: func(err error, first bool) {
			m.stats.DiskErrors.Add(1)
			m.episodes.DiskFailed(m.log, err, first, m.o.Now())
		},
		Healed: func() { m.episodes.DiskHealed(m.log, m.o.Now()) },
	})
}

// spool identifies its journal.
func (id ladderID) spool() spool.ID {
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
		id := ladderID{t.Key(), t.Recording()}
		switch sh := l.shows[id]; {
		case sh != nil && sh.line != nil && sh.line != t && t.Snapshot().Yielded:
			continue // it was let go of, and taken up again
		case sh == nil:
			l.shows[id] = newShow(l.m, id)
		case sh.line != t && (sh.gone() || sh.ended): // this server has had it before, and has taken it up again
			l.shows[id] = newShow(l.m, id)
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
func (l *Ladders) forget(id ladderID) {
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
	l.touched = map[ladderObject]bool{}
	settled := map[*show]int{} // in how many stores
	for target, u := range l.m.uploaders {
		var err error
		for _, sh := range l.shows {
			final, e := l.mirror(ctx, target, sh)
			if err = errors.Join(err, e); final && e == nil {
				settled[sh]++
			}
		}
		l.tell(ctx, target, u.name, err)
	}
	for id, sh := range l.shows {
		whole := settled[sh] == len(l.m.uploaders) && sh.ended && !sh.inDoubt()
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
func (l *Ladders) tell(ctx context.Context, target int, name string, err error) {
	s := l.spells[target]
	if s == nil {
		s = &episode.Spell{}
		l.spells[target] = s
	}
	now := l.m.o.Now()
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if lasted, tell := s.Good(now); tell {
			l.m.log.Info("the multivariant playlists of ladders are written again", "target", name, "after", lasted.Round(time.Millisecond))
		}
	case s.Bad(now):
		l.m.log.Warn("the multivariant playlists of ladders cannot be written; tried again until they can", "target", name, "error", err)
	}
}

// mirror copies one ladder to one store; the stable entry only if no newer ladder of that name has it. final reports that the ladder has
// ended, and that the store has all of it.
func (l *Ladders) mirror(ctx context.Context, target int, sh *show) (final bool, err error) {
	if sh.entry == "" {
		return true, nil
	}
	if may, err := l.claim(ctx, target, sh); !may {
		return err == nil, err // another has it: nothing is to be done here
	}
	final = sh.ended
	if entry, e := m3u8.ParseMaster([]byte(sh.entry)); e != nil {
		err = e
	} else if !sh.superseded && sh.claims[target].hold == shared.Ours {
		var missing bool
		entry.IFrames = nil // no store has them
		entry.Variants, missing, e = l.there(ctx, target, sh, entry.Variants, segmenter.KindLive)
		err = errors.Join(err, e)
		final = final && !missing
		if l.m.cmaf(sh.key.App) {
			missing, e = l.overTracks(ctx, target, sh, sh.entry, shared.TrackEntry(sh.key), false)
			final, err = final && !missing, errors.Join(err, e)
		}
		for _, n := range shared.Entries(sh.key) {
			if n.Kind == segmenter.KindEntry || sh.low || l.hasOld(ctx, target, sh, n) {
				err = errors.Join(err, l.put(ctx, target, sh, n, entry, false))
			}
		}
	}
	whole, e := m3u8.ParseMaster([]byte(sh.archive))
	if e != nil {
		return false, errors.Join(err, e)
	}
	for _, split := range sh.splits(whole.Variants) {
		part := *whole
		part.IFrames = nil
		part.Variants = sh.variants(whole.Variants, split)
		settled := sh.ended && sh.finished(target, part.Variants)
		final = final && settled
		part.Variants, _, e = l.there(ctx, target, sh, part.Variants, segmenter.KindArchive)
		err = errors.Join(err, e)
		n := segmenter.Name{Kind: segmenter.KindArchive, App: sh.key.App, Stream: sh.key.Stream, Recording: split}
		err = errors.Join(err, l.put(ctx, target, sh, n, &part, settled))
		if !l.m.cmaf(sh.key.App) {
			continue
		}
		n.Kind = segmenter.KindCMAFArchive
		part.Variants = sh.variants(whole.Variants, split)
		settled = sh.ended && sh.finished(target+maxStores, part.Variants)
		final = final && settled
		_, e = l.overTracks(ctx, target, sh, string(part.Append(nil)), n, settled)
		err = errors.Join(err, e)
	}
	if final && err == nil {
		err = sh.release(ctx, target)
	}
	return final && err == nil, err
}

// overTracks writes the multivariant playlist over tracks that is made of one over transport streams, of those variants whose tracks the
// store has. It reports whether one is missing that will come.
func (l *Ladders) overTracks(ctx context.Context, target int, sh *show, source string, n segmenter.Name, settled bool) (missing bool, err error) {
	m, err := m3u8.ParseMaster([]byte(source))
	if err != nil {
		return false, err
	}
	kind := segmenter.KindLive
	if n.Kind == segmenter.KindCMAFArchive {
		kind = segmenter.KindArchive
	}
	m.Variants, missing, err = l.there(ctx, target+maxStores, sh, m.Variants, kind)
	shown := *m
	shown.IFrames, shown.Variants = nil, slices.Clone(m.Variants)
	if e := tracks.Tracks(m, sh.key.App, sh.id); e != nil {
		return false, err // MP3, which has no form in CMAF: there is nothing to come
	}
	err = errors.Join(err, l.put(ctx, target, sh, n, m, settled))
	return missing, errors.Join(err, l.manifest(ctx, target, sh, &shown, n))
}

// there keeps the variants whose playlist the store has, and reports whether one is missing that will come. For a rung that the mirror does
// not know, or no longer knows, it asks the store: a playlist that the store lacks will not come.
func (l *Ladders) there(ctx context.Context, target int, sh *show, variants []m3u8.Variant, kind segmenter.Kind) (kept []m3u8.Variant, missing bool, err error) {
	for _, v := range variants {
		n, ok := segmenter.ParseName(sh.key.App + "/streams/" + v.URI)
		if !ok || n.Kind != kind {
			missing = true
			continue
		}
		r := l.m.find(segmenter.Key{App: n.App, Stream: n.Stream}, sh.id)
		switch {
		case r != nil && r.has(target, n):
			kept = append(kept, v)
		case r != nil && r.hadBefore(target, n):
			missing = true // until it is written again; the store may have it meanwhile
			found, e := l.ask(ctx, l.had, target%maxStores, playlistOf(target, n, &v, sh.id).String())
			if err = errors.Join(err, e); found {
				kept = append(kept, v)
			}
		case r != nil:
			missing = true
		default:
			found, e := l.ask(ctx, l.asked, target%maxStores, playlistOf(target, n, &v, sh.id).String())
			if err = errors.Join(err, e); found {
				kept = append(kept, v)
			}
		}
	}
	return kept, missing, err
}

// playlistOf is what a variant leads to; for a target of CMAF, the playlist of its first track.
func playlistOf(target int, n segmenter.Name, v *m3u8.Variant, id segmenter.RecordingID) segmenter.Name {
	if target < maxStores {
		return n
	}
	m := m3u8.Master{Variants: []m3u8.Variant{*v}}
	if tracks.Tracks(&m, n.App, id) == nil {
		if track, ok := segmenter.ParseName(n.App + "/streams/" + m.Variants[0].URI); ok {
			return track
		}
	}
	return n
}

// hasOld reports whether a store has a low-latency entry of a ladder that has no low latency any more: it would lead to what was recorded then.
func (l *Ladders) hasOld(ctx context.Context, target int, sh *show, n segmenter.Name) bool {
	there, known := sh.lowAsked[target]
	if !known {
		var sure bool
		if there, sure = l.m.uploaders[target].shared.Had(ctx, n.String()); sure {
			sh.lowAsked[target] = there
		}
	}
	return there
}

// ask asks a store whether it has a playlist, unless that is among the answers. If the store cannot be asked, ask assumes that it has.
func (l *Ladders) ask(ctx context.Context, answers map[ladderObject]answer, target int, key string) (bool, error) {
	store, at, now := l.m.uploaders[target].shared, ladderObject{target, key}, l.m.o.Now()
	if !store.Reads() {
		return true, nil
	}
	if a, known := answers[at]; known && (a.there || now.Sub(a.at) < askAgain) {
		return a.there, nil
	}
	there, err := store.Has(ctx, key)
	if err != nil {
		return false, err
	}
	answers[at] = answer{there, now}
	if len(answers) > maxAsked {
		clear(answers)
	}
	return there, nil
}

// maxAsked bounds the answers that are remembered. If there are more, all are forgotten.
const maxAsked = 4096

func (l *Ladders) put(ctx context.Context, target int, sh *show, n segmenter.Name, m *m3u8.Master, settled bool) error {
	if len(m.Variants) == 0 {
		return nil
	}
	body, at, a := m.Append(nil), ladderObject{target, n.String()}, storage.AttributesOf(n.Kind, sh.target, settled)
	l.touched[at] = true
	if l.written[at] == string(body)+a.CacheControl {
		return nil
	}
	if err := l.write(ctx, target, sh, at.key, body, a); err != nil {
		return err
	}
	l.written[at] = string(body) + a.CacheControl
	return nil
}

// write puts an object of a ladder.
func (l *Ladders) write(ctx context.Context, target int, sh *show, key string, body []byte, a storage.Attributes) error {
	n, _ := segmenter.ParseName(key) // it is one of ours
	c := sh.claims[target]
	err := l.m.uploaders[target].shared.Write(ctx, key, body, a, shared.Writing{Owner: sh.owners[target], Tenure: c.tenure, Asked: c.asked, Mine: sh.mine(target, n.Kind)})
	if err != nil && !errors.Is(err, shared.ErrAnother) { // which was logged
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}
