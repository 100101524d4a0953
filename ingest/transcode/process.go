package transcode

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/flv"
)

// process is one run of ffmpeg: pictures go in, and out comes one stream of tags for each rung.
type process struct {
	*ffmpeg.Process
	rungs []*rung
	out   []atomic.Int64 // tags of each rung
	quit  chan struct{}  // closed to end the writer
	dead  bool           // quit is closed; only for the supervisor
}

// start runs the command for some rungs.
func start(o *Options, rungs []*rung) (*process, error) {
	specs := make([]Rung, len(rungs))
	for i, r := range rungs {
		specs[i] = r.Rung
	}
	run, err := ffmpeg.Start(ffmpeg.Spec{
		Command: o.Command, Args: arguments(o, specs), Env: o.Env, Nice: o.Nice, Input: true, Outputs: len(rungs),
	})
	if err != nil {
		return nil, err
	}
	return &process{Process: run, rungs: rungs, out: make([]atomic.Int64, len(rungs)), quit: make(chan struct{})}, nil
}

// kill ends the process, its writer, and everything that waits on its pipes.
func (p *process) kill() {
	if p.dead {
		return
	}
	p.dead = true
	close(p.quit)
	p.Kill()
}

// read passes on one rung's output until it ends; nil means a proper end.
func (p *process) read(i int, stats *flv.Stats) error {
	t := newTags(p.Outs[i])
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
