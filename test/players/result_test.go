package players

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// result is what a player experienced, in the same form for all players.
type result struct {
	Player, Version string

	Fatal  []string      // why it gave up
	Begin  time.Duration // from its launch to the first thing it played; 0: it never played
	Stalls []stall       // after that

	Frozen time.Duration // the longest time without a new picture, including stalls
	Mute   time.Duration // the longest time without new audio; 0 if the player does not say
	Played time.Duration // how much of the show it played
	At     time.Duration // its last position on its own timeline
	Frames int           // pictures decoded
	Ended  bool          // it ended by itself

	Notes string // jumps, faults that it survived, and the like, for people
}

// stall is a time in which a player stood still: neither video nor audio advanced.
type stall struct {
	At     time.Duration // since it began to play
	Length time.Duration
	Full   bool // it had something to play: its machine was slow, or it is at fault itself. Native players do not say
}

// still returns how long the player stood still in total.
func (r result) still() (sum time.Duration) {
	for _, s := range r.Stalls {
		sum += s.Length
	}
	return sum
}

// String returns one row of a report.
func (r result) String() string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }
	var stalls []string
	for _, s := range r.Stalls {
		full := ""
		if s.Full {
			full = "*"
		}
		stalls = append(stalls, seconds(s.Length)+full+"@"+seconds(s.At))
	}
	return fmt.Sprintf("%-9s begin %s still %s [%s] frozen %s mute %s played %s at %s frames %d ended %v fatal %q %s", r.Player, seconds(r.Begin), seconds(r.still()),
		strings.Join(stalls, " "), seconds(r.Frozen), seconds(r.Mute), seconds(r.Played), seconds(r.At), r.Frames, r.Ended, r.Fatal, r.Notes)
}

// margin is how long a player may stand still beyond the time that its publisher was away.
const margin = 2 * time.Second

// beginning is how long a player may take to begin: that depends on the machine more than on the show.
const beginning = time.Minute

// busy is how long a player may stand still with something to play: a machine that is busy with other work shows pictures late.
const busy = 8 * time.Second

// faults returns what is wrong with a result, in words. away is how long there was nothing to play, including what a busy machine takes.
// whole is the length of what is played to its end; 0: it is live, and has no end yet.
func (r result) faults(away, whole time.Duration) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, f := range r.Fatal {
		add("gave up: %s", f)
	}
	if r.Begin == 0 {
		add("never began")
		return out
	}
	if r.Begin > beginning {
		add("began after %.1f s", r.Begin.Seconds())
	}
	var empty, full time.Duration
	for _, s := range r.Stalls {
		if s.Full {
			full = max(full, s.Length)
		} else {
			empty += s.Length
		}
	}
	if empty > away+margin {
		add("stood still for %.1f s", empty.Seconds())
	}
	if full > busy {
		add("stood still for %.1f s though it had something to play", full.Seconds())
	}
	if r.Frozen > max(away+margin, full+margin) {
		add("showed no new picture for %.1f s", r.Frozen.Seconds())
	}
	if r.Mute > max(away+margin, full+margin) {
		add("had no new sound for %.1f s", r.Mute.Seconds())
	}
	switch {
	case whole == 0 && r.Ended:
		add("ended before the show")
	case whole > 0 && !r.Ended:
		add("did not come to the end")
	case whole > 0 && r.Played < whole-away-2*margin: // some programs end a second before they have played everything
		add("played %.1f s of %.1f s", r.Played.Seconds(), whole.Seconds())
	}
	return out
}

func TestFaults(t *testing.T) {
	good := result{Begin: time.Second, Played: 30 * time.Second, Frames: 750}
	with := func(change func(*result)) result {
		r := good
		change(&r)
		return r
	}
	s := time.Second
	for _, x := range []struct {
		r           result
		away, whole time.Duration
		want        string
	}{
		{good, 0, 0, ""},
		{with(func(r *result) { r.Ended = true }), 0, 30 * s, ""},
		{good, 0, 30 * s, "did not come to the end"},
		{with(func(r *result) { r.Ended = true }), 0, 0, "ended before the show"},
		{with(func(r *result) { r.Ended = true }), 3 * s, 38 * s, "played 30.0 s of 38.0 s"},
		{with(func(r *result) { r.Begin = 0 }), 0, 0, "never began"},
		{with(func(r *result) { r.Begin = 61 * s }), 0, 0, "began after 61.0 s"},
		{with(func(r *result) { r.Fatal = []string{"x"} }), 0, 0, "gave up: x"},
		{with(func(r *result) { r.Stalls = []stall{{0, 2 * s, false}, {s, 3 * s, false}} }), 3 * s, 0, ""},
		{with(func(r *result) { r.Stalls = []stall{{0, 2 * s, false}, {s, 3100 * time.Millisecond, false}} }), 3 * s, 0, "stood still for 5.1 s"},
		{with(func(r *result) { r.Stalls = []stall{{0, 7 * s, true}} }), 0, 0, ""},
		{with(func(r *result) { r.Stalls = []stall{{0, 9 * s, true}} }), 0, 0, "stood still for 9.0 s though it had something to play"},
		{with(func(r *result) { r.Frozen = 9 * s }), 6 * s, 0, "showed no new picture for 9.0 s"},
		{with(func(r *result) { r.Mute = 3 * s }), 0, 0, "had no new sound for 3.0 s"},
	} {
		if got := strings.Join(x.r.faults(x.away, x.whole), "; "); got != x.want {
			t.Errorf("%v\nis %q, want %q", x.r, got, x.want)
		}
	}
}
