package file

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// create makes a file with ffmpeg.
func create(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	for _, p := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
	path := filepath.Join(t.TempDir(), name)
	all := append([]string{"-v", "error", "-nostdin", "-y", "-f", "lavfi", "-t", "4", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-t", "4", "-i", "sine=sample_rate=48000",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac"}, args...)
	if out, err := exec.Command("ffmpeg", append(all, path)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// packet is what ffprobe says of a sample.
type packet struct {
	pts, dts float64
	size     int
	key      bool
	at       int64
}

func packets(t *testing.T, body []byte, stream string) (list []packet) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.mp4")
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", stream, "-show_packets", "-of", "json", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Packets []struct {
			PTS   string `json:"pts_time"`
			DTS   string `json:"dts_time"`
			Size  string `json:"size"`
			At    string `json:"pos"`
			Flags string `json:"flags"`
		}
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	for _, x := range p.Packets {
		var k packet
		k.pts, _ = strconv.ParseFloat(x.PTS, 64)
		k.dts, _ = strconv.ParseFloat(x.DTS, 64)
		k.size, _ = strconv.Atoi(x.Size)
		k.at, _ = strconv.ParseInt(x.At, 10, 64)
		k.key = x.Flags[0] == 'K'
		list = append(list, k)
	}
	return list
}

// all gives each access unit of some tracks.
func all(t *testing.T, m *Movie, tracks []*Track, fn func(u *Unit)) {
	t.Helper()
	r, err := m.Reader(tracks)
	if err != nil {
		t.Fatal(err)
	}
	for {
		u, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		fn(u)
	}
}

// TestAgainstFFprobe compares each sample of many forms of the file: its bytes, its times with the edit list applied, and whether decoding
// may begin there.
func TestAgainstFFprobe(t *testing.T) {
	for name, args := range map[string][]string{
		"plain":                {},
		"index first":          {"-movflags", "+faststart"},
		"quicktime":            {"-f", "mov"},
		"fragments":            {"-movflags", "+frag_keyframe+empty_moov+default_base_moof"},
		"fragments, old":       {"-movflags", "+frag_keyframe+empty_moov"},
		"fragments, apart":     {"-movflags", "+dash+empty_moov", "-frag_duration", "500000"},
		"fragments and tables": {"-movflags", "+frag_keyframe"},
		"negative offsets":     {"-movflags", "+negative_cts_offsets"},
		"a late picture":       {"-output_ts_offset", "1.5"},
		"a fine time scale":    {"-video_track_timescale", "1000000"},
		"no B frames":          {"-bf", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			b := create(t, "x.mp4", args...)
			m, err := Open(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Tracks) != 2 || m.Tracks[0].Codec != codec.H264 || m.Tracks[1].Codec != codec.AAC || m.Tracks[0].Video.Width != 160 {
				t.Fatalf("%+v", m.Tracks)
			}
			for i, stream := range []string{"v:0", "a:0"} {
				want := packets(t, b, stream)
				n := 0
				all(t, m, m.Tracks[i:i+1], func(u *Unit) {
					if n++; n > len(want) {
						return
					}
					w := want[n-1]
					far := func(a int64, s float64) bool { d := float64(a)/90000 - s; return d > 0.0005 || d < -0.0005 }
					if far(u.PTS, w.pts) || far(u.DTS, w.dts) || len(u.Data) != w.size || stream == "v:0" && u.Key != w.key || !bytes.Equal(u.Data, b[w.at:w.at+int64(w.size)]) {
						t.Fatalf("%s %d: PTS %f DTS %f, %d bytes, key %t; ffprobe says %+v", stream, n, float64(u.PTS)/90000, float64(u.DTS)/90000, len(u.Data), u.Key, w)
					}
				})
				if n != len(want) {
					t.Errorf("%s: %d samples, ffprobe says %d", stream, n, len(want))
				}
			}
		})
	}
}

