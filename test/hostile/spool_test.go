package hostile

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// A server is stopped while nothing of a recording is in the bucket. Then somebody changes the spool. The next start recovers what is
// unchanged, reports what is not, serves none of it, leaves it where it is, and stops in order.
func TestSpoolThatSomebodyChanged(t *testing.T) {
	rig.Need(t, "ffmpeg")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bucket"), nil, 0o600); err != nil { // not a directory: nothing is accepted
		t.Fatal(err)
	}
	p := rig.Serve(t, dir, rig.Brisk+"spool: {dir: spool}\nstorage: {url: \"file://bucket\"}\nshutdown: {timeout: 1s}\n")
	c := rig.Shoot(t, p, "cam")
	segments := func() []string {
		found, _ := filepath.Glob(filepath.Join(dir, "spool/live/streams/cam/*/0*.ts"))
		return found
	}
	rig.Eventually(t, time.Minute, "segments are in the spool", func() bool { return len(segments()) > 9 })
	c.Stop()
	p.Signal(syscall.SIGTERM, 30*time.Second)
	if p.Err != nil {
		t.Fatalf("%v\n%s", p.Err, p.Log)
	}
	files := segments()
	folder := filepath.Dir(files[0])
	kinds := []string{"pipe", "link", "device", "directory", "4 GB", "truncated"}
	for i, kind := range kinds {
		plant(t, kind, files[i+1])
	}
	for _, name := range []string{"000050000.ts", "900000000.ts", ".000000000.ts.tmp"} {
		plant(t, "4 GB", filepath.Join(folder, name))
	}
	// Other folders in which what has the journal's name is not a journal.
	var others []string
	for i, kind := range []string{"pipe", "device", "directory", "4 GB"} {
		other := filepath.Join(dir, "spool/live/streams", fmt.Sprintf("other%d", i), "2023-08-24_16-02-52.970")
		plant(t, kind, filepath.Join(other, "journal"))
		plant(t, "truncated", filepath.Join(other, "000000000.ts"))
		others = append(others, other)
	}
	before := tree(t, folder)

	began := time.Now()
	p.Start()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the start took %v", took)
	}
	base := p.URL("live/streams/cam/" + filepath.Base(folder) + "/")
	for i, file := range files {
		if status, body := get(t, base+filepath.Base(file)); i >= 1 && i <= len(kinds) {
			if strings.Contains(body, "root:") || len(body) > 100_000 || status != 404 && status != 200 && status != 503 { // 503: the bucket may have it
				t.Errorf("%s, %s: %d, %d bytes", filepath.Base(file), kinds[i-1], status, len(body))
			}
			if body != "" && status == 200 && body[0] != 0x47 {
				t.Errorf("%s is no transport stream", kinds[i-1])
			}
		} else if want, err := os.ReadFile(file); err != nil || status != 200 || body != string(want) {
			t.Errorf("%s: %d, %d of %d bytes, %v", filepath.Base(file), status, len(body), len(want), err)
		}
	}
	for _, name := range []string{"000050000.ts", "900000000.ts"} {
		if status, _ := get(t, base+name); status != 404 {
			t.Errorf("%s: %d", name, status)
		}
	}
	for _, word := range []string{"a pipe", "a symbolic link", "a directory", "instead of"} {
		if !strings.Contains(p.Log.String(), word) {
			t.Errorf("the log says nothing of %s:\n%s", word, p.Log)
		}
	}
	if ready := p.Get("http://" + p.Admin + "/readyz"); strings.Count(ready, "put aside") < len(others) {
		t.Errorf("/readyz: %s", ready)
	}
	if took := peak(t, p.Cmd.Process.Pid); took > maxMemory {
		t.Errorf("%d MB were taken", took>>20)
	}
	if took := p.Signal(syscall.SIGTERM, 30*time.Second); p.Err != nil {
		t.Errorf("ended after %v: %v", took, p.Err)
	}
	for _, name := range before {
		if !exists(folder, name) && name != ".000000000.ts.tmp" {
			t.Errorf("%s is gone", name)
		}
	}
	aside, _ := filepath.Glob(filepath.Join(dir, "spool/.aside/live/streams/*/*/000000000.ts"))
	if len(aside) != len(others) {
		t.Errorf("put aside: %q", aside)
	}
	if t.Failed() {
		t.Log(p.Log)
	}
}

// tree lists the content of a folder, except for the server's own journal.
func tree(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "journal" {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// get returns an answer; it reads no more of the body than a segment may have.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: 20 * time.Second}
	res, err := client.Get(url)
	if err != nil {
		t.Errorf("%s: %v", url, err)
		return 0, ""
	}
	defer res.Body.Close()
	read, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		t.Logf("%s: %v", url, err)
	}
	return res.StatusCode, string(read)
}
