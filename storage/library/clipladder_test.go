package library_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// A ladder's clip is a clip of each rung that has all of it, under one playlist.
func TestClipOfLadder(t *testing.T) {
	s := newShelf(t)
	hi := s.tape("live", "show_720p", firstFrame).add(6).write(true)
	lo := s.tape("live", "show_360p", firstFrame).add(6).write(true)
	late := s.tape("live", "side", firstFrame)
	late.media.MediaSequence, late.clock = 3, firstFrame.Add(6*time.Second)
	late.add(3)
	// The timestamped playlist of a rung that came later has the ladder's id all the same.
	m := late.media
	m.Type, m.EndList = m3u8.VOD, true
	s.put("live/streams/side-2023-08-24_16-02-52.970.m3u8", m.Append(nil))
	group := m3u8.Master{Captions: []m3u8.Caption{{GroupID: "cc", Name: "CC1", InstreamID: "CC1"}}, SessionData: []m3u8.SessionData{{ID: "com.example.title", Value: "The show"}}}
	for i, rung := range []string{hi.stream, lo.stream, late.stream} {
		group.Variants = append(group.Variants, m3u8.Variant{URI: rung + "-2023-08-24_16-02-52.970.m3u8", Bandwidth: 3 - i})
		group.IFrames = append(group.IFrames, m3u8.Variant{URI: rung + "-2023-08-24_16-02-52.970_iframes.m3u8", Bandwidth: 1})
	}
	group.Variants[0].ClosedCaptions, group.Variants[0].VideoRange = "cc", "PQ"
	s.put("live/streams/show-2023-08-24_16-02-52.970.m3u8", group.Append(nil))
	c := s.clip(order("show", "goal", 3*time.Second, 7*time.Second))
	if c.Key() != "live/streams/goal-2023-08-24_16-02-52.970.m3u8" || !slices.Equal(c.Rungs, []string{"goal_720p", "goal_360p"}) || !slices.Equal(c.LeftOut, []string{"side"}) || c.Segments != 3 {
		t.Errorf("%+v", c)
	}
	master, err := m3u8.ParseMaster([]byte(s.text(c.Key())))
	if err != nil || len(master.Variants) != 2 || master.Variants[0].URI != "goal_720p-2023-08-24_16-02-52.970.m3u8" || master.Clip != "show-2023-08-24_16-02-52.970" {
		t.Errorf("%+v, %v", master, err)
	}
	if !slices.Equal(master.Captions, group.Captions) || !slices.Equal(master.SessionData, group.SessionData) || master.Variants[0].ClosedCaptions != "cc" ||
		master.Variants[0].VideoRange != "PQ" || len(master.IFrames) != 0 {
		t.Errorf("what the ladder says is not said of the clip: %+v", master)
	}
	one, two := s.media("live/streams/goal_720p-2023-08-24_16-02-52.970.m3u8"), s.media("live/streams/goal_360p-2023-08-24_16-02-52.970.m3u8")
	if one.MediaSequence != 1 || two.MediaSequence != 1 || len(one.Segments) != 3 || len(two.Segments) != 3 {
		t.Errorf("%+v, %+v", one, two)
	}
	for _, title := range []string{"goal", "goal_720p", "goal_360p"} {
		s.whole(library.RecordingRef{App: "live", Stream: title, ID: c.Recording})
	}
	if list, _, err := s.lib.Clips(t.Context(), "live", "", 10); err != nil || len(list) != 1 || list[0].Title != "goal" {
		t.Errorf("%+v, %v", list, err)
	}
	if all, err := s.lib.Clip(t.Context(), order("show", "end", 7*time.Second, 9*time.Second)); err != nil || len(all.Rungs) != 3 {
		t.Errorf("where all have it: %+v, %v", all, err)
	}
	if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{{App: "live", Stream: "goal_720p", ID: c.Recording}}, really(false)); err == nil {
		t.Error("a rung's clip went alone")
	}
	show := library.RecordingRef{App: "live", Stream: "show", ID: c.Recording}
	if out, err := s.lib.Remove(t.Context(), []library.RecordingRef{show}, really(false)); err != nil || len(out.Clips) != 5 {
		t.Errorf("%+v, %v", out, err)
	}
	s.whole(c.Ref())
	if _, err := s.lib.Expire(t.Context(), "live", library.ExpireOptions{Keep: time.Hour, Now: s.now.Add(24 * time.Hour), Really: true}); err != nil {
		t.Error(err)
	}
	s.whole(c.Ref())
	for _, title := range []string{"goal", "end"} {
		if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{{App: "live", Stream: title, ID: c.Recording}}, really(false)); err != nil {
			t.Error(err)
		}
	}
	if got := storetest.Keys(t, s, ""); len(got) != 0 {
		t.Errorf("left at last: %v", got)
	}
}

