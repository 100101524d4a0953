package remote

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// known is whose a stream is, as far as that was found out.
type known struct {
	app, stream string

	// Of Remote.mu.
	owner Owner
	err   error         // fs.ErrNotExist: it is nobody's
	asked time.Time     // when the newest answer was asked for; zero: there is none
	tried time.Time     // when a look-up last came to nothing; zero: it did not
	wait  chan struct{} // closed when the look-up that is being made has ended, or takes long; nil: there is none
	slow  bool          // it takes long, and what was known before counts
}

// names are the streams of which it is known whose they are: two generations, as of a cache that forgets what nobody asks for.
type names struct {
	young, old map[string]*known

	second  time.Time // in which look-ups for unknown names are counted
	lookups int
}

func (n *names) find(key string, max int) *known {
	if k := n.young[key]; k != nil {
		return k
	}
	k := n.old[key]
	if k != nil {
		n.insert(key, k, max)
	}
	return k
}

func (n *names) insert(key string, k *known, max int) {
	if n.young == nil || len(n.young) >= max/2 {
		n.old, n.young = n.young, make(map[string]*known)
	}
	n.young[key] = k
}

// whoseTime is how long it is believed whose a stream is, or that it cannot be found out, and lookupTime how long finding out may take. Where it
// was known before, viewers wait for waitTime at most: a bucket that hangs keeps nobody from a server that has the stream, and answers.
const (
	whoseTime  = time.Second
	lookupTime = 3 * time.Second
	waitTime   = 250 * time.Millisecond
)

// finding is whose a stream is.
type finding struct {
	verdict Verdict // Pending, Here, Away, Unsure or Busy
	owner   Owner
	wait    chan struct{}
}

// whose returns whose a stream is, if that is known and was asked since an instant, and has it found out otherwise. r.mu is held; app and
// stream may be borrowed.
func (r *Remote) whose(app, stream string, since time.Time) finding {
	now := r.o.Now()
	if since.After(now) { // clocks may be set back
		since = time.Time{}
	}
	key := app + "/" + stream
	k := r.names.find(key, r.o.MaxNames)
	if k != nil && !k.asked.IsZero() && now.Sub(k.asked) < whoseTime && !k.asked.Before(since) {
		return k.finding()
	}
	if k != nil && (k.slow || !k.tried.IsZero() && now.Sub(k.tried) < whoseTime && !now.Before(k.tried)) {
		if k.asked.Before(since) { // it may be another's by now
			return finding{verdict: Unsure}
		}
		return k.finding()
	}
	if k != nil && k.wait != nil {
		return finding{verdict: Pending, wait: k.wait}
	}
	if k == nil || k.err != nil { // it may be nobody's
		if now.Sub(r.names.second) >= time.Second || now.Before(r.names.second) {
			r.names.second, r.names.lookups = now, 0
		}
		if r.names.lookups >= r.o.MaxLookups {
			r.Stats.Limited.Add(1)
			return finding{verdict: Busy}
		}
		r.names.lookups++
	}
	if k == nil {
		k = &known{app: strings.Clone(app), stream: strings.Clone(stream)}
		r.names.insert(key, k, r.o.MaxNames)
	}
	k.wait = make(chan struct{})
	if !r.spawn(func() { r.lookUp(k, now) }) {
		k.wait = nil
		return finding{verdict: Busy}
	}
	return finding{verdict: Pending, wait: k.wait}
}

// Took says that this server goes on with a recording of a stream, and with those of the other rungs if it is a ladder: what other servers have
// said of it is old.
func (r *Remote) Took(app, stream string, id segmenter.RecordingID) {
	r.moved(app, stream, id, known{owner: Owner{Recording: id}, asked: r.o.Now()})
}

// Lost says that this server lets go of a recording that another server has taken: whose it is has to be asked anew.
func (r *Remote) Lost(app, stream string, id segmenter.RecordingID) {
	r.moved(app, stream, id, known{})
}

// moved replaces what is known of a recording's streams. Look-ups that were begun before change nothing any more.
func (r *Remote) moved(app, stream string, id segmenter.RecordingID, now known) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, generation := range []map[string]*known{r.names.young, r.names.old} {
		for key, k := range generation {
			if k.app != app || k.stream != stream && k.owner.Recording != id {
				continue
			}
			again := now
			again.app, again.stream = k.app, k.stream
			generation[key] = &again
		}
	}
	for _, c := range r.copies {
		if n := &c.q.Name; n.App == app && (n.Stream == stream || n.Recording == id) {
			r.drop(c)
		}
	}
}

func (k *known) finding() finding {
	switch {
	case errors.Is(k.err, fs.ErrNotExist):
		return finding{verdict: Here}
	case k.err != nil:
		return finding{verdict: Unsure}
	case k.owner.Address == "":
		return finding{verdict: Here, owner: k.owner}
	}
	return finding{verdict: Away, owner: k.owner}
}

// lookUp finds out whose a stream is.
func (r *Remote) lookUp(k *known, at time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	r.mu.Lock()
	r.spawn(func() { // Run does not wait for a bucket
		select {
		case <-r.stop:
			cancel()
		case <-ended:
		}
	})
	r.mu.Unlock()
	r.Stats.Lookups.Add(1)
	late := time.AfterFunc(waitTime, func() { r.late(k, ended) })
	defer late.Stop()
	owner, err := r.o.Owners.Owner(ctx, k.app, k.stream)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch lost := err != nil && !errors.Is(err, fs.ErrNotExist); {
	case !lost:
		k.owner, k.err, k.asked, k.tried = owner, err, at, time.Time{}
	case k.asked.IsZero() || k.err != nil:
		k.err, k.tried = err, r.o.Now()
	default: // who had it has it, as far as is known: a bucket that is away keeps no viewer from it
		k.tried = r.o.Now()
	}
	if !k.slow {
		close(k.wait)
	}
	k.wait, k.slow = nil, false
}

// late lets those go who wait for a look-up that takes long, if it was known before whose the stream is.
func (r *Remote) late(k *known, ended <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-ended: // it is another look-up that is being made now
		return
	default:
	}
	if k.wait == nil || k.slow || k.asked.IsZero() || k.err != nil {
		return
	}
	k.slow = true
	close(k.wait)
}
