// Package ffmpeg runs the external ffmpeg and ffprobe: for live ladders, and for files. Everything goes through pipes, or through an address
// of the loopback interface at which a file can be read in ranges; a process gets neither our environment nor a terminal's signals, yields to
// the server, and is gone when its owner says so.
//
// The package refuses to know what is coded and why, to run anything through a shell, and to let a file's name, or anything else that
// others send, become part of a command line. What ends up in one is what its callers made of the configuration and of numbers.
package ffmpeg

import (
	"fmt"
	"os"
	"os/exec"
	"time"
)

// FirstPipe is the file descriptor of a process's first pipe of Outputs; those of the others follow.
const FirstPipe = 3

// Spec says what to run.
type Spec struct {
	Command string
	Args    []string
	Env     []string // added to what a process needs to find its parts: our own may hold secrets
	Nice    int      // scheduling priority, 1 to 19
	Input   bool     // there is a pipe to its standard input; else that is empty
	Stdout  bool     // there is a pipe from its standard output
	Outputs int      // pipes from it beside those, "pipe:3" and so on
}

// Process is one run: a pipe into it, those out of it, and one for its log output. All are pollable, so that closing one wakes whoever
// waits on it.
type Process struct {
	In    *os.File   // nil without Input
	Out   *os.File   // nil without Stdout
	Outs  []*os.File // Outputs of them
	Words *os.File   // standard error: see Tail
	cmd   *exec.Cmd
	dead  bool
}

// Start runs a command. Its owner reads all pipes to their ends, calls Wait, and ClosePipes last.
func Start(s Spec) (started *Process, err error) {
	p := &Process{}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
		if err != nil {
			p.ClosePipes()
		}
	}()
	pipe := func(input bool) (mine, other *os.File, err error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, nil, fmt.Errorf("pipe to %s: %w", s.Command, err)
		}
		if mine, other = r, w; input {
			mine, other = w, r
		}
		theirs = append(theirs, other)
		return mine, other, nil
	}
	p.cmd = exec.Command(s.Command, s.Args...)
	p.cmd.Env = environ(s.Env)
	isolate(p.cmd)
	var stderr *os.File
	if s.Input {
		stdin, err2 := (*os.File)(nil), error(nil)
		if p.In, stdin, err2 = pipe(true); err2 != nil {
			return nil, err2
		}
		p.cmd.Stdin = stdin
	}
	if p.Words, stderr, err = pipe(false); err != nil {
		return nil, err
	}
	p.cmd.Stderr = stderr
	if s.Stdout {
		stdout, err2 := (*os.File)(nil), error(nil)
		if p.Out, stdout, err2 = pipe(false); err2 != nil {
			return nil, err2
		}
		p.cmd.Stdout = stdout
	}
	for range s.Outputs {
		mine, other, err := pipe(false)
		if err != nil {
			return nil, err
		}
		p.Outs = append(p.Outs, mine)
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, other)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Command, err)
	}
	lower(p.cmd, s.Nice)
	return p, nil
}

// ClosePipes closes our ends.
func (p *Process) ClosePipes() {
	for _, f := range append([]*os.File{p.In, p.Words, p.Out}, p.Outs...) {
		if f != nil {
			_ = f.Close()
		}
	}
}

// Kill ends the process and everything that waits on its pipes, even if something else holds the other ends: after a second, in which what
// it had written can be read. It is called by one goroutine.
func (p *Process) Kill() {
	if p.dead {
		return
	}
	p.dead = true
	_ = p.cmd.Process.Kill()
	if p.In != nil {
		_ = p.In.Close()
	}
	soon := time.Now().Add(time.Second)
	for _, f := range append([]*os.File{p.Words, p.Out}, p.Outs...) {
		if f != nil {
			_ = f.SetReadDeadline(soon)
		}
	}
}

// Wait waits for the process to be gone. The error is that it was killed, or reported one itself.
func (p *Process) Wait() error { return p.cmd.Wait() }

// State is how it ended, as reported by the system, after Wait: "exit status 1", "signal: killed".
func (p *Process) State() string { return p.cmd.ProcessState.String() }

// environ returns the part of our environment that a process gets.
func environ(more []string) []string {
	var env []string
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, more...)
}

// Failure is why a process ended too early.
type Failure struct {
	Err   error
	State string   // as reported by the system; "": it never ran
	Words []string // its last log lines
}

func (f *Failure) Error() string {
	s := f.Err.Error()
	if f.State != "" {
		s += " (" + f.State + ")"
	}
	return s
}

func (f *Failure) Unwrap() error { return f.Err }
