package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/readback"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// The archive commands and replay against a real server: two streams whose names begin alike.
func TestLibraryAndReplay(t *testing.T) {
	s := open(t, options(t, storetest.Versitygw(t)))
	const id = "2023-08-24_16-02-52.970"
	put := func(key string, body []byte) {
		if _, err := s.Put(t.Context(), key, bytes.NewReader(body), storage.Attributes{ContentType: "video/mp2t"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, stream := range []string{"stream1", "stream10"} {
		m := m3u8.Media{Type: m3u8.VOD, TargetDuration: 2, EndList: true}
		for seq := range uint64(5) {
			key := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: stream, Recording: id, Sequence: seq}.String()
			put(key, bytes.Repeat([]byte(stream), 1000))
			m.Segments = append(m.Segments, m3u8.Segment{URI: fmt.Sprintf("%s/%s/%09d.ts", stream, id, seq), Duration: 180000, Size: int64(1000 * len(stream)), CRC32C: 1})
		}
		put("live/streams/"+stream+"-"+id+".m3u8", m.Append(nil))
	}
	lib := library.New(storage.Retry(s, storage.RetryOptions{Attempts: 3}), library.Options{})
	var list []library.Recording
	for r, err := range lib.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	if len(list) != 2 || list[0].Segments != 5 || list[1].Bytes != 5*8000 {
		t.Fatalf("%+v", list)
	}
	if r, err := lib.Verify(t.Context(), list[0].RecordingRef, library.VerifyOptions{}); err != nil || !r.Whole {
		t.Errorf("%+v, %v", r, err)
	}
	if out, err := lib.Remove(t.Context(), []library.RecordingRef{list[0].RecordingRef}, library.RemoveOptions{Really: true}); err != nil || len(out.Segments) != 5 {
		t.Errorf("%+v, %v", out, err)
	}
	if keys := storetest.Keys(t, s, ""); len(keys) != 6 {
		t.Errorf("left %q", keys)
	}
	r := readback.New(s, readback.Options{})
	defer r.Close()
	c, err := r.Open(t.Context(), "live/streams/stream10/"+id+"/000000003.ts")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Seek(-8, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "stream10" || c.ContentType != "video/mp2t" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := r.Open(t.Context(), "live/streams/stream1/"+id+"/000000003.ts"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
