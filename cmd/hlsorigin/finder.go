package main

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// finder finds past recordings of a stream by time, for time-shifted viewing. It lists the timestamped playlists of a
// stream, which is one request where there are few, and remembers the answer for a short while.
type finder struct {
	registry *segmenter.Registry
	store    storage.Lister
	now      func() time.Time

	mu    sync.Mutex
	known map[segmenter.Key]listing
}

type listing struct {
	ids []segmenter.RecordingID // ascending
	at  time.Time
}

// What a finder remembers, and for how long.
const (
	finderTTL     = 10 * time.Second
	finderStreams = 1000
)

// finder is nil without a bucket: then nothing but what is in memory can be found.
func (a *archive) finder() origin.Recordings {
	if len(a.stores) == 0 {
		return nil
	}
	return &finder{registry: a.registry, store: a.stores[0], now: time.Now, known: map[segmenter.Key]listing{}}
}

// Find implements origin.Recordings.
func (f *finder) Find(ctx context.Context, app, stream string, at time.Time) (segmenter.RecordingID, error) {
	ids, err := f.list(ctx, segmenter.Key{App: strings.Clone(app), Stream: strings.Clone(stream)})
	if err != nil {
		return "", err
	}
	if t := f.registry.Timeline(app, stream); t != nil && !slices.Contains(ids, t.Recording()) {
		ids = append(slices.Clone(ids), t.Recording())
	}
	latest := segmenter.NewRecordingID(at)
	found := segmenter.RecordingID("")
	for _, id := range ids {
		if id <= latest {
			found = max(found, id)
		}
	}
	if found == "" {
		return "", fmt.Errorf("no recording of %s/%s began by %s: %w", app, stream, at.UTC().Format(time.RFC3339), fs.ErrNotExist)
	}
	return found, nil
}

func (f *finder) list(ctx context.Context, key segmenter.Key) ([]segmenter.RecordingID, error) {
	now := f.now()
	f.mu.Lock()
	known, ok := f.known[key]
	f.mu.Unlock()
	if ok && now.Sub(known.at) < finderTTL {
		return known.ids, nil
	}
	fresh := listing{at: now}
	err := f.store.List(ctx, key.App+"/streams/"+key.Stream+"-", func(o storage.Object) error {
		// The prefix also finds streams whose names begin with this one.
		if n, ok := segmenter.ParseName(o.Key); ok && n.Kind == segmenter.KindArchive && n.Stream == key.Stream {
			fresh.ids = append(fresh.ids, n.Recording)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find recordings of %s: %w", key, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) >= finderStreams {
		clear(f.known)
	}
	f.known[key] = fresh
	return fresh.ids, nil
}
