package origin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// rendered is a segment as CMAF.
type rendered struct {
	tracks   fmp4.Tracks
	modified time.Time
	age      string // Cache-Control

	after   fmp4.State // of a part: what the next needs
	resumes bool       // it is known
}

// track is the bytes of one track; nil where the segment has none.
func (r *rendered) track(t segmenter.Track) []byte {
	if t == segmenter.VideoTrack {
		return r.tracks.Video.Data
	}
	return r.tracks.Audio.Data
}

// cannotRender is the answer where a segment is damaged: it is there, and nothing can be made of it. No cache keeps it, since it may
// be repaired.
var cannotRender = &refusal{502, ageNever, "the segment is damaged and cannot be rendered\n"}

// fragment answers for one track of a segment. It is rendered at the first request, with its other track, which is mostly asked for
// next.
func (o *Origin) fragment(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	name := a.name.Source()
	r, err := cached(ctx, &o.fragments, name.String(), func() (*rendered, int64, time.Duration, error) {
		// As with archivedSheet, who came first must not take it away by leaving.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		r, err := o.render(ctx, name)
		if err != nil {
			return nil, 0, 0, err
		}
		life := time.Duration(0)
		if r.age == segmenter.AgeGap {
			life = archivedLife
		}
		return r, int64(cap(r.tracks.Video.Data) + cap(r.tracks.Audio.Data)), life, nil
	})
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	body := r.track(a.name.Track)
	if len(body) == 0 {
		return notFoundRemoved
	}
	o.deliverBytes(req, res, a.name, body, r.modified, r.age)
	return nil
}

// deliverBytes answers with an object of CMAF.
func (o *Origin) deliverBytes(req *http1.Request, res *http1.Response, name segmenter.Name, body []byte, modified time.Time, age string) {
	id := strconv.FormatUint(name.Sequence, 10)
	switch name.Kind {
	case segmenter.KindInit:
		id = strconv.FormatUint(uint64(name.CRC32C), 10)
	case segmenter.KindFragmentPart:
		id = partID(name.Sequence, name.Part)
	}
	rep := o.lasting(name.ContentType(), id, int64(len(body)), modified, age)
	if o.deliver(req, res, &rep) {
		res.Bytes = body
	}
}

// render renders a segment, wherever it lies.
func (o *Origin) render(ctx context.Context, name segmenter.Name) (*rendered, error) {
	row, name, err := o.rowOf(ctx, name)
	if err != nil {
		return nil, err
	}
	return o.renderRow(ctx, name, &row)
}

