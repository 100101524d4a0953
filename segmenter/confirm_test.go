package segmenter

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// watched looks at a recording as viewers do who wait for a store, and knows what the store has.
type watched struct {
	*rig
	stream string
	line   *Timeline
	next   uint64          // the store has what comes before it
	lost   map[uint64]bool // or never will have it

	last  *Snapshot
	began uint64 // the newest MEDIA-SEQUENCE
	breaks,
	ended uint64
}

// confirmedRig is a rig whose viewers wait for a store.
func confirmedRig(t *testing.T, o AppOptions) *rig {
	r := newRig(t, o)
	r.reg.SetConfirmed(true)
	return r
}

func (r *rig) watch(stream string) *watched {
	return &watched{rig: r, stream: stream, lost: map[uint64]bool{}}
}

// confirm says that the store has what comes before a number.
func (w *watched) confirm(next uint64) {
	w.t.Helper()
	before := w.line.Snapshot()
	var lost []uint64
	for n := before.Next(); n < next; n++ {
		if w.lost[n] {
			lost = append(lost, n)
		}
	}
	w.next = max(w.next, next)
	w.line.Confirm(next, lost...)
	select {
	case <-before.Changed():
	default:
		if next > before.Next() && before.Next() < before.Whole().Next() {
			w.t.Errorf("%d was confirmed, and who waits for it sleeps", next)
		}
	}
}

// look holds all that viewers are promised.
func (w *watched) look() *Snapshot {
	w.t.Helper()
	if w.line == nil {
		if w.line = w.reg.Timeline("live", w.stream); w.line == nil {
			return nil
		}
	}
	s := w.line.Snapshot()
	if s == w.last {
		return s
	}
	all := s.Whole()
	switch {
	case s.Next() > max(w.next, s.Base):
		w.t.Fatalf("%d is shown, and what comes before %d is confirmed", s.Next()-1, w.next)
	case s.Next() < min(w.next, all.Next()):
		w.t.Fatalf("what comes before %d is shown, and before %d it is confirmed", s.Next(), w.next)
	case (s.State == Ended) != (all.State == Ended && s.Next() == all.Next()):
		w.t.Fatalf("%v, of %d segments %d are shown, and it is %v", s.State, len(all.Rows), len(s.Rows), all.State)
	case len(s.Rows) == 0 && (s.Live != nil || s.Entry != nil || s.Archive() != nil):
		w.t.Fatal("there is a playlist of nothing")
	case all.Archive() != s.Archive():
		w.t.Fatal("the whole has another timestamped playlist")
	case all.Changed() != s.Changed() || all.Advanced() != s.Advanced():
		w.t.Fatal("who waits for the whole waits for something else")
	}
	for i, g := range all.Segments {
		if e := all.Rows[len(all.Rows)-len(all.Segments)+i]; g.Sequence != e.Sequence || g.Gap != e.Gap {
			w.t.Fatalf("segment %d stands for row %d", g.Sequence, e.Sequence)
		}
	}
	for i, g := range s.Segments {
		if e := s.Rows[len(s.Rows)-len(s.Segments)+i]; g.Sequence != e.Sequence || g.Gap != e.Gap {
			w.t.Fatalf("shown segment %d stands for row %d", g.Sequence, e.Sequence)
		}
	}
	w.last = s
	if len(s.Rows) == 0 {
		return s
	}
	live, err := m3u8.ParseMedia(s.Live.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	archive, err := m3u8.ParseMedia(s.Archive().Body)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range []*m3u8.Media{live, archive} {
		if end := m.MediaSequence + uint64(len(m.Segments)); end != s.Next() || m.EndList != (s.State == Ended) {
			w.t.Fatalf("a playlist ends before %d, ENDLIST %v; want %d, %v", end, m.EndList, s.Next(), s.State == Ended)
		}
		for i := range m.Segments {
			if n := m.MediaSequence + uint64(i); m.Segments[i].Gap != s.Rows[n-s.Base].Gap || w.lost[n] && !m.Segments[i].Gap {
				w.t.Fatalf("%d is a gap: %v", n, m.Segments[i].Gap)
			}
		}
	}
	breaks := s.Rows[0].DiscontinuitySequence
	for i := range s.Rows[:live.MediaSequence-s.Base] {
		if s.Rows[i].Discontinuity {
			breaks++
		}
	}
	if live.DiscontinuitySequence != breaks || live.MediaSequence < w.began || live.DiscontinuitySequence < w.breaks || s.Next() < w.ended {
		w.t.Fatalf("the playlist has [%d, %d) and %d discontinuities before it; before, it had [%d, %d) and %d; %d have left it",
			live.MediaSequence, s.Next(), live.DiscontinuitySequence, w.began, w.ended, w.breaks, breaks)
	}
	w.began, w.breaks, w.ended = live.MediaSequence, live.DiscontinuitySequence, s.Next()
	return s
}

// Confirmations come late, in bursts, again, in any order, or never; publishers come and go. Viewers are shown nothing that is not
// confirmed, all that is, and nothing goes back.
func TestConfirmedSchedules(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			r := confirmedRig(t, AppOptions{SegmentDuration: 2 * time.Second, Window: time.Duration(10+rnd.IntN(30)) * time.Second,
				ArchiveSplit: time.Duration(seed%3) * 15 * time.Second})
			w := r.watch("cam")
			e := r.mustPublish("cam")
			for range 60 {
				e.run(time.Duration(1+rnd.IntN(3000)) * time.Millisecond)
				s := w.look()
				if s == nil {
					continue
				}
				next := s.Whole().Next()
				if next > w.next && rnd.IntN(20) == 0 {
					w.lost[w.next+uint64(rnd.IntN(int(next-w.next)))] = true
				}
				switch rnd.IntN(6) {
				case 0, 1:
					w.confirm(min(next, w.next+uint64(1+rnd.IntN(3))))
				case 2:
					w.confirm(next)
				case 3:
					w.confirm(w.next - min(w.next, uint64(rnd.IntN(3))))
				}
				w.look()
				if rnd.IntN(15) == 0 {
					n, track := e.n, e.video
					e.s.Close(errors.New("connection reset"))
					w.look()
					e = r.mustPublish("cam")
					e.n, e.audioNext, e.video = n, n*Clock/25, track
				}
			}
			r.reg.Close(true)
			if s := w.look(); s.State == Ended && s.Unlisted() > 0 {
				t.Error("it ended before all was shown")
			}
			w.confirm(w.line.Snapshot().Whole().Next())
			if s := w.look(); s.State != Ended || s.Unlisted() > 0 {
				t.Errorf("at the end it is %v, and %d segments are not shown", s.State, s.Unlisted())
			}
		})
	}
}

