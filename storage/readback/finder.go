package readback

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Live knows the newest recording of a stream; nil where it has none. A segmenter.Registry does.
type Live interface {
	Timeline(app, stream string) *segmenter.Timeline
}

// Finder names recordings by time, from the bucket's own listing and from what is in memory. What it learnt is used for a
// while, so that viewers of one moment cost one listing together, and names that nobody ever published cost one for all of
// them. It is safe for concurrent use.
type Finder struct {
	live  Live
	store storage.Lister
	now   func() time.Time

	flight singleflight.Group

	mu    sync.Mutex
	known map[segmenter.Key]listing
	names map[string]names // by prefix
}

// listing is what a stream's timestamped playlists were called when somebody asked.
type listing struct {
	ids []segmenter.RecordingID // ascending
	age
}

// names are the folders and streams that lie directly under a prefix.
type names struct {
	all map[string]bool
	age
	until time.Time // when the next one who misses a name looks again
}

// age is when something was listed.
type age struct {
	at   time.Time
	took time.Duration
}

// behind reports whether a listing says nothing of what began at an instant, and is old enough to be made anew. What a peer
// says of the future is not believed.
func (a age) behind(since, now time.Time) bool {
	return since.After(a.at.Add(-finderTTL)) && !since.After(now) && now.Sub(a.at) >= max(namesFresh, namesShare*a.took)
}

const (
	finderTTL     = 10 * time.Second // a new split, or a recording of another server, shows after that
	finderStreams = 1000             // listings that are kept
	namesFresh    = 2 * time.Second  // one that may have come after the listing, sooner, but not before that
	namesKept     = 1000             // prefixes whose names are kept
	namesTTL      = time.Minute      // a stream that another server records for the first time shows after that
	namesShare    = 20               // or after so many times what the listing took, in a bucket that is large
	finderTimeout = 30 * time.Second // of one listing, which others may wait for
)

// NewFinder makes a Finder that looks into live first and then into store, by the clock now.
func NewFinder(live Live, store storage.Lister, now func() time.Time) *Finder {
	return &Finder{live: live, store: store, now: now, known: map[segmenter.Key]listing{}, names: map[string]names{}}
}

