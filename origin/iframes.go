package origin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// noIFrames is the answer where a decoder can begin with none of the segments.
var noIFrames = &refusal{404, age404Entry, "no segment of it begins with a picture that can be shown alone\n"}

// keysSought is the answer where the archive did not give all beginnings of segments in time.
var keysSought = &refusal{503, ageNever, "the pictures of this recording are still being looked for: ask again\n"}

// iframes answers for an I-frame playlist. It is the media playlist with, of each segment, the picture that it begins with.
func (o *Origin) iframes(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	l, err := o.sourceRows(ctx, req, res, a)
	if l == nil {
		return err
	}
	dir := l.dir // the archive's playlist stands beside the folders of streams
	if a.name.Kind == segmenter.KindIFrames {
		if dir = ""; l.dir != a.name.Stream+"/"+string(a.name.Recording)+"/" {
			dir = "../../" + l.dir
		}
	}
	sh, err := cached(ctx, &o.pages, "iframes "+dir+" "+l.key, func() (*sheet, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		keys, whole, err := seek(ctx, l.rows, func(i int) (mpegts.Keyframe, error) { return o.keyframe(ctx, l, &l.rows[i]) })
		if err != nil {
			return nil, 0, 0, err
		}
		list := segmenter.IFrames{Type: l.kind, TargetDuration: l.target, EndList: l.final, Dir: dir}
		return o.pictured(list.Append(nil, l.rows, keys), l, whole)
	})
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	sh = sh.aged(l.age)
	o.shownFromBucket(req, a, sh)
	o.deliverText(req, res, sh, a.name.ContentType())
	return nil
}

// trackIFrames answers for the I-frame playlist of a video track, whose ranges are of its fragments.
func (o *Origin) trackIFrames(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	l, err := o.sourceRows(ctx, req, res, a)
	if l == nil {
		return err
	}
	sh, err := cached(ctx, &o.pages, "iframes "+a.name.String()+" "+l.key, func() (*sheet, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		runs, err := o.inits(ctx, l)
		if err != nil {
			return nil, 0, 0, err
		}
		var codecs []codec.Codec // of each row
		for i := range runs {
			c := codec.Codec(0)
			if runs[i].Config != nil && runs[i].Config.Head.Video != nil {
				c = runs[i].Config.Head.Video.Codec
			}
			codecs = append(codecs, slices.Repeat([]codec.Codec{c}, len(runs[i].Rows))...)
		}
		all, whole, err := seek(ctx, l.rows, func(i int) (m3u8.Range, error) { return o.firstPicture(ctx, l, &l.rows[i], codecs[i]) })
		if err != nil {
			return nil, 0, 0, err
		}
		list := cmaf.IFrames{Type: l.kind, TargetDuration: l.target, EndList: l.final, Dir: l.trackFrom(a.name)}
		return o.pictured(list.Append(nil, runs, all), l, whole)
	})
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	sh = sh.aged(l.age)
	o.shownFromBucket(req, a, sh)
	o.deliverText(req, res, sh, a.name.ContentType())
	return nil
}

// pictured is an I-frame playlist over a listing. One in which something is missing that may come back is not kept for long.
func (o *Origin) pictured(text []byte, l *listing, whole bool) (*sheet, int64, time.Duration, error) {
	sh, size, life, err := o.page(text, l)
	if !whole {
		life = archivedLife
	}
	return sh, size, life, err
}

// lookups is how many segments of a playlist are looked at at a time: of an old recording they are in the bucket.
const lookups = 8

