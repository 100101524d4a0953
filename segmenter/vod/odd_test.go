package vod

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// remade puts the streams of a file into another as they are.
func remade(t *testing.T, from, name string, before, after []string) string {
	t.Helper()
	return create(t, name, join(before, []string{"-i", from}, after, []string{"-c", "copy"})...)
}

// played checks that all playlists of a package can be decoded without a word, and how long they last and how many pictures they have.
func played(t *testing.T, s *shelf, seconds float64, pictures int) {
	t.Helper()
	laws(t, s)
	dir := s.save(t)
	for key := range s.bodies {
		if !strings.HasSuffix(key, "/"+streamName) && !strings.HasSuffix(key, "/"+cmafStreamName) {
			continue
		}
		got := look(t, filepath.Join(dir, key))
		if got.video != "" && (!near(got.duration, seconds, 0.15) || pictures > 0 && got.pictures != pictures) {
			t.Errorf("%s: %+v", key, got)
		}
	}
}

// Pictures that change their size, as browsers record them, are scaled to one, each shown once; or stay, where a package can say that.
func TestPicturesThatChange(t *testing.T) {
	var both []byte
	for i, size := range []string{"160x90", "320x180"} {
		part, err := os.ReadFile(create(t, fmt.Sprintf("%d.h264", i), join(pictures(size, "25", "2"), h264, []string{"-bf", "0"})...)) // else nothing says when they are shown
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, part...)
	}
	raw := filepath.Join(t.TempDir(), "both.h264")
	if err := os.WriteFile(raw, both, 0o600); err != nil {
		t.Fatal(err)
	}
	path := remade(t, raw, "film.mp4", []string{"-framerate", "25"}, nil)
	out, _ := pack(t, path, AdaptiveVideo, Options{Thumbnails: true, Ladder: []Rung{{Name: "90p", Height: 90}}})
	played(t, out, 4, 100)
	for _, path := range []string{path, remade(t, path, "film.ts", nil, nil)} {
		out, res := pack(t, path, Remux, Options{})
		noted(t, res, "change their size")
		played(t, out, 4, 100)
		_, err := Package(t.Context(), Request{Input: open(t, path), Output: newShelf(), Kind: Remux, Options: Options{CMAF: true}})
		var r *Refusal
		if !errors.As(err, &r) || r.Code != CodeCodec || !strings.Contains(r.Reason, "at 2.") {
			t.Errorf("%s: with CMAF: %v", filepath.Base(path), err)
		}
	}
}

// Sound that begins well before the pictures is part of the first segment, and of its length.
func TestSoundBeforePictures(t *testing.T) {
	path := create(t, "film.mp4", join(pictures("160x90", "25", "4"), tones("4"), h264, []string{"-c:a", "aac"})...)
	late := create(t, "late.mp4", "-itsoffset", "1.5", "-i", path, "-i", path, "-map", "0:v", "-map", "1:a", "-c", "copy")
	for _, p := range []string{late, remade(t, late, "late.mkv", nil, []string{"-map", "0"})} {
		out, res := pack(t, p, Remux, Options{SegmentDuration: 2e9})
		played(t, out, res.Duration.Seconds(), 0)
		if !near(res.Duration.Seconds(), 5.5, 0.1) {
			t.Errorf("%s: %s", filepath.Base(p), res.Duration)
		}
	}
}

// A file whose times begin long after 0 lasts as long as what is in it.
func TestTimesThatBeginLate(t *testing.T) {
	path := create(t, "film.mkv", join(pictures("160x90", "25", "3"), h264, []string{"-output_ts_offset", "1000"})...)
	both(t, func(t *testing.T, kind Kind) {
		out, res := pack(t, path, kind, Options{})
		played(t, out, 3, 75)
		if !near(res.Duration.Seconds(), 3, 0.1) {
			t.Errorf("%s", res.Duration)
		}
	})
}

// A single picture is shown for the time of one.
func TestOnePicture(t *testing.T) {
	path := create(t, "film.mkv", join(pictures("160x90", "25", "0.04"), h264)...)
	both(t, func(t *testing.T, kind Kind) {
		out, res := pack(t, path, kind, Options{})
		played(t, out, 0.04, 1)
		if !near(res.Duration.Seconds(), 0.04, 0.001) {
			t.Errorf("%s", res.Duration)
		}
	})
}

// Few pictures a second, as of slides, lie beside the sound that is heard with them.
func TestSlides(t *testing.T) {
	path := create(t, "slides.mp4", join(pictures("160x90", "1", "20"), tones("20"), []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"})...)
	out, _ := pack(t, path, AdaptiveVideo, Options{})
	laws(t, out) // ffprobe does not wait for the second picture, and warns
	run(t, "ffmpeg", "-v", "error", "-xerror", "-i", filepath.Join(out.save(t), "90p", streamName), "-f", "null", "-")
}

// What an edit list hides, and cannot be left out, is said.
func TestHiddenBeginning(t *testing.T) {
	path := create(t, "film.mp4", join(pictures("160x90", "25", "6"), h264, []string{"-g", "50"})...)
	out, res := pack(t, remade(t, path, "cut.mp4", []string{"-ss", "3.3"}, nil), Remux, Options{})
	noted(t, res, "hides its first 1.3 s")
	played(t, out, 4, 0)
}

// Thumbnails are made of what a decoder cannot skip, too.
func TestThumbnailsOfTheora(t *testing.T) {
	path := create(t, "film.ogv", join(pictures("160x90", "25", "4"), []string{"-c:v", "libtheora"})...)
	out, res := pack(t, path, AdaptiveVideo, Options{Poster: true, Thumbnails: true})
	laws(t, out)
	if out.bodies[thumbsName] == nil || res.Poster == "" {
		t.Errorf("%q, %q", out.keys(), res.Notes)
	}
}
