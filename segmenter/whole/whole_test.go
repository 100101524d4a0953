package whole

import (
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

var (
	video = &ingest.Track{Codec: ingest.H264, SPS: [][]byte{{0x67, 0x64, 0, 0x1f}}, PPS: [][]byte{{0x68, 0xee}}, FrameRate: 25}
	audio = &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2}
)

const frame = ingest.Clock / 25

// segment has n pictures from a decoding time on, the first a keyframe, and sound beside them.
func segment(at int64, n int) *ingest.Whole {
	w := &ingest.Whole{Duration: int64(n) * frame}
	for i := range int64(n) {
		units := [][]byte{{0x41, 0x9A, 1}}
		if i == 0 {
			units = [][]byte{video.SPS[0], video.PPS[0], {0x65, 0x88, 1}}
		}
		w.Frames = append(w.Frames,
			ingest.Frame{Track: video, PTS: at + (i+2)*frame, DTS: at + i*frame, Units: units},
			ingest.Frame{Track: audio, PTS: at + i*frame, DTS: at + i*frame, Units: [][]byte{{0x21}}})
	}
	return w
}

// add looks at a segment and goes on behind it.
func add(t *testing.T, l *Line, w *ingest.Whole) Segment {
	t.Helper()
	s, err := l.Look(w)
	if err != nil {
		t.Fatal(err)
	}
	if s.Breaks {
		l.Begin(&s, time.Unix(1000, 0), time.Time{}, time.Second)
	}
	l.Next(&s)
	return s
}

// TestDurationsAddUp: however the sender rounds EXTINF, the sum is the media's own to within a frame; one that is off by more is not believed.
func TestDurationsAddUp(t *testing.T) {
	var l Line
	at, sum := int64(5000), int64(0)
	for i := range 500 {
		w := segment(at, 50)
		w.Duration = []int64{50*frame + frame/2, 50*frame - frame, 45 * frame, 2 * ingest.Clock}[i%4]
		s := add(t, &l, w)
		if s.Misstated != (i%4 == 2) {
			t.Fatalf("segment %d: misstated %v", i, s.Misstated)
		}
		if s.Breaks != (i == 0) || !s.Independent {
			t.Fatalf("segment %d: %+v", i, s)
		}
		at += 50 * frame
		sum += s.End - s.Start
		if off := 5000 + 2*frame + sum - (at + 2*frame); off > frame || off < -frame {
			t.Fatalf("after %d segments the sum is off by %d ticks", i+1, off)
		}
	}
}

// TestBreaks: what does not go on says so.
func TestBreaks(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ingest.Whole)
		at     int64
		breaks bool
	}{
		"goes on":                 {nil, 50 * frame, false},
		"a frame late":            {nil, 51 * frame, false},
		"a frame early":           {nil, 49 * frame, true}, // its decoding time does not rise
		"a second late":           {nil, 75 * frame, true},
		"anew":                    {nil, 0, true},
		"as its sender says":      {func(w *ingest.Whole) { w.Discontinuity = true }, 50 * frame, true},
		"another configuration":   {func(w *ingest.Whole) { other(w) }, 50 * frame, true},
		"without sound from here": {func(w *ingest.Whole) { silent(w) }, 50 * frame, true},
	} {
		var l Line
		add(t, &l, segment(0, 50))
		w := segment(c.at, 50)
		if c.change != nil {
			c.change(w)
		}
		if s, err := l.Look(w); err != nil || s.Breaks != c.breaks {
			t.Errorf("%s: breaks %v, %v", name, s.Breaks, err)
		}
	}
}

func other(w *ingest.Whole) {
	t := *video
	t.SPS = [][]byte{{0x67, 0x64, 0, 0x28}}
	for i := range w.Frames {
		if w.Frames[i].Track == video {
			w.Frames[i].Track = &t
		}
	}
}

func silent(w *ingest.Whole) {
	var frames []ingest.Frame
	for _, f := range w.Frames {
		if f.Track == video {
			frames = append(frames, f)
		}
	}
	w.Frames = frames
}

// TestNotWhole: what cannot be passed on as it is says why.
func TestNotWhole(t *testing.T) {
	for says, change := range map[string]func(*ingest.Whole){
		"keyframe":       func(w *ingest.Whole) { w.Frames[0].Units = [][]byte{{0x41, 0x9A, 1}} },
		"parameter sets": func(w *ingest.Whole) { w.Frames[0].Units = w.Frames[0].Units[2:] },
		"do not rise":    func(w *ingest.Whole) { w.Frames[4].DTS = w.Frames[2].DTS },
		"neither":        func(w *ingest.Whole) { w.Frames = nil },
		"in the middle":  func(w *ingest.Whole) { half := *w; half.Frames = w.Frames[50:]; other(&half) },
	} {
		w := segment(0, 50)
		change(w)
		var l Line
		_, err := l.Look(w)
		if reason, ok := ingest.IsNotWhole(err); !ok || !strings.Contains(reason, says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestMade: a sender's clock is believed where it can be right.
func TestMade(t *testing.T) {
	arrival := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ said, want time.Time }{
		{time.Time{}, arrival.Add(-2 * time.Second)},
		{arrival.Add(-5 * time.Second), arrival.Add(-5 * time.Second)},
		{arrival.Add(time.Hour), arrival.Add(-2 * time.Second)},
		{arrival.Add(-48 * time.Hour), arrival.Add(-2 * time.Second)},
	} {
		if got := Made(&ingest.Whole{Duration: 2 * ingest.Clock, Wall: c.said}, arrival); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", c.said, got, c.want)
		}
	}
}

// TestShift: date ranges move with their segment, and are otherwise as they were.
func TestShift(t *testing.T) {
	said := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	lines := "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-03-01T12:00:00.500Z\",END-DATE=\"2026-03-01T13:00:00+01:00\",X-NOTE=\"START-DATE=2026\",SCTE35-OUT=0xFC\n"
	want := "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-03-01T12:00:10.500Z\",END-DATE=\"2026-03-01T12:00:10.000Z\",X-NOTE=\"START-DATE=2026\",SCTE35-OUT=0xFC\n"
	if got := Shift(lines, said, said.Add(10*time.Second)); got != want {
		t.Errorf("%s", got)
	}
	if got := Shift(lines, said, said); got != lines {
		t.Errorf("%s", got)
	}
}
