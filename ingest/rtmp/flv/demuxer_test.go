package flv

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
)

// Parameter sets for 320x180 at 25 frames a second, and an AudioSpecificConfig for AAC-LC, 44100 Hz, stereo.
const (
	avcC = "0164000cffe1001a6764000cacd941419f9f011000000300100000030320f142996001000468ef8fcbfdf8f800"
	hvcC = "0101600000009000000000003cf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003003c959809a10001" +
		"002b42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840a2000100074401c172b46240"
	ascLC = "1210"

	avcSPS  = "6764000cacd941419f9f011000000300100000030320f1429960"
	avcPPS  = "68ef8fcb"
	hevcVPS = "40010c01ffff01600000030090000003000003003c959809"
	hevcSPS = "42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840"
	hevcPPS = "4401c172b46240"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sink keeps what it gets, and checks the rules that hold for every frame.
type sink struct {
	t      testing.TB
	frames []ingest.Frame
	err    error
}

func (s *sink) WriteFrame(f *ingest.Frame) error {
	c := *f
	c.Units = nil
	for _, u := range f.Units {
		if len(u) == 0 {
			s.t.Error("an empty unit")
		}
		c.Units = append(c.Units, bytes.Clone(u))
	}
	if f.Track == nil || len(f.Units) == 0 || !f.Track.Codec.IsVideo() && (len(f.Units) != 1 || !f.Key || f.Track.SampleRate == 0 || f.Track.Channels == 0) {
		s.t.Errorf("frame %+v", c)
	}
	s.frames = append(s.frames, c)
	return s.err
}

// tally is what became of the frames.
type tally struct{ *ingest.Totals }

func (t tally) dropped(r ingest.Reason) int64 { return t.Dropped[r].Load() }

// newTest returns a demuxer that holds nothing.
func newTest(t testing.TB) (*Demuxer, *sink, tally) {
	s, stats := &sink{t: t}, &Stats{}
	return NewDemuxer(s, stats), s, tally{stats}
}

// newLearning returns a demuxer that holds the first frames, as for a publisher.
func newLearning(t testing.TB) (*Demuxer, *sink, *ingest.Ledger) {
	s, l := &sink{t: t}, &ingest.Ledger{}
	return New(normalise.New(s, normalise.Options{Ledger: l})), s, l
}

func (d *Demuxer) feed(t testing.TB, kind uint8, ts uint32, body string) {
	t.Helper()
	if err := d.Tag(kind, ts, unhex(t, body), time.Time{}); err != nil {
		t.Fatal(err)
	}
}

func (d *Demuxer) end(t testing.TB) {
	t.Helper()
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestAVC(t *testing.T) {
	d, s, l := newLearning(t)
	d.feed(t, TagVideo, 10, "17 00 000000"+avcC)
	d.feed(t, TagVideo, 10, "17 01 000050 00000002 6581 00000000 00000001 41") // with an empty unit inside
	d.feed(t, TagVideo, 50, "27 01 ffffd8 00000002 4181")                      // composition offset -40
	d.feed(t, TagVideo, 50, "17 00 000000"+avcC)                               // repeated
	d.feed(t, TagVideo, 90, "27 01 000000 00000002 4181")
	d.feed(t, TagVideo, 91, "17 02 000000") // end of sequence
	d.feed(t, TagVideo, 92, "57 00")        // info frame
	d.feed(t, TagVideo, 93, "")
	d.end(t)
	if cause, n := l.Video.Cause(); len(s.frames) != 3 || n != 0 || l.Video.Received.Load() != 3 {
		t.Fatalf("%d frames, %d received, %d dropped for %v", len(s.frames), l.Video.Received.Load(), n, cause)
	}
	f := s.frames
	if f[0].PTS != 900+80*90 || !f[0].Key || len(f[0].Units) != 2 {
		t.Errorf("first frame %+v", f[0])
	}
	if f[1].PTS != 900 || f[1].Key {
		t.Errorf("second frame %+v", f[1])
	}
	for i, ms := range []int64{10, 50, 90} { // all earlier by 40 ms, so that none is after its PTS
		if f[i].DTS != (ms-40)*90 {
			t.Errorf("frame %d is decoded at %d", i, f[i].DTS)
		}
	}
	if f[0].Track != f[2].Track {
		t.Error("a repeated header made a new track")
	}
	tr := f[0].Track
	if tr.Codec != ingest.H264 || tr.Width != 320 || tr.Height != 180 || tr.FrameRate != 25 || len(tr.SPS) != 1 || len(tr.PPS) != 1 {
		t.Errorf("track %+v", tr)
	}

	d.feed(t, TagVideo, 100, "17 00 000000"+strings.Replace(avcC, "68ef8f", "68ef8e", 1))
	d.feed(t, TagVideo, 130, "17 01 000000 00000002 6581")
	if s.frames[3].Track == tr {
		t.Error("another header made no new track")
	}
}

// TestBeforeHeader checks that a picture whose header comes a little later is not lost, and that one without any is counted.
func TestBeforeHeader(t *testing.T) {
	d, s, _ := newLearning(t)
	d.feed(t, TagVideo, 0, "17 01 000000 00000002 6581")
	d.feed(t, TagVideo, 20, "17 00 000000"+avcC)
	d.feed(t, TagVideo, 40, "27 01 000000 00000002 4181")
	d.end(t)
	if len(s.frames) != 2 || s.frames[0].Track == nil {
		t.Errorf("%d frames", len(s.frames))
	}
	d, s, stats := newTest(t)
	d.feed(t, TagVideo, 0, "17 01 000000 00000002 6581")
	d.feed(t, TagVideo, 0, "17 00 000000"+avcC)
	d.feed(t, TagVideo, 40, "17 01 000000 00000002 6581")
	if len(s.frames) != 1 || stats.dropped(ingest.NoHeader) != 1 {
		t.Errorf("%d frames, %d without header", len(s.frames), stats.dropped(ingest.NoHeader))
	}
}

// TestNoHeader reads H.264 and H.265 whose parameter sets come only in band, and before a truncated sequence header.
func TestNoHeader(t *testing.T) {
	for name, tc := range map[string]struct{ head, sets, key, next string }{
		"H.264":          {"17 01 000000", "0000001a" + avcSPS + "00000004" + avcPPS, "00000002 6581", "27 01 000000 00000002 4181"},
		"H.264 enhanced": {"91 61766331 000000", "0000001a" + avcSPS + "00000004" + avcPPS, "00000002 6581", "a3 61766331 00000002 4181"},
		"H.264 annex B":  {"17 01 000000", "00000001" + avcSPS + "00000001" + avcPPS, "000001 6581", "27 01 000000 00000001 4181"},
		"H.265":          {"91 68766331 000000", "00000018" + hevcVPS + "0000002b" + hevcSPS + "00000007" + hevcPPS, "00000003 260180", "a3 68766331 00000003 020180"},
		"H.265 annex B":  {"1c 01 000000", "00000001" + hevcVPS + "000001" + hevcSPS + "00000001" + hevcPPS, "00000001 260180", "2c 01 000000 000001 020180"},
	} {
		t.Run(name, func(t *testing.T) {
			d, s, stats := newTest(t)
			d.feed(t, TagVideo, 0, tc.next) // of before
			d.feed(t, TagVideo, 40, tc.head+tc.sets+tc.key)
			d.feed(t, TagVideo, 80, tc.next)
			if len(s.frames) != 2 || stats.dropped(ingest.NoHeader) != 1 || stats.dropped(ingest.Malformed) != 0 {
				t.Fatalf("%d frames, %d without header, %d malformed", len(s.frames), stats.dropped(ingest.NoHeader), stats.dropped(ingest.Malformed))
			}
			f := s.frames[0]
			if f.Track.Width != 320 || f.Track.Height != 180 || len(f.Units) < 3 || s.frames[1].Track != f.Track || len(s.frames[1].Units) != 1 {
				t.Errorf("frame %+v of %+v", f, f.Track)
			}
		})
	}
}

// TestBadHeaders checks that a truncated, empty or nonsensical header leaves the good one in place.
func TestBadHeaders(t *testing.T) {
	for name, header := range map[string]string{"cut": "0164", "empty": "", "no sets": "0164000cffe000"} {
		d, s, stats := newTest(t)
		d.feed(t, TagVideo, 0, "17 00 000000"+avcC)
		d.feed(t, TagVideo, 0, "17 01 000000 00000002 6581")
		d.feed(t, TagVideo, 40, "17 00 000000"+header)
		d.feed(t, TagVideo, 40, "17 01 000000 00000002 6581")
		d.feed(t, TagAudio, 0, "af 00"+ascLC)
		d.feed(t, TagAudio, 0, "af 01 21000490")
		d.feed(t, TagAudio, 0, "af 00")
		d.feed(t, TagAudio, 0, "af 00 12")
		d.feed(t, TagAudio, 23, "af 01 21000490")
		if len(s.frames) != 4 || s.frames[1].Track != s.frames[0].Track || s.frames[3].Track != s.frames[2].Track || stats.dropped(ingest.Malformed) != 3 {
			t.Errorf("%s: %d frames, %d malformed", name, len(s.frames), stats.dropped(ingest.Malformed))
		}
	}
}

func TestLengthSizes(t *testing.T) {
	for size, picture := range map[string]string{"fc": "02 6581 01 41", "fd": "0002 6581 0001 41", "ff": "00000002 6581 00000001 41"} {
		d, s, _ := newTest(t)
		d.feed(t, TagVideo, 0, "17 00 000000 0164000c"+size+avcC[10:])
		d.feed(t, TagVideo, 0, "17 01 000000"+picture)
		if len(s.frames) != 1 || len(s.frames[0].Units) != 2 {
			t.Errorf("length size %s: %+v", size, s.frames)
		}
	}
}

func TestMalformedVideo(t *testing.T) {
	for name, body := range map[string]string{
		"length too large":   "17 01 000000 00000003 6501",
		"length huge":        "17 01 000000 ffffffff 6501",
		"length cut short":   "17 01 000000 00000002 6581 0000",
		"nothing inside":     "17 01 000000",
		"only empty":         "17 01 000000 00000000",
		"cut before offset":  "17 01",
		"unknown packet":     "17 07 000000",
		"enhanced cut":       "91 687663",
		"enhanced no offset": "91 61766331 00",
	} {
		t.Run(name, func(t *testing.T) {
			d, s, stats := newTest(t)
			d.feed(t, TagVideo, 0, "17 00 000000"+avcC)
			d.feed(t, TagVideo, 0, body)
			if len(s.frames) != 0 || stats.dropped(ingest.Malformed) != 1 {
				t.Errorf("%d frames, %d malformed", len(s.frames), stats.dropped(ingest.Malformed))
			}
			d.feed(t, TagVideo, 40, "17 01 000000 00000002 6581")
			if len(s.frames) != 1 {
				t.Error("the next frame was lost too")
			}
		})
	}
	for name, header := range map[string]string{
		"cut": avcC[:20], "empty": "", "no SPS": "0164000cffe001000468ef8fcb", "no PPS": avcC[:68] + "00", "length size 3": "0164000cfe" + avcC[10:],
	} {
		t.Run("header "+name, func(t *testing.T) {
			d, s, stats := newTest(t)
			d.feed(t, TagVideo, 0, "17 00 000000"+header)
			d.feed(t, TagVideo, 0, "17 01 000000 00000002 6581")
			if len(s.frames) != 0 || stats.dropped(ingest.Malformed) != 1 || stats.dropped(ingest.NoHeader) != 1 {
				t.Errorf("%d frames, %d malformed, %d without header", len(s.frames), stats.dropped(ingest.Malformed), stats.dropped(ingest.NoHeader))
			}
		})
	}
}

func TestHEVC(t *testing.T) {
	for name, tags := range map[string][3]string{
		"enhanced":         {"90 68766331" + hvcC, "91 68766331 000028 00000003 260180", "a3 68766331 00000003 020180"},
		"before enhanced":  {"1c 00 000000" + hvcC, "1c 01 000028 00000003 260180", "2c 01 000000 00000003 020180"},
		"enhanced and avc": {"90 61766331" + avcC, "91 61766331 000028 00000003 658101", "a3 61766331 00000003 418101"},
	} {
		t.Run(name, func(t *testing.T) {
			d, s, _ := newTest(t)
			for i, tag := range tags {
				d.feed(t, TagVideo, uint32(40*i), tag)
			}
			d.feed(t, TagVideo, 99, "92 68766331") // end
			if len(s.frames) != 2 {
				t.Fatalf("%d frames", len(s.frames))
			}
			a, b := s.frames[0], s.frames[1]
			if a.DTS != 3600 || a.PTS != 7200 || !a.Key || b.DTS != 7200 || b.PTS != 7200 || b.Key {
				t.Errorf("frames %+v %+v", a, b)
			}
			tr := a.Track
			if tr.Width != 320 || tr.Height != 180 || tr.FrameRate != 25 || len(tr.SPS) != 1 || len(tr.PPS) != 1 || (tr.Codec == ingest.H265) != (len(tr.VPS) == 1) {
				t.Errorf("track %+v", tr)
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	for body, want := range map[string]string{
		"90 61763031": "AV1", "91 76703039": "VP9", "90 00ff0102": "this kind of", "12 00": "Sorenson H.263", "14 00": "VP6",
	} {
		d, _, _ := newTest(t)
		var r *ingest.Refusal
		if err := d.Tag(TagVideo, 0, unhex(t, body), time.Time{}); !errors.As(err, &r) || r.Kind != ingest.Unsupported || !strings.Contains(r.Reason, want) {
			t.Errorf("%s: %v", body, err)
		}
	}
	for body, want := range map[string]string{
		"91 4f707573": "Opus", "91 61632d33": "AC-3", "3f 00": "PCM", "bf 00": "Speex", "af 00 ba10": "AAC-LD", "af 00 f94640": "xHE-AAC",
		"af 00 1194": "960 samples", "af 00 1200050809000100400000": "layout", "97 00 00 01 4f707573": "Opus",
	} {
		// If nothing else was announced, it is refused.
		d, _, _ := newTest(t)
		if err := d.Tag(TagData, 0, meta(true, num("audiocodecid", 10)), time.Time{}); err != nil {
			t.Fatal(err)
		}
		var r *ingest.Refusal
		if err := d.Tag(TagAudio, 0, unhex(t, body), time.Time{}); !errors.As(err, &r) || r.Kind != ingest.Unsupported || !strings.Contains(r.Reason, want) {
			t.Errorf("%s: %v", body, err)
		}
		// Otherwise the picture is carried without it.
		d, s, stats := newTest(t)
		d.feed(t, TagVideo, 0, "17 00 000000"+avcC)
		d.feed(t, TagAudio, 0, body)
		d.feed(t, TagVideo, 0, "17 01 000000 00000002 6581")
		if strings.HasPrefix(body, "af") {
			d.feed(t, TagAudio, 0, "af 01 21000490")
		}
		if len(s.frames) != 1 || stats.dropped(ingest.Uncarried) != 1 {
			t.Errorf("%s: %d frames, %d dropped", body, len(s.frames), stats.dropped(ingest.Uncarried))
		}
	}
}

func TestAAC(t *testing.T) {
	d, s, stats := newTest(t)
	d.feed(t, TagAudio, 0, "af 01 21000490") // before its header
	d.feed(t, TagAudio, 0, "af")
	d.feed(t, TagAudio, 0, "af 00"+ascLC)
	d.feed(t, TagAudio, 23, "af 01 21000490")
	d.feed(t, TagAudio, 23, "af 00"+ascLC)
	d.feed(t, TagAudio, 46, "af 01 21000491")
	d.feed(t, TagAudio, 46, "af 01") // ffmpeg's end
	d.feed(t, TagAudio, 70, "91 6d703461 21000492")
	if len(s.frames) != 3 || stats.dropped(ingest.NoHeader) != 1 || stats.dropped(ingest.Malformed) != 1 || s.frames[0].Track != s.frames[2].Track {
		t.Fatalf("%d frames, %d without header, %d malformed", len(s.frames), stats.dropped(ingest.NoHeader), stats.dropped(ingest.Malformed))
	}
	if f := s.frames[0]; f.DTS != 23*90 || f.PTS != f.DTS || !bytes.Equal(f.Units[0], []byte{0x21, 0, 4, 0x90}) || !bytes.Equal(f.Track.ASC, unhex(t, ascLC)) {
		t.Errorf("frame %+v", f)
	}
	for _, n := range []int{codec.MaxAACFrame + 1, 3, 1} {
		before := stats.dropped(ingest.NotAFrame)
		if err := d.Tag(TagAudio, 99, append([]byte{0xaf, 1}, make([]byte, n)...), time.Time{}); err != nil || stats.dropped(ingest.NotAFrame) != before+1 {
			t.Errorf("%d bytes were taken for a frame", n)
		}
	}
}

// TestASC checks what a track takes from an AudioSpecificConfig, and that a bad one makes no track.
func TestASC(t *testing.T) {
	type rate struct{ hz, channels int }
	const frame = "af 01 21000490"
	for asc, want := range map[string]rate{
		ascLC:                  {44100, 2},
		"1190":                 {48000, 2},
		"1208":                 {44100, 1},
		"11b0":                 {48000, 6}, // 5.1
		"11b8":                 {48000, 8}, // 7.1
		"2b920800":             {22050, 2}, // HE-AAC, explicit: core 22050, extension 44100
		"eb8a0800":             {22050, 1}, // HE-AAC v2, explicit
		"139056e5a0":           {22050, 2}, // HE-AAC, explicit behind the core
		"1390":                 {22050, 2}, // HE-AAC, implicit
		"1780562210":           {44100, 2}, // a rate of its own (24 bits)
		"118004c8410001080000": {48000, 6}, // 5.1 with the surround speakers at the side, as films have it
	} {
		d, s, _ := newTest(t)
		d.feed(t, TagAudio, 0, "af 00"+asc)
		d.feed(t, TagAudio, 0, frame)
		if len(s.frames) != 1 || (rate{s.frames[0].Track.SampleRate, s.frames[0].Track.Channels}) != want {
			t.Errorf("%s: %d frames, want one of %+v", asc, len(s.frames), want)
			continue
		}
		if c, err := codec.ParseASC(s.frames[0].Track.ASC); err != nil || c.Channels != want.channels {
			t.Errorf("%s: the track shows %x, which says %+v, %v", asc, s.frames[0].Track.ASC, c, err)
		}
	}
	for _, asc := range []string{"", "12", "1690", "1710", "1780572210", "1194"} { // cut, cut, reserved rates, 44612 Hz, 960 samples
		d, s, _ := newTest(t)
		d.feed(t, TagAudio, 0, "af 00"+asc)
		d.feed(t, TagAudio, 0, frame)
		if len(s.frames) != 0 {
			t.Errorf("%q was taken", asc)
		}
	}
}

// mp3 returns one frame: MPEG-1, 128 kb/s, 44100 Hz, stereo, 417 bytes.
func mp3(header string) string { return header + strings.Repeat("00", 413) }

func TestMP3(t *testing.T) {
	d, s, stats := newTest(t)
	d.feed(t, TagAudio, 0, "2f"+mp3("fffb9000"))
	d.feed(t, TagAudio, 26, "2f"+mp3("fffb9000")+mp3("fffb9000")) // two in one tag
	d.feed(t, TagAudio, 99, "2f 00")
	d.feed(t, TagAudio, 99, "2f fffb9000") // cut
	d.feed(t, TagAudio, 200, "2f"+mp3("fffb90c0"))
	d.feed(t, TagAudio, 300, "ef"+strings.Repeat("ffe31840"+strings.Repeat("00", 68), 1)) // MPEG-2.5, 8 kb/s, 8 kHz, mono
	if len(s.frames) != 5 || stats.dropped(ingest.Malformed) != 2 {
		t.Fatalf("%d frames, %d malformed", len(s.frames), stats.dropped(ingest.Malformed))
	}
	if f := s.frames; f[2].DTS != 26*90+2351 || f[0].Track != f[2].Track || f[3].Track == f[2].Track || f[0].Track.Channels != 2 || f[3].Track.Channels != 1 {
		t.Errorf("frames %+v", f)
	}
	if tr := s.frames[4].Track; tr.SampleRate != 8000 {
		t.Errorf("track %+v", tr)
	}
}

// TestWrap checks that times continue where 32 bits of milliseconds end, and go back if the encoder goes back.
func TestWrap(t *testing.T) {
	var c clock
	d, s, _ := newTest(t)
	d.feed(t, TagAudio, 0xfffffff0, "af 00"+ascLC)
	wants := []int64{0, 15, 23, 2046, 23}
	for i, ts := range []uint32{0xfffffff0, 0xffffffff, 7, 2030, 7} {
		if got := c.unwrap(ts) - 0xfffffff0; got != wants[i] {
			t.Errorf("time stamp %d is %d, want %d", i, got, wants[i])
		}
		d.feed(t, TagAudio, ts, "af 01 21000490")
	}
	base := int64(0xfffffff0) * 90
	for i, want := range wants {
		if got := s.frames[i].DTS - base; got != want*90 {
			t.Errorf("frame %d at %d, want %d", i, got, want*90)
		}
	}
}

func TestSinkError(t *testing.T) {
	d, s, _ := newTest(t)
	s.err = errors.New("over")
	d.feed(t, TagAudio, 0, "af 00"+ascLC)
	if err := d.Tag(TagAudio, 0, []byte{0xaf, 1, 0x21, 0, 4, 0x90}, time.Time{}); err != s.err {
		t.Errorf("got %v", err)
	}
}

func TestNoAllocations(t *testing.T) {
	d := NewDemuxer(discard{}, &Stats{})
	d.feed(t, TagVideo, 0, "17 00 000000"+avcC)
	d.feed(t, TagAudio, 0, "af 00"+ascLC)
	header, video, audio := unhex(t, "17 00 000000"+avcC), unhex(t, "17 01 000050 00000002 6581 00000001 41"), unhex(t, "af 01 21000490")
	sound := unhex(t, "2f"+mp3("fffb9000"))
	m := NewDemuxer(discard{}, &Stats{})
	ts := uint32(0)
	if n := testing.AllocsPerRun(1000, func() {
		ts += 40
		for _, err := range []error{
			d.Tag(TagVideo, ts, header, time.Time{}), d.Tag(TagVideo, ts, video, time.Time{}),
			d.Tag(TagAudio, ts, audio, time.Time{}), m.Tag(TagAudio, ts, sound, time.Time{}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type discard struct{}

func (discard) WriteFrame(*ingest.Frame) error { return nil }

// FuzzTag checks that no sequence of tags makes the demuxer panic or pass on a frame that breaks the rules of frames. The input is a
// sequence of kind, length, body.
func FuzzTag(f *testing.F) {
	tag := func(kind byte, body string) []byte {
		b := unhex(f, body)
		return append([]byte{kind, byte(len(b))}, b...)
	}
	f.Add(append(tag(9, "17 00 000000"+avcC), tag(9, "17 01 000050 00000002 6501 00000001 41")...))
	f.Add(append(tag(9, "90 68766331"+hvcC), tag(9, "91 68766331 000028 00000003 260180")...))
	f.Add(append(tag(8, "af 00"+ascLC), tag(8, "af 01 21000490")...))
	f.Add(tag(8, "ef ffe31840"+strings.Repeat("00", 68)))
	f.Add(tag(18, "02000a6f6e4d6574614461746103000577696474680040740000000000000000 09"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _, _ := newTest(t)
		for ts := uint32(0); len(b) >= 2; ts += 20 {
			n := min(int(b[1]), len(b)-2)
			if err := d.Tag(b[0], ts, b[2:2+n], time.Time{}); err != nil {
				var r *ingest.Refusal
				if !errors.As(err, &r) {
					t.Fatalf("error %v", err)
				}
			}
			b = b[2+n:]
		}
	})
}
