package vod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
	"github.com/hlsorigin/hlsorigin/ingest/file"
)

// togetherFor is how long a file may last whose rungs are all made by one process, which decodes it once. Of a longer one each rung is made by
// a process of its own, so that what is finished outlives a failure.
const togetherFor = 10 * time.Minute

// keepChunks is how many chunks of 64 KiB a rung keeps from one segment to the next: as many as an ordinary segment has.
const keepChunks = 160

// work is one package in the making.
type work struct {
	r         *Request
	up        *uploads
	container file.Container
	shared    *ffmpeg.Shared // nil until it is needed
	plan      *plan
	done      map[string]RungDone
	gauge     gauge
	target    int64
	apart     bool // each rung is made by a process of its own, however short the file is
}

func newWork(r *Request) *work {
	w := &work{r: r, up: newUploads(r.Output), done: map[string]RungDone{}}
	maps.Copy(w.done, r.Done)
	w.gauge.report = r.Progress
	return w
}

// share is the file as processes read it.
func (w *work) share() (*ffmpeg.Shared, error) {
	if w.shared == nil {
		s, err := ffmpeg.Share(w.r.Input, w.r.Input.Size())
		if err != nil {
			return nil, err
		}
		w.shared = s
	}
	return w.shared, nil
}

// newRung is the writer of an output.
func (w *work) newRung(o *output, slack int64) *rung {
	r := &rung{name: o.name, up: w.up, cmaf: w.r.Options.CMAF, target: w.target, slack: slack, alone: !o.video}
	r.pool.Keep = keepChunks
	if o.audio >= 0 {
		a := &w.plan.audio[o.audio]
		r.language, r.title = a.language, clean(a.title)
	}
	return r
}

// groups are the outputs that are left to make, as processes make them.
func (w *work) groups() (groups [][]output) {
	var left []output
	for _, o := range w.plan.outputs {
		if _, done := w.done[o.name]; !done {
			left = append(left, o)
		}
	}
	if len(left) == 0 {
		return nil
	}
	s := w.plan.src.seconds
	if w.plan.keep || s > 0 && s <= togetherFor.Seconds() && !w.apart {
		return [][]output{left}
	}
	// Sound goes with the first one; then the cheap ones: a failure should come early.
	slices.SortStableFunc(left, func(a, b output) int { return a.width*a.height - b.width*b.height })
	var sounds []output
	for _, o := range left {
		if !o.video {
			sounds = append(sounds, o)
		}
	}
	for _, o := range left {
		if o.video {
			groups = append(groups, append([]output{o}, sounds...))
			sounds = nil
		}
	}
	if len(sounds) > 0 {
		groups = append(groups, sounds)
	}
	return groups
}

// run makes a group of outputs by one process.
func (w *work) run(ctx context.Context, group []output) error {
	in, err := w.share()
	if err != nil {
		return err
	}
	args, slack := []string(nil), int64(0)
	if w.plan.keep {
		args, slack = w.plan.copyArgs(inputArgs(in, w.container), group), keySlack
	} else {
		args, slack = w.plan.transcodeArgs(inputArgs(in, w.container), group, w.r.Threads), int64(w.plan.gop*codec.Clock/2)
	}
	job := ffmpeg.Job{Spec: ffmpeg.Spec{Command: w.r.FFmpeg, Args: args, Nice: niceness}, Source: in}
	rungs := make([]*rung, len(group))
	results := make([]RungDone, len(group))
	some := make([]bool, len(group))
	w.gauge.begin(group)
	for i := range group {
		rungs[i] = w.newRung(&group[i], slack)
		s := &stream{to: rungs[i], moved: func(ticks int64) { w.gauge.moved(i, ticks) }}
		job.Readers = append(job.Readers, func(r io.Reader) (err error) {
			defer contain(&err)
			if err = s.read(ctx, r); err == nil {
				results[i], some[i], err = rungs[i].close(ctx)
			}
			return err
		})
	}
	words, err := ffmpeg.Run(ctx, job)
	if e := w.up.wait(); e != nil { // it is what ended the process
		return e
	}
	if err != nil {
		return explain(map[bool]string{true: "remux", false: "transcode"}[w.plan.keep], err)
	}
	if len(words) > 0 {
		w.plan.note("ffmpeg reported errors and went on: %s", clean(words[len(words)-1]))
	}
	for i, o := range group {
		if !some[i] {
			if o.video || w.plan.src.video == nil && o.audio == 0 {
				return refuse(CodeDamaged, "nothing of %s came out: the file is damaged; export or upload it again", o.name)
			}
			w.plan.note("the sound track %s has nothing in it, and is left out", o.name)
			continue
		}
		w.notes(rungs[i])
		if err := w.finished(o.name, results[i]); err != nil {
			return err
		}
	}
	w.gauge.end(group)
	return nil
}

