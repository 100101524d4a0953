package mpegts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// scanSegment makes a segment of n pictures from dts on, 40 ms apart, with sound where audio is set.
func scanSegment(t testing.TB, mux *mpegts.Muxer, dts int64, n int, sps []byte, audio bool) []byte {
	t.Helper()
	var pool mpegts.Pool
	b := pool.Buffer()
	mux.Begin(b)
	for i := range int64(n) {
		at, head := dts+i*3600, byte(0x41)
		if i == 0 {
			head = 0x65
		}
		mux.Video(b, mpegts.VideoUnit{PTS: at, DTS: at, IDR: i == 0, Units: [][]byte{append([]byte{head}, make([]byte, 500)...)},
			ParameterSets: [][]byte{sps, {0x68, 0xCB}}})
		if audio {
			mux.Audio(b, at, make([]byte, 100))
		}
	}
	mux.FlushAudio(b)
	defer b.Release()
	return bytes.Join(b.Slices(nil), nil)
}

func scanMuxer(t testing.TB, c mpegts.Config) *mpegts.Muxer {
	t.Helper()
	mux, err := mpegts.NewMuxer(c)
	if err != nil {
		t.Fatal(err)
	}
	return mux
}

var scanSPS = [][]byte{{0x67, 0x42, 0xC0, 0x0D, 0xD9}, {0x67, 0x42, 0xC0, 0x1E, 0xD9}}

func TestScan(t *testing.T) {
	av := mpegts.Config{Video: mpegts.H264, Audio: mpegts.AAC, ASC: []byte{0x11, 0x90}}
	const start = 1<<33 - 50*3600 - mpegts.Offset // the time stamps wrap inside
	mux := scanMuxer(t, av)
	a, b := scanSegment(t, mux, start, 100, scanSPS[0], true), scanSegment(t, mux, start+100*3600, 100, scanSPS[0], true)
	ia, err := mpegts.Scan(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	if ia.Video.Count != 100 || ia.Base().Span() != 100*3600 || ia.Video.First != start+mpegts.Offset || !ia.Key || ia.Cut || ia.Lost != 0 || ia.Sets == 0 ||
		ia.Size != int64(len(a)) || ia.CRC32C != crc32.Checksum(a, crc32.MakeTable(crc32.Castagnoli)) || ia.Audio.Type != 0x0F || ia.Audio.Count == 0 {
		t.Errorf("%+v", ia)
	}
	ib, err := mpegts.Scan(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := ia.Follows(&ib); !ok || d != 100*3600 {
		t.Errorf("the next segment: %d, %v", d, ok)
	}
	for name, other := range map[string][]byte{
		"itself":           a,
		"another time":     scanSegment(t, mux, 1000, 100, scanSPS[0], true),
		"a hole of 2 s":    scanSegment(t, mux, start+150*3600, 100, scanSPS[0], true),
		"other parameters": scanSegment(t, mux, start+100*3600, 100, scanSPS[1], true),
		"no sound":         scanSegment(t, scanMuxer(t, mpegts.Config{Video: mpegts.H264}), start+100*3600, 100, scanSPS[0], false),
	} {
		info, err := mpegts.Scan(bytes.NewReader(other))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d, ok := ia.Follows(&info); ok {
			t.Errorf("%s follows after %d", name, d)
		}
	}
	if info, err := mpegts.Scan(bytes.NewReader(a[:188*50+10])); err != nil || !info.Cut {
		t.Errorf("cut off: %+v, %v", info, err)
	}
	lost := append(bytes.Clone(a[:188*50]), a[188*53:]...)
	if info, err := mpegts.Scan(bytes.NewReader(lost)); err != nil || info.Lost == 0 {
		t.Errorf("packets lost: %+v, %v", info, err)
	}
	for name, bad := range map[string][]byte{"empty": nil, "text": bytes.Repeat([]byte("no stream "), 100), "tables only": a[:376], "late garbage": append(bytes.Clone(a), make([]byte, 188)...)} {
		if _, err := mpegts.Scan(bytes.NewReader(bad)); !errors.Is(err, mpegts.ErrNotTS) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScanAudioOnly(t *testing.T) {
	mux := scanMuxer(t, mpegts.Config{Audio: mpegts.AAC, ASC: []byte{0x11, 0x90}})
	var pool mpegts.Pool
	b := pool.Buffer()
	mux.Begin(b)
	for i := range int64(100) {
		mux.Audio(b, 5000+i*1920, make([]byte, 100))
	}
	mux.FlushAudio(b)
	defer b.Release()
	info, err := mpegts.Scan(bytes.NewReader(bytes.Join(b.Slices(nil), nil)))
	if err != nil || !info.Key || info.Base() != &info.Audio || info.Audio.First != 5000+mpegts.Offset {
		t.Fatalf("%+v, %v", info, err)
	}
	if d := info.Base().Span() - 100*1920; max(d, -d) > 20*1920 {
		t.Errorf("span %d", info.Base().Span())
	}
}

// What another muxer writes is read the same as ffprobe reads it.
func TestScanAgainstFFmpeg(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("needs the program ffmpeg")
	}
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("needs the program ffprobe")
	}
	file := filepath.Join(t.TempDir(), "x.ts")
	out, err := exec.Command(ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x90:rate=30:duration=3", "-f", "lavfi", "-i", "sine=duration=3",
		"-c:v", "libx264", "-bf", "2", "-c:a", "aac", "-f", "mpegts", file).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	out, err = exec.Command(ffprobe, "-v", "error", "-select_streams", "v", "-show_entries", "packet=dts", "-of", "json", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var probe struct{ Packets []struct{ DTS int64 } }
	if err := json.Unmarshal(out, &probe); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := mpegts.Scan(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	v := info.Video
	if n := len(probe.Packets); v.Count != n || v.First != probe.Packets[0].DTS || v.Last != probe.Packets[n-1].DTS || info.Lost != 0 || info.Sets == 0 {
		t.Errorf("%d pictures from %d to %d, ffprobe has %d from %d to %d", v.Count, v.First, v.Last, n, probe.Packets[0].DTS, probe.Packets[n-1].DTS)
	}
}

func FuzzScan(f *testing.F) {
	mux := scanMuxer(f, mpegts.Config{Video: mpegts.H264, Audio: mpegts.AAC, ASC: []byte{0x11, 0x90}})
	f.Add(scanSegment(f, mux, 1<<33-3600, 3, scanSPS[0], true))
	f.Add(scanSegment(f, scanMuxer(f, mpegts.Config{Video: mpegts.H265}), 0, 3, []byte{0x42, 1}, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := mpegts.Scan(bytes.NewReader(b))
		if err == nil && (info.Size != int64(len(b)) || info.Base().Span() < 0 || info.Base().Count < 1) {
			t.Errorf("%+v", info)
		}
		other := info
		info.Follows(&other)
	})
}

func BenchmarkScan(b *testing.B) {
	body := scanSegment(b, scanMuxer(b, mpegts.Config{Video: mpegts.H264}), 0, 2000, scanSPS[0], false)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mpegts.Scan(bytes.NewReader(body)); err != nil {
			b.Fatal(err)
		}
	}
}
