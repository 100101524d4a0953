package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/library"
)

// Clips is the parts of recordings that have a playlist of their own.
type Clips struct {
	Libraries []*library.Library // of the bucket, then of its replica
	Registry  *segmenter.Registry
	Sync      func(ctx context.Context) error // waits until what was published is in the stores
	InForce   func() configs.Config
	Made      func(c *library.Clip) // is told of each
	Now       func() time.Time
}

const (
	// clipWait bounds how long a segment is awaited that is being written.
	clipWait = 30 * time.Second
	// clipSync is how long the stores are awaited before the bucket is asked again: it may have what the replica lacks.
	clipSync = 5 * time.Second
	// clipTries is how often the bucket is asked; replicaTries is how often the replica, which may be far behind.
	clipTries, replicaTries = 12, 3
	// clipSettled is how often of these the stores may have said that they have all, and clipPause what lies between: what is missing
	// then does not come.
	clipSettled = 2
	clipPause   = time.Second
)

// Make implements api.Clips.
func (c Clips) Make(ctx context.Context, o api.ClipOrder) (api.Clip, error) {
	if now := c.Now(); o.End.After(now) {
		return api.Clip{}, api.Fail(api.Invalid, "end is %s in the future: what has not been cannot be clipped", o.End.Sub(now).Round(time.Second))
	}
	if _, pattern := c.Registry.Laddered(segmenter.Key{App: o.App, Stream: o.Name}); pattern {
		return api.Clip{}, api.Fail(api.Invalid, "%s is the name of a rung by apps.%s.%s: choose another name", o.Name, o.App, c.laddersOf(o.App))
	}
	order := library.ClipOrder{App: o.App, Stream: o.Stream, Title: o.Name, Start: o.Start, End: o.End, Running: c.running,
		Taken: func(title string) string { return c.taken(o.App, title) }}
	if err := c.Libraries[0].CheckClip(ctx, order); err != nil { // now, and not when the last segment has come
		return api.Clip{}, clipFailure(err)
	}
	c.await(ctx, o.App, o.Stream, o.End)
	made, err := c.make(ctx, c.Libraries[0], order, clipTries)
	if err != nil {
		return api.Clip{}, clipFailure(err)
	}
	c.Made(made)
	out := clip(made)
	for _, l := range c.Libraries[1:] {
		if _, err := c.make(ctx, l, order, replicaTries); err != nil {
			out.Warning = fmt.Sprintf("the replica lacks it: %v", err)
		}
	}
	return out, nil
}

