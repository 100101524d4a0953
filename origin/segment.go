package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/remote"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// media is a segment's bytes, from one of the sources.
type media struct {
	segment  *segmenter.Segment // in memory, retained
	object   io.ReadSeekCloser  // in spool or archive
	body     []byte             // of a gap
	size     int64
	modified time.Time
	age      string // Cache-Control
}

// release releases what is not going to be sent.
func (m *media) release() {
	if m.segment != nil {
		m.segment.Release()
	}
	if m.object != nil {
		_ = m.object.Close()
	}
}

// selectSegment finds a segment: in memory, then in the archive. With many viewers, its file is preferred to memory. What stands in for a
// lost segment may be repaired in the bucket, so it is cached only for a minute.
func (o *Origin) selectSegment(ctx context.Context, name segmenter.Name) (media, error) {
	m, gone := media{age: segmenter.AgeSegment}, notFoundRemoved
	var gap *segmenter.Snapshot // with a gap here
	var want int64              // bytes; 0: unknown
	if line := o.line(name); line != nil {
		snap := line.Snapshot().Offered()
		switch {
		case name.Sequence >= snap.Next():
			if snap.State != segmenter.Ended {
				gone = notFoundNext
			}
			return m, gone
		case name.Sequence >= snap.Base:
			e := snap.Rows[name.Sequence-snap.Base]
			if e.Gap {
				m.age, gap = segmenter.AgeGap, snap
			} else {
				want = e.Size
			}
			m.modified = e.End()
		}
		seg := snap.Segment(name.Sequence)
		if seg != nil && seg.Shelved() && o.crowded() {
			obj, err := o.opts.Disk.Open(ctx, name.String())
			if err == nil && (want == 0 || obj.Size == want) {
				return o.opened(m, obj), nil
			}
			if err == nil {
				_ = obj.Body.Close() // it was only looked at
			}
		}
		if seg != nil && seg.Size > 0 && seg.Retain() {
			m.segment, m.size = seg, seg.Size
			return m, nil
		}
	}
	obj, err := o.open(ctx, name.String())
	if err == nil && want > 0 && obj.Size != want && !obj.Gap {
		err = errors.Join(fmt.Errorf("it has %d bytes, and the segment %d: it was replaced, and is not passed on", obj.Size, want), obj.Body.Close())
	}
	if err == nil {
		if obj.Gap {
			m.age = segmenter.AgeGap
		}
		return o.opened(m, obj), nil
	}
	if gap != nil && errors.Is(err, fs.ErrNotExist) {
		if m.body = gap.Variant.Tables(); m.body != nil { // at least the codecs are known
			m.size = int64(len(m.body))
			return m, nil
		}
	}
	return m, o.missing(ctx, name.String(), gone, err)
}

// bucketPatience is how long a segment of a stream that another server has may be on its way from the archive, before that server is asked for
// it. When it has run out, hungPatience counts for hungTime: not every viewer, nor every segment, waits for an archive that hangs.
const (
	bucketPatience = time.Second
	hungPatience   = 10 * time.Millisecond
	hungTime       = 5 * time.Second
)

// segmentInTime is selectSegment where another server can be asked as well.
func (o *Origin) segmentInTime(ctx context.Context, name segmenter.Name) (media, error) {
	if o.opts.Remote.Whose(name.App, name.Stream).Verdict != remote.Away {
		return o.selectSegment(ctx, name)
	}
	now, most := o.opts.Now(), bucketPatience
	if hung := o.hung.Load(); hung != nil && now.Sub(*hung) < hungTime && !now.Before(*hung) {
		most = hungPatience
	}
	limited, cut := context.WithCancel(ctx) // it governs how what was found is read, too: so it ends only where nothing was in time
	late := time.AfterFunc(most, cut)
	m, err := o.selectSegment(limited, name)
	if late.Stop() {
		return m, err
	}
	if most == bucketPatience {
		o.hung.Store(&now)
	}
	if err == nil {
		m.release()
	}
	return media{}, archiveAway
}

// opened returns the media of an object.
func (o *Origin) opened(m media, obj Object) media {
	m.object, m.size = obj.Body, obj.Size
	if m.modified.IsZero() {
		m.modified = obj.Modified
	}
	return m
}

// crowded reports whether there are so many viewers that copies out of memory would evict one another from the CPU cache: then sending a
// file's pages by the kernel costs less. With few viewers it is the other way round. It counts connections, not answers in progress: a
// socket's buffer may take a whole segment at once.
func (o *Origin) crowded() bool {
	return o.opts.Disk != nil && o.stats.Connections.Load() > int64(o.opts.MemorySends)
}
