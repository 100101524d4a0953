// Package takeover reads what a store has of a recording whose server is gone, so that another server can go on with it: in the form of the
// journal that the other would have, had it made the recording itself. It refuses to write anything but a comment, which keeps the former server
// from writing, and to judge whether that is gone: see package gate.
package takeover

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// Store is where recordings are.
type Store interface {
	storage.Getter
	storage.Lister
}

// ErrOver means that nobody can go on with a recording: it has ended, or nobody has been shown anything of it.
var ErrOver = errors.New("the recording is over")

// Found is what a store has of a recording.
type Found struct {
	// State is as in a journal. The store has every row; of those that are Unknown, which no playlist lists, only their numbers are known.
	State spool.State
	// First is the live playlist's first segment as viewers were last shown it: the store's may begin one earlier, since it is written when the
	// newest segment is confirmed, and viewers are shown that one then.
	First uint64
	Split spool.Split // the timestamped playlist that begins with the next segment

	Live Live
}

// Unlisted is the number of the first segment that no playlist lists; the one after all where there is none.
func (f *Found) Unlisted() uint64 {
	n := len(f.State.Rows)
	for n > 0 && f.State.Rows[n-1].Unknown {
		n--
	}
	return f.State.Base + uint64(n)
}

// Live is the live playlist in the store.
type Live struct {
	First, Next uint64 // what it lists
	Gaps        uint64 // of that

	body []byte
	etag string
}

// Gather reads it. The order in which things are read does not matter: Fence finds out whether the former server has written since.
func Gather(ctx context.Context, store Store, key segmenter.Key, id segmenter.RecordingID, now time.Time) (*Found, error) {
	g := gatherer{store: store, key: key, id: id}
	var all sync.WaitGroup
	var live, archive, entry, parts error
	all.Go(func() { live = g.readLive(ctx) })
	all.Go(func() { archive = g.readArchive(ctx) })
	all.Go(func() { entry = g.readEntry(ctx) })
	all.Go(func() { parts = g.readParts(ctx) })
	all.Wait()
	switch err := errors.Join(live, archive, entry, parts); {
	case errors.Is(live, ErrOver):
		return nil, live
	case err != nil:
		return nil, err
	}
	if g.contradicts() {
		return nil, fmt.Errorf("%w: its live and its timestamped playlist have nothing to do with each other", ErrOver)
	}
	t := g.table()
	if t.guessed < t.known {
		there, err := g.stored(ctx, t.guessed, t.known)
		if err != nil {
			return nil, err
		}
		t.lose(there)
	}
	more, err := g.unlisted(ctx, t.next())
	if err != nil {
		return nil, err
	}
	t.extend(more)
	return g.found(t, now), nil
}

// Leave leaves the segments from a number on that no playlist lists to who has them, and knows more of them than their numbers.
func (f *Found) Leave(from uint64) {
	for i := range f.State.Rows {
		if r := &f.State.Rows[i]; r.Unknown && r.Sequence >= from {
			f.State.Rows, f.State.Next, f.Split.First = f.State.Rows[:i], r.Sequence, r.Sequence
			return
		}
	}
}

// gatherer is one Gather.
type gatherer struct {
	store Store
	key   segmenter.Key
	id    segmenter.RecordingID

	live    *m3u8.Media
	text    Live
	archive *m3u8.Media // the newest timestamped playlist; nil: there is none
	name    segmenter.RecordingID
	begun   bool // the store has the first of its timestamped playlists, which has the recording's name
	variant variant.Variant
	parts   int64 // PART-TARGET in ticks; 0: it has none
}

func (g *gatherer) named(kind segmenter.Kind, id segmenter.RecordingID) segmenter.Name {
	return segmenter.Name{Kind: kind, App: g.key.App, Stream: g.key.Stream, Recording: id}
}

func (g *gatherer) readLive(ctx context.Context) (err error) {
	n := g.named(segmenter.KindLive, g.id)
	if g.text.body, g.text.etag, err = read(ctx, g.store, n.String()); err == nil {
		g.live, err = parse(n.String(), g.text.body)
	}
	switch {
	case storage.KindOf(err) == storage.Missing:
		return fmt.Errorf("%w: there is no %s", ErrOver, n)
	case err != nil:
		return err
	case g.live.EndList, len(g.live.Segments) == 0, g.live.TargetDuration == 0:
		return fmt.Errorf("%w: %s has an end", ErrOver, n)
	}
	return nil
}

// maxArchives is how many of the newest timestamped playlists of a stream are looked at.
const maxArchives = 4