// Until the first segment is confirmed there is nothing for viewers, and then all at once.
func TestConfirmedFirst(t *testing.T) {
	r := confirmedRig(t, AppOptions{})
	w := r.watch("cam")
	e := r.mustPublish("cam")
	e.run(20 * time.Second)
	if s := w.look(); s.State != Starting || s.Unlisted() < 3 || s.Whole().State != Live || s.Offered().Next() != s.Next() {
		t.Fatalf("%v, %d segments wait, and it is %v", s.State, s.Unlisted(), s.Whole().State)
	}
	w.confirm(1)
	s := w.look()
	if s.State != Live || len(s.Rows) != 1 || s.Entry == nil || !s.Modified.Equal(r.now) {
		t.Fatalf("%v, %d segments, modified at %v", s.State, len(s.Rows), s.Modified)
	}
}

// The end waits for nothing, and viewers are told of it when they have been shown all.
func TestConfirmedEnd(t *testing.T) {
	r := confirmedRig(t, AppOptions{SegmentDuration: 2 * time.Second})
	w := r.watch("cam")
	e := r.mustPublish("cam")
	e.run(20 * time.Second)
	w.look()
	w.confirm(4)
	e.s.Close(ingest.ErrUnpublished)
	r.now = r.now.Add(time.Minute)
	r.reg.Expire(r.now)
	s := w.look()
	if s.Whole().State != Ended || s.State != Stalled || bytes.Contains(s.Live.Body, []byte("ENDLIST")) {
		t.Fatalf("%v, shown as %v:\n%s", s.Whole().State, s.State, s.Live.Body)
	}
	if again := r.mustPublish("cam"); again != nil {
		again.run(10 * time.Second)
	}
	if now := r.reg.Timeline("live", "cam"); now == w.line {
		t.Fatal("a recording that ended goes on")
	}
	r.now = r.now.Add(time.Second)
	w.confirm(s.Whole().Next())
	if s = w.look(); s.State != Ended || !s.Modified.Equal(r.now) || !bytes.Contains(s.Archive().Body, []byte("ENDLIST")) {
		t.Fatalf("%v, modified at %v", s.State, s.Modified)
	}
}

