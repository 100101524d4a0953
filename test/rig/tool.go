package rig

import (
	"io"
	"os/exec"
	"testing"
	"time"
)

// Tool is a program besides the server: an encoder or a player.
type Tool struct {
	t    *testing.T
	Name string
	Cmd  *exec.Cmd
	Out  *Lines
	Done chan struct{}
	Err  error
}

// Launch starts a program; it is killed at the end of the test.
func Launch(t *testing.T, name string, args ...string) *Tool {
	t.Helper()
	x := &Tool{t: t, Name: name, Cmd: exec.Command(name, args...), Out: &Lines{}, Done: make(chan struct{})}
	r, w := io.Pipe()
	x.Cmd.Stdout, x.Cmd.Stderr = w, w
	if err := x.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		x.Out.read(r)
		close(read)
	}()
	go func() {
		x.Err = x.Cmd.Wait()
		_ = w.Close()
		<-read
		close(x.Done)
	}()
	t.Cleanup(func() {
		_ = x.Cmd.Process.Kill()
		<-x.Done
	})
	return x
}

// Wait waits for the program to end by itself.
func (x *Tool) Wait(within time.Duration) error {
	x.t.Helper()
	select {
	case <-x.Done:
		return x.Err
	case <-time.After(within):
		x.t.Fatalf("%s has not ended after %v:\n%s", x.Name, within, x.Out)
		return nil
	}
}
