package normalise

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// play sends 25 pictures a second and audio for some seconds, or until there is an error.
func play(r *rig, s *syntax, seconds int, video func(n int) error, sound func(n int) error) error {
	for n := range 25 * seconds {
		for _, send := range []func(int) error{video, sound} {
			if send == nil {
				continue
			}
			if err := send(n); err != nil {
				return err
			}
		}
		r.pass(40 * time.Millisecond)
	}
	return nil
}

// TestStandsStill checks that timestamps which do not advance are refused, in words that name the track and the time.
func TestStandsStill(t *testing.T) {
	for name, s := range syntaxes(t) {
		for _, track := range []string{"video", "audio"} {
			r := newRig(t, Options{Milliseconds: true})
			r.configure(s.config())
			r.header(ascLC)
			at := func(n int, of string) int64 {
				if of == track && n > 6 {
					return 240 + int64(n%3)*9
				}
				return int64(40 * n)
			}
			err := play(r, &s, 20, func(n int) error {
				return r.video(s.codec, at(n, "video"), at(n, "video"), n == 0, s.slice(n == 0, true, n))
			}, func(n int) error {
				return r.Audio(&Audio{Codec: ingest.AAC, Data: aac(n), PTS: at(n, "audio") * millisecond, Arrival: r.now})
			})
			var refusal *ingest.Refusal
			if !errors.As(err, &refusal) || refusal.Kind != ingest.Unsupported || !strings.Contains(refusal.Reason, "the "+track+"'s time stamps stand still at 0.2") {
				t.Errorf("%s: %v", name, err)
			}
			if took := r.now.Sub(time.Unix(1_000_000, 0)); took > 6*time.Second {
				t.Errorf("%s: refused after %v", name, took)
			}
		}
	}
}

// TestTwoClocks checks that a track on another time base is aligned with the other, once, with a log line and a count, and that a track
// which is merely early or late is not.
func TestTwoClocks(t *testing.T) {
	s := syntaxes(t)["H.264"]
	for _, tc := range []struct {
		name        string
		video       int64 // ms: added to the video's timestamps
		jump        int64 // ms: added to both from the tenth second on, to the audio 100 ms later
		moved       int64
		apart, line int64 // ms: video behind audio, and the last picture
	}{
		{"one clock", 0, 0, 0, 0, 9960},
		{"video from an hour on", 3_600_000, 0, 1, 0, 3_609_960},
		{"video 5 s early", 5000, 0, 0, 5000, 14960},
		{"video 5 s late", -5000, 0, 0, -5000, 4960},
		{"both jump", 0, 1_000_000, 2, 0, 9960},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Options{Milliseconds: true})
			r.configure(s.config())
			r.header(ascLC)
			err := play(r, &s, 10, func(n int) error {
				ms := int64(40*n) + tc.video
				if n >= 125 {
					ms += tc.jump
				}
				return r.video(s.codec, ms, ms, n%25 == 0, s.slice(n%25 == 0, true, n))
			}, func(n int) error {
				ms := int64(40 * n)
				if n >= 128 {
					ms += tc.jump
				}
				return r.Audio(&Audio{Codec: ingest.AAC, Data: aac(n), PTS: ms * millisecond, Arrival: r.now})
			})
			if err != nil {
				t.Fatal(err)
			}
			v, a := r.of(true), r.of(false)
			if len(v) != 250 || len(a) != 250 {
				t.Fatalf("%d pictures, %d of sound", len(v), len(a))
			}
			for n := range v {
				off := v[n].DTS - a[n].DTS - tc.apart*millisecond
				if off > 2*millisecond || off < -2*millisecond {
					t.Fatalf("picture %d is %d ms behind its sound, want %d", n, (v[n].DTS-a[n].DTS)/millisecond, tc.apart)
				}
				if n > 0 && (v[n].DTS <= v[n-1].DTS || a[n].DTS <= a[n-1].DTS) {
					t.Fatalf("frame %d goes back", n)
				}
			}
			if got := v[249].DTS / millisecond; got < tc.line-50 || got > tc.line+50 {
				t.Errorf("the last picture is at %d ms, want %d", got, tc.line)
			}
			if n := r.ledger.Video.Moved.Load() + r.ledger.Audio.Moved.Load(); n != tc.moved {
				t.Errorf("moved %d times", n)
			}
			if n := strings.Count(r.said.String(), "two clocks"); n != int(min(tc.moved, 1)) {
				t.Errorf("said %d times: %s", n, r.said.String())
			}
		})
	}
	// A protocol that aligned its tracks itself is left alone.
	r := newRig(t, Options{Placed: true})
	r.configure(s.config())
	r.header(ascLC)
	r.sound(0, aac(0))
	r.must(s.codec, 3_600_000, true, s.slice(true, true, 0))
	r.end()
	if v := r.of(true); len(v) != 1 || v[0].DTS != 3_600_000*millisecond {
		t.Errorf("%+v", v)
	}
}

