package main

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// brisk is a configuration for tests: short segments, short graces.
const brisk = "hls: {segment_duration: 1s, window: 10s, end_grace: 2s}\nrtsp: {listen: \"\"}\n"

// TestBucket: every listed segment lies in a real S3 server, byte for byte, soon after it was listed, with the headers
// that a CDN needs, and the recording plays straight from there, while it grows and when it is finished.
func TestBucket(t *testing.T) {
	need(t, "ffmpeg")
	t.Parallel()
	length := scaled(3*time.Minute, 12*time.Second)
	v := newVault(t)
	p := serve(t, t.TempDir(), brisk+v.yaml())
	streams := []string{"one", "two", "three"}
	reader := v.peekAt(streams...)
	viewers := map[string]*viewer{}
	cameras := map[string]*camera{}
	for _, s := range streams {
		w, stop := watch(t, p.url("live/streams/"+s+".m3u8"))
		defer stop()
		viewers[s], cameras[s] = w, shoot(t, p, s)
	}
	arrived := map[string]time.Time{}
	late := time.Duration(0)
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for s, w := range viewers {
			w.mu.Lock()
			named, recording := maps.Clone(w.named), w.recording
			w.mu.Unlock()
			for uri, since := range named {
				key := "live/streams/" + s + "/" + recording + "/" + uri
				if !arrived[key].IsZero() {
					continue
				}
				if v.has(key) {
					arrived[key] = time.Now()
					late = max(late, time.Since(since))
				} else if wait := time.Since(since); wait > 2*time.Second {
					t.Fatalf("%s is not in the bucket after %v", key, wait)
				}
			}
		}
	}
	t.Logf("%d segments were in the bucket at most %v after they were listed", len(arrived), late.Round(time.Millisecond))
	v.checkPlaylists(false)
	for _, c := range cameras {
		c.stop()
	}
	for s, w := range viewers {
		v.waitFinished(s, w.recording, 30*time.Second)
		if n, said := play(t, v.web()+archiveKey(s, w.recording)); n < 25*int(length.Seconds()-2) || said != "" {
			t.Errorf("%s: %d pictures played from the bucket over HTTP\n%s", s, n, said)
		}
		eventually(t, 10*time.Second, s+" ends for viewers", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.ended
		})
		w.good()
		if lost, gaps := v.finished(w, s); len(lost) > 0 || gaps > 0 {
			t.Errorf("%s: lost %v, %d gaps", s, lost, gaps)
		}
	}
	v.checkPlaylists(true)
	reader.good()
}

