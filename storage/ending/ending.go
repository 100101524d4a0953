// Package ending ends in a store what a server left there that is gone, or has lost its stream to another: the rolling playlists of one
// recording get their end, so that whoever follows them stops, and whoever was about to write them finds out. It refuses to touch timestamped
// playlists, entries and segments, and to judge whether the time for it has come: see package claim.
package ending

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Store is where recordings are.
type Store interface {
	storage.Putter
	storage.Getter
}

// Limits of Playlists.
const (
	attempts = 8       // how often a playlist may change meanwhile
	maxList  = 4 << 20 // bytes of a rolling playlist
	noTarget = 2       // EXT-X-TARGETDURATION of one that lists nothing, seconds
)

// Playlists ends a recording's rolling playlists, each over what was just read. That of the transport stream is made, with an end and without
// a segment, if it is not there yet: its writer may be about to write its first. The others are copies of it, or made of it, and are ended
// where they are there.
func Playlists(ctx context.Context, store Store, key segmenter.Key, id segmenter.RecordingID) error {
	n := segmenter.Name{Kind: segmenter.KindLive, App: key.App, Stream: key.Stream, Recording: id}
	if err := end(ctx, store, n, true); err != nil {
		return err
	}
	for _, other := range []segmenter.Name{
		{Kind: segmenter.KindLowLatency}, {Kind: segmenter.KindTrackLive, Track: segmenter.VideoTrack}, {Kind: segmenter.KindTrackLive, Track: segmenter.AudioTrack},
	} {
		other.App, other.Stream, other.Recording = key.App, key.Stream, id
		if err := end(ctx, store, other, false); err != nil {
			return err
		}
	}
	return nil
}

// end ends one playlist.
func end(ctx context.Context, store Store, n segmenter.Name, always bool) error {
	for range attempts {
		body, list, etag, err := read(ctx, store, n.String())
		switch {
		case storage.KindOf(err) == storage.Missing && !always:
			return nil
		case storage.KindOf(err) == storage.Missing:
			list = &m3u8.Media{TargetDuration: noTarget}
			body = list.Append(nil)
		case err != nil:
			return err
		case list.EndList:
			return nil
		}
		body = append(body, m3u8.EndList...)
		sum := md5.Sum(body)
		a := storage.AttributesOf(n.Kind, list.TargetDuration, true)
		a.IfMatch, a.IfAbsent, a.MD5 = etag, etag == "", sum[:]
		_, err = store.Put(ctx, n.String(), bytes.NewReader(body), a)
		switch storage.KindOf(err) {
		case storage.None:
			return nil
		case storage.Changed, storage.Exists: // its writer was first
		default:
			return fmt.Errorf("end %s: %w", n, err)
		}
	}
	return fmt.Errorf("end %s: it changes as often as it is read: %w", n, storage.ErrChanged)
}

// Read returns a rolling playlist; nil if there is none. An error that is errors.ErrUnsupported says that what is there is none, or that the
// store states no ETag.
func Read(ctx context.Context, store storage.Getter, key segmenter.Key, id segmenter.RecordingID) (*m3u8.Media, error) {
	n := segmenter.Name{Kind: segmenter.KindLive, App: key.App, Stream: key.Stream, Recording: id}
	_, list, _, err := read(ctx, store, n.String())
	if storage.KindOf(err) == storage.Missing {
		return nil, nil
	}
	return list, err
}

func read(ctx context.Context, store storage.Getter, key string) (body []byte, list *m3u8.Media, etag string, err error) {
	r, o, err := store.Get(ctx, key, 0, maxList+1)
	if err != nil {
		return nil, nil, "", err
	}
	body, err = io.ReadAll(io.LimitReader(r, maxList+1))
	r.Close()
	switch {
	case err != nil:
		return nil, nil, "", fmt.Errorf("get %s: %w", key, err)
	case len(body) > maxList:
		return nil, nil, "", fmt.Errorf("get %s: it is too long: %w", key, errors.ErrUnsupported)
	case o.ETag == "":
		return nil, nil, "", fmt.Errorf("get %s: the store states no ETag: %w", key, errors.ErrUnsupported)
	}
	if list, err = m3u8.ParseMedia(body); err != nil {
		return nil, nil, "", fmt.Errorf("get %s: %w: %w", key, err, errors.ErrUnsupported)
	}
	return body, list, o.ETag, nil
}