// What a store will never have is a gap for viewers, whose name answers with something that plays.
func TestConfirmedLost(t *testing.T) {
	r := confirmedRig(t, AppOptions{SegmentDuration: 2 * time.Second})
	w := r.watch("cam")
	e := r.mustPublish("cam")
	e.run(20 * time.Second)
	before := w.look().Whole()
	memory := r.reg.Stats().MemoryBytes.Load()
	w.lost[2] = true
	w.confirm(5)
	s := w.look()
	if row, was := s.Rows[2], before.Rows[2]; !row.Gap || row.Size != 0 || was.Gap || was.Size == 0 || s.Gaps != 1 || s.Whole().Gaps != 1 {
		t.Errorf("the row is %+v, and was %+v; %d gaps", row, was, s.Gaps)
	}
	g := s.Segment(2)
	if !g.Gap || g.Bare() || !g.Retain() {
		t.Fatalf("nothing stands for it: %+v", g.Row)
	}
	g.Release()
	if got := memory - before.Segments[2].Size + g.Size; r.reg.Stats().MemoryBytes.Load() != got {
		t.Errorf("%d bytes are counted, want %d", r.reg.Stats().MemoryBytes.Load(), got)
	}
}

// Each rung is shown by its own confirmations, with the numbers that all have; the ladder names those that can be played.
func TestConfirmedLadder(t *testing.T) {
	r := confirmedRig(t, AppOptions{Groups: map[string][]string{"show": ladderRungs}, Audio: true, SegmentDuration: 2 * time.Second})
	l := &ladder{rig: r, rungs: map[string]*encoder{}}
	names := append(slices.Clone(ladderRungs), "show"+AudioSuffix)
	views := map[string]*watched{}
	for _, name := range ladderRungs {
		l.connect(name)
	}
	for _, name := range names {
		views[name] = r.watch(name)
	}
	l.run(10 * time.Second)
	for _, name := range names {
		views[name].look()
	}
	if tl := r.reg.Timeline("live", "show"); tl == nil || tl.Snapshot().Entry != nil {
		t.Fatal("the ladder names what cannot be played")
	}
	for i, name := range names {
		views[name].confirm(uint64(1 + i))
		views[name].look()
		m := l.master()
		if len(m.Variants) != i+1 {
			t.Fatalf("%d variants, %d can be played", len(m.Variants), i+1)
		}
	}
	for n := range 60 {
		l.run(time.Second)
		for i, name := range names {
			w := views[name]
			if s := w.look(); n%(i+2) == 0 {
				w.confirm(s.Whole().Next())
			}
			w.look()
		}
		l.aligned()
	}
	if m := l.master(); len(m.Variants) != len(names) {
		t.Errorf("%d variants at the end", len(m.Variants))
	}
	l.drop(ladderRungs[1])
	l.run(20 * time.Second)
	for _, name := range names {
		w := views[name]
		w.look()
		w.confirm(w.line.Snapshot().Whole().Next())
		w.look()
	}
	l.aligned()
	if s := l.rung(ladderRungs[1]); s.Gaps == 0 || len(l.master().Variants) != len(names)-1 {
		t.Errorf("the rung that is away has %d gaps, and there are %d variants", s.Gaps, len(l.master().Variants))
	}
	r.reg.Close(true)
	for _, name := range names {
		views[name].confirm(views[name].line.Snapshot().Whole().Next())
		if s := views[name].look(); s.State != Ended {
			t.Errorf("%s is %v", name, s.State)
		}
	}
}