// TestStartWithoutBucket: whatever is wrong with the bucket, the server starts, live works, somebody who asks is told in
// words what to do, and when it is mended the bucket gets everything from the first segment on.
func TestStartWithoutBucket(t *testing.T) {
	for _, c := range []struct {
		name    string
		yaml    func(v *vault, yaml string) string
		trouble []storetest.Trouble
		says    []string // all of them in /readyz, and in the log
	}{
		{
			name:    "away",
			trouble: []storetest.Trouble{{ResetRequest: 1}},
			says:    []string{"uploads to the bucket have failed"},
		}, {
			name:    "denied",
			trouble: []storetest.Trouble{{Status: http.StatusForbidden}},
			says:    []string{"is denied", "s3:PutObject"},
		}, {
			name: "wrong secret",
			yaml: func(v *vault, yaml string) string {
				return strings.Replace(yaml, "secret_key: "+v.at.SecretKey, "secret_key: wrong", 1)
			},
			says: []string{"secret key does not fit", "AWS_SECRET_ACCESS_KEY"},
		}, {
			name: "unknown key",
			yaml: func(v *vault, yaml string) string {
				return strings.Replace(yaml, "access_key: "+v.at.AccessKey, "access_key: nobody", 1)
			},
			says: []string{"access key is not known", "AWS_ACCESS_KEY_ID"},
		}, {
			name: "no such bucket",
			yaml: func(v *vault, yaml string) string { return strings.Replace(yaml, "s3://bucket/", "s3://nothere/", 1) },
			says: []string{"\"nothere\" does not exist", "create it or correct storage.url"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			v.proxy.Set(c.trouble...)
			yaml := v.yaml()
			if c.yaml != nil {
				yaml = c.yaml(v, yaml)
			}
			p := serve(t, t.TempDir(), brisk+yaml)
			w, stop := watch(t, p.url("live/streams/cam.m3u8"))
			defer stop()
			cam := shoot(t, p, "cam")
			eventually(t, 20*time.Second, "live works", func() bool { return w.count() >= 3 })
			ready := ""
			eventually(t, 20*time.Second, "/readyz tells what is wrong", func() bool {
				ready = p.get("http://" + p.admin + "/readyz")
				for _, s := range c.says {
					if !strings.Contains(strings.ReplaceAll(ready, `\"`, `"`), s) {
						return false
					}
				}
				return true
			})
			res, err := http.Get("http://" + p.admin + "/readyz")
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("not ready, though live works: %v, %v", res.Status, err)
			}
			_ = res.Body.Close()
			loud := append(p.log.messages("ERROR"), p.log.messages("WARN")...)
			if !slices.ContainsFunc(loud, func(m string) bool { return strings.Contains(m, "uploads") }) {
				t.Errorf("the log does not tell:\n%s", p.log)
			}
			if len(loud) > 5 {
				t.Errorf("the log tells it %d times", len(loud))
			}
			t.Logf("%s\n%s", ready, strings.Join(loud, "\n"))
			if c.yaml != nil {
				return // mended by a new configuration
			}
			v.proxy.Set()
			eventually(t, 90*time.Second, "uploads go on", func() bool { return v.has(archiveKey("cam", w.recording)) })
			cam.stop()
			v.waitFinished("cam", w.recording, 60*time.Second)
			stop()
			w.good()
			if lost, gaps := v.finished(w, "cam"); len(lost) > 0 || gaps > 0 {
				t.Errorf("lost %v, %d gaps", lost, gaps)
			}
			if ready := p.get("http://" + p.admin + "/readyz"); strings.Contains(ready, "bucket") {
				t.Errorf("mended, and still: %s", ready)
			}
		})
	}
}

// TestPortTaken: one line that names the setting, and nothing is begun.
func TestPortTaken(t *testing.T) {
	dir := t.TempDir()
	p := serve(t, dir, brisk)
	q := &process{t: t, dir: t.TempDir(), args: p.args, env: slices.Concat(p.env, []string{
		"HLSORIGIN_ADMIN_LISTEN=" + freeAddress(t), "HLSORIGIN_HTTP_LISTEN=" + freeAddress(t)})}
	q.spawn()
	select {
	case <-q.done:
	case <-time.After(20 * time.Second):
		_ = q.cmd.Process.Kill()
		t.Fatal("a server whose port is taken runs on")
	}
	if got := q.log.String(); strings.Count(got, "\n") != 0 || !strings.Contains(got, fmt.Sprintf("rtmp.listen: cannot listen on %s", p.rtmp)) {
		t.Errorf("it says: %s", got)
	}
	if q.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("exit status %d", q.cmd.ProcessState.ExitCode())
	}
}

// TestNothingIsTouchedBeforeThePortsAreHad: a start that fails on a port that is taken leaves the spool as it was, however odd
// what lies there is.
func TestNothingIsTouchedBeforeThePortsAreHad(t *testing.T) {
	p := serve(t, t.TempDir(), brisk)
	q := &process{t: t, dir: t.TempDir(), args: p.args, env: slices.Concat(p.env, []string{
		"HLSORIGIN_ADMIN_LISTEN=" + freeAddress(t), "HLSORIGIN_HTTP_LISTEN=" + freeAddress(t)})}
	folder := filepath.Join(q.dir, "data/spool/live/streams/cam/2023-08-24_16-02-52.970")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"journal": "hlsorigin journal 2\n", "000000000.ts": "x", ".000000001.ts.tmp": "x", ".journal.tmp": "x", "notes": "x"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree := func() (names []string) {
		_ = filepath.WalkDir(filepath.Join(q.dir, "data"), func(name string, _ fs.DirEntry, err error) error {
			names = append(names, name)
			return err
		})
		return names
	}
	before := tree()
	q.spawn()
	select {
	case <-q.done:
	case <-time.After(20 * time.Second):
		_ = q.cmd.Process.Kill()
		t.Fatal("a server whose port is taken runs on")
	}
	if after := tree(); !slices.Equal(before, after) {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}
