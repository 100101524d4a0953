package library_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// order asks for a clip of a tape's stream, from and to so long after its first frame.
func order(stream, title string, from, to time.Duration) library.ClipOrder {
	return library.ClipOrder{App: "live", Stream: stream, Title: title, Start: firstFrame.Add(from), End: firstFrame.Add(to)}
}

func (s *shelf) clip(o library.ClipOrder) *library.Clip {
	s.t.Helper()
	c, err := s.lib.Clip(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *shelf) media(key string) *m3u8.Media {
	s.t.Helper()
	m, err := m3u8.ParseMedia([]byte(s.text(key)))
	if err != nil {
		s.t.Fatalf("%s: %v", key, err)
	}
	return m
}

func (s *shelf) text(key string) string {
	s.t.Helper()
	return string(storetest.Read(s.t, s, key, 0, -1))
}

// whole verifies that a recording or clip is all there.
func (s *shelf) whole(ref library.RecordingRef) {
	s.t.Helper()
	rep, err := s.lib.Verify(s.t.Context(), ref, library.VerifyOptions{Checksums: true})
	if err != nil || !rep.Whole {
		s.t.Errorf("%s is not whole: %+v, %v", ref, rep, err)
	}
}

// A clip is cut at segments, says so, names the recording's own segments and copies none.
func TestClip(t *testing.T) {
	s := newShelf(t)
	cam := s.tape("live", "cam", firstFrame).add(4).drop(time.Minute).add(4).write(true)
	before := storetest.Keys(t, s, "live/streams/cam/")
	east := time.FixedZone("", 5*3600+1800)
	o := order("cam", "goal", 3500*time.Millisecond, 72100*time.Millisecond)
	o.Start, o.End = o.Start.In(east), o.End.In(time.FixedZone("", -7*3600))
	c := s.clip(o)
	if c.Key() != "live/streams/goal-2023-08-24_16-02-52.970.m3u8" || c.First != 1 || c.Last != 6 || c.Segments != 6 || c.Gaps != 0 {
		t.Errorf("%+v", c)
	}
	if !c.Start.Equal(firstFrame.Add(2*time.Second)) || !c.End.Equal(firstFrame.Add(74*time.Second)) || !c.AskedFrom.Equal(o.Start) || !c.AskedTo.Equal(o.End) || c.AskedFrom.Location() != time.UTC {
		t.Errorf("asked %v to %v, given %v to %v", c.AskedFrom, c.AskedTo, c.Start, c.End)
	}
	m := s.media(c.Key())
	if m.Type != m3u8.VOD || !m.EndList || m.TargetDuration != 2 || m.MediaSequence != 1 || m.Clip != "cam-2023-08-24_16-02-52.970" || len(m.Segments) != 6 {
		t.Errorf("%+v", m)
	}
	for i, seg := range m.Segments {
		was := cam.media.Segments[i+1]
		if seg.URI != was.URI || seg.Duration != was.Duration || seg.Size != was.Size || seg.CRC32C != was.CRC32C || seg.Discontinuity != was.Discontinuity || seg.ProgramDateTime.IsZero() {
			t.Errorf("segment %d: %+v, was %+v", i, seg, was)
		}
	}
	if after := storetest.Keys(t, s, "live/streams/cam/"); !slices.Equal(before, after) {
		t.Errorf("the recording's folder is another: %v", after)
	}
	s.whole(c.Ref())
	s.whole(cam.ref())
	if shown, err := s.lib.ShowClip(t.Context(), c.Ref()); err != nil || shown.Key() != c.Key() || !shown.AskedFrom.Equal(c.AskedFrom) {
		t.Errorf("shown as %+v, %v", shown, err)
	}
	if _, err := s.lib.ShowClip(t.Context(), cam.ref()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a recording is no clip: %v", err)
	}
	other := s.clip(order("cam", "another", 0, time.Second))
	for scope, want := range map[string]int{"": 2, "live": 2, "live/cam": 2, "live/other": 0, "none": 0} {
		app, stream, _ := strings.Cut(scope, "/")
		list, more, err := s.lib.Clips(t.Context(), app, stream, 10)
		if err != nil || more || len(list) != want || want > 0 && (list[0].Key() != other.Key() || list[1].Key() != c.Key()) {
			t.Errorf("clips of %q: %+v, %v, %v", scope, list, more, err)
		}
	}
	if list, more, err := s.lib.Clips(t.Context(), "live", "", 1); err != nil || !more || len(list) != 1 {
		t.Errorf("limited: %v, %v, %v", list, more, err)
	}
	clips := 0
	list, err := listed(s.lib.List(t.Context(), "live", ""))
	for _, r := range list {
		if r.Clip == "cam-2023-08-24_16-02-52.970" {
			clips++
		}
	}
	if err != nil || len(list) != 3 || clips != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestClipRefuses(t *testing.T) {
	s := newShelf(t)
	s.tape("live", "cam", firstFrame).add(3).write(true)
	s.tape("live", "cam", firstFrame.Add(time.Hour)).add(3).write(true)
	s.tape("live", "recorded", firstFrame).add(1).write(true)
	s.tape("live", "folder", firstFrame).add(1)
	s.put("live/streams/entry.m3u8", []byte("#EXTM3U\n"))
	s.put("live/streams/ladder_adaptive.m3u8", []byte("#EXTM3U\n"))
	s.clip(order("cam", "made", 0, time.Second))
	before := storetest.Keys(t, s, "")
	for _, tc := range []struct {
		name string
		o    library.ClipOrder
		want error
		says string
	}{
		{"reversed", order("cam", "x", 4*time.Second, 2*time.Second), library.ErrClipRange, "not after its start"},
		{"empty", order("cam", "x", 2*time.Second, 2*time.Second), library.ErrClipRange, "not after its start"},
		{"too long", order("cam", "x", 0, 25*time.Hour), library.ErrClipRange, "several clips"},
		{"before all", order("cam", "x", -time.Hour, -time.Minute), library.ErrClipNothing, "begins at 2023-08-24T16:02:52.970Z"},
		{"after all", order("cam", "x", 2*time.Hour, 3*time.Hour), library.ErrClipNothing, "ends at 2023-08-24T17:02:58.970Z"},
		{"between", order("cam", "x", time.Minute, 2*time.Minute), library.ErrClipNothing, "ends at 2023-08-24T16:02:58.970Z, what was recorded after begins at 2023-08-24T17:02:52.970Z"},
		{"up to the first frame", order("cam", "x", -time.Hour, 0), library.ErrClipNothing, ""},
		{"from the last frame", order("cam", "x", 6*time.Second, time.Minute), library.ErrClipNothing, ""},
		{"two recordings", order("cam", "x", 2*time.Second, 2*time.Hour), library.ErrClipRange, "2023-08-24_17-02-52.970 has it from"},
		{"no such stream", order("nobody", "x", 0, time.Second), library.ErrClipNothing, ""},
		{"a stream whose name begins so", order("ca", "x", 0, time.Second), library.ErrClipNothing, ""},
		{"a clip of a clip", order("made", "x", 0, time.Second), library.ErrClipNothing, ""},
		{"its own stream's name", order("cam", "cam", 0, time.Second), library.ErrClipName, "a stream is called cam"},
		{"a recording's", order("cam", "recorded", 0, time.Second), library.ErrClipName, ""},
		{"a folder's", order("cam", "folder", 0, time.Second), library.ErrClipName, ""},
		{"an entry's", order("cam", "entry", 0, time.Second), library.ErrClipName, ""},
		{"a ladder's entry's", order("cam", "ladder", 0, time.Second), library.ErrClipName, ""},
		{"live", order("cam", "live", 0, time.Second), library.ErrClipName, ""},
		{"a path", order("cam", "a/b", 0, time.Second), library.ErrClipName, ""},
		{"up", order("cam", "..", 0, time.Second), library.ErrClipName, ""},
		{"a playlist's", order("cam", "x.m3u8", 0, time.Second), library.ErrClipName, ""},
		{"a segment's", order("cam", "x.ts", 0, time.Second), library.ErrClipName, ""},
		{"an adaptive entry's", order("cam", "x_adaptive", 0, time.Second), library.ErrClipName, ""},
		{"with an id", order("cam", "x-2023-08-24_16-02-52.970", 0, time.Second), library.ErrClipName, ""},
		{"an id", order("cam", "2023-08-24_16-02-52.970", 0, time.Second), library.ErrClipName, ""},
		{"none", order("cam", "", 0, time.Second), library.ErrClipName, ""},
		{"the same again", order("cam", "made", 0, time.Second), library.ErrClipExists, ""},
		{"the same name, another range", order("cam", "made", 2*time.Second, 3*time.Second), library.ErrClipExists, "remove it first"},
	} {
		if c, err := s.lib.Clip(t.Context(), tc.o); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %+v, %v", tc.name, c, err)
		}
		if after := storetest.Keys(t, s, ""); !slices.Equal(before, after) {
			t.Fatalf("%s: left %v", tc.name, after)
		}
	}
	o := order("cam", "show", 0, time.Second)
	o.Taken = func(string) string { return "a stream on the air" }
	if _, err := s.lib.Clip(t.Context(), o); !errors.Is(err, library.ErrClipName) || !strings.Contains(err.Error(), "on the air") {
		t.Errorf("a name that is taken elsewhere: %v", err)
	}
	if c := s.clip(order("cam", "made", time.Hour, time.Hour+time.Second)); c.Recording != "2023-08-24_17-02-52.970" {
		t.Errorf("the same name of another recording: %+v", c)
	}
}

// What the store lacks of a finished recording is a gap; where nothing is left there is no clip.
func TestClipOfDamage(t *testing.T) {
	s := newShelf(t)
	cam := s.tape("live", "cam", firstFrame).add(5).write(true)
	s.remove(cam.name(1).String())
	s.put(cam.name(2).String(), []byte("cut short"))
	c := s.clip(order("cam", "goal", 0, 9*time.Second))
	m := s.media(c.Key())
	if c.Gaps != 2 || c.Segments != 3 || !m.Segments[1].Gap || !m.Segments[2].Gap || m.Segments[3].Gap {
		t.Errorf("%+v, %+v", c, m)
	}
	if rep, err := s.lib.Verify(t.Context(), c.Ref(), library.VerifyOptions{}); err != nil || !rep.Sound || rep.Whole {
		t.Errorf("%+v, %v", rep, err)
	}
	if _, err := s.lib.Clip(t.Context(), order("cam", "lost", 2*time.Second, 5*time.Second)); !errors.Is(err, library.ErrClipNothing) {
		t.Errorf("a clip of what is lost: %v", err)
	}
}

// snapshot is what memory has of a tape that goes on.
func (t *tape) snapshot() *segmenter.Snapshot {
	s := &segmenter.Snapshot{Key: segmenter.Key{App: t.app, Stream: t.stream}, Recording: t.folder, State: segmenter.Live, TargetDuration: 2, Base: t.media.MediaSequence}
	for i, seg := range t.media.Segments {
		n := t.media.MediaSequence + uint64(i)
		s.Rows = append(s.Rows, segmenter.Row{Sequence: n, Start: t.starts[n], Duration: seg.Duration, Size: seg.Size, CRC32C: seg.CRC32C, Discontinuity: seg.Discontinuity, Independent: true})
	}
	return s
}

// Of a running recording memory knows more than its playlist in the store; what is not in the store is not named.
func TestClipOfRunning(t *testing.T) {
	s := newShelf(t)
	cam := s.tape("live", "cam", firstFrame).add(3).write(false)
	cam.add(4)
	late := cam.name(6).String()
	body := s.text(late)
	s.remove(late)
	o := order("cam", "goal", 3*time.Second, 20*time.Second)
	o.Running = func(app, stream string) *segmenter.Snapshot {
		if app != "live" || stream != "cam" {
			t.Errorf("asked for %s/%s", app, stream)
		}
		return cam.snapshot()
	}
	before := storetest.Keys(t, s, "")
	if c, err := s.lib.Clip(t.Context(), o); !errors.Is(err, library.ErrClipEarly) || !strings.Contains(err.Error(), "1 of the 6") {
		t.Errorf("%+v, %v", c, err)
	}
	if after := storetest.Keys(t, s, ""); !slices.Equal(before, after) {
		t.Errorf("left %v", after)
	}
	s.put(late, []byte(body))
	c := s.clip(o)
	if c.First != 1 || c.Last != 6 || c.Segments != 6 {
		t.Errorf("%+v", c)
	}
	s.whole(c.Ref())
}

// What the store will never have of a recording that is still in memory holds up no clip: its playlist there says so, or names an object that
// is gone since.
func TestClipOverLoss(t *testing.T) {
	for name, lose := range map[string]func(cam *tape){
		"a gap in the store's playlist": func(cam *tape) {
			s := &cam.media.Segments[1]
			s.Gap, s.Size, s.CRC32C = true, 0, 0
			cam.write(false)
			s.Gap, s.Size, s.CRC32C = false, 4711, 1
		},
		"named, and gone": func(cam *tape) { cam.write(false) },
		"and ended":       func(cam *tape) { cam.write(true) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			cam := s.tape("live", "cam", firstFrame).add(4)
			lose(cam)
			s.remove(cam.name(1).String())
			cam.add(1)
			o := order("cam", "goal", time.Second, 20*time.Second)
			o.Running = func(string, string) *segmenter.Snapshot { return cam.snapshot() }
			c := s.clip(o)
			if m := s.media(c.Key()); c.Last != 4 || c.Gaps != 1 || c.Segments != 4 || !m.Segments[1].Gap || m.Segments[1].Size != 0 || m.Segments[2].Gap {
				t.Errorf("%+v, %+v", c, m)
			}
		})
	}
}

