package library_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// removals notes the order in which keys go.
type removals struct {
	storage.Store
	mu   sync.Mutex
	keys []string
}

func (r *removals) Remove(ctx context.Context, keys ...string) error {
	r.mu.Lock()
	r.keys = append(r.keys, keys...)
	r.mu.Unlock()
	return r.Store.Remove(ctx, keys...)
}

func really(force bool) library.RemoveOptions {
	return library.RemoveOptions{Really: true, Force: force}
}

// Cleaning up stream1 touches nothing of stream10, nor of stream1's other recordings, nor of its neighbours by name.
func TestRemoveKnowsRecordings(t *testing.T) {
	s := newShelf(t)
	one := s.tape("live", "stream1", firstFrame).add(3).write(true).writeLive(2)
	var keep []string
	note := func(tp *tape) {
		tp.add(3).write(true).writeLive(2)
		keep = append(keep, tp.key(), strings.TrimSuffix(tp.name(0).String(), "000000000.ts")+"live.m3u8")
		for i := range uint64(3) {
			keep = append(keep, tp.name(i).String())
		}
	}
	note(s.tape("live", "stream10", firstFrame))
	note(s.tape("live", "stream1-2", firstFrame))
	note(s.tape("live", "stream", firstFrame))
	note(s.tape("live2", "stream1", firstFrame))
	note(s.tape("live", "stream1", firstFrame.Add(time.Hour)))
	s.put("live/streams/stream1.m3u8", (&m3u8.Master{Variants: []m3u8.Variant{{URI: "stream1/2023-08-24_17-02-52.970/live.m3u8", Bandwidth: 1}}}).Append(nil))
	s.put("live/streams/stream1/notes.txt", []byte("mine"))
	keep = append(keep, "live/streams/stream1.m3u8", "live/streams/stream1/notes.txt")
	all := storetest.Keys(t, s, "")

	dry, err := s.lib.Remove(t.Context(), []library.RecordingRef{one.ref()}, library.RemoveOptions{})
	if err != nil || dry.Removed || len(dry.Segments) != 3 || len(dry.Playlists) != 2 || !slices.Equal(storetest.Keys(t, s, ""), all) {
		t.Errorf("dry run: %+v, %v", dry, err)
	}
	out, err := s.lib.Remove(t.Context(), []library.RecordingRef{one.ref()}, really(false))
	if err != nil || !out.Removed || !slices.Equal(out.Segments, dry.Segments) || !slices.Equal(out.Playlists, dry.Playlists) || out.Bytes == 0 {
		t.Errorf("%+v, %v", out, err)
	}
	slices.Sort(keep)
	if got := storetest.Keys(t, s, ""); !slices.Equal(got, keep) {
		t.Errorf("left\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(keep, "\n"))
	}
}

func TestRemovePlaylistsFirst(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(3).write(true).writeLive(2).writeEntry()
	r := &removals{Store: s}
	var last library.Progress
	lib := library.New(r, library.Options{Now: func() time.Time { return s.now.Add(time.Hour) }, Progress: func(p library.Progress) { last = p }})
	if _, err := lib.Remove(t.Context(), []library.RecordingRef{tp.ref()}, really(false)); err != nil {
		t.Fatal(err)
	}
	id := string(tp.folder)
	want := []string{
		"live/streams/cam.m3u8", "live/streams/cam_adaptive.m3u8", "live/streams/cam-" + id + ".m3u8", "live/streams/cam/" + id + "/live.m3u8",
		tp.name(0).String(), tp.name(1).String(), tp.name(2).String(),
	}
	if !slices.Equal(r.keys, want) {
		t.Errorf("order %q, want %q", r.keys, want)
	}
	if last.Act != "remove" || last.Done != 7 || last.Total != 7 {
		t.Errorf("progress %+v", last)
	}
	if left := storetest.Keys(t, s, ""); left != nil {
		t.Errorf("left %q", left)
	}
}

func TestRemoveRefuses(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(3).write(false)
	all := storetest.Keys(t, s, "")
	young := library.New(s, library.Options{Now: func() time.Time { return s.now.Add(time.Minute) }})
	if _, err := young.Remove(t.Context(), []library.RecordingRef{tp.ref()}, really(false)); !errors.Is(err, library.ErrAlive) {
		t.Errorf("a running recording: %v", err)
	}
	none := tp.ref()
	none.Stream = "none"
	if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{tp.ref(), none}, really(false)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one of two does not exist: %v", err)
	}
	if !slices.Equal(storetest.Keys(t, s, ""), all) {
		t.Error("something was removed")
	}
	if _, err := young.Remove(t.Context(), []library.RecordingRef{tp.ref()}, really(true)); err != nil {
		t.Errorf("with force: %v", err)
	}
	// Segments without a playlist have a name, too.
	tp = s.tape("live", "orphan", firstFrame).add(3)
	if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{tp.ref()}, really(false)); err != nil {
		t.Errorf("no playlist: %v", err)
	}
	if left := storetest.Keys(t, s, ""); left != nil {
		t.Errorf("left %q", left)
	}
}

