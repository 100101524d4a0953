package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Work is one try at a job.
type Work struct {
	Job  Job
	Done map[string][]byte // what earlier tries have finished, by name
	// Keep says that something is finished, for the next try.
	Keep func(ctx context.Context, name string, data []byte) error
	// Progress says how far it is. It waits for nothing.
	Progress func(stage string, done float64)
	// Put stores an object, given in consecutive slices: over one of an earlier try at this job, never over what another server made that took the job up meanwhile. On
	// a store that does not keep to conditional writes it may.
	Put func(ctx context.Context, store storage.Store, key string, body [][]byte, a storage.Attributes) error
	// Hold returns nil while the job is this server's. Undo calls it before something is removed.
	Hold func(ctx context.Context) error
}

// Refusal is an error of a try that would come again: the job fails.
type Refusal struct {
	Code   string // for programs
	Reason string // for people, with what to do
}

func (r *Refusal) Error() string { return r.Reason }

// Options of a Queue. Times of zero mean the defaults given beside them.
type Options struct {
	Node string // this server's name: what runs under it when Run begins is of an earlier process, and taken up at once
	// Do does a job's work, and lists nothing when it fails. It removes nothing, since another server may write the same by then: a later try
	// writes over what it has left, or Undo removes it. A *Refusal is not tried again.
	Do func(ctx context.Context, w *Work) (result json.RawMessage, err error)
	// Undo removes whatever tries at a job have left, when nobody writes any more. Of the Work it has Job, Done and Hold.
	Undo func(ctx context.Context, w *Work) error
	// Tell tells of a job that is over; it may set Emitted in it, which is kept also where it fails. It is asked again until it succeeds.
	Tell func(ctx context.Context, j *Job) error
	// Began is told of each job that this server has begun. It waits for nothing.
	Began func(j Job)

	// Ready reports whether this server may have jobs now: where it does not, nothing is begun, told of, or removed. nil: it always may.
	Ready func() bool

	Workers int           // jobs at once on this server; 0: none
	Beat    time.Duration // between two renewals; 5s
	Lease   time.Duration // without a change, after which a job is taken up; 30s
	Poll    time.Duration // between two looks for work; 5s
	Keep    time.Duration // jobs that are over are forgotten after so long; 30 days
	GiveUp  time.Duration // a webhook that does not take a job's end is given up after about so long; 3 days
	Tries   int           // of a job that fails for other reasons than its own; 5
	Backoff func(n int) time.Duration

	Now func() time.Time // must not be nil
	Log *slog.Logger
}

// Queue is this server's view of the jobs. It is safe for concurrent use.
type Queue struct {
	store storage.Store
	o     Options
	log   *slog.Logger
	stats Stats

	workers atomic.Int64
	keep    atomic.Int64 // nanoseconds
	wake    chan struct{}

	// before are the jobs that were open when Run looked first, and that are not taken up again since; nil: it has not. Run alone uses it.
	before map[string]bool

	mu      sync.Mutex
	known   map[string]*known // that are open, by id
	running map[string]*run   // here
	telling map[string]bool
	away    bool // the store does not answer: that was logged
}

// Stats count what this server did. All fields may be read at any time.
type Stats struct {
	Added, Started, Succeeded, Failed, Canceled atomic.Int64
	Retried, TakenUp, Lost, Refused             atomic.Int64
	Waiting, Running, Elsewhere                 atomic.Int64 // now; Elsewhere run on other servers
	Untold                                      atomic.Int64 // webhooks given up
	PollFailures                                atomic.Int64
	Oldest                                      atomic.Int64 // Unix seconds at which the longest waiting job came; 0: none waits
}

// New returns a view of the jobs in a store. The store should retry what is transient.
func New(store storage.Store, o Options) *Queue {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&o.Beat, 5*time.Second)
	set(&o.Lease, 30*time.Second)
	set(&o.Poll, 5*time.Second)
	set(&o.Keep, 30*24*time.Hour)
	set(&o.GiveUp, 3*24*time.Hour)
	if o.Tries == 0 {
		o.Tries = 5
	}
	if o.Backoff == nil {
		o.Backoff = storage.RetryOptions{First: 5 * time.Second, Most: 5 * time.Minute}.Backoff
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	q := &Queue{store: store, o: o, log: o.Log, wake: make(chan struct{}, 1), known: map[string]*known{}, running: map[string]*run{}, telling: map[string]bool{}}
	q.workers.Store(int64(o.Workers))
	q.keep.Store(int64(o.Keep))
	return q
}