// together does n pieces of work, some at a time, and returns the first error. What there was no room for beside others is done once more, alone.
func together(n int, work func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	crowded := make([]bool, n)
	var wait sync.WaitGroup
	for range min(lookups, n) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := work(i); errors.Is(err, ErrOverload) {
					crowded[i] = true
				} else if err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	for i := range n {
		if crowded[i] {
			if err := work(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// seek finds the picture that the segment of each row begins with; the zero value: it cannot be shown alone. Whole says that none was missing
// that may come back. Of a long recording that is not in memory the time may not suffice: what was found then is kept, and the next
// request goes on from there.
func seek[P comparable](ctx context.Context, rows []segmenter.Row, find func(i int) (P, error)) (all []P, whole bool, err error) {
	var none P
	all = make([]P, len(rows))
	var found, missing atomic.Int64
	err = together(len(rows), func(i int) error {
		if rows[i].Gap {
			return nil
		}
		p, err := find(i)
		var r *refusal
		switch {
		case errors.As(err, &r) && r.status == 404:
			missing.Add(1)
		case err != nil && ctx.Err() != nil:
			return keysSought
		case err != nil:
			return err
		case p != none:
			found.Add(1)
			all[i] = p
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, false, err
	case found.Load() == 0:
		return nil, false, noIFrames
	}
	return all, missing.Load() == 0, nil
}

// firstPicture is where in the video fragment of a segment its first picture is. That shows when the whole segment is rendered, since the
// fragment begins with what is said of all its pictures; what is rendered for it alone is not kept.
func (o *Origin) firstPicture(ctx context.Context, l *listing, row *segmenter.Row, c codec.Codec) (m3u8.Range, error) {
	var none m3u8.Range
	name, ok := segmenter.ParseName(l.name.App + "/streams/" + l.dir + segmenter.SegmentFile(row.Sequence))
	switch {
	case !ok:
		return none, notFoundRemoved
	case c == 0:
		return none, nil
	}
	return cached(ctx, &o.fragments, "picture "+name.String(), func() (m3u8.Range, int64, time.Duration, error) {
		whole, _ := o.fragments.find(name.String()).(*rendered)
		if whole == nil {
			var err error
			whole, err = o.renderRow(ctx, name, row)
			var r *refusal
			switch {
			case errors.As(err, &r) && r == cannotRender:
				return none, keySize, archivedLife, nil
			case err != nil:
				return none, 0, 0, err
			}
		}
		life := time.Duration(0)
		if whole.age == segmenter.AgeGap {
			life = archivedLife
		}
		from, to := fmp4.FirstPicture(whole.tracks.Video.Data, c)
		return m3u8.Range{Offset: from, Length: to - from}, keySize, life, nil
	})
}

// keyframe is that of one segment, wherever it lies. Of a damaged one there is none.
func (o *Origin) keyframe(ctx context.Context, l *listing, row *segmenter.Row) (mpegts.Keyframe, error) {
	name, ok := segmenter.ParseName(l.name.App + "/streams/" + l.dir + segmenter.SegmentFile(row.Sequence))
	if !ok {
		return mpegts.Keyframe{}, notFoundRemoved
	}
	return cached(ctx, &o.fragments, "key "+name.String(), func() (mpegts.Keyframe, int64, time.Duration, error) {
		m, err := o.selectSegment(ctx, name)
		if err != nil {
			return mpegts.Keyframe{}, 0, 0, err
		}
		defer m.release()
		life := time.Duration(0)
		if m.age == segmenter.AgeGap {
			life = archivedLife
		}
		k, err := mpegts.FindKeyframe(m.reader())
		switch {
		case errors.Is(err, mpegts.ErrDamaged), errors.Is(err, mpegts.ErrNotTS):
			o.stats.ArchiveErrs.Add(1)
			o.opts.Warn("http-iframes", name.App+"/"+name.Stream, "a segment is damaged and is left out of its I-frame playlist: repair the recording, or remove it",
				"segment", name.String(), "err", err)
			return mpegts.Keyframe{}, keySize, archivedLife, nil
		case err != nil:
			return mpegts.Keyframe{}, 0, 0, o.missing(ctx, name.String(), notFoundRemoved, err)
		}
		return k, keySize, life, nil
	})
}

// keySize is about what a keyframe takes in memory, in bytes.
const keySize = 32

// reader reads the bytes.
func (m *media) reader() io.Reader {
	switch {
	case m.object != nil:
		return m.object
	case m.segment == nil:
		return bytes.NewReader(m.body)
	}
	var all []io.Reader
	for _, p := range m.segment.Slices(nil) {
		all = append(all, bytes.NewReader(p))
	}
	return io.MultiReader(all...)
}

// keepIFrames removes I-frame playlists of recordings of which no variant is left.
func keepIFrames(m *m3u8.Master) {
	kept := m.IFrames[:0]
	for _, i := range m.IFrames {
		dir := i.URI[:strings.LastIndexByte(i.URI, '/')+1]
		for _, v := range m.Variants {
			archive, _ := strings.CutSuffix(v.URI, ".m3u8")
			if dir != "" && strings.HasPrefix(v.URI, dir) || strings.HasPrefix(i.URI, archive+"_") {
				kept = append(kept, i)
				break
			}
		}
	}
	m.IFrames = kept
}
