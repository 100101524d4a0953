package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// folderOutput is a folder of a directory that is a bucket.
type folderOutput string

func (d folderOutput) Put(_ context.Context, key, _ string, body [][]byte) error {
	path := filepath.Join(string(d), filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, slices.Concat(body...), 0o644)
}

func (d folderOutput) Remove(_ context.Context, key string) error {
	return os.Remove(filepath.Join(string(d), filepath.FromSlash(key)))
}

type inputFile struct{ *bytes.Reader }

func (inputFile) Name() string { return "lecture.mp4" }

// TestVerifyPackages: `recordings verify` knows packages of files by their folders.
func TestVerifyPackages(t *testing.T) {
	rig.Need(t, "ffmpeg")
	dir := t.TempDir()
	clip := filepath.Join(dir, "clip.mp4")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-t", "8", "-i", "testsrc2=size=160x90", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", clip).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(clip)
	if err != nil {
		t.Fatal(err)
	}
	bucket := filepath.Join(dir, "bucket")
	lecture := filepath.Join(bucket, "vod", "lecture")
	if _, err := vod.Package(t.Context(), vod.Request{Input: inputFile{bytes.NewReader(b)}, Output: folderOutput(lecture), Kind: vod.Remux}); err != nil {
		t.Fatal(err)
	}
	verify := func(args ...string) (string, int) {
		var out, problems bytes.Buffer
		vars := append(os.Environ(), "HLSORIGIN_STORAGE_URL=file://"+bucket, "HLSORIGIN_SPOOL_DIR="+filepath.Join(dir, "spool"))
		code := run(append([]string{"recordings", "verify"}, args...), environment{out: &out, err: &problems, vars: vars})
		return out.String() + problems.String(), code
	}
	for _, name := range []string{"vod/lecture/", "vod/lecture/master.m3u8"} {
		if out, code := verify(name); code != 0 || !strings.Contains(out, "vod/lecture/: whole, 2 playlists and 2 segments") {
			t.Errorf("%s: status %d: %s", name, code, out)
		}
	}
	if out, code := verify("-json", "vod/lecture/"); code != 0 || !strings.Contains(out, `"whole": true`) {
		t.Errorf("status %d: %s", code, out)
	}
	if out, code := verify("vod/other/"); code != 1 || !strings.Contains(out, "master.m3u8 is missing") {
		t.Errorf("one that is not there: status %d: %s", code, out)
	}
	if err := os.Remove(filepath.Join(lecture, "90p", "segment-1.ts")); err != nil {
		t.Fatal(err)
	}
	if out, code := verify("vod/lecture/"); code != 1 || !strings.Contains(out, "90p/segment-1.ts is missing") {
		t.Errorf("a damaged one: status %d: %s", code, out)
	}
}