func TestRemoveSplit(t *testing.T) {
	s := newShelf(t)
	one := s.tape("live", "cam", firstFrame).add(3).write(true)
	two := one.split().add(3).write(true)
	three := two.split().add(3).write(false).writeLive(3)
	three.writeEntry()
	young := library.New(s, library.Options{Now: func() time.Time { return s.now.Add(time.Minute) }})
	if _, err := young.Remove(t.Context(), []library.RecordingRef{two.ref()}, really(false)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"live/streams/cam-2023-08-24_16-02-52.970.m3u8", "live/streams/cam-2023-08-24_16-03-04.970.m3u8", "live/streams/cam.m3u8",
	}
	for _, i := range []uint64{0, 1, 2, 6, 7, 8} {
		want = append(want, one.name(i).String())
	}
	want = append(want, strings.TrimSuffix(one.name(0).String(), "000000000.ts")+"live.m3u8", "live/streams/cam_adaptive.m3u8")
	if got := storetest.Keys(t, s, ""); !slices.Equal(got, want) {
		t.Errorf("left\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s.verified(one)
}

// A split has ended, the next one's segments come, its playlist is still to be written: they stay.
func TestRemoveSplitBeforeTheNextPlaylist(t *testing.T) {
	s := newShelf(t)
	one := s.tape("live", "cam", firstFrame).add(3).write(true)
	two := one.split().add(3).writeLive(4)
	young := library.New(s, library.Options{Now: func() time.Time { return s.now.Add(time.Minute) }})
	if _, err := young.Remove(t.Context(), []library.RecordingRef{one.ref()}, really(true)); err != nil {
		t.Fatal(err)
	}
	want := []string{two.name(3).String(), two.name(4).String(), two.name(5).String(),
		strings.TrimSuffix(one.name(0).String(), "000000000.ts") + "live.m3u8"}
	if got := storetest.Keys(t, s, ""); !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
}

func (s *shelf) group(name string, rungs ...*tape) library.RecordingRef {
	var m m3u8.Master
	for i, r := range rungs {
		m.Variants = append(m.Variants, m3u8.Variant{URI: r.stream + "-" + string(r.ref().ID) + ".m3u8", Bandwidth: i + 1})
	}
	ref := library.RecordingRef{App: rungs[0].app, Stream: name, ID: rungs[0].ref().ID}
	s.put("live/streams/"+name+"-"+string(ref.ID)+".m3u8", m.Append(nil))
	return ref
}

func TestRemoveGroup(t *testing.T) {
	s := newShelf(t)
	high := s.tape("live", "show_720p", firstFrame).add(2).write(true)
	low := s.tape("live", "show_480p", firstFrame).add(2).write(true)
	group := s.group("show", high, low)
	if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{low.ref()}, really(true)); err == nil || !strings.Contains(err.Error(), group.String()) {
		t.Errorf("one rung of a group: %v", err)
	}
	r := &removals{Store: s}
	lib := library.New(r, library.Options{})
	out, err := lib.Remove(t.Context(), []library.RecordingRef{group}, really(false))
	if err != nil || len(out.Recordings) != 3 || len(out.Segments) != 4 {
		t.Errorf("%+v, %v", out, err)
	}
	if left := storetest.Keys(t, s, ""); left != nil || r.keys[0] != "live/streams/show-"+string(group.ID)+".m3u8" {
		t.Errorf("left %q, order %q", left, r.keys)
	}
}

func TestExpire(t *testing.T) {
	s := newShelf(t)
	const keep = 30 * 24 * time.Hour
	day := func(n int) time.Time { return firstFrame.Add(time.Duration(n) * 24 * time.Hour) }
	gone := []*tape{
		s.tape("live", "cam", day(0)).add(2).write(true),
		s.tape("live", "cam", day(1)).add(2).write(false), // a lost machine's
		s.tape("live", "cam", day(2)).add(2),              // and without a playlist
	}
	split := s.tape("live", "channel", day(5)).add(2).write(true)
	gone = append(gone, split)
	goneGroup := s.group("old", s.tape("live", "old_1", day(3)).add(1).write(true), s.tape("live", "old_2", day(3)).add(1).write(true))
	running := *split.split()
	running.clock = day(12)
	running.add(2)
	running.media.Segments[0].ProgramDateTime = day(12)
	running.write(false).writeLive(2)
	kept := []*tape{
		&running,
		s.tape("live", "cam", day(11)).add(2).write(true),
		s.tape("other", "cam", day(0)).add(2).write(true), // another app
	}
	keptGroup := s.group("half", s.tape("live", "half_1", day(9)).add(1).write(true), s.tape("live", "half_2", day(9)).drop(3*24*time.Hour).add(1).write(true))
	now := day(41)
	before := storetest.Keys(t, s, "")
	plan, err := s.lib.Expire(t.Context(), "live", library.ExpireOptions{Keep: keep, Now: now})
	if err != nil || !slices.Equal(before, storetest.Keys(t, s, "")) {
		t.Fatalf("plan: %v", err)
	}
	out, err := s.lib.Expire(t.Context(), "live", library.ExpireOptions{Keep: keep, Now: now, Really: true})
	if err != nil || !reflect.DeepEqual(out, plan) || out.Segments != len(before)-len(storetest.Keys(t, s, ""))-out.Playlists {
		t.Errorf("%+v, %v", out, err)
	}
	left := storetest.Keys(t, s, "")
	for i, tp := range gone {
		for _, key := range []string{tp.key(), tp.name(0).String()} {
			if slices.Contains(left, key) {
				t.Errorf("%d: %s is left", i, key)
			}
		}
	}
	for i, tp := range kept {
		for n := range uint64(len(tp.media.Segments)) {
			if key := tp.name(tp.media.MediaSequence + n).String(); !slices.Contains(left, key) {
				t.Errorf("%d: %s is gone", i, key)
			}
		}
		if !slices.Contains(left, tp.key()) {
			t.Errorf("%d: %s is gone", i, tp.key())
		}
	}
	for name, want := range map[string]bool{"old": false, "half": true} {
		ref := map[string]library.RecordingRef{"old": goneGroup, "half": keptGroup}[name]
		for _, stream := range []string{name, name + "_1", name + "_2"} {
			if got := slices.ContainsFunc(left, func(k string) bool { return strings.HasPrefix(k, fmt.Sprintf("live/streams/%s-", stream)) }); got != want {
				t.Errorf("%s of group %s: there %v, want %v", stream, ref, got, want)
			}
		}
	}
	if again, err := s.lib.Expire(t.Context(), "live", library.ExpireOptions{Keep: keep, Now: now, Really: true}); err != nil || len(again.Recordings) != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := s.lib.Expire(t.Context(), "live", library.ExpireOptions{Now: now, Really: true}); err == nil {
		t.Error("keep nothing is accepted")
	}
}

// keeper is a store that says of objects that they are gone, and keeps one of them.
type keeper struct {
	storage.Store
	keeps string
}

func (k keeper) Remove(ctx context.Context, keys ...string) error {
	keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return key == k.keeps })
	return k.Store.Remove(ctx, keys...)
}

