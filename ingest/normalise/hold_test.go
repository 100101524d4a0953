package normalise

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// TestHold checks how long the beginning of a connection is held, and that it comes out in its original order with its own times of
// arrival.
func TestHold(t *testing.T) {
	s := syntaxes(t)["H.264"]
	for _, tc := range []struct {
		name   string
		step   time.Duration // between two pictures
		held   int           // pictures that are held
		burst, // they come at once
		sound bool
	}{
		{"30 a second", 33 * time.Millisecond, learnPictures - 1, false, false},
		{"30 a second and sound", 33 * time.Millisecond, learnPictures - 1, false, true},
		{"5 a second", 200 * time.Millisecond, 3, false, true},
		{"one a second", time.Second, 1, false, false},
		{"a burst", 33 * time.Millisecond, learnPictures - 1, true, true},
		{"a burst of a slow one", time.Second, 1, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.configure(s.config())
			r.header(ascLC)
			var came []string
			for n := range 20 {
				ms := int64(n) * tc.step.Milliseconds()
				r.must(s.codec, ms, n == 0, s.slice(n == 0, true, n))
				came = append(came, fmt.Sprint(true, r.now.UnixMilli()))
				if n < tc.held && len(r.frames) != 0 || n >= tc.held && len(r.of(true)) != n+1 {
					t.Errorf("%d pictures after %d", len(r.of(true)), n+1)
				}
				if tc.sound {
					r.sound(ms, aac(n))
					came = append(came, fmt.Sprint(false, r.now.UnixMilli()))
				}
				if !tc.burst {
					r.pass(tc.step)
				}
			}
			r.end()
			var went []string
			for _, f := range r.frames {
				went = append(went, fmt.Sprint(f.Track.Codec.IsVideo(), f.Arrival.UnixMilli()))
			}
			if fmt.Sprint(came) != fmt.Sprint(went) {
				t.Errorf("they came as\n%v and went as\n%v", came, went)
			}
		})
	}
}

// TestSoundFirst checks that audio that comes long before the first picture is not held for it.
func TestSoundFirst(t *testing.T) {
	s := syntaxes(t)["H.265"]
	r := newRig(t, Options{})
	r.header(ascLC)
	for n := range 100 {
		r.sound(int64(20*n), aac(n))
	}
	if len(r.frames) != 100 {
		t.Fatalf("%d frames of sound", len(r.frames))
	}
	r.configure(s.config())
	for n := range 20 {
		r.must(s.codec, int64(2000+40*n), n == 0, s.slice(n == 0, true, n))
		r.sound(int64(2000+40*n), aac(n))
	}
	r.end()
	if len(r.frames) != 140 {
		t.Errorf("%d frames", len(r.frames))
	}
}

// TestHoldLimits checks that a beginning without pictures, or with very large ones, is not held without bound.
func TestHoldLimits(t *testing.T) {
	s := syntaxes(t)["H.264"]
	r := newRig(t, Options{})
	r.configure(s.config())
	for n := range learnMessages {
		if r.hold == nil && n > 0 {
			t.Fatalf("released after %d messages", n)
		}
		r.must(s.codec, 0, false, s.sei)
	}
	if r.hold != nil {
		t.Error("messages without a picture are held for ever")
	}
	r = newRig(t, Options{})
	r.configure(s.config())
	large := append(s.slice(true, true, 0), make([]byte, learnBytes/2)...)
	r.must(s.codec, 0, true, large)
	r.must(s.codec, 40, true, large)
	if len(r.frames) != 2 || !bytes.Equal(r.frames[1].Units[0], large) {
		t.Errorf("%d large frames", len(r.frames))
	}
}

// TestDirect checks that nothing is held for a source known to be well-behaved.
func TestDirect(t *testing.T) {
	s := syntaxes(t)["H.264"]
	r := newRig(t, Options{Direct: true})
	r.must(s.codec, 0, true, s.sets...)
	r.must(s.codec, 0, true, s.slice(true, true, 0))
	if len(r.frames) != 1 || len(r.frames[0].Units) != 3 {
		t.Errorf("%d frames", len(r.frames))
	}
}