// TestNothingVanishes checks that a track whose frames arrive but are not used is named once, with its cause, and that a publisher from
// whom nothing is used is refused.
func TestNothingVanishes(t *testing.T) {
	s := syntaxes(t)["H.264"]
	lost := func(r *rig) func(int) error {
		return func(n int) error {
			return r.video(s.codec, int64(40*n), int64(40*n), n == 0, s.slice(n%50 == 0, true, n))
		}
	}
	for _, tc := range []struct {
		name    string
		sound   bool
		refused string
	}{{"video without sets, sound", true, ""}, {"video without sets", false, "video: no usable sequence header"}} {
		r := newRig(t, Options{Milliseconds: true})
		r.header(ascLC)
		sound := func(n int) error {
			return r.Audio(&Audio{Codec: ingest.AAC, Data: aac(n), PTS: int64(40*n) * millisecond, Arrival: r.now})
		}
		if !tc.sound {
			sound = nil
		}
		err := play(r, &s, 30, lost(r), sound)
		if (err == nil) != (tc.refused == "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if n := strings.Count(r.said.String(), "track=video reason=no_header"); n != 1 {
			t.Errorf("%s: said %d times: %s", tc.name, n, r.said.String())
		}
		if p := r.ledger.Problem(); !strings.HasPrefix(p, "video: no usable sequence header") {
			t.Errorf("%s: the problem is %q", tc.name, p)
		}
		if err != nil {
			continue
		}
		r.configure(s.config()) // at last
		_ = play(r, &s, 3, func(n int) error { return lost(r)(n + 750) }, func(n int) error { return sound(n + 750) })
		if p := r.ledger.Problem(); p != "" {
			t.Errorf("%s: the problem is still %q", tc.name, p)
		}
	}
	// Tags that the protocol itself cannot read count as well.
	r := newRig(t, Options{})
	var err error
	for n := 0; n < 30*25 && err == nil; n++ {
		err = r.Drop(ingest.H265, ingest.Malformed, r.now)
		r.pass(40 * time.Millisecond)
	}
	if err == nil || !strings.Contains(err.Error(), "video: its bytes do not add up") {
		t.Errorf("%v", err)
	}
}

// TestLeftOut checks that audio which cannot be carried is named once, and that the problem shows what was found.
func TestLeftOut(t *testing.T) {
	s := syntaxes(t)["H.264"]
	r := newRig(t, Options{Milliseconds: true})
	r.configure(s.config())
	err := play(r, &s, 30, func(n int) error {
		return r.video(s.codec, int64(40*n), int64(40*n), n%25 == 0, s.slice(n%25 == 0, true, n))
	}, func(int) error {
		return r.Uncarried(ingest.Refuse(ingest.Unsupported, "Opus audio is not supported"), r.now)
	})
	if n := strings.Count(r.said.String(), "level=WARN"); err != nil || n != 1 || len(r.of(true)) != 750 {
		t.Errorf("%v, %d pictures, said %s", err, len(r.of(true)), r.said.String())
	}
	if p := r.ledger.Problem(); p != "audio: Opus audio is not supported" {
		t.Errorf("the problem is %q", p)
	}
}

