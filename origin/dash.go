package origin

import (
	"context"
	"errors"
	"slices"
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
	src := a.source()
	c, err := o.selectPlaylist(ctx, req, &src)
	if err != nil {
		return err
	}
	if c.hold != nil {
		res.Hold, res.HoldFor = c.hold.Changed(), o.holdFor(c.hold)
		return nil
	}
	m, whole, err := o.variants(ctx, &src, &c)
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	if len(m.Variants) == 0 {
		return &refusal{400, ageNever, "aws.manifestfilter: " + errNothingLeft.Error() + "\n"}
	}
	var none *cmaf.NoForm
	if err := cmaf.Tracks(m, a.name.App); errors.As(err, &none) {
		return noForm(none)
	} else if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	lists, err := o.lists(ctx, req, &src, m)
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	if len(lists) == 0 {
		return notStarted
	}
	age, first := whole.age, lists[m.Variants[0].URI]
	if first == nil {
		return notStarted
	}
	if src.name.Kind != segmenter.KindEntry || a.view.shifted() {
		age = first.age
	}
	key := "mpd " + a.name.String() + whole.key
	for i := range m.Variants {
		if l := lists[m.Variants[i].URI]; l != nil {
			key += "|" + l.key
		}
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
		recording, _, _ := strings.Cut(strings.TrimPrefix(first.dir, strings.SplitN(first.dir, "/", 2)[0]+"/"), "/")
		begun, _ := segmenter.RecordingID(recording).Time()
		doc := cmaf.Manifest{Begun: begun, Type: first.kind, TargetDuration: first.target, EndList: first.final, Modified: first.rows[len(first.rows)-1].End()}
		return o.page(doc.Append(nil, lines), first)
	})
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	o.deliverText(req, res, sh.aged(age), a.name.ContentType())
	return nil
}

// lists are the rows behind the playlists of tracks that a multivariant playlist names, by their URIs. One that is not there, as
// that of a rung that has just begun, is left out.
func (o *Origin) lists(ctx context.Context, req *http1.Request, src *ask, m *m3u8.Master) (map[string]*listing, error) {
	all := map[string]*listing{}
	add := func(uri string) error {
		n, ok := segmenter.ParseName(src.name.App + "/streams/" + uri)
		if !ok || all[uri] != nil {
			return nil
		}
		sub := ask{kind: src.kind, name: n.Source(), view: src.view}
		sub.slot = &slot{name: sub.name}
		c, err := o.selectPlaylist(ctx, req, &sub)
		var r *refusal
		switch {
		case errors.As(err, &r) && r.status == 404:
			return nil
		case err != nil:
			return err
		case c.hold != nil || c.sheet != nil && isMaster(c.sheet.playlist.Body):
			return nil
		}
		l, err := o.rows(ctx, &sub, &c)
		if err == nil {
			all[uri] = l
		}
		return err
	}
	for i := range m.Variants {
		if err := add(m.Variants[i].URI); err != nil {
			return nil, err
		}
	}
	for i := range m.Renditions {
		if err := add(m.Renditions[i].URI); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// dashLine is a track of a manifest.
func (o *Origin) dashLine(ctx context.Context, n segmenter.Name, lists map[string]*listing) (*cmaf.Line, error) {
	l := lists[strings.TrimPrefix(n.String(), n.App+"/streams/")]
	if l == nil {
		return nil, nil
	}
	all, err := o.stretches(ctx, l)
	if err != nil {
		return nil, err
	}
	o.keepInits(l, all)
	kept := slices.DeleteFunc(all, func(s cmaf.Stretch) bool { return s.Config == nil })
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
	return &cmaf.Line{Dir: l.folder() + string(rune(n.Track)) + "/", Stretches: kept}, nil
}

// begins notes where a stretch begins in the table, which may be before its first row; false where the table does not have it.
func (t *table) begins(s *cmaf.Stretch) bool {
	n := s.Rows[0].Sequence
	if n < t.first() || n >= t.next() {
		return false
	}
	i := int(n - t.first())
	before := int64(0)
	for i > 0 && !t.entries[i].Discontinuity {
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