// Stats returns the counters.
func (q *Queue) Stats() *Stats { return &q.stats }

// SetWorkers changes how many jobs run at once here. Those that run go on.
func (q *Queue) SetWorkers(n int) {
	q.workers.Store(int64(n))
	q.Wake()
}

// SetKeep changes how long jobs that are over are kept.
func (q *Queue) SetKeep(d time.Duration) { q.keep.Store(int64(d)) }

// Wake makes Run look for work at once.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// What Add refuses.
var (
	ErrKey    = errors.New("the idempotency key was used for another job")
	ErrOutput = errors.New("another job has this output")
)

// ErrOver means that a job cannot be canceled, because it is over.
var ErrOver = errors.New("the job is over")

// Key keeps a job from being queued twice. The zero value is none.
type Key struct {
	Text  string // whatever names one order
	Asked string // the order in the words of who orders
}

// Add queues a job. With a key that was used before, the job is the one from then, if it was ordered in the same words: else ErrKey.
// ErrOutput means that another job that is not over has the output.
func (q *Queue) Add(ctx context.Context, o Order, key Key) (j Job, fresh bool, err error) {
	now := q.o.Now().UTC().Truncate(time.Millisecond)
	j = Job{ID: newID(o.Priority, now), Order: o, State: Queued, Created: now}
	if key != (Key{}) {
		j.Key = hashOf(key.Text)
		n, _, err := q.claim(ctx, keyKey(j.Key), note{j.ID, hashOf(key.Asked)})
		switch {
		case err != nil:
			return Job{}, false, err
		case n.Order != hashOf(key.Asked):
			return Job{}, false, ErrKey
		case n.ID != j.ID:
			there, err := q.Get(ctx, n.ID)
			if storage.KindOf(err) != storage.Missing {
				return there, false, err
			}
			j.ID = n.ID // whoever took the key did not come as far as the job
		}
	}
	if err := q.reserve(ctx, j.Output, j.ID); err != nil {
		if j.Key != "" && errors.Is(err, ErrOutput) {
			err = errors.Join(err, q.store.Remove(ctx, keyKey(j.Key)))
		}
		return Job{}, false, err
	}
	if _, err := q.swap(ctx, &j, ""); err != nil {
		if errors.Is(err, storage.ErrExists) { // another request with the same key
			there, err := q.Get(ctx, j.ID)
			return there, false, err
		}
		return Job{}, false, err
	}
	q.stats.Added.Add(1)
	q.Wake()
	return j, true, nil
}

// ByKey returns the job that was queued with a key; not ok where there is none, or none any more. ErrKey means that it was ordered in other
// words.
func (q *Queue) ByKey(ctx context.Context, key Key) (j Job, ok bool, err error) {
	data, _, err := q.get(ctx, keyKey(hashOf(key.Text)))
	if storage.KindOf(err) == storage.Missing {
		return Job{}, false, nil
	}
	var n note
	if err == nil {
		err = json.Unmarshal(data, &n)
	}
	switch {
	case err != nil:
		return Job{}, false, err
	case n.Order != hashOf(key.Asked):
		return Job{}, false, ErrKey
	}
	j, err = q.Get(ctx, n.ID)
	if storage.KindOf(err) == storage.Missing {
		return Job{}, false, nil
	}
	return j, err == nil, err
}

// Get returns a job. One that is not known, or not any more, is fs.ErrNotExist.
func (q *Queue) Get(ctx context.Context, id string) (Job, error) {
	done, err := doneKey(id)
	if err != nil {
		return Job{}, err
	}
	j, _, err := q.read(ctx, id)
	if storage.KindOf(err) == storage.Missing {
		var data []byte
		if data, _, err = q.get(ctx, done); err == nil {
			j, err = parse(id, data)
		}
	}
	if err != nil {
		return Job{}, err
	}
	q.fresher(&j)
	return j, nil
}

