package vod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	eyevinn "github.com/Eyevinn/hls-m3u8/m3u8"
	gohlslib "github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Get implements Getter.
func (s *shelf) Get(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.bodies[key]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

// laws holds what is true of every package: it verifies, two other parsers read all playlists, what a playlist names was put before it and
// master.m3u8 last, and no object is there that nothing names.
func laws(t *testing.T, s *shelf) {
	t.Helper()
	rep, err := Verify(t.Context(), s)
	if err != nil || len(rep.Findings) > 0 {
		t.Errorf("%v: %q", err, rep.Findings)
	}
	named := map[string]bool{masterName: true, cmafMasterName: true, manifestName: true, posterName: true, thumbsName: true}
	for key, body := range s.bodies {
		want := map[string]string{".ts": typeTS, ".m3u8": typePlaylist, ".mpd": typeDASH, ".jpg": typeJPEG, ".vtt": typeVTT}[path.Ext(key)]
		if got := s.types[key]; got != want && (want != "" || got != typeMP4(strings.HasPrefix(key, soundName))) {
			t.Errorf("%s has the type %q", key, got)
		}
		if !strings.HasSuffix(key, ".m3u8") {
			continue
		}
		if _, err := gohlslib.Unmarshal(body); err != nil {
			t.Errorf("gohlslib reads %s: %v\n%s", key, err, body)
		}
		if _, _, err := eyevinn.DecodeFrom(bytes.NewReader(body), true); err != nil {
			t.Errorf("hls-m3u8 reads %s: %v\n%s", key, err, body)
		}
		place := slices.Index(s.order, key)
		name := func(uri string) {
			child := path.Join(path.Dir(key), uri)
			named[child] = true
			if at := slices.Index(s.order, child); at < 0 || at > place {
				t.Errorf("%s names %s, which was put behind it", key, child)
			}
		}
		if m, err := m3u8.ParseMaster(body); err == nil {
			for _, v := range m.Variants {
				name(v.URI)
			}
			for _, r := range m.Renditions {
				name(r.URI)
			}
			continue
		}
		l, err := m3u8.ParseMedia(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range l.Segments {
			if !x.Gap {
				name(x.URI)
			}
			if x.Map != "" {
				name(x.Map)
			}
		}
	}
	for key := range s.bodies {
		if !named[key] && !strings.HasPrefix(key, "thumbnails-") {
			t.Errorf("nothing names %s", key)
		}
	}
	if last := s.order[len(s.order)-1]; last != masterName {
		t.Errorf("%s was put last", last)
	}
}

// film is a file with a ladder to make of it.
func film(t *testing.T, seconds string) string {
	return create(t, "film.mp4", join(pictures("854x480", "30000/1001", seconds), tones(seconds), h264, []string{"-c:a", "aac", "-shortest"})...)
}

func TestLadder(t *testing.T) {
	path := film(t, "20")
	var told []Progress
	out := newShelf()
	res, err := Package(t.Context(), Request{
		Input: open(t, path), Output: out, Kind: AdaptiveVideo, Options: Options{CMAF: true, Poster: true, Thumbnails: true, SegmentDuration: 4 * time.Second},
		Progress: func(p Progress) { told = append(told, p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	laws(t, out)
	m := master(t, out)
	if len(m.Variants) != 3 || m.Variants[0].URI != "480p/stream.m3u8" || m.Variants[1].URI != "360p/stream.m3u8" || m.Variants[2].URI != "audio/stream.m3u8" || !m.IndependentSegments {
		t.Errorf("%s", out.bodies[masterName])
	}
	if v := m.Variants[1]; v.Width != 640 || v.Height != 360 || v.FrameRate < 29.9 || v.FrameRate > 30 || v.Bandwidth < v.AverageBandwidth || v.Bandwidth > 1_600_000 {
		t.Errorf("%+v", v)
	}
	if len(res.Rungs) != 3 || res.Poster != posterName || res.Objects != len(out.bodies) || res.Duration < 19*time.Second || res.Duration > 21*time.Second {
		t.Errorf("%+v", res)
	}
	dir := out.save(t)
	for _, p := range []string{"480p/stream.m3u8", "360p/stream.m3u8", "360p/stream_cmaf.m3u8"} {
		if s := look(t, filepath.Join(dir, p)); s.pictures < 598 || s.pictures > 601 {
			t.Errorf("%s: %+v", p, s)
		}
	}
	if s := look(t, filepath.Join(dir, "audio/stream_cmaf.m3u8")); s.audio != "aac" || !near(s.duration, 20, 0.15) {
		t.Errorf("%+v", s)
	}
	if s := look(t, filepath.Join(dir, "thumbnails-0.jpg")); s.width != 5*160 || s.height != 5*90 {
		t.Errorf("the sprite: %+v", s)
	}
	if n := strings.Count(string(out.bodies[thumbsName]), "#xywh="); n != 10 {
		t.Errorf("%d thumbnails", n)
	}
	stages := map[string]bool{}
	for i, p := range told {
		stages[p.Stage] = true
		if p.Done < 0 || p.Done > 1 || i > 0 && p.Done < told[i-1].Done {
			t.Errorf("progress %+v after %+v", p, told[max(i-1, 0)])
		}
	}
	if !stages["probing"] || !stages["transcoding"] || !stages["finishing"] || len(told) < 10 || told[len(told)-1].Done != 1 {
		t.Errorf("%d reports, the last %+v", len(told), told[len(told)-1])
	}
}

func TestRemux(t *testing.T) {
	path := film(t, "20")
	out, res := pack(t, path, Remux, Options{CMAF: true, Poster: true, Thumbnails: true})
	laws(t, out)
	if len(res.Notes) > 0 || len(res.Rungs) != 2 || res.Rungs[0].Name != "480p" {
		t.Errorf("%+v", res)
	}
	dir := out.save(t)
	for _, p := range []string{"480p/stream.m3u8", "480p/stream_cmaf.m3u8"} {
		if s := look(t, filepath.Join(dir, p)); s.pictures != 599 && s.pictures != 600 {
			t.Errorf("%s: %+v", p, s)
		}
	}
	// The pictures are those of the file.
	want := run(t, "ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-f", "framemd5", "-")
	got := run(t, "ffmpeg", "-v", "error", "-i", filepath.Join(dir, "480p/stream.m3u8"), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	if a, b := hashes(want), hashes(got); !slices.Equal(a, b) {
		t.Errorf("%d pictures of the file, %d of the package, and they differ", len(a), len(b))
	}
}

// hashes are the last columns of ffmpeg's framemd5.
func hashes(s string) (all []string) {
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, "#") {
			all = append(all, strings.TrimSpace(line[strings.LastIndex(line, ",")+1:]))
		}
	}
	return all
}

// A call that fails when some rungs are done is gone on with by the next: those are not made again, and all is as if nothing had been.
func TestResume(t *testing.T) {
	path := film(t, "12")
	in := open(t, path)
	options := Options{CMAF: true, Ladder: []Rung{{Name: "high", Height: 480}, {Name: "low", Height: 240}}}
	kept := map[string]RungDone{}
	cause := errors.New("the runner dies")
	out := newShelf()
	_, err := Package(t.Context(), Request{Input: in, Output: out, Kind: AdaptiveVideo, Options: options, Checkpoint: func(name string, d RungDone) error {
		if len(kept) == 2 {
			return cause
		}
		// As it would be kept by a store.
		b, err := json.Marshal(d)
		if err != nil {
			return err
		}
		var back RungDone
		if err := json.Unmarshal(b, &back); err != nil {
			return err
		}
		kept[name] = back
		return nil
	}})
	if !errors.Is(err, cause) || len(kept) != 2 {
		t.Fatalf("%v %d", err, len(kept))
	}
	unlisted(t, "the runner dies", out)
	before := len(out.order)
	made := map[string]bool{}
	res, err := Package(t.Context(), Request{Input: in, Output: out, Kind: AdaptiveVideo, Options: options, Done: kept, Checkpoint: func(name string, _ RungDone) error {
		made[name] = true
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	laws(t, out)
	if len(made) != 1 || len(res.Rungs) != 3 {
		t.Errorf("made %v again, and %d rungs in all", made, len(res.Rungs))
	}
	for _, key := range out.order[before:] {
		folder, file, ok := strings.Cut(key, "/")
		if _, done := kept[folder]; ok && done && !strings.HasSuffix(file, ".m3u8") {
			t.Errorf("%s was made again", key)
		}
	}
}

// Rungs that are made by processes of their own are cut as those of one are.
func TestOneProcessOrSeveral(t *testing.T) {
	path := film(t, "10")
	plan := func(t *testing.T, together bool) *shelf {
		out := newShelf()
		r := Request{Input: open(t, path), Output: out, Kind: AdaptiveVideo, FFmpeg: "ffmpeg", FFprobe: "ffprobe", Options: Options{Ladder: []Rung{{Name: "high", Height: 480}, {Name: "low", Height: 240}}}}
		w := newWork(&r)
		w.apart = !together
		if _, err := w.pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.shared.Close()
		laws(t, out)
		return out
	}
	one, several := plan(t, true), plan(t, false)
	for _, name := range []string{"high", "low"} {
		a, err := m3u8.ParseMedia(one.bodies[name+"/stream.m3u8"])
		if err != nil {
			t.Fatal(err)
		}
		b, err := m3u8.ParseMedia(several.bodies[name+"/stream.m3u8"])
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Segments) != len(b.Segments) || a.Segments[0].Duration != b.Segments[0].Duration {
			t.Errorf("%s: %+v and %+v", name, a.Segments, b.Segments)
		}
	}
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	path := create(t, "film.mp4", join(pictures("320x180", "25", "14"), tones("14"), h264, []string{"-c:a", "aac", "-shortest"})...)
	out, _ := pack(t, path, Remux, Options{CMAF: true})
	for name, c := range map[string]struct {
		change func(s *shelf)
		says   string
	}{
		"a segment is gone": {func(s *shelf) { delete(s.bodies, "180p/segment-1.ts") }, "180p/segment-1.ts is missing"},
		"a segment is cut":  {func(s *shelf) { s.bodies["180p/segment-1.ts"] = s.bodies["180p/segment-1.ts"][:1880] }, "has 1880 bytes"},
		"a byte is wrong": {func(s *shelf) {
			b := bytes.Clone(s.bodies["180p/segment-1.m4s"])
			b[100] ^= 1
			s.bodies["180p/segment-1.m4s"] = b
		}, "other bytes"},
		"a playlist is gone":      {func(s *shelf) { delete(s.bodies, "audio/stream.m3u8") }, "audio/stream.m3u8 is missing"},
		"master.m3u8 is gone":     {func(s *shelf) { delete(s.bodies, "master.m3u8") }, "master.m3u8 is missing"},
		"an init segment is gone": {func(s *shelf) { delete(s.bodies, "180p/init.mp4") }, "init.mp4 is missing"},
		"a playlist does not end": {func(s *shelf) {
			s.bodies["180p/stream.m3u8"] = bytes.ReplaceAll(s.bodies["180p/stream.m3u8"], []byte("#EXT-X-ENDLIST\n"), nil)
		}, "does not end"},
		"a playlist is no playlist": {func(s *shelf) { s.bodies["180p/stream.m3u8"] = []byte("<html>") }, "cannot be read"},
		"EXTINF is wrong": {func(s *shelf) {
			s.bodies["180p/stream.m3u8"] = bytes.Replace(s.bodies["180p/stream.m3u8"], []byte("#EXTINF:6.000"), []byte("#EXTINF:4.000"), 1)
		}, "lasts"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf()
			for k, b := range out.bodies {
				s.bodies[k] = b
			}
			c.change(s)
			rep, err := Verify(t.Context(), s)
			if err != nil || !strings.Contains(fmt.Sprint(rep.Findings), c.says) {
				t.Errorf("%v %q", err, rep.Findings)
			}
		})
	}
}
