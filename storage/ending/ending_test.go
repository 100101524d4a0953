package ending

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

const (
	id   = segmenter.RecordingID("2024-05-01_11-00-00.000")
	dir  = "live/streams/cam/2024-05-01_11-00-00.000/"
	live = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:2.000,\n000000007.ts\n"
)

var cam = segmenter.Key{App: "live", Stream: "cam"}

func put(t *testing.T, store storage.Putter, key, body string) {
	t.Helper()
	if _, err := store.Put(t.Context(), key, strings.NewReader(body), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, store storage.Getter, key string) string {
	t.Helper()
	return string(storetest.Read(t, store, key, 0, -1))
}

// What is there gets its end, and nothing else is made.
func TestPlaylists(t *testing.T) {
	store := &storetest.Memory{}
	for _, name := range []string{"live.m3u8", "ll.m3u8", "a/live.m3u8"} {
		put(t, store, dir+name, live)
	}
	for range 2 { // the second time nothing is left to do
		if err := Playlists(t.Context(), store, cam, id); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"live.m3u8", "ll.m3u8", "a/live.m3u8"} {
			if got := get(t, store, dir+name); got != live+m3u8.EndList {
				t.Errorf("%s:\n%s", name, got)
			}
		}
	}
	if keys := storetest.Keys(t, store, ""); len(keys) != 3 {
		t.Errorf("%v", keys)
	}
}

// One that is not there yet is made, so that its writer, who expects nothing there, finds out.
func TestNoPlaylistYet(t *testing.T) {
	store := &storetest.Memory{}
	if err := Playlists(t.Context(), store, cam, id); err != nil {
		t.Fatal(err)
	}
	m, err := Read(t.Context(), store, cam, id)
	if err != nil || !m.EndList || len(m.Segments) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := store.Put(t.Context(), dir+"live.m3u8", strings.NewReader(live), storage.Attributes{IfAbsent: true}); !errors.Is(err, storage.ErrExists) {
		t.Error(err)
	}
}

// racing is a store whose playlist its owner writes once more between each reading and writing of ours.
type racing struct {
	storetest.Memory
	t     *testing.T
	times int
}

func (r *racing) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if a.IfMatch != "" && r.times > 0 {
		r.times--
		put(r.t, &r.Memory, key, get(r.t, &r.Memory, key)+"#EXTINF:2.000,\n000000008.ts\n")
	}
	return r.Memory.Put(ctx, key, body, a)
}

// What its owner has written last stays, before the end.
func TestOwnerIsStillWriting(t *testing.T) {
	store := &racing{t: t, times: 3}
	put(t, &store.Memory, dir+"live.m3u8", live)
	if err := Playlists(t.Context(), store, cam, id); err != nil {
		t.Fatal(err)
	}
	if m, err := Read(t.Context(), store, cam, id); err != nil || len(m.Segments) != 4 || !m.EndList {
		t.Errorf("%+v, %v", m, err)
	}
	store.times = attempts + 1
	put(t, &store.Memory, dir+"live.m3u8", live)
	if err := Playlists(t.Context(), store, cam, id); !errors.Is(err, storage.ErrChanged) {
		t.Error(err)
	}
}

// What is no playlist stays as it is.
func TestNoPlaylist(t *testing.T) {
	store := &storetest.Memory{}
	put(t, store, dir+"live.m3u8", "404")
	if err := Playlists(t.Context(), store, cam, id); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if got := get(t, store, dir+"live.m3u8"); got != "404" {
		t.Error(got)
	}
}
