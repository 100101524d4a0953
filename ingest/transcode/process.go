package transcode

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/flv"
)

// process is one run of ffmpeg: a pipe into it, one out of it for each rung, and one for its log output.
type process struct {
	cmd   *exec.Cmd
	in    *os.File
	outs  []*os.File
	words *os.File
	rungs []*rung
	out   []atomic.Int64 // tags of each rung
	quit  chan struct{}  // closed to end the writer
	dead  bool           // quit is closed; only for the supervisor
}

// start runs the command for some rungs. All pipes are pollable, so that closing one wakes whoever waits on it.
func start(o *Options, rungs []*rung) (started *process, err error) {
	p := &process{rungs: rungs, out: make([]atomic.Int64, len(rungs)), quit: make(chan struct{})}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
		if err != nil {
			p.closePipes()
		}
	}()
	pipe := func(input bool) (mine, other *os.File, err error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, nil, fmt.Errorf("pipe to %s: %w", o.Command, err)
		}
		if mine, other = r, w; input {
			mine, other = w, r
		}
		theirs = append(theirs, other)
		return mine, other, nil
	}
	specs := make([]Rung, len(rungs))
	for i, r := range rungs {
		specs[i] = r.Rung
	}
	p.cmd = exec.Command(o.Command, arguments(o, specs)...)
	p.cmd.Env = environ(o)
	isolate(p.cmd)
	var stdin, stderr *os.File
	if p.in, stdin, err = pipe(true); err != nil {
		return nil, err
	}
	if p.words, stderr, err = pipe(false); err != nil {
		return nil, err
	}
	p.cmd.Stdin, p.cmd.Stderr = stdin, stderr
	for range rungs {
		mine, other, err := pipe(false)
		if err != nil {
			return nil, err
		}
		p.outs = append(p.outs, mine)
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, other)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Command, err)
	}
	lower(p.cmd, o.Nice)
	return p, nil
}

func (p *process) closePipes() {
	for _, f := range append([]*os.File{p.in, p.words}, p.outs...) {
		if f != nil {
			_ = f.Close()
		}
	}
}

// kill ends the process and everything that waits on its pipes, even if something else holds the other ends.
func (p *process) kill() {
	if p.dead {
		return
	}
	p.dead = true
	close(p.quit)
	_ = p.cmd.Process.Kill()
	_ = p.in.Close()
	soon := time.Now().Add(time.Second)
	for _, f := range append([]*os.File{p.words}, p.outs...) {
		_ = f.SetReadDeadline(soon)
	}
}

// read passes on one rung's output until it ends; nil means a proper end.
func (p *process) read(i int, stats *flv.Stats) error {
	t := newTags(p.outs[i])
	d := flv.NewDemuxer(p.rungs[i], stats)
	for {
		kind, ms, body, err := t.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := d.Tag(kind, ms, body, time.Now()); err != nil {
			return err
		}
		if kind == flv.TagVideo {
			p.out[i].Add(1)
		}
	}
}

// failure is why a process ended too early.
type failure struct {
	err   error
	state string   // as reported by the system
	words []string // its last log lines
}

func (f *failure) Error() string {
	s := f.err.Error()
	if f.state != "" {
		s += " (" + f.state + ")"
	}
	return s
}

func (f *failure) Unwrap() error { return f.err }
