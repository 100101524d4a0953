//go:build linux

package system

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Running is a server that was started.
type Running struct {
	*Adapter
	place Place
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error
}

// startTime is how long a server may take to start listening; stopTime how long to end.
const (
	startTime = 15 * time.Second
	stopTime  = 15 * time.Second
)

// Start starts the server, and returns when it listens. The caller must call Stop.
func (a *Adapter) Start(ctx context.Context, p Place) (*Running, error) {
	r := &Running{Adapter: a, place: p, ended: make(chan struct{}), log: filepath.Join(p.Dir, "log")}
	if err := r.prepare(); err != nil {
		return nil, fmt.Errorf("start %s: %w", a.Name, err)
	}
	args := make([]string, len(a.Command))
	for i, c := range a.Command {
		var err error
		if args[i], err = expand(c, &r.place); err != nil {
			return nil, fmt.Errorf("start %s: %w", a.Name, err)
		}
	}
	out, err := os.Create(r.log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", a.Name, err)
	}
	defer func() { _ = out.Close() }()
	r.cmd = exec.Command(args[0], args[1:]...)
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = p.Dir, out, out
	// It gets its own process group, so that everything it starts is counted and ends with it, also when the runner is killed.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", a.Name, err)
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.ended)
	}()
	for _, u := range []string{a.Ingest, a.Playlist} {
		if u == "" {
			continue
		}
		if err := r.listens(ctx, u); err != nil {
			log := r.Log()
			r.Stop()
			return nil, fmt.Errorf("start %s: %w\n%s", a.Name, err, log)
		}
	}
	return r, nil
}

func (r *Running) prepare() error {
	for _, f := range append([]string{"."}, r.Folders...) {
		if err := os.MkdirAll(filepath.Join(r.place.Dir, f), 0o755); err != nil {
			return err
		}
	}
	for name, file := range r.Files {
		b, err := os.ReadFile(filepath.Join(r.dir, file))
		if err != nil {
			return err
		}
		text, err := expand(string(b), &r.place)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(r.place.Dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// listens waits until the URL's port accepts connections.
func (r *Running) listens(ctx context.Context, template string) error {
	text, err := r.url(template, "x")
	if err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not listen on %s: %w", u.Host, err)
		case <-r.ended:
			return fmt.Errorf("it ended: %w", r.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *Running) url(template, stream string) (string, error) {
	p := r.place
	p.Stream = stream
	return expand(template, &p)
}

// IngestURL returns where a stream is published; Start has already refused templates that cannot be filled in.
func (r *Running) IngestURL(stream string) string { u, _ := r.url(r.Ingest, stream); return u }

// PlaylistURL returns where a stream is watched.
func (r *Running) PlaylistURL(stream string) string { u, _ := r.url(r.Playlist, stream); return u }

// ProfileURL returns the URL of its profiles, or "".
func (r *Running) ProfileURL() string { u, _ := r.url(r.Profile, ""); return u }

// Dir returns the server's directory.
func (r *Running) Dir() string { return r.place.Dir }

// Log returns the end of the server's output.
func (r *Running) Log() string {
	b, _ := os.ReadFile(r.log)
	return string(b[max(len(b)-2000, 0):])
}

// Ended reports whether the server has already ended.
func (r *Running) Ended() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// Stop ends the server and everything that it started, gently first, and removes its directory.
func (r *Running) Stop() {
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(stopTime):
	}
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	<-r.ended
	_ = os.RemoveAll(r.place.Dir)
}

// Disk returns how many bytes of files the server's directory holds.
func (r *Running) Disk() (n int64) {
	_ = filepath.WalkDir(r.place.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && path != r.log {
			if i, err := d.Info(); err == nil {
				n += i.Size()
			}
		}
		return nil
	})
	return n
}
