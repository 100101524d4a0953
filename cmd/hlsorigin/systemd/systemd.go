// Package systemd tells the service manager how the server is: ready, reloading, stopping, alive (sd_notify(3)). Without
// NOTIFY_SOCKET in the environment it does nothing. It refuses to be a library for systemd: no sockets are handed over, no
// journal is written.
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
	watchdog time.Duration // how often it wants to hear that we are alive; 0: never
}

// FromEnvironment finds the manager in variables as os.Environ gives them.
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

// Ready says that the listeners are open and the recordings taken up.
func (m Manager) Ready() error { return m.say("READY=1") }

// Stopping says that the server has begun to stop.
func (m Manager) Stopping() error { return m.say("STOPPING=1") }

// Watched reports whether the manager restarts a server that it does not hear of.
func (m Manager) Watched() bool { return m.watchdog > 0 }

// Run says that the server is alive as often as the manager wants, until ctx is done. alive is asked each time, and must return
// only when the server does its work: one that hangs is not reported, and is restarted.
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

// say sends one state. A manager that is gone is an error.
func (m Manager) say(state string) error {
	if m.socket == "" {
		return nil
	}
	name := m.socket
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:] // the abstract name space
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell systemd %s: %w", state, err)
	}
	_, err = c.Write([]byte(state))
	return errors.Join(err, c.Close())
}
