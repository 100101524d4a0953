package vod

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
	"github.com/hlsorigin/hlsorigin/ingest/file"
)

// Package makes the package. The error is a *Refusal, or another where a later try may do better. What was put then stays, with nothing that
// leads to it: a later call goes on from it, or writes over it, and who gives the package up removes what is Own. It needs no clean-up of its own
// when ctx ends: it waits for ffmpeg to be gone, and for what is on its way.
func Package(ctx context.Context, r Request) (Result, error) {
	w := newWork(&r)
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	result, err := w.pack(inner)
	if w.shared != nil {
		w.shared.Close()
	}
	if err == nil {
		return result, nil
	}
	cancel()        // what is on its way need not arrive
	_ = w.up.wait() // it is in err, or follows from it
	return Result{}, fault(ctx, err)
}

func (w *work) pack(ctx context.Context) (res Result, err error) {
	defer contain(&err)
	r := w.r
	if r.FFmpeg == "" {
		r.FFmpeg = "ffmpeg"
	}
	if r.FFprobe == "" {
		r.FFprobe = "ffprobe"
	}
	if r.Kind != AdaptiveVideo && r.Kind != Remux {
		return Result{}, refuse(CodeBadRequest, "the kind %.40q: it is to be %s or %s", r.Kind, AdaptiveVideo, Remux)
	}
	if err := r.Options.check(); err != nil {
		return Result{}, err
	}
	w.target = codec.Ticks(r.Options.SegmentDuration)
	w.gauge.enter("probing", 0)
	head := make([]byte, min(r.Input.Size(), file.SniffSize))
	if _, err := r.Input.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return Result{}, err
	}
	if w.container, err = file.Sniff(head); err != nil {
		return Result{}, explain("read the file", err)
	}
	var movie *file.Movie
	if w.container == file.MP4 {
		if movie, err = file.Open(r.Input, r.Input.Size()); err != nil {
			return Result{}, explain("read the file", err)
		}
	}
	if err := w.make(ctx, movie); err != nil {
		return Result{}, err
	}
	if err := w.whole(); err != nil {
		return Result{}, err
	}
	w.gauge.enter("finishing", 1-finishingShare)
	return w.finish(ctx)
}

// make decides what is made of the file, and makes the segments.
func (w *work) make(ctx context.Context, movie *file.Movie) (err error) {
	r := w.r
	if movie != nil && r.Kind == Remux {
		if video, audio, ok := own(movie); ok {
			src := sourceOf(movie, video, audio)
			if w.plan, err = newPlan(src, &r.Options, Remux, false); err != nil {
				return err
			}
			if n := sounds(movie); n > maxAudio {
				w.plan.note("the file has %d sound tracks: the first %d of them, with the default one, are in the package", n, maxAudio)
			}
			w.plan.keep = true
			w.gauge.plan(w.plan.outputs, nil, src.seconds)
			w.gauge.enter("packaging", probingShare)
			return w.remux(ctx, movie, video, audio)
		}
	}
	in, err := w.share()
	if err != nil {
		return err
	}
	src, err := probe(ctx, r.FFprobe, in, w.container)
	if err != nil {
		return err
	}
	if r.Kind == Remux {
		if err := refuseRemux(src); err != nil {
			return err
		}
	}
	tonemap := false
	if src.video != nil && (src.video.transfer == "smpte2084" || src.video.transfer == "arib-std-b67") && r.Kind == AdaptiveVideo {
		if tonemap, err = w.canToneMap(ctx); err != nil {
			return err
		}
	}
	if w.plan, err = newPlan(src, &r.Options, r.Kind, tonemap); err != nil {
		return err
	}
	if w.plan.keep = r.Kind == Remux; w.plan.keep {
		remuxNotes(w.plan)
		clear(w.done) // it is made in one go
		w.gauge.enter("packaging", probingShare)
	} else {
		w.gauge.enter("transcoding", probingShare)
	}
	w.gauge.plan(w.plan.outputs, w.done, src.seconds)
	for _, g := range w.groups() {
		if err := w.run(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// sounds is how many sound tracks a movie has.
func sounds(m *file.Movie) (n int) {
	for _, t := range m.Tracks {
		if t.Medium == file.Audio {
			n++
		}
	}
	return n
}

// canToneMap asks ffmpeg whether it has the filters.
func (w *work) canToneMap(ctx context.Context) (bool, error) {
	var out []byte
	_, err := ffmpeg.Run(ctx, ffmpeg.Job{Spec: ffmpeg.Spec{Command: w.r.FFmpeg, Args: append(quiet(), "-filters"), Nice: niceness}, Stdout: func(r io.Reader) (err error) {
		out, err = io.ReadAll(io.LimitReader(r, maxProbe))
		return err
	}})
	if err != nil {
		return false, explain("ask ffmpeg for its filters", err)
	}
	return strings.Contains(string(out), " zscale ") && strings.Contains(string(out), " tonemap "), nil
}
