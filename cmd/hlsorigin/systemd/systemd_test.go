package systemd

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// manager is a socket like systemd's, and what was sent to it.
func manager(t *testing.T) (path string, said func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return path, func() string {
		b := make([]byte, 100)
		if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestStates(t *testing.T) {
	path, said := manager(t)
	m, err := FromEnvironment([]string{"HOME=/", "NOTIFY_SOCKET=" + path})
	if err != nil || m.Watched() {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, c := range []struct {
		tell func() error
		want string
	}{{m.Ready, "READY=1"}, {m.Stopping, "STOPPING=1"}} {
		if err := c.tell(); err != nil {
			t.Fatal(err)
		}
		if got := said(); got != c.want {
			t.Errorf("said %q, want %q", got, c.want)
		}
	}
}

func TestWatchdog(t *testing.T) {
	path, said := manager(t)
	m, err := FromEnvironment([]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=30000", "WATCHDOG_PID=" + strconv.Itoa(os.Getpid())})
	if err != nil || !m.Watched() {
		t.Fatalf("%+v, %v", m, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, asked := make(chan error), make(chan bool, 100)
	go func() { done <- m.Run(ctx, func() { asked <- true }) }()
	for range 3 {
		if got := said(); got != "WATCHDOG=1" {
			t.Errorf("said %q", got)
		}
		<-asked
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A process that was not started by systemd, or whose parent was, is silent.
func TestNoManager(t *testing.T) {
	for _, vars := range [][]string{nil, {"WATCHDOG_USEC=30000"}, {"NOTIFY_SOCKET="}} {
		m, err := FromEnvironment(vars)
		if err != nil || m.Watched() || m.Ready() != nil {
			t.Errorf("%q: %+v, %v", vars, m, err)
		}
	}
	path, _ := manager(t)
	if m, err := FromEnvironment([]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=30000", "WATCHDOG_PID=1"}); err != nil || m.Watched() {
		t.Errorf("a watchdog of another process: %+v, %v", m, err)
	}
	if _, err := FromEnvironment([]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=soon"}); err == nil {
		t.Error("WATCHDOG_USEC=soon is taken")
	}
}

// A manager that is gone is an error, and nothing waits for it.
func TestManagerGone(t *testing.T) {
	m, err := FromEnvironment([]string{"NOTIFY_SOCKET=" + filepath.Join(t.TempDir(), "nobody")})
	if err != nil {
		t.Fatal(err)
	}
	if m.Ready() == nil {
		t.Error("nobody was told, and nobody says so")
	}
}