// renderRow renders the segment of a row, which has that name.
func (o *Origin) renderRow(ctx context.Context, name segmenter.Name, row *segmenter.Row) (*rendered, error) {
	out := &rendered{modified: row.End().Truncate(time.Second)}
	err := o.read(ctx, name, false, func(m *media, pieces [][]byte) (err error) {
		r := o.remuxer()
		defer o.remuxers.Put(r)
		out.age = m.age
		_, out.tracks, err = r.Remux(nil, pieces, timed(name.Sequence, row))
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// fragmentPart answers for one track of a part.
func (o *Origin) fragmentPart(ctx context.Context, req *http1.Request, res *http1.Response, a *ask, snap *segmenter.Snapshot, p *segmenter.Part) error {
	name := a.name.Source()
	r, err := cached(ctx, &o.fragments, name.String(), func() (*rendered, int64, time.Duration, error) {
		r, err := o.renderPart(name, snap, p)
		if err != nil {
			return nil, 0, 0, err
		}
		return r, int64(cap(r.tracks.Video.Data) + cap(r.tracks.Audio.Data)), 0, nil
	})
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	body := r.track(a.name.Track)
	if body == nil {
		return notFoundRemoved
	}
	o.deliverBytes(req, res, a.name, body, r.modified, r.age)
	return nil
}

// renderPart renders a part. What was found out when the ones before it were rendered is gone on with, as far as it is still there.
func (o *Origin) renderPart(name segmenter.Name, snap *segmenter.Snapshot, p *segmenter.Part) (*rendered, error) {
	last, next, ok := snap.Together(p.Sequence, p.Index)
	if !ok || !p.Retain() {
		return nil, notFoundNext
	}
	defer p.Release()
	e := fmp4.Excerpt{First: p.Index, Next: next}
	for ; e.First > 0; e.First-- {
		before := name
		before.Part = e.First - 1
		if r, ok := o.fragments.find(before.String()).(*rendered); ok && r.resumes {
			e.After = r.after
			break
		}
	}
	var pieces [][]byte
	size := int64(0)
	for i := e.First; i <= last; i++ {
		q, _ := snap.Part(p.Sequence, i)
		pieces, size = q.Slices(pieces), size+q.Size
	}
	if !o.fragments.lend(2 * size) {
		o.stats.Unrendered.Add(1)
		return nil, ErrOverload
	}
	defer o.fragments.giveBack(2 * size)
	row := &snap.Edge
	if p.Sequence < snap.Next() {
		row = &snap.Rows[p.Sequence-snap.Base]
	}
	r := o.remuxer()
	defer o.remuxers.Put(r)
	_, tracks, after, err := r.Parts(nil, pieces, timed(p.Sequence, row), e)
	if err != nil {
		return nil, o.damaged(name, err)
	}
	if i := p.Index - e.First; last > e.First { // the others' bytes are not kept
		tracks.Video.Data, tracks.Audio.Data = bytes.Clone(tracks.Video.Part(i).Data), bytes.Clone(tracks.Audio.Part(i).Data)
	}
	return &rendered{
		tracks: fmp4.Tracks{Video: fmp4.Track{Data: tracks.Video.Data}, Audio: fmp4.Track{Data: tracks.Audio.Data}}, modified: p.End().Truncate(time.Second), age: segmenter.AgeSegment,
		after: after, resumes: last == p.Index,
	}, nil
}

// timed is what a row says of its segment's times.
func timed(sequence uint64, row *segmenter.Row) fmp4.Segment {
	return fmp4.Segment{Number: sequence, Start: row.Start.UnixMilli() * (segmenter.Clock / 1000), Duration: row.Duration}
}

// remuxer is one that nobody uses.
func (o *Origin) remuxer() *fmp4.Remuxer {
	if r, ok := o.remuxers.Get().(*fmp4.Remuxer); ok {
		return r
	}
	return new(fmp4.Remuxer)
}

// read gives the bytes of a segment in pieces of whole packets, which are good until use returns. What is no whole transport stream
// is a refusal, and so is what is not there. head says that no more than its beginning is of interest.
func (o *Origin) read(ctx context.Context, name segmenter.Name, head bool, use func(m *media, pieces [][]byte) error) error {
	m, err := o.selectSegment(ctx, name)
	if err != nil {
		return err
	}
	defer m.release()
	giveBack, err := o.lendFor(name, &m, head)
	if err != nil {
		return err
	}
	defer giveBack()
	var pieces [][]byte
	switch {
	case m.segment != nil:
		pieces = m.segment.Slices(nil)
	case m.object != nil:
		body := make([]byte, m.size)
		if _, err := io.ReadFull(m.object, body); err != nil {
			return o.missing(ctx, name.String(), notFoundRemoved, fmt.Errorf("read %s: %w", name, err))
		}
		pieces = [][]byte{body}
	default:
		pieces = [][]byte{m.body}
	}
	return o.damaged(name, use(&m, pieces))
}

// damaged is the answer for an error of rendering.
func (o *Origin) damaged(name segmenter.Name, err error) error {
	if errors.Is(err, mpegts.ErrDamaged) || errors.Is(err, mpegts.ErrNotTS) {
		o.stats.ArchiveErrs.Add(1)
		o.opts.Warn("http-render", name.App+"/"+name.Stream, "a segment is damaged and cannot be served as CMAF, viewers of CMAF and DASH get 502 for it: repair the recording, or remove it",
			"segment", name.String(), "err", err)
		return cannotRender
	}
	return err
}

// maxSegment is the largest segment that is read from an archive to be rendered, in bytes: ten seconds at 100 Mb/s.
const maxSegment = 128 << 20

// lendFor takes memory for work on a segment, until the function that it returns is called. The head of one in memory needs none.
func (o *Origin) lendFor(name segmenter.Name, m *media, head bool) (giveBack func(), err error) {
	work := 2 * m.size // with what is made of it
	lend, back := o.fragments.lend, o.fragments.giveBack
	if m.object != nil {
		lend, back = o.fragments.lendSlow, o.fragments.giveBackSlow
	}
	switch {
	case m.object != nil && m.size > maxSegment:
		o.opts.Warn("http-render", name.App+"/"+name.Stream, "a segment is too large to be served as CMAF, viewers of CMAF and DASH get 502 for it: see whether the object is the one that its name says",
			"segment", name.String(), "bytes", m.size, "limit", maxSegment)
		return nil, cannotRender
	case head && m.object == nil:
		return func() {}, nil
	case !lend(work):
		o.stats.Unrendered.Add(1)
		return nil, ErrOverload
	}
	return func() { back(work) }, nil
}

// tables are those of a recording, of a split, or of a clip: the one in memory first, and where that does not have its beginning those in
// the archive. These are not read before they are asked for: who finds what is live in memory does not wait for a bucket. The rolling
// playlist is the last: of a recording that was split it has what the timestamped one of the same name has not.
func (o *Origin) tables(ctx context.Context, name segmenter.Name) iter.Seq2[*table, error] {
	return func(yield func(*table, error) bool) {
		snap := o.memory(name)
		if snap != nil && (len(snap.Rows) == 0 || !yield(tableOf(snap), nil) || snap.Base == 0) {
			return
		}
		known := snap != nil
		for _, kind := range [...]segmenter.Kind{segmenter.KindArchive, segmenter.KindLive} {
			t, err := o.archivedTable(ctx, segmenter.Name{Kind: kind, App: name.App, Stream: name.Stream, Recording: name.Recording}, false)
			var r *refusal
			if known && errors.As(err, &r) && r.status == 404 {
				continue
			}
			if !yield(t, err) || err != nil {
				return
			}
			known = true
		}
	}
}

// rowOf finds the row of a segment, and the segment's name: in memory, or in the archive's playlist of that name. That of a recording
// that was split may be another split's; the name of a split, and that of a clip, is not that of the recording whose segments it has.
func (o *Origin) rowOf(ctx context.Context, name segmenter.Name) (segmenter.Row, segmenter.Name, error) {
	if snap := o.memory(name); snap != nil {
		switch {
		case name.Sequence >= snap.Next() && snap.State != segmenter.Ended:
			return segmenter.Row{}, name, notFoundNext
		case name.Sequence >= snap.Next():
			return segmenter.Row{}, name, notFoundRemoved
		case name.Sequence >= snap.Base:
			name.Recording = snap.Recording
			return snap.Rows[name.Sequence-snap.Base], name, nil
		}
	}
	t, err := o.archivedRow(ctx, name)
	if err != nil {
		return segmenter.Row{}, name, err
	}
	segment, ok := segmenter.ParseName(name.App + "/streams/" + t.dir + segmenter.SegmentFile(name.Sequence))
	if !ok {
		return segmenter.Row{}, name, notFoundRemoved
	}
	return t.entries[name.Sequence-t.first()], segment, nil
}

// memory is a recording in memory, by its own name, or by that of the split that is growing; nil where it is not there.
func (o *Origin) memory(name segmenter.Name) *segmenter.Snapshot {
	for _, kind := range [...]segmenter.Kind{segmenter.KindLive, segmenter.KindArchive} {
		if line := o.line(segmenter.Name{Kind: kind, App: name.App, Stream: name.Stream, Recording: name.Recording}); line != nil {
			return line.Snapshot().Offered()
		}
	}
	return nil
}

// archivedRow is the table in the archive that has the row of a segment.
func (o *Origin) archivedRow(ctx context.Context, name segmenter.Name) (*table, error) {
	archive := segmenter.Name{Kind: segmenter.KindArchive, App: name.App, Stream: name.Stream, Recording: name.Recording}
	dir := name.Stream + "/" + string(name.Recording) + "/"
	const hops = 8
	for hop := range hops {
		t, err := o.archivedTable(ctx, archive, false)
		if err == nil && name.Sequence >= t.next() {
			t, err = o.archivedTable(ctx, archive, true)
		}
		var r *refusal
		if hop == 0 && errors.As(err, &r) && r.status == 404 { // the first split may be gone, and the rolling playlist be there
			rolling := archive
			rolling.Kind = segmenter.KindLive
			t, err = o.archivedTable(ctx, rolling, false)
		}
		switch {
		case err != nil:
			return nil, err
		case name.Sequence >= t.first() && name.Sequence < t.next() && (hop == 0 || t.dir == dir):
			return t, nil
		case t.dir != dir || o.opts.Recordings == nil:
			return nil, notFoundRemoved
		}
		// A guess by the average length of a segment; the next one is better.
		each := t.end().Sub(t.begin()) / time.Duration(len(t.entries))
		at := t.begin().Add(-time.Duration(t.first()-name.Sequence) * each)
		if name.Sequence >= t.next() {
			at = t.end().Add(time.Duration(name.Sequence-t.next())*each + time.Second)
		}
		id, err := o.opts.Recordings.Find(ctx, name.App, name.Stream, at)
		if err != nil {
			return nil, o.missing(ctx, name.String(), notFoundRemoved, err)
		}
		if id == archive.Recording {
			return nil, notFoundRemoved
		}
		archive.Recording = id
	}
	return nil, notFoundRemoved
}
