package attack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// within is how soon a newcomer must be in. patience is how long it tries, to tell slow from locked out.
const (
	within   = 2 * time.Second
	patience = 20 * time.Second
)

// newcomer comes amid the attack with every right. It returns what went wrong, or nil if it got in.
type newcomer func(f *fortress) error

// arrivals are newcomers, one after another. Each also goes to another server that nobody attacks: how long that takes shows how busy the
// machine is, with the attackers among others, and does not count; nor does the time that the attacked server had to wait for the CPU.
type arrivals struct {
	at, elsewhere *fortress

	mu            sync.Mutex
	slowest, calm map[string]time.Duration
	starved       time.Duration // the longest that the server had to wait for the CPU
}

func (a *arrivals) come(ctx context.Context, t *testing.T, m *mob, name string, every time.Duration, who newcomer) {
	m.every(ctx, every, 1, func() {
		try := func(f *fortress) (time.Duration, error) {
			began := time.Now()
			err := who(f)
			return time.Since(began), err
		}
		before := a.at.Queued()
		took, err := try(a.at)
		queued := a.at.Queued() - before
		allowed, wrong := try(a.elsewhere)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.slowest == nil {
			a.slowest, a.calm = map[string]time.Duration{}, map[string]time.Duration{}
		}
		a.slowest[name], a.calm[name] = max(a.slowest[name], took), max(a.calm[name], allowed)
		a.starved = max(a.starved, queued)
		say := t.Errorf
		switch {
		case took <= within+a.calm[name]+queued && err == nil && wrong == nil:
			return
		case wrong != nil, queued > patience/2 && (err == nil || took > within):
			say = t.Logf // the machine is too busy for anybody; a newcomer that is rejected is rejected at once
		}
		say("%s after %v, the server queued for %v: %v; elsewhere after %v: %v", name, took.Round(time.Millisecond), queued.Round(time.Millisecond), err, allowed.Round(time.Millisecond), wrong)
	})
}

// lag returns the longest that it took elsewhere, and that the server had to wait for the CPU.
func (a *arrivals) lag() (most time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	most = a.starved
	for _, d := range a.calm {
		most = max(most, d)
	}
	return most
}

func (a *arrivals) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(a.slowest)) {
		all = append(all, fmt.Sprintf("%s %v (elsewhere %v)", name, a.slowest[name].Round(time.Millisecond), a.calm[name].Round(time.Millisecond)))
	}
	return "slowest newcomers: " + strings.Join(all, ", ")
}

// inTurn alternates between two ports, which have the same key.
func inTurn(one, other string, publish func(p port, key string) error, key string) newcomer {
	n := map[*fortress]int{}
	return func(f *fortress) error {
		n[f]++
		return publish(f.ports[[]string{one, other}[n[f]%2]], key)
	}
}
