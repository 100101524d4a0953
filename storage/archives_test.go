package storage_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/dir"
)

// shallow is a store of which nobody may list what is deeper.
type shallow struct {
	*dir.Store
	t *testing.T
}

func (s shallow) List(context.Context, string, func(storage.Object) error) error {
	s.t.Error("all that is deeper is listed")
	return nil
}

func TestArchives(t *testing.T) {
	s, err := dir.Open(dir.Options{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	const older, newer = "2023-08-24_16-02-52.970", "2023-08-25_16-02-52.970"
	for _, key := range []string{
		"cam-" + newer + ".m3u8", "cam-" + older + ".m3u8", "cam-2-" + older + ".m3u8", "cam.m3u8", "cam-2/" + older + "/000000000.ts", "cam/" + older + "/000000000.ts",
		"cam2-" + older + ".m3u8",
	} {
		if _, err := s.Put(t.Context(), "live/streams/"+key, bytes.NewReader([]byte("x")), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := storage.Archives(t.Context(), shallow{s, t}, segmenter.Key{App: "live", Stream: "cam"})
	if err != nil || !slices.Equal(ids, []segmenter.RecordingID{older, newer}) {
		t.Errorf("%v, %v", ids, err)
	}
}