// A ladder's clip says that each segment begins on its own only where all the playlists over it do.
func TestClipOfLadderIndependent(t *testing.T) {
	for name, tc := range map[string]struct{ one, two, want bool }{
		"both": {true, true, true}, "first": {true, false, false}, "second": {false, true, false}, "none": {false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			one := s.tape("live", "cam", firstFrame).add(2).write(true)
			two := one.split().add(2).write(true)
			for of, independent := range map[*tape]bool{one: tc.one, two: tc.two} {
				m := m3u8.Master{IndependentSegments: independent, Variants: []m3u8.Variant{{URI: "cam-" + string(of.ref().ID) + ".m3u8", Bandwidth: 1}}}
				s.put("live/streams/show-"+string(of.ref().ID)+".m3u8", m.Append(nil))
			}
			c := s.clip(order("show", "goal", time.Second, 7*time.Second))
			if m, err := m3u8.ParseMaster([]byte(s.text(c.Key()))); err != nil || m.IndependentSegments != tc.want || c.Last != 3 {
				t.Errorf("%+v, %+v, %v", c, m, err)
			}
		})
	}
}

// ladderClip makes a clip of a ladder with two rungs.
func (s *shelf) ladderClip() *library.Clip {
	s.group("show", s.tape("live", "show_720p", firstFrame).add(4).write(true), s.tape("live", "show_360p", firstFrame).add(4).write(true))
	return s.clip(order("show", "goal", 3*time.Second, 7*time.Second))
}

// What is left of a ladder's clip when its playlist is gone, or never came, is listed and can be removed.
func TestClipOfLadderByHalf(t *testing.T) {
	s := newShelf(t)
	goal := s.ladderClip()
	s.remove(goal.Key())
	if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{{App: "live", Stream: "show", ID: goal.Recording}}, really(false)); err != nil {
		t.Fatal(err)
	}
	young := library.New(s, library.Options{Now: func() time.Time { return s.now.Add(time.Minute) }})
	if list, _, err := young.Clips(t.Context(), "live", "", 10); err != nil || len(list) != 0 {
		t.Errorf("while it may be made: %+v, %v", list, err)
	}
	list, _, err := s.lib.Clips(t.Context(), "live", "", 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	for _, c := range list {
		if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{c.Ref()}, really(false)); err != nil {
			t.Error(err)
		}
	}
	if got := storetest.Keys(t, s, ""); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

// Repair gives a ladder's clip its holds back, and those of its rungs: it is one clip again.
func TestClipOfLadderRepair(t *testing.T) {
	s := newShelf(t)
	goal := s.ladderClip()
	before := storetest.Keys(t, s, "live/clips/")
	s.remove("live/clips/show/" + string(goal.Recording) + "/000000001-000000003.goal.json")
	if rep, err := s.lib.Verify(t.Context(), goal.Ref(), library.VerifyOptions{}); err != nil || rep.Sound {
		t.Errorf("%+v, %v", rep, err)
	}
	for _, key := range storetest.Keys(t, s, "live/clips/") {
		s.remove(key)
	}
	if out, err := s.lib.Repair(t.Context(), goal.Ref(), library.RepairOptions{}); err != nil || !slices.Equal(storetest.Keys(t, s, "live/clips/"), before) {
		t.Errorf("%+v, %v: %v", out, err, storetest.Keys(t, s, "live/clips/"))
	}
	if out, err := s.lib.Repair(t.Context(), goal.Ref(), library.RepairOptions{}); err != nil || len(out.Written) != 0 {
		t.Errorf("again: %+v, %v", out, err)
	}
	s.whole(goal.Ref())
	list, _, err := s.lib.Clips(t.Context(), "live", "", 10)
	if err != nil || len(list) != 1 || list[0].Title != "goal" || list[0].Segments != goal.Segments || !list[0].Start.Equal(goal.Start) {
		t.Errorf("%+v, %v", list, err)
	}
}