// A store that keeps what it was told to remove is found out, be it a segment or a playlist.
func TestRemoveLooksAgain(t *testing.T) {
	for _, what := range []string{"segment", "playlist", "nothing"} {
		s := newShelf(t)
		tp := s.tape("live", "cam", firstFrame).add(3).write(true)
		k := keeper{Store: s}
		switch what {
		case "segment":
			k.keeps = tp.name(1).String()
		case "playlist":
			k.keeps = tp.key()
		}
		out, err := library.New(k, library.Options{Now: func() time.Time { return s.now.Add(24 * time.Hour) }}).Remove(t.Context(), []library.RecordingRef{tp.ref()}, really(false))
		if (err != nil) != (k.keeps != "") || out.Removed != (err == nil) {
			t.Errorf("%s: %v, removed %v", what, err, out.Removed)
		}
		if err != nil && !strings.Contains(err.Error(), k.keeps) {
			t.Errorf("%s: %v does not name %s", what, err, k.keeps)
		}
	}
}

// restarted is a store into which a stream that begins anew writes its stable entry, whenever that is removed.
type restarted struct {
	*shelf
	entry []byte
}

func (r restarted) Remove(ctx context.Context, keys ...string) error {
	err := r.shelf.Remove(ctx, keys...)
	for _, key := range keys {
		if key == "live/streams/cam.m3u8" {
			r.put(key, r.entry)
		}
	}
	return err
}

// A stream that is on the air again has its stable entry back at once. That is nothing left of the recording that was removed, unless
// it still leads there.
func TestRemoveBesideTheNextShow(t *testing.T) {
	for uri, left := range map[string]bool{"cam/2030-01-01_00-00-00.000/live.m3u8": false, "cam/" + string(segmenter.NewRecordingID(firstFrame)) + "/live.m3u8": true} {
		s := newShelf(t)
		tp := s.tape("live", "cam", firstFrame).add(3).write(true).writeLive(2).writeEntry()
		store := restarted{s, (&m3u8.Master{Variants: []m3u8.Variant{{URI: uri, Bandwidth: 1}}}).Append(nil)}
		out, err := library.New(store, library.Options{Now: func() time.Time { return s.now.Add(24 * time.Hour) }}).Remove(t.Context(), []library.RecordingRef{tp.ref()}, really(false))
		if (err != nil) != left || out.Removed == left {
			t.Errorf("the entry leads to %s: %v, removed %v", uri, err, out.Removed)
		}
	}
}

