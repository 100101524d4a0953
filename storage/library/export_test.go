package library_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage/dir"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func TestExport(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(30).drop(time.Minute).add(5).write(true)
	var want []byte
	for i := range uint64(35) {
		want = append(want, storetest.Read(t, s, tp.name(i).String(), 0, -1)...)
	}
	var got bytes.Buffer
	out, err := s.lib.Export(t.Context(), tp.ref(), &got)
	if err != nil || !bytes.Equal(got.Bytes(), want) || out.Segments != 35 || out.Bytes != int64(len(want)) || len(out.Damaged) != 0 {
		t.Errorf("%d bytes, want %d: %+v, %v", got.Len(), len(want), out, err)
	}

	// What is missing or wrong is left out, and said.
	s.remove(tp.name(3).String())
	s.put(tp.name(5).String(), storetest.Read(t, s, tp.name(6).String(), 0, -1))
	tp.media.Segments[7].Gap = true
	tp.write(true)
	got.Reset()
	out, err = s.lib.Export(t.Context(), tp.ref(), &got)
	if err != nil || out.Segments != 32 || out.Gaps != 1 || len(out.Damaged) != 2 || *out.Damaged[0].Sequence != 3 || out.Damaged[1].Problem != library.ProblemChecksum {
		t.Errorf("%+v, %v", out, err)
	}
	if got.Len()%188 != 0 {
		t.Errorf("%d bytes are no whole packets", got.Len())
	}

	// A folder is a recording of its own: put where a bucket has its streams it verifies, but for what the gaps say.
	path := t.TempDir()
	d, err := dir.Open(dir.Options{Path: filepath.Join(path, "live", "streams"), NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if out, err = s.lib.ExportFolder(t.Context(), tp.ref(), d, false); err != nil || out.Segments != 32 {
		t.Errorf("%+v, %v", out, err)
	}
	whole, err := dir.Open(dir.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	r, err := library.New(whole, library.Options{}).Verify(t.Context(), tp.ref(), library.VerifyOptions{Checksums: true})
	if err != nil || !r.Sound || r.Whole || len(r.Findings) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestExportOfAGrowingRecording: the folder is over, though the recording is not: a player waits for nothing that never comes.
func TestExportOfAGrowingRecording(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(4).write(false)
	to := &storetest.Memory{}
	if out, err := s.lib.ExportFolder(t.Context(), tp.ref(), to, false); err != nil || out.Segments != 4 {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, key := range storetest.Keys(t, to, "") {
		if !strings.HasSuffix(key, ".m3u8") {
			continue
		}
		m, err := m3u8.ParseMedia(storetest.Read(t, to, key, 0, -1))
		if err != nil || !m.EndList || m.Type != m3u8.VOD || len(m.Segments) != 4 {
			t.Errorf("%s: %+v, %v", key, m, err)
		}
		return
	}
	t.Error("no playlist was written")
}

type failingWriter struct{ left int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFlaky
	}
	return len(p), nil
}

func TestExportFails(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(20).write(true)
	if _, err := s.lib.Export(t.Context(), tp.ref(), &failingWriter{100_000}); !errors.Is(err, errFlaky) {
		t.Errorf("disk full: %v", err)
	}
	f := storetest.NewFaulty(s)
	lib := library.New(f, library.Options{})
	f.Set(storetest.Fault{Match: func(_ storetest.Op, key string) bool { return key == tp.name(9).String() }, Err: errFlaky})
	if _, err := lib.Export(t.Context(), tp.ref(), &bytes.Buffer{}); !errors.Is(err, errFlaky) {
		t.Errorf("store away: %v", err)
	}
	ref := tp.ref()
	ref.Stream = "none"
	if _, err := lib.Export(t.Context(), ref, &bytes.Buffer{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
}

// What does not play, though it is what the playlist says, is in no MP4: it is left out, and said.
func TestExportMP4(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(5).drop(time.Minute).add(2).write(true)
	export := func() (*library.Exported, []byte) {
		t.Helper()
		f, err := os.Create(filepath.Join(t.TempDir(), "out.mp4"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out, err := s.lib.ExportMP4(t.Context(), tp.ref(), f, false)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return out, b
	}
	// lasts is by another reader, seconds.
	lasts := func(b []byte) float64 {
		t.Helper()
		f, err := mp4.DecodeFile(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return float64(f.Moov.Mvhd.Duration) / float64(f.Moov.Mvhd.Timescale)
	}
	out, b := export()
	if n := lasts(b); out.Segments != 7 || len(out.Damaged) != 0 || n < 13.9 || n > 14.2 {
		t.Errorf("%+v, %v s", out, n)
	}
	null := bytes.Repeat(append([]byte{0x47, 0x1f, 0xff, 0x10}, make([]byte, 184)...), 9)
	s.put(tp.name(2).String(), null)
	tp.media.Segments[2].Size, tp.media.Segments[2].CRC32C = int64(len(null)), mpegts.Checksum(null)
	s.remove(tp.name(5).String()) // with it the discontinuity that it began
	tp.write(true)
	out, b = export()
	if n := lasts(b); out.Segments != 5 || n < 11.9 || n > 12.2 {
		t.Errorf("%+v, %v s", out, n)
	}
	if len(out.Damaged) != 2 || out.Damaged[0].Problem != library.ProblemMedia || out.Damaged[0].Detail == "" || out.Damaged[1].Problem != library.ProblemMissing {
		t.Errorf("%+v", out.Damaged)
	}
}
