package segmenter

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// A segment begins where the bitstream says that a decoder may begin. What the encoder says of it counts for nothing.

// cutsAt holds that all segments but the first begin with pictures of which at is true, and that all of the frames came out.
func (s *stage) cutsAt(stream string, at func(f *sentFrame) bool) {
	s.t.Helper()
	sent := map[int64]*sentFrame{}
	for i := range s.sent[stream] {
		if f := &s.sent[stream][i]; f.video() {
			sent[f.id] = f
		}
	}
	rows := s.tape(stream).rows
	for i := range rows {
		if rows[i].Gap || len(rows[i].segment.units[astVideo]) == 0 {
			continue
		}
		if first := sent[rows[i].segment.units[astVideo][0].id]; i > 0 && !at(first) {
			s.twice(stream, "%d begins with picture %d, of which a decoder knows nothing", rows[i].Sequence, first.id)
		}
	}
	s.whole(stream, nil)
}

// TestFlagIsNoKeyframe marks pictures as keyframes that are none, and keyframes not at all: with an IDR every 2 s, cuts fall
// on IDRs.
func TestFlagIsNoKeyframe(t *testing.T) {
	flags := map[string]func(n int64) bool{
		"every picture":  func(int64) bool { return true },
		"none":           func(int64) bool { return false },
		"the one before": func(n int64) bool { return n%50 == 49 },
		"the one behind": func(n int64) bool { return n%50 == 1 },
		"every second":   func(n int64) bool { return n%25 == 0 },
		"some":           func(n int64) bool { return n%7 == 3 },
	}
	for name, flag := range flags {
		for _, codec := range []ingest.Codec{ingest.H264, ingest.H265} {
			for _, audio := range []string{"aac", ""} {
				shape := encoderShape{codec: codec, gop: 50, flag: flag, audio: audio}
				t.Run(fmt.Sprintf("%s/%v/%s", name, codec, audio), func(t *testing.T) {
					s := newStage(t, AppOptions{})
					s.play(on("cam", shape.frames(16*time.Second)))
					s.finish()
					s.steady("cam", &shape)
					s.cutsAt("cam", func(f *sentFrame) bool { return f.begins })
				})
			}
			shape := encoderShape{codec: codec, gop: 50, flag: flag, audio: "aac"}
			t.Run(fmt.Sprintf("%s/%v/in a ladder", name, codec), func(t *testing.T) {
				s := newStage(t, ladderOptions())
				s.play(rungsApart(shape.frames(12*time.Second), 5*time.Millisecond))
				s.finish()
				(&ladder{rig: s.rig}).aligned()
				for _, name := range ladderRungs {
					s.steady(name, &shape)
				}
			})
		}
	}
}

// TestFlagsAlone is an encoder that marks pictures and says nothing of them in the bitstream: they are cut as pictures
// without any mark are, at the last moment, and nothing claims that they are independent.
func TestFlagsAlone(t *testing.T) {
	for _, codec := range []ingest.Codec{ingest.H264, ingest.H265} {
		t.Run(codec.String(), func(t *testing.T) {
			marked := encoderShape{codec: codec, gop: 50, keys: keyNone, audio: "aac"}
			silent := marked
			silent.flag = func(int64) bool { return false }
			var rows [2][]tapeRow
			for i, shape := range []encoderShape{marked, silent} {
				s := newStage(t, AppOptions{})
				s.play(on("cam", shape.frames(40*time.Second)))
				s.finish()
				s.laws("cam", shape.longest())
				s.whole("cam", nil)
				if n := s.reg.Stats().ForcedCuts.Load(); n == 0 {
					t.Error("no forced cut")
				}
				rows[i] = s.tape("cam").rows
			}
			same := func(a, b tapeRow) bool { return a.Duration == b.Duration && a.Independent == b.Independent }
			if !slices.EqualFunc(rows[0], rows[1], same) {
				t.Errorf("with marks %s, without %s", durations(rows[0]), durations(rows[1]))
			}
		})
	}
}

func durations(rows []tapeRow) (s string) {
	for _, row := range rows {
		s += fmt.Sprintf(" %.3f", cut.Duration(row.Duration).Seconds())
	}
	return s
}