// notes says what a rung's writer has noticed.
func (w *work) notes(r *rung) {
	if r.forced > 0 {
		w.plan.note("keyframes are more than a minute apart: %d segments of %s begin without one, and players cannot begin there", r.forced, r.name)
	}
	if r.changes > 0 {
		w.plan.note("the pictures of %s change their size, or how they are coded, %d times, and not all players go on there: an adaptive_video package codes them anew", r.name, r.changes)
	}
}

// finished keeps what is known of a rung, all of whose segments are put.
func (w *work) finished(name string, d RungDone) error {
	w.done[name] = d
	if w.r.Checkpoint == nil {
		return nil
	}
	if err := w.r.Checkpoint(name, d); err != nil {
		return fmt.Errorf("keep that %s is done: %w", name, err)
	}
	return nil
}

// whole checks that as much came out as the file promised.
func (w *work) whole() error {
	s := w.plan.src.seconds
	if s == 0 || !slices.Contains([]file.Container{file.MP4, "matroska", "avi"}, w.container) {
		return nil
	}
	ticks := int64(0)
	for _, d := range w.done {
		ticks = max(ticks, d.Ticks)
	}
	if got := codec.Duration(ticks).Seconds(); got < 0.9*s-3 {
		return refuse(CodeTruncated, "the file says that it lasts %.0f s, and its media end after %.0f: it is not complete, or damaged; upload it again", s, got)
	}
	return nil
}

// gauge tells how far a package is. Its methods may be called from any goroutine.
type gauge struct {
	mu      sync.Mutex
	report  func(Progress)
	seconds float64
	stage   string
	told    string // the stage of the newest report
	now     float64
	done    float64 // what is finished, of all
	weights map[string]float64
	running []output
	at      []int64
}

// The shares of the whole that stages have.
const (
	probingShare   = 0.02
	finishingShare = 0.03
)

// enter says that a stage has come, which begins at a share of the whole.
func (g *gauge) enter(stage string, share float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stage = stage
	g.tell(share)
}

// tell reports a share where that shows.
func (g *gauge) tell(share float64) {
	share = min(max(share, g.now), 1)
	if g.report == nil || g.stage == g.told && share < g.now+0.005 && share < 1 {
		return
	}
	g.now, g.told = share, g.stage
	g.report(Progress{g.stage, share})
}

// plan says what is to be made, and what of it is done.
func (g *gauge) plan(outputs []output, done map[string]RungDone, seconds float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seconds, g.weights = seconds, map[string]float64{}
	total := 0.0
	for _, o := range outputs {
		g.weights[o.name] = float64(o.width*o.height) + 20_000
		total += g.weights[o.name]
	}
	for name := range g.weights {
		g.weights[name] /= total
		if _, ok := done[name]; ok {
			g.done += g.weights[name]
		}
	}
}

func (g *gauge) begin(group []output) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running, g.at = group, make([]int64, len(group))
}

func (g *gauge) end(group []output) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range group {
		g.done += g.weights[o.name]
	}
	g.running = nil
}

// moved says how far the i-th of what runs is.
func (g *gauge) moved(i int, ticks int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seconds <= 0 || i >= len(g.at) {
		return
	}
	g.at[i] = ticks
	done := g.done
	for j, o := range g.running {
		done += g.weights[o.name] * min(float64(g.at[j])/codec.Clock/g.seconds, 1)
	}
	g.tell(probingShare + done*(1-probingShare-finishingShare))
}

// fault is the error that a package ends with: that of its context comes first, since it is what others follow from.
func fault(ctx context.Context, err error) error {
	var r *Refusal
	if ctx.Err() != nil && !errors.As(err, &r) {
		return ctx.Err()
	}
	return err
}
