package takeover

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Rungs returns the streams that the multivariant playlists of a ladder's recording name, the stable one and the newest timestamped one; none: a
// store has no such playlist. One that is not among them stands outside, with numbers of its own, or has never had a segment.
func Rungs(ctx context.Context, store Store, ladder segmenter.Key, id segmenter.RecordingID) (streams []string, err error) {
	ids, err := storage.Archives(ctx, store, ladder)
	if err != nil {
		return nil, fmt.Errorf("list the archives of %s: %w", ladder, err)
	}
	names := []segmenter.Name{{Kind: segmenter.KindEntry, App: ladder.App, Stream: ladder.Stream}}
	if n := len(ids); n > 0 && ids[n-1] >= id {
		names = append(names, segmenter.Name{Kind: segmenter.KindArchive, App: ladder.App, Stream: ladder.Stream, Recording: ids[n-1]})
	}
	for _, n := range names {
		body, _, err := read(ctx, store, n.String())
		switch {
		case storage.KindOf(err) == storage.Missing, errors.Is(err, errUnreadable):
			continue
		case err != nil:
			return nil, err
		}
		m, err := m3u8.ParseMaster(body)
		if err != nil {
			continue // it is written anew
		}
		for i := range m.Variants {
			v, ok := segmenter.ParseName(ladder.App + "/streams/" + m.Variants[i].URI)
			of := id // the entry may be of another recording
			if n.Kind == segmenter.KindArchive {
				of = n.Recording
			}
			if ok && v.Recording == of && !slices.Contains(streams, v.Stream) {
				streams = append(streams, v.Stream)
			}
		}
	}
	return streams, nil
}

// Align makes what was found of the rungs of one ladder go on at one number, in timestamped playlists of one name. Of a number that some rung
// has, those that do not have it get a gap.
func Align(rungs []*Found) {
	var next uint64
	var name string
	for _, f := range rungs {
		next, name = max(next, f.State.Next), max(name, f.Split.Name)
	}
	for _, f := range rungs {
		f.State.Next, f.Split.First, f.Split.Name = next, next, name
	}
}