// TestRecoveryPoints holds when a recovery point begins a segment: where no IDR comes in time, and not between IDRs.
func TestRecoveryPoints(t *testing.T) {
	t.Run("no IDR but the first", func(t *testing.T) {
		for _, keys := range []keyKind{keyRecovery, keyRecoveryOpen, keyRecoverySlow} {
			shape := encoderShape{codec: ingest.H264, gop: 48, num: 24, den: 1, keys: keys, audio: "aac"}
			if keys == keyRecoveryOpen {
				shape.between = 3
			}
			// The flag must not matter.
			for name, flag := range map[string]func(int64) bool{"marked": nil, "not marked": func(int64) bool { return false }, "all marked": func(int64) bool { return true }} {
				shape.flag = flag
				t.Run(fmt.Sprintf("%d/%s", keys, name), func(t *testing.T) {
					s := newStage(t, AppOptions{})
					s.play(on("cam", shape.frames(40*time.Second)))
					s.finish()
					s.noForced()
					s.laws("cam", shape.longest())
					s.cutsAt("cam", func(f *sentFrame) bool { return f.begins })
				})
			}
		}
	})
	t.Run("between IDRs", func(t *testing.T) {
		shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
		frames := on("cam", shape.frames(40*time.Second))
		for i := range frames {
			if f := &frames[i]; f.video() && f.id%10 == 5 {
				f.Key, f.Units = true, append([][]byte{recoveryPoint(0)}, f.Units...)
			}
		}
		s := newStage(t, AppOptions{})
		s.play(frames)
		s.finish()
		s.steady("cam", &shape)
		s.cutsAt("cam", func(f *sentFrame) bool { return f.begins })
	})
	t.Run("in a ladder", func(t *testing.T) {
		shape := encoderShape{codec: ingest.H264, gop: 50, keys: keyRecovery, audio: "aac", flag: func(int64) bool { return false }}
		s := newStage(t, ladderOptions())
		s.play(rungsApart(shape.frames(30*time.Second), 5*time.Millisecond))
		l := &ladder{rig: s.rig}
		l.aligned()
		if n := len(l.master().Variants); n != len(ladderRungs) {
			t.Errorf("%d variants", n)
		}
		s.finish()
		s.noForced()
		for _, name := range ladderRungs {
			s.laws(name, shape.longest())
			s.cutsAt(name, func(f *sentFrame) bool { return f.begins })
		}
	})
}

// TestIndependence holds what may be called independent, by what a segment begins with.
func TestIndependence(t *testing.T) {
	for _, tc := range []struct {
		name    string
		keys    keyKind
		codec   ingest.Codec
		between int64
		alone   bool
	}{
		{"IDR", keyIDR, ingest.H264, 0, true},
		{"IDR and B-pictures", keyIDR, ingest.H264, 3, true},
		{"IDR of H.265", keyIDR, ingest.H265, 3, true},
		{"CRA", keyCRA, ingest.H265, 0, true},
		{"CRA and RASL", keyCRASkipped, ingest.H265, 3, false},
		{"CRA and one RASL", keyCRASkipped, ingest.H265, 1, false},
		{"IDR and RADL", keyCRADecodable, ingest.H265, 3, true},
		{"recovery point", keyRecovery, ingest.H264, 0, true},
		{"recovery point and leading pictures", keyRecoveryOpen, ingest.H264, 3, false},
		{"gradual refresh", keyRecoverySlow, ingest.H264, 0, false},
	} {
		shape := encoderShape{codec: tc.codec, num: 24, den: 1, gop: 48, keys: tc.keys, between: tc.between, audio: "aac"}
		t.Run(tc.name, func(t *testing.T) {
			s := newStage(t, AppOptions{Window: 20 * time.Second})
			s.every = func() { s.playlists("cam") }
			s.play(on("cam", shape.frames(30*time.Second)))
			snap := s.snap("cam")
			if m, err := m3u8.ParseMaster(snap.Entry.Body); err != nil || m.IndependentSegments != tc.alone {
				t.Errorf("%v, EXT-X-INDEPENDENT-SEGMENTS in\n%s", err, snap.Entry.Body)
			}
			s.finish()
			rows := s.tape("cam").rows
			for i := range rows[2:] {
				if row := &rows[2+i]; row.Independent != tc.alone {
					s.twice("cam", "%d is independent: %v", row.Sequence, row.Independent)
				}
			}
			s.laws("cam", shape.longest())
		})
		t.Run(tc.name+" in a rung", func(t *testing.T) {
			s := newStage(t, AppOptions{Window: 20 * time.Second, Groups: map[string][]string{"show": ladderRungs}})
			plain := encoderShape{codec: ingest.H264, num: 24, den: 1, gop: 48, audio: "aac"}
			s.every = func() { s.master("show") }
			s.play(together(on(ladderRungs[0], plain.frames(30*time.Second)), on(ladderRungs[1], shownInStep(shape.frames(30*time.Second))),
				on(ladderRungs[2], plain.frames(30*time.Second))))
			if n := len((&ladder{rig: s.rig}).master().Variants); n != 3 {
				t.Errorf("%d variants", n)
			}
			if m := s.master("show"); m.IndependentSegments != tc.alone {
				t.Errorf("EXT-X-INDEPENDENT-SEGMENTS is %v in the multivariant playlist", m.IndependentSegments)
			}
		})
	}
}

