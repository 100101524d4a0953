package vodjobs

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/fence"
)

// unfit is what is to be done about a bucket that does not keep to conditional writes.
const unfit = "the bucket does not keep to conditional writes, so nothing keeps two servers from running one job, and mixing up its package: set jobs.only_runner if this is the only server that runs jobs in the bucket, " +
	"jobs.workers to 0 if another does, or take a store that keeps to them, see docs/bucket.md"

// fitness is what is known of the bucket's conditions.
func (s *Service) fitness() fence.Fitness {
	if s.o.Conditions == nil {
		return fence.Fit
	}
	return s.o.Conditions()
}

// ready reports whether this server may run jobs. On a bucket that keeps nothing apart it is told that it is the only one. As long as it is not known which
// kind the bucket is, jobs wait: that takes a few requests after a start.
func (s *Service) ready() bool {
	switch s.fitness() {
	case fence.Fit:
		return true
	case fence.Unfit:
		return s.config().Jobs.OnlyRunner
	}
	return false
}

// admit returns an error where jobs that are ordered here would not be run. Without workers another server is to run them.
func (s *Service) admit() error {
	if c := s.config().Jobs; s.fitness() == fence.Unfit && !c.OnlyRunner && c.Workers > 0 {
		return api.Fail(api.Conflict, "%s", unfit)
	}
	return nil
}

const (
	// judgeEvery is how often it is looked whether it is known what the store keeps to.
	judgeEvery = time.Second
	// judgeWithin is after how long it is said that it is not.
	judgeWithin = 2 * time.Minute
)

// judge says once what kind of bucket keeps jobs from running here.
func (s *Service) judge(ctx context.Context) {
	t := time.NewTicker(judgeEvery)
	defer t.Stop()
	began, told := s.o.Now(), false
	for {
		switch f := s.fitness(); {
		case f == fence.Fit:
			s.queue.Wake()
			return
		case f == fence.Unfit:
			s.queue.Wake()
			if s.admit() != nil {
				s.o.Log.Error("no jobs run here, and none are taken: " + unfit)
			}
			return
		case !told && s.o.Now().Sub(began) >= judgeWithin:
			told = true
			s.o.Log.Warn("jobs wait: it cannot be found out whether the bucket keeps to conditional writes, which keep two servers apart. Is it within reach, and may these credentials write, read and delete below " + storage.Shared + "?")
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// looking is the bucket as the queue sees it. Where that does not keep to conditions, it looks before it writes. Within this server that is as good; what another
// server writes between the look and the write, as the cancellation of a job, is written over.
type looking struct {
	storage.Store
	unfit func() bool
	mu    sync.Mutex
}

// Put implements storage.Putter.
func (l *looking) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if a.IfMatch == "" && !a.IfAbsent || !l.unfit() {
		return l.Store.Put(ctx, key, body, a)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	there, err := l.Store.Stat(ctx, key)
	missing := storage.KindOf(err) == storage.Missing
	switch {
	case err != nil && !missing:
		return "", err
	case a.IfAbsent && !missing:
		return "", fmt.Errorf("put %s: %w", key, storage.ErrExists)
	case a.IfMatch != "" && (missing || there.ETag != a.IfMatch):
		return "", fmt.Errorf("put %s: %w", key, storage.ErrChanged)
	}
	a.IfMatch, a.IfAbsent = "", false
	return l.Store.Put(ctx, key, body, a)
}

// Unwrap implements storage.Unwrapper.
func (l *looking) Unwrap() storage.Store { return l.Store }
