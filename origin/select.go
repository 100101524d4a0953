package origin

import (
	"context"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// choice is the playlist from which an answer is made, one of these:
type choice struct {
	hold  *segmenter.Snapshot // there is none yet, and a newer snapshot may have one
	sheet *sheet              // a playlist as it is in memory or archive
	table *table              // the rows from which a window of time is cut
	age   string              // of what is made from a sheet
}

// selectPlaylist finds the requested playlist. What viewers see of a recording depends on its state:
//
//	starting  no playlist yet: the request is held for a while, then 404
//	live      200
//	stalled   200 with the last playlist: an error would make caches and players give up while the encoder is on its
//	          way back; 404 with FailOnStale
//	ended     200 with ENDLIST, until Streams forgets the recording
//	gone      404 for the stable entry; the recording's own playlists live on in the archive
//
// A view of another time is resolved to the one recording that contains its instant, in memory or in the archive, and never joins two.
// Outside of recordings it is 404 for a second: what does not exist yet may exist soon.
func (o *Origin) selectPlaylist(ctx context.Context, req *http1.Request, a *ask) (choice, error) {
	if line := o.line(a.name); line != nil && !a.orphan {
		if !a.view.shifted() {
			a.line = line
			return o.current(req, a, line.Snapshot())
		}
		if c, ok, err := o.past(a, line.Snapshot()); ok {
			return c, err
		}
	}
	if ordinary(a.name.Kind) == segmenter.KindEntry && !(a.orphan && !a.view.shifted()) {
		if !a.view.shifted() {
			return choice{}, notFoundEntry
		}
		if c, ok, err := o.find(ctx, a); ok {
			return c, err
		}
	}
	return o.archived(ctx, a)
}

// current returns the newest playlist of a recording in memory.
func (o *Origin) current(req *http1.Request, a *ask, snap *segmenter.Snapshot) (choice, error) {
	p := published(snap, a.name.Kind)
	switch {
	case a.name.Kind != ordinary(a.name.Kind) && (snap.PartTarget == 0 || p != nil):
		return o.edge(req, a, snap.Whole())
	case p == nil && snap.State != segmenter.Ended && req.Method == http1.MethodGet && !req.Waited:
		return choice{hold: snap}, nil
	case p == nil:
		return choice{}, notStarted
	case snap.State == segmenter.Stalled && o.rules.Load().failOnStale && a.name.Kind != segmenter.KindArchive:
		return choice{}, isStalled
	}
	if a.name.Kind != segmenter.KindArchive { // a timestamped playlist may be large: it is not kept alive here
		o.remember(req, a)
	}
	sh := o.sheetOf(a.name, snap, p, a.slot)
	return choice{sheet: sh, age: sh.cacheControl}, nil
}

// remember gives the path a slot.
func (o *Origin) remember(req *http1.Request, a *ask) {
	if a.slot != nil {
		return
	}
	path := strings.Clone(req.Path)
	if owned, ok := segmenter.ParseName(path[1:]); ok {
		a.slot = &slot{name: owned}
		o.slots.insert(owned, path, a.slot)
	}
}

// past returns a view of an earlier time from a recording in memory, and false if the recording does not contain it.
func (o *Origin) past(a *ask, snap *segmenter.Snapshot) (choice, bool, error) {
	if snap.State == segmenter.Starting {
		return choice{}, false, nil
	}
	v := &a.view
	t := tableOf(snap)
	ladder := len(snap.Rows) == 0 // a group has no segments of its own
	if ladder {
		begun, _ := snap.Recording.Time()
		if v.instant.Before(begun) || snap.State == segmenter.Ended && v.delay == 0 && !v.instant.Before(snap.Modified) {
			return choice{}, false, nil
		}
	} else if !t.holds(v) {
		return choice{}, false, nil
	}
	var p *segmenter.Playlist
	switch {
	case a.name.Kind == segmenter.KindEntry && snap.Entry != nil:
		p = snap.Entry
	case !ladder:
		return choice{table: t}, true, nil
	case a.name.Kind == segmenter.KindArchive:
		p = snap.Archive()
	}
	if p == nil {
		return choice{}, true, outside
	}
	age := segmenter.AgeMoving(snap.TargetDuration)
	return choice{sheet: newSheet(p, age), age: age}, true, nil
}

// find looks for the recording of a stream that contains the instant. It returns false if that is in the archive; the name then refers to
// it.
func (o *Origin) find(ctx context.Context, a *ask) (choice, bool, error) {
	if o.opts.Recordings == nil {
		return choice{}, true, outside
	}
	id, err := o.opts.Recordings.Find(ctx, a.name.App, a.name.Stream, a.view.instant)
	if err != nil {
		return choice{}, true, o.missing(ctx, a.name.String(), outside, err)
	}
	a.name.Recording = id
	if line := o.opts.Streams.Recording(a.name.App, a.name.Stream, id); line != nil {
		return o.past(a, line.Snapshot())
	}
	return choice{}, false, nil
}

// archived returns a playlist, or a window, of a recording that is no longer in memory.
func (o *Origin) archived(ctx context.Context, a *ask) (choice, error) {
	name, gone := a.name, notFoundRemoved
	if ordinary(name.Kind) == segmenter.KindEntry {
		gone = notFoundEntry
	}
	if a.view.shifted() { // the timestamped playlist has everything
		name = segmenter.Name{Kind: segmenter.KindArchive, App: name.App, Stream: name.Stream, Recording: name.Recording}
		gone = outside
	}
	if a.taken { // other servers may have shown more since that was read
		o.unread(name)
	}
	sh, err := o.archivedSheet(ctx, name)
	if err != nil {
		return choice{}, o.missing(ctx, name.String(), gone, err)
	}
	o.stats.FromArchive.Add(1)
	switch {
	case a.orphan && a.name.Kind == segmenter.KindLive && !a.view.shifted():
		return choice{sheet: sh.stalled(), age: sh.cacheControl}, nil
	case !a.view.shifted():
		return choice{sheet: sh, age: sh.cacheControl}, nil
	case isMaster(sh.playlist.Body) && a.name.Kind == segmenter.KindLive:
		return choice{}, outside
	case isMaster(sh.playlist.Body):
		return choice{sheet: sh, age: segmenter.AgeMoving(0)}, nil
	}
	t, err := o.tableOfText(ctx, "rows "+name.String()+sh.playlist.ETag, name, sh.playlist)
	switch {
	case err != nil:
		return choice{}, o.missing(ctx, name.String(), outside, err)
	case !t.holds(&a.view):
		return choice{}, outside
	}
	return choice{table: t}, nil
}

// line returns the recording that a path refers to, or nil if it is not in memory.
func (o *Origin) line(name segmenter.Name) *segmenter.Timeline {
	if ordinary(name.Kind) == segmenter.KindEntry {
		return o.opts.Streams.Timeline(name.App, name.Stream)
	}
	line := o.opts.Streams.Recording(name.App, name.Stream, name.Recording)
	if line == nil {
		return nil
	}
	// A recording that was split has two names: its own, and that of the timestamped playlist that is growing now.
	snap := line.Snapshot()
	if name.Kind == segmenter.KindArchive && snap.ArchiveName != name.Recording || name.Kind != segmenter.KindArchive && snap.Recording != name.Recording {
		return nil
	}
	return line
}

// isPublished reports whether there is a playlist of a kind in memory.
func isPublished(snap *segmenter.Snapshot, kind segmenter.Kind) bool {
	return published(snap, kind) != nil && (kind == ordinary(kind) || snap.PartTarget > 0)
}

// published is the rendered playlist of a kind; nil where there is none yet. A low-latency playlist is there with the ordinary one
// that it is made of, which is the answer then.
func published(snap *segmenter.Snapshot, kind segmenter.Kind) *segmenter.Playlist {
	switch ordinary(kind) {
	case segmenter.KindEntry:
		return snap.Entry
	case segmenter.KindLive:
		return snap.Live
	}
	if snap.State == segmenter.Starting {
		return nil
	}
	return snap.Archive()
}

// holdFor returns how long a first playlist is awaited.
func (o *Origin) holdFor(snap *segmenter.Snapshot) time.Duration {
	td := time.Duration(snap.TargetDuration) * time.Second
	if td == 0 {
		td = o.opts.TargetDuration
	}
	return min(3*td, o.opts.MaxHold)
}
