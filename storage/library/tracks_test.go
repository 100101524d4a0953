package library_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// writeTracks stores what there is as CMAF, with the rolling playlists of the last two segments.
func (t *tape) writeTracks(ended bool) *tape {
	t.s.t.Helper()
	m := t.media
	rows, _, err := cmaf.Rows(&m)
	if err != nil {
		t.s.t.Fatal(err)
	}
	list := tracks.List{Key: segmenter.Key{App: t.app, Stream: t.stream}, Recording: t.folder, Rows: rows, TargetDuration: 2, EndList: ended}
	var r tracks.Renderer
	put := func(o tracks.Object) {
		if _, err := t.s.Put(t.s.t.Context(), o.Name.String(), bytes.NewReader(o.Body), o.Attributes); err != nil {
			t.s.t.Fatal(err)
		}
	}
	var newest *tracks.Segment
	for i := range rows {
		s, err := r.Segment([][]byte{t.s.get(t.name(rows[i].Sequence).String())}, &rows[i])
		if err != nil {
			t.s.t.Fatal(err)
		}
		for _, o := range s.Objects(list.Key, t.folder, rows[i].Sequence) {
			put(o)
		}
		list.Codings, newest = append(list.Codings, s.Coding), s
	}
	master, err := list.Master(t.ref().ID, newest.Config)
	if err != nil {
		t.s.t.Fatal(err)
	}
	for _, track := range tracks.Both() {
		put(list.Archive(t.ref().ID, track))
		live := list
		from := max(0, len(rows)-2)
		live.Rows, live.Codings = list.Rows[from:], list.Codings[from:]
		put(live.Live(track))
	}
	put(master)
	entry := m3u8.Master{Variants: []m3u8.Variant{{URI: t.stream + "/" + string(t.folder) + "/live.m3u8", Bandwidth: 1, Codecs: "avc1.42c00d,mp4a.40.2"}}}
	if err := cmaf.Tracks(&entry, t.app); err != nil {
		t.s.t.Fatal(err)
	}
	t.s.put(t.app+"/streams/"+t.stream+"_cmaf.m3u8", entry.Append(nil))
	manifest := func(kind segmenter.Kind, typ m3u8.Type, list tracks.List, uri string) {
		n := segmenter.Name{Kind: kind, App: t.app, Stream: t.stream}
		if kind == segmenter.KindDASHArchive {
			n.Recording = t.ref().ID
		}
		o, err := (&tracks.Manifest{
			Name: n, Type: typ, Lists: []*tracks.List{&list}, Master: cmaf.Measured(uri, list.Rows, newest.Config),
			Head: func(_ *tracks.List, row *segmenter.Row) (*cmaf.Config, error) {
				return r.Head([][]byte{t.s.get(t.name(row.Sequence).String())})
			},
		}).Object()
		if err != nil {
			t.s.t.Fatal(err)
		}
		put(o)
	}
	kind := m3u8.Event
	if ended {
		kind = m3u8.VOD
	}
	manifest(segmenter.KindDASHArchive, kind, list, t.stream+"-"+string(t.ref().ID)+".m3u8")
	manifest(segmenter.KindDASHEntry, m3u8.Sliding, list.From(max(0, len(rows)-2)), t.stream+"/"+string(t.folder)+"/live.m3u8")
	return t
}

func (s *shelf) get(key string) []byte {
	s.t.Helper()
	r, _, err := s.Get(s.t.Context(), key, 0, -1)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return body
}

// keys are those that begin with a prefix.
func (s *shelf) keysOf(prefix string) (keys []string) {
	s.t.Helper()
	if err := s.List(s.t.Context(), prefix, func(o storage.Object) error { keys = append(keys, o.Key); return nil }); err != nil {
		s.t.Fatal(err)
	}
	return keys
}

// overTracks are the keys of CMAF among some.
func overTracks(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		n, ok := segmenter.ParseName(key)
		return !ok || n.Kind.Source() == n.Kind
	})
}

