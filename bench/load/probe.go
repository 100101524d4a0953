//go:build linux

package load

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Probe measures how soon after a moment a stream lists and delivers one more segment. It is used by one goroutine.
type Probe struct {
	target Target
	client *Client
	next   int64
}

// NewProbe returns a probe for a stream whose playlist has just been read. The caller must close it.
func NewProbe(t Target, p *Playlist) *Probe {
	return &Probe{target: t, client: NewClient(t, 5*time.Second), next: p.Next()}
}

// Close closes its connection.
func (p *Probe) Close() { p.client.Close() }

// Sync reads the playlist, so that the next Await is for a segment after those it lists now.
func (p *Probe) Sync() error {
	l, err := p.read()
	if err == nil {
		p.next = l.Next()
	}
	return err
}

func (p *Probe) read() (*Playlist, error) {
	a, err := p.client.Get(p.target.Path)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", p.target.Path, a.Status)
	}
	return ParsePlaylist(a.Body)
}

// Await polls until one more segment is listed, then fetches it; listed and fetched are when the answers were complete.
func (p *Probe) Await(ctx context.Context, poll time.Duration) (listed, fetched time.Time, err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return listed, fetched, fmt.Errorf("%s: segment %d is not listed: %w", p.target.Path, p.next, ctx.Err())
		case <-timer.C:
		}
		l, err := p.read()
		if err != nil {
			return listed, fetched, err
		}
		if l.Next() > p.next {
			listed = time.Now()
			p.next = l.Next()
			path, err := p.target.Beside(l.Segments[len(l.Segments)-1].URI)
			if err != nil {
				return listed, fetched, err
			}
			a, err := p.client.Get(path)
			if err == nil {
				err = checkSegment(path, a)
			}
			return listed, time.Now(), err
		}
		timer.Reset(poll)
	}
}
