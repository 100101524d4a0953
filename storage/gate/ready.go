package gate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/roster"
)

// known is whether the bucket answered when it was asked last, as it is for a publisher.
type known struct {
	wanted chan struct{} // holds one: somebody wants to know

	mu  sync.Mutex
	err error
	at  time.Time
}

// knownFor is how long an answer of the bucket counts for Ready, and answerLimit how long it may take.
const (
	knownFor    = time.Second
	answerLimit = 2 * time.Second
)

// Ready returns an error if the bucket did not answer when it was asked last: publishers are refused then, but for those whose recordings run
// here. It is for who sends publishers to one of several servers, and answers at once; the bucket is asked afterwards, once a second at most,
// and only as long as Ready is called.
func (g *Gate) Ready() error {
	g.known.mu.Lock()
	err, old := g.known.err, g.o.Now().Sub(g.known.at) >= knownFor
	g.known.mu.Unlock()
	if old {
		select {
		case g.known.wanted <- struct{}{}:
		default:
		}
	}
	return err
}

// answered notes whether the bucket has answered.
func (g *Gate) answered(err error) {
	g.known.mu.Lock()
	defer g.known.mu.Unlock()
	g.known.err, g.known.at = err, g.o.Now()
}

// askBucket asks the bucket whenever Ready wants to know, until ctx is done: for this server's own entry, which is as small as a claim.
func (g *Gate) askBucket(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.known.wanted:
		}
		limited, cancel := context.WithTimeout(ctx, answerLimit)
		_, _, err := roster.Read(limited, g.o.Store, g.o.Mirror.Server().Node)
		cancel()
		if errors.Is(err, roster.ErrDamaged) {
			err = nil
		}
		if ctx.Err() == nil {
			g.answered(err)
		}
	}
}
