package ingest

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Reason is why a frame, or what should have been one, goes no further.
type Reason uint8

// The reasons. Those from BeforeKey on pass by themselves, when the encoder sends its next keyframe; the others stay until
// somebody changes the encoder.
const (
	NoHeader    Reason = iota // no configuration that a decoder could begin with has come
	Malformed                 // the bytes do not add up to what they say they are
	NotAFrame                 // the bytes cannot be a frame of this codec
	NoPicture                 // a message without a slice, to which no picture came
	NoTime                    // no decoding time can be derived
	Backwards                 // the decoding time does not rise
	ExtraTrack                // of a further track of its kind: one is carried
	Uncarried                 // the configuration has no form in a transport stream
	BeforeKey                 // before a keyframe with which a segment can begin
	BeforeVideo               // sound before the first picture
	Late                      // its segment had been declared lost
	NumReasons
)

// String is the reason as a metric's label: one word.
func (r Reason) String() string {
	return [...]string{"no_header", "malformed", "not_a_frame", "no_picture", "no_time", "backwards", "extra_track", "uncarried",
		"before_keyframe", "before_video", "late"}[r]
}

// Words is the reason as an operator or the person at the encoder reads it.
func (r Reason) Words() string {
	return [...]string{
		"no usable sequence header or parameter sets came: restart the encoder, or let it send them with each keyframe",
		"its bytes do not add up: the encoder packs frames in a way that is not known here",
		"its bytes cannot be frames of the codec that was announced",
		"messages without a picture",
		"no decoding time can be derived from its time stamps",
		"its time stamps do not rise",
		"it is a further track of its kind, and one is carried",
		"its configuration has no form in a transport stream: set the encoder to AAC-LC, mono, stereo or 5.1",
		"no keyframe has come: set the encoder's keyframe interval to 2 s",
		"no picture has come to which the sound belongs",
		"it came so late that its segments had been declared lost",
	}[r]
}

// passing reports whether a reason goes away by itself.
func (r Reason) passing() bool { return r >= BeforeKey }

// Account is what became of one track's frames. All may be read at any time.
type Account struct {
	Received atomic.Int64 // frames, and what should have been frames, that arrived
	Written  atomic.Int64 // frames that stand in a segment, or are to stand in one
	Dropped  [NumReasons]atomic.Int64
}

// Drop counts a received frame that goes no further.
func (a *Account) Drop(r Reason) { a.Dropped[r].Add(1) }

// Cause is the reason for which most frames went no further, and how many did in all; 0 where none did.
func (a *Account) Cause() (most Reason, all int64) {
	top := int64(0)
	for r := range a.Dropped {
		n := a.Dropped[r].Load()
		if all += n; n > top {
			most, top = Reason(r), n
		}
	}
	return most, all
}

// Ledger accounts for the frames of one publisher, so that nothing vanishes silently.
type Ledger struct{ Video, Audio Account }

// Of is the account of the tracks of a codec's kind. A nil Ledger keeps none that anybody reads.
func (l *Ledger) Of(c Codec) *Account {
	switch {
	case l == nil:
		return new(Account)
	case c.IsVideo():
		return &l.Video
	}
	return &l.Audio
}

// Times after which an Auditor speaks.
const (
	unusedWarn    = 5 * time.Second  // frames come and none is used
	waitingWarn   = 15 * time.Second // the same, where the reason passes by itself
	unusedRefused = 10 * time.Second // nothing of the whole publisher can be used
)

// Auditor looks at a ledger from time to time on behalf of the goroutine that reads the publisher.
type Auditor struct {
	l     *Ledger
	next  time.Time
	idle  time.Time // since when nothing could be used; zero: something was
	track [2]audited
}

type audited struct {
	received, written, dropped int64
	since                      time.Time // since when frames come and none is used; zero: some are
	warned                     bool
}

// NewAuditor makes one.
func NewAuditor(l *Ledger) Auditor { return Auditor{l: l} }

// Finding is a track of which frames arrive and none is used.
type Finding struct {
	Track  string // "video" or "audio"
	Reason Reason
	Frames int64 // that went no further so far
}

// Audit looks at most once a second. It reports each track of which frames arrive and none is used, once as long as that
// lasts, and the *Refusal with which a publisher is to be ended of whom nothing can be used.
func (a *Auditor) Audit(now time.Time) (found []Finding, err error) {
	if now.Before(a.next) {
		return nil, nil
	}
	a.next = now.Add(time.Second)
	received, useful := false, false
	for i, acc := range []*Account{&a.l.Video, &a.l.Audio} {
		t := &a.track[i]
		cause, dropped := acc.Cause()
		in, out := acc.Received.Load(), acc.Written.Load()
		came, used, lost := in > t.received, out > t.written, dropped > t.dropped
		t.received, t.written, t.dropped = in, out, dropped
		received = received || came
		switch {
		case used:
			t.since, t.warned = time.Time{}, false
		case !came || !lost:
		case t.since.IsZero():
			t.since = now
		default:
			wait := unusedWarn
			if cause.passing() {
				wait = waitingWarn
			}
			if !t.warned && now.Sub(t.since) >= wait {
				t.warned = true
				found = append(found, Finding{[]string{"video", "audio"}[i], cause, dropped})
			}
		}
		useful = useful || used || came && (!lost || cause.passing())
	}
	switch {
	case useful:
		a.idle = time.Time{}
	case !received:
	case a.idle.IsZero():
		a.idle = now
	case now.Sub(a.idle) >= unusedRefused:
		err = Refuse(Unsupported, "nothing of what is sent can be used: %s", a.l.complaint())
	}
	return found, err
}

// complaint says of each track that came why it is not used.
func (l *Ledger) complaint() string {
	var words []string
	for i, acc := range []*Account{&l.Video, &l.Audio} {
		if cause, n := acc.Cause(); n > 0 {
			words = append(words, fmt.Sprintf("%s: %s", []string{"video", "audio"}[i], cause.Words()))
		}
	}
	return strings.Join(slices.Compact(words), "; ")
}
