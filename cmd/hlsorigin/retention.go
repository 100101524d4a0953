package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/library"
)

// retentionInterval is how often recordings are looked for that have become older than their app keeps them.
const retentionInterval = time.Hour

// retention removes from the bucket what its app does not keep any longer: finished recordings and finished splits.
type retention struct {
	library *library.Library
	keep    map[string]time.Duration // by app; apps that keep everything are not in it
	log     *slog.Logger
}

// run looks once at the start and then at every interval, until ctx is done.
func (r retention) run(ctx context.Context) error {
	t := time.NewTicker(retentionInterval)
	defer t.Stop()
	for now := time.Now(); ; {
		r.expire(ctx, now)
		select {
		case <-ctx.Done():
			return nil
		case now = <-t.C:
		}
	}
}

func (r retention) expire(ctx context.Context, now time.Time) {
	for app, keep := range r.keep {
		out, err := r.library.Expire(ctx, app, keep, now, true)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.log.Warn("recordings that are older than the app keeps them could not be removed; tried again in an hour", "app", app, "error", err)
		case len(out.Recordings) > 0:
			r.log.Info("recordings removed, older than the app keeps them", "app", app, "keep", keep, "recordings", len(out.Recordings), "bytes", out.Bytes)
		}
	}
}
