package library

import (
	"context"
	"fmt"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// ladderFound is what the multivariant playlists of a ladder say.
type ladderFound struct {
	variants    []m3u8.Variant // by their stream, the newest playlist's word
	renditions  []m3u8.Rendition
	captions    []m3u8.Caption     // all that any of them names
	data        []m3u8.SessionData // the newest playlist's
	independent bool
	streams     []string // of the variants, then of the renditions
	playlists   []string // keys
}

// add takes a playlist in the store.
func (f *ladderFound) add(a *archived) {
	f.playlists = append(f.playlists, a.object.Key)
	f.take(a.ref, a.master)
}

// addRunning takes the playlist of a ladder in memory.
func (f *ladderFound) addRunning(s *segmenter.Snapshot, body []byte) {
	if m, err := m3u8.ParseMaster(body); err == nil {
		f.take(RecordingRef{s.App, s.Stream, s.Recording}, m)
	}
}

func (f *ladderFound) take(ref RecordingRef, m *m3u8.Master) {
	f.independent = m.IndependentSegments && (f.independent || len(f.streams) == 0)
	stream := func(uri string) string {
		n, ok := segmenter.ParseName(ref.App + "/streams/" + uri)
		if !ok || n.Kind != segmenter.KindArchive || n.Stream == ref.Stream {
			return ""
		}
		return n.Stream
	}
	for _, v := range m.Variants {
		v.URI = stream(v.URI)
		if i := slices.IndexFunc(f.variants, func(old m3u8.Variant) bool { return old.URI == v.URI }); i >= 0 {
			f.variants[i] = v
		} else if v.URI != "" {
			f.variants = append(f.variants, v)
		}
	}
	for _, r := range m.Renditions {
		if r.URI = stream(r.URI); r.URI != "" && !slices.ContainsFunc(f.renditions, func(old m3u8.Rendition) bool { return old.URI == r.URI }) {
			f.renditions = append(f.renditions, r)
		}
	}
	f.data = m.SessionData
	for _, c := range m.Captions {
		if !slices.Contains(f.captions, c) {
			f.captions = append(f.captions, c)
		}
	}
	f.streams = f.streams[:0]
	for _, v := range f.variants {
		f.streams = append(f.streams, v.URI)
	}
	for _, r := range f.renditions {
		if !slices.Contains(f.streams, r.URI) {
			f.streams = append(f.streams, r.URI)
		}
	}
}

// maxRungs bounds the rungs of a ladder that is clipped.
const maxRungs = 64

// planLadder clips each rung by the numbers that they share, and joins the clips.
func (w *clipWork) planLadder(ctx context.Context, f *ladderFound) error {
	if len(f.streams) > maxRungs {
		return fmt.Errorf("%w: the ladder has more than %d rungs", ErrClipRange, maxRungs)
	}
	// Which recording it is, and which numbers: what the rung that has most of it says.
	all := make(map[string]*clipRows, len(f.streams))
	var guide *clipRows
	for _, stream := range f.streams {
		found, err := w.l.findRows(ctx, &w.o, stream)
		if err != nil {
			return err
		}
		all[stream] = found
		if guide == nil || found.length() > guide.length() {
			guide = found
		}
	}
	if guide == nil {
		guide = &clipRows{}
	}
	lead, err := guide.only(&w.o)
	if err != nil {
		return err
	}
	whole := Clip{App: w.o.App, Title: w.o.Title, Stream: w.o.Stream, Recording: lead.folder.id, AskedFrom: w.o.Start.UTC(), AskedTo: w.o.End.UTC(),
		First: lead.rows[0].Sequence, Last: lead.rows[len(lead.rows)-1].Sequence, Created: w.l.o.Now().UTC()}
	titles := make(map[string]string, len(all)) // by stream
	for _, stream := range f.streams {
		part := all[stream].spanning(lead, stream)
		if part == nil {
			whole.LeftOut = append(whole.LeftOut, stream)
			continue
		}
		title := rungTitle(w.o.Title, w.o.Stream, stream)
		if err := w.name(ctx, title); err != nil {
			return err
		}
		m, err := w.cut(ctx, part, title)
		if err != nil {
			return fmt.Errorf("rung %s: %w", stream, err)
		}
		m.clip.PartOf = w.o.Title
		if len(whole.Rungs) == 0 {
			whole.Start, whole.End, whole.Duration = m.clip.Start, m.clip.End, m.clip.Duration
			whole.Segments, whole.Gaps = m.clip.Segments, m.clip.Gaps
		}
		whole.Gaps, whole.Segments = max(whole.Gaps, m.clip.Gaps), min(whole.Segments, m.clip.Segments)
		whole.Bytes += m.clip.Bytes
		whole.Rungs = append(whole.Rungs, title)
		titles[stream] = title
		w.made = append(w.made, m)
	}
	m := m3u8.Master{IndependentSegments: f.independent, SessionData: f.data, Clip: w.o.Stream + "-" + string(whole.Recording)}
	uri := func(stream string) string {
		return relative(RecordingRef{w.o.App, titles[stream], whole.Recording}.key())
	}
	captioned := false
	for _, v := range f.variants {
		if titles[v.URI] != "" {
			v.URI = uri(v.URI)
			m.Variants = append(m.Variants, v)
			captioned = captioned || v.ClosedCaptions != "" && v.ClosedCaptions != m3u8.NoCaptions
		}
	}
	if captioned {
		m.Captions = f.captions
		for i := range m.Variants {
			if v := &m.Variants[i]; v.ClosedCaptions == m3u8.NoCaptions {
				v.ClosedCaptions = "" // none at all is said of all variants, or of none
			}
		}
	}
	for _, r := range f.renditions {
		if titles[r.URI] != "" {
			r.URI = uri(r.URI)
			m.Renditions = append(m.Renditions, r)
		}
	}
	if len(m.Variants) == 0 {
		return fmt.Errorf("%w: no rung has all of it", ErrClipNothing)
	}
	w.made = append(w.made, clipMade{clip: whole, body: m.Append(nil)})
	return nil
}

// length is how many segments there are of the range.
func (c *clipRows) length() (n int) {
	for i := range c.sources {
		n += len(c.sources[i].rows)
	}
	return n
}

// spanning are the rows of a stream that have the numbers of the lead, of the same recording; nil where it has not all of them. Rungs
// share their cuts, so it is the same range of time.
func (c *clipRows) spanning(lead *clipSource, stream string) *clipSource {
	r := c.book.folders[folderRef{lead.folder.app, stream, lead.folder.id}]
	if r == nil {
		return nil
	}
	s := r.run(lead.rows[0].Sequence, lead.rows[len(lead.rows)-1].Sequence)
	s.folder = folderRef{lead.folder.app, stream, lead.folder.id}
	if len(s.rows) != len(lead.rows) {
		return nil
	}
	return s
}
