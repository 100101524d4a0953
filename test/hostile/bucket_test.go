package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// In a directory used as a bucket, somebody has put foreign content under names that a server uses. Viewers get none of it, the commands
// end and report what they found, and all of it stays where it is.
func TestBucketThatSomebodyChanged(t *testing.T) {
	rig.Need(t, "ffmpeg")
	dir := t.TempDir()
	p := rig.Serve(t, dir, rig.Brisk+"spool: {dir: \"\"}\nstorage: {url: \"file://bucket\"}\n")
	c := rig.Shoot(t, p, "cam")
	streams := filepath.Join(dir, "bucket/live/streams")
	segments := func() []string {
		found, _ := filepath.Glob(filepath.Join(streams, "cam/*/0*.ts"))
		return found
	}
	rig.Eventually(t, time.Minute, "segments are in the bucket", func() bool { return len(segments()) > 9 })
	c.Stop()
	p.Signal(syscall.SIGINT, 30*time.Second)
	if p.Err != nil {
		t.Fatalf("%v\n%s", p.Err, p.Log)
	}
	files := segments()
	folder := filepath.Dir(files[0])
	id := filepath.Base(folder)
	kinds := []string{"pipe", "link", "device", "directory", "4 GB", "truncated"}
	var planted []string
	put := func(kind string, elements ...string) {
		t.Helper()
		path := filepath.Join(elements...)
		plant(t, kind, path)
		planted = append(planted, path)
	}
	for i, kind := range kinds {
		put(kind, files[i+1])
		put(kind, streams, fmt.Sprintf("odd%d-2023-08-24_16-02-52.970.m3u8", i))
	}
	put("4 GB", folder, "900000000.ts")
	put("4 GB", folder, "live.m3u8")
	put("4 GB", dir, "bucket/.attributes/live/streams/cam-"+id+".m3u8.json")
	evil := "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n../../../../../etc/passwd\n#EXTINF:2.0,\nhttp://127.0.0.1:1/\x1b[2J\x1b]0;owned\x07.ts\n#EXT-X-ENDLIST\n"
	if err := os.WriteFile(filepath.Join(streams, "evil-2023-08-24_16-02-52.970.m3u8"), []byte(evil), 0o644); err != nil {
		t.Fatal(err)
	}

	p.Start()
	urls := []string{"live/streams/cam-" + id + ".m3u8", "live/streams/cam/" + id + "/live.m3u8", "live/streams/cam/" + id + "/900000000.ts",
		"live/streams/evil-2023-08-24_16-02-52.970.m3u8?start=1692892972"}
	for i := range kinds {
		odd := fmt.Sprintf("live/streams/odd%d-2023-08-24_16-02-52.970.m3u8", i)
		urls = append(urls, odd, odd+"?start=1692892972&end=1692892980", "live/streams/cam/"+id+"/"+filepath.Base(files[i+1]))
	}
	for _, url := range urls {
		began := time.Now()
		status, body := get(t, p.URL(url))
		if took := time.Since(began); took > 12*time.Second || len(body) > 40<<20 || strings.Contains(body, "root:") || status == 0 {
			t.Errorf("%s: %d, %d bytes, after %v", url, status, len(body), took)
		}
	}
	if took := peak(t, p.Cmd.Process.Pid); took > maxMemory {
		t.Errorf("the server has taken %d MB", took>>20)
	}
	p.Signal(syscall.SIGINT, 30*time.Second)

	name := "live/cam-" + id
	existing := filepath.Join(dir, "mine.ts")
	if err := os.WriteFile(existing, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	plant(t, "pipe", filepath.Join(dir, "pipe.ts"))
	plant(t, "link", filepath.Join(dir, "link.ts"))
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"ls"}, 0, "damaged"},
		{[]string{"show", name}, 0, name},
		{[]string{"show", "live/evil-2023-08-24_16-02-52.970"}, 0, "evil"},
		{[]string{"verify", "-deep", "-all"}, 1, "missing"},
		{[]string{"verify", "live/evil-2023-08-24_16-02-52.970"}, 1, `\u001b[2J`},
		{[]string{"verify", "-json", "live/evil-2023-08-24_16-02-52.970"}, 1, "passwd"},
		{[]string{"repair", "-force", name}, 0, "would be repaired"},
		{[]string{"repair", "-force", "live/odd4-2023-08-24_16-02-52.970"}, 1, "there is no recording"},
		{[]string{"export", "-o", "/dev/null", name}, 1, "is a device"},
		{[]string{"export", "-force", "-o", "/dev/null", name}, 1, "is a device"},
		{[]string{"export", "-o", "pipe.ts", name}, 1, "is a pipe"},
		{[]string{"export", "-force", "-o", "link.ts", name}, 1, "is a symbolic link"},
		{[]string{"export", "-o", "mine.ts", name}, 1, "-force"},
		{[]string{"export", "-o", "out.ts", name}, 1, "missing"},
		{[]string{"export", "-dir", "out", name}, 1, "missing"},
		{[]string{"export", "-o", "evil.ts", "live/evil-2023-08-24_16-02-52.970"}, 1, "bad-playlist"},
		{[]string{"rm", name}, 1, "not a readable playlist"},
		{[]string{"rm", "-yes", "live/evil-2023-08-24_16-02-52.970"}, 0, "removed"},
	} {
		said, status := run(t, dir, time.Minute, append(append([]string{"recordings"}, c.args...), "-config", "config.yaml")...)
		if status != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%q: %d, %.2000s", c.args, status, said)
		}
		if strings.ContainsAny(said, "\x1b\x07") {
			t.Errorf("%q: %q", c.args, said)
		}
	}
	if got, err := os.ReadFile(existing); err != nil || string(got) != "mine" {
		t.Errorf("%q, %v", got, err)
	}
	for _, path := range planted {
		if !exists(path) {
			t.Errorf("%s is gone", path)
		}
	}
	if exists(dir, "evil.ts") {
		if info, err := os.Stat(filepath.Join(dir, "evil.ts")); err != nil || info.Size() > 0 {
			t.Error("something was exported of a playlist that leads elsewhere")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.ts.*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}
