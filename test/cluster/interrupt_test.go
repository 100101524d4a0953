package cluster

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// A server that is interrupted ends its recordings, unlike one that is stopped: the bucket has their end, viewers of another server are told of it,
// and who publishes there begins a new one.
func TestInterruptEndsRecordings(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	v := rig.VaultOn(t, storetest.GoFakeS3(t))
	all := serve(t, 2, v.YAML())
	c := rig.Shoot(t, all[0].Process, "cam")
	live := ""
	rig.Eventually(t, 60*time.Second, "the stream is in the bucket, and at the other server", func() bool {
		live = rig.LiveKey("cam", all[0].RecordingOf("cam"))
		return v.Has(live) && strings.Contains(rig.TryGet(all[1].URL(live)), "#EXTINF")
	})
	id := all[0].RecordingOf("cam")
	all[0].Signal(syscall.SIGINT, 60*time.Second)
	c.Stop()
	if body, _, _ := v.Get(live); !strings.Contains(string(body), m3u8.EndList) {
		t.Errorf("the bucket has no end of it:\n%s", body)
	}
	rig.Eventually(t, 30*time.Second, "viewers of the other server are told", func() bool { return strings.Contains(rig.TryGet(all[1].URL(live)), m3u8.EndList) })
	rig.Shoot(t, all[1].Process, "cam")
	rig.Eventually(t, 60*time.Second, "another recording begins", func() bool {
		now := all[1].RecordingOf("cam")
		return now != "" && now != id
	})
	verifiedPart(t, v, "cam", id)
}

// verifiedPart checks the archive of a recording that is over.
func verifiedPart(t *testing.T, v *rig.Vault, stream, id string) {
	t.Helper()
	v.WaitFinished(stream, id, 60*time.Second)
	if m := v.Media(rig.ArchiveKey(stream, id)); m == nil || !m.EndList || len(m.Segments) == 0 {
		t.Errorf("%+v", m)
	}
	v.Verify(stream, id, 0)
}