// After a restart what is confirmed is shown at once, the rest when it is; nothing goes back.
func TestConfirmedRestart(t *testing.T) {
	for _, confirmed := range []uint64{0, 1, 14, 19, 20} {
		t.Run(fmt.Sprint(confirmed), func(t *testing.T) {
			o := AppOptions{SegmentDuration: 2 * time.Second, Window: 12 * time.Second}
			r := confirmedRig(t, o)
			w := r.watch("cam")
			e := r.mustPublish("cam")
			e.run(41 * time.Second)
			w.look()
			if w.confirm(confirmed); confirmed > 0 {
				w.look()
			}
			was := w.line.Snapshot().Whole()
			if was.Next() != 20 {
				t.Fatalf("%d segments", was.Next())
			}
			again := confirmedRig(t, o)
			again.now = r.now
			rec := Recovered{Key: was.Key, Recording: was.Recording, TargetDuration: was.TargetDuration, Rows: slices.Clone(was.Rows), First: was.Next() - 6,
				Next: was.Next() + 1, Confirmed: confirmed, Variant: was.Variant, LastFrame: r.now}
			if err := again.reg.Restore(rec); err != nil {
				t.Fatal(err)
			}
			w.rig, w.line, w.last = again, again.reg.Timeline("live", "cam"), nil
			s := w.look()
			if uint64(len(s.Rows)) != confirmed || confirmed > 0 && (s.State != Stalled || s.Rows[s.First].Sequence != confirmed-min(confirmed, 6)) {
				t.Fatalf("%v, shown are [%d, %d)", s.State, s.First, s.Next())
			}
			e = again.mustPublish("cam")
			for range 20 {
				e.run(2 * time.Second)
				if s := w.look(); s.Unlisted() > 2 {
					w.confirm(min(w.next+4, s.Whole().Next()))
				}
				w.look()
			}
			if s := w.look(); s.Next() < 30 || s.Gaps != 1 || !s.Rows[20].Gap {
				t.Errorf("shown are %d segments, %d gaps", s.Next(), s.Gaps)
			}
		})
	}
}

// While the store is away memory is bounded, the low-latency playlist too, and the publisher notices nothing; then the window moves on
// over what it has missed.
func TestConfirmedStoreAway(t *testing.T) {
	o := AppOptions{SegmentDuration: 2 * time.Second, Window: 20 * time.Second, LowLatency: true}
	r := confirmedRig(t, o)
	w := r.watch("cam")
	e := r.mustPublish("cam")
	for range 40 {
		e.run(2 * time.Second)
		s := w.look()
		w.confirm(s.Whole().Next())
		r.shelve("cam")
	}
	for range 600 {
		e.run(2 * time.Second)
		w.look()
		for _, s := range w.line.Snapshot().Whole().Segments {
			s.Shelve()
		}
		all := w.line.Snapshot().Whole()
		if n := len(all.Segments); n > 24 { // two windows of ten, and two target durations
			t.Fatalf("%d segments are in memory", n)
		}
		if n := len(all.Rows) - all.First; n > 12 {
			t.Fatalf("the low-latency playlist has %d segments", n)
		}
	}
	all := w.line.Snapshot().Whole()
	if n := w.line.Snapshot().Unlisted(); n < 590 || len(all.Rows) < 630 || all.State != Live {
		t.Fatalf("%v, %d rows, of which %d wait", all.State, len(all.Rows), n)
	}
	w.confirm(all.Next())
	if s := w.look(); len(s.Rows)-s.First > 12 || len(s.Segments) < 8 {
		t.Errorf("the window has %d segments, %d are in memory", len(s.Rows)-s.First, len(s.Segments))
	}
}