// With a recording goes what there is of it as CMAF, playlists first, and nothing of a neighbour whose name begins like it.
func TestRemoveTakesTheTracks(t *testing.T) {
	for name, remove := range map[string]func(s *shelf, ref library.RecordingRef) error{
		"remove": func(s *shelf, ref library.RecordingRef) error {
			_, err := s.lib.Remove(t.Context(), []library.RecordingRef{ref}, library.RemoveOptions{Really: true})
			return err
		},
		"expire": func(s *shelf, ref library.RecordingRef) error {
			_, err := s.lib.Expire(t.Context(), "live", library.ExpireOptions{Keep: time.Hour, Now: firstFrame.Add(2 * time.Hour), Really: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			one := s.tape("live", "stream1", firstFrame).add(4).write(true).writeLive(2).writeEntry().writeTracks(true)
			later := s.tape("live", "stream10", firstFrame.Add(3*time.Hour)).add(2).write(true).writeLive(2).writeEntry().writeTracks(true)
			next := s.tape("live", "stream1", firstFrame.Add(4*time.Hour)).add(2).write(true).writeTracks(true)
			before := append(s.keysOf("live/streams/stream10"), s.keysOf("live/streams/stream1/"+string(next.folder))...)
			if err := remove(s, one.ref()); err != nil {
				t.Fatal(err)
			}
			for _, key := range s.keysOf("live/") {
				if strings.Contains(key, string(one.folder)) {
					t.Errorf("%s is left", key)
				}
			}
			after := append(s.keysOf("live/streams/stream10"), s.keysOf("live/streams/stream1/"+string(next.folder))...)
			if !slices.Equal(before, after) || len(overTracks(after)) < 8 {
				t.Errorf("of the others there was\n%s\nthere is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
			for _, key := range []string{"live/streams/stream1_cmaf.m3u8", "live/streams/stream1.mpd"} {
				if !slices.Contains(s.keysOf("live/streams/"), key) {
					t.Errorf("%s leads to the next recording, and is gone", key)
				}
			}
			_ = later
		})
	}
}

func TestRemovePlaylistsOfTracksFirst(t *testing.T) {
	s := newShelf(t)
	one := s.tape("live", "cam", firstFrame).add(3).write(true).writeLive(2).writeEntry().writeTracks(true)
	out, err := s.lib.Remove(t.Context(), []library.RecordingRef{one.ref()}, library.RemoveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(suffix string) int {
		return slices.IndexFunc(out.Playlists, func(key string) bool { return strings.HasSuffix(key, suffix) })
	}
	id := string(one.folder)
	if e, m := at("/cam.mpd"), at(id+".mpd"); e < 0 || e > m || m > at("/v/"+id+".m3u8") {
		t.Errorf("the manifests are %d and %d in\n%s", e, m, strings.Join(out.Playlists, "\n"))
	}
	entry, master, list, ts, live := at("/cam_cmaf.m3u8"), at(id+"_cmaf.m3u8"), at("/v/"+id+".m3u8"), at("cam-"+id+".m3u8"), at("/v/live.m3u8")
	if entry < 0 || entry > master || master > list || list > ts || ts > live {
		t.Errorf("%d, %d, %d, %d, %d in\n%s", entry, master, list, ts, live, strings.Join(out.Playlists, "\n"))
	}
	if len(out.Segments) != 3*3+2 { // with two init segments
		t.Errorf("%v", out.Segments)
	}
}

// Of a recording that was split one part goes; of what a clip needs, the transport stream stays.
func TestRemoveSparesTracksOfOthers(t *testing.T) {
	s := newShelf(t)
	first := s.tape("live", "cam", firstFrame).add(4).write(true).writeTracks(true)
	second := first.split().add(4).write(true).writeLive(2).writeTracks(true)
	if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{first.ref()}, library.RemoveOptions{Really: true}); err != nil {
		t.Fatal(err)
	}
	left := overTracks(s.keysOf("live/"))
	for seq := range uint64(8) {
		n := first.name(seq)
		n.Kind, n.Track = segmenter.KindFragment, segmenter.VideoTrack
		if is := slices.Contains(left, n.String()); is != (seq >= 4) {
			t.Errorf("%s: %v", n, is)
		}
	}
	if rep, err := s.lib.Verify(t.Context(), second.ref(), library.VerifyOptions{Checksums: true}); err != nil || !rep.Whole {
		t.Errorf("%v, %+v", err, rep.Findings)
	}
	if _, err := s.lib.Clip(t.Context(), library.ClipOrder{App: "live", Stream: "cam", Title: "goal", Start: second.starts[5], End: second.starts[6]}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.lib.Remove(t.Context(), []library.RecordingRef{second.ref()}, library.RemoveOptions{Really: true}); err != nil {
		t.Fatal(err)
	}
	if left := overTracks(s.keysOf("live/")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestVerifyTracks(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(s *shelf, id string)
		want library.Problem
	}{
		{"nothing", func(*shelf, string) {}, ""},
		{"none of it", func(s *shelf, id string) {
			for _, key := range overTracks(s.keysOf("live/")) {
				s.remove(key)
			}
		}, ""},
		{"fragment lost", func(s *shelf, id string) { s.remove("live/streams/cam/" + id + "/v/000000001.m4s") }, library.ProblemMissing},
		{"init lost", func(s *shelf, id string) {
			for _, key := range s.keysOf("live/streams/cam/" + id + "/a/init-") {
				s.remove(key)
			}
		}, library.ProblemMissing},
		{"fragment changed", func(s *shelf, id string) {
			s.put("live/streams/cam/"+id+"/v/000000001.m4s", s.get("live/streams/cam/"+id+"/v/000000002.m4s"))
		}, library.ProblemChecksum},
		{"playlist lost", func(s *shelf, id string) { s.remove("live/streams/cam/" + id + "/a/" + id + ".m3u8") }, library.ProblemMissing},
		{"all playlists lost", func(s *shelf, id string) {
			for _, key := range []string{"cam/" + id + "/a/" + id, "cam/" + id + "/v/" + id, "cam-" + id + "_cmaf"} {
				s.remove("live/streams/" + key + ".m3u8")
			}
		}, library.ProblemNoPlaylist},
		{"entry lost", func(s *shelf, id string) { s.remove("live/streams/cam-" + id + "_cmaf.m3u8") }, library.ProblemNoPlaylist},
		{"not a manifest", func(s *shelf, id string) { s.put("live/streams/cam-"+id+".mpd", []byte("<html>")) }, library.ProblemBadPlaylist},
		{"manifest that may grow", func(s *shelf, id string) {
			key := "live/streams/cam-" + id + ".mpd"
			s.put(key, bytes.Replace(s.get(key), []byte(`"static"`), []byte(`"dynamic"`), 1))
		}, library.ProblemBadPlaylist},
		{"manifest of something else", func(s *shelf, id string) {
			key := "live/streams/cam-" + id + ".mpd"
			s.put(key, bytes.Replace(s.get(key), []byte(`.m4s"`), []byte(`.mp3"`), 1))
		}, library.ProblemBadPlaylist},
		{"not a playlist", func(s *shelf, id string) { s.put("live/streams/cam/"+id+"/v/"+id+".m3u8", []byte("<html>")) }, library.ProblemBadPlaylist},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShelf(t)
			one := s.tape("live", "cam", firstFrame).add(3).drop(time.Minute).add(2).write(true).writeLive(2).writeTracks(true)
			whole := map[string]string{}
			for _, key := range overTracks(s.keysOf("live/")) {
				whole[key] = string(s.get(key))
			}
			c.harm(s, string(one.folder))
			verify := func() *library.Report {
				t.Helper()
				rep, err := s.lib.Verify(t.Context(), one.ref(), library.VerifyOptions{Checksums: true})
				if err != nil {
					t.Fatal(err)
				}
				return rep
			}
			rep := verify()
			if c.want == "" {
				if !rep.Whole {
					t.Errorf("%+v", rep.Findings)
				}
				return
			}
			if rep.Sound || !slices.ContainsFunc(rep.Findings, func(f library.Finding) bool { return f.Problem == c.want }) {
				t.Errorf("%+v", rep.Findings)
			}
			if c.want == library.ProblemChecksum {
				return // what is there is not replaced
			}
			out, err := s.lib.Repair(t.Context(), one.ref(), library.RepairOptions{})
			if err != nil || len(out.Written) == 0 {
				t.Fatalf("%v, %+v", err, out)
			}
			if rep := verify(); !rep.Whole {
				t.Errorf("after repair: %+v", rep.Findings)
			}
			for key, was := range whole {
				if string(s.get(key)) != was {
					t.Errorf("after repair %s is\n%.1000s\nit was\n%.1000s", key, s.get(key), was)
				}
			}
			if out, err := s.lib.Repair(t.Context(), one.ref(), library.RepairOptions{}); err != nil || len(out.Written) > 0 {
				t.Errorf("a second repair: %v, %+v", err, out)
			}
		})
	}
}

// What repair gives an end, and what it makes a gap, it does in the playlists of tracks, too.
func TestRepairEndsTracks(t *testing.T) {
	s := newShelf(t)
	one := s.tape("live", "cam", firstFrame).add(5).write(false).writeLive(2).writeTracks(false)
	s.remove(one.name(1).String())
	if _, err := s.lib.Repair(t.Context(), one.ref(), library.RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	rep, err := s.lib.Verify(t.Context(), one.ref(), library.VerifyOptions{Checksums: true})
	if err != nil || !rep.Sound || len(rep.Findings) != 1 {
		t.Errorf("%v, %+v", err, rep.Findings)
	}
	for _, key := range []string{"live/streams/cam.mpd", "live/streams/cam-" + string(one.folder) + ".mpd"} {
		if text := string(s.get(key)); !strings.Contains(text, ` type="static"`) || strings.Contains(text, `startNumber="1"`) {
			t.Errorf("%s: %s", key, text)
		}
	}
	for _, key := range s.keysOf("live/streams/cam/" + string(one.folder) + "/") {
		if !strings.HasSuffix(key, ".m3u8") {
			continue
		}
		m, err := m3u8.ParseMedia(s.get(key))
		if err != nil || !m.EndList {
			t.Errorf("%s: %v, %+v", key, err, m)
			continue
		}
		for i, seg := range m.Segments {
			if seg.Gap != (m.MediaSequence+uint64(i) == 1) {
				t.Errorf("%s: segment %d, gap %v", key, m.MediaSequence+uint64(i), seg.Gap)
			}
		}
	}
}