// TestExtraTrack checks that the frames of a second track are counted, and that the track is named once.
func TestExtraTrack(t *testing.T) {
	r := newRig(t, Options{})
	for n := range 100 {
		if err := r.ExtraTrack(ingest.AAC, n > 0, r.now); err != nil {
			t.Fatal(err)
		}
	}
	r.dropped(&r.ledger.Audio, map[ingest.Reason]int64{ingest.ExtraTrack: 99})
	if n := strings.Count(r.said.String(), "several tracks"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// TestSinkError checks that the sink's error comes back from every entry point.
func TestSinkError(t *testing.T) {
	over := errors.New("over")
	s := syntaxes(t)["H.264"]
	for name, way := range map[string]func(r *rig) error{
		"a picture": func(r *rig) error {
			for n := range 20 {
				if err := r.video(s.codec, int64(40*n), int64(40*n), n == 0, s.slice(n == 0, true, n)); err != nil {
					return err
				}
			}
			return nil
		},
		"a flush": func(r *rig) error {
			r.must(s.codec, 0, true, s.slice(true, true, 0))
			return r.Flush()
		},
		"sound": func(r *rig) error {
			return r.Audio(&Audio{Codec: ingest.AAC, Data: aac(0), Arrival: r.now})
		},
		"ADTS": func(r *rig) error {
			return r.Audio(&Audio{Codec: ingest.AAC, Data: adtsOf(t, ascLC, aac(0)), Arrival: r.now})
		},
		"MP3": func(r *rig) error {
			return r.Audio(&Audio{Codec: ingest.MP3, Data: append(unhex(t, "fffb9000"), make([]byte, 413)...), Arrival: r.now})
		},
		"a new header": func(r *rig) error {
			r.must(s.codec, 0, true, s.slice(true, true, 0))
			small := s.config()
			small.SPS[0] = unhex(t, avcSmall)
			return r.Stream.VideoHeader(small)
		},
	} {
		r := newRig(t, Options{})
		r.configure(s.config())
		r.header(ascLC)
		r.err = over
		if err := way(r); !errors.Is(err, over) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCompany checks what the first track says about the other: that it will come, that it will not, or nothing.
func TestCompany(t *testing.T) {
	s := syntaxes(t)["H.265"]
	for name, tc := range map[string]struct {
		hints       Hints
		header      bool // of the other track
		opus        bool
		alone, both bool
	}{
		"nothing known":             {Hints{}, false, false, false, false},
		"alone":                     {Hints{HasVideo: true}, false, false, true, false},
		"both announced":            {Hints{HasVideo: true, HasAudio: true}, false, false, false, true},
		"a header of the other":     {Hints{}, true, false, false, true},
		"the other is left out":     {Hints{HasVideo: true, HasAudio: true}, false, true, true, false},
		"announced alone, but sent": {Hints{HasVideo: true}, true, false, true, false},
	} {
		r := newRig(t, Options{Direct: true})
		r.Hint(tc.hints)
		if tc.header {
			r.header(ascLC)
		}
		if tc.opus {
			if err := r.Uncarried(ingest.Refuse(ingest.Unsupported, "Opus"), r.now); err != nil {
				t.Fatal(err)
			}
		}
		r.configure(s.config())
		r.must(s.codec, 0, true, s.slice(true, true, 0))
		if got := r.frames[0].Track; got.Alone != tc.alone || got.Both != tc.both {
			t.Errorf("%s: alone %t, both %t", name, got.Alone, got.Both)
		}
		if tc.opus || tc.hints.HasVideo && !tc.hints.HasAudio {
			continue
		}
		// The same for audio.
		r = newRig(t, Options{Direct: true})
		r.Hint(tc.hints)
		r.header(ascLC)
		if tc.header {
			r.configure(s.config())
		}
		r.sound(0, aac(0))
		if got := r.frames[0].Track; got.Alone != tc.alone || got.Both != tc.both {
			t.Errorf("%s: alone %t, both %t, of sound", name, got.Alone, got.Both)
		}
	}
}