// TestHeaderWhileHeld checks that a new configuration in the first moments does not apply to the pictures before it.
func TestHeaderWhileHeld(t *testing.T) {
	s := syntaxes(t)["H.264"]
	small := s.config()
	small.SPS = [][]byte{unhex(t, avcSmall)}
	r := newRig(t, Options{})
	r.configure(s.config())
	r.must(s.codec, 0, true, s.slice(true, true, 0))
	r.configure(s.config())
	r.must(s.codec, 40, false, s.slice(false, true, 1))
	r.configure(small)
	r.must(s.codec, 80, true, s.slice(true, true, 2))
	r.end()
	again := newRig(t, Options{})
	again.configure(s.config())
	again.must(s.codec, 0, true, s.slice(true, true, 0))
	again.header(ascLC)
	again.sound(80, aac(0))
	again.header("1190")
	again.sound(100, aac(1))
	again.end()
	v, a := r.of(true), again.of(false)
	if len(v) != 3 || v[0].Track.Width != 320 || v[1].Track != v[0].Track || v[2].Track.Width != 160 {
		t.Errorf("pictures %+v", v)
	}
	if len(a) != 2 || a[0].Track.SampleRate != 44100 || a[1].Track.SampleRate != 48000 {
		t.Errorf("sound %+v", a)
	}
}

// TestOffsets checks that PTS stays, and that DTS is lowered by one constant, the smallest possible, from the first picture on.
func TestOffsets(t *testing.T) {
	s := syntaxes(t)["H.264"]
	order := []int64{0, 3, 1, 2} // display order of four pictures: one deep reordering
	for _, tc := range []struct {
		name          string
		late          int64 // ms by which every DTS is too late
		lowered       int64 // ms
		from, pyramid int64
	}{
		{"right", -80, 0, 0, 0}, {"one frame", -40, 0, 0, 0}, {"all at once", 0, 40, 0, 0}, {"two frames", 80, 120, 0, 0}, {"later", 40, 80, 20, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.configure(s.config())
			for n := range int64(64) {
				ms := 40 * n
				shown := 40 * (n/4*4 + order[n%4])
				if n < tc.from { // no reordering yet
					shown = ms + tc.late
				}
				if err := r.video(s.codec, shown, ms+tc.late, n == 0, s.slice(n == 0, true, int(n))); err != nil {
					t.Fatal(err)
				}
				r.pass(40 * time.Millisecond)
			}
			r.end()
			if len(r.frames) != 64 {
				t.Fatalf("%d frames", len(r.frames))
			}
			for n, f := range r.frames {
				n := int64(n)
				shown := 40 * (n/4*4 + order[n%4])
				if n < tc.from {
					shown = 40*n + tc.late
				}
				off := f.PTS - shown*millisecond
				if tc.from > 0 && n >= tc.from && n < tc.from+4 && off > 0 && off < 5 {
					off = 0 // no other decoding time was left
				}
				if off != 0 || f.DTS > f.PTS || n > 0 && f.DTS <= r.frames[n-1].DTS {
					t.Errorf("picture %d is shown at %d, want %d, decoded at %d", n, f.PTS/millisecond, shown, f.DTS/millisecond)
				}
				if want := 40*n + tc.late - tc.lowered; (tc.from == 0 || n > tc.from+8) && f.DTS != want*millisecond {
					t.Errorf("picture %d is decoded at %d, want %d", n, f.DTS/millisecond, want)
				}
			}
		})
	}
}

