package library

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Clips finds clips: of all apps where app is "", of all streams and ladders where stream is "". They come in the order of app, stream,
// recording and place in it, and no more than limit, with whether there are more. The clips of a ladder's rungs are in that of the ladder; one
// that is left of a ladder's clip that was made or removed by half stands for itself.
func (l *Library) Clips(ctx context.Context, app, stream string, limit int) (list []Clip, more bool, err error) {
	apps := []string{app}
	if app == "" {
		if apps, err = l.Apps(ctx); err != nil {
			return nil, false, err
		}
		slices.Sort(apps)
	}
	for _, app := range apps {
		prefix := holdsFolder(app)
		if stream != "" {
			prefix += stream + "/"
		}
		var holds []hold
		err := l.s.List(ctx, prefix, func(o storage.Object) error {
			if h, ok := parseHold(o.Key); ok {
				h.object = o
				holds = append(holds, h)
			}
			return nil
		})
		if err != nil {
			return nil, false, err
		}
		for batch := range slices.Chunk(holds, loadBatch) {
			found, err := l.clipsOf(ctx, batch)
			if err != nil {
				return nil, false, err
			}
			if list = append(list, found...); len(list) > limit {
				return list[:limit], true, nil
			}
		}
	}
	return list, false, nil
}

// clipsOf reads the holds that are those of a clip that a person made.
func (l *Library) clipsOf(ctx context.Context, holds []hold) ([]Clip, error) {
	all := make([]*Clip, len(holds))
	err := l.each(ctx, len(holds), func(ctx context.Context, i int) error {
		c, err := l.readHold(ctx, &holds[i])
		switch {
		case storage.KindOf(err) == storage.Missing || errors.Is(err, errUnreadable):
			return nil
		case err != nil:
			return err
		case c.PartOf != "":
			whole := RecordingRef{c.App, c.PartOf, c.Recording}
			if _, err := l.s.Stat(ctx, whole.key()); storage.KindOf(err) != storage.Missing {
				return err
			}
			if l.o.Now().Sub(holds[i].object.Modified) <= l.o.Alive {
				return nil // its ladder's may follow
			}
		}
		if _, err := l.s.Stat(ctx, c.Key()); storage.KindOf(err) == storage.Missing {
			return nil // it is being made, or a crash left this
		} else if err != nil {
			return err
		}
		all[i] = c
		return nil
	})
	var list []Clip
	for _, c := range all {
		if c != nil {
			list = append(list, *c)
		}
	}
	return list, err
}

// ShowClip is one clip. A name without a clip behind it is fs.ErrNotExist. One whose hold is lost is told from its playlist.
func (l *Library) ShowClip(ctx context.Context, ref RecordingRef) (*Clip, error) {
	a, err := l.load(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("clip %s: %w", ref, err)
	}
	if a.clip() == "" {
		return nil, fmt.Errorf("clip %s: it is no clip but a recording: %w", ref, fs.ErrNotExist)
	}
	f, err := a.clipFolder()
	if err != nil {
		return nil, fmt.Errorf("clip %s: %w", ref, err)
	}
	holds, err := l.holdsOf(ctx, f)
	if err != nil {
		return nil, err
	}
	for i := range holds {
		if holds[i].title != ref.Stream {
			continue
		}
		c, err := l.readHold(ctx, &holds[i])
		if err == nil || !errors.Is(err, errUnreadable) && storage.KindOf(err) != storage.Missing {
			return c, err
		}
	}
	c := a.describeClip(f)
	return &c, nil
}

// clipFolder is the folder that a clip's segments lie in; of a ladder's, the one that the ladder would have.
func (a *archived) clipFolder() (f folderRef, err error) {
	i := strings.LastIndex(a.clip(), "-"+string(a.ref.ID))
	f = folderRef{app: a.ref.App, id: a.ref.ID}
	if i > 0 {
		f.stream = a.clip()[:i]
	}
	if i <= 0 || i+1+len(a.ref.ID) != len(a.clip()) || !segmenter.KnownStream(f.stream) {
		return f, fmt.Errorf("%w: it says that it is a clip of %q", errUnreadable, a.clip())
	}
	return f, nil
}