// Find returns the recording of a stream that was the newest at an instant. Its error is fs.ErrNotExist where none had begun
// by then.
func (f *Finder) Find(ctx context.Context, app, stream string, at time.Time) (segmenter.RecordingID, error) {
	key := segmenter.Key{App: strings.Clone(app), Stream: strings.Clone(stream)}
	line := f.live.Timeline(app, stream)
	there := line != nil
	if !there {
		var err error
		if there, err = f.recorded(ctx, key); err != nil {
			return "", err
		}
	}
	var ids []segmenter.RecordingID
	if there {
		var err error
		if ids, err = f.list(ctx, key, time.Time{}); err != nil {
			return "", err
		}
	}
	if line != nil && !slices.Contains(ids, line.Recording()) {
		ids = append(slices.Clone(ids), line.Recording())
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

// Learn says that a timestamped playlist was written beside the mirror, as that of a clip: viewers find it at once, whatever was listed
// before.
func (f *Finder) Learn(app, stream string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, segmenter.Key{App: app, Stream: stream})
	delete(f.names, app+"/streams/")
	delete(f.names, "")
}

// recorded reports whether the bucket has recordings of a stream, as far as is known.
func (f *Finder) recorded(ctx context.Context, key segmenter.Key) (bool, error) {
	f.mu.Lock()
	_, listed := f.known[key]
	f.mu.Unlock()
	if listed {
		return true, nil
	}
	return f.holdsAll(ctx, time.Time{}, [2]string{"", key.App}, [2]string{key.App + "/streams/", key.Stream})
}

// Holds reports whether the bucket may have an object, as far as its listings tell: names that nobody ever published cost no
// request each, but one listing for all of them. What cannot be listed may be there.
func (f *Finder) Holds(ctx context.Context, key string) bool {
	n, ok := segmenter.ParseName(strings.Clone(key))
	if !ok || n.Recording == "" {
		return true
	}
	began, _ := n.Recording.Time()
	path := [][2]string{{"", n.App}, {n.App + "/streams/", n.Stream}}
	if n.Kind != segmenter.KindArchive {
		path = append(path, [2]string{n.App + "/streams/" + n.Stream + "/", string(n.Recording)})
	}
	there, err := f.holdsAll(ctx, began, path...)
	if err != nil || !there {
		return err != nil
	}
	if n.Kind != segmenter.KindArchive {
		return true
	}
	ids, err := f.list(ctx, segmenter.Key{App: n.App, Stream: n.Stream}, began)
	return err != nil || slices.Contains(ids, n.Recording)
}

// holdsAll asks holds for one prefix and name after the other.
func (f *Finder) holdsAll(ctx context.Context, since time.Time, path ...[2]string) (bool, error) {
	for _, p := range path {
		if there, err := f.holds(ctx, p[0], p[1], since); err != nil || !there {
			return false, err
		}
	}
	return true, nil
}

// holds reports whether there is a folder or a stream of a name under a prefix, of which nothing was before since.
func (f *Finder) holds(ctx context.Context, prefix, name string, since time.Time) (bool, error) {
	f.mu.Lock()
	n := f.names[prefix]
	f.mu.Unlock()
	if n.all[name] || f.now().Before(n.until) && !n.behind(since, f.now()) {
		return n.all[name], nil
	}
	n, err := once(ctx, f, "names in "+prefix, func(ctx context.Context) (names, error) {
		began, n := f.now(), names{all: map[string]bool{}}
		err := storage.Browse(ctx, f.store, prefix, func(o storage.Object) error {
			if folder, ok := strings.CutSuffix(o.Key, "/"); ok {
				n.all[path.Base(folder)] = true
			} else if name, ok := segmenter.ParseName(o.Key); ok && name.Kind == segmenter.KindArchive {
				n.all[name.Stream] = true
			}
			return nil
		})
		if err != nil {
			return n, fmt.Errorf("find what is recorded in %q: %w", prefix, err)
		}
		now := f.now()
		n.age = age{began, now.Sub(began)}
		n.until = now.Add(max(namesTTL, namesShare*n.took))
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.names) >= namesKept {
			clear(f.names)
		}
		f.names[prefix] = n
		return n, nil
	})
	return n.all[name], err
}

// list names the timestamped playlists of a stream that is known to have some; since is as for holds.
func (f *Finder) list(ctx context.Context, key segmenter.Key, since time.Time) ([]segmenter.RecordingID, error) {
	f.mu.Lock()
	known, ok := f.known[key]
	f.mu.Unlock()
	if ok && f.now().Sub(known.at) < finderTTL && !known.behind(since, f.now()) {
		return known.ids, nil
	}
	known, err := once(ctx, f, key.String(), func(ctx context.Context) (listing, error) {
		fresh := listing{age: age{at: f.now()}}
		var err error
		if fresh.ids, err = storage.Archives(ctx, f.store, key); err != nil {
			return fresh, fmt.Errorf("find recordings of %s: %w", key, err)
		}
		fresh.took = f.now().Sub(fresh.at)
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.known) >= finderStreams {
			clear(f.known)
		}
		f.known[key] = fresh
		return fresh, nil
	})
	return known.ids, err
}

// once has one listing made for all who ask for it meanwhile. Who came first must not take it away by leaving. Each has the
// listing itself: it may have left the table by then.
func once[T any](ctx context.Context, f *Finder, what string, list func(context.Context) (T, error)) (listed T, err error) {
	done := f.flight.DoChan(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finderTimeout)
		defer cancel()
		return list(ctx)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return listed, r.Err
		}
		return r.Val.(T), nil
	case <-ctx.Done():
		return listed, context.Cause(ctx)
	}
}