// shownInStep lets pictures be shown at the time at which they would be were none reordered, as the rungs of one encoder are.
func shownInStep(frames []sentFrame) []sentFrame {
	frames = slices.Clone(frames)
	delay := int64(-1)
	for i := range frames {
		if f := &frames[i]; f.video() {
			if delay < 0 {
				delay = f.PTS - f.DTS
			}
			f.PTS -= delay
			f.DTS -= delay
		}
	}
	return frames
}

// master is a ladder's multivariant playlist, whose tag for independent segments is held against those that its variants
// list; so is that of the timestamped one. nil where there is none yet.
func (s *stage) master(name string) *m3u8.Master {
	s.t.Helper()
	tl := s.reg.Timeline("live", name)
	if tl == nil || tl.Snapshot().Entry == nil {
		return nil
	}
	live, err := m3u8.ParseMaster(tl.Snapshot().Entry.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	whole, err := m3u8.ParseMaster(tl.Snapshot().Archive().Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for what, m := range map[string]*m3u8.Master{"live": live, "timestamped": whole} {
		alone := true
		for _, v := range m.Variants {
			for _, rung := range ladderRungs {
				snap := s.reg.Timeline("live", rung)
				if snap == nil || len(v.URI) < len(rung) || v.URI[:len(rung)] != rung {
					continue
				}
				rows := snap.Snapshot().Rows
				if what == "live" {
					rows = rows[snap.Snapshot().First:]
				}
				alone = alone && independent(rows)
			}
		}
		if m.IndependentSegments && !alone {
			s.once("%s: the %s playlist says that all segments are independent", name, what)
		}
	}
	return live
}

// TestDependentSegmentLeavesTheWindow holds that the tag comes back when the last segment that is not independent has left
// the playlist.
func TestDependentSegmentLeavesTheWindow(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac", isKey: func(n int64) bool { return n%50 == 0 && (n < 500 || n > 800) }}
	s := newStage(t, AppOptions{Window: 20 * time.Second})
	s.every = func() { s.playlists("cam") }
	s.play(on("cam", shape.frames(90*time.Second)))
	snap := s.snap("cam")
	if m, err := m3u8.ParseMaster(snap.Entry.Body); err != nil || !m.IndependentSegments || independent(snap.Rows) {
		t.Errorf("%v, all independent: %v in\n%s", err, independent(snap.Rows), snap.Entry.Body)
	}
}

// TestJumpLosesNothing lets the time stamps of all tracks jump at one instant, as they do when the encoder's clock is set:
// every picture can be decoded still, and none is lost. What follows begins a segment behind a discontinuity, be it an IDR
// or not.
func TestJumpLosesNothing(t *testing.T) {
	shapes := []encoderShape{
		{name: "H.264", codec: ingest.H264, gop: 50, audio: "aac"},
		{name: "H.265 with B-pictures", codec: ingest.H265, num: 30, den: 1, gop: 60, between: 3, audio: "aac44"},
		{name: "picture alone", codec: ingest.H264, gop: 50, between: 1},
		{name: "sound alone", audio: "aac"},
		{name: "H.264 with MP3", codec: ingest.H264, gop: 50, audio: "mp3", base: 400 * Clock},
	}
	for _, by := range []time.Duration{-100 * time.Second, -1500 * time.Millisecond, 2500 * time.Millisecond, 30 * time.Second, 27 * time.Hour} {
		for _, at := range []time.Duration{12 * time.Second, 12480 * time.Millisecond, 13900 * time.Millisecond} {
			for _, shape := range shapes {
				frames := jump(shape.frames(24*time.Second), at, codec.Ticks(by))
				t.Run(fmt.Sprintf("%s/by %v at %v", shape.name, by, at), func(t *testing.T) {
					s := newStage(t, AppOptions{})
					s.play(on("cam", frames))
					s.finish()
					s.jumped("cam", at)
					if n := s.reg.Stats().Frames.Load(); n != int64(len(frames)) {
						t.Errorf("%d frames written of %d", n, len(frames))
					}
				})
			}
			if by != 30*time.Second && by != -100*time.Second {
				continue
			}
			shape := shapes[0]
			frames := jump(shape.frames(24*time.Second), at, codec.Ticks(by))
			t.Run(fmt.Sprintf("ladder/by %v at %v", by, at), func(t *testing.T) {
				s := newStage(t, ladderOptions())
				s.play(rungs(frames))
				l := &ladder{rig: s.rig}
				l.aligned()
				if n := len(l.master().Variants); n != len(ladderRungs) {
					t.Errorf("%d variants", n)
				}
				s.finish()
				for _, name := range ladderRungs {
					s.jumped(name, at)
				}
			})
		}
	}
}

// jumped holds that one jump, of what came from at on, made one discontinuity and lost nothing.
func (s *stage) jumped(stream string, at time.Duration) {
	s.t.Helper()
	s.whole(stream, nil)
	t := s.tape(stream)
	breaks := t.breaks()
	if len(breaks) != 1 || t.gaps() != 0 || len(t.recordings) != 1 {
		s.t.Errorf("%s: %d discontinuities, %d gaps, %d recordings", stream, len(breaks), t.gaps(), len(t.recordings))
	}
	for _, row := range breaks {
		units := row.segment.units[astVideo]
		kind := astVideo
		if len(units) == 0 {
			units, kind = row.segment.units[astAudio], astAudio
		}
		i := slices.IndexFunc(s.sent[stream], func(f sentFrame) bool { return f.kind() == kind && f.at >= at })
		if len(units) == 0 {
			s.t.Errorf("%s: nothing follows the discontinuity", stream)
			continue
		}
		if want := &s.sent[stream][i]; units[0].id != want.id || row.Independent != want.begins {
			s.t.Errorf("%s: what follows the discontinuity begins with %d and is independent: %v; the jump is at %d, where a decoder may begin: %v",
				stream, units[0].id, row.Independent, want.id, want.begins)
		}
	}
}

// TestManyJumpsLoseNothing is a clock that is set every few seconds, to and fro.
func TestManyJumpsLoseNothing(t *testing.T) {
	for _, shape := range []encoderShape{
		{name: "H.264", codec: ingest.H264, gop: 50, audio: "aac", base: 1000 * Clock},
		{name: "H.265", codec: ingest.H265, gop: 50, between: 1, audio: "aac44", base: 1000 * Clock},
		{name: "sound alone", audio: "mp3", base: 1000 * Clock},
	} {
		t.Run(shape.name, func(t *testing.T) {
			frames := shape.frames(time.Minute)
			for i, at := range []time.Duration{5 * time.Second, 9300 * time.Millisecond, 20 * time.Second, 21400 * time.Millisecond, 40 * time.Second} {
				frames = jump(frames, at, []int64{50, -20, 7, -300, 1000}[i]*Clock)
			}
			s := newStage(t, AppOptions{})
			s.play(on("cam", frames))
			s.finish()
			s.whole("cam", nil)
			if n := len(s.tape("cam").breaks()); n != 5 {
				t.Errorf("%d discontinuities", n)
			}
		})
	}
}

// TestCompositionOffsetChanges holds the target duration where pictures are shown later from one keyframe on, as after a
// change of the encoder's settings, whatever kind of keyframe it is.
func TestCompositionOffsetChanges(t *testing.T) {
	for _, tc := range []struct {
		codec ingest.Codec
		keys  keyKind
	}{{ingest.H264, keyIDR}, {ingest.H265, keyIDR}, {ingest.H265, keyCRA}, {ingest.H264, keyRecovery}} {
		for _, by := range []int64{3600, Clock / 2, Clock, 2 * Clock, -Clock / 2} {
			t.Run(fmt.Sprintf("%v/%d/by %v", tc.codec, tc.keys, cut.Duration(by)), func(t *testing.T) {
				shape := encoderShape{codec: tc.codec, keys: tc.keys, gop: 10, audio: "aac"}
				frames := on("cam", shape.frames(20*time.Second))
				for i := range frames {
					f := &frames[i]
					if f.video() {
						f.PTS += Clock
					}
					if f.video() && f.id >= 250 {
						f.PTS += by
					}
				}
				s := newStage(t, AppOptions{SegmentDuration: time.Second})
				s.play(frames)
				s.finish()
				fits(t, s.snap("cam"))
				s.whole("cam", nil)
				if n := len(s.tape("cam").breaks()); n > 1 {
					t.Errorf("%d discontinuities", n)
				}
			})
		}
	}
}
