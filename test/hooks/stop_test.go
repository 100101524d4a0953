package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestStop checks that a show that ends with the server is reported before the server is gone, and that one that is left to the next start
// is reported as stalled, and goes on with its publisher.
func TestStop(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	r := newReceiver(t)
	r.come()
	p := rig.Serve(t, t.TempDir(), rig.Brisk+"webhooks:\n"+r.yaml(every))
	rig.Shoot(t, p, "cam")
	rig.Eventually(t, 30*time.Second, "the show is told of", func() bool { return r.has("cam", "stream.started") && r.has("cam", "segment.uploaded") })
	p.Signal(syscall.SIGTERM, 30*time.Second)
	if !r.has("cam", "stream.stalled") || r.has("cam", "stream.ended") {
		t.Errorf("held over: %+v", r.of("cam"))
	}
	p.Start()
	rig.Eventually(t, 30*time.Second, "the show goes on", func() bool { return r.has("cam", "stream.resumed") })
	p.Signal(syscall.SIGINT, 30*time.Second)
	if !r.has("cam", "stream.ended") || !r.has("cam", "recording.completed") {
		t.Errorf("ended: %+v", r.of("cam"))
	}
	grammar(t, "cam", r.of("cam"))
	whole(t, p, "cam", r.of("cam"))
	if r.again > 0 {
		t.Errorf("%d events came more than once", r.again)
	}
}

// TestBucketIsAway checks that the operator is told when the bucket is away and when it is back.
func TestBucketIsAway(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	r := newReceiver(t)
	r.come()
	v := rig.NewVault(t)
	p := rig.Serve(t, t.TempDir(), rig.Brisk+v.YAML()+"webhooks:\n"+r.yaml("upload.*, segment.uploaded"))
	rig.Shoot(t, p, "cam")
	rig.Eventually(t, 30*time.Second, "segments are stored", func() bool { return r.has("cam", "segment.uploaded") })
	v.Proxy.Set(storetest.Trouble{Status: 403})
	rig.Eventually(t, 30*time.Second, "the outage is told of", func() bool { return r.has("", "upload.failing") })
	v.Proxy.Set()
	rig.Eventually(t, 30*time.Second, "its end is told of", func() bool { return r.has("", "upload.healed") })
	for _, e := range r.of("") {
		if e.Data.Target != "bucket" || e.Type == "upload.failing" && e.Data.Error == "" {
			t.Errorf("%+v", e)
		}
	}
}

// TestCommand checks that hooks test says for each webhook whether it answers, and that check refuses what could not work.
func TestCommand(t *testing.T) {
	t.Parallel()
	r, away := newReceiver(t), newReceiver(t)
	r.come()
	p := &rig.Process{T: t, Dir: t.TempDir()}
	config := filepath.Join(p.Dir, "config.yaml")
	p.Args = []string{"-config", config}
	write := func(yaml string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("webhooks:\n" + r.yaml("") + away.yaml(""))
	said, status := p.Command("hooks", "test")
	if status != 1 || !strings.Contains(said, "webhooks[0] at "+r.address+" took it") || !strings.Contains(said, "webhooks[1] at "+away.address+" did not take it") ||
		strings.Contains(said, "topsecret") || strings.Contains(said, "pass") {
		t.Errorf("status %d:\n%s", status, said)
	}
	if all := r.all(); len(all) != 1 || all[0].Type != "webhook.test" {
		t.Errorf("%+v", all)
	}
	if said, status := p.Command("check"); status != 0 || strings.Contains(said, "topsecret") || strings.Contains(said, secret[6:]) {
		t.Errorf("status %d:\n%s", status, said)
	}
	write("webhooks: []\n")
	if said, status := p.Command("hooks", "test"); status != 1 || !strings.Contains(said, "has no webhooks") {
		t.Errorf("status %d:\n%s", status, said)
	}
	write("webhooks: [{url: http://a/}]\n")
	if said, status := p.Command("check"); status != 1 || !strings.Contains(said, "config.yaml:1: webhooks[0].secret") {
		t.Errorf("status %d:\n%s", status, said)
	}
}
