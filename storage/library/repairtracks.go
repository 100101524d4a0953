package library

import (
	"bytes"
	"context"
	"path"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// repairTracks makes true what the store has of the recording as CMAF, where it has anything: fragments that are missing are made of the
// segments, and the playlists of those that are there.
func (w *repairWork) repairTracks(ctx context.Context, m *m3u8.Media) error {
	if !w.tracks.any() {
		return nil
	}
	rows, _, err := cmaf.Rows(m)
	if err != nil {
		return err
	}
	list := tracks.List{
		Key: segmenter.Key{App: w.folder.app, Stream: w.folder.stream}, Recording: w.folder.id, Rows: rows, Codings: make([]tracks.Coding, len(rows)),
		TargetDuration: m.TargetDuration, EndList: m.EndList,
	}
	known, err := w.codings(ctx)
	if err != nil {
		return err
	}
	var r tracks.Renderer
	if err := w.l.each(ctx, len(rows), func(ctx context.Context, i int) error { return w.fillRow(ctx, &r, &list, known, i) }); err != nil {
		return err
	}
	newest, err := list.Config(func(row *segmenter.Row) (*cmaf.Config, error) {
		n := segmenter.Name{Kind: segmenter.KindSegment, App: w.folder.app, Stream: w.folder.stream, Recording: w.folder.id, Sequence: row.Sequence}
		s, err := w.l.render(ctx, &r, n, row)
		if s == nil {
			return nil, err
		}
		return s.Config, nil
	})
	if err != nil {
		return err
	}
	var objects []tracks.Object
	for _, t := range tracks.Both() {
		if list.Has(t) {
			objects = append(objects, list.Archive(w.ref.ID, t))
		}
	}
	if newest != nil {
		if o, err := list.Master(w.ref.ID, newest); err == nil {
			objects = append(objects, o)
		}
		more, err := w.manifests(ctx, &r, &list, newest)
		if err != nil {
			return err
		}
		objects = append(objects, more...)
	}
	live, err := w.liveTracks(ctx, list)
	if err != nil {
		return err
	}
	for _, o := range append(objects, live...) {
		if err := w.putChanged(ctx, &o); err != nil {
			return err
		}
	}
	return nil
}

// codings are how segments are coded by what the playlists of tracks in the folder say, of those whose fragments are there, by number.
func (w *repairWork) codings(ctx context.Context) (map[uint64]tracks.Coding, error) {
	known := map[uint64]tracks.Coding{}
	lists := slices.DeleteFunc(slices.Clone(w.rolling), func(o storage.Object) bool {
		n, _ := segmenter.ParseName(o.Key)
		return n.Kind != segmenter.KindTrackLive
	})
	for _, more := range w.tracks.archives {
		lists = append(lists, more...)
	}
	for _, o := range lists {
		body, _, err := w.l.readObject(ctx, o.Key)
		if err != nil {
			continue // what it would have said is found out again
		}
		m, err := m3u8.ParseMedia(body)
		if err != nil {
			continue
		}
		n, _ := segmenter.ParseName(o.Key)
		crc := uint32(0)
		for i, s := range m.Segments {
			if s.Map != "" {
				init, ok := segmenter.ParseName(path.Join(path.Dir(o.Key), s.Map))
				if crc = init.CRC32C; !ok || !slices.ContainsFunc(w.tracks.inits, func(o storage.Object) bool { return o.Key == init.String() }) {
					crc = 0
				}
			}
			seq := m.MediaSequence + uint64(i)
			c := known[seq]
			if n.Kind, n.Sequence = segmenter.KindFragment, seq; s.Gap || !slices.ContainsFunc(w.tracks.fragments[seq], func(o storage.Object) bool { return o.Key == n.String() }) {
				continue
			}
			if n.Track == segmenter.VideoTrack {
				c.Video = crc
			} else {
				c.Audio = crc
			}
			known[seq] = c
		}
	}
	return known, ctx.Err()
}

// fillRow makes a row's fragments where they are not all there, and notes how it is coded.
func (w *repairWork) fillRow(ctx context.Context, r *tracks.Renderer, list *tracks.List, known map[uint64]tracks.Coding, i int) error {
	row := &list.Rows[i]
	if row.Gap {
		return nil
	}
	if c := known[row.Sequence]; !c.None() && (c.Video != 0 || !w.tracks.there[segmenter.VideoTrack]) && (c.Audio != 0 || !w.tracks.there[segmenter.AudioTrack]) {
		list.Codings[i] = c
		return nil
	}
	n := segmenter.Name{Kind: segmenter.KindSegment, App: w.folder.app, Stream: w.folder.stream, Recording: w.folder.id, Sequence: row.Sequence}
	s, err := w.l.render(ctx, r, n, row)
	if err != nil {
		return err
	}
	if s == nil {
		row.Gap = true
		return nil
	}
	list.Codings[i] = s.Coding
	for _, o := range s.Objects(list.Key, list.Recording, row.Sequence) {
		if w.hasTrack(o.Name) {
			continue
		}
		w.mu.Lock()
		w.out.Written = append(w.out.Written, o.Name.String())
		w.mu.Unlock()
		if w.o.DryRun {
			continue
		}
		// What stands in for a lost segment has its name, too.
		o.IfAbsent = false
		if _, err := w.l.s.Put(ctx, o.Name.String(), bytes.NewReader(o.Body), o.Attributes); err != nil {
			return err
		}
	}
	return nil
}

// hasTrack reports whether a fragment or an init segment is there.
func (w *repairWork) hasTrack(n segmenter.Name) bool {
	list := w.tracks.inits
	if n.Kind == segmenter.KindFragment {
		list = w.tracks.fragments[n.Sequence]
	}
	return slices.ContainsFunc(list, func(o storage.Object) bool { return o.Key == n.String() })
}

// liveTracks are the rolling playlists of tracks that have no end yet, with it, where the recording's last split is repaired.
func (w *repairWork) liveTracks(ctx context.Context, list tracks.List) (objects []tracks.Object, err error) {
	base := list.Rows[0].Sequence
	next := base + uint64(len(list.Rows))
	if w.span.high < next || !list.EndList {
		return nil, nil
	}
	for _, t := range tracks.Both() {
		key := segmenter.Name{Kind: segmenter.KindTrackLive, App: w.folder.app, Stream: w.folder.stream, Recording: w.folder.id, Track: t}.String()
		if !w.rolling.has(key) {
			continue
		}
		body, _, err := w.l.readObject(ctx, key)
		if err != nil {
			return nil, err
		}
		m, err := m3u8.ParseMedia(body)
		if err != nil || m.EndList {
			continue
		}
		if first := max(m.MediaSequence, base); first < next {
			part := list
			part.Rows, part.Codings = list.Rows[first-base:], list.Codings[first-base:]
			objects = append(objects, part.Live(t))
		}
	}
	return objects, nil
}

// putChanged writes a playlist that is not there as it should be.
func (w *repairWork) putChanged(ctx context.Context, o *tracks.Object) error {
	body, _, err := w.l.readObject(ctx, o.Name.String())
	if err == nil && bytes.Equal(body, o.Body) {
		return nil
	}
	w.out.Written = append(w.out.Written, o.Name.String())
	if w.o.DryRun {
		return nil
	}
	_, err = w.l.s.Put(ctx, o.Name.String(), bytes.NewReader(o.Body), o.Attributes)
	return err
}