// Low-latency playlists have everything at once, under the numbers of the live playlist; what they name can be had.
func TestConfirmedLowLatency(t *testing.T) {
	r := confirmedRig(t, AppOptions{SegmentDuration: 2 * time.Second, Window: 20 * time.Second, LowLatency: true})
	w := r.watch("cam")
	e := r.mustPublish("cam")
	e.run(7 * time.Second)
	w.look()
	w.confirm(1)
	for range 30 {
		e.run(2 * time.Second)
		s := w.look()
		if n := s.Whole().Next(); n > 3 {
			w.confirm(n - 3)
		}
		s = w.look()
		low, err := m3u8.ParseMedia(s.LowLatency(false).Body)
		if err != nil {
			t.Fatal(err)
		}
		live, err := m3u8.ParseMedia(s.Live.Body)
		if err != nil {
			t.Fatal(err)
		}
		if low.MediaSequence < live.MediaSequence || low.MediaSequence+uint64(len(low.Segments)) != s.Whole().Next() || s.Unlisted() != 3 {
			t.Fatalf("ll.m3u8 has [%d, +%d), live.m3u8 [%d, +%d), of %d", low.MediaSequence, len(low.Segments), live.MediaSequence, len(live.Segments), s.Whole().Next())
		}
		for i := range live.Segments {
			j := live.MediaSequence + uint64(i) - low.MediaSequence
			if j < uint64(len(low.Segments)) && live.Segments[i].URI != low.Segments[j].URI {
				t.Fatalf("%s is %s", live.Segments[i].URI, low.Segments[j].URI)
			}
		}
		if number, _, ok := s.Hint(); !ok || number != s.Whole().Next() {
			t.Fatalf("hinted is %d, %v", number, ok)
		}
		if number, index := s.Newest(); number != s.Whole().Next() || index < 0 {
			t.Fatalf("the newest part is %d.%d", number, index)
		}
		if g := s.Offered().Segment(s.Whole().Next() - 1); g == nil {
			t.Fatal("what it names is not there")
		}
	}
}

// It is said once when viewers wait, and once when they no longer do; not for the time that an upload takes.
func TestConfirmedSaysSo(t *testing.T) {
	var said bytes.Buffer
	r := newRig(t, AppOptions{})
	r.reg = NewRegistry(Options{Apps: map[string]AppOptions{"live": {SegmentDuration: 2 * time.Second}}, Now: func() time.Time { return r.now },
		Log: slog.New(slog.NewTextHandler(&said, nil)), Confirmed: true})
	w := r.watch("cam")
	e := r.mustPublish("cam")
	wait := func(seconds int) {
		for range seconds {
			e.run(time.Second)
			w.look()
		}
	}
	count := func(part string) int { return strings.Count(said.String(), part) }
	for range 10 {
		wait(3)
		w.confirm(w.line.Snapshot().Whole().Next())
	}
	if n := count("wait for the bucket"); n != 0 {
		t.Fatalf("%d lines while the store is quick:\n%s", n, said.String())
	}
	wait(60)
	if n := r.reg.Unconfirmed(); n < 25 || count("viewers wait for the bucket") != 1 {
		t.Fatalf("%d wait:\n%s", n, said.String())
	}
	w.confirm(w.line.Snapshot().Whole().Next())
	wait(1)
	if n := r.reg.Unconfirmed(); n > 1 || count("viewers no longer wait") != 1 {
		t.Fatalf("%d wait:\n%s", n, said.String())
	}
}

// The option is changed while recordings go on: who waited waits no longer, and the other way round.
func TestSetConfirmed(t *testing.T) {
	r := newRig(t, AppOptions{SegmentDuration: 2 * time.Second})
	e := r.mustPublish("cam")
	e.run(20 * time.Second)
	had := r.snapshot().Next()
	if r.snapshot().Whole() != r.snapshot() || had < 8 {
		t.Fatalf("%d segments; something is waited for", had)
	}
	r.reg.SetConfirmed(true)
	e.run(10 * time.Second)
	if s := r.snapshot(); s.Next() != had || s.Unlisted() < 4 {
		t.Fatalf("%d segments are shown, %d not", s.Next(), s.Unlisted())
	}
	changed := r.snapshot().Changed()
	r.reg.SetConfirmed(false)
	s := r.snapshot()
	if s.Unlisted() != 0 || s.Whole() != s || s.Next() < had+4 || r.media().MediaSequence+uint64(len(r.media().Segments)) != s.Next() {
		t.Fatalf("%d segments are shown, %d not", s.Next(), s.Unlisted())
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was woken")
	}
	r.reg.Timeline("live", "cam").Confirm(1000) // does nothing
	e.run(10 * time.Second)
	if r.snapshot().Next() < s.Next()+4 {
		t.Error("something is still waited for")
	}
}
