package ingest

import (
	"strings"
	"time"
)

// How long an Auditor waits before it reports. Only time during which frames arrived counts.
const (
	unusedWarn    = 5 * time.Second  // frames arrive and none is used
	waitingWarn   = 15 * time.Second // the same, for a reason that passes by itself
	unusedRefused = 10 * time.Second // nothing from the publisher can be used

	auditEvery = time.Second
	auditPause = 2 * time.Second // a longer gap between two looks is a time without frames, and counts as this
)

// An Auditor checks a ledger from time to time. The goroutine that reads the publisher calls it. It has no clock of its own: each frame
// brings its time of arrival.
type Auditor struct {
	l     *Ledger
	begun bool
	last  time.Time     // of the last look
	idle  time.Duration // time during which something arrived and nothing could be used
	track [2]audited    // video, audio
}

// audited is the state of a track at the last look.
type audited struct {
	received, written int64
	drops             tally
	before            tally         // drops when the current time without use began
	unused            time.Duration // time during which frames arrived and none was used
	warned            bool
}

// NewAuditor returns an Auditor for l.
func NewAuditor(l *Ledger) Auditor { return Auditor{l: l} }

// A Finding describes a track whose frames arrive but are not used.
type Finding struct {
	Track  string // "video" or "audio"
	Reason Reason
	Words  string // why, and what to do
	Frames int64  // dropped since a frame was last used
}

// trackNames holds the tracks' names, in the order of a Ledger.
var trackNames = [2]string{"video", "audio"}

// Audit looks at most once a second. It returns a Finding for each track whose frames arrive but are not used, once for as long as that
// lasts. If nothing from the publisher can be used, it returns the *Refusal to end it with.
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
	// Audio that waits for video waits in vain if the video is lost.
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

// use is what happened to a track's frames since the last look.
type use uint8

const (
	absent  use = iota // nothing arrived
	used               // some frames went on
	waiting            // none did, for a reason that passes by itself
	lost               // none did
)

// look updates the figures from the account.
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

// finding returns what there is to report, once.
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

// complaint says, for each track that arrived, why it is not used.
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
