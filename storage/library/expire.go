package library

import (
	"context"
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// ExpireOptions say what Expire removes.
type ExpireOptions struct {
	Keep   time.Duration // what ended longer ago goes
	Now    time.Time     // by the clock of the store: when its objects came is told by that
	Really bool          // without it Expire only says what it would do
	// Segments that no playlist names, as a lost machine leaves them, are looked for with a request for each stream. Of many
	// streams only those are looked through whose name falls on Part of Parts; Parts 0: all.
	Part, Parts int
}

// Expired is what Expire removed, or would.
type Expired struct {
	Recordings []RecordingRef `json:"recordings"`
	Playlists  int            `json:"playlists"`
	Segments   int            `json:"segments"`
	Bytes      int64          `json:"bytes"`   // of segments
	Streams    int            `json:"streams"` // that the app has, in whatever part
}

// expireBatch is how many playlists are in memory at once, or as many as a group has.
const expireBatch = 64

// Expire removes the recordings of an app, and the finished splits of those that still run, whose last frame is older than
// Keep. One without an end counts from its last change, so that what a lost machine left behind goes too.
//
// What it costs goes with what is removed, not with what there is: the app's playlists are listed, which is a request for
// every thousand, and only those are read that began before Keep; what began later cannot be over for so long.
func (l *Library) Expire(ctx context.Context, app string, o ExpireOptions) (*Expired, error) {
	if o.Keep <= 0 {
		return nil, fmt.Errorf("expire %s: keep must be longer than nothing", app)
	}
	e := &expiry{l: l, o: o, limit: o.Now.Add(-o.Keep), out: &Expired{}, named: make(map[folderRef]bool)}
	if err := e.run(ctx, app); err != nil {
		return e.out, fmt.Errorf("expire %s: %w", app, err)
	}
	return e.out, nil
}

// expiry is one run of Expire.
type expiry struct {
	l     *Library
	o     ExpireOptions
	limit time.Time
	out   *Expired
	named map[folderRef]bool // by playlists that would be removed, and are still there
}

// old reports whether a recording began before the limit.
func (e *expiry) old(id segmenter.RecordingID) bool {
	t, ok := id.Time()
	return ok && t.Before(e.limit)
}

func (e *expiry) run(ctx context.Context, app string) error {
	var candidates []RecordingRef
	var streams []string
	err := storage.Browse(ctx, e.l.s, app+"/streams/", func(o storage.Object) error {
		if folder, ok := strings.CutSuffix(o.Key, "/"); ok {
			if e.out.Streams++; e.falls(path.Base(folder)) {
				streams = append(streams, path.Base(folder))
			}
		} else if n, ok := segmenter.ParseName(o.Key); ok && n.Kind == segmenter.KindArchive && e.old(n.Recording) {
			candidates = append(candidates, RecordingRef{n.App, n.Stream, n.Recording})
		}
		return nil
	})
	if err != nil {
		return err
	}
	// A group and its recordings have one id: sorted by that they come into one batch.
	slices.SortFunc(candidates, func(a, b RecordingRef) int {
		if d := strings.Compare(string(a.ID), string(b.ID)); d != 0 {
			return d
		}
		return a.compare(b)
	})
	left := make(map[string][]RecordingRef) // by stream
	for len(candidates) > 0 {
		n := min(expireBatch, len(candidates))
		for n < len(candidates) && candidates[n].ID == candidates[n-1].ID {
			n++
		}
		if err := e.batch(ctx, candidates[:n], left); err != nil {
			return err
		}
		candidates = candidates[n:]
	}
	for _, name := range streams {
		if err := e.orphans(ctx, app, name, left[name]); err != nil {
			return err
		}
	}
	return nil
}

// falls reports whether a stream's folder is looked through this time.
func (e *expiry) falls(name string) bool {
	if e.o.Parts <= 1 {
		return true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32()%uint32(e.o.Parts)) == e.o.Part
}

// batch removes what is over of some recordings, and notes the others in left.
func (e *expiry) batch(ctx context.Context, refs []RecordingRef, left map[string][]RecordingRef) error {
	all, err := e.l.loadAll(ctx, "list", refs)
	if err != nil {
		return err
	}
	over := make(map[RecordingRef]bool)
	described := make(map[RecordingRef]Recording)
	named := make(map[folderRef]bool)
	for _, a := range all {
		r := a.describe(named)
		described[a.ref] = r
		switch {
		case r.Clip != "": // it stays until somebody removes it
		case len(r.Group) > 0: // below, when its recordings are known
		case r.Ended && r.Damage == "":
			over[a.ref] = r.End().Before(e.limit)
		default:
			last, err := e.l.lastChange(ctx, r)
			if err != nil {
				return err
			}
			over[a.ref] = last.Before(e.limit)
		}
	}
	// A group and its recordings go together, when all of them may.
	for ref, r := range described {
		if len(r.Group) == 0 || r.Clip != "" {
			continue
		}
		over[ref] = r.Modified.Before(e.limit)
		for _, child := range r.Group {
			if _, there := described[child]; there {
				over[ref] = over[ref] && over[child]
			}
		}
		for _, child := range r.Group {
			if !over[ref] {
				delete(over, child)
			}
		}
	}
	var doomed []RecordingRef
	for _, a := range all {
		if over[a.ref] {
			doomed = append(doomed, a.ref)
			if !e.o.Really {
				a.describe(e.named)
			}
		} else {
			left[a.ref.Stream] = append(left[a.ref.Stream], a.ref)
		}
	}
	return e.remove(ctx, doomed)
}

func (e *expiry) remove(ctx context.Context, doomed []RecordingRef) error {
	if len(doomed) == 0 {
		return nil
	}
	out, err := e.l.Remove(ctx, doomed, RemoveOptions{Really: e.o.Really, Force: true})
	if err != nil {
		return err
	}
	e.out.Recordings = append(e.out.Recordings, out.Recordings...)
	e.out.Playlists += len(out.Playlists)
	e.out.Segments += len(out.Segments)
	e.out.Bytes += out.Bytes
	return nil
}

// orphans removes a stream's folders that no playlist names; left are its old playlists that stay.
func (e *expiry) orphans(ctx context.Context, app, stream string, left []RecordingRef) error {
	var folders []folderRef
	err := storage.Browse(ctx, e.l.s, app+"/streams/"+stream+"/", func(o storage.Object) error {
		if id := segmenter.RecordingID(path.Base(o.Key)); strings.HasSuffix(o.Key, "/") && e.old(id) {
			folders = append(folders, folderRef{app, stream, id})
		}
		return nil
	})
	if err != nil || len(folders) == 0 {
		return err
	}
	named := make(map[folderRef]bool)
	if err := e.l.loadEach(ctx, "list", left, func(a *archived) { a.describe(named) }); err != nil {
		return err
	}
	var doomed []RecordingRef
	for _, f := range folders {
		ref := RecordingRef{f.app, f.stream, f.id}
		if named[f] || e.named[f] || slices.Contains(left, ref) || slices.Contains(e.out.Recordings, ref) {
			continue
		}
		orphan, err := e.l.orphanOlder(ctx, f, e.limit)
		if err != nil {
			return err
		}
		if orphan {
			doomed = append(doomed, ref)
		}
	}
	return e.remove(ctx, doomed)
}

// lastChange is when the newest object of a recording came.
func (l *Library) lastChange(ctx context.Context, r Recording) (time.Time, error) {
	last := r.Modified
	for _, id := range append(r.Folders, string(r.ID)) {
		f := folderRef{r.App, r.Stream, segmenter.RecordingID(id)}
		objects, live, err := l.objects(ctx, f)
		if err != nil {
			return last, err
		}
		for _, o := range live {
			if o.Modified.After(last) {
				last = o.Modified
			}
		}
		for _, o := range objects {
			if o.Modified.After(last) {
				last = o.Modified
			}
		}
	}
	return last, nil
}

// orphanOlder tells whether a folder that no old playlist names holds nothing but what is older than limit. A younger
// playlist, of a later split, keeps its own segments: Remove sees to that.
func (l *Library) orphanOlder(ctx context.Context, f folderRef, limit time.Time) (bool, error) {
	c, err := l.contents(ctx, f)
	objects, live := c.segments, c.live
	if err != nil || slices.ContainsFunc(live, func(o storage.Object) bool { return !o.Modified.Before(limit) }) {
		return false, err
	}
	for _, o := range objects {
		if !o.Modified.Before(limit) {
			return false, nil
		}
	}
	if c.tracks.any() && !c.tracks.newest().Before(limit) {
		return false, nil
	}
	if c.tracks.any() || len(objects) == 0 || len(live) > 0 {
		return c.tracks.any() || len(live) > 0, nil
	}
	kept, err := l.sparedIn(ctx, f)
	for seq := range objects {
		if !kept.has(seq) {
			return true, err
		}
	}
	return false, err // all that is left is that of clips
}