// TestExpireCost: an hour's work goes with what has become old, not with what there is.
func TestExpireCost(t *testing.T) {
	s := newShelf(t)
	const keep = 24 * time.Hour
	var now time.Time
	for n := range 300 {
		at := firstFrame.Add(time.Duration(n) * 6 * time.Minute) // 30 hours
		s.tape("live", fmt.Sprintf("cam%02d", n%50), at).add(1).write(true)
		now = at.Add(time.Minute)
	}
	counted := &requests{Store: s}
	lib := library.New(counted, library.Options{Now: func() time.Time { return now }})
	first, err := lib.Expire(t.Context(), "live", library.ExpireOptions{Keep: keep, Now: now, Really: true, Part: 3, Parts: 24})
	if err != nil || len(first.Recordings) != 60 || first.Streams != 50 {
		t.Fatalf("%+v, %v", first, err)
	}
	counted.n.Store(0)
	again, err := lib.Expire(t.Context(), "live", library.ExpireOptions{Keep: keep, Now: now, Really: true, Part: 3, Parts: 24})
	if n := counted.n.Load(); err != nil || len(again.Recordings) != 0 || n > 1+50/10 {
		t.Errorf("%d requests for nothing: %+v, %v", n, again, err)
	}
}

// TestExpireFindsOrphansInTurn: in so many parts as there are, every stream is looked through once.
func TestExpireFindsOrphansInTurn(t *testing.T) {
	s := newShelf(t)
	for n := range 40 {
		s.tape("live", fmt.Sprintf("cam%02d", n), firstFrame).add(1) // without a playlist
	}
	now, found := firstFrame.Add(40*24*time.Hour), 0
	for part := range 8 {
		out, err := s.lib.Expire(t.Context(), "live", library.ExpireOptions{Keep: 24 * time.Hour, Now: now, Really: true, Part: part, Parts: 8})
		if err != nil {
			t.Fatal(err)
		}
		found += len(out.Recordings)
	}
	if left := storetest.Keys(t, s, ""); found != 40 || len(left) != 0 {
		t.Errorf("%d found, %d keys are left", found, len(left))
	}
}

// A removal that ended between a recording's two rolling playlists is completed, by hand or by age, be the segments there or gone.
func TestRemoveTwin(t *testing.T) {
	for name, segments := range map[string]int{"segments too": 3, "alone": 0} {
		for _, byHand := range []bool{true, false} {
			s := newShelf(t)
			cam := s.tape("live", "cam", firstFrame).add(segments)
			s.put("live/streams/cam/"+string(cam.folder)+"/"+segmenter.LowLatencyFile, []byte("#EXTM3U"))
			var err error
			if byHand {
				_, err = s.lib.Remove(t.Context(), []library.RecordingRef{{App: "live", Stream: "cam", ID: cam.folder}}, really(false))
			} else {
				_, err = s.lib.Expire(t.Context(), "live", library.ExpireOptions{Keep: time.Hour, Now: s.now.Add(24 * time.Hour), Really: true})
			}
			if left := storetest.Keys(t, s, ""); err != nil || len(left) > 0 {
				t.Errorf("%s, by hand %t: left %v, %v", name, byHand, left, err)
			}
		}
	}
}

// What a ladder's removal asks of the store grows with its rungs, not with their square.
func TestRemoveGroupReadsOnce(t *testing.T) {
	asked := func(rungs int) int64 {
		s := newShelf(t)
		var tapes []*tape
		for i := range rungs {
			tapes = append(tapes, s.tape("live", fmt.Sprint("rung", i), firstFrame).add(1).write(true))
		}
		counted := &requests{Store: s}
		lib := library.New(counted, library.Options{Now: func() time.Time { return s.now.Add(24 * time.Hour) }})
		if _, err := lib.Remove(t.Context(), []library.RecordingRef{s.group("show", tapes...)}, library.RemoveOptions{}); err != nil {
			t.Fatal(err)
		}
		return counted.n.Load()
	}
	if four, eight := asked(4), asked(8); eight > 2*four {
		t.Errorf("%d requests for four rungs, %d for eight", four, eight)
	}
}

// requests counts what a store is asked.
type requests struct {
	storage.Store
	n atomic.Int64
}

func (r *requests) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	r.n.Add(1)
	return r.Store.Get(ctx, key, off, n)
}

func (r *requests) Stat(ctx context.Context, key string) (storage.Object, error) {
	r.n.Add(1)
	return r.Store.Stat(ctx, key)
}

func (r *requests) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	r.n.Add(1)
	return r.Store.List(ctx, prefix, fn)
}
