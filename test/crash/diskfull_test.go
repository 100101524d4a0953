package crash

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// smallDisk mounts a separate file system for the spool.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("only root on Linux may mount a file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("this machine does not let us mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fills returns how full a file system is, from 0 to 1.
func fills(t *testing.T, dir string) float64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return 1 - float64(s.Bavail)/float64(s.Blocks)
}

// TestSpoolFull fills the spool's file system while the bucket is away. Live goes on; what has to be given up is the oldest, and
// declared; when the bucket is back it gets the rest, and an audit agrees with the playlists.
func TestSpoolFull(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	disk := smallDisk(t, "32m")
	v := rig.NewVault(t)
	p := rig.Serve(t, t.TempDir(), rig.Brisk+"spool: {memory: 8MiB, dir: \""+disk+"/spool\"}\n"+v.YAML())
	streams, heavy := []string{"one", "two"}, rig.WithBallast(50_000)
	var viewers []*rig.Viewer
	var cameras []*rig.Camera
	bystander := rig.Stand(t, heavy)
	reader := v.PeekAt(streams...)
	for _, s := range streams {
		w, stop := rig.Watch(t, p.URL("live/streams/"+s+".m3u8"))
		defer stop()
		viewers, cameras = append(viewers, w), append(cameras, rig.Shoot(t, p, s, heavy)) // 10 Mb/s
	}
	for i, s := range streams {
		rig.Eventually(t, 20*time.Second, s+" is on", func() bool { return viewers[i].Count() >= 3 })
	}
	v.Proxy.Set(storetest.Trouble{ResetRequest: 1})
	rig.Eventually(t, 2*time.Minute, "the disk is full", func() bool { return fills(t, disk) > 0.95 })
	// What is in the bucket goes first, and where uploads were slow before that is much of it.
	rig.Eventually(t, 2*time.Minute, "something is given up", func() bool { return p.Metric("hlsorigin_spool_dropped_total") > 0 })
	time.Sleep(rig.Scaled(2*time.Minute, 8*time.Second)) // more than twice as much as it holds
	ready := p.Get("http://" + p.Admin + "/readyz")
	if !strings.Contains(ready, "given up") {
		t.Errorf("/readyz does not say that segments were given up: %s", ready)
	}
	t.Logf("%.0f segments given up, %.0f gaps, disk %.0f %% full, %.0f MB held in memory", p.Metric("hlsorigin_spool_dropped_total"),
		p.Metric("hlsorigin_archive_gaps_total"), 100*fills(t, disk), p.Metric("hlsorigin_archive_memory_bytes")/1e6)
	v.Proxy.Set()
	v.WaitSettled(p, 2*time.Minute)
	time.Sleep(3 * time.Second) // and healthy again for a while
	for i, s := range streams {
		cameras[i].Stop()
		v.WaitFinished(s, viewers[i].Recording, time.Minute)
	}
	felt(t, viewers, cameras, bystander.Felt())
	for i, s := range streams {
		lost, gaps := v.Finished(viewers[i], s)
		if len(lost) == 0 || gaps != len(lost) {
			t.Errorf("%s: %d segments lost, %d gaps", s, len(lost), gaps)
		}
		v.Verify(s, viewers[i].Recording, gaps)
		oldestFirst(t, v, s, viewers[i].Recording)
	}
	for _, m := range p.Log.Messages("ERROR") {
		t.Logf("the log: %s", m)
	}
	if n := len(p.Log.Messages("ERROR")); n == 0 || n > 6 {
		t.Errorf("%d errors in the log: one or two lines for an episode are enough", n)
	}
	reader.Good()
}

// felt fails the test if live was affected, compared with what a bystander felt.
func felt(t *testing.T, viewers []*rig.Viewer, cameras []*rig.Camera, beside rig.Waits) {
	t.Helper()
	for i, w := range viewers {
		w.Good()
		c := cameras[i]
		c.Mu.Lock()
		if c.Connects > 1 {
			t.Errorf("live felt it: %d connections, %v", c.Connects, c.Refused)
		}
		c.Mu.Unlock()
	}
	if f := rig.Felt(viewers, cameras); f.Segment > beside.Segment+2*time.Second || f.Frame > beside.Frame+1800*time.Millisecond {
		t.Errorf("live felt it: a segment every %v at most, beside it %v; frames %v late, beside it %v", f.Segment, beside.Segment, f.Frame, beside.Frame)
	}
}

