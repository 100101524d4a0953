package ingest

import (
	"strings"
	"sync/atomic"
)

// Account is what became of one track's frames. All may be read at any time; several tracks of one kind share an account.
//
// A frame that is joined from several messages is received once, when it is whole. What the protocol or the normaliser
// cannot use is received and dropped in one. So received and not dropped is what went on to the session.
type Account struct {
	Received atomic.Int64 // frames, and what should have been frames, that arrived
	Written  atomic.Int64 // frames that stand in a segment, or are to stand in one
	Dropped  [NumReasons]atomic.Int64
	Repaired atomic.Int64 // frames whose DTS did not rise or was after their PTS
	Moved    atomic.Int64 // times that the track was put beside the other, because its clock is another

	codec   atomic.Uint32
	words   atomic.Pointer[worded]
	problem atomic.Pointer[Finding]
	totals  *Totals // of the server; nil: nobody adds up
}

// worded is what somebody said of a reason that knew more than its usual words do.
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

// Repair counts a frame whose time stamps were impossible.
func (a *Account) Repair() {
	a.Repaired.Add(1)
	if a.totals != nil {
		a.totals.Repaired.Add(1)
	}
}

// Move counts that the track was put beside the other.
func (a *Account) Move() {
	a.Moved.Add(1)
	if a.totals != nil {
		a.totals.Moved.Add(1)
	}
}

// Refuse counts what came and goes no further.
func (a *Account) Refuse(r Reason) {
	a.Received.Add(1)
	a.Drop(r)
}

// Explain gives a reason words of its own on this account: the configuration that was found, and what to set.
func (a *Account) Explain(r Reason, words string) { a.words.Store(&worded{r, words}) }

// wordsOf is the reason in words.
func (a *Account) wordsOf(r Reason) string {
	if w := a.words.Load(); w != nil && w.of == r {
		return w.text
	}
	return r.Words()
}

// SetCodec notes what the track is coded in.
func (a *Account) SetCodec(c Codec) { a.codec.Store(uint32(c)) }

// Codec is the track's newest codec, 0 where none is known.
func (a *Account) Codec() Codec { return Codec(a.codec.Load()) }

// Problem is why no frame of the track is used at present; nil where some are, or none come.
func (a *Account) Problem() *Finding { return a.problem.Load() }

// Cause is the reason for which most frames went no further, and how many did in all; 0 where none did.
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

// since is the reason for which most frames were dropped since an earlier tally, their number, and that of all.
func (t tally) since(before tally) (most Reason, top, all int64) {
	for r := range t {
		n := t[r] - before[r]
		if all += n; n > top {
			most, top = Reason(r), n
		}
	}
	return most, top, all
}

// Totals adds up the accounts of all publishers of a server, those that have left included.
type Totals struct {
	Dropped         [NumReasons]atomic.Int64
	Repaired, Moved atomic.Int64
}

// Ledger accounts for the frames of one publisher, so that nothing vanishes silently. The zero value is ready.
type Ledger struct {
	Video, Audio Account
	Data         Account // messages about the media; nobody waits for them
}

// NewLedger makes one that is added up in totals too; nil adds up nothing.
func NewLedger(totals *Totals) *Ledger {
	l := &Ledger{}
	l.Video.totals, l.Audio.totals, l.Data.totals = totals, totals, totals
	return l
}

// Of is the account of the tracks of a codec's kind, that of Data for 0. A nil Ledger makes one that nobody reads: keep what Of returns.
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

// Problem says in words which tracks come and are not used, empty where there is none.
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
