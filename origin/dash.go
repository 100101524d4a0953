package origin

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// dash answers for a DASH manifest. It is the multivariant playlist over tracks and the playlists of these in one, of the same
// fragments.
func (o *Origin) dash(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	src, c, err := o.selectSource(ctx, req, res, a)
	if err != nil || c.hold != nil {
		return err
	}
	m, whole, err := o.variants(ctx, &src, &c)
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	if len(m.Variants) == 0 {
		return &refusal{400, ageNever, "aws.manifestfilter: " + errNothingLeft.Error() + "\n"}
	}
	all := len(m.Variants)
	lists, err := o.lists(ctx, req, &src, m)
	switch {
	case err != nil:
		return o.asRefusal(ctx, a, err)
	case len(m.Variants) == 0:
		return notStarted
	}
	low := a.name.Kind == segmenter.KindLowLatencyDASH
	if low {
		if low, err = o.sequence(m, lists); err != nil {
			return err
		}
	}
	age, key, first, of := whole.age, "mpd "+a.name.String()+whole.key, lists[m.Variants[0].URI], []*listing{whole}
	for i := range m.Variants {
		l := lists[m.Variants[i].URI]
		key, of = key+"|"+l.key, append(of, l)
	}
	switch {
	case low:
		age, key = a.name.Kind.Age(first.target, first.final), "low "+key
	case src.name.Kind != segmenter.KindEntry || a.view.shifted():
		age = first.age
	}
	var none *cmaf.NoForm
	if err := cmaf.Tracks(m, a.name.App); errors.As(err, &none) {
		return noForm(none, a.name.Kind)
	} else if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	sh, err := cached(ctx, &o.pages, key, func() (*sheet, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		lines, err := cmaf.Lines(m, a.name.App, func(n segmenter.Name) (*cmaf.Line, error) { return o.dashLine(ctx, n, lists) })
		if err != nil {
			return nil, 0, 0, err
		}
		if len(lines) == 0 {
			return nil, 0, 0, notStarted
		}
		segment, _ := segmenter.ParseName(first.name.App + "/streams/" + first.dir + segmenter.SegmentFile(0))
		begun, _ := segment.Recording.Time()
		doc := cmaf.Manifest{Begun: begun, Type: first.kind, TargetDuration: first.target, EndList: first.final, Modified: first.rows[len(first.rows)-1].End()}
		if low {
			doc.PartTarget = first.partTarget
		}
		return o.page(doc.Append(nil, lines), first)
	})
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	sh = sh.aged(age)
	if len(m.Variants) == all { // one that is missing may come
		o.keepMade(req, a, sh, of...)
	}
	o.deliverText(req, res, sh, a.name.ContentType())
	return nil
}

// lists are the rows behind the playlists that a multivariant playlist over transport streams names, by their URIs. A variant whose
// playlist is not there, as that of a rung that has just begun, is taken out: the others are what there is.
func (o *Origin) lists(ctx context.Context, req *http1.Request, src *ask, m *m3u8.Master) (map[string]*listing, error) {
	all := map[string]*listing{}
	for i := range m.Variants {
		l, err := o.list(ctx, req, src, m.Variants[i].URI)
		if err != nil {
			return nil, err
		}
		if l != nil {
			all[m.Variants[i].URI] = l
		}
	}
	m.Variants = slices.DeleteFunc(m.Variants, func(v m3u8.Variant) bool { return all[v.URI] == nil })
	return all, nil
}

// list is the rows of one of them; nil where it is not there.
func (o *Origin) list(ctx context.Context, req *http1.Request, src *ask, uri string) (*listing, error) {
	n, ok := segmenter.ParseName(src.name.App + "/streams/" + uri)
	if !ok {
		return nil, nil
	}
	sub := ask{kind: src.kind, name: n, view: src.view, orphan: src.orphan, taken: src.taken}
	sub.slot = &slot{name: sub.name}
	c, err := o.selectPlaylist(ctx, req, &sub)
	var r *refusal
	switch {
	case errors.As(err, &r) && r.status == 404:
		return nil, nil
	case err != nil:
		return nil, err
	case c.hold != nil || c.sheet != nil && isMaster(c.sheet.playlist.Body):
		return nil, nil
	}
	return o.rows(ctx, &sub, &c)
}

// sequence makes the lists those of a manifest of low latency. False: they stay as they are, since a recording has no parts now.
func (o *Origin) sequence(m *m3u8.Master, lists map[string]*listing) (bool, error) {
	all := map[string]*listing{}
	for i := range m.Variants {
		l := lists[m.Variants[i].URI]
		snap := o.memory(l.name)
		if snap == nil || snap.PartTarget == 0 {
			return false, notFoundEntry
		}
		q, ok := cmaf.Sequenced(snap)
		if !ok {
			return false, nil
		}
		short := *l
		short.rows, short.sequence, short.partTarget, short.edge = q.Rows, &q, snap.PartTarget, snap.Next()
		short.key += "+" + strconv.FormatUint(short.edge, 10) // the store may have confirmed less
		all[m.Variants[i].URI] = &short
		if last, parts := q.Foretold(); parts > 0 {
			o.pages.keep(foretoldKey(&l.name), foretold{last, parts}, 64)
		}
	}
	maps.Copy(lists, all)
	return true, nil
}

// dashLine is a track of a manifest.
func (o *Origin) dashLine(ctx context.Context, n segmenter.Name, lists map[string]*listing) (*cmaf.Line, error) {
	l := lists[strings.TrimPrefix(n.Source().String(), n.App+"/streams/")]
	if l == nil {
		return nil, nil
	}
	all, err := o.inits(ctx, l)
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(all, func(s cmaf.Stretch) bool { return s.Config == nil })
	for i := range kept {
		if s := &kept[i]; s.Ends(n.Track) {
			s.Rows = s.Rows[:len(s.Rows)-1]
		}
	}
	o.changes(l, kept)
	unknown := len(kept)
	for t, err := range o.tables(ctx, segmenter.Name{App: n.App, Stream: n.Stream, Recording: n.Recording}) {
		if err != nil {
			return nil, err
		}
		for i := range kept {
			if s := &kept[i]; s.Begun.IsZero() && t.begins(s) {
				unknown--
			}
		}
		if unknown == 0 {
			break
		}
	}
	return &cmaf.Line{Dir: l.folder() + string(rune(n.Track)) + "/", Stretches: kept, Sequence: l.sequence}, nil
}

// begins notes where a stretch begins in the table, which may be before its first row; false where the table does not have it.
func (t *table) begins(s *cmaf.Stretch) bool {
	n := s.Rows[0].Sequence
	if n < t.first() || n >= t.next() {
		return false
	}
	i := int(n - t.first())
	before := int64(0)
	for i > 0 && !t.entries[i].Discontinuity && (s.Since == 0 || t.entries[i].Sequence > s.Since) {
		i--
		before += t.entries[i].Duration
	}
	s.Begun, s.Before = t.entries[i].Start.Truncate(time.Millisecond), before
	return true
}

// isClock reports whether a request asks what time it is, as DASH players do: at /time, and at /{app}/time, which is what a CDN makes
// of it.
func isClock(req *http1.Request) bool {
	app, ok := strings.CutSuffix(req.Path, "/time")
	return ok && (app == "" || strings.Count(app, "/") == 1 && segmenter.ValidName(app[1:])) && (req.Method == http1.MethodGet || req.Method == http1.MethodHead)
}
