package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// SIGUSR1 is no reason to stop.
func TestSignalRetriesUploads(t *testing.T) {
	p := rig.Serve(t, t.TempDir(), "rtsp: {listen: \"\"}\nstorage: {url: \"\"}\n")
	for n := 1; n <= 2; n++ {
		if err := p.Cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		rig.Eventually(t, 10*time.Second, "the signal is answered", func() bool { return strings.Count(p.Log.String(), "uploads and webhooks that wait are tried now") == n })
	}
	if status := p.Status("http://" + p.Admin + "/healthz"); status != 200 {
		t.Errorf("after it: status %d", status)
	}
	p.Signal(syscall.SIGINT, 20*time.Second)
}