// oldestFirst fails the test unless what was given up is one run: the oldest of the outage.
func oldestFirst(t *testing.T, v *rig.Vault, stream, recording string) {
	t.Helper()
	var gaps []int
	for i, s := range v.Media(rig.ArchiveKey(stream, recording)).Segments {
		if s.Gap {
			gaps = append(gaps, i)
		}
	}
	if n := len(gaps); n > 0 && gaps[n-1]-gaps[0] != n-1 {
		t.Errorf("%s: gaps at %v, not one run", stream, gaps)
	}
}

// TestSpoolGone makes the spool's disk read-only, or removes it, or replaces it by an empty one. Segments go from memory to the bucket,
// nothing is lost, and the log says so once.
func TestSpoolGone(t *testing.T) {
	rig.Need(t, "ffmpeg")
	for _, c := range []struct {
		name  string
		begin func(t *testing.T, disk string) // before the server starts
		spoil func(t *testing.T, disk string) // while it runs
		heal  func(t *testing.T, disk string)
	}{
		{
			name: "read-only from the start",
			begin: func(t *testing.T, disk string) {
				remount(t, disk, syscall.MS_RDONLY)
			},
			heal: func(t *testing.T, disk string) { remount(t, disk, 0) },
		}, {
			name: "removed",
			spoil: func(t *testing.T, disk string) {
				if err := os.RemoveAll(filepath.Join(disk, "spool")); err != nil {
					t.Fatal(err)
				}
			},
		}, {
			name: "replaced by a file",
			spoil: func(t *testing.T, disk string) {
				spool := filepath.Join(disk, "spool")
				if err := os.RemoveAll(spool); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(spool, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			heal: func(t *testing.T, disk string) {
				if err := os.Remove(filepath.Join(disk, "spool")); err != nil {
					t.Fatal(err)
				}
			},
		}, {
			name: "unmounted",
			spoil: func(t *testing.T, disk string) {
				if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(disk, 0o500); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			disk := smallDisk(t, "64m")
			if c.begin != nil {
				c.begin(t, disk)
			}
			v := rig.NewVault(t)
			p := rig.Serve(t, t.TempDir(), rig.Brisk+"spool: {dir: \""+disk+"/spool\"}\n"+v.YAML())
			reader := v.PeekAt("cam")
			w, stop := rig.Watch(t, p.URL("live/streams/cam.m3u8"))
			defer stop()
			cam, bystander := rig.Shoot(t, p, "cam"), rig.Stand(t)
			more := func(n int) {
				t.Helper()
				n += w.Count()
				rig.Eventually(t, 30*time.Second, "live goes on", func() bool { return w.Count() >= n })
			}
			more(3)
			if c.spoil != nil {
				c.spoil(t, disk)
			}
			more(int(max(4, 30*rig.Scale())))
			ready := p.Get("http://" + p.Admin + "/readyz")
			// The bucket is away for a moment, too: memory holds what comes.
			v.Proxy.Set(storetest.Trouble{ResetRequest: 1})
			more(3)
			v.Proxy.Set()
			more(3)
			if c.heal != nil {
				c.heal(t, disk)
				more(3)
			}
			v.WaitSettled(p, time.Minute)
			felt(t, []*rig.Viewer{w}, []*rig.Camera{cam}, bystander.Felt())
			errors := p.Log.Messages("ERROR")
			allowed := 0
			if c.name == "removed" {
				// The disk works again: what is on it now must outlive the server, as before.
				v.Proxy.Set(storetest.Trouble{ResetRequest: 1})
				more(3)
				p.Kill()
				p.Start()
				v.Proxy.Set()
				more(3)
				allowed = 2 // what a death may cost, see TestKilled
			}
			cam.Stop()
			v.WaitFinished("cam", w.Recording, time.Minute)
			w.Good()
			lost, gaps := v.Finished(w, "cam")
			if len(lost) > allowed/2 || gaps > allowed {
				t.Errorf("lost %v, %d gaps", lost, gaps)
			}
			v.Verify("cam", w.Recording, gaps)
			reader.Good()
			told := slices.ContainsFunc(errors, func(m string) bool { return strings.Contains(m, "spool.dir") })
			if mild := c.name == "unmounted"; !told && !mild || len(errors) > 6 {
				t.Errorf("the log tells it in %d lines: %s\n/readyz: %s", len(errors), strings.Join(errors, "\n"), ready)
			}
			t.Logf("%s\n%s", ready, strings.Join(errors, "\n"))
		})
	}
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}
