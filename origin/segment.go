package origin

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// segment answers for a segment: from memory, then from the archive. What stands in for one that was lost may be mended in the
// bucket, so it is kept for a minute only.
func (o *Origin) segment(ctx context.Context, req *http1.Request, res *http1.Response, name segmenter.Name) {
	res.Class = uint8(KindSegment)
	missing, age := age404Removed, segmenter.AgeSegment
	var modified time.Time
	var gap *segmenter.Variant // of which there is a gap here
	if line := o.line(name); line != nil {
		snap := line.Snapshot()
		switch {
		case name.Sequence >= snap.Next():
			if snap.State != segmenter.Ended {
				missing = age404Next
			}
			o.text(res, 404, missing, notFoundText)
			return
		case name.Sequence >= snap.Base:
			e := snap.Rows[name.Sequence-snap.Base]
			if e.Gap {
				age, gap = segmenter.AgeGap, &snap.Variant
			}
			modified = entryEnd(e)
		}
		seg := snap.Segment(name.Sequence)
		if seg != nil && seg.Shelved() && o.crowded() && o.fromDisk(ctx, req, res, name, modified, age) {
			return
		}
		if seg != nil && seg.Size > 0 && seg.Retain() {
			o.stats.FromMemory.Add(1)
			if o.deliverSegment(req, res, name, seg.Size, modified, age) && req.Method == http1.MethodGet {
				res.Pieces = seg
			} else {
				seg.Release()
			}
			return
		}
	}
	obj, err := o.open(ctx, name.String())
	switch {
	case err == nil:
		if obj.Gap {
			age = segmenter.AgeGap
		}
	case gap != nil && errors.Is(err, fs.ErrNotExist) && o.tables(req, res, name, gap, modified, age):
		return
	default:
		o.archiveFailed(ctx, res, name.String(), missing, err)
		return
	}
	if modified.IsZero() {
		modified = obj.Modified
	}
	o.deliverObject(req, res, name, obj, modified, age)
}

// tables answers for a gap of which nothing is at hand; false where not even the codecs are known.
func (o *Origin) tables(req *http1.Request, res *http1.Response, name segmenter.Name, gap *segmenter.Variant, modified time.Time, age string) bool {
	body := gap.Tables()
	if body != nil && o.deliverSegment(req, res, name, int64(len(body)), modified, age) && req.Method == http1.MethodGet {
		res.Bytes = body
	}
	return body != nil
}

// crowded tells whether there are so many viewers that their copies out of memory would push one another out of the
// processor's cache: then the kernel sends a file's pages at less cost. With few it is the other way round. Connections
// are counted, not answers under way: a socket's buffer may take a whole segment at once.
func (o *Origin) crowded() bool {
	return o.opts.Disk != nil && o.stats.Connections.Load() > int64(o.opts.MemorySends)
}

// fromDisk answers for a segment from its file; false where that cannot be had, and then nothing is answered.
func (o *Origin) fromDisk(ctx context.Context, req *http1.Request, res *http1.Response, name segmenter.Name, modified time.Time, age string) bool {
	obj, err := o.opts.Disk.Open(ctx, name.String())
	if err != nil {
		return false
	}
	o.deliverObject(req, res, name, obj, modified, age)
	return true
}

// deliverObject answers with an opened object.
func (o *Origin) deliverObject(req *http1.Request, res *http1.Response, name segmenter.Name, obj Object, modified time.Time, age string) {
	o.stats.FromArchive.Add(1)
	res.File = obj.Body
	if !o.deliverSegment(req, res, name, obj.Size, modified, age) || req.Method != http1.MethodGet {
		_ = obj.Body.Close()
		res.File = nil
		return
	}
	if res.Offset == 0 {
		return
	}
	if _, err := obj.Body.Seek(res.Offset, io.SeekStart); err != nil {
		res.Reset()
		o.cors.apply(req, res)
		o.archiveBroken(res, name.String(), err)
	}
}

// entryEnd is the instant at which a segment was complete.
func entryEnd(e segmenter.Row) time.Time {
	return e.Start.Add(time.Duration(e.Duration) * time.Second / 90000)
}

// deliverSegment answers the same for the same segment wherever its bytes come from. A name is never used twice, so name
// and size together are a strong validator, and the same one on every shelf.
func (o *Origin) deliverSegment(req *http1.Request, res *http1.Response, name segmenter.Name, size int64, modified time.Time, age string) bool {
	return o.deliver(req, res, &representation{
		contentType:  segmenter.TypeSegment,
		cacheControl: age,
		vary:         o.cors.vary(false),
		etag:         `"` + strconv.FormatUint(name.Sequence, 10) + "-" + strconv.FormatInt(size, 16) + `"`,
		modified:     modified,
		lastModified: httpDate(modified),
		size:         size,
		contentSize:  itoa(size),
		exactDate:    true,
	})
}
