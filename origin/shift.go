package origin

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// shift answers a view of another time. It is resolved to the one recording that holds its instant and never joins two:
//
//	the stable entry     the recording's multivariant playlist, its children carrying the view on; for a recording that
//	                     has left memory, what stands in its place in the archive
//	live, timestamped    the run of whole segments, of the recording in the path
//	outside              404 for a second: what is not there yet may be soon
func (o *Origin) shift(ctx context.Context, req *http1.Request, res *http1.Response, name segmenter.Name, v *view) {
	instant := v.instant(o.opts.Now())
	if line := o.line(name); line != nil && o.shiftInMemory(ctx, req, res, name, v, instant, line.Snapshot()) {
		return
	}
	if name.Kind == segmenter.KindEntry {
		if o.opts.Recordings == nil {
			o.text(res, 404, age404Next, outsideText)
			return
		}
		id, err := o.opts.Recordings.Find(ctx, name.App, name.Stream, instant)
		if err != nil {
			o.shiftFailed(ctx, res, name, err)
			return
		}
		line := o.opts.Streams.Recording(name.App, name.Stream, id)
		if line != nil && o.shiftInMemory(ctx, req, res, name, v, instant, line.Snapshot()) {
			return
		}
		name = segmenter.Name{Kind: segmenter.KindEntry, App: name.App, Stream: name.Stream, Recording: id}
	}
	o.shiftArchived(ctx, req, res, name, v, instant)
}

const outsideText = "nothing was recorded at that time\n"

// shiftInMemory answers from a snapshot; false where the recording does not hold the instant.
func (o *Origin) shiftInMemory(ctx context.Context, req *http1.Request, res *http1.Response, name segmenter.Name, v *view, instant time.Time, snap *segmenter.Snapshot) bool {
	if snap.State == segmenter.Starting {
		return false
	}
	t := tableOf(snap)
	ladder := len(snap.Rows) == 0 // a group has no segments of its own
	if ladder {
		begun, _ := snap.Recording.Time()
		if instant.Before(begun) || snap.State == segmenter.Ended && v.delay == 0 && !instant.Before(snap.Modified) {
			return false
		}
	} else if !t.holds(v, instant) {
		return false
	}
	switch {
	case name.Kind == segmenter.KindEntry && snap.Entry != nil:
		o.master(ctx, req, res, snap.Entry, segmenter.AgeMoving(snap.TargetDuration), name, v)
	case ladder && name.Kind == segmenter.KindArchive && snap.Archive() != nil:
		o.master(ctx, req, res, snap.Archive(), segmenter.AgeMoving(snap.TargetDuration), name, v)
	case ladder:
		o.text(res, 404, age404Next, outsideText)
	default:
		o.window(ctx, req, res, name, t, v, instant)
	}
	return true
}

// shiftArchived answers from the timestamped playlist in the archive.
func (o *Origin) shiftArchived(ctx context.Context, req *http1.Request, res *http1.Response, name segmenter.Name, v *view, instant time.Time) {
	stamped := segmenter.Name{Kind: segmenter.KindArchive, App: name.App, Stream: name.Stream, Recording: name.Recording}
	sh, err := o.archivedSheet(ctx, stamped)
	if err != nil {
		o.shiftFailed(ctx, res, stamped, err)
		return
	}
	if isMaster(sh.playlist.Body) {
		if name.Kind == segmenter.KindLive {
			o.text(res, 404, age404Next, outsideText)
			return
		}
		o.master(ctx, req, res, sh.playlist, segmenter.AgeMoving(0), name, v)
		return
	}
	t, err := cached(ctx, &o.pages, "table "+stamped.String()+sh.playlist.ETag, func() (*table, int64, time.Duration, error) {
		t, err := parseTable(name.App, sh.playlist.Body)
		if err != nil {
			return nil, 0, 0, err
		}
		return t, int64(len(t.entries)) * entrySize, 0, nil
	})
	if err != nil {
		o.shiftFailed(ctx, res, stamped, err)
		return
	}
	if !t.holds(v, instant) {
		o.text(res, 404, age404Next, outsideText)
		return
	}
	o.stats.FromArchive.Add(1)
	o.window(ctx, req, res, name, t, v, instant)
}

// entrySize is about what a row takes in memory, in bytes.
const entrySize = 80

// window answers with the run of whole segments that a view snaps to. Views that snap to the same run share one page.
func (o *Origin) window(ctx context.Context, req *http1.Request, res *http1.Response, name segmenter.Name, t *table, v *view, instant time.Time) {
	c := t.cut(v, instant)
	prefix := t.dir // the stable entry and the timestamped playlist stand in /{app}/streams/
	if name.Kind == segmenter.KindLive {
		prefix = ""
		if t.dir != name.Stream+"/"+string(name.Recording)+"/" {
			prefix = "../../" + t.dir
		}
	}
	age := segmenter.KindArchive.Age(t.targetDuration, c.final)
	key := "window " + t.id + " " + prefix + " " + strconv.FormatUint(t.entries[c.first].Sequence, 10) + "-" +
		strconv.FormatUint(t.entries[c.last-1].Sequence, 10) + " " + strconv.Itoa(int(c.kind)) + strconv.FormatBool(c.final)
	sh, err := cached(ctx, &o.pages, key, func() (*sheet, int64, time.Duration, error) {
		// As with archivedSheet, who came first must not take the page away by leaving.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		if err := o.press.enter(ctx.Done()); err != nil {
			o.stats.Overloads.Add(1)
			return nil, 0, 0, err
		}
		defer o.press.leave()
		p, err := t.render(c, prefix)
		if err != nil {
			return nil, 0, 0, err
		}
		return newSheet(p, age), sizeOf(p), 0, nil
	})
	if err != nil {
		o.shiftFailed(ctx, res, name, err)
		return
	}
	o.sheet(req, res, sh)
}

func (o *Origin) shiftFailed(ctx context.Context, res *http1.Response, name segmenter.Name, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		o.text(res, 404, age404Next, outsideText)
		return
	}
	o.archiveFailed(ctx, res, name.String(), age404Next, err)
}