// TestOffsetsTakeTime checks that pictures are held while offsets reach new lows, but not for long.
func TestOffsetsTakeTime(t *testing.T) {
	s := syntaxes(t)["H.264"]
	r := newRig(t, Options{})
	r.configure(s.config())
	for n := range int64(100) {
		if err := r.video(s.codec, 40*n-n, 40*n, n == 0, s.slice(n == 0, true, int(n))); err != nil {
			t.Fatal(err)
		}
		if n < learnOffsets-1 && len(r.frames) != 0 || n >= learnOffsets && len(r.frames) != int(n)+1 {
			t.Errorf("%d frames after %d", len(r.frames), n+1)
		}
	}
	for n, f := range r.frames {
		if n > 0 && f.DTS <= r.frames[n-1].DTS || f.PTS != int64(39*n)*millisecond && f.PTS != f.DTS {
			t.Errorf("picture %d: PTS %d, DTS %d", n, f.PTS, f.DTS)
		}
	}
	// A slow encoder is not waited for.
	r = newRig(t, Options{})
	r.configure(s.config())
	for n := range int64(5) {
		if err := r.video(s.codec, 1000*n-n, 1000*n, n == 0, s.slice(n == 0, true, int(n))); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Second)
	}
	if len(r.frames) != 5 {
		t.Errorf("%d frames of a slow encoder", len(r.frames))
	}
}

// TestNoAllocations checks that in the steady state what is passed on refers to the message and allocates nothing, whatever the encoder
// does.
func TestNoAllocations(t *testing.T) {
	for name, s := range syntaxes(t) {
		for _, split := range []bool{false, true} {
			st := New(discard{}, Options{Milliseconds: true})
			if err := st.VideoHeader(s.config()); err != nil {
				t.Fatal(err)
			}
			if err := st.AudioHeader(unhex(t, ascLC), time.Time{}); err != nil {
				t.Fatal(err)
			}
			key := Video{Codec: s.codec, Units: append(append([][]byte{s.delimiter}, s.sets...), s.slice(true, true, 0)), Key: true}
			more := Video{Codec: s.codec, Units: [][]byte{s.slice(true, false, 1)}}
			sets := Video{Codec: s.codec, Units: s.sets}
			sound := Audio{Codec: ingest.AAC, Data: aac(0)}
			now := time.Unix(0, 0)
			n := int64(0)
			round := func() {
				n++
				now = now.Add(40 * time.Millisecond)
				for _, m := range []*Video{&key, &more, &sets} {
					m.PTS, m.DTS, m.Arrival = 3600*n, 3600*n, now
				}
				sound.PTS, sound.Arrival = 3600*n, now
				err := st.Video(&key)
				if split {
					_ = st.Video(&more)
					_ = st.Video(&sets)
				}
				if err2 := st.Audio(&sound); err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
			}
			for range 100 {
				round()
			}
			if n := testing.AllocsPerRun(1000, round); n != 0 {
				t.Errorf("%s: %v allocations, in several messages: %t", name, n, split)
			}
		}
	}
}

type discard struct{}

func (discard) WriteFrame(*ingest.Frame) error { return nil }

// TestFlushGivesMemoryBack checks that a connection leaves no memory claimed when it ends, even if the sink refuses its frames, whichever
// of them it refuses first.
func TestFlushGivesMemoryBack(t *testing.T) {
	for name, s := range syntaxes(t) {
		for good := range 6 {
			memory := ingest.NewMemory(1 << 20)
			r := newRig(t, Options{Memory: memory})
			taken := 0
			r.sink = sinkFunc(func(*ingest.Frame) error {
				if taken++; taken > good {
					return ingest.ErrReplaced
				}
				return nil
			})
			r.configure(s.config())
			if err := r.AudioHeader(unhex(t, ascLC), r.now); err != nil {
				t.Fatal(err)
			}
			for n := range 2 {
				r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, true, n))
				r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, false, n))
				if err := r.Audio(&Audio{Codec: ingest.AAC, PTS: int64(40*n) * millisecond, Data: bytes.Repeat([]byte{0x21}, 40), Arrival: r.now}); err != nil {
					t.Fatal(err)
				}
			}
			if memory.Used() == 0 {
				t.Fatal("nothing is held")
			}
			_ = r.Flush()
			if n := memory.Used(); n != 0 {
				t.Errorf("%s: after %d frames the sink refuses: %d bytes are never given back", name, good, n)
			}
		}
	}
}

type sinkFunc func(*ingest.Frame) error

func (f sinkFunc) WriteFrame(frame *ingest.Frame) error { return f(frame) }
