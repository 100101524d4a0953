//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGUSR1 is no reason to stop.
func TestSignalRetriesUploads(t *testing.T) {
	p := serve(t, t.TempDir(), "rtsp: {listen: \"\"}\nstorage: {url: \"\"}\n")
	for n := 1; n <= 2; n++ {
		if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "the signal is answered", func() bool { return strings.Count(p.log.String(), "uploads that wait are tried now") == n })
	}
	if status := p.status("http://" + p.admin + "/healthz"); status != 200 {
		t.Errorf("after it: status %d", status)
	}
	p.signal(syscall.SIGINT, 20*time.Second)
}
