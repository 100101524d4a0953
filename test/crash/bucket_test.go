package crash

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
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestBucket checks that every listed segment is in a real S3 server, byte for byte, soon after it was listed, with the headers that a CDN
// needs, and that the recording plays directly from there, while it grows and when it is finished.
func TestBucket(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	length := rig.Scaled(3*time.Minute, 12*time.Second)
	v := rig.NewVault(t)
	p := rig.Serve(t, t.TempDir(), rig.Brisk+v.YAML())
	streams := []string{"one", "two", "three"}
	reader := v.PeekAt(streams...)
	viewers := map[string]*rig.Viewer{}
	cameras := map[string]*rig.Camera{}
	for _, s := range streams {
		w, stop := rig.Watch(t, p.URL("live/streams/"+s+".m3u8"))
		defer stop()
		viewers[s], cameras[s] = w, rig.Shoot(t, p, s)
	}
	arrived, pressed := map[string]time.Time{}, rig.StartPressure()
	late := time.Duration(0)
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for s, w := range viewers {
			w.Mu.Lock()
			named, recording := maps.Clone(w.Named), w.Recording
			w.Mu.Unlock()
			for uri, since := range named {
				key := "live/streams/" + s + "/" + recording + "/" + uri
				if !arrived[key].IsZero() {
					continue
				}
				if v.Has(key) {
					arrived[key] = time.Now()
					late = max(late, time.Since(since))
				} else if wait := time.Since(since); wait > 2*time.Second+rig.Slack(pressed.Share(), 4*time.Second) {
					t.Fatalf("%s is not in the bucket after %v", key, wait)
				}
			}
		}
	}
	t.Logf("%d segments were in the bucket at most %v after they were listed", len(arrived), late.Round(time.Millisecond))
	v.CheckPlaylists(false)
	for _, c := range cameras {
		c.Stop()
	}
	for s, w := range viewers {
		v.WaitFinished(s, w.Recording, 30*time.Second)
		if n, said := rig.Play(t, v.Web()+rig.ArchiveKey(s, w.Recording)); n < 25*int(length.Seconds()-2) || said != "" {
			t.Errorf("%s: %d pictures played from the bucket over HTTP\n%s", s, n, said)
		}
		rig.Eventually(t, 10*time.Second, s+" ends for viewers", func() bool {
			w.Mu.Lock()
			defer w.Mu.Unlock()
			return w.Ended
		})
		w.Good()
		if lost, gaps := v.Finished(w, s); len(lost) > 0 || gaps > 0 {
			t.Errorf("%s: lost %v, %d gaps", s, lost, gaps)
		}
	}
	v.CheckPlaylists(true)
	reader.Good()
}

