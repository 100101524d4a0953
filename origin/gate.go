package origin

import "sync"

// gate bounds how many different objects are being opened in the archive at once. Requests for one object open it together, and an object
// that is already open does not count: a slow viewer keeps nobody else out.
type gate struct {
	max int

	mu   sync.Mutex
	keys map[string]int // how many requests are opening each
}

// enter reports whether a key may be opened now; if so, the caller must call leave.
func (g *gate) enter(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys[key] == 0 && len(g.keys) >= g.max {
		return false
	}
	if g.keys == nil {
		g.keys = make(map[string]int)
	}
	g.keys[key]++
	return true
}

func (g *gate) leave(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys[key]--; g.keys[key] == 0 {
		delete(g.keys, key)
	}
}

// press bounds how many playlists are rendered for windows of time at once, so that requests for ever new windows of a long recording leave
// CPU time for everybody else. It also bounds how many wait for that.
type press struct {
	slots chan struct{}
	queue chan struct{}
}

const (
	maxRendering = 2
	maxWaiting   = 64
)

func newPress() press {
	return press{make(chan struct{}, maxRendering), make(chan struct{}, maxRendering+maxWaiting)}
}

// enter waits for a slot; the caller must then call leave. The error means that too many are waiting, or that done is closed.
func (p *press) enter(done <-chan struct{}) error {
	select {
	case p.queue <- struct{}{}:
	default:
		return ErrOverload
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-done:
		<-p.queue
		return ErrOverload
	}
}

func (p *press) leave() {
	<-p.slots
	<-p.queue
}
