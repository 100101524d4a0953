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

var ladderRungs = []string{"show_1080p", "show_720p", "show_480p"}

// ladder is three rungs fed by one encoder.
type ladder struct {
	*rig
	rungs map[string]*encoder
	n     int64 // frames
	base  int64 // ticks added to all time stamps
}

func newLadder(t *testing.T) *ladder {
	return newLadderOf(t, AppOptions{Groups: map[string][]string{"show": ladderRungs}})
}

func newLadderOf(t *testing.T, o AppOptions) *ladder {
	l := &ladder{rig: newRig(t, o), rungs: map[string]*encoder{}}
	for _, name := range ladderRungs {
		l.connect(name)
	}
	return l
}

func (l *ladder) connect(name string) {
	l.t.Helper()
	e := l.mustPublish(name)
	e.n, e.audioNext, e.offset = l.n, l.n*Clock/25, l.base
	l.rungs[name] = e
}

func (l *ladder) drop(name string) {
	l.rungs[name].s.Close(errors.New("connection reset"))
	delete(l.rungs, name)
}

// run sends d of media on every connected rung, frame by frame.
func (l *ladder) run(d time.Duration) {
	l.t.Helper()
	for end := l.n + int64(d)*25/int64(time.Second); l.n < end; l.n++ {
		now := l.now
		for _, name := range ladderRungs {
			if e := l.rungs[name]; e != nil {
				l.now = now
				e.n = l.n
				e.step()
			}
		}
		l.now = now.Add(time.Second / 25)
		l.reg.Expire(l.now)
	}
}

func (l *ladder) rung(name string) *Snapshot {
	l.t.Helper()
	tl := l.reg.Timeline("live", name)
	if tl == nil {
		l.t.Fatalf("no timeline of %s", name)
	}
	return tl.Snapshot()
}

