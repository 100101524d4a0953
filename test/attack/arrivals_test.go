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

// within is how soon a newcomer must be in. patience is how long he tries, to tell the slow from the shut out.
const (
	within   = 2 * time.Second
	patience = 20 * time.Second
)

// newcomer is somebody with every right, who comes amid the attack. It says what went wrong; nil is that he got in.
type newcomer func(f *fortress) error

// arrivals are newcomers, one after the other. Each goes to a server elsewhere, too, that nobody attacks: how long that takes
// says how busy the machine is, with the attackers themselves among others, and does not count; nor does the time that the
// attacked server was not let run.
type arrivals struct {
	at, elsewhere *fortress

	mu            sync.Mutex
	slowest, calm map[string]time.Duration
	starved       time.Duration // the longest that the server was not let run meanwhile
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
			say = t.Logf // the machine has no time for anybody; who is turned away is so at once
		}
		say("%s after %v, the server queued for %v: %v; elsewhere after %v: %v", name, took.Round(time.Millisecond), queued.Round(time.Millisecond), err, allowed.Round(time.Millisecond), wrong)
	})
}

// lag is the longest that it took elsewhere, and that the server was not let run.
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

// inTurn comes to one port and then to the other: both have the same key.
func inTurn(one, other string, publish func(p port, key string) error, key string) newcomer {
	n := map[*fortress]int{}
	return func(f *fortress) error {
		n[f]++
		return publish(f.ports[[]string{one, other}[n[f]%2]], key)
	}
}
