// Package webhook reports over HTTP what happens: events, each sent at least once to every target that wants its type, in order for each
// stream, signed, and retried until accepted or too old. Its queue outlives the process if it has a log on disk. It refuses to make anybody
// wait: emitting an event returns at once, and what a slow disk, a slow target or a slow subscriber cannot take is counted and logged. It
// does not know streams or stores, only events.
package webhook

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Log keeps the queue across processes: records in order. Its methods are called by one goroutine at a time.
type Log interface {
	// Append adds records. If it fails, Rewrite is called next.
	Append(records ...[]byte) error
	// Rewrite replaces all records.
	Rewrite(records [][]byte) error
}

// Options of Hooks. Zero values mean the defaults given beside them.
type Options struct {
	Now       func() time.Time // must not be nil
	Log       *slog.Logger     // none
	UserAgent string           // "hlsorigin"
	Transport http.RoundTripper

	Inbox      int           // events that may wait to be queued; 4096
	MaxPending int64         // bytes of events that wait for targets; 32 MiB
	Timeout    time.Duration // of one request, including its answer; 10s
	Linger     time.Duration // how long Run continues to send what is due after it is told to stop; 2s
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.UserAgent == "" {
		o.UserAgent = "hlsorigin"
	}
	if o.Inbox == 0 {
		o.Inbox = 4096
	}
	if o.MaxPending == 0 {
		o.MaxPending = 32 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Linger == 0 {
		o.Linger = 2 * time.Second
	}
	return o
}

// Hooks holds all targets, their queue, and the subscribers. All methods except Restore are safe for concurrent use.
type Hooks struct {
	o      Options
	log    *slog.Logger
	client *http.Client
	feed   feed

	wakeWriter, wakeSender chan struct{} // capacity 1

	wants atomic.Pointer[map[string]bool] // the types that some target wants

	inbox inbox // its lock is held only for moments, so that an emitter never waits; taken before mu

	mu      sync.Mutex // never held during a request or disk access
	targets []*target
	done    []doneRecord // to be written
	pending int64        // bytes of events that wait for a target

	disk    queueLog
	kept    uint64        // the number up to which events are in the queue
	keeping chan struct{} // closed, and made anew, whenever there was something to write
}

// inbox holds what was emitted and is not in the queue yet. Under its lock, events are numbered and passed to subscribers.
type inbox struct {
	mu    sync.Mutex
	items []*item
	next  uint64 // number of the next event
	lost  int64  // events that did not fit
	told  int64  // those of them that were logged
}

// New returns Hooks without targets: Prepare sets them.
func New(o Options) *Hooks {
	o = o.withDefaults()
	h := &Hooks{o: o, log: o.Log, wakeWriter: make(chan struct{}, 1), wakeSender: make(chan struct{}, 1), keeping: make(chan struct{})}
	h.inbox.next = 1
	h.wants.Store(&map[string]bool{})
	transport := o.Transport
	if transport == nil {
		transport = newTransport()
	}
	h.client = newClient(transport, o.Timeout)
	return h
}

// Emit emits an event that happened now. It never waits.
func (h *Hooks) Emit(typ string, d Data) {
	if optional(typ) && !h.Wanted(typ) {
		return
	}
	h.inbox.mu.Lock()
	defer h.inbox.mu.Unlock()
	e := h.event(typ, d)
	if h.wanted(typ) {
		h.enqueue(e)
	}
	h.feed.publish(e)
}

// Wanted reports whether anybody receives a type now. For frequent types, usually nobody does.
func (h *Hooks) Wanted(typ string) bool { return h.wanted(typ) || h.feed.watched() }

func (h *Hooks) event(typ string, d Data) Event {
	e := Event{ID: "evt_" + rand.Text(), Type: typ, Time: h.o.Now().UTC().Truncate(time.Millisecond), Lane: d.lane()}
	e.Body = body(e.ID, typ, e.Time, d)
	return e
}

// wanted reports whether a target receives a type.
func (h *Hooks) wanted(typ string) bool { return (*h.wants.Load())[typ] }

// enqueue adds an event to the inbox, whose lock is held, and returns its number; 0: there is no room.
func (h *Hooks) enqueue(e Event) uint64 {
	in := &h.inbox
	if len(in.items) >= h.o.Inbox {
		in.lost++
		return 0
	}
	in.items = append(in.items, &item{n: in.next, Event: e})
	in.next++
	wake(h.wakeWriter)
	return in.next - 1
}

// take empties the inbox, and returns how many events did not fit since the last call.
func (in *inbox) take() (items []*item, lost int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	items, lost = in.items, in.lost-in.told
	in.items, in.told = nil, in.lost
	return items, lost
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Subscribe returns events from now on, each with how many were lost just before it because the subscriber was slow, until ctx ends. It
// begins with this call, not with the first read. If after is the ID of an event that is still known, the later ones come first.
func (h *Hooks) Subscribe(ctx context.Context, after string) iter.Seq2[Event, int] {
	return h.feed.subscribe(ctx, after)
}

// Retry ends every pause: what waits for its next attempt is tried now.
func (h *Hooks) Retry() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.targets {
		t.retry()
	}
	wake(h.wakeSender)
}

// Stats are the counters of Hooks.
type Stats struct {
	Lost    int64 // events that could not be queued, because more came at once than the disk accepted
	Targets []TargetStats
}

// Stats returns the counts since the start; a target that survives a reload keeps its counts.
func (h *Hooks) Stats() Stats {
	h.inbox.mu.Lock()
	s := Stats{Lost: h.inbox.lost}
	h.inbox.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.targets {
		ts := t.stats
		for _, l := range t.order {
			ts.Pending += int64(len(l.items))
			if len(l.items) > 0 && (ts.Oldest.IsZero() || l.items[0].Time.Before(ts.Oldest)) {
				ts.Oldest = l.items[0].Time
			}
		}
		s.Targets = append(s.Targets, ts)
	}
	return s
}

// Run queues and sends until ctx ends, and returns when everything it started has ended. Events emitted by then are in the log; what is due
// is still sent, for at most Linger.
func (h *Hooks) Run(ctx context.Context) error {
	written := make(chan struct{})
	go func() {
		defer close(written)
		h.write(ctx)
	}()
	h.send(ctx, written)
	h.writeOnce() // what was sent last
	return nil
}

// Prepare checks a list of targets. commit replaces the current list with it, and cannot fail. A target that is in both keeps its queue.
// What waits for a removed target is dropped, and a new target receives events from then on.
func (h *Hooks) Prepare(list []Target) (commit func(), err error) {
	fresh := make([]*target, len(list))
	seen := map[identity]int{}
	for i, c := range list {
		t, err := newTarget(i, c)
		if err != nil {
			return nil, fmt.Errorf("webhooks[%d]: %w", i, err)
		}
		if first, ok := seen[t.id]; ok {
			return nil, fmt.Errorf("webhooks[%d] has the URL and the format of webhooks[%d]: name all events in one of them", i, first)
		}
		seen[t.id], fresh[i] = i, t
	}
	return func() { h.commit(fresh) }, nil
}

func (h *Hooks) commit(fresh []*target) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := map[identity]*target{}
	for _, t := range h.targets {
		old[t.id] = t
	}
	for i, t := range fresh {
		was, ok := old[t.id]
		if !ok {
			continue
		}
		delete(old, t.id)
		// The existing target stays: requests in progress return to it.
		was.Target, was.key, was.label, was.stats.Index = t.Target, t.key, t.label, t.stats.Index
		fresh[i] = was
	}
	for _, t := range old {
		n := 0
		for _, l := range t.order {
			for len(l.items) > 0 {
				h.forget(l)
				n++
			}
		}
		if n > 0 {
			h.disk.rewrite = true
			h.log.Warn("a webhook is not in the configuration any more: what waited for it is given up", "webhook", t.label, "events", n)
		}
	}
	h.targets = fresh
	types := map[string]bool{}
	for _, t := range h.targets {
		t.retry()
		for _, typ := range Types() {
			types[typ] = types[typ] || t.wants(typ)
		}
	}
	h.wants.Store(&types)
	wake(h.wakeWriter)
	wake(h.wakeSender)
}

// forget removes a lane's first event. h.mu is held.
func (h *Hooks) forget(l *lane) {
	e := l.items[0]
	if e.waiting--; e.waiting == 0 {
		h.pending -= int64(len(e.Body))
	}
	l.settle()
}
