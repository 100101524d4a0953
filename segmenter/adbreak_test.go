package segmenter

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// An ad break stands in all rungs of a ladder at the same number, with the same words, and who begins to watch within it is told of it.
func TestLadderHasOneAdBreak(t *testing.T) {
	s := newStage(t, AppOptions{Groups: map[string][]string{"show": ladderRungs}, Window: 8 * time.Second, SegmentDuration: 2 * time.Second})
	shape := encoderShape{codec: ingest.H264, isKey: func(n int64) bool { return n%50 == 0 }, audio: "aac"}
	frames := rungs(shape.frames(60 * time.Second))
	cut := func(at time.Duration) int {
		return slices.IndexFunc(frames, func(f sentFrame) bool { return f.at >= at })
	}
	first, within := cut(11*time.Second), cut(31*time.Second)
	s.play(frames[:first])
	show := Key{"live", "show"}
	if _, err := s.reg.Cue(Key{"live", ladderRungs[1]}, "x", time.Minute); !errors.Is(err, ErrRung) {
		t.Errorf("in a rung alone: %v", err)
	}
	if _, err := s.reg.Cue(Key{"live", "nobody"}, "x", time.Minute); !errors.Is(err, ErrNotLive) {
		t.Errorf("of nobody: %v", err)
	}
	for _, lasts := range []time.Duration{0, time.Millisecond, 25 * time.Hour} {
		if _, err := s.reg.Cue(show, "x", lasts); !errors.Is(err, ErrCueShort) {
			t.Errorf("of %v: %v", lasts, err)
		}
	}
	number, err := s.reg.Cue(show, "ad", 24*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.reg.Cue(show, "other", 24*time.Second); !errors.Is(err, ErrCueRuns) {
		t.Errorf("within another: %v", err)
	}
	s.play(frames[first:within])
	for _, name := range ladderRungs {
		snap := s.snap(name)
		m, err := m3u8.ParseMedia(snap.Live.Body)
		if err != nil || m.MediaSequence <= number || strings.Count(string(snap.Live.Body), "SCTE35-OUT") != 1 {
			t.Errorf("%s: who begins within the break: %v\n%s", name, err, snap.Live.Body)
		}
	}
	s.play(frames[within:])
	var lines []string
	for _, name := range ladderRungs {
		snap, own := s.snap(name), ""
		for i, e := range snap.Rows {
			own += e.Cues
			if (e.Running != "") != (e.Sequence > number && e.Sequence < number+12) || (e.Cues != "") != (e.Sequence == number || e.Sequence == number+12) {
				t.Errorf("%s: row %d: %q, %q", name, i, e.Cues, e.Running)
			}
		}
		lines = append(lines, own)
		body := string(snap.Archive().Body)
		for line := range strings.Lines(own) {
			if strings.Count(body, line) != 1 {
				t.Errorf("%s: %q stands %d times in the timestamped playlist", name, line, strings.Count(body, line))
			}
		}
		if strings.Contains(string(snap.Live.Body), "DATERANGE") {
			t.Errorf("%s: what is over is still told\n%s", name, snap.Live.Body)
		}
	}
	if lines[0] == "" || lines[1] != lines[0] || lines[2] != lines[0] || !strings.Contains(lines[0], "DURATION=24.000") {
		t.Errorf("%q", lines)
	}
	s.end()
	if _, err := s.reg.Cue(show, "late", time.Minute); !errors.Is(err, ErrNotLive) {
		t.Errorf("after the end: %v", err)
	}
}

// A break that a crash interrupts ends after it, though the numbers that were lost tell nothing of it.
func TestAdBreakAfterACrash(t *testing.T) {
	s := newStage(t, AppOptions{SegmentDuration: 2 * time.Second})
	shape := encoderShape{codec: ingest.H264, isKey: func(n int64) bool { return n%50 == 0 }, audio: "aac"}
	frames := on("cam", shape.frames(40*time.Second))
	first := slices.IndexFunc(frames, func(f sentFrame) bool { return f.at >= 7*time.Second })
	second := slices.IndexFunc(frames, func(f sentFrame) bool { return f.at >= 13*time.Second })
	s.play(frames[:first])
	number, err := s.reg.Cue(Key{"live", "cam"}, "ad", 14*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	s.play(frames[first:second])
	was := s.snap("cam")
	if last := was.Rows[len(was.Rows)-1]; last.Sequence <= number || last.Running == "" {
		t.Fatalf("%+v", last)
	}
	again := newStage(t, AppOptions{SegmentDuration: 2 * time.Second})
	again.now = s.now
	rec := Recovered{Key: was.Key, Recording: was.Recording, TargetDuration: was.TargetDuration, Base: was.Base, Rows: slices.Clone(was.Rows), Next: was.Next() + 2, Variant: was.Variant, LastFrame: s.now}
	if err := again.reg.Restore(rec); err != nil {
		t.Fatal(err)
	}
	again.play(frames[second:])
	ends := 0
	snap := again.snap("cam")
	for _, e := range snap.Rows {
		ends += strings.Count(e.Cues, "SCTE35-IN")
		if (e.Running != "") != (e.Sequence > number && ends == 0) {
			t.Errorf("row %d: %q, %q", e.Sequence, e.Cues, e.Running)
		}
	}
	if snap.Recording != was.Recording || ends != 1 {
		t.Errorf("%s ended %d times\n%s", snap.Recording, ends, snap.Archive().Body)
	}
}

// A rung that stands outside its ladder has other numbers: it neither has the ladder's break nor moves it.
func TestAdBreakWithoutTheRungOutside(t *testing.T) {
	o := ladderOptions()
	o.SegmentDuration = 2 * time.Second
	plain := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	odd := encoderShape{codec: ingest.H264, gop: 175, audio: "aac"}
	s := newStage(t, o)
	frames := together(plain.stream(ladderRungs[0], 90*time.Second), plain.stream(ladderRungs[1], 90*time.Second), odd.stream(ladderRungs[2], 90*time.Second))
	half := slices.IndexFunc(frames, func(f sentFrame) bool { return f.at >= 60*time.Second })
	s.play(frames[:half])
	if m := s.reg.ladders.rung(Key{"live", ladderRungs[2]}); m.place.Out() == "" {
		t.Fatal("the odd rung is in the ladder")
	}
	number, err := s.reg.Cue(Key{"live", "show"}, "ad", 10*time.Second)
	if want := s.snap(ladderRungs[0]).Opened + 1; err != nil || number != want {
		t.Fatalf("at %d, want %d: %v", number, want, err)
	}
	if _, err := s.reg.Cue(Key{"live", ladderRungs[2]}, "own", 10*time.Second); err != nil {
		t.Errorf("its own: %v", err)
	}
	s.play(frames[half:])
	for i, name := range ladderRungs {
		got := ""
		for _, e := range s.snap(name).Rows {
			got += e.Cues
		}
		if strings.Count(got, "SCTE35-OUT") != 1 || strings.Contains(got, `ID="own"`) != (i == 2) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
