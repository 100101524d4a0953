package origin

import "sync"

// gate bounds how many different objects are being opened in the archive at once. Requests for one object open it together,
// and one that is open counts no more: a viewer who reads slowly keeps nobody else out.
type gate struct {
	max int

	mu   sync.Mutex
	keys map[string]int // how many open each
}

// enter reports whether a key may be opened now; then leave is due.
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

// press bounds how many playlists are rendered for windows of time at once, so that requests for ever new windows of a long
// recording leave processors to everybody else, and how many wait for that.
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

// enter waits for a slot; then leave is due. An error says that too many wait, or that done is closed.
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