// TestOrder: the access units of all tracks come in the order of their decoding times.
func TestOrder(t *testing.T) {
	b := create(t, "x.mp4")
	m, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	last, kinds := int64(-1<<62), map[Medium]int{}
	all(t, m, m.Tracks, func(u *Unit) {
		if u.DTS < last {
			t.Fatalf("%d after %d", u.DTS, last)
		}
		last = u.DTS
		kinds[u.Track.Medium]++
		if u.Track.Medium == Video {
			units, ok := u.Track.Units(nil, u.Data)
			if !ok || codec.H264.Survey(units).Slices == 0 {
				t.Fatalf("%d bytes are no picture", len(u.Data))
			}
		}
	})
	if kinds[Video] != 100 || kinds[Audio] < 180 {
		t.Errorf("%v", kinds)
	}
}

// A file that was trimmed without coding it anew shows its pictures from the keyframe before the place on, and ends where it should.
func TestTrimmed(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.mp4")
	if err := os.WriteFile(whole, create(t, "x.mp4"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "trimmed.mp4")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-ss", "1.5", "-i", whole, "-t", "1", "-c", "copy", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	first, last := map[Medium]int64{}, map[Medium]int64{}
	all(t, m, m.Tracks, func(u *Unit) {
		if _, ok := first[u.Track.Medium]; !ok {
			first[u.Track.Medium] = u.PTS
			if u.Track.Medium == Video && !u.Key {
				t.Error("the first picture is no keyframe")
			}
		}
		last[u.Track.Medium] = max(last[u.Track.Medium], u.PTS)
	})
	if v := float64(first[Video]) / 90000; v < -0.55 || v > -0.45 {
		t.Errorf("the pictures begin at %f", v)
	}
	if a := float64(first[Audio]) / 90000; a < -0.06 || a > 0.02 {
		t.Errorf("the sound begins at %f", a)
	}
	if v := float64(last[Video]) / 90000; v < 0.8 || v > 1.1 {
		t.Errorf("the pictures end at %f", v)
	}
}

// atom is a box of some parts.
func atom(kind string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+8)), kind...), body...)
}

