package crash

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestListedWhenConfirmed polls a server of a cluster on an S3 server that is slow, then away, then back: whatever its playlists name is in the
// bucket at that moment, while the bucket is away they stand still and the server says so, and after that viewers have all. With
// live_first, which a reload sets, they do not wait.
func TestListedWhenConfirmed(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	v := rig.NewVault(t)
	between := rig.FreeAddress(t)
	config := rig.Brisk + v.YAML() + fmt.Sprintf("cluster: {secret: only-servers-know-it, address: \"http://%s\", listen: %q}\n", between, between)
	p := rig.Serve(t, t.TempDir(), config)
	slow := storetest.Trouble{
		Match:   func(r *http.Request) bool { return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".ts") },
		Request: func(*http.Request) { time.Sleep(700 * time.Millisecond) },
	}
	v.Proxy.Set(slow)
	c := rig.Shoot(t, p, "cam")

	names := 0
	next := func() uint64 { // of the live playlist, all of which is in the bucket
		t.Helper()
		id := p.RecordingOf("cam")
		if id == "" {
			return 0
		}
		end := uint64(0)
		for _, key := range []string{rig.LiveKey("cam", id), rig.ArchiveKey("cam", id)} {
			body := rig.TryGet(p.URL(key))
			m, err := m3u8.ParseMedia([]byte(body))
			if err != nil {
				return 0 // there is none yet
			}
			for i := range m.Segments {
				at := path.Join(path.Dir(key), m.Segments[i].URI)
				if names++; i >= len(m.Segments)-2 && !v.Has(at) {
					t.Errorf("%s names %s, and the bucket does not have it", key, at)
				}
			}
			if number := m.MediaSequence + uint64(len(m.Segments)); end == 0 {
				end = number
			}
		}
		return end
	}
	reach := func(number uint64) {
		t.Helper()
		rig.Eventually(t, 60*time.Second, fmt.Sprintf("%d segments are listed", number), func() bool { return next() >= number })
	}
	reach(6)

	v.Proxy.Set(storetest.Trouble{ResetRequest: 1})
	rig.Eventually(t, 60*time.Second, "the server says that viewers wait", func() bool {
		for _, s := range p.Log.Messages("WARN") {
			if strings.HasPrefix(s, "viewers wait for the bucket") {
				return true
			}
		}
		return false
	})
	before := p.Streams()["cam"]
	if n := p.Metric("hlsorigin_segmenter_unconfirmed_segments"); n < 1 || before.Unlisted < 1 || before.State != "live" {
		t.Errorf("%v segments are not confirmed, and %d not listed; the stream is %s", n, before.Unlisted, before.State)
	}
	m, err := m3u8.ParseMedia([]byte(p.Get(p.URL(rig.LiveKey("cam", p.RecordingOf("cam"))))))
	if err != nil {
		t.Fatal(err)
	}
	stands := m.MediaSequence + uint64(len(m.Segments))
	rig.Eventually(t, 60*time.Second, "the recording goes on", func() bool { return p.Streams()["cam"].Segments >= stands+8 })
	if m, err := m3u8.ParseMedia([]byte(p.Get(p.URL(rig.LiveKey("cam", p.RecordingOf("cam")))))); err != nil || m.MediaSequence+uint64(len(m.Segments)) != stands {
		t.Errorf("while the bucket is away the playlist goes on from %d: %v", stands, err)
	}
	waiting := strings.TrimSuffix(rig.LiveKey("cam", p.RecordingOf("cam")), "live.m3u8") + fmt.Sprintf("%09d.ts", stands)
	if status := p.Status(p.URL(waiting)); status != 404 {
		t.Errorf("what is not listed answers %d", status)
	}
	v.Proxy.Set(slow)
	reach(stands + 8)

	// The bucket is away again, and the operator decides that viewers matter more.
	v.Proxy.Set(storetest.Trouble{ResetRequest: 1})
	rig.Eventually(t, 60*time.Second, "viewers wait again", func() bool { return p.Streams()["cam"].Unlisted >= 2 })
	config = strings.Replace(config, "cluster: {", "cluster: {live_first: true, ", 1)
	if err := os.WriteFile(filepath.Join(p.Dir, "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, 60*time.Second, "viewers are shown all", func() bool { return p.Streams()["cam"].Unlisted == 0 })
	at := p.Streams()["cam"].Segments
	rig.Eventually(t, 60*time.Second, "they see what follows at once", func() bool {
		s := p.Streams()["cam"]
		return s.Segments >= at+2 && s.Unlisted == 0
	})
	v.Proxy.Set(slow)
	id := p.RecordingOf("cam")
	c.Stop()
	rig.Eventually(t, 60*time.Second, "viewers are told of the end", func() bool {
		m, err := m3u8.ParseMedia([]byte(rig.TryGet(p.URL(rig.LiveKey("cam", id)))))
		return err == nil && m.EndList
	})
	v.WaitFinished("cam", id, 60*time.Second)
	v.Verify("cam", id, 0)
	if names < 50 {
		t.Errorf("only %d names were looked at", names)
	}
}
