package storage

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

// tsSegment makes a segment of n pictures from dts on, 40 ms apart, with sound where audio is set.
func tsSegment(t testing.TB, mux *mpegts.Muxer, dts int64, n int, sps []byte, audio bool) []byte {
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
	return bytes.Join(b.Slices(nil), nil)
}

func tsMuxer(t testing.TB, c mpegts.Config) *mpegts.Muxer {
	t.Helper()
	mux, err := mpegts.NewMuxer(c)
	if err != nil {
		t.Fatal(err)
	}
	return mux
}

// tsLead is what the muxer adds to every time stamp.
const tsLead = 10 * 90000

var tsSPS = [][]byte{{0x67, 0x42, 0xC0, 0x0D, 0xD9}, {0x67, 0x42, 0xC0, 0x1E, 0xD9}}

func TestScanTS(t *testing.T) {
	av := mpegts.Config{Video: mpegts.H264, Audio: mpegts.AAC, ASC: []byte{0x11, 0x90}}
	const start = 1<<33 - 50*3600 - tsLead // the time stamps wrap inside
	mux := tsMuxer(t, av)
	a, b := tsSegment(t, mux, start, 100, tsSPS[0], true), tsSegment(t, mux, start+100*3600, 100, tsSPS[0], true)
	ia, err := scanTS(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	if ia.video.count != 100 || ia.base().span() != 100*3600 || ia.video.first != start+tsLead || !ia.key || ia.cut || ia.lost != 0 || ia.sets == 0 ||
		ia.size != int64(len(a)) || ia.crc != crc32.Checksum(a, castagnoli) || ia.audio.typ != 0x0F || ia.audio.count == 0 {
		t.Errorf("%+v", ia)
	}
	ib, err := scanTS(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := ia.follows(&ib); !ok || d != 100*3600 {
		t.Errorf("the next segment: %d, %v", d, ok)
	}
	for name, other := range map[string][]byte{
		"itself":           a,
		"another time":     tsSegment(t, mux, 1000, 100, tsSPS[0], true),
		"a hole of 2 s":    tsSegment(t, mux, start+150*3600, 100, tsSPS[0], true),
		"other parameters": tsSegment(t, mux, start+100*3600, 100, tsSPS[1], true),
		"no sound":         tsSegment(t, tsMuxer(t, mpegts.Config{Video: mpegts.H264}), start+100*3600, 100, tsSPS[0], false),
	} {
		info, err := scanTS(bytes.NewReader(other))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d, ok := ia.follows(&info); ok {
			t.Errorf("%s follows after %d", name, d)
		}
	}
	if info, err := scanTS(bytes.NewReader(a[:188*50+10])); err != nil || !info.cut {
		t.Errorf("cut off: %+v, %v", info, err)
	}
	lost := append(bytes.Clone(a[:188*50]), a[188*53:]...)
	if info, err := scanTS(bytes.NewReader(lost)); err != nil || info.lost == 0 {
		t.Errorf("packets lost: %+v, %v", info, err)
	}
	for name, bad := range map[string][]byte{"empty": nil, "text": bytes.Repeat([]byte("no stream "), 100), "tables only": a[:376], "late garbage": append(bytes.Clone(a), make([]byte, 188)...)} {
		if _, err := scanTS(bytes.NewReader(bad)); !errors.Is(err, errNotTS) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScanAudioOnly(t *testing.T) {
	mux := tsMuxer(t, mpegts.Config{Audio: mpegts.AAC, ASC: []byte{0x11, 0x90}})
	var pool mpegts.Pool
	b := pool.Buffer()
	mux.Begin(b)
	for i := range int64(100) {
		mux.Audio(b, 5000+i*1920, make([]byte, 100))
	}
	mux.FlushAudio(b)
	info, err := scanTS(bytes.NewReader(bytes.Join(b.Slices(nil), nil)))
	if err != nil || !info.key || info.base() != &info.audio || info.audio.first != 5000+tsLead {
		t.Fatalf("%+v, %v", info, err)
	}
	if d := abs(info.base().span() - 100*1920); d > 20*1920 {
		t.Errorf("span %d", info.base().span())
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
		t.Skipf("ffmpeg: %v: %s", err, out)
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
	info, err := scanTS(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	v := info.video
	if n := len(probe.Packets); v.count != n || v.first != probe.Packets[0].DTS || v.last != probe.Packets[n-1].DTS || info.lost != 0 || info.sets == 0 {
		t.Errorf("%d pictures from %d to %d, ffprobe has %d from %d to %d", v.count, v.first, v.last, n, probe.Packets[0].DTS, probe.Packets[n-1].DTS)
	}
}

func FuzzScanTS(f *testing.F) {
	mux := tsMuxer(f, mpegts.Config{Video: mpegts.H264, Audio: mpegts.AAC, ASC: []byte{0x11, 0x90}})
	f.Add(tsSegment(f, mux, 1<<33-3600, 3, tsSPS[0], true))
	f.Add(tsSegment(f, tsMuxer(f, mpegts.Config{Video: mpegts.H265}), 0, 3, []byte{0x42, 1}, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := scanTS(bytes.NewReader(b))
		if err == nil && (info.size != int64(len(b)) || info.base().span() < 0 || info.base().count < 1) {
			t.Errorf("%+v", info)
		}
		other := info
		info.follows(&other)
	})
}

func BenchmarkScanTS(b *testing.B) {
	body := tsSegment(b, tsMuxer(b, mpegts.Config{Video: mpegts.H264}), 0, 2000, tsSPS[0], false)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := scanTS(bytes.NewReader(body)); err != nil {
			b.Fatal(err)
		}
	}
}
