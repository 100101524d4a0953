// Package systemd tells the service manager the server's state: ready, reloading, stopping, alive (sd_notify(3)). Without NOTIFY_SOCKET in
// the environment it does nothing. It refuses to be a library for systemd: no sockets are handed over, no journal is written.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Manager is the service manager that started this process. The zero value stands for none.
type Manager struct {
	socket   string
	watchdog time.Duration // how often it wants a sign of life; 0: never
}

// FromEnvironment finds the manager in variables as returned by os.Environ.
func FromEnvironment(vars []string) (Manager, error) {
	var m Manager
	var usec, pid string
	for _, v := range vars {
		switch name, value, _ := strings.Cut(v, "="); name {
		case "NOTIFY_SOCKET":
			m.socket = value
		case "WATCHDOG_USEC":
			usec = value
		case "WATCHDOG_PID":
			pid = value
		}
	}
	if m.socket == "" || usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return m, nil
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 {
		return m, fmt.Errorf("WATCHDOG_USEC=%s is no number of microseconds", usec)
	}
	m.watchdog = time.Duration(n) * time.Microsecond
	return m, nil
}

// Ready reports that the listeners are open and the recordings are recovered.
func (m Manager) Ready() error { return m.say("READY=1") }

// Stopping reports that the server has begun to stop.
func (m Manager) Stopping() error { return m.say("STOPPING=1") }

// Watched reports whether the manager restarts a server that gives no sign of life.
func (m Manager) Watched() bool { return m.watchdog > 0 }

// Run reports that the server is alive as often as the manager wants, until ctx is done. It calls alive each time, which must return only
// if the server is working: one that hangs is not reported, and is restarted.
func (m Manager) Run(ctx context.Context, alive func()) error {
	if m.watchdog <= 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(m.watchdog / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			alive()
			if err := m.say("WATCHDOG=1"); err != nil {
				return err
			}
		}
	}
}

// say sends one state. It returns an error if the manager is gone.
func (m Manager) say(state string) error {
	if m.socket == "" {
		return nil
	}
	name := m.socket
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:] // the abstract namespace
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell systemd %s: %w", state, err)
	}
	_, err = c.Write([]byte(state))
	return errors.Join(err, c.Close())
}
