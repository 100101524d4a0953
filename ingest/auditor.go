package ingest

import (
	"strings"
	"time"
)

// Times after which an Auditor speaks. Only time during which frames came counts.
const (
	unusedWarn    = 5 * time.Second  // frames come and none is used
	waitingWarn   = 15 * time.Second // the same, where the reason passes by itself
	unusedRefused = 10 * time.Second // nothing of the whole publisher can be used

	auditEvery = time.Second
	auditPause = 2 * time.Second // a longer time between two looks is one without frames, and counts as this
)

// Auditor looks at a ledger from time to time on behalf of the goroutine that reads the publisher. It knows no clock: it
// is told the time of arrival with each frame.
type Auditor struct {
	l     *Ledger
	begun bool
	last  time.Time     // of the last look
	idle  time.Duration // for which something came and nothing could be used
	track [2]audited    // video, audio
}

// audited is a track as it was at the last look.
type audited struct {
	received, written int64
	drops             tally
	before            tally         // drops when the present time without use began
	unused            time.Duration // for which frames came and none was used
	warned            bool
}

// NewAuditor makes one.
func NewAuditor(l *Ledger) Auditor { return Auditor{l: l} }

// Finding is a track of which frames arrive and none is used.
type Finding struct {
	Track  string // "video" or "audio"
	Reason Reason
	Words  string // why, and what to do
	Frames int64  // that went no further since some were used
}

// trackNames by their place in a Ledger.
var trackNames = [2]string{"video", "audio"}

// Audit looks at most once a second. It reports each track of which frames arrive and none is used, once as long as that
// lasts, and the *Refusal with which a publisher is to be ended of whom nothing can be used.
func (a *Auditor) Audit(now time.Time) (found []Finding, err error) {
	if !a.begun {
		a.begun, a.last = true, now
		return nil, nil
	}
	if now.Sub(a.last) < auditEvery {
		return nil, nil
	}
	passed := min(now.Sub(a.last), auditPause)
	a.last = now
	var state [2]use
	for i, acc := range []*Account{&a.l.Video, &a.l.Audio} {
		t := &a.track[i]
		state[i] = t.look(acc, passed)
		switch state[i] {
		case used:
			acc.problem.Store(nil)
		case waiting, lost:
			if f, ok := t.finding(acc, trackNames[i], state[i]); ok {
				acc.problem.Store(&f)
				found = append(found, f)
			}
		}
	}
	// Sound that waits for a picture waits in vain where the picture is lost.
	if state[0] == lost && state[1] == waiting {
		if cause, _, _ := a.track[1].drops.since(a.track[1].before); cause == BeforeVideo {
			state[1] = lost
		}
	}
	switch v, s := state[0], state[1]; {
	case v == used, s == used, v == waiting, s == waiting:
		a.idle = 0
	case v == absent && s == absent:
	default:
		if a.idle += passed; a.idle >= unusedRefused {
			err = Refuse(Unsupported, "nothing of what is sent can be used: %s", a.complaint())
		}
	}
	return found, err
}

// use is what became of a track since the last look.
type use uint8

const (
	absent  use = iota // nothing came
	used               // some frames went on
	waiting            // none did, for a reason that passes by itself
	lost               // none did
)

// look brings the account's figures up to date.
func (t *audited) look(acc *Account, passed time.Duration) use {
	received, written, drops := acc.Received.Load(), acc.Written.Load(), acc.drops()
	_, _, dropped := drops.since(t.drops)
	came := received - t.received
	before := t.drops
	wrote := written > t.written
	t.received, t.written, t.drops = received, written, drops
	switch {
	case wrote || came > dropped:
		t.unused, t.warned = 0, false
		return used
	case came == 0 && dropped == 0:
		return absent
	case t.unused == 0:
		t.before = before
	}
	t.unused += passed
	if cause, _, _ := drops.since(t.before); cause.passing() {
		return waiting
	}
	return lost
}

// finding is what there is to say, once.
func (t *audited) finding(acc *Account, name string, u use) (f Finding, ok bool) {
	wait := unusedWarn
	if u == waiting {
		wait = waitingWarn
	}
	if t.warned || t.unused < wait {
		return f, false
	}
	t.warned = true
	cause, _, all := t.drops.since(t.before)
	return Finding{Track: name, Reason: cause, Words: acc.wordsOf(cause), Frames: all}, true
}

// complaint says of each track that came why it is not used.
func (a *Auditor) complaint() string {
	var words []string
	for i, acc := range []*Account{&a.l.Video, &a.l.Audio} {
		t := &a.track[i]
		if cause, _, all := t.drops.since(t.before); t.unused > 0 && all > 0 {
			words = append(words, trackNames[i]+": "+acc.wordsOf(cause))
		}
	}
	return strings.Join(words, "; ")
}
