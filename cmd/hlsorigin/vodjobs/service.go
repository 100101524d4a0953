// Package vodjobs makes packages of files for the command: it joins the queue of jobs, what they may read and write, the packager, and those
// who are told. It refuses to know how a package is made, and how a job is kept apart from another server's.
package vodjobs

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/webhook"
	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/fence"
	"github.com/hlsorigin/hlsorigin/storage/jobs"
	"github.com/hlsorigin/hlsorigin/storage/source"
)

// Options of a Service.
type Options struct {
	Config configs.Config
	Store  storage.Store // the server's own bucket
	Node   string        // the server's name
	// Bucket opens another bucket with the credentials of the server's own.
	Bucket func(name string) (storage.Store, error)
	Hooks  *webhook.Hooks
	// Conditions tells whether the store keeps to conditional writes, without which two servers could run one job; nil: it does.
	Conditions func() fence.Fitness
	Now        func() time.Time
	Log        *slog.Logger
	// Package is vod.Package; tests have one of their own.
	Package func(ctx context.Context, r vod.Request) (vod.Result, error)

	Timing Timing
}

// Timing is how fast it goes; zero: the defaults of package jobs, and ten seconds.
type Timing struct {
	Beat, Lease, Poll time.Duration
	Watch             time.Duration // between two looks at watched places
}

// Service runs jobs. It is safe for concurrent use.
type Service struct {
	o      Options
	queue  *jobs.Queue
	caller *webhook.Caller

	mu   sync.Mutex
	cfg  configs.Config // in force
	turn chan struct{}  // closed when it changes

	opening sync.Mutex               // apart: it is held while credentials are looked for
	others  map[string]storage.Store // other buckets, by name
}

// attempts is how often the store is asked for one thing.
const attempts = 4

// New returns a service that does nothing yet.
func New(o Options) *Service {
	if o.Package == nil {
		o.Package = vod.Package
	}
	if o.Timing.Watch == 0 {
		o.Timing.Watch = 10 * time.Second
	}
	o.Store = storage.Retry(o.Store, storage.RetryOptions{Attempts: attempts})
	s := &Service{o: o, caller: webhook.NewCaller(o.Hooks), cfg: o.Config, turn: make(chan struct{}), others: map[string]storage.Store{}}
	c := o.Config.Jobs
	s.queue = jobs.New(&looking{Store: o.Store, unfit: func() bool { return s.fitness() == fence.Unfit }}, jobs.Options{
		Node: o.Node, Workers: c.Workers, Keep: c.Keep.Std(), Do: s.do, Undo: s.undo, Tell: s.tell, Began: s.began, Ready: s.ready,
		Beat: o.Timing.Beat, Lease: o.Timing.Lease, Poll: o.Timing.Poll, Now: o.Now, Log: o.Log,
	})
	return s
}

// Stats returns the counters of the queue.
func (s *Service) Stats() *jobs.Stats { return s.queue.Stats() }

// Run runs jobs and watches for files until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	defer s.caller.Close()
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx) })
	watching.Go(func() { s.judge(ctx) })
	err := s.queue.Run(ctx)
	watching.Wait()
	return err
}

// Reconfigure puts changed settings in force. Jobs that run go on as they began.
func (s *Service) Reconfigure(c configs.Config) {
	s.queue.SetWorkers(c.Jobs.Workers)
	s.queue.SetKeep(c.Jobs.Keep.Std())
	s.mu.Lock()
	s.cfg = c
	close(s.turn)
	s.turn = make(chan struct{})
	s.mu.Unlock()
}

// config are the settings in force.
func (s *Service) config() configs.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

// changed is closed at the next Reconfigure.
func (s *Service) changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turn
}

// at is the URL of the server's own bucket, with a slash at its end.
func at(c configs.Config) string { return strings.TrimRight(c.Storage.URL, "/") + "/" }

// places are what may be read and written now.
func (s *Service) places() *source.Places {
	c := s.config()
	inputs := append(append([]string{}, c.Jobs.Inputs...), c.Jobs.Watch...)
	return &source.Places{Store: s.o.Store, At: at(c), Inputs: inputs, Outputs: c.Jobs.Outputs, Bucket: s.bucket}
}

// bucket opens another bucket once.
func (s *Service) bucket(_ context.Context, name string) (storage.Store, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if b := s.others[name]; b != nil {
		return b, nil
	}
	b, err := s.o.Bucket(name)
	if err != nil {
		return nil, err
	}
	b = storage.Retry(b, storage.RetryOptions{Attempts: attempts})
	s.others[name] = b
	return b, nil
}

// unreadable is why an input cannot be read, as a refusal where it will stay so.
func unreadable(err error) error {
	for _, known := range []struct {
		is   error
		code string
	}{{source.ErrForm, "input_form"}, {source.ErrNotAllowed, "input_not_allowed"}, {source.ErrGrowing, "input_growing"}, {source.ErrChanged, "input_changed"}} {
		if errors.Is(err, known.is) {
			return &jobs.Refusal{Code: known.code, Reason: err.Error()}
		}
	}
	if storage.KindOf(err) == storage.Missing {
		return &jobs.Refusal{Code: "input_missing", Reason: "there is no such input: " + err.Error()}
	}
	return err
}
