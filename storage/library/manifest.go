package library

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// manifest is what is looked at of a DASH manifest of ours.
type manifest struct {
	XMLName xml.Name `xml:"MPD"`
	Type    string   `xml:"type,attr"`
	Periods []struct {
		Sets []struct {
			Representations []struct {
				Template struct {
					Init  string `xml:"initialization,attr"`
					Media string `xml:"media,attr"`
					First uint64 `xml:"startNumber,attr"`
					Runs  []struct {
						Repeats uint64 `xml:"r,attr"`
					} `xml:"SegmentTimeline>S"`
				} `xml:"SegmentTemplate"`
			} `xml:"Representation"`
		} `xml:"AdaptationSet"`
	} `xml:"Period"`
}

// parseManifest reads a manifest. The error is that it is none.
func parseManifest(body []byte) (*manifest, error) {
	var d manifest
	if err := xml.Unmarshal(body, &d); err != nil {
		return nil, err
	}
	return &d, nil
}

// maxManifested is how many segments a manifest is believed to name.
const maxManifested = 1 << 20

// names reports whether an address in it has some text in it.
func (d *manifest) names(text string) bool {
	found := false
	_ = d.each(func(uri string) { found = found || strings.Contains(uri, text) })
	return found
}

// each calls fn for each init segment and each fragment.
func (d *manifest) each(fn func(uri string)) error {
	n := uint64(0)
	for _, p := range d.Periods {
		for _, set := range p.Sets {
			for _, r := range set.Representations {
				t := &r.Template
				fn(t.Init)
				number := t.First
				for _, run := range t.Runs {
					if n += run.Repeats + 1; run.Repeats >= maxManifested || n > maxManifested {
						return fmt.Errorf("it names more than %d segments", maxManifested)
					}
					for range run.Repeats + 1 {
						fn(strings.Replace(t.Media, "$Number%09d$.m4s", segmenter.FragmentFile(number), 1))
						number++
					}
				}
			}
		}
	}
	return nil
}

// manifest checks a manifest: what it names has to be there, and where the recording does not change any more, nothing may be added.
func (v *tracksVerifier) manifest(ctx context.Context, key string, still bool) error {
	body, _, err := v.l.readObject(ctx, key)
	if err != nil && storage.KindOf(err) != storage.Missing && !errors.Is(err, errUnreadable) {
		return err
	}
	d, e := parseManifest(body)
	if err = errors.Join(err, e); err == nil {
		err = d.each(func(uri string) { v.namedBy(key, path.Join(path.Dir(key), uri)) })
	}
	switch {
	case err != nil:
		v.rep.add(Finding{Problem: ProblemBadPlaylist, Key: key, Detail: err.Error()})
	case still && d.Type != "static":
		v.rep.add(Finding{Problem: ProblemBadPlaylist, Key: key, Want: "static", Got: d.Type, Detail: "the recording has ended: repair it"})
	}
	return nil
}

// namedBy checks what a manifest names. Whether fragments are there, the playlists of the tracks tell.
func (v *tracksVerifier) namedBy(key, at string) {
	n, ok := segmenter.ParseName(at)
	switch {
	case !ok || n.Kind != segmenter.KindFragment && n.Kind != segmenter.KindInit:
		v.rep.add(Finding{Problem: ProblemBadPlaylist, Key: key, Got: at, Detail: "it names what is none of ours"})
	case n.Kind == segmenter.KindInit && !v.named[at] && !slices.ContainsFunc(v.c.tracks.inits, func(o storage.Object) bool { return o.Key == at }):
		v.named[at] = true // said once
		v.rep.add(Finding{Problem: ProblemMissing, Key: at, Detail: key + " names it"})
	}
}

// manifests are the manifest of a recording, and, where the stream's own leads to it and does not say that it has ended, that; newest is how
// its newest segment is coded.
func (w *repairWork) manifests(ctx context.Context, r *tracks.Renderer, list *tracks.List, newest *cmaf.Config) (objects []tracks.Object, err error) {
	add := func(n segmenter.Name, kind m3u8.Type, list *tracks.List, uri string) error {
		m := &tracks.Manifest{Name: n, Type: kind, Lists: []*tracks.List{list}, Master: cmaf.Measured(uri, list.Rows, newest)}
		m.Head = func(_ *tracks.List, row *segmenter.Row) (*cmaf.Config, error) {
			n := segmenter.Name{Kind: segmenter.KindSegment, App: w.folder.app, Stream: w.folder.stream, Recording: w.folder.id, Sequence: row.Sequence}
			s, err := w.l.render(ctx, r, n, row)
			if s == nil {
				return nil, err
			}
			return s.Config, nil
		}
		o, err := m.Object()
		var none *cmaf.NoForm
		if errors.As(err, &none) || errors.Is(err, tracks.ErrNothing) {
			return nil
		}
		if err == nil {
			objects = append(objects, o)
		}
		return err
	}
	kind := m3u8.Event
	if list.EndList {
		kind = m3u8.VOD
	}
	whole := segmenter.Name{Kind: segmenter.KindDASHArchive, App: w.folder.app, Stream: w.folder.stream, Recording: w.ref.ID}
	if err := add(whole, kind, list, w.folder.stream+"-"+string(w.ref.ID)+".m3u8"); err != nil {
		return nil, err
	}
	base := list.Rows[0].Sequence
	next := base + uint64(len(list.Rows))
	if w.span.high < next || !list.EndList { // it is not the last split
		return objects, nil
	}
	live := segmenter.Name{Kind: segmenter.KindDASHEntry, App: w.folder.app, Stream: w.folder.stream}
	body, _, err := w.l.readObject(ctx, live.String())
	switch {
	case storage.KindOf(err) == storage.Missing, errors.Is(err, errUnreadable):
		return objects, nil
	case err != nil:
		return nil, err
	}
	d, err := parseManifest(body)
	if err != nil || d.Type == "static" || !d.names("/"+string(w.folder.id)+"/") {
		return objects, nil
	}
	first := max(d.first(), base)
	if first >= next {
		return objects, nil
	}
	part := list.From(int(first - base))
	err = add(live, m3u8.Sliding, &part, w.folder.stream+"/"+string(w.folder.id)+"/live.m3u8")
	return objects, err
}

// first is the number of the first segment that it names.
func (d *manifest) first() uint64 {
	for _, p := range d.Periods {
		for _, set := range p.Sets {
			for _, r := range set.Representations {
				return r.Template.First
			}
		}
	}
	return 0
}
