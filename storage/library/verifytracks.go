package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// verifyTracks compares what the store has of a recording as CMAF with its playlists, and with the transport stream. Where there is nothing
// of it, it was not asked for.
func (l *Library) verifyTracks(ctx context.Context, a *archived, f folderRef, c *contents, list []checkedSegment, o VerifyOptions, rep *Report) error {
	over, err := l.overTracks(ctx, a.ref)
	if err != nil {
		return err
	}
	v := &tracksVerifier{l: l, a: a, c: c, rep: rep, gaps: map[uint64]bool{}, named: map[string]bool{}}
	some := false
	for i := range list {
		v.gaps[list[i].name.Sequence] = list[i].Gap
		some = some || c.tracks.fragments[list[i].name.Sequence] != nil && !list[i].Gap
	}
	lists := c.tracks.archives[a.ref.ID]
	still := a.media.EndList && l.o.Now().Sub(c.tracks.newest()) > l.o.Alive
	master := segmenter.Name{Kind: segmenter.KindCMAFArchive, App: a.ref.App, Stream: a.ref.Stream, Recording: a.ref.ID}.String()
	if some && still && (len(lists) == 0 || !slices.Contains(over, master)) { // a manifest may be missing: older servers wrote none
		rep.add(Finding{Problem: ProblemNoPlaylist, Key: master, Detail: "the recording lies in the folder as CMAF, too, and a playlist of that is missing: repair it"})
	}
	for _, key := range over {
		check := v.manifest
		if key == master {
			check = func(ctx context.Context, key string, _ bool) error { return v.master(ctx, key, lists) }
		}
		if err := check(ctx, key, still); err != nil {
			return err
		}
	}
	for _, object := range lists {
		if err := v.list(ctx, object, still); err != nil {
			return err
		}
	}
	if !still || len(lists) == 0 {
		return nil
	}
	for i := range list {
		for _, object := range c.tracks.fragments[list[i].name.Sequence] {
			if n, _ := segmenter.ParseName(object.Key); !v.named[object.Key] && !list[i].Gap {
				rep.add(atSegment(ProblemUnlisted, n))
			}
		}
	}
	if o.Checksums {
		if rows, _, err := cmaf.Rows(a.media); err == nil && len(rows) == len(list) {
			return l.compareTracks(ctx, f, rows, list, c, rep)
		}
	}
	return nil
}

// tracksVerifier is one verifyTracks.
type tracksVerifier struct {
	l     *Library
	a     *archived
	c     *contents
	rep   *Report
	gaps  map[uint64]bool // by number: whether the transport stream is one there
	named map[string]bool // fragments
}

// master checks a multivariant playlist.
func (v *tracksVerifier) master(ctx context.Context, key string, lists []storage.Object) error {
	body, _, err := v.l.readObject(ctx, key)
	if err != nil && storage.KindOf(err) != storage.Missing && !errors.Is(err, errUnreadable) {
		return err
	}
	m, e := m3u8.ParseMaster(body)
	if err != nil || e != nil {
		v.rep.add(Finding{Problem: ProblemBadPlaylist, Key: key, Detail: fmt.Sprint(errors.Join(err, e))})
		return nil
	}
	for _, uri := range masterURIs(m) {
		at := path.Join(path.Dir(key), uri)
		if !slices.ContainsFunc(lists, func(o storage.Object) bool { return o.Key == at }) {
			v.rep.add(Finding{Problem: ProblemMissing, Key: at, Detail: key + " names it"})
		}
	}
	return nil
}