// describeClip is what a clip's playlist says of it.
func (a *archived) describeClip(f folderRef) Clip {
	r := a.describe(make(map[folderRef]bool))
	c := Clip{App: f.app, Title: a.ref.Stream, Stream: f.stream, Recording: f.id, Start: r.Start, End: r.End(), AskedFrom: r.Start, AskedTo: r.End(),
		Duration: r.Duration, Segments: r.Segments, Gaps: r.Gaps, Bytes: r.Bytes, Created: r.Modified}
	for _, g := range r.Group {
		c.Rungs = append(c.Rungs, g.Stream)
	}
	if a.media != nil && len(a.media.Segments) > 0 {
		c.First = a.media.MediaSequence
		c.Last = c.First + uint64(len(a.media.Segments)) - 1
	}
	return c
}

// heldFully reports whether holds of its own keep all the segments of a clip; of a ladder's, which has none, whether it is known by one.
func (l *Library) heldFully(ctx context.Context, a *archived, f folderRef) (bool, error) {
	holds, err := l.holdsOf(ctx, f)
	if err != nil {
		return false, err
	}
	if a.master != nil {
		return slices.ContainsFunc(holds, func(h hold) bool { return h.title == a.ref.Stream }), nil
	}
	whole := true
	a.segments(func(_ int, _ *m3u8.Segment, n segmenter.Name, ok bool) {
		whole = whole && (!ok || slices.ContainsFunc(holds, func(h hold) bool { return h.title == a.ref.Stream && h.has(n.Sequence) }))
	})
	return whole, nil
}

// repairClip makes a clip's playlist true: what is missing or damaged is a gap, and a gap whose segment is there again is none. Its
// hold is written where it is lost. A ladder's clip is repaired by its rungs, see repairGroup.
func (l *Library) repairClip(ctx context.Context, a *archived, o RepairOptions) (*Repaired, error) {
	f, err := a.clipFolder()
	if err != nil {
		return nil, err
	}
	w := &repairWork{l: l, o: o, ref: a.ref, out: &Repaired{Written: []string{}}, old: a, folder: f}
	objects, _, err := l.objects(ctx, f)
	if err != nil {
		return nil, err
	}
	m := *a.media
	m.Segments = slices.Clone(a.media.Segments)
	left := 0
	for i := range m.Segments {
		s := &m.Segments[i]
		n := segmenter.Name{Kind: segmenter.KindSegment, App: f.app, Stream: f.stream, Recording: f.id, Sequence: m.MediaSequence + uint64(i)}
		r := repairRow{seq: n.Sequence, seg: *s, known: true, listed: true}
		r.object, r.exists = objects[n.Sequence]
		if _, err := w.checkRow(ctx, &r, n); err != nil {
			return nil, err
		}
		switch {
		case r.exists && s.Gap:
			s.Gap = false
			if r.info != nil {
				s.Size, s.CRC32C = r.info.Size, r.info.CRC32C
			}
			w.out.Returned++
		case !r.exists && !s.Gap:
			s.Gap, s.Size, s.CRC32C = true, 0, 0
			w.out.Gaps++
		}
		if !s.Gap {
			left++
		}
	}
	if left == 0 {
		return nil, fmt.Errorf("none of its segments is left: %w", fs.ErrNotExist)
	}
	made := archived{ref: a.ref, object: a.object, media: &m}
	w.out.Recording = made.describe(make(map[folderRef]bool))
	if w.out.Returned+w.out.Gaps > 0 {
		if err := w.put(ctx, a.ref.key(), m.Append(nil), segmenter.KindArchive); err != nil {
			return nil, err
		}
	}
	return w.out, w.rehold(ctx, &made, f)
}

// rehold writes the hold of a clip where it is lost.
func (w *repairWork) rehold(ctx context.Context, made *archived, f folderRef) error {
	held, err := w.l.heldFully(ctx, made, f)
	if err != nil || held {
		return err
	}
	c := made.describeClip(f)
	if whole, err := w.l.groupsOf(ctx, made.ref); err != nil {
		return err
	} else if g, ok := whole[made.ref]; ok {
		c.PartOf = g.Stream
	}
	if made.master != nil {
		a, err := w.l.load(ctx, made.children()[0])
		if err != nil {
			return err
		}
		if rung := a.describeClip(f); a.media != nil {
			c.First, c.Last, c.Segments, c.Gaps = rung.First, rung.Last, rung.Segments, rung.Gaps
			c.Start, c.End, c.AskedFrom, c.AskedTo, c.Duration = rung.Start, rung.End, rung.AskedFrom, rung.AskedTo, rung.Duration
		}
	}
	h := c.hold()
	w.out.Written = append(w.out.Written, h.key())
	if w.o.DryRun {
		return nil
	}
	_, err = w.l.putHold(ctx, &c)
	return err
}
