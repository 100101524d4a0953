package segmenter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/id3"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// tagOf is a tag that says something.
func tagOf(t *testing.T, says string) []byte {
	t.Helper()
	tag, err := id3.Tag([]id3.Text{{Description: "test", Value: says}})
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

// placed is a tag as a viewer finds it.
type placed struct {
	sequence uint64
	pts      int64
	says     string
	wall     time.Time // by the segment's PROGRAM-DATE-TIME
	into     int64     // ticks from the segment's start
}

// tags are those that a stream's segments have. A segment's start is its first access unit.
func (s *stage) tags(stream string) (list []placed) {
	s.t.Helper()
	for _, row := range s.tape(stream).rows {
		for _, tag := range row.segment.tags {
			units := row.segment.units[astVideo]
			if len(units) == 0 {
				units = row.segment.units[astAudio]
			}
			into := after33(tag.pts, units[0].pts)
			_, says, _ := strings.Cut(tag.data, "test\x00")
			list = append(list, placed{row.Sequence, tag.pts, says, row.Start.Add(cut.Duration(into)), into})
			if into < -Clock/20 || into > row.Duration+Clock/20 {
				s.t.Errorf("%s: %s is %v into a segment of %v", stream, says, cut.Duration(into), cut.Duration(row.Duration))
			}
		}
	}
	return list
}

// announces reports whether a row's program map names metadata.
func announces(row *tapeRow) bool {
	return row.bytes[mpegts.PacketSize+5+10] != 0xF0 || row.bytes[mpegts.PacketSize+5+11] != 0
}

func at(frames []sentFrame, d time.Duration) int {
	return slices.IndexFunc(frames, func(f sentFrame) bool { return f.at >= d })
}

// A ladder's tags stand in all rungs and in the audio-only variant at one media time, which is that of the answer. The first one
// waits for the segment that announces it, and before it nothing is announced.
func TestLadderHasTheSameMetadata(t *testing.T) {
	for _, o := range []AppOptions{{}, {LowLatency: true, PartDuration: 500 * time.Millisecond}} {
		t.Run(fmt.Sprintf("low latency %v", o.LowLatency), func(t *testing.T) {
			o.Groups, o.Audio, o.SegmentDuration = map[string][]string{"show": ladderRungs}, true, 2*time.Second
			s := newStage(t, o)
			shape := encoderShape{codec: ingest.H264, gop: 48, between: 2, audio: "aac"}
			frames := rungs(shape.frames(24 * time.Second))
			for i := range frames { // one rung lags
				if frames[i].stream == ladderRungs[2] {
					frames[i].at += 300 * time.Millisecond
				}
			}
			frames = together(frames)
			show := Key{"live", "show"}
			var answers []TagPlace
			from := 0
			for i, when := range []time.Duration{9 * time.Second, 9500 * time.Millisecond, 13 * time.Second, 13280 * time.Millisecond, 13320 * time.Millisecond, 13360 * time.Millisecond, 13400 * time.Millisecond, 13440 * time.Millisecond, 15 * time.Second} {
				next := at(frames, when)
				s.play(frames[from:next])
				from = next
				place, err := s.reg.Metadata(show, tagOf(t, fmt.Sprint(i)))
				if err != nil {
					t.Fatal(err)
				}
				if place.Deferred != (i < 2) || place.At.IsZero() == (i >= 2) {
					t.Errorf("%d: %+v", i, place)
				}
				answers = append(answers, place)
			}
			for _, key := range []string{ladderRungs[0], "show" + AudioSuffix} {
				if _, err := s.reg.Metadata(Key{"live", key}, tagOf(t, "x")); !errors.Is(err, ErrRung) {
					t.Errorf("in %s alone: %v", key, err)
				}
			}
			s.play(frames[from:])
			s.finish()
			want := s.tags(ladderRungs[0])
			if len(want) != len(answers) {
				t.Fatalf("%+v", want)
			}
			for i, tag := range want {
				if tag.says != fmt.Sprint(i) || answers[i].Deferred && (tag.sequence != answers[i].Sequence || tag.into != 0) {
					t.Errorf("%+v, answered %+v", tag, answers[i])
				}
				if off := tag.wall.Sub(answers[i].At).Abs(); !answers[i].Deferred && off > 2*time.Millisecond {
					t.Errorf("%+v is %v from what was answered, %v", tag, off, answers[i].At)
				}
			}
			for _, name := range []string{ladderRungs[1], ladderRungs[2], "show" + AudioSuffix} {
				got := s.tags(name)
				if len(got) != len(want) {
					t.Fatalf("%s: %+v", name, got)
				}
				for i := range got {
					if got[i].pts != want[i].pts || got[i].sequence != want[i].sequence || got[i].says != want[i].says {
						t.Errorf("%s: %+v, and elsewhere %+v", name, got[i], want[i])
					}
				}
				for i := range s.tape(name).rows {
					if row := &s.tapes[name].rows[i]; announces(row) != (row.Sequence >= answers[0].Sequence) {
						t.Errorf("%s, %d: announced: %v", name, row.Sequence, announces(row))
					}
				}
			}
			s.whole(ladderRungs[0], nil)
		})
	}
}

// Pictures alone, sound alone, reordered pictures, a broken time line, a publisher that comes back: a tag that was taken stands in
// the stream once, and every law of a transport stream holds.
func TestMetadataInEveryShape(t *testing.T) {
	for name, shape := range map[string]encoderShape{
		"picture and sound": {codec: ingest.H264, isKey: func(n int64) bool { return n%50 == 0 }, audio: "aac"},
		"H.265 alone":       {codec: ingest.H265, isKey: func(n int64) bool { return n%50 == 0 }},
		"reordered":         {codec: ingest.H264, gop: 48, between: 2, audio: "aac"},
		"sound alone":       {audio: "aac"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, AppOptions{SegmentDuration: 2 * time.Second})
			frames := jump(on("cam", shape.frames(20*time.Second)), 11*time.Second, -5*Clock)
			from, cam := 0, Key{"live", "cam"}
			for i, when := range []time.Duration{5 * time.Second, 7 * time.Second, 8 * time.Second, 11 * time.Second, 12 * time.Second, 17 * time.Second} {
				next := at(frames, when)
				s.play(frames[from:next])
				if from = next; i == 5 {
					s.disconnect("cam", ingest.ErrUnpublished)
					if _, err := s.reg.Metadata(cam, tagOf(t, "nobody")); !errors.Is(err, ErrNotLive) {
						t.Errorf("without a publisher: %v", err)
					}
					break
				}
				if _, err := s.reg.Metadata(cam, tagOf(t, fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
			s.play(frames[from:])
			s.finish()
			var says []string
			for _, tag := range s.tags("cam") {
				if says = append(says, tag.says); tag.says == "3" && tag.into > 2*3600 {
					t.Errorf("what waited for a time that did not come: %+v", tag)
				}
			}
			if !slices.Equal(says, []string{"0", "1", "2", "3", "4"}) {
				t.Errorf("%q", says)
			}
			if rows := s.tapes["cam"].rows; !announces(&rows[len(rows)-1]) || announces(&rows[0]) {
				t.Error("it is announced before, or not for the rest of the recording")
			}
		})
	}
}

// Rungs are written while metadata is sent: nobody waits for ever, and what is taken has one place in all of them.
func TestMetadataBesideWriters(t *testing.T) {
	s := newStage(t, AppOptions{Groups: map[string][]string{"show": ladderRungs}, Audio: true, SegmentDuration: time.Second})
	shape := encoderShape{codec: ingest.H264, gop: 24, between: 2, audio: "aac"}
	frames := rungs(shape.frames(16 * time.Second))
	from, taken := at(frames, 4*time.Second), 0
	s.play(frames[:from])
	for from < len(frames) {
		to := from
		for ; to < len(frames) && frames[to].at < frames[from].at+100*time.Millisecond; to++ {
		}
		s.until(start.Add(frames[from].at))
		var all sync.WaitGroup
		for _, name := range ladderRungs {
			all.Go(func() {
				for _, f := range frames[from:to] {
					frame := f.Frame
					if frame.Arrival = s.now; f.stream != name {
						continue
					}
					if err := s.sessions[name].WriteFrame(&frame); err != nil {
						t.Error(err)
					}
				}
			})
		}
		if frames[from].at < 13*time.Second {
			tag := tagOf(t, fmt.Sprint(taken))
			all.Go(func() {
				if _, err := s.reg.Metadata(Key{"live", "show"}, tag); err != nil {
					t.Error(err)
				}
			})
			taken++
		}
		all.Wait()
		from = to
	}
	s.finish()
	want := s.tags(ladderRungs[0])
	if len(want) != taken {
		t.Errorf("%d were taken, %d have a place", taken, len(want))
	}
	for _, name := range []string{ladderRungs[1], ladderRungs[2], "show" + AudioSuffix} {
		got := s.tags(name)
		for i := range min(len(got), len(want)) {
			if got[i].pts != want[i].pts || got[i].sequence != want[i].sequence || got[i].says != fmt.Sprint(i) {
				t.Errorf("%s: %+v, and elsewhere %+v", name, got[i], want[i])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s has %d of %d", name, len(got), len(want))
		}
	}
}

// After a restart nothing is announced until something is sent, and what is sent first waits for the next segment again.
func TestMetadataAfterARestart(t *testing.T) {
	s := newStage(t, AppOptions{SegmentDuration: 2 * time.Second})
	shape := encoderShape{codec: ingest.H264, isKey: func(n int64) bool { return n%50 == 0 }, audio: "aac"}
	frames := on("cam", shape.frames(24*time.Second))
	cam, first, second, third := Key{"live", "cam"}, at(frames, 5*time.Second), at(frames, 9*time.Second), at(frames, 17*time.Second)
	s.play(frames[:first])
	if _, err := s.reg.Metadata(cam, tagOf(t, "before")); err != nil {
		t.Fatal(err)
	}
	s.play(frames[first:second])
	was := s.snap("cam")
	again := newStage(t, AppOptions{SegmentDuration: 2 * time.Second})
	again.now = s.now
	if err := again.reg.Restore(Recovered{Key: was.Key, Recording: was.Recording, TargetDuration: was.TargetDuration, Base: was.Base, Rows: slices.Clone(was.Rows), Next: was.Next() + 1, Variant: was.Variant, LastFrame: s.now}); err != nil {
		t.Fatal(err)
	}
	again.play(frames[second:third])
	place, err := again.reg.Metadata(cam, tagOf(t, "after"))
	if err != nil || !place.Deferred {
		t.Fatalf("%+v, %v", place, err)
	}
	again.play(frames[third:])
	again.finish()
	tl := again.tapes["cam"]
	tl.rows = slices.DeleteFunc(tl.rows, func(r tapeRow) bool { return r.Sequence < was.Next() || r.Gap })
	if tags := again.tags("cam"); len(tags) != 1 || tags[0].says != "after" || tags[0].sequence != place.Sequence || len(tl.recordings) != 1 {
		t.Errorf("%+v in %v, wanted at %d", tags, tl.recordings, place.Sequence)
	}
	for i := range tl.rows[1:] { // the tables of the first say that their counters jump
		if row := &tl.rows[i+1]; announces(row) != (row.Sequence >= place.Sequence) {
			t.Errorf("%d: announced: %v", row.Sequence, announces(row))
		}
	}
}

// What cannot be carried, comes too fast, or has nowhere to go is refused.
func TestMetadataIsBounded(t *testing.T) {
	s := newStage(t, AppOptions{SegmentDuration: 2 * time.Second})
	cam := Key{"live", "cam"}
	if _, err := s.reg.Metadata(cam, tagOf(t, "x")); !errors.Is(err, ErrNotLive) {
		t.Errorf("of nobody: %v", err)
	}
	shape := encoderShape{codec: ingest.H264, isKey: func(n int64) bool { return n%50 == 0 }, audio: "aac"}
	frames := on("cam", shape.frames(8*time.Second))
	s.play(frames[:at(frames, 5*time.Second)])
	for _, tag := range [][]byte{nil, []byte("ID3"), make([]byte, id3.MaxTag+1)} {
		if _, err := s.reg.Metadata(cam, tag); !errors.Is(err, ErrTag) {
			t.Errorf("%d bytes: %v", len(tag), err)
		}
	}
	for i := range id3.MaxWaiting {
		if i == id3.PerSecond {
			if _, err := s.reg.Metadata(cam, tagOf(t, "x")); !errors.Is(err, ErrTagFast) {
				t.Errorf("too fast: %v", err)
			}
		}
		if i >= id3.PerSecond {
			s.now = s.now.Add(time.Second / id3.PerSecond)
		}
		if _, err := s.reg.Metadata(cam, tagOf(t, "x")); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := s.reg.Metadata(cam, tagOf(t, "x")); !errors.Is(err, ErrTagFull) {
		t.Errorf("too many: %v", err)
	}
}

// What was accepted and has no place when the recording ends, or is left to the next start, is counted and said.
func TestWhatHasNoPlaceIsSaid(t *testing.T) {
	for _, hold := range []bool{false, true} {
		s := newStage(t, AppOptions{SegmentDuration: 2 * time.Second})
		shape := encoderShape{codec: ingest.H264, isKey: func(n int64) bool { return n%50 == 0 }, audio: "aac"}
		frames := on("cam", shape.frames(8*time.Second))
		cam := Key{"live", "cam"}
		s.play(frames[:at(frames, 5*time.Second)])
		for range 2 {
			if _, err := s.reg.Metadata(cam, tagOf(t, "x")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.reg.Cue(cam, "ad-7", 10*time.Second); err != nil {
			t.Fatal(err)
		}
		for range 2 { // what was said is not said again
			s.reg.Close(!hold)
		}
		st := s.reg.Stats()
		if tags, cues := st.MetadataLost.Load(), st.CuesLost.Load(); tags != 2 || cues != 1 {
			t.Errorf("hold %v: %d tags, %d ad breaks", hold, tags, cues)
		}
		for _, says := range []string{"tags=2", "id=ad-7"} {
			if n := strings.Count(s.warnings.String(), says); n != 1 {
				t.Errorf("hold %v: %q is said %d times\n%s", hold, says, n, s.warnings.String())
			}
		}
	}
}