// list checks the playlist of a track.
func (v *tracksVerifier) list(ctx context.Context, object storage.Object, still bool) error {
	body, _, err := v.l.readObject(ctx, object.Key)
	if err != nil && storage.KindOf(err) != storage.Missing && !errors.Is(err, errUnreadable) {
		return err
	}
	m, e := m3u8.ParseMedia(body)
	if err != nil || e != nil {
		v.rep.add(Finding{Problem: ProblemBadPlaylist, Key: object.Key, Detail: fmt.Sprint(errors.Join(err, e))})
		return nil
	}
	if still && (m.MediaSequence != v.a.media.MediaSequence || len(m.Segments) != len(v.a.media.Segments) || !m.EndList) {
		v.rep.add(Finding{Problem: ProblemBadPlaylist, Key: object.Key, Want: fmt.Sprint(len(v.a.media.Segments), " segments"), Got: fmt.Sprint(len(m.Segments)),
			Detail: "it is not as that of the transport stream: repair it"})
	}
	for i, s := range m.Segments {
		at := path.Join(path.Dir(object.Key), s.Map)
		if s.Map != "" && !slices.ContainsFunc(v.c.tracks.inits, func(o storage.Object) bool { return o.Key == at }) && !v.named[at] {
			v.named[at] = true // said once
			v.rep.add(Finding{Problem: ProblemMissing, Key: at, Detail: object.Key + " names it"})
		}
		key := path.Join(path.Dir(object.Key), s.URI)
		n, ok := segmenter.ParseName(key)
		gap, known := v.gaps[n.Sequence]
		switch {
		case !ok || n.Kind != segmenter.KindFragment || n.Sequence != m.MediaSequence+uint64(i) || !known && still:
			v.rep.add(Finding{Problem: ProblemBadPlaylist, Key: object.Key, Want: fmt.Sprintf("segment %d", m.MediaSequence+uint64(i)), Got: s.URI, Detail: "the URI is none of a fragment of this recording"})
		case s.Gap && gap:
		case s.Gap:
			f := atSegment(ProblemGap, n)
			f.Detail = "as CMAF; its transport stream is there"
			v.rep.add(f)
		default:
			v.named[key] = true
			if !slices.ContainsFunc(v.c.tracks.fragments[n.Sequence], func(o storage.Object) bool { return o.Key == key }) {
				v.rep.add(atSegment(ProblemMissing, n))
			}
		}
	}
	return nil
}

// compareTracks renders each segment again, and compares.
func (l *Library) compareTracks(ctx context.Context, f folderRef, rows []segmenter.Row, list []checkedSegment, c *contents, rep *Report) error {
	var mu sync.Mutex // rep
	var r tracks.Renderer
	return l.each(ctx, len(list), func(ctx context.Context, i int) error {
		s := &list[i]
		have := c.tracks.fragments[s.name.Sequence]
		if s.Gap || len(have) == 0 {
			return nil
		}
		made, err := l.render(ctx, &r, s.name, &rows[i])
		if made == nil || err != nil {
			return err // it was found damaged, or cannot be read
		}
		for _, o := range made.Objects(segmenter.Key{App: f.app, Stream: f.stream}, f.id, s.name.Sequence) {
			body, _, err := l.readLarge(ctx, o.Name.String())
			if storage.KindOf(err) == storage.Missing {
				continue // that is another finding
			}
			if err != nil {
				return err
			}
			mu.Lock()
			rep.ReadBytes += int64(len(body))
			if !bytes.Equal(body, o.Body) {
				found := atSegment(ProblemChecksum, o.Name)
				found.Want, found.Got = fmt.Sprint(len(o.Body), " bytes"), fmt.Sprint(len(body), " bytes")
				found.Detail = "it is not what this version makes of the segment"
				rep.add(found)
			}
			mu.Unlock()
		}
		return nil
	})
}

// render renders a segment of the store; nil where nothing can be made of it.
func (l *Library) render(ctx context.Context, r *tracks.Renderer, n segmenter.Name, row *segmenter.Row) (*tracks.Segment, error) {
	body, large, err := l.readLarge(ctx, n.String())
	switch {
	case storage.KindOf(err) == storage.Missing || large:
		return nil, nil
	case err != nil:
		return nil, err
	}
	s, err := r.Segment([][]byte{body}, row)
	if err != nil || s.None() {
		return nil, nil
	}
	return s, nil
}

// readLarge reads an object whole. large says that it is beyond what is rendered, and was not read.
func (l *Library) readLarge(ctx context.Context, key string) (body []byte, large bool, err error) {
	in, o, err := l.s.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, false, err
	}
	defer in.Close()
	if o.Size > tracks.MaxSegment {
		return nil, true, nil
	}
	body = make([]byte, o.Size)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, false, fmt.Errorf("read %s: %w", key, err)
	}
	return body, false, nil
}
