package cluster

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// told reports whether a camera was told something by the server.
func told(c *rig.Camera, what string) bool {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	return slices.ContainsFunc(c.Refused, func(s string) bool { return strings.Contains(s, what) })
}

// TestOwnerSleeps stops the server that has a stream in the middle of it, lets another go on with the recording, and wakes the first again: it
// writes no playlist any more, shows its viewers what the other has, and sends encoders to the other, also one that was connected all the time.
func TestOwnerSleeps(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	for name, stays := range map[string]bool{"its encoder has gone": false, "its encoder stays": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := rig.NewVault(t)
			all := apart(t, 2, v)
			sleeper, heir := all[0], all[1]
			b := balance(t)
			b.set(sleeper.RTMP)
			first := rig.Shoot(t, sleeper.Process, "cam", func(c *rig.Camera) { c.URL = "rtmp://" + b.l.Addr().String() + "/live/cam" })
			rig.Eventually(t, 60*time.Second, "the stream is in the bucket", func() bool { return v.Has(rig.EntryKey("cam")) })
			id := sleeper.RecordingOf("cam")
			live, peek := rig.LiveKey("cam", id), v.PeekAt("cam")
			look := func() uint64 {
				body, _, _ := v.Get(live)
				m := listed(t, string(body))
				if m.EndList {
					t.Fatalf("it has an end:\n%s", body)
				}
				return next(m)
			}
			rig.Eventually(t, 60*time.Second, "it goes on", func() bool { return v.Has(live) && look() >= 3 })
			if err := sleeper.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			slept := time.Now()
			if stays {
				rig.Shoot(t, heir.Process, "cam")
			} else {
				b.set(heir.RTMP)
				b.drop()
			}
			at := look()
			rig.Eventually(t, 30*time.Second, "the other server goes on with the recording", func() bool { return heir.RecordingOf("cam") == id && look() >= at+3 })
			rig.Eventually(t, 90*time.Second, "it has slept for long enough", func() bool { return time.Since(slept) >= rig.Scaled(time.Minute, 5*time.Second) })
			awake := time.Now()
			if err := sleeper.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			reached := look()
			rig.Eventually(t, 30*time.Second, "the first notices", func() bool {
				return slices.ContainsFunc(append(sleeper.Log.Messages("WARN"), sleeper.Log.Messages("INFO")...), func(s string) bool { return strings.Contains(s, "another server has") })
			})
			noticed := time.Since(awake)
			rig.Eventually(t, 30*time.Second, "its viewers are shown what the other has", func() bool {
				return next(listed(t, sleeper.Get(sleeper.URL(live)))) > at && sleeper.Get(sleeper.URL(live)) == heir.Get(heir.URL(live))
			})
			shown := time.Since(awake)
			at = look()
			rig.Eventually(t, 30*time.Second, "the other server goes on all the same", func() bool { return look() >= at+5 })
			if got := heir.RecordingOf("cam"); got != id {
				t.Errorf("it has %s, want %s", got, id)
			}
			if !stays {
				first = rig.Shoot(t, sleeper.Process, "cam")
			}
			rig.Eventually(t, 30*time.Second, "who publishes to the first is sent to the other", func() bool { return told(first, "server b ") })
			first.Stop()
			if n := heir.Metric("hlsorigin_cluster_takeovers_total"); n != 1 {
				t.Errorf("%v takeovers", n)
			}
			if n := heir.Metric("hlsorigin_archive_stood_down_total"); n != 0 {
				t.Errorf("the owner stood down %v times", n)
			}
			for _, w := range playlists(sleeper.wrote.since(awake)) {
				t.Errorf("the first wrote a playlist when it was awake again: %v", w)
			}
			once(t, all)
			peek.Good()
			t.Logf("slept for %v, noticed after %v, its viewers were shown the other's playlist after %v; the bucket had %d segments then; it wrote %v", awake.Sub(slept).Round(time.Millisecond), noticed.Round(time.Millisecond),
				shown.Round(time.Millisecond), reached, sleeper.wrote.since(awake))
		})
	}
}
