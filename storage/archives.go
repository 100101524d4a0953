package storage

import (
	"context"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Archives finds the timestamped playlists of a stream, the oldest first. It browses: the segments of other streams whose names begin with
// this one's are not walked.
func Archives(ctx context.Context, l Lister, key segmenter.Key) (ids []segmenter.RecordingID, err error) {
	err = Browse(ctx, l, key.App+"/streams/"+key.Stream+"-", func(o Object) error {
		// The prefix also finds streams whose names begin with this one.
		if n, ok := segmenter.ParseName(o.Key); ok && n.Kind == segmenter.KindArchive && n.Stream == key.Stream {
			ids = append(ids, n.Recording)
		}
		return nil
	})
	slices.Sort(ids)
	return ids, err
}
