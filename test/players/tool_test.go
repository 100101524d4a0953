package players

import (
	"bufio"
	"io"
	"os/exec"
	"slices"
	"sync"
	"testing"
)

// tool is a running program: the server, or a player.
type tool struct {
	out  output
	done chan struct{}
	err  error // its exit error, after done
	kill func()
}

// start runs a program and reads its output. Lines for which hear returns true are not kept; hear may be nil. The program is killed at the
// end of the test.
func start(t *testing.T, cmd *exec.Cmd, hear func(line string) bool) *tool {
	t.Helper()
	x := &tool{done: make(chan struct{})}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		x.out.read(r, hear)
		close(read)
	}()
	go func() {
		x.err = cmd.Wait()
		_ = w.Close()
		<-read
		close(x.done)
	}()
	x.kill = func() {
		_ = cmd.Process.Kill()
		<-x.done
	}
	t.Cleanup(x.kill)
	return x
}

// ended reports whether the program has ended.
func (x *tool) ended() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// maxOutput is how many lines of a program's output are kept.
const maxOutput = 5000

// output is what a program wrote, line by line.
type output struct {
	mu  sync.Mutex
	all []string
}

// read reads to the end.
func (o *output) read(r io.Reader, hear func(string) bool) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if hear == nil || !hear(s.Text()) {
			o.keep(s.Text())
		}
	}
	_, _ = io.Copy(io.Discard, r)
}

func (o *output) keep(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) < maxOutput {
		o.all = append(o.all, line)
	}
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}