func (l *ladder) master() *m3u8.Master {
	l.t.Helper()
	tl := l.reg.Timeline("live", "show")
	if tl == nil || tl.Snapshot().Entry == nil {
		l.t.Fatal("no multivariant playlist")
	}
	m, err := m3u8.ParseMaster(tl.Snapshot().Entry.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

// aligned checks that all rungs say the same of every number that two of them have.
func (l *ladder) aligned() {
	l.t.Helper()
	rows := map[uint64]Row{}
	for _, name := range ladderRungs {
		s := l.rung(name)
		if want := l.rung(ladderRungs[0]); s.TargetDuration != want.TargetDuration || s.Recording != want.Recording {
			l.t.Errorf("%s: recording %s, target %d; want %s, %d", name, s.Recording, s.TargetDuration, want.Recording, want.TargetDuration)
		}
		for i, e := range s.Rows {
			if e.Sequence != s.Base+uint64(i) {
				l.t.Fatalf("%s: row %d has number %d", name, i, e.Sequence)
			}
			other, ok := rows[e.Sequence]
			if !ok {
				rows[e.Sequence] = e
				continue
			}
			if d := e.Start.Sub(other.Start); d > 40*time.Millisecond || d < -40*time.Millisecond || e.Discontinuity != other.Discontinuity {
				l.t.Errorf("%s: number %d starts at %v with discontinuity %v; elsewhere %v, %v", name, e.Sequence, e.Start, e.Discontinuity, other.Start, other.Discontinuity)
			}
		}
	}
}

// equal checks that a number lasts as long in each rung that has it, but where a discontinuity follows or nothing.
func (l *ladder) equal() {
	l.t.Helper()
	rows := map[uint64]Row{}
	for _, name := range ladderRungs {
		entries := l.rung(name).Rows
		for i, e := range entries {
			if e.Gap || i+1 == len(entries) || entries[i+1].Discontinuity {
				continue
			}
			other, ok := rows[e.Sequence]
			if !ok {
				rows[e.Sequence] = e
			} else if d := e.Duration - other.Duration; d > Clock/25 || d < -Clock/25 {
				l.t.Errorf("%s: number %d lasts %d ticks, elsewhere %d", name, e.Sequence, e.Duration, other.Duration)
			}
		}
	}
}

func (l *ladder) gaps(name string) (n int) {
	for _, e := range l.rung(name).Rows {
		if e.Gap {
			n++
		}
	}
	return n
}

func TestLadderIsAligned(t *testing.T) {
	l := newLadder(t)
	l.run(30 * time.Second)
	l.aligned()
	m := l.master()
	if len(m.Variants) != 3 || !strings.HasPrefix(m.Variants[0].URI, "show_1080p/") || !strings.HasSuffix(m.Variants[0].URI, "/live.m3u8") {
		t.Fatalf("%+v", m)
	}
	whole, err := m3u8.ParseMaster(l.reg.Timeline("live", "show").Snapshot().Archive().Body)
	if err != nil || len(whole.Variants) != 3 || whole.Variants[2].URI != "show_480p-"+string(l.rung("show_480p").Recording)+".m3u8" {
		t.Errorf("%+v, %v", whole, err)
	}
}

func TestLadderRungComesLate(t *testing.T) {
	l := newLadder(t)
	l.drop("show_720p")
	l.run(11 * time.Second)
	l.connect("show_720p")
	l.run(20 * time.Second)
	l.aligned()
	if s := l.rung("show_720p"); s.Base == 0 {
		t.Error("a late rung begins at the ladder's first number")
	}
	if n := len(l.master().Variants); n != 3 {
		t.Errorf("%d variants", n)
	}
}

func TestLadderRungIsLostAndReturns(t *testing.T) {
	l := newLadder(t)
	l.run(13 * time.Second)
	l.drop("show_480p")
	l.run(20 * time.Second)
	if n := len(l.master().Variants); n != 2 {
		t.Errorf("%d variants while one is lost", n)
	}
	l.connect("show_480p")
	l.run(20 * time.Second)
	l.aligned()
	if n := len(l.master().Variants); n != 3 {
		t.Errorf("%d variants after its return", n)
	}
	if n := l.gaps("show_480p"); n < 3 || n > 6 {
		t.Errorf("%d gaps for 20 s of absence", n)
	}
	if n := l.gaps("show_1080p"); n != 0 {
		t.Errorf("%d gaps in a rung that was there", n)
	}
	for _, e := range l.rung("show_1080p").Rows {
		if e.Discontinuity {
			t.Error("a rung's absence is a discontinuity for the others")
		}
	}
}

// A rung that is cut off within a segment does not list its part of it while the others have the whole.
func TestLadderRungIsLostInASegment(t *testing.T) {
	l := newLadder(t)
	l.run(13 * time.Second)
	for _, name := range ladderRungs {
		l.drop(name)
		l.run(11 * time.Second)
		l.connect(name)
		l.run(12600 * time.Millisecond)
	}
	l.aligned()
	l.equal()
	for _, name := range ladderRungs {
		if l.gaps(name) == 0 {
			t.Errorf("%s has no gap", name)
		}
	}
}

// A rung that comes back and sends the segment anew from its beginning has it whole.
func TestLadderRungSendsASegmentAnew(t *testing.T) {
	l := newLadder(t)
	l.run(12 * time.Second)
	l.run(time.Second)
	l.drop("show_480p")
	l.connect("show_480p")
	l.rungs["show_480p"].n, l.rungs["show_480p"].audioNext = l.n-25, (l.n-25)*Clock/25
	for range 25 {
		l.rungs["show_480p"].step()
	}
	l.now = l.now.Add(-time.Second) // step goes on in time
	l.run(8 * time.Second)
	l.aligned()
	l.equal()
	if n := l.gaps("show_480p"); n != 0 {
		t.Errorf("%d gaps", n)
	}
}

// What all rungs have of the segment in which they are cut off together is the end of a stretch, and is listed: before a
// discontinuity when they come back, at the end when they do not, and before the server is held over.
func TestLadderIsLostInASegment(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(*ladder)
	}{
		{"they come back on a new time base", func(l *ladder) {
			l.now = l.now.Add(20 * time.Second)
			l.base += 1000 * Clock
			for _, name := range ladderRungs {
				l.connect(name)
			}
			l.run(9 * time.Second)
		}},
		{"they stay away", func(l *ladder) {
			l.now = l.now.Add(2 * time.Minute)
			l.reg.Expire(l.now)
			l.reg.Expire(l.now)
		}},
		{"the server ends", func(l *ladder) { l.reg.Close(true) }},
		{"the server is held over", func(l *ladder) { l.reg.Close(false) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLadder(t)
			l.run(13 * time.Second)
			for _, name := range ladderRungs {
				l.drop(name)
			}
			c.then(l)
			for _, name := range ladderRungs {
				sum := int64(0)
				for _, e := range l.rung(name).Rows {
					if e.Discontinuity {
						break
					}
					sum += e.Duration
				}
				if n := l.gaps(name); n != 0 || sum < 13*Clock-Clock/10 {
					t.Errorf("%s has %d gaps and %d of the 13 s", name, n, sum/Clock)
				}
			}
		})
	}
}

// After a restart of the server the rungs come back one after the other: one discontinuity is enough for all, and who is
// late has gaps until then, no longer.
func TestLadderComesBackAfterARestart(t *testing.T) {
	before := newLadder(t)
	before.run(14 * time.Second)
	var recovered []Recovered
	for _, name := range ladderRungs {
		s := before.rung(name)
		recovered = append(recovered, Recovered{
			Key: s.Key, Recording: s.Recording, TargetDuration: s.TargetDuration, Rows: append([]Row(nil), s.Rows...),
			Next: s.Opened + 1, Variant: s.Variant, LastFrame: s.LastFrame,
		})
	}
	l := &ladder{rig: newRig(t, AppOptions{Groups: map[string][]string{"show": ladderRungs}}), rungs: map[string]*encoder{}, n: before.n}
	l.now = before.now.Add(time.Second)
	for _, rec := range recovered {
		if err := l.reg.Restore(rec); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range ladderRungs {
		l.connect(name)
		l.run(5 * time.Second)
	}
	l.run(20 * time.Second)
	l.aligned()
	for i, name := range ladderRungs {
		breaks := 0
		for _, e := range l.rung(name).Rows {
			if e.Discontinuity {
				breaks++
			}
		}
		if breaks != 1 {
			t.Errorf("%s has %d discontinuities", name, breaks)
		}
		if n := l.gaps(name); n > 2+2*i {
			t.Errorf("%s has %d gaps", name, n)
		}
	}
}

func TestLadderEncoderStartsAnew(t *testing.T) {
	l := newLadder(t)
	l.run(13 * time.Second)
	for _, name := range ladderRungs {
		l.drop(name)
	}
	l.now = l.now.Add(5 * time.Second)
	l.base -= l.n * Clock / 25 // time stamps begin at zero again
	for _, name := range ladderRungs {
		l.connect(name)
	}
	l.run(20 * time.Second)
	l.aligned()
	n := 0
	for _, e := range l.rung("show_720p").Rows {
		if e.Discontinuity {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d discontinuities", n)
	}
}

func TestLadderRungThatDoesNotFitStandsOutside(t *testing.T) {
	for name, spoil := range map[string]func(*encoder){
		"keyframes elsewhere": func(e *encoder) { e.keyframe = func(n int64) bool { return n%50 == 20 } },
		"no time base":        func(e *encoder) { e.offset += 1000 * Clock },
		"irregular keyframes": func(e *encoder) { e.keyframe = func(n int64) bool { return n%50 == 0 && n < 300 || n%70 == 0 } },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLadder(t)
			spoil(l.rungs["show_480p"])
			l.run(60 * time.Second)
			if n := len(l.master().Variants); n != 2 {
				t.Errorf("%d variants", n)
			}
			if s := l.rung("show_480p"); s.Live == nil || len(s.Rows) < 8 {
				t.Errorf("it does not play on its own: %v", s.State)
			}
			if n := l.gaps("show_1080p"); n != 0 {
				t.Errorf("%d gaps in another rung", n)
			}
		})
	}
}

func TestLadderChangeOfOneRungIsADiscontinuityOfAll(t *testing.T) {
	l := newLadder(t)
	l.run(13 * time.Second)
	e := l.rungs["show_720p"]
	changed := *e.video
	sps := append([]byte(nil), testSPS...)
	sps[3] = 0x28
	changed.SPS = [][]byte{sps}
	e.video = &changed
	l.run(30 * time.Second)
	l.aligned()
	n := 0
	for _, e := range l.rung("show_1080p").Rows {
		if e.Discontinuity {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d discontinuities", n)
	}
}

func TestLadderEndsWithItsLastRung(t *testing.T) {
	l := newLadder(t)
	l.run(13 * time.Second)
	id := l.rung("show_720p").Recording
	for _, name := range ladderRungs {
		l.rungs[name].s.Close(ingest.ErrUnpublished)
	}
	l.now = l.now.Add(time.Minute)
	l.reg.Expire(l.now)
	l.reg.Expire(l.now)
	for _, name := range append([]string{"show"}, ladderRungs...) {
		if s := l.rung(name); s.State != Ended {
			t.Errorf("%s is %v", name, s.State)
		}
	}
	for _, name := range ladderRungs {
		l.connect(name)
	}
	l.run(10 * time.Second)
	l.aligned()
	if l.rung("show_720p").Recording == id {
		t.Error("an ended ladder went on")
	}
}

func TestLadderNameCannotBePublished(t *testing.T) {
	l := newLadder(t)
	if _, err := l.publish("show", "me"); err == nil || !strings.Contains(err.Error(), "show_720p") {
		t.Errorf("got %v", err)
	}
}

func TestLadderAudioVariant(t *testing.T) {
	l := newLadderOf(t, AppOptions{Groups: map[string][]string{"show": ladderRungs}, Audio: true})
	l.run(31 * time.Second)
	l.drop("show_1080p")
	l.run(10 * time.Second)
	l.connect("show_1080p")
	l.run(20 * time.Second)
	audio, rung := l.rung("show_audio"), l.rung("show_1080p")
	if audio.Variant.Codecs != "mp4a.40.2" || audio.Recording != rung.Recording || audio.TargetDuration != rung.TargetDuration {
		t.Fatalf("%+v, recording %s, target %d", audio.Variant, audio.Recording, audio.TargetDuration)
	}
	if len(audio.Rows) != len(rung.Rows) {
		t.Fatalf("%d segments beside %d", len(audio.Rows), len(rung.Rows))
	}
	gaps := 0
	for i, e := range audio.Rows {
		r := rung.Rows[i]
		if e.Sequence != r.Sequence || e.Gap != r.Gap || !e.Start.Equal(r.Start) || !e.Gap && e.Duration != r.Duration {
			t.Errorf("row %d: %+v beside %+v", i, e, r)
		}
		if e.Gap {
			gaps++
		}
	}
	if gaps == 0 {
		t.Error("no gap for the rung's absence")
	}
	m := l.master()
	last := m.Variants[len(m.Variants)-1]
	if len(m.Variants) != 4 || last.Codecs != "mp4a.40.2" || !strings.HasPrefix(last.URI, "show_audio/") {
		t.Errorf("%+v", m.Variants)
	}
	for name, want := range map[string]string{"show_1080p": "show", "show_audio": "show", "show": "", "other_audio": "", "door": ""} {
		if got, ok := l.reg.LadderOf(Key{"live", name}); got != want || ok != (want != "") {
			t.Errorf("%s is in the ladder %q", name, got)
		}
	}
	if _, err := l.publish("show_audio", "me"); err == nil {
		t.Error("its name may be published")
	}
	for _, name := range ladderRungs {
		l.rungs[name].s.Close(ingest.ErrUnpublished)
	}
	l.now = l.now.Add(time.Minute)
	l.reg.Expire(l.now)
	l.reg.Expire(l.now)
	if s := l.rung("show_audio"); s.State != Ended {
		t.Errorf("%v after the ladder's end", s.State)
	}
}

func TestLadderOfAPattern(t *testing.T) {
	l := &ladder{rig: newRig(t, AppOptions{Groups: map[string][]string{Wildcard: {"*_1080p", "*_720p", "*_480p"}}}), rungs: map[string]*encoder{}}
	for _, name := range ladderRungs {
		l.connect(name)
	}
	l.run(20 * time.Second)
	l.aligned()
	if n := len(l.master().Variants); n != 3 {
		t.Errorf("%d variants", n)
	}
	if _, err := l.publish("plain", "me"); err == nil || !strings.Contains(err.Error(), "plain_720p") {
		t.Errorf("a stream that is no rung: %v", err)
	}
}

// TestStalledLadderStaysStalled: gaps that are listed of rungs that are gone are no input. Nobody sees the ladder live between two
// steps of one tick either.
func TestStalledLadderStaysStalled(t *testing.T) {
	l := newLadder(t)
	l.run(20 * time.Second)
	l.drop("show_720p")
	l.run(6 * time.Second)
	l.drop("show_1080p")
	l.drop("show_480p")
	filled := 0
	show := l.reg.ladders.ladder(Key{"live", "show"})
	l.reg.Expire(l.now)
	for range 300 {
		l.now = l.now.Add(40 * time.Millisecond)
		for _, w := range show.overdue(l.now) {
			w.c.fill(w.upTo)
			filled++
		}
		if state := l.rung("show").State; state != Stalled {
			t.Fatalf("the ladder is %v, without input", state)
		}
		l.reg.Expire(l.now)
	}
	if filled == 0 {
		t.Error("no gap was listed")
	}
}

// A name may be a stream first, then a ladder, then a stream again, each while the one before is still shown: whoever copies recordings
// finds each where it belongs, since a ladder has no segments and a stream no rungs.
func TestNameOfALadderAndAStream(t *testing.T) {
	l := &ladder{rig: newRig(t, AppOptions{}), rungs: map[string]*encoder{}}
	key := Key{"live", "show"}
	var streams, shows []RecordingID
	found := func(what string) {
		t.Helper()
		ids := func(all []*Timeline) (ids []RecordingID) {
			for _, tl := range all {
				if tl.Key() == key {
					ids = append(ids, tl.Snapshot().Recording)
				}
			}
			slices.Sort(ids)
			return ids
		}
		if s, d := ids(l.reg.Timelines()), ids(l.reg.Ladders()); !slices.Equal(s, streams) || !slices.Equal(d, shows) {
			t.Errorf("%s: as a stream %v and as a ladder %v; want %v and %v", what, s, d, streams, shows)
		}
	}
	alone := func() {
		t.Helper()
		e := l.mustPublish("show")
		e.n, e.audioNext, e.offset = l.n, l.n*Clock/25, l.base
		for range 200 {
			e.step()
		}
		l.n = e.n
		streams = append(streams, l.reg.Timeline("live", "show").Snapshot().Recording)
		e.s.Close(ingest.ErrUnpublished)
	}
	end := func() {
		for range 3 {
			l.now = l.now.Add(10 * time.Second)
			l.reg.Expire(l.now)
		}
	}
	alone()
	end()
	found("a stream")
	if err := l.reg.Form(key, ladderRungs); err != nil {
		t.Fatal(err)
	}
	for _, name := range ladderRungs {
		l.connect(name)
	}
	l.run(12 * time.Second)
	shows = append(shows, l.reg.Timeline("live", "show").Snapshot().Recording)
	found("a ladder after that")
	for _, name := range ladderRungs {
		l.rungs[name].s.Close(ingest.ErrUnpublished)
	}
	end()
	l.reg.ladders.mu.Lock()
	l.reg.ladders.forgetIdle()
	l.reg.ladders.mu.Unlock()
	alone()
	found("a stream again")
}