// make asks a store for a clip until it has its segments.
func (c Clips) make(ctx context.Context, l *library.Library, o library.ClipOrder, tries int) (*library.Clip, error) {
	for try, settled := 1, 0; ; try++ {
		made, err := l.Clip(ctx, o)
		if !errors.Is(err, library.ErrClipEarly) || try == tries || settled == clipSettled {
			return made, err
		}
		wait, cancel := context.WithTimeout(ctx, clipSync)
		behind := c.Sync(wait)
		cancel()
		if behind == nil { // what was published a moment ago it may not have heard of
			settled++
			pause := time.NewTimer(clipPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
		}
		if ctx.Err() != nil {
			return nil, errors.Join(err, behind)
		}
	}
}

// taken says what on the air or in the configuration has a name; empty: nothing.
func (c Clips) taken(app, name string) string {
	if c.Registry.Timeline(app, name) != nil {
		return "a stream on the air"
	}
	if _, published := c.Registry.Publisher(segmenter.Key{App: app, Stream: name}); published {
		return "a stream on the air"
	}
	if _, ok := c.InForce().Apps[app].Keys[name]; ok {
		return "a stream of apps." + app + ".keys"
	}
	if named, _ := c.Registry.Laddered(segmenter.Key{App: app, Stream: name}); named {
		return "a stream of apps." + app + "." + c.laddersOf(app)
	}
	return ""
}

// laddersOf is the setting that an app has its ladders of.
func (c Clips) laddersOf(app string) string {
	if len(c.InForce().Apps[app].Ladder) > 0 {
		return "ladder"
	}
	return "groups"
}

// running is the newest recording of a stream in memory; nil where there is none.
func (c Clips) running(app, stream string) *segmenter.Snapshot {
	if t := c.Registry.Timeline(app, stream); t != nil {
		return t.Snapshot()
	}
	return nil
}

// await waits for the segment that an instant lies in, for as long as its publisher sends.
func (c Clips) await(ctx context.Context, app, stream string, end time.Time) {
	ctx, cancel := context.WithTimeout(ctx, clipWait)
	defer cancel()
	if t := c.Registry.Timeline(app, stream); t == nil || t.Snapshot().Yielded || t.Snapshot().State == segmenter.Ended {
		c.awaitElsewhere(ctx, app, stream, end)
		return
	}
	for _, name := range c.media(app, stream) {
		t := c.Registry.Timeline(app, name)
		if t == nil {
			continue
		}
		for s := t.Snapshot(); s.State == segmenter.Live && len(s.Rows) > 0 && s.Rows[len(s.Rows)-1].End().Before(end); s = t.Snapshot() {
			select {
			case <-s.Changed():
			case <-ctx.Done():
				return
			}
		}
	}
}

// awaitElsewhere does it where another server may have the stream: what it has done so far the bucket says.
func (c Clips) awaitElsewhere(ctx context.Context, app, stream string, end time.Time) {
	for {
		until, grows, err := c.Libraries[0].Reaches(ctx, app, stream)
		if err != nil || !grows || !until.Before(end) {
			return // an error is met again, and said, when the clip is made
		}
		pause := time.NewTimer(clipPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// media are the streams that have segments: the rungs of a ladder that viewers are offered and its audio-only variant, else the stream itself.
func (c Clips) media(app, stream string) (names []string) {
	rungs := c.Registry.Rungs(segmenter.Key{App: app, Stream: stream})
	if rungs == nil {
		return []string{stream}
	}
	for _, r := range rungs {
		if r.State == segmenter.RungIn {
			names = append(names, r.Stream)
		}
	}
	if audio := stream + segmenter.AudioSuffix; len(names) > 0 {
		if _, ok := c.Registry.LadderOf(segmenter.Key{App: app, Stream: audio}); ok {
			names = append(names, audio)
		}
	}
	return names
}

// List implements api.Clips.
func (c Clips) List(ctx context.Context, app, stream string, limit int) ([]api.Clip, bool, error) {
	found, more, err := c.Libraries[0].Clips(ctx, app, stream, limit)
	list := make([]api.Clip, 0, len(found))
	for i := range found {
		list = append(list, clip(&found[i]))
	}
	return list, more, err
}

// Show implements api.Clips.
func (c Clips) Show(ctx context.Context, app, name string) (api.Clip, error) {
	ref, err := clipReference(app, name)
	if err != nil {
		return api.Clip{}, err
	}
	found, err := c.Libraries[0].ShowClip(ctx, ref)
	if err != nil {
		return api.Clip{}, noClip(err, ref)
	}
	return clip(found), nil
}

// Remove implements api.Clips.
func (c Clips) Remove(ctx context.Context, app, name string, really bool) (api.Removal, error) {
	ref, err := clipReference(app, name)
	if err != nil {
		return api.Removal{}, err
	}
	out, err := removeFrom(ctx, c.Libraries, ref, library.RemoveOptions{Really: really, Clips: true})
	return out, noClip(err, ref)
}

func clipReference(app, name string) (library.RecordingRef, error) {
	ref, err := library.ParseRecordingRef(app + "/" + name)
	if err != nil {
		return ref, api.Fail(api.NotFound, "%s/%s is no clip, whose names are like goal-2023-08-24_16-02-52.970: GET /v1/clips lists those that there are", app, name)
	}
	return ref, nil
}

// noClip says of a missing clip what to do.
func noClip(err error, ref library.RecordingRef) error {
	if missing(err) {
		return api.Fail(api.NotFound, "there is no clip %s in the bucket: GET /v1/clips lists those that there are", ref)
	}
	return err
}

func clipFailure(err error) error {
	switch {
	case errors.Is(err, library.ErrClipName), errors.Is(err, library.ErrClipRange):
		return api.Fail(api.Invalid, "%v", err)
	case errors.Is(err, library.ErrClipExists):
		return api.Fail(api.Conflict, "%v", err)
	case errors.Is(err, library.ErrClipNothing):
		return api.Fail(api.NotFound, "%v", err)
	case errors.Is(err, library.ErrClipEarly):
		return api.Fail(api.Unavailable, "%v", err)
	}
	return err
}

func clip(c *library.Clip) api.Clip {
	out := api.Clip{
		App: c.App, Name: c.Title + "-" + string(c.Recording), Title: c.Title, Stream: c.Stream, Recording: string(c.Recording), Playlist: c.Key(),
		Rungs: []string{}, LeftOut: append([]string{}, c.LeftOut...), AskedFrom: c.AskedFrom, AskedTo: c.AskedTo, Start: c.Start, End: c.End,
		Duration: seconds(c.Duration), Segments: c.Segments, Gaps: c.Gaps, Bytes: c.Bytes, Created: c.Created,
	}
	for _, title := range c.Rungs {
		out.Rungs = append(out.Rungs, title+"-"+string(c.Recording))
	}
	return out
}
