package show

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestServiceManager is a start and a stop as systemd sees them: ready when it answers, alive, stopping.
func TestServiceManager(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "300000")
	p := rig.Serve(t, dir, "rtsp: {listen: \"\"}\nstorage: {url: \"\"}\n")
	said := func() string {
		b := make([]byte, 100)
		if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := l.Read(b)
		if err != nil {
			t.Fatalf("nothing was said: %v", err)
		}
		return string(b[:n])
	}
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := said(); got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	p.Signal(syscall.SIGTERM, 20*time.Second)
	var all []string
	for {
		if all = append(all, said()); all[len(all)-1] != "WATCHDOG=1" {
			break
		}
	}
	if got := all[len(all)-1]; got != "STOPPING=1" || strings.Contains(p.Log.String(), "cannot be told") {
		t.Errorf("at the end it said %q\n%s", got, p.Log)
	}
}