// TestStartWithoutBucket checks that whatever is wrong with the bucket, the server starts, live works, the operator is told what to do, and
// once it is repaired the bucket gets everything from the first segment on.
func TestStartWithoutBucket(t *testing.T) {
	for _, c := range []struct {
		name    string
		yaml    func(v *rig.Vault, yaml string) string
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
			yaml: func(v *rig.Vault, yaml string) string {
				return strings.Replace(yaml, "secret_key: "+v.At.SecretKey, "secret_key: wrong", 1)
			},
			says: []string{"secret key does not fit", "AWS_SECRET_ACCESS_KEY"},
		}, {
			name: "unknown key",
			yaml: func(v *rig.Vault, yaml string) string {
				return strings.Replace(yaml, "access_key: "+v.At.AccessKey, "access_key: nobody", 1)
			},
			says: []string{"access key is not known", "AWS_ACCESS_KEY_ID"},
		}, {
			name: "no such bucket",
			yaml: func(v *rig.Vault, yaml string) string {
				return strings.Replace(yaml, "s3://bucket/", "s3://nothere/", 1)
			},
			says: []string{"\"nothere\" does not exist", "create it or correct storage.url"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := rig.NewVault(t)
			v.Proxy.Set(c.trouble...)
			yaml := v.YAML()
			if c.yaml != nil {
				yaml = c.yaml(v, yaml)
			}
			p := rig.Serve(t, t.TempDir(), rig.Brisk+yaml)
			w, stop := rig.Watch(t, p.URL("live/streams/cam.m3u8"))
			defer stop()
			cam := rig.Shoot(t, p, "cam")
			rig.Eventually(t, 20*time.Second, "live works", func() bool { return w.Count() >= 3 })
			ready := ""
			rig.Eventually(t, 20*time.Second, "/readyz tells what is wrong", func() bool {
				ready = p.Get("http://" + p.Admin + "/readyz")
				for _, s := range c.says {
					if !strings.Contains(strings.ReplaceAll(ready, `\"`, `"`), s) {
						return false
					}
				}
				return true
			})
			res, err := http.Get("http://" + p.Admin + "/readyz")
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("not ready, though live works: %v, %v", res.Status, err)
			}
			_ = res.Body.Close()
			loud := append(p.Log.Messages("ERROR"), p.Log.Messages("WARN")...)
			if !slices.ContainsFunc(loud, func(m string) bool { return strings.Contains(m, "uploads") }) {
				t.Errorf("the log does not tell:\n%s", p.Log)
			}
			if len(loud) > 5 {
				t.Errorf("the log tells it %d times", len(loud))
			}
			t.Logf("%s\n%s", ready, strings.Join(loud, "\n"))
			if c.yaml != nil {
				return // repaired by a new configuration
			}
			v.Proxy.Set()
			rig.Eventually(t, 90*time.Second, "uploads go on", func() bool { return v.Has(rig.ArchiveKey("cam", w.Recording)) })
			cam.Stop()
			v.WaitFinished("cam", w.Recording, 60*time.Second)
			stop()
			w.Good()
			if lost, gaps := v.Finished(w, "cam"); len(lost) > 0 || gaps > 0 {
				t.Errorf("lost %v, %d gaps", lost, gaps)
			}
			if ready := p.Get("http://" + p.Admin + "/readyz"); strings.Contains(ready, "bucket") {
				t.Errorf("mended, and still: %s", ready)
			}
		})
	}
}

// TestPortTaken checks that there is one line that names the setting, and that nothing is started.
func TestPortTaken(t *testing.T) {
	dir := t.TempDir()
	p := rig.Serve(t, dir, rig.Brisk)
	q := &rig.Process{T: t, Dir: t.TempDir(), Args: p.Args, Env: slices.Concat(p.Env, []string{
		"HLSORIGIN_ADMIN_LISTEN=" + rig.FreeAddress(t), "HLSORIGIN_HTTP_LISTEN=" + rig.FreeAddress(t)})}
	q.Spawn()
	select {
	case <-q.Done:
	case <-time.After(20 * time.Second):
		_ = q.Cmd.Process.Kill()
		t.Fatal("a server whose port is taken runs on")
	}
	if got := q.Log.String(); strings.Count(got, "\n") != 0 || !strings.Contains(got, fmt.Sprintf("rtmp.listen: cannot listen on %s", p.RTMP)) {
		t.Errorf("it says: %s", got)
	}
	if q.Cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("exit status %d", q.Cmd.ProcessState.ExitCode())
	}
}

// TestNothingIsTouchedBeforeThePortsAreHad checks that a start that fails because a port is taken leaves the spool as it was, however odd
// its content.
func TestNothingIsTouchedBeforeThePortsAreHad(t *testing.T) {
	p := rig.Serve(t, t.TempDir(), rig.Brisk)
	q := &rig.Process{T: t, Dir: t.TempDir(), Args: p.Args, Env: slices.Concat(p.Env, []string{
		"HLSORIGIN_ADMIN_LISTEN=" + rig.FreeAddress(t), "HLSORIGIN_HTTP_LISTEN=" + rig.FreeAddress(t)})}
	folder := filepath.Join(q.Dir, "data/spool/live/streams/cam/2023-08-24_16-02-52.970")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"journal": "hlsorigin journal 2\n", "000000000.ts": "x", ".000000001.ts.tmp": "x", ".journal.tmp": "x", "notes": "x"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree := func() (names []string) {
		_ = filepath.WalkDir(filepath.Join(q.Dir, "data"), func(name string, _ fs.DirEntry, err error) error {
			names = append(names, name)
			return err
		})
		return names
	}
	before := tree()
	q.Spawn()
	select {
	case <-q.Done:
	case <-time.After(20 * time.Second):
		_ = q.Cmd.Process.Kill()
		t.Fatal("a server whose port is taken runs on")
	}
	if after := tree(); !slices.Equal(before, after) {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}
