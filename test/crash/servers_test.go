package crash

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestTwoServersOnOneBucket moves an encoder from one server to another while the first is cut off from the bucket both share, kills that one
// and starts it again when it can reach the bucket: the stable entry stays with the other, and the first says that it stands down.
func TestTwoServersOnOneBucket(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	v := rig.NewVault(t)
	old := rig.Serve(t, t.TempDir(), rig.Brisk+v.YAML())
	second := *v // the same bucket, by a way of its own
	second.Proxy = storetest.NewProxy(t, v.At.Endpoint)
	other := rig.Serve(t, t.TempDir(), rig.Brisk+second.YAML())
	entry := rig.EntryKey("cam")
	names := func(id string) bool {
		body, _, ok := v.Get(entry)
		return ok && strings.Contains(string(body), "cam/"+id+"/")
	}

	c := rig.Shoot(t, old, "cam")
	rig.Eventually(t, 60*time.Second, "the entry is there", func() bool { return v.Has(entry) })
	first := old.RecordingOf("cam")
	if !names(first) {
		t.Fatalf("the entry does not name %s", first)
	}
	v.Proxy.Set(storetest.Trouble{ResetRequest: 1})
	old.Kill()
	c.Stop()
	frozen, _, _ := v.Get(rig.LiveKey("cam", first))

	moved := rig.Shoot(t, other, "cam")
	rig.Eventually(t, 60*time.Second, "the other server has its first playlist", func() bool { return other.RecordingOf("cam") != "" })
	now := other.RecordingOf("cam")
	rig.Eventually(t, 60*time.Second, "the entry names what the other server has", func() bool { return names(now) })

	v.Proxy.Set()
	old.Start()
	rig.Eventually(t, 60*time.Second, "the old server stands down", func() bool {
		return slices.ContainsFunc(old.Log.Messages("WARN"), func(s string) bool { return strings.HasPrefix(s, "another server has the stream") })
	})
	next := 0
	rig.Eventually(t, 60*time.Second, "the other server goes on", func() bool {
		m := v.Media(rig.LiveKey("cam", now))
		if m != nil && next == 0 {
			next = int(m.MediaSequence) + len(m.Segments) + 3
		}
		return m != nil && int(m.MediaSequence)+len(m.Segments) >= next
	})
	if !names(now) {
		t.Error("the entry went back")
	}
	if body, _, _ := v.Get(rig.LiveKey("cam", first)); string(body) != string(frozen) {
		t.Errorf("the old recording's playlist was written again:\n%s\nbefore:\n%s", body, frozen)
	}
	if n := old.Metric("hlsorigin_archive_stood_down_total"); n != 1 {
		t.Errorf("%v recordings stood down by the metric", n)
	}
	if n := other.Metric(`hlsorigin_upload_conditional{target="bucket"}`); n != 1 {
		t.Errorf("the store's conditions are %v by the metric", n)
	}
	if n := other.Metric("hlsorigin_archive_stood_down_total"); n != 0 {
		t.Errorf("%v recordings of the other stood down", n)
	}
	// Who comes back to the old server begins a new recording there, and has the stream.
	moved.Stop()
	rig.Shoot(t, old, "cam")
	rig.Eventually(t, 60*time.Second, "the entry names a new recording", func() bool {
		id := old.RecordingOf("cam")
		return id != "" && id != first && names(id)
	})
}
