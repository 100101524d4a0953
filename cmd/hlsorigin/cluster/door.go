package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Door is an ingest.Publisher in front of another that can be closed, for a server that is drained: who comes then is refused, and those who
// are there are sent away when their time is up. It is safe for concurrent use.
type Door struct {
	next     ingest.Publisher
	registry *segmenter.Registry
	standbys func() (all, silent int) // nil: none stands by
	dismiss  func()                   // sends those away that stand by
	now      func() time.Time
	wake     chan struct{} // holds one

	mu    sync.Mutex
	shut  bool
	until time.Time
}

func newDoor(o *Options) *Door {
	return &Door{next: o.Next, registry: o.Registry, standbys: o.Standbys, dismiss: o.Dismiss, now: o.Now, wake: make(chan struct{}, 1)}
}

// errDrained is what publishers are told.
func errDrained() *ingest.Refusal {
	return ingest.Refuse(ingest.Overloaded, "this server is being drained: publish to another")
}

// Publish implements ingest.Publisher.
func (d *Door) Publish(ctx context.Context, a ingest.Announce) (ingest.Session, error) {
	if _, shut := d.Drained(); shut {
		return nil, errDrained()
	}
	return d.next.Publish(ctx, a)
}

// Drain closes the door for good. Publishers that are there are kept for so long; the last call counts. It returns until when.
func (d *Door) Drain(keep time.Duration) (until time.Time) {
	d.mu.Lock()
	d.shut, d.until = true, d.now().Add(max(keep, 0))
	until = d.until
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return until
}

// Drained reports whether the door is closed, and until when publishers are kept.
func (d *Door) Drained() (until time.Time, shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.until, d.shut
}

// Publishers is how many there are, those of rungs that the server itself makes and those that stand by among them.
func (d *Door) Publishers() int {
	standbys, _ := d.standing()
	return len(d.registry.Publishers()) + standbys
}

func (d *Door) standing() (all, silent int) {
	if d.standbys == nil {
		return 0, 0
	}
	return d.standbys()
}

// sendAgain is the pause between two times that publishers are sent away: one may have come in while the door was being closed.
const sendAgain = time.Second

// run sends publishers away when it is time, until ctx is done.
func (d *Door) run(ctx context.Context) {
	var due *time.Timer
	var c <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			if due != nil {
				due.Stop()
			}
			return
		case <-d.wake:
			if due != nil {
				due.Stop()
			}
			until, _ := d.Drained()
			due = time.NewTimer(until.Sub(d.now()))
			c = due.C
		case <-c:
			for _, key := range d.registry.Publishers() {
				d.registry.Disconnect(key, errDrained())
			}
			if d.dismiss != nil {
				d.dismiss()
			}
			due.Reset(sendAgain)
		}
	}
}
