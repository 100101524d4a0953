package ladder

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// copy copies one ladder to one store; the stable entry only if no newer ladder of that name has it. final reports that the ladder has
// ended, and that the store has all of it.
func (l *Ladders) copy(ctx context.Context, store int, sh *show) (final bool, err error) {
	if sh.entry == "" {
		return true, nil
	}
	if may, err := l.claim(ctx, store, sh); !may {
		return err == nil, err // another has it: nothing is to be done here
	}
	final = sh.ended
	if entry, e := m3u8.ParseMaster([]byte(sh.entry)); e != nil {
		err = e
	} else if !sh.superseded && sh.claims[store].state == shared.Ours {
		var missing bool
		entry.IFrames = nil // no store has them
		entry.Variants, missing, e = l.there(ctx, mirror.Way{Store: store}, sh, entry.Variants, segmenter.KindLive)
		err = errors.Join(err, e)
		final = final && !missing
		if l.o.CMAF(sh.key.App) {
			missing, e = l.overTracks(ctx, store, sh, sh.entry, shared.TrackEntry(sh.key), false)
			final, err = final && !missing, errors.Join(err, e)
		}
		for _, n := range shared.Entries(sh.key) {
			if n.Kind == segmenter.KindEntry || sh.low || l.hasOld(ctx, store, sh, n) {
				err = errors.Join(err, l.put(ctx, store, sh, n, entry, false))
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
		settled := sh.ended && sh.finished(mirror.Way{Store: store}, part.Variants)
		final = final && settled
		part.Variants, _, e = l.there(ctx, mirror.Way{Store: store}, sh, part.Variants, segmenter.KindArchive)
		err = errors.Join(err, e)
		n := segmenter.Name{Kind: segmenter.KindArchive, App: sh.key.App, Stream: sh.key.Stream, Recording: split}
		err = errors.Join(err, l.put(ctx, store, sh, n, &part, settled))
		if !l.o.CMAF(sh.key.App) {
			continue
		}
		n.Kind = segmenter.KindCMAFArchive
		part.Variants = sh.variants(whole.Variants, split)
		settled = sh.ended && sh.finished(mirror.Way{Store: store, Tracks: true}, part.Variants)
		final = final && settled
		_, e = l.overTracks(ctx, store, sh, string(part.Append(nil)), n, settled)
		err = errors.Join(err, e)
	}
	if final && err == nil {
		err = sh.release(ctx, store)
	}
	return final && err == nil, err
}

// overTracks writes the multivariant playlist over tracks that is made of one over transport streams, of those variants whose tracks the
// store has. It reports whether one is missing that will come.
func (l *Ladders) overTracks(ctx context.Context, store int, sh *show, source string, n segmenter.Name, settled bool) (missing bool, err error) {
	m, err := m3u8.ParseMaster([]byte(source))
	if err != nil {
		return false, err
	}
	kind := segmenter.KindLive
	if n.Kind == segmenter.KindCMAFArchive {
		kind = segmenter.KindArchive
	}
	m.Variants, missing, err = l.there(ctx, mirror.Way{Store: store, Tracks: true}, sh, m.Variants, kind)
	shown := *m
	shown.IFrames, shown.Variants = nil, slices.Clone(m.Variants)
	if e := tracks.Tracks(m, sh.key.App, sh.id); e != nil {
		return false, err // MP3, which has no form in CMAF: there is nothing to come
	}
	err = errors.Join(err, l.put(ctx, store, sh, n, m, settled))
	return missing, errors.Join(err, l.manifest(ctx, store, sh, &shown, n))
}

// there keeps the variants whose playlist the store has, and reports whether one is missing that will come. For a rung that the mirror does
// not know, or no longer knows, it asks the store: a playlist that the store lacks will not come.
func (l *Ladders) there(ctx context.Context, way mirror.Way, sh *show, variants []m3u8.Variant, kind segmenter.Kind) (kept []m3u8.Variant, missing bool, err error) {
	for _, v := range variants {
		n, ok := segmenter.ParseName(sh.key.App + "/streams/" + v.URI)
		if !ok || n.Kind != kind {
			missing = true
			continue
		}
		r := sh.known(n.Stream)
		switch {
		case r != nil && r.Has(way, n):
			kept = append(kept, v)
		case r != nil && r.HadBefore(way, n):
			missing = true // until it is written again; the store may have it meanwhile
			found, e := l.ask(ctx, l.had, way.Store, playlistOf(way.Tracks, n, &v, sh.id).String())
			if err = errors.Join(err, e); found {
				kept = append(kept, v)
			}
		case r != nil:
			missing = true
		default:
			found, e := l.ask(ctx, l.asked, way.Store, playlistOf(way.Tracks, n, &v, sh.id).String())
			if err = errors.Join(err, e); found {
				kept = append(kept, v)
			}
		}
	}
	return kept, missing, err
}

// playlistOf is what a variant leads to; over tracks, the playlist of the first.
func playlistOf(over bool, n segmenter.Name, v *m3u8.Variant, id segmenter.RecordingID) segmenter.Name {
	if !over {
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
func (l *Ladders) hasOld(ctx context.Context, store int, sh *show, n segmenter.Name) bool {
	there, known := sh.lowAsked[store]
	if !known {
		var sure bool
		if there, sure = l.stores[store].Shared().Had(ctx, n.String()); sure {
			sh.lowAsked[store] = there
		}
	}
	return there
}

// ask asks a store whether it has a playlist, unless that is among the answers. If the store cannot be asked, ask assumes that it has.
func (l *Ladders) ask(ctx context.Context, answers map[object]answer, store int, key string) (bool, error) {
	s, at, now := l.stores[store].Shared(), object{store, key}, l.o.Now()
	if !s.Reads() {
		return true, nil
	}
	if a, known := answers[at]; known && (a.there || now.Sub(a.at) < askAgain) {
		return a.there, nil
	}
	there, err := s.Has(ctx, key)
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

func (l *Ladders) put(ctx context.Context, store int, sh *show, n segmenter.Name, m *m3u8.Master, settled bool) error {
	if len(m.Variants) == 0 {
		return nil
	}
	body, at, a := m.Append(nil), object{store, n.String()}, storage.AttributesOf(n.Kind, sh.target, settled)
	l.touched[at] = true
	if l.written[at] == string(body)+a.CacheControl {
		return nil
	}
	if err := l.write(ctx, store, sh, at.key, body, a); err != nil {
		return err
	}
	l.written[at] = string(body) + a.CacheControl
	return nil
}

// write puts an object of a ladder.
func (l *Ladders) write(ctx context.Context, store int, sh *show, key string, body []byte, a storage.Attributes) error {
	n, _ := segmenter.ParseName(key) // it is one of ours
	c := sh.claims[store]
	err := l.stores[store].Shared().Write(ctx, key, body, a, shared.Writing{Owner: sh.owners[store], Tenure: c.tenure, Asked: c.asked, Mine: sh.mine(store, n.Kind)})
	if err != nil && !errors.Is(err, shared.ErrAnother) { // which was logged
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// manifest writes the DASH manifest over what a store has of the rungs behind the variants of m, beside the multivariant playlist of that
// name over their tracks. Where a rung is not known any more it stays as it is.
func (l *Ladders) manifest(ctx context.Context, store int, sh *show, m *m3u8.Master, n segmenter.Name) error {
	of := fmt.Sprint(len(m.Variants))
	made := &tracks.Manifest{Name: n, Master: m}
	if made.Name.Kind = segmenter.KindDASHEntry; n.Kind == segmenter.KindCMAFArchive {
		made.Name.Kind, made.Type = segmenter.KindDASHArchive, m3u8.VOD
	}
	var all []*mirror.Stored
	for i := range m.Variants {
		v, _ := segmenter.ParseName(sh.key.App + "/streams/" + m.Variants[i].URI)
		r := sh.rung(v.Stream)
		if r == nil {
			return nil
		}
		s, ok := r.Stored(store, v)
		if !ok {
			return nil
		}
		if all = append(all, s); !s.Ended && made.Type == m3u8.VOD {
			made.Type = m3u8.Event
		}
		of += fmt.Sprint(" ", m.Variants[i], s.First, s.Next, s.Gaps, s.Ended)
	}
	at := object{store, made.Name.String()}
	if l.touched[at] = true; l.written[at] == of {
		return nil
	}
	for _, s := range all {
		list := s.List()
		if list == nil {
			return nil
		}
		made.Lists = append(made.Lists, list)
	}
	made.Head = func(list *tracks.List, row *segmenter.Row) (*cmaf.Config, error) {
		return sh.rungs[list.Stream].Head(ctx, store, row)
	}
	o, err := made.Object()
	var none *cmaf.NoForm
	switch {
	case errors.As(err, &none), errors.Is(err, tracks.ErrNothing):
	case err != nil:
		return err
	default:
		if err := l.write(ctx, store, sh, at.key, o.Body, o.Attributes); err != nil {
			return err
		}
	}
	l.written[at] = of
	return nil
}
