// Package remote asks the server that has a stream for what viewers want of it here. It finds out which server that is, keeps one request
// waiting there for each playlist that viewers poll here, and has everything else asked for once for all who want it at a time. Nobody who
// asks is made to wait in a goroutine: what is not known yet comes with a channel that is closed when it is. It refuses to be asked in turn:
// the server that has a stream answers from what it knows itself, so that no request goes in a circle; and to change what it is told.
package remote

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Owner is the server that has a stream.
type Owner struct {
	Address   string                // where other servers reach it, "http://10.0.0.5:5083"; empty: it is this server itself
	Recording segmenter.RecordingID // the newest one that it has of the stream
	Ended     bool                  // it is done with that
}

// Owners says whose a stream is.
type Owners interface {
	// Owner returns the server that has a stream, or had it last. If none has, the error is fs.ErrNotExist.
	Owner(ctx context.Context, app, stream string) (Owner, error)
}

// Options of a Remote. A zero value means the default in its comment; Owners and Now have none.
type Options struct {
	Owners Owners
	Secret func() string // what servers know each other by; nil: none
	Client *http.Client  // nil: one that connects within Patience, and follows no redirect
	// Alive asks a server whether it lives, and is not called for long. Nil: by Client, GET /cluster/v1/node.
	Alive func(ctx context.Context, address string) error
	Now   func() time.Time
	// Warn is called for every answer of another server that cannot be used; it turns many events into few log lines. It may be nil.
	Warn func(kind, who, msg string, args ...any)

	Patience    time.Duration // a server that neither answers nor shows that it lives counts as unreachable; for as long it is not asked again; 1 s
	MaxNames    int           // streams of which it is remembered whose they are; 8192
	MaxLookups  int           // look-ups a second for streams that are not known to be anybody's; 200
	MaxRequests int           // at other servers at a time, those that wait there included; 4096
	MaxBytes    int64         // memory for what others answered; 64 MiB
	MaxPage     int64         // bytes of a playlist; 32 MiB
	MaxObject   int64         // bytes of a segment, or of what was made of one; 128 MiB
}

