package players

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// meter makes a result from how many pictures and how much audio a player has played at which time.
type meter struct {
	mu      sync.Mutex
	launch  time.Time
	begun   time.Time // when it first played anything; zero: not yet
	moved   time.Time // the newest
	picture time.Time // the newest picture
	sounded time.Time // the newest sound

	pictures, sounds int
	frozen, mute     time.Duration
	stalls           []stall
}

// least is the shortest stall. Players report what they have played several times a second.
const least = 500 * time.Millisecond

// saw records how much was played so far; neither number ever falls.
func (m *meter) saw(now time.Time, pictures, sounds int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if pictures <= m.pictures && sounds <= m.sounds {
		return
	}
	if m.begun.IsZero() {
		m.begun, m.moved, m.picture, m.sounded = now, now, now, now
	}
	if d := now.Sub(m.moved); d > least {
		m.stalls = append(m.stalls, stall{At: m.moved.Sub(m.begun), Length: d})
	}
	m.moved = now
	if pictures > m.pictures {
		m.frozen = max(m.frozen, now.Sub(m.picture))
		m.pictures, m.picture = pictures, now
	}
	if sounds > m.sounds {
		m.mute = max(m.mute, now.Sub(m.sounded))
		m.sounds, m.sounded = sounds, now
	}
}

// result returns what has been seen so far. If the player is still playing, a current stall counts.
func (m *meter) result(player string, now time.Time, playing bool) result {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := result{Player: player, Frames: m.pictures}
	if m.begun.IsZero() {
		return r
	}
	r.Begin, r.Stalls, r.Frozen, r.Mute = m.begun.Sub(m.launch), slices.Clone(m.stalls), m.frozen, m.mute
	end := m.moved
	if playing {
		if d := now.Sub(m.moved); d > least {
			r.Stalls = append(r.Stalls, stall{At: m.moved.Sub(m.begun), Length: d})
		}
		r.Frozen, r.Mute, end = max(r.Frozen, now.Sub(m.picture)), max(r.Mute, now.Sub(m.sounded)), now
	}
	r.Played = end.Sub(m.begun) - r.still()
	return r
}

func TestMeter(t *testing.T) {
	launch := time.Unix(1000, 0)
	at := func(ms int) time.Time { return launch.Add(time.Duration(ms) * time.Millisecond) }
	m := &meter{launch: launch}
	if r := m.result("x", at(500), true); r.Begin != 0 || r.Played != 0 {
		t.Errorf("before it began: %v", r)
	}
	pictures, sounds := 0, 0
	for ms := 1000; ms <= 9000; ms += 100 {
		switch {
		case ms > 2000 && ms < 4000: // nothing
		case ms > 5000 && ms < 8000: // sound alone
			sounds++
		default:
			pictures++
			sounds++
		}
		m.saw(at(ms), pictures, sounds)
	}
	r := m.result("x", at(9100), true)
	if r.Begin != time.Second || !slices.Equal(r.Stalls, []stall{{At: time.Second, Length: 2 * time.Second}}) || r.Frozen != 3*time.Second || r.Mute != 2*time.Second || r.Frames != pictures || r.Played != 6100*time.Millisecond {
		t.Errorf("%v", r)
	}
	if r := m.result("x", at(12000), true); r.still() != 5*time.Second || r.Frozen != 3*time.Second || r.Mute != 3*time.Second {
		t.Errorf("it stands still to the end: %v", r)
	}
	if r := m.result("x", at(12000), false); r.still() != 2*time.Second || r.Played != 6*time.Second {
		t.Errorf("it has ended: %v", r)
	}
}
