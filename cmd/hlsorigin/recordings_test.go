package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/democlip"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// publishClip publishes the demo clip until the test ends or stop is called, without ffmpeg.
func publishClip(t *testing.T, url string) (stop func()) {
	t.Helper()
	clip, err := rtmpclient.ParseFLV(democlip.FLV())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = rtmpclient.Publish(ctx, url, clip.Loop(0))
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// played compares what ffmpeg decodes of a file with what it decodes of a transport stream.
func played(t *testing.T, file, ts string) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Log("ffmpeg is not installed: nobody plays what was exported")
		return
	}
	decoded := func(name string) (sums []string) {
		out, err := exec.Command("ffmpeg", "-v", "error", "-i", name, "-f", "framemd5", "-").Output()
		for line := range strings.Lines(string(out)) {
			if f := strings.Split(line, ","); len(f) == 6 && line[0] != '#' {
				sums = append(sums, f[0]+f[5])
			}
		}
		if slices.Sort(sums); err != nil || len(sums) < 50 {
			t.Errorf("%s: %d frames, %v", name, len(sums), err)
		}
		return sums
	}
	if got, want := decoded(file), decoded(ts); !slices.Equal(got, want) {
		t.Errorf("%s has %d frames, or others than the %d of %s", file, len(got), len(want), ts)
	}
}

