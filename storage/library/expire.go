package library

import (
	"context"
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Expire removes the recordings of an app, and the finished splits of those that still run, whose last frame is older
// than keep at the instant now. One without an end counts from its last change, so that what a lost machine left behind
// goes too. With really false it only says what it would do.
//
// Reading a playlist for every recording would cost a request each, every time: a recording that began within keep
// cannot be over for so long, and is not looked at.
func (l *Library) Expire(ctx context.Context, app string, keep time.Duration, now time.Time, really bool) (*Removal, error) {
	if keep <= 0 {
		return nil, fmt.Errorf("expire %s: keep must be longer than nothing", app)
	}
	limit := now.Add(-keep)
	refs, folders, err := l.refs(ctx, app, "")
	if err != nil {
		return nil, fmt.Errorf("expire %s: %w", app, err)
	}
	old := func(id segmenter.RecordingID) bool {
		t, ok := id.Time()
		return ok && t.Before(limit)
	}
	var candidates []RecordingRef
	for _, ref := range refs {
		if old(ref.ID) {
			candidates = append(candidates, ref)
		}
	}
	all, err := l.loadAll(ctx, "list", candidates)
	if err != nil {
		return nil, fmt.Errorf("expire %s: %w", app, err)
	}
	over := make(map[RecordingRef]bool)
	described := make(map[RecordingRef]Recording)
	named := make(map[folderRef]bool)
	for _, a := range all {
		r := a.describe(named)
		described[a.ref] = r
		switch {
		case len(r.Group) > 0: // below, when its recordings are known
		case r.Ended && r.Damage == "":
			over[a.ref] = r.End().Before(limit)
		default:
			last, err := l.lastChange(ctx, r)
			if err != nil {
				return nil, fmt.Errorf("expire %s: %w", app, err)
			}
			over[a.ref] = last.Before(limit)
		}
	}
	// A group and its recordings go together, when all of them may.
	for ref, r := range described {
		if len(r.Group) == 0 {
			continue
		}
		over[ref] = r.Modified.Before(limit)
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
		}
	}
	for _, f := range folders {
		if named[f] || !old(f.id) {
			continue
		}
		orphan, err := l.orphanOlder(ctx, f, limit)
		if err != nil {
			return nil, fmt.Errorf("expire %s: %w", app, err)
		}
		if ref := (RecordingRef{f.app, f.stream, f.id}); orphan && described[ref].Playlist == "" {
			doomed = append(doomed, ref)
		}
	}
	if len(doomed) == 0 {
		return &Removal{}, nil
	}
	return l.Remove(ctx, doomed, RemoveOptions{Really: really, Force: true})
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
		if live != nil && live.Modified.After(last) {
			last = live.Modified
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
	objects, live, err := l.objects(ctx, f)
	if err != nil || live != nil && !live.Modified.Before(limit) {
		return false, err
	}
	for _, o := range objects {
		if !o.Modified.Before(limit) {
			return false, nil
		}
	}
	return len(objects) > 0 || live != nil, nil
}