func (o *Options) defaults() {
	def(&o.Patience, time.Second)
	def(&o.MaxNames, 8192)
	def(&o.MaxLookups, 200)
	def(&o.MaxRequests, 4096)
	def(&o.MaxBytes, 64<<20)
	def(&o.MaxPage, 32<<20)
	def(&o.MaxObject, 128<<20)
	if o.Warn == nil {
		o.Warn = func(string, string, string, ...any) {}
	}
	if o.Secret == nil {
		o.Secret = func() string { return "" }
	}
	if o.Client == nil {
		o.Client = newClient(o.Patience)
	}
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Stats may be read at any time.
type Stats struct {
	Answered    atomic.Int64 // requests that another server answered
	Unchanged   atomic.Int64 // of those that waited there: nothing new came
	Refused     atomic.Int64 // answered with 4xx or 5xx
	Unreachable atomic.Int64 // that no server answered
	Unusable    atomic.Int64 // whose answer could not be used
	Full        atomic.Int64 // that were not sent for want of a place or memory
	Lookups     atomic.Int64 // of whose a stream is
	Limited     atomic.Int64 // that were not made, because too many unknown names were asked for
	Polls       atomic.Int64 // playlists that are followed now: each has a request waiting at another server
}

// Remote is safe for concurrent use. What it begins ends with Run, which must be called.
type Remote struct {
	Stats Stats

	o    Options
	stop chan struct{} // closed when it ends

	mu      sync.Mutex
	stopped bool
	work    sync.WaitGroup // under mu until stopped
	names   names
	hosts   map[string]*host // by address
	copies  map[string]*Copy // by path
	calls   calls
	running int   // requests at other servers
	queried int   // of them, those with a query
	bytes   int64 // of copies and calls, and of what is being read
	copied  int64 // of copies
}

// New returns a Remote. It panics if Options.Owners or Options.Now is missing.
func New(o Options) *Remote {
	if o.Owners == nil || o.Now == nil {
		panic("remote: Options.Owners and Options.Now are required")
	}
	o.defaults()
	return &Remote{o: o, stop: make(chan struct{}), hosts: map[string]*host{}, copies: map[string]*Copy{}}
}

// Run waits until ctx is done, and then ends all requests. Nobody is answered any more afterwards.
func (r *Remote) Run(ctx context.Context) error {
	<-ctx.Done()
	r.mu.Lock()
	r.stopped = true
	close(r.stop)
	for _, h := range r.hosts {
		h.cut(errStopped)
	}
	r.mu.Unlock()
	r.work.Wait()
	r.o.Client.CloseIdleConnections()
	return nil
}

// spawn runs fn, which Run waits for; false where it has ended. r.mu is held.
func (r *Remote) spawn(fn func()) bool {
	if r.stopped {
		return false
	}
	r.work.Go(fn)
	return true
}

// Verdict is what is known of an object.
type Verdict uint8

// The verdicts.
const (
	Pending Verdict = iota // it is not known yet
	Here                   // no other server has the stream: what there is of it is here, or in the bucket
	Away                   // another has it, and has answered
	Lost                   // another has it, and cannot be reached
	Unsure                 // it cannot be found out now whose the stream is
	Busy                   // too much is asked for
)

// Query is what is asked for. Its strings may be borrowed.
type Query struct {
	Name  segmenter.Name
	Path  string // with its leading slash
	Query string // without the question mark: what the answer depends on, and nothing else
	Head  bool   // only the header is wanted
	Gzip  bool   // with Head: of the compressed form
	Held  bool   // who asks has waited for the answer: one that came a moment ago will do
	// Since is when a recording ended here: whose the stream is must have been asked afterwards.
	Since time.Time
}

// polled reports whether it is for a playlist that is followed.
func (q *Query) polled() bool { return q.Query == "" && !q.Head && text(q.Name.Kind) }

// current reports whether it is for a playlist that the server which has a stream always has.
func (q *Query) current(owner Owner) bool {
	return q.polled() && (q.Name.Recording == "" || q.Name.Recording == owner.Recording)
}

// text reports whether objects of a kind are playlists or manifests.
func text(k segmenter.Kind) bool {
	switch k {
	case segmenter.KindSegment, segmenter.KindPart, segmenter.KindFragment, segmenter.KindFragmentPart, segmenter.KindInit:
		return false
	}
	return true
}

// Reply is what is known of what was asked for.
type Reply struct {
	Verdict Verdict
	Wait    <-chan struct{} // of Pending: closed when more is known, and the query is asked again
	Answer  *Answer         // of Away; of Lost the last one that came, or nil
	Owner   Owner           // of Away and Lost, and of Here, where it is this server
	Copy    *Copy           // where the answer comes from, if it is followed
}

// Ask returns what is known of a query, and has found out what is not.
func (r *Remote) Ask(q Query) Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return Reply{Verdict: Busy}
	}
	if q.polled() {
		if c := r.copies[q.Path]; c != nil {
			c.wanted.Store(true)
			return c.now()
		}
	}
	if c := r.calls.find(&q, r.o.Now()); c != nil {
		rep := c.now()
		if rep.Verdict != Away || rep.Answer.Status != 200 || !q.polled() || len(r.copies) >= r.o.MaxRequests || r.copied+c.size > r.o.MaxBytes/2 {
			return rep
		}
		return r.begin(&q, c)
	}
	w := r.whose(q.Name.App, q.Name.Stream, q.Since)
	switch {
	case w.verdict != Away:
		return Reply{Verdict: w.verdict, Wait: w.wait, Owner: w.owner}
	case w.owner.Ended && q.Name.Recording != "" && q.Name.Recording < w.owner.Recording:
		return Reply{Verdict: Here} // an old one of a stream that nobody feeds: the bucket has it all
	case r.down(w.owner.Address):
		return Reply{Verdict: Lost, Owner: w.owner}
	case r.running >= r.o.MaxRequests, q.Query != "" && r.queried >= r.o.MaxRequests/2: // no two queries need be alike: they get half of the places
		r.Stats.Full.Add(1)
		return Reply{Verdict: Busy}
	}
	return r.call(&q, w.owner)
}

// Whose returns whose a stream is, as Ask finds it: the answer has no more than that.
func (r *Remote) Whose(app, stream string) Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.whose(app, stream, time.Time{})
	if w.verdict == Away && r.down(w.owner.Address) {
		w.verdict = Lost
	}
	return Reply{Verdict: w.verdict, Wait: w.wait, Owner: w.owner}
}

// Found returns the answer to a query that has come already; false where there is none.
func (r *Remote) Found(q Query) (Reply, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.calls.find(&q, r.o.Now())
	if c == nil || !c.over {
		return Reply{}, false
	}
	return c.now(), true
}

// Bytes returns the memory of what others answered, in bytes.
func (r *Remote) Bytes() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}

// reserve takes memory; old answers make room. False: there is not enough.
func (r *Remote) reserve(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shrink(n)
	if r.bytes+n > r.o.MaxBytes {
		return false
	}
	r.bytes += n
	return true
}

func (r *Remote) giveBack(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes -= n
}

// shrink drops answers until n more bytes fit, or none is left. r.mu is held.
func (r *Remote) shrink(n int64) {
	for r.bytes+n > r.o.MaxBytes {
		size, ok := r.calls.dropOldest()
		if !ok {
			return
		}
		r.bytes -= size
	}
}
