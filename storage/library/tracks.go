package library

import (
	"context"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// contents are what lies in the folder of a recording.
type contents struct {
	segments map[uint64]storage.Object
	live     rolling
	tracks   trackObjects
}

// trackObjects are what a folder has as CMAF, but for rolling playlists.
type trackObjects struct {
	fragments map[uint64][]storage.Object // by number, of both tracks
	there     map[segmenter.Track]bool    // there are fragments of the track
	inits     []storage.Object
	archives  map[segmenter.RecordingID][]storage.Object // timestamped playlists
}

// any reports whether there is anything.
func (t *trackObjects) any() bool { return len(t.fragments)+len(t.inits)+len(t.archives) > 0 }

// newest is when the last of it came.
func (t *trackObjects) newest() (last time.Time) {
	t.each(func(o storage.Object) {
		if o.Modified.After(last) {
			last = o.Modified
		}
	})
	return last
}

func (t *trackObjects) each(fn func(o storage.Object)) {
	for _, list := range t.fragments {
		for _, o := range list {
			fn(o)
		}
	}
	for _, o := range t.inits {
		fn(o)
	}
	for _, list := range t.archives {
		for _, o := range list {
			fn(o)
		}
	}
}

// contents lists a folder.
func (l *Library) contents(ctx context.Context, f folderRef) (*contents, error) {
	c := &contents{segments: map[uint64]storage.Object{}}
	c.tracks.there = map[segmenter.Track]bool{}
	c.tracks.fragments, c.tracks.archives = map[uint64][]storage.Object{}, map[segmenter.RecordingID][]storage.Object{}
	err := l.s.List(ctx, f.prefix(), func(o storage.Object) error {
		n, ok := segmenter.ParseName(o.Key)
		if !ok {
			return nil
		}
		switch n.Kind {
		case segmenter.KindSegment:
			c.segments[n.Sequence] = o
		case segmenter.KindLive, segmenter.KindLowLatency, segmenter.KindTrackLive:
			c.live = append(c.live, o)
		case segmenter.KindFragment:
			c.tracks.there[n.Track] = true
			c.tracks.fragments[n.Sequence] = append(c.tracks.fragments[n.Sequence], o)
		case segmenter.KindInit:
			c.tracks.inits = append(c.tracks.inits, o)
		case segmenter.KindTrackArchive:
			c.tracks.archives[n.Archive] = append(c.tracks.archives[n.Archive], o)
		}
		return nil
	})
	return c, err
}

// overTracks are the multivariant playlists over tracks, and the manifests, that lead to a recording or a group, and are there.
func (l *Library) overTracks(ctx context.Context, ref RecordingRef) (keys []string, err error) {
	for _, kind := range [...]segmenter.Kind{segmenter.KindCMAFArchive, segmenter.KindDASHArchive} {
		key := segmenter.Name{Kind: kind, App: ref.App, Stream: ref.Stream, Recording: ref.ID}.String()
		switch _, err := l.s.Stat(ctx, key); {
		case err == nil:
			keys = append(keys, key)
		case storage.KindOf(err) != storage.Missing:
			return nil, err
		}
	}
	return keys, nil
}

// addTracks dooms what is a recording's as CMAF in a folder: playlists, and what goes with its segments. A clip needs none of it: the origin
// makes the clip's of the segments that it keeps.
func (p *removePlan) addTracks(ctx context.Context, ref RecordingRef, c *contents, span *seqRange, held map[uint64]bool) error {
	for _, o := range c.tracks.archives[ref.ID] {
		p.playlists[o.Key] = turnTracks
	}
	for seq, list := range c.tracks.fragments {
		if seq < span.low || seq > span.high || held[seq] {
			continue
		}
		for _, o := range list {
			p.segments[o.Key] = o.Size
		}
	}
	if span.shared {
		return nil
	}
	for _, o := range c.tracks.inits {
		p.segments[o.Key] = o.Size
	}
	for _, list := range c.tracks.archives { // those of splits that were removed when CMAF was not known
		for _, o := range list {
			p.playlists[o.Key] = turnTracks
		}
	}
	return ctx.Err()
}

// addOverTracks dooms the multivariant playlists over a recording's or a group's tracks, and the manifests.
func (p *removePlan) addOverTracks(ctx context.Context, ref RecordingRef) error {
	keys, err := p.l.overTracks(ctx, ref)
	for _, key := range keys {
		p.playlists[key] = turnGroup
	}
	return err
}

// heldBy are the numbers that rolling playlists of a folder name, which stay.
func (p *removePlan) heldBy(ctx context.Context, live rolling) (map[uint64]bool, error) {
	all := make(map[uint64]bool)
	for _, o := range live {
		held, err := p.listed(ctx, o.Key)
		if err != nil {
			return nil, err
		}
		for seq := range held {
			all[seq] = true
		}
	}
	return all, nil
}
