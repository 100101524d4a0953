package origin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
)

// Fragments have no parameter sets: those of their first picture are in the init segment. An encoder may change them without a
// discontinuity, as its picture parameter sets at a keyframe, and what follows needs another init segment then.

// inits are the stretches of a listing, each with the init segments of all its rows. They are kept for those who are told of them now.
func (o *Origin) inits(ctx context.Context, l *listing) (all []cmaf.Stretch, err error) {
	runs := cmaf.Split(l.rows)
	parts := make([][]cmaf.Stretch, len(runs))
	err = together(len(runs), func(i int) (err error) {
		parts[i], err = o.divide(ctx, l.name.App, l.dir, runs[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	all = slices.Concat(parts...)
	o.keepInits(l, all)
	return all, nil
}

// change is a segment from which on a recording has other init segments, without a discontinuity.
type change struct {
	since uint64
	inits [2]uint32 // their CRC-32C; 0: there is none
}

// same reports whether the init segments are another's. A track that is away for a while is no change.
func (c *change) same(o *change) bool {
	for i, crc := range c.inits {
		if crc != o.inits[i] && crc != 0 && o.inits[i] != 0 {
			return false
		}
	}
	return true
}

// maxChanges is how many changes are remembered between two discontinuities: more than a window has.
const maxChanges = 64

// changes notes with which segment the stretches began that did not begin with a discontinuity. The beginning of the first may have left
// the window: it is known from before, or taken to be where it is first missed.
func (o *Origin) changes(l *listing, all []cmaf.Stretch) {
	for i := range all {
		s := &all[i]
		first := &s.Rows[0]
		if first.Discontinuity {
			continue
		}
		key := "changes " + l.name.App + "/" + l.dir + " " + strconv.FormatUint(first.DiscontinuitySequence, 10)
		known, _ := o.pages.find(key).([]change)
		at := sort.Search(len(known), func(i int) bool { return known[i].since > first.Sequence })
		own := change{first.Sequence, [...]uint32{s.Config.Init(segmenter.VideoTrack).CRC32C, s.Config.Init(segmenter.AudioTrack).CRC32C}}
		after := i > 0 && all[i-1].Rows[len(all[i-1].Rows)-1].Sequence+1 == first.Sequence
		switch {
		case at > 0 && known[at-1].same(&own) && (!after || known[at-1].since == own.since):
			s.Since = known[at-1].since
		case at > 0 || after:
			s.Since = own.since
			known = slices.Insert(slices.Clone(known), at, own)
			known = known[max(0, len(known)-maxChanges):]
			o.pages.keep(key, known, int64(len(known)*16))
		}
	}
}

// keepInits keeps the init segments of stretches where initSegment looks for them. It waits for nobody who looks for one of them now.
func (o *Origin) keepInits(l *listing, all []cmaf.Stretch) {
	name := segmenter.Name{Kind: segmenter.KindInit, App: l.name.App, Stream: l.name.Stream, Recording: l.name.Recording}
	for s := range all {
		for _, t := range [...]segmenter.Track{segmenter.VideoTrack, segmenter.AudioTrack} {
			i := all[s].Config.Init(t)
			if i.Body == nil {
				continue
			}
			name.Track, name.CRC32C = t, i.CRC32C
			o.pages.keep(name.String(), i, int64(len(i.Body)))
		}
	}
}

// place is a row of a run, and how its segment is coded.
type place struct {
	at     int
	config *cmaf.Config
}

// divide divides a run of rows without a discontinuity where the init segments change. Of what is in memory all is looked at, and nothing
// else then: no live playlist waits for the archive. Of what is in the archive, the first and the last are looked at, and where they differ
// what is between them, by halves.
func (o *Origin) divide(ctx context.Context, app, dir string, run []segmenter.Row) ([]cmaf.Stretch, error) {
	c, of, err := o.config(ctx, app, dir, run)
	if err != nil || c == nil {
		return []cmaf.Stretch{{Rows: run, Config: c, Of: of}}, err
	}
	newest := place{int(of.Sequence - run[0].Sequence), c}
	look := o.inMemory(app, dir, run[:newest.at+1])
	if len(look) == 0 {
		look = []int{0}
	}
	var all []cmaf.Stretch
	var before *place
	from := 0
	next := func(p place) error {
		if before != nil && before.config.Changes(p.config) {
			at, err := o.change(ctx, app, dir, run, *before, p)
			if err != nil {
				return err
			}
			all = append(all, cmaf.Stretch{Rows: run[from:at], Config: before.config, Of: run[before.at]})
			from, before = at, nil
		}
		if before != nil {
			p.config = p.config.Fill(before.config)
		}
		before = &p
		return nil
	}
	for _, i := range look {
		if i >= newest.at {
			break
		}
		c, err := o.rowHead(ctx, app, dir, &run[i])
		if err != nil {
			return nil, err
		}
		if c == nil {
			continue
		}
		if err := next(place{i, c}); err != nil {
			return nil, err
		}
	}
	if err := next(newest); err != nil {
		return nil, err
	}
	last := cmaf.Stretch{Rows: run[from:], Config: before.config, Of: of}
	if newest.at == len(run)-1 { // then it was looked at
		last.Last, err = o.rowHead(ctx, app, dir, &run[newest.at])
	}
	return append(all, last), err
}

// inMemory is which rows have their segment in memory.
func (o *Origin) inMemory(app, dir string, rows []segmenter.Row) (places []int) {
	name, _ := segmenter.ParseName(app + "/streams/" + dir + segmenter.SegmentFile(0))
	line := o.line(name)
	if line == nil {
		return nil
	}
	snap := line.Snapshot().Offered()
	for i := range rows {
		if s := snap.Segment(rows[i].Sequence); s != nil && s.Size > 0 {
			places = append(places, i)
		}
	}
	return places
}

// change finds the first row that is coded as to is, between two that are coded differently. Of more than one change it finds one.
func (o *Origin) change(ctx context.Context, app, dir string, run []segmenter.Row, from, to place) (int, error) {
	lo, hi := from.at, to.at
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		c, err := o.rowHead(ctx, app, dir, &run[mid])
		switch {
		case err != nil:
			return 0, err
		case c == nil || !from.config.Changes(c):
			lo = mid
		default:
			hi = mid
		}
	}
	return hi, nil
}

// rowHead is how a row's segment is coded; nil where it is lost or cannot be read.
func (o *Origin) rowHead(ctx context.Context, app, dir string, e *segmenter.Row) (*cmaf.Config, error) {
	if e.Gap {
		return nil, nil
	}
	name, ok := segmenter.ParseName(app + "/streams/" + dir + segmenter.SegmentFile(e.Sequence))
	if !ok {
		return nil, fmt.Errorf("the segments of %s are not ours", dir)
	}
	return o.head(ctx, name)
}

// head is how a segment is coded, with its init segments; nil where it is lost or damaged, which is believed for a moment.
func (o *Origin) head(ctx context.Context, name segmenter.Name) (*cmaf.Config, error) {
	return cached(ctx, &o.pages, "head "+name.String(), func() (*cmaf.Config, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		var c *cmaf.Config
		err := o.read(ctx, name, true, func(_ *media, pieces [][]byte) error {
			r := o.remuxer()
			defer o.remuxers.Put(r)
			h, err := r.Head(pieces)
			if err == nil {
				c = cmaf.NewConfig(h)
			}
			return err
		})
		var r *refusal
		switch {
		case errors.As(err, &r) && (r.status == 404 || r.status == 502):
			return nil, 0, archivedLife, nil
		case err != nil:
			return nil, 0, 0, err
		}
		return c, configSize, 0, nil
	})
}

// configSize is about what a configuration takes in memory, in bytes.
const configSize = 2 << 10

// initSegment answers for an init segment, which is looked for among the stretches of the recording, the split or the clip that it is
// addressed by.
func (o *Origin) initSegment(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	name := a.name
	begun, _ := name.Recording.Time()
	i, err := cached(ctx, &o.pages, name.String(), func() (cmaf.Init, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		i, err := o.findInit(ctx, name)
		return i, int64(len(i.Body)), 0, err
	})
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	o.deliverBytes(req, res, name, i.Body, begun, a.name.Kind.Age(0, true))
	return nil
}

// findInit looks for an init segment, in the newest stretches of what is in memory first. Heads that were read stay, so that the next
// request goes on where one ran out of time, and one for a name that never was reads nothing again.
func (o *Origin) findInit(ctx context.Context, name segmenter.Name) (cmaf.Init, error) {
	for t, err := range o.tables(ctx, name) {
		if err != nil {
			return cmaf.Init{}, err
		}
		runs := cmaf.Split(t.entries)
		for i := len(runs) - 1; i >= 0; i-- {
			all, err := o.divide(ctx, name.App, t.dir, runs[i])
			if err != nil {
				return cmaf.Init{}, err
			}
			for j := range all {
				if i := all[j].Config.Init(name.Track); i.Body != nil && i.CRC32C == name.CRC32C {
					return i, nil
				}
			}
		}
	}
	return cmaf.Init{}, notFoundRemoved
}
