package library

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// seqRange is the part of a folder that belongs to one recording: without an archive split all of it, with one what lies
// between the playlist before and the playlist after.
type seqRange struct {
	low, high uint64          // both included
	named     map[uint64]bool // by this recording's own playlist
	shared    bool            // other playlists name segments of the folder too
}

// unlisted are the objects in the range that no playlist names.
func (r *seqRange) unlisted(objects map[uint64]storage.Object) (list []uint64) {
	for _, seq := range slices.Sorted(maps.Keys(objects)) {
		if seq >= r.low && seq <= r.high && !r.named[seq] {
			list = append(list, seq)
		}
	}
	return list
}

// rangeOf reads the stream's other playlists, to tell what in the folder is theirs. a is nil where ref has none.
func (l *Library) rangeOf(ctx context.Context, ref RecordingRef, a *archived, f folderRef) (*seqRange, error) {
	r := &seqRange{high: math.MaxUint64, named: make(map[uint64]bool)}
	playlists, folders, err := l.refs(ctx, f.app, f.stream)
	if err != nil {
		return nil, err
	}
	// A stream has one recording at a time, so only playlists from its beginning to that of the next can name its segments.
	next := segmenter.RecordingID("~")
	for _, other := range folders {
		if other.id > f.id {
			next = min(next, other.id)
		}
	}
	playlists = slices.DeleteFunc(playlists, func(p RecordingRef) bool { return p == ref || p.ID < f.id || p.ID >= next })
	if a != nil && a.media != nil {
		a.segments(func(_ int, _ *m3u8.Segment, n segmenter.Name, ok bool) {
			if ok && (folderRef{n.App, n.Stream, n.Recording}) == f {
				r.named[n.Sequence] = true
			}
		})
	}
	err = l.loadEach(ctx, "list", playlists, func(other *archived) {
		if other.media == nil {
			return
		}
		other.segments(func(_ int, _ *m3u8.Segment, n segmenter.Name, ok bool) {
			if !ok || (folderRef{n.App, n.Stream, n.Recording}) != f {
				return
			}
			r.shared = true
			switch {
			case other.ref.ID < ref.ID:
				r.low = max(r.low, n.Sequence+1)
			case n.Sequence == 0:
				r.low, r.high = 1, 0 // nothing is left
			default:
				r.high = min(r.high, n.Sequence-1)
			}
		})
	})
	return r, err
}