// A clip goes over the parts of a recording that was split, and not over one that is missing.
func TestClipOfSplits(t *testing.T) {
	s := newShelf(t)
	one := s.tape("live", "cam", firstFrame).add(3).write(true)
	two := one.split().add(3).write(true)
	two.split().add(3).write(false)
	c := s.clip(order("cam", "goal", time.Second, 15*time.Second))
	if c.First != 0 || c.Last != 7 || c.Recording != one.folder {
		t.Errorf("%+v", c)
	}
	s.whole(c.Ref())
	s.remove(two.key())
	if _, err := s.lib.Clip(t.Context(), order("cam", "more", time.Second, 15*time.Second)); !errors.Is(err, library.ErrClipRange) {
		t.Errorf("over a hole: %v", err)
	}
	if out, err := s.lib.Remove(t.Context(), []library.RecordingRef{one.ref()}, really(true)); err != nil || out.Spared != 6 || len(out.Segments) != 0 { // those of the part that is missing, too
		t.Errorf("%+v, %v", out, err)
	}
	s.whole(c.Ref())
}

// What a clip names stays when its recording goes, by hand or by age, and goes with the clip.
func TestClipKeepsItsSegments(t *testing.T) {
	for name, remove := range map[string]func(s *shelf, cam *tape){
		"by hand": func(s *shelf, cam *tape) {
			out, err := s.lib.Remove(s.t.Context(), []library.RecordingRef{cam.ref()}, really(true))
			if err != nil || out.Spared != 5 || len(out.Segments) != 3 || len(out.Clips) != 2 || out.Clips[0].Stream != "goal" {
				s.t.Errorf("%+v, %v", out, err)
			}
		},
		"by age": func(s *shelf, cam *tape) {
			for range 3 {
				o := library.ExpireOptions{Keep: time.Hour, Now: s.now.Add(24 * time.Hour), Really: true}
				if _, err := s.lib.Expire(s.t.Context(), "live", o); err != nil {
					s.t.Error(err)
				}
			}
			o := library.ExpireOptions{Keep: time.Hour, Now: s.now.Add(24 * time.Hour), Really: true}
			if out, err := s.lib.Expire(s.t.Context(), "live", o); err != nil || len(out.Recordings) > 0 {
				s.t.Errorf("again: %+v, %v", out, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			cam := s.tape("live", "cam", firstFrame).add(8).write(true).writeLive(3).writeEntry()
			goal, other := s.clip(order("cam", "goal", 3*time.Second, 7*time.Second)), s.clip(order("cam", "other", 5*time.Second, 11*time.Second))
			remove(s, cam)
			var left []string
			for seq := uint64(1); seq < 6; seq++ {
				left = append(left, cam.name(seq).String())
			}
			if got := storetest.Keys(t, s, "live/streams/cam"); !slices.Equal(got, left) {
				t.Errorf("left %v", got)
			}
			s.whole(goal.Ref())
			s.whole(other.Ref())
			if list, err := listed(s.lib.List(t.Context(), "live", "cam")); err != nil || len(list) != 0 {
				t.Errorf("the recording is still listed: %+v, %v", list, err)
			}
			if _, _, err := s.lib.Show(t.Context(), cam.ref()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("shown: %v", err)
			}
			out, err := s.lib.Remove(t.Context(), []library.RecordingRef{goal.Ref()}, library.RemoveOptions{})
			if err != nil || out.Removed || len(out.Segments) != 1 {
				t.Errorf("would remove %+v, %v", out, err)
			}
			if _, err = s.lib.Remove(t.Context(), []library.RecordingRef{goal.Ref()}, really(false)); err != nil {
				t.Error(err)
			}
			s.whole(other.Ref())
			if _, err = s.lib.Remove(t.Context(), []library.RecordingRef{other.Ref()}, really(false)); err != nil {
				t.Error(err)
			}
			if got := storetest.Keys(t, s, ""); len(got) != 0 {
				t.Errorf("left at last: %v", got)
			}
		})
	}
}

// A clip that goes before its recording takes nothing along.
func TestClipGoesFirst(t *testing.T) {
	s := newShelf(t)
	cam := s.tape("live", "cam", firstFrame).add(4).write(true).writeLive(2)
	before := storetest.Keys(t, s, "")
	c := s.clip(order("cam", "goal", 0, 5*time.Second))
	if out, err := s.lib.Remove(t.Context(), []library.RecordingRef{c.Ref()}, really(false)); err != nil || len(out.Segments) != 0 || !out.Removed {
		t.Errorf("%+v, %v", out, err)
	}
	if after := storetest.Keys(t, s, ""); !slices.Equal(before, after) {
		t.Errorf("left %v", after)
	}
	s.whole(cam.ref())
}

// Together they go as one, in whatever order they are named.
func TestClipAndRecordingGoTogether(t *testing.T) {
	for _, ladder := range []bool{false, true} {
		for _, first := range []bool{true, false} {
			s := newShelf(t)
			cam := s.tape("live", "cam", firstFrame).add(4).write(true).writeLive(2)
			of := cam.ref()
			if ladder {
				of.Stream = "show"
				m := m3u8.Master{Variants: []m3u8.Variant{{URI: "cam-" + string(cam.folder) + ".m3u8", Bandwidth: 1}}}
				s.put("live/streams/"+of.Stream+"-"+string(of.ID)+".m3u8", m.Append(nil))
			}
			refs := []library.RecordingRef{s.clip(order(of.Stream, "goal", 0, 5*time.Second)).Ref(), of}
			if !first {
				slices.Reverse(refs)
			}
			out, err := s.lib.Remove(t.Context(), refs, really(true))
			if err != nil || len(out.Segments) != 4 || out.Spared != 0 || len(out.Clips) != 0 {
				t.Errorf("%+v, %v", out, err)
			}
			if got := storetest.Keys(t, s, ""); len(got) != 0 {
				t.Errorf("left %v", got)
			}
		}
	}
}

// Repair makes a clip true, and gives it its hold back.
func TestClipRepair(t *testing.T) {
	s := newShelf(t)
	cam := s.tape("live", "cam", firstFrame).add(5).write(true)
	c := s.clip(order("cam", "goal", 0, 9*time.Second))
	body := s.text(cam.name(2).String())
	s.remove(cam.name(2).String())
	holds := storetest.Keys(t, s, "live/clips/")
	if len(holds) != 1 || holds[0] != "live/clips/cam/2023-08-24_16-02-52.970/000000000-000000004.goal.json" {
		t.Fatalf("holds %v", holds)
	}
	s.remove(holds[0])
	rep, err := s.lib.Verify(t.Context(), c.Ref(), library.VerifyOptions{})
	if err != nil || rep.Sound || len(rep.Findings) != 2 {
		t.Errorf("%+v, %v", rep, err)
	}
	if shown, err := s.lib.ShowClip(t.Context(), c.Ref()); err != nil || shown.Stream != "cam" || shown.Last != 4 {
		t.Errorf("without its hold %+v, %v", shown, err)
	}
	if out, err := s.lib.Repair(t.Context(), c.Ref(), library.RepairOptions{DryRun: true}); err != nil || len(out.Written) != 2 || out.Gaps != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := s.lib.Repair(t.Context(), c.Ref(), library.RepairOptions{}); err != nil || out.Gaps != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if rep, err := s.lib.Verify(t.Context(), c.Ref(), library.VerifyOptions{}); err != nil || !rep.Sound {
		t.Errorf("repaired: %+v, %v", rep, err)
	}
	s.put(cam.name(2).String(), []byte(body))
	if out, err := s.lib.Repair(t.Context(), c.Ref(), library.RepairOptions{}); err != nil || out.Returned != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	s.whole(c.Ref())
	if out, err := s.lib.Repair(t.Context(), c.Ref(), library.RepairOptions{}); err != nil || len(out.Written) != 0 {
		t.Errorf("again: %+v, %v", out, err)
	}
	m := s.media(c.Key())
	if m.Clip == "" || m.Segments[2].CRC32C != cam.media.Segments[2].CRC32C {
		t.Errorf("%+v", m)
	}
}

// meanwhile does something when a key was put or removed.
type meanwhile struct {
	storage.Store
	removed string
	do      func()
}

func (m *meanwhile) Remove(ctx context.Context, keys ...string) error {
	err := m.Store.Remove(ctx, keys...)
	if do := m.do; do != nil && m.removed != "" && slices.Contains(keys, m.removed) {
		m.do = nil
		do()
	}
	return err
}

// A clip and the removal of its recording may meet: either the clip is there and plays, or there is none of it.
func TestClipMeetsRemoval(t *testing.T) {
	const playlist = "live/streams/cam-2023-08-24_16-02-52.970.m3u8"
	s := newShelf(t)
	cam := s.tape("live", "cam", firstFrame).add(5).write(true)
	body := s.text(playlist)
	store := &meanwhile{Store: s, removed: playlist}
	lib := library.New(store, library.Options{Now: func() time.Time { return s.now.Add(24 * time.Hour) }})
	store.do = func() { // its playlist is gone, its segments are not
		if _, err := s.lib.Clip(t.Context(), order("cam", "late", 0, 5*time.Second)); !errors.Is(err, library.ErrClipNothing) {
			t.Errorf("a clip of what goes: %v", err)
		}
		// One that had read the playlist before, and has put its hold.
		s.put(playlist, []byte(body))
		s.clip(order("cam", "goal", 3*time.Second, 5*time.Second))
		s.remove(playlist)
	}
	out, err := lib.Remove(t.Context(), []library.RecordingRef{cam.ref()}, really(true))
	if err != nil || out.Spared != 2 || len(out.Segments) != 3 {
		t.Errorf("%+v, %v", out, err)
	}
	s.whole(library.RecordingRef{App: "live", Stream: "goal", ID: cam.folder})
	if got := storetest.Keys(t, s, "live/streams/late"); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

// unanswered carries out the writing of a key, and gives no answer; nor does it remove anything for one who has gone.
type unanswered struct {
	storage.Store
	key    string
	before func() // instead of carrying it out; may be nil
	gone   context.CancelFunc
}

func (u *unanswered) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if !strings.Contains(key, u.key) {
		return u.Store.Put(ctx, key, body, a)
	}
	if u.before != nil {
		u.before()
	} else if _, err := u.Store.Put(ctx, key, body, a); err != nil {
		return "", err
	}
	u.gone()
	return "", context.Cause(ctx)
}

func (u *unanswered) Remove(ctx context.Context, keys ...string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return u.Store.Remove(ctx, keys...)
}

// A write that ended without an answer may have been carried out: nothing is left of the clip that was said to have failed, whatever of it
// that was, and what others put there meanwhile stays.
func TestClipWithoutAnswer(t *testing.T) {
	for _, key := range []string{"/clips/", "/streams/goal-", "by another", "by another at once"} {
		s := newShelf(t)
		s.tape("live", "cam", firstFrame).add(5).write(true)
		before := storetest.Keys(t, s, "")
		ctx, cancel := context.WithCancel(t.Context())
		store, last := &unanswered{Store: s, key: key, gone: cancel}, uint64(1)
		if key == "by another" {
			store.key = "/streams/goal-"
			store.before = func() { s.clip(order("cam", "goal", 0, 3*time.Second)) }
		}
		if key == "by another at once" { // of the same range, while the hold got no answer
			store.key, last = "/clips/", 2
			store.before = func() { s.now = s.now.Add(time.Second); s.clip(order("cam", "goal", 0, 5*time.Second)) }
		}
		lib := library.New(store, library.Options{Now: func() time.Time { return s.now.Add(24 * time.Hour) }})
		if _, err := lib.Clip(ctx, order("cam", "goal", 0, 5*time.Second)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", key, err)
		}
		if store.before != nil {
			list, _, err := s.lib.Clips(t.Context(), "live", "", 10)
			if err != nil || len(list) != 1 || list[0].Last != last {
				t.Errorf("%s: %+v, %v", key, list, err)
			}
		} else if after := storetest.Keys(t, s, ""); !slices.Equal(before, after) {
			t.Errorf("%s: left %v", key, after)
		}
		cancel()
	}
}

// A hold without a clip, as a crash leaves it, keeps nothing when nobody makes the clip any more, and goes with the recording.
func TestClipHalfMade(t *testing.T) {
	s := newShelf(t)
	cam := s.tape("live", "cam", firstFrame).add(5).write(true)
	c := s.clip(order("cam", "goal", 0, 5*time.Second))
	s.remove(c.Key())
	if list, _, err := s.lib.Clips(t.Context(), "live", "", 10); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	young := library.New(s, library.Options{Now: func() time.Time { return s.now.Add(time.Minute) }})
	if out, err := young.Remove(t.Context(), []library.RecordingRef{cam.ref()}, library.RemoveOptions{Force: true}); err != nil || out.Spared != 3 {
		t.Errorf("while it may be made: %+v, %v", out, err)
	}
	if _, err := young.Clip(t.Context(), order("cam", "goal", 0, 5*time.Second)); !errors.Is(err, library.ErrClipExists) {
		t.Errorf("made twice at once: %v", err)
	}
	again := s.clip(order("cam", "goal", 0, 5*time.Second)) // a day later
	s.whole(again.Ref())
	s.remove(again.Key())
	holds := storetest.Keys(t, s, "live/clips/")
	s.put(holds[0], []byte("{}"))
	if out, err := s.lib.Remove(t.Context(), []library.RecordingRef{cam.ref()}, really(false)); err != nil || out.Spared != 0 {
		t.Errorf("a day later: %+v, %v", out, err)
	}
	if got := storetest.Keys(t, s, ""); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

// An export of a clip is its segments.
func TestClipExport(t *testing.T) {
	s := newShelf(t)
	s.tape("live", "cam", firstFrame).add(5).write(true)
	c := s.clip(order("cam", "goal", 0, 5*time.Second))
	to := &storetest.Memory{}
	out, err := s.lib.ExportFolder(t.Context(), c.Ref(), to, false)
	if err != nil || out.Segments != 3 || len(out.Damaged) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if got := storetest.Keys(t, to, ""); len(got) != 4 {
		t.Errorf("%v", got)
	}
}

// A playlist that says that it is a clip of what it does not name is damage, and removing it takes nothing of others along.
func TestClipThatLies(t *testing.T) {
	s := newShelf(t)
	cam := s.tape("live", "cam", firstFrame).add(3).write(true).writeLive(2)
	s.tape("live", "other", firstFrame).add(3)
	before := storetest.Keys(t, s, "")
	for i, of := range []string{"other-2023-08-24_16-02-52.970", "cam-2023-08-24_16-02-52.971", "../cam-2023-08-24_16-02-52.970", "-2023-08-24_16-02-52.970", "x"} {
		m := cam.media
		m.Type, m.EndList, m.Clip = m3u8.VOD, true, of
		ref := library.RecordingRef{App: "live", Stream: fmt.Sprint("lie", i), ID: cam.folder}
		s.put("live/streams/"+ref.Stream+"-"+string(ref.ID)+".m3u8", m.Append(nil))
		if rep, err := s.lib.Verify(t.Context(), ref, library.VerifyOptions{}); err != nil || rep.Sound {
			t.Errorf("%s: %+v, %v", of, rep, err)
		}
		if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{ref}, really(true)); err != nil {
			t.Errorf("%s: %v", of, err)
		}
		if after := storetest.Keys(t, s, ""); !slices.Equal(before, after) {
			t.Fatalf("%s: left %v", of, after)
		}
	}
}

// A recording that another server has is not in memory: what its timestamped playlist does not say yet, its live playlist does.
func TestClipOfGrowing(t *testing.T) {
	s := newShelf(t)
	cam := s.tape("live", "cam", firstFrame).add(4).write(false).add(2).writeLive(3)
	one := s.tape("live", "show_720p", firstFrame).add(1).write(false).add(2).writeLive(3)
	s.group("show", one)
	c := s.clip(order("cam", "goal", 0, time.Minute))
	if c.First != 0 || c.Last != 5 || c.Segments != 6 || c.Gaps != 0 || !c.End.Equal(firstFrame.Add(12*time.Second)) {
		t.Errorf("%+v", c)
	}
	for i, seg := range s.media(c.Key()).Segments { // the live playlist has no checksums, which takes none from the others
		if (seg.Size > 0) != (i < 4) || seg.URI != cam.media.Segments[i].URI {
			t.Errorf("segment %d: %+v", i, seg)
		}
	}
	s.whole(c.Ref())
	if c := s.clip(order("show", "all", 0, time.Minute)); c.Segments != 3 || len(c.Rungs) != 1 {
		t.Errorf("%+v", c)
	}
	for _, tc := range []struct {
		stream string
		at     time.Duration
		to     time.Duration
		grows  bool
	}{{"cam", 18 * time.Second, 12 * time.Second, true}, {"cam", 19 * time.Second, 12 * time.Second, false}, {"show", 12 * time.Second, 6 * time.Second, true}, {"none", 0, 0, false}} {
		lib := library.New(s, library.Options{Now: func() time.Time { return firstFrame.Add(tc.at) }})
		end, grows, err := lib.Reaches(t.Context(), "live", tc.stream)
		if err != nil || grows != tc.grows || tc.to > 0 && !end.Equal(firstFrame.Add(tc.to)) || tc.to == 0 && !end.IsZero() {
			t.Errorf("%s at %v: %v, %v, %v", tc.stream, tc.at, end, grows, err)
		}
	}
	cam.write(true)
	if _, grows, err := s.lib.Reaches(t.Context(), "live", "cam"); grows || err != nil {
		t.Errorf("an ended one grows: %v", err)
	}
}