func words(all ...uint32) (b []byte) {
	for _, v := range all {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// hollow is a file of a size with something at some places, and zeros between them.
type hollow struct {
	size int64
	at   map[int64][]byte
}

func (h *hollow) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), h.size-off))
	clear(p[:n])
	for at, b := range h.at {
		from, to := max(at, off), min(at+int64(len(b)), off+int64(n))
		if from < to {
			copy(p[from-off:], b[from-at:to-at])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// moovOf is the index of a file with one track of pictures, with tables of samples.
func moovOf(tables ...[]byte) []byte {
	avcC := append([]byte{1, 0x42, 0, 30, 0xFF, 0xE1, 0, 4}, 0x67, 0x42, 0, 30)
	avcC = append(avcC, 1, 0, 4, 0x68, 0xCE, 0x38, 0x80)
	entry := atom("avc1", make([]byte, 78), atom("avcC", avcC))
	stbl := atom("stbl", append([][]byte{atom("stsd", words(0, 1), entry)}, tables...)...)
	mdia := atom("mdia", atom("mdhd", words(0, 0, 0, 90000, 0, 0)), atom("hdlr", words(0, 0), []byte("vide"), make([]byte, 13)), atom("minf", stbl))
	tkhd := atom("tkhd", words(3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30, 0, 0))
	return atom("moov", atom("mvhd", words(0, 0, 0, 1000, 0), make([]byte, 80)), atom("trak", tkhd, mdia))
}

// Files beyond 4 GiB have places and sizes of 64 bits.
func TestPlacesOf64Bits(t *testing.T) {
	const far = 31 << 30
	sample := append(words(5), 0x65, 1, 2, 3, 4)
	index := moovOf(atom("stts", words(0, 1, 2, 3000)), atom("stsc", words(0, 1, 1, 1, 1)), atom("stsz", words(0, 0, 2, 9, 9)), atom("co64", words(0, 2, 0, 1000, far>>32, far&0xFFFFFFFF)))
	large := append(append(words(1), "mdat"...), binary.BigEndian.AppendUint64(nil, 32<<30)...)
	h := &hollow{size: int64(len(large)) - 16 + 32<<30 + int64(len(index)), at: map[int64][]byte{0: large, 1000: sample, far: sample, 32 << 30: index}}
	m, err := Open(h, h.size)
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Reader(m.Tracks)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		u, err := r.Next()
		if err != nil || !bytes.Equal(u.Data, sample) || u.DTS != int64(i)*3000 {
			t.Fatalf("%d: %+v %v", i, u, err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// Ten hours of samples take no more memory than their windows.
func TestLongTablesTakeNoMemory(t *testing.T) {
	const n = 2_000_000
	sizes := make([]byte, 4*n)
	for i := range n {
		binary.BigEndian.PutUint32(sizes[4*i:], 9)
	}
	sample := bytes.Repeat(append(words(5), 0x65, 1, 2, 3, 4), n)
	b := append(atom("mdat", sample), moovOf(atom("stts", words(0, 1, n, 1500)), atom("stsc", words(0, 1, 1, n, 1)), atom("stsz", words(0, 0, n), sizes), atom("stco", words(0, 1, 8)))...)
	var count int
	allocated := testing.Benchmark(func(tb *testing.B) {
		for tb.Loop() {
			m, err := Open(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				tb.Fatal(err)
			}
			r, err := m.Reader(m.Tracks)
			if err != nil {
				tb.Fatal(err)
			}
			for count = 0; ; count++ {
				if _, err := r.Next(); err != nil {
					break
				}
			}
		}
	})
	if count != n {
		t.Errorf("%d samples", count)
	}
	if per := allocated.AllocedBytesPerOp(); per > 24<<20 { // tables alone are 8 MB, and are read through windows of 12 KiB
		t.Errorf("%d bytes were allocated", per)
	}
}

func TestWhatContradictsItself(t *testing.T) {
	good := [][]byte{atom("stts", words(0, 1, 1, 3000)), atom("stsc", words(0, 1, 1, 1, 1)), atom("stsz", words(0, 0, 1, 9)), atom("stco", words(0, 1, 40))}
	with := func(i int, b []byte) [][]byte {
		c := append([][]byte(nil), good...)
		c[i] = b
		return c
	}
	read := func(b []byte) error {
		m, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return err
		}
		r, err := m.Reader(m.Tracks)
		for err == nil {
			_, err = r.Next()
		}
		return err
	}
	if err := read(append(moovOf(good...), atom("mdat", make([]byte, 100))...)); !errors.Is(err, io.EOF) {
		t.Fatalf("the good one: %v", err)
	}
	// A fragment's samples need no bytes of the index, and may lie over each other: a small file would be a large film.
	moof := func(n uint32) []byte {
		return atom("moof", atom("mfhd", words(0, 1)), atom("traf", atom("tfhd", words(0x20038, 1, 3000, 1, 0)), atom("tfdt", words(0, 0)), atom("trun", words(1, n, 100))))
	}
	bomb := moovOf()
	for range 100 {
		bomb = append(append(bomb, moof(1<<17)...), atom("mdat", make([]byte, 2000))...)
	}
	same, sizes := words(0, 5000), words(0, 0, 5000)
	for range 5000 {
		same, sizes = append(same, words(8)...), append(sizes, words(1000)...)
	}
	for name, c := range map[string]struct {
		kind Kind
		body []byte
	}{
		"fragments over each other":                 {Damaged, append(bomb, atom("mdat", make([]byte, 400_000))...)},
		"a fragment of a million samples":           {Damaged, append(append(moovOf(), moof(1<<20)...), atom("mdat", make([]byte, 2000))...)},
		"samples over each other":                   {Damaged, append(moovOf(atom("stts", words(0, 1, 5000, 3000)), atom("stsc", words(0, 1, 1, 1, 1)), atom("stsz", sizes), atom("stco", same)), atom("mdat", make([]byte, 600_000))...)},
		"a table that is longer than its box":       {Damaged, append(moovOf(with(2, atom("stsz", words(0, 0, 1<<30, 9)))...), atom("mdat", make([]byte, 100))...)},
		"a sample behind the end":                   {Truncated, append(moovOf(with(3, atom("stco", words(0, 1, 1<<30)))...), atom("mdat", make([]byte, 100))...)},
		"a sample of 4 GiB":                         {Damaged, append(moovOf(with(2, atom("stsz", words(0, 0, 1, 0xFFFFFFF0)))...), atom("mdat", make([]byte, 100))...)},
		"four thousand million samples of one size": {Truncated, append(moovOf(with(2, atom("stsz", words(0, 1000, 0xFFFFFFF0)))...), atom("mdat", make([]byte, 100))...)},
		"a chunk of no samples":                     {Damaged, append(moovOf(with(1, atom("stsc", words(0, 1, 1, 0, 1)))...), atom("mdat", make([]byte, 100))...)},
		"no place":                                  {Damaged, append(moovOf(with(3, atom("stco", words(0, 0)))...), atom("mdat", make([]byte, 100))...)},
		"a table is missing":                        {Damaged, append(moovOf(good[1:]...), atom("mdat", make([]byte, 100))...)},
		"two indexes":                               {Damaged, append(moovOf(good...), moovOf(good...)...)},
		"a box shorter than its header":             {Damaged, append(moovOf(good...), words(4, 0x66726565)...)},
		"no index":                                  {Truncated, append(atom("ftyp", []byte("isom0000")), atom("mdat", make([]byte, 100))...)},
		"media that are cut":                        {Truncated, append(moovOf(good...), words(5000, 0x6d646174)...)},
		"an index that is cut":                      {Truncated, moovOf(good...)[:100]},
		"a box of 2^63 bytes":                       {Damaged, append(moovOf(good...), append(words(1, 0x66726565), 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)...)},
	} {
		var e *Error
		if err := read(c.body); !errors.As(err, &e) || e.Kind != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRatio(t *testing.T) {
	for _, c := range []struct{ n, to, from, want int64 }{{1, 90000, 1000, 90}, {-1, 90000, 1000, -90}, {-1, 90000, 48000, -2}, {1 << 50, 90000, 1 << 20, 90000 << 30}, {7, 90000, 30000, 21}} {
		if got := ratio(c.n, c.to, c.from); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	if scaled(1<<62, 1) != 0 || scaled(90, 30) != 3*time.Second {
		t.Error(scaled(1<<62, 1), scaled(90, 30))
	}
}

// FuzzOpen: whatever comes is read or refused, within its own size.
func FuzzOpen(f *testing.F) {
	good := moovOf(atom("stts", words(0, 1, 1, 3000)), atom("ctts", words(0, 1, 1, 3000)), atom("stss", words(0, 1, 1)), atom("stsc", words(0, 1, 1, 1, 1)), atom("stsz", words(0, 0, 1, 9)), atom("stco", words(0, 1, 40)))
	f.Add(append(good, atom("mdat", make([]byte, 100))...))
	f.Add(append(append(moovOf(), atom("moof", atom("mfhd", words(0, 1)), atom("traf", atom("tfhd", words(0x20000, 1)), atom("tfdt", words(0, 0)), atom("trun", words(0x301, 1, 100, 3000, 9))))...), atom("mdat", make([]byte, 100))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = Sniff(b)
		m, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		r, err := m.Reader(m.Tracks)
		total := 0
		for n := 0; err == nil && n < 100_000; n++ {
			var u *Unit
			if u, err = r.Next(); err == nil {
				total += len(u.Data)
				if u.Track.Video != nil {
					_, _ = u.Track.Units(nil, u.Data)
				}
			}
		}
		var e *Error
		if err != nil && !errors.As(err, &e) && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}

func TestSniff(t *testing.T) {
	ts := bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), 10)
	for want, head := range map[Container]string{
		"mov": "\x00\x00\x00\x18ftypmp42", "matroska": "\x1a\x45\xdf\xa3xxxx", "mpegts": string(ts), "flv": "FLV\x01", "avi": "RIFF1234AVI ", "wav": "RIFF1234WAVE",
		"mp3": "\xff\xfb\x90\x00", "aac": "\xff\xf1\x50\x80",
	} {
		if got, err := Sniff([]byte(head)); got != want || err != nil {
			t.Errorf("%s: %s %v", want, got, err)
		}
	}
	if got, err := Sniff(append([]byte(fmt.Sprintf("%0100d", 0)), ts...)); got != "mpegts" || err != nil { // a packet that is cut
		t.Errorf("%s %v", got, err)
	}
}
