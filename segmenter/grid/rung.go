package grid

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Rung is one rung's place on the grid.
type Rung struct {
	stream string
	conn   Connection
	joined bool      // it has a part of the ladder's recording
	on     bool      // a publisher is there
	until  time.Time // while none is: when its grace is over
	out    string    // why it stands outside; empty: it does not
	since  time.Time // when it began to wait for a place; zero: it has one

	begun  uint64 // the newest number it began
	last   uint64 // the newest number it listed
	listed bool

	pace pace
}

// Connection says when a unit was made with which a publisher's time line begins.
type Connection interface {
	Instant(u *cut.Unit) time.Time
}

// Stream returns the stream that the rung is.
func (r *Rung) Stream() string { return r.stream }

// Out returns why the rung stands outside for the rest of the recording, as an operator reads it; empty: it does not.
func (r *Rung) Out() string { return r.out }

// Last returns the newest number that the rung listed; false where it listed none.
func (r *Rung) Last() (number uint64, ok bool) { return r.last, r.listed }

// On reports whether a publisher is there.
func (r *Rung) On() bool { return r.on }

// GoesOn reports whether the rung has a publisher, or waits for one.
func (r *Rung) GoesOn(now time.Time) bool {
	return r.joined && r.out == "" && (r.on || now.Before(r.until))
}

// Enter notes that a publisher has come.
func (r *Rung) Enter(c Connection) {
	r.conn, r.joined, r.on, r.since, r.pace = c, true, true, time.Time{}, pace{}
}

// Leave notes that the publisher is gone, and until when it may return.
func (r *Rung) Leave(until time.Time) { r.on, r.until = false, until }

// Restore takes up what the rung had listed before a restart: the numbers before next. Its publisher may return for a while.
func (r *Rung) Restore(next uint64, until time.Time) {
	r.joined, r.until, r.last, r.listed = true, until, max(next, 1)-1, next > 0
}

// plays reports whether the rung has a publisher and does not stand outside.
func (r *Rung) plays() bool { return r.on && r.out == "" }

// reset makes the rung ready for the ladder's next recording. Its publisher may still be there where it stood outside.
func (r *Rung) reset() {
	*r = Rung{stream: r.stream, on: r.on && r.out != ""}
}
