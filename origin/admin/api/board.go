package api

import (
	"sync"
	"time"
)

// board is what pages are shown, rendered by the first that asks in a second, for all of them. While nobody asks it does nothing.
// The zero value is ready.
type board struct {
	mu     sync.Mutex
	sheets map[string]*sheet
}

// sheet is one thing as it is shown.
type sheet struct {
	body []byte
	made time.Time
	took time.Duration
}

const (
	boardEvery = time.Second
	// boardShare bounds what rendering takes: of a second that it costs, twenty pass until the next.
	boardShare = 20
	// boardKeep is how long a sheet that nobody asks for is kept.
	boardKeep = 5 * time.Second
)

// get returns what render made, at most a second ago where that is cheap. Others who ask wait meanwhile. now is asked again
// after rendering.
func (b *board) get(key string, now func() time.Time, render func() []byte) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := now()
	for k, s := range b.sheets {
		if k != key && at.Sub(s.made) > max(boardKeep, 2*boardShare*s.took) {
			delete(b.sheets, k)
		}
	}
	s := b.sheets[key]
	// A little less than a second: those who ask each second never do so to the millisecond.
	if s != nil && at.Sub(s.made) < max(boardEvery-boardEvery/10, boardShare*s.took) && !at.Before(s.made) {
		return s.body
	}
	body := render()
	if b.sheets == nil {
		b.sheets = map[string]*sheet{}
	}
	b.sheets[key] = &sheet{body: body, made: at, took: max(now().Sub(at), 0)}
	return body
}