// fresher puts in how far a job is that runs here.
func (q *Queue) fresher(j *Job) {
	q.mu.Lock()
	r := q.running[j.ID]
	q.mu.Unlock()
	if r != nil && j.State == Running {
		j.Stage, j.Progress = r.how()
	}
}

// Query says which jobs are wanted.
type Query struct {
	State State // of this alone; "": all
	Limit int   // the most jobs
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// lookedAt is how many jobs are read at most for each that is wanted.
const lookedAt = 10

// List returns the jobs that are not over, in the order in which they are taken, then those that are, the newest first, and whether there
// may be more. It reads no more objects than that needs.
func (q *Queue) List(ctx context.Context, query Query) (list []Job, more bool, err error) {
	var found []storage.Object // read when the listing is over, which may hold a request of the store
	for _, in := range []string{openFolder, doneFolder} {
		if in == doneFolder && query.State != "" && !query.State.Final() {
			break
		}
		err := storage.Browse(ctx, q.store, in, func(o storage.Object) error {
			if idOf(o.Key) == "" {
				return nil
			}
			if len(found) > lookedAt*query.Limit {
				return errEnough
			}
			found = append(found, o)
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, false, fmt.Errorf("list the jobs: %w", err)
		}
	}
	for i, o := range found {
		if len(list) >= query.Limit || i >= lookedAt*query.Limit {
			more = true
			break
		}
		j, err := q.remembered(ctx, o, idOf(o.Key))
		switch {
		case errors.Is(err, errDamaged), storage.KindOf(err) == storage.Missing: // it moved meanwhile
			continue
		case err != nil:
			return nil, false, fmt.Errorf("list the jobs: %w", err)
		}
		if query.State == "" || j.State == query.State {
			q.fresher(&j)
			list = append(list, j)
		}
	}
	return unique(list), more, nil
}

// unique drops the second of a job that was moved while it was listed.
func unique(list []Job) []Job {
	seen, out := map[string]bool{}, list[:0]
	for _, j := range list {
		if !seen[j.ID] {
			seen[j.ID] = true
			out = append(out, j)
		}
	}
	return out
}

// remembered reads a job, unless it is known as it is listed.
func (q *Queue) remembered(ctx context.Context, o storage.Object, id string) (Job, error) {
	q.mu.Lock()
	k := q.known[id]
	if strings.HasPrefix(o.Key, openFolder) && k != nil && k.job != nil && k.version == versionOf(o) {
		defer q.mu.Unlock()
		return *k.job, nil
	}
	q.mu.Unlock()
	data, _, err := q.get(ctx, o.Key)
	if err != nil {
		return Job{}, err
	}
	return parse(id, data)
}

// Cancel asks for the end of a job, and returns the job as it is then: what runs is cleaned up first, and is Canceled after that. The
// error is ErrOver where the job is over, which it then returns as well.
func (q *Queue) Cancel(ctx context.Context, id string) (Job, error) {
	for range 10 {
		j, etag, err := q.read(ctx, id)
		if storage.KindOf(err) == storage.Missing {
			if j, err = q.Get(ctx, id); err == nil {
				err = ErrOver
			}
			return j, err
		}
		switch {
		case err != nil:
			return Job{}, err
		case j.State.Final():
			return j, ErrOver
		case j.Ends == Failed: // too late, and nothing is left of it either way
			j.State = Failed
			return j, ErrOver
		case j.Cancel:
			return j, nil
		}
		j.Cancel = true
		if j.State == Queued && j.Started.IsZero() { // it has left nothing
			j.State, j.Node, j.Nonce, j.Finished = Canceled, q.o.Node, "", q.o.Now().UTC().Truncate(time.Millisecond)
		}
		if _, err = q.swap(ctx, &j, etag); err == nil {
			if j.State == Canceled {
				q.stats.Canceled.Add(1)
			}
			q.mu.Lock()
			if r := q.running[id]; r != nil {
				r.hurry()
			}
			q.mu.Unlock()
			q.Wake()
			return j, nil
		}
		if !outrun(err) {
			return Job{}, err
		}
	}
	return Job{}, fmt.Errorf("cancel %s: it changes as often as it is read: %w", id, storage.ErrChanged)
}
