//go:build linux

package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Watch is one stream as seen by all of its viewers together, so that a segment's lateness is known to within the time between any two of
// their polls. Its methods are safe for concurrent use.
type Watch struct {
	Target Target
	TD     time.Duration

	mu       sync.Mutex
	uris     map[int64]string // of the newest segments
	next     int64            // sequence after the newest
	newer    time.Time        // when it was first seen
	lateness time.Duration
}

// NewWatch watches a stream whose playlist has just been read.
func NewWatch(t Target, p *Playlist, lateness time.Duration) *Watch {
	w := &Watch{Target: t, TD: p.Target, uris: map[int64]string{}, lateness: lateness}
	w.next, w.newer = p.Next(), time.Now()
	return w
}

// Tally counts what viewers got. Errors keeps the first few in words.
type Tally struct {
	Playlists, Segments, Bytes atomic.Int64
	Late                       atomic.Int64 // segments listed later than 1.5 target durations after the previous one
	Backwards                  atomic.Int64 // playlists that end earlier than one the same viewer has seen before
	Renamed                    atomic.Int64 // sequence numbers that got another URI
	Missed                     atomic.Int64 // segments that left the playlist before the player had fetched them
	Failed                     atomic.Int64 // requests without a 200, or with something other than a transport stream

	Took Took

	mu    sync.Mutex
	words []string
}

// Errors returns how many things went wrong, without lateness.
func (t *Tally) Errors() int64 {
	return t.Backwards.Load() + t.Renamed.Load() + t.Missed.Load() + t.Failed.Load()
}

// Words returns the first things that went wrong.
func (t *Tally) Words() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.words...)
}

func (t *Tally) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.words) < 5 {
		t.words = append(t.words, fmt.Sprintf(format, args...))
	}
}

// see records a playlist that came now.
func (w *Watch) see(p *Playlist, now time.Time, t *Tally) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range p.Segments {
		n := p.Sequence + int64(i)
		if uri, ok := w.uris[n]; ok && uri != s.URI {
			t.Renamed.Add(1)
			t.say("%s: %d was %s and is %s", w.Target.Path, n, uri, s.URI)
		}
		w.uris[n] = s.URI
	}
	for n := range w.uris {
		if n < p.Sequence-100 {
			delete(w.uris, n)
		}
	}
	if p.Next() <= w.next {
		return
	}
	if gap := now.Sub(w.newer); gap > w.TD*3/2+w.lateness {
		t.Late.Add(1)
		t.say("%s: segment %d came %.2f s after the one before", w.Target.Path, p.Next()-1, gap.Seconds())
	}
	w.next, w.newer = p.Next(), now
}

// Player follows a stream until ctx is done: it polls the playlist every so often, the first time after first, and fetches each new segment
// if all is set (a player), or none (a poller).
func (w *Watch) Player(ctx context.Context, first, every time.Duration, fetch bool, t *Tally) {
	c := NewClient(w.Target, 10*time.Second)
	defer c.Close()
	timer := time.NewTimer(first)
	defer timer.Stop()
	have := int64(-1) // the next sequence to fetch
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(every)
		p, err := w.poll(c, t)
		if err != nil {
			if ctx.Err() == nil {
				t.Failed.Add(1)
				t.say("%v", err)
			}
			continue
		}
		if p.Next() < have {
			t.Backwards.Add(1)
			t.say("%s: ends with %d after %d", w.Target.Path, p.Next()-1, have-1)
			continue
		}
		if have < 0 {
			have = max(p.Next()-1, p.Sequence)
		}
		if have < p.Sequence {
			t.Missed.Add(p.Sequence - have)
			t.say("%s: %d is wanted, %d is the first listed", w.Target.Path, have, p.Sequence)
			have = p.Sequence
		}
		for ; have < p.Next(); have++ {
			if !fetch {
				continue
			}
			if err := w.fetch(c, p.Segments[have-p.Sequence].URI, t); err != nil && ctx.Err() == nil {
				t.Failed.Add(1)
				t.say("%v", err)
			}
		}
	}
}

func (w *Watch) poll(c *Client, t *Tally) (*Playlist, error) {
	begin := time.Now()
	a, err := c.Get(w.Target.Path)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", w.Target.Path, a.Status)
	}
	p, err := ParsePlaylist(a.Body)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", w.Target.Path, err)
	}
	now := time.Now()
	t.Took.Playlist.Add(now.Sub(begin))
	t.Playlists.Add(1)
	w.see(p, now, t)
	return p, nil
}

var errNotTS = errors.New("not a transport stream")

func (w *Watch) fetch(c *Client, uri string, t *Tally) error {
	path, err := w.Target.Beside(uri)
	if err != nil {
		return err
	}
	begin := time.Now()
	a, err := c.Get(path)
	if err != nil {
		return err
	}
	t.Took.Segment.Add(time.Since(begin))
	t.Segments.Add(1)
	t.Bytes.Add(int64(len(a.Body)))
	return checkSegment(path, a)
}

// checkSegment looks at both ends of a segment: truncation, or an error page, shows there.
func checkSegment(path string, a Answer) error {
	if a.Status != http.StatusOK {
		return fmt.Errorf("GET %s: status %d", path, a.Status)
	}
	if len(a.Body) == 0 || len(a.Body)%188 != 0 || !bytes.HasPrefix(a.Body[len(a.Body)-188:], []byte{0x47}) || a.Body[0] != 0x47 {
		return fmt.Errorf("GET %s: %w", path, errNotTS)
	}
	return nil
}