// readArchive reads the newest timestamped playlist of the recording: clips of the stream, and recordings before it, have others.
func (g *gatherer) readArchive(ctx context.Context) error {
	ids, err := storage.Archives(ctx, g.store, g.key)
	if err != nil {
		return fmt.Errorf("list the archives of %s: %w", g.key, err)
	}
	_, g.begun = slices.BinarySearch(ids, g.id)
	for n := range min(maxArchives, len(ids)) {
		name := ids[len(ids)-1-n]
		if name < g.id {
			return nil
		}
		m, err := readMedia(ctx, g.store, g.named(segmenter.KindArchive, name).String())
		if kind := storage.KindOf(err); kind == storage.Missing || errors.Is(err, errUnreadable) {
			continue // a ladder's, or nothing of ours
		} else if err != nil {
			return err
		}
		if m.Clip != "" || len(m.Segments) == 0 {
			continue
		}
		of, ok := segmenter.ParseName(g.key.App + "/streams/" + m.Segments[0].URI)
		if ok && of.Kind == segmenter.KindSegment && of.Stream == g.key.Stream && of.Recording == g.id {
			g.archive, g.name = m, name
			return nil
		}
	}
	return nil
}

// readEntry finds out what the stream consists of.
func (g *gatherer) readEntry(ctx context.Context) error {
	n := segmenter.Name{Kind: segmenter.KindEntry, App: g.key.App, Stream: g.key.Stream}
	body, _, err := read(ctx, g.store, n.String())
	if storage.KindOf(err) == storage.Missing {
		return nil
	}
	if err != nil {
		return err
	}
	m, err := m3u8.ParseMaster(body)
	if err != nil || len(m.Variants) != 1 {
		return nil // what it consists of is found out when it is published
	}
	g.variant = variantOf(&m.Variants[0])
	return nil
}

// errUnreadable means that what is there is no media playlist.
var errUnreadable = errors.New("it is no media playlist")

// maxPlaylist bounds a playlist, in bytes.
const maxPlaylist = m3u8.MaxBytes

func read(ctx context.Context, store storage.Getter, key string) (body []byte, etag string, err error) {
	r, o, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	in := io.Reader(r)
	if o.ContentEncoding == "gzip" {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, "", fmt.Errorf("get %s: %w: %w", key, err, errUnreadable)
		}
		in = z
	}
	body, err = io.ReadAll(io.LimitReader(in, maxPlaylist+1))
	if err == nil && len(body) > maxPlaylist {
		err = errUnreadable
	}
	if err != nil {
		return nil, "", fmt.Errorf("get %s: %w", key, err)
	}
	return body, o.ETag, nil
}

func readMedia(ctx context.Context, store storage.Getter, key string) (*m3u8.Media, error) {
	body, _, err := read(ctx, store, key)
	if err != nil {
		return nil, err
	}
	return parse(key, body)
}

func parse(key string, body []byte) (*m3u8.Media, error) {
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w: %w", key, err, errUnreadable)
	}
	return m, nil
}

// stored lists which segments of a range of numbers the store has, in three requests as a rule: names with as many first digits in common.
func (g *gatherer) stored(ctx context.Context, from, to uint64) (map[uint64]bool, error) {
	share, digits := uint64(1), 0
	for ; (to-1)/share-from/share > 2; digits++ {
		share *= 10
	}
	there, mu := map[uint64]bool{}, sync.Mutex{}
	var all sync.WaitGroup
	errs := make([]error, (to-1)/share-from/share+1)
	for i := range errs {
		name := g.named(segmenter.KindSegment, g.id)
		name.Sequence = (from/share + uint64(i)) * share
		key := name.String()
		file := segmenter.SegmentFile(name.Sequence)
		prefix := key[:len(key)-digits-len(path.Ext(file))]
		all.Go(func() {
			errs[i] = g.store.List(ctx, prefix, func(o storage.Object) error {
				if n, ok := segmenter.ParseName(o.Key); ok && n.Kind == segmenter.KindSegment {
					mu.Lock()
					there[n.Sequence] = true
					mu.Unlock()
				}
				return nil
			})
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("list the segments of %s: %w", g.key, err)
	}
	return there, nil
}

// Bounds on looking for segments that no playlist lists: a server sends a few at once, in any order.
const (
	ahead       = 8
	maxUnlisted = 64
)

// unlisted returns after how many numbers from next on the store has no segment any more.
func (g *gatherer) unlisted(ctx context.Context, next uint64) (n uint64, err error) {
	for from := uint64(0); from < maxUnlisted; from += ahead {
		var there [ahead]bool
		var errs [ahead]error
		var all sync.WaitGroup
		for i := range uint64(ahead) {
			all.Go(func() {
				name := g.named(segmenter.KindSegment, g.id)
				name.Sequence = next + from + i
				_, err := g.store.Stat(ctx, name.String())
				if there[i] = err == nil; !there[i] && storage.KindOf(err) != storage.Missing {
					errs[i] = err
				}
			})
		}
		all.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			return 0, err
		}
		before := n
		for i := range uint64(ahead) {
			if there[i] {
				n = from + i + 1
			}
		}
		if n == before {
			return n, nil
		}
	}
	return n, nil
}
