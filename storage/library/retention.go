package library

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

const (
	// retentionInterval is how often recordings are looked for that have become older than their app keeps them.
	retentionInterval = time.Hour
	// maxClockDifference is how far this machine's clock and the store's may be apart for anything to be called old.
	maxClockDifference = time.Hour
	// Segments without a playlist are looked for once a day, or less often where there are so many streams that it would be
	// more of them in an hour.
	orphanHours   = 24
	orphanStreams = 40
)

// RetentionOptions are what a Retention needs besides its store.
type RetentionOptions struct {
	Name string                   // of the store, for the log
	Keep map[string]time.Duration // by app; apps that keep everything are not in it
	Log  *slog.Logger             // nil: discard
	Now  func() time.Time         // of this machine; never nil
}

// Retention removes from a store what its app does not keep any longer: finished recordings and finished splits. How old
// something is, is told by the store's clock where it has one; while the two clocks contradict each other nothing is
// removed, since a recording cannot be had back.
type Retention struct {
	store   storage.Store
	library *Library
	log     *slog.Logger
	clock   func() time.Time
	keep    atomic.Pointer[map[string]time.Duration]
	refuses bool // the clocks contradicted each other the last time
	hour    int  // how often it has looked
	parts   int  // in which all streams are looked through for segments without a playlist, one each hour
}

// NewRetention makes a Retention of a store. It retries nothing itself: storage.Retry around the store does.
func NewRetention(s storage.Store, o RetentionOptions) *Retention {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Retention{store: s, library: New(s, Options{}), log: o.Log.With("target", o.Name), clock: o.Now, parts: orphanHours}
	r.SetKeep(o.Keep)
	return r
}

// SetKeep changes how long apps keep their recordings, from the next look on. It may be called at any time.
func (r *Retention) SetKeep(keep map[string]time.Duration) {
	keep = maps.Clone(keep)
	r.keep.Store(&keep)
}

// Run looks once at the start and then every hour, until ctx is done.
func (r *Retention) Run(ctx context.Context) error {
	t := time.NewTicker(retentionInterval)
	defer t.Stop()
	for {
		r.expire(ctx, r.clock())
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (r *Retention) expire(ctx context.Context, now time.Time) {
	keeps := *r.keep.Load()
	if len(keeps) == 0 {
		return
	}
	now, err := r.now(ctx, now)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		if !r.refuses {
			r.log.Error("no recording is removed for its age; this is tried again every hour", "error", err)
		}
		r.refuses = true
		return
	case r.refuses:
		r.log.Info("recordings are removed for their age again")
		r.refuses = false
	}
	streams := 0
	for app, keep := range keeps {
		out, err := r.library.Expire(ctx, app, ExpireOptions{Keep: keep, Now: now, Really: true, Part: r.hour % r.parts, Parts: r.parts})
		streams = max(streams, out.Streams)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.log.Warn("recordings that are older than the app keeps them could not be removed; tried again in an hour", "app", app, "error", err)
		case len(out.Recordings) > 0:
			r.log.Info("recordings removed, older than the app keeps them", "app", app, "keep", keep, "recordings", len(out.Recordings), "bytes", out.Bytes)
		}
	}
	r.hour++
	r.parts = max(orphanHours, streams/orphanStreams)
}

// now is the store's time, or local where the store has none.
func (r *Retention) now(ctx context.Context, local time.Time) (time.Time, error) {
	clock, ok := storage.As[storage.Timekeeper](r.store)
	if !ok {
		return local, nil
	}
	at, err := clock.Time(ctx)
	if err != nil {
		return at, fmt.Errorf("the store does not tell what time it is: %w", err)
	}
	if d := at.Sub(local); d.Abs() > maxClockDifference {
		return at, fmt.Errorf("it is %s by this machine's clock and %s by the store's: synchronise them", local.UTC().Format(time.DateTime), at.UTC().Format(time.DateTime))
	}
	return at, nil
}