// fileMode is who may read and write a new file.
func fileMode(t *testing.T, dir string) fs.FileMode {
	t.Helper()
	name := filepath.Join(dir, "new")
	if err := os.WriteFile(name, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestRecordings walks through the archivist's tool on a bucket that a server left behind.
func TestRecordings(t *testing.T) {
	dir := t.TempDir()
	p := rig.Serve(t, dir, "hls: {segment_duration: 1s, end_grace: 1s}\n")
	for _, stream := range []string{"stream1", "stream10"} {
		publishClip(t, "rtmp://"+p.RTMP+"/live/"+stream)
	}
	streams := filepath.Join(dir, "data", "bucket", "live", "streams")
	rig.Eventually(t, 20*time.Second, "some segments are in the bucket", func() bool {
		found, _ := filepath.Glob(filepath.Join(streams, "stream1*", "*", "000000003.ts"))
		return len(found) == 2
	})
	p.Signal(syscall.SIGINT, 10*time.Second)

	tool := func(args ...string) (string, int) {
		var out, problems bytes.Buffer
		vars := append(os.Environ(), "HLSORIGIN_STORAGE_URL=file://"+filepath.Join(dir, "data", "bucket"), "HLSORIGIN_SPOOL_DIR="+filepath.Join(dir, "data", "spool"))
		code := run(append([]string{"recordings"}, args...), environment{out: &out, err: &problems, vars: vars})
		return out.String() + problems.String(), code
	}
	must := func(args ...string) string {
		t.Helper()
		out, code := tool(args...)
		if code != 0 {
			t.Fatalf("recordings %v: status %d\n%s", args, code, out)
		}
		return out
	}

	var list []library.Recording
	if err := json.Unmarshal([]byte(must("ls", "-json")), &list); err != nil || len(list) != 2 {
		t.Fatalf("%d recordings, %v", len(list), err)
	}
	one, ten := list[0].String(), list[1].String()
	if out := must("ls", "live/stream1"); !strings.Contains(out, one) || strings.Contains(out, ten) {
		t.Errorf("ls live/stream1:\n%s", out)
	}
	if out := must("show", one); !strings.Contains(out, "finished") {
		t.Errorf("show:\n%s", out)
	}
	if out := must("verify", "-all", "-deep"); strings.Count(out, ": whole") != 2 {
		t.Errorf("verify:\n%s", out)
	}
	ts := filepath.Join(dir, "out.ts")
	must("export", one, "-o", ts)
	if info, err := os.Stat(ts); err != nil || info.Size() != list[0].Bytes {
		t.Errorf("export: %v, %v", info, err)
	}
	for name, format := range map[string]string{"out.mp4": "", "out.fmp4": "fmp4"} {
		file := filepath.Join(dir, name)
		must("export", one, "-o", file, "-format", format)
		played(t, file, ts)
	}
	if info, err := os.Stat(filepath.Join(dir, "out.mp4")); err != nil || info.Mode().Perm() != fileMode(t, dir) {
		t.Errorf("who may read an export: %v, %v", info.Mode(), err)
	}
	folder := filepath.Join(dir, "folder")
	must("export", "-dir", folder, one)
	if found, _ := filepath.Glob(filepath.Join(folder, "stream1", "*", "*.ts")); len(found) != list[0].Segments {
		t.Errorf("export -dir: %v", found)
	}

	lost, err := filepath.Glob(filepath.Join(streams, "stream1", "*", "000000001.ts"))
	if err != nil || len(lost) != 1 {
		t.Fatal(lost, err)
	}
	if err := os.Remove(lost[0]); err != nil {
		t.Fatal(err)
	}
	if out, code := tool("verify", one); code != 1 || !strings.Contains(out, "missing") {
		t.Errorf("verify of a damaged recording: status %d\n%s", code, out)
	}
	if out := must("repair", one); !strings.Contains(out, "would be repaired") || !strings.Contains(out, "1 sent from the spool") {
		t.Errorf("repair of what the spool has:\n%s", out)
	}
	if _, code := tool("verify", one); code != 1 {
		t.Error("repair without -yes changed something")
	}
	if out := must("repair", "-yes", one); !strings.Contains(out, ": repaired") {
		t.Errorf("repair -yes:\n%s", out)
	}
	must("verify", "-deep", one) // the spool had it
	for _, gone := range []string{lost[0], filepath.Join(dir, "data", "spool")} {
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
	}
	must("repair", "-yes", one)
	// The playlist says what is true now, and the second is missing all the same.
	if out, code := tool("verify", "-deep", one); code != 1 || !strings.Contains(out, "gap") || !strings.Contains(out, "s are missing") {
		t.Errorf("verify of a recording with a gap: status %d\n%s", code, out)
	}
	for _, to := range [][]string{{"-o", ts}, {"-dir", filepath.Join(t.TempDir(), "gap")}, {"-json", "-o", ts}} {
		if out, code := tool(append([]string{"export", one}, to...)...); code != 1 {
			t.Errorf("export %v of a recording with a gap: status %d\n%s", to, code, out)
		}
	}

	must("rm", one)
	if _, err := os.Stat(filepath.Join(streams, "stream1")); err != nil {
		t.Errorf("rm without -yes: %v", err)
	}
	must("rm", "-yes", one)
	if _, err := os.Stat(filepath.Join(streams, "stream1")); err == nil {
		t.Error("rm -yes left segments")
	}
	must("verify", "-deep", ten)

	if out, code := tool("ls", "-replica"); code != 1 || !strings.Contains(out, "storage.replica is not set") {
		t.Errorf("ls of a replica that there is not: status %d\n%s", code, out)
	}
	replica := filepath.Join(dir, "replica")
	if err := os.CopyFS(replica, os.DirFS(filepath.Join(dir, "data", "bucket"))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HLSORIGIN_STORAGE_REPLICA_URL", "file://"+replica)
	must("verify", "-replica", "-deep", ten)
	if out := must("rm", "-yes", ten); !strings.Contains(out, "the replica keeps") {
		t.Errorf("rm beside a replica:\n%s", out)
	}
	if out := must("rm", "-yes", "-replica", ten); strings.Contains(out, "the replica keeps") {
		t.Errorf("rm from the replica:\n%s", out)
	}
	for _, where := range []string{"-replica=true", "-replica=false"} {
		if out, code := tool("show", where, ten); code != 1 || !strings.Contains(out, "there is no recording") {
			t.Errorf("show %s of a removed recording: status %d\n%s", where, code, out)
		}
	}

	for _, args := range [][]string{{"verify", "nonsense"}, {"export", ten}, {"export", ten, "-o", "x", "-format", "mov"}, {"export", ten, "-dir", "x", "-format", "mp4"}, {"frobnicate"}, {"verify"}, {"ls", "-nonsense"}} {
		if out, code := tool(args...); code != 2 {
			t.Errorf("recordings %v: status %d\n%s", args, code, out)
		}
	}
	if out, code := tool("show", one); code != 1 || !strings.Contains(out, "there is no recording") {
		t.Errorf("show of a removed recording: status %d\n%s", code, out)
	}
}
