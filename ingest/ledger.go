package ingest

import (
	"strings"
	"sync/atomic"
)

// Account counts what became of one track's frames. All counters may be read at any time. Several tracks of one kind share an account.
//
// A frame that is joined from several messages is received once, when it is complete. What the protocol or the normaliser cannot use is
// received and dropped in one step. So what was received and not dropped went on to the session.
type Account struct {
	Received atomic.Int64 // frames that arrived, and what should have been frames
	Written  atomic.Int64 // frames that are in a segment, or will be
	Dropped  [NumReasons]atomic.Int64
	Repaired atomic.Int64 // frames whose DTS did not rise or was after their PTS
	Moved    atomic.Int64 // times the track was shifted to match the other, because their clocks differ

	codec   atomic.Uint32
	words   atomic.Pointer[worded]
	problem atomic.Pointer[Finding]
	totals  *Totals // of the server; nil if nobody adds up
}

// worded is an explanation of a reason that says more than the reason's usual words.
type worded struct {
	of   Reason
	text string
}

// Drop counts a received frame that goes no further.
func (a *Account) Drop(r Reason) {
	a.Dropped[r].Add(1)
	if a.totals != nil {
		a.totals.Dropped[r].Add(1)
	}
}

// Repair counts a frame with impossible timestamps.
func (a *Account) Repair() {
	a.Repaired.Add(1)
	if a.totals != nil {
		a.totals.Repaired.Add(1)
	}
}

// Move counts a shift of the track to match the other.
func (a *Account) Move() {
	a.Moved.Add(1)
	if a.totals != nil {
		a.totals.Moved.Add(1)
	}
}

// Refuse counts a frame as received and dropped.
func (a *Account) Refuse(r Reason) {
	a.Received.Add(1)
	a.Drop(r)
}

// Explain gives a reason its own words on this account: the configuration that was found, and what to set.
func (a *Account) Explain(r Reason, words string) { a.words.Store(&worded{r, words}) }

// wordsOf returns the reason in words.
func (a *Account) wordsOf(r Reason) string {
	if w := a.words.Load(); w != nil && w.of == r {
		return w.text
	}
	return r.Words()
}

// SetCodec records the track's codec.
func (a *Account) SetCodec(c Codec) { a.codec.Store(uint32(c)) }

// Codec returns the track's newest codec, or 0 if none is known.
func (a *Account) Codec() Codec { return Codec(a.codec.Load()) }

// Problem returns why no frame of the track is used at present, or nil if some are or none arrive.
func (a *Account) Problem() *Finding { return a.problem.Load() }

// Cause returns the reason most frames were dropped for, and how many were dropped in all; 0 if none were.
func (a *Account) Cause() (most Reason, all int64) {
	most, _, all = a.drops().since(tally{})
	return most, all
}

// tally is a copy of an account's drops.
type tally [NumReasons]int64

func (a *Account) drops() (t tally) {
	for r := range t {
		t[r] = a.Dropped[r].Load()
	}
	return t
}

// since returns the reason most frames were dropped for since an earlier tally, their number, and the number of all drops.
func (t tally) since(before tally) (most Reason, top, all int64) {
	for r := range t {
		n := t[r] - before[r]
		if all += n; n > top {
			most, top = Reason(r), n
		}
	}
	return most, top, all
}

// Totals adds up the accounts of all publishers of a server, including those that have left.
type Totals struct {
	Dropped         [NumReasons]atomic.Int64
	Repaired, Moved atomic.Int64
}

// Ledger counts the frames of one publisher, so that nothing vanishes silently. The zero value is ready to use.
type Ledger struct {
	Video, Audio Account
	Data         Account // messages about the media; nobody waits for them
}

// NewLedger returns a Ledger that also counts in totals, which may be nil.
func NewLedger(totals *Totals) *Ledger {
	l := &Ledger{}
	l.Video.totals, l.Audio.totals, l.Data.totals = totals, totals, totals
	return l
}

// Of returns the account for the tracks of a codec's kind, or Data for 0. On a nil Ledger it returns a new account that nobody reads, so
// callers keep the result.
func (l *Ledger) Of(c Codec) *Account {
	switch {
	case l == nil:
		return new(Account)
	case c.IsVideo():
		return &l.Video
	case c == 0:
		return &l.Data
	}
	return &l.Audio
}

// Problem says which tracks arrive and are not used. It is empty if there are none.
func (l *Ledger) Problem() string {
	if l == nil {
		return ""
	}
	var words []string
	for _, a := range []*Account{&l.Video, &l.Audio} {
		if f := a.Problem(); f != nil {
			words = append(words, f.Track+": "+f.Words)
		}
	}
	return strings.Join(words, "; ")
}
