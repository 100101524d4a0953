package vod

import (
	"context"
	"errors"
)

// Package makes the package. The error is a *Refusal, or another where a later try may do better: then rungs that Checkpoint was told of
// stay, and everything else that was put is removed. After a *Refusal, and without a Checkpoint, everything is removed. It needs no
// clean-up of its own when ctx ends: it waits for ffmpeg to be gone.
func Package(ctx context.Context, r Request) (Result, error) {
	return Result{}, errors.New("not built yet")
}

// Clean removes what a call has left for the next one, when there will be none: the segments of rungs that are done.
func Clean(ctx context.Context, out Output, done map[string]RungDone) error {
	return nil
}
