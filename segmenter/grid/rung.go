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
	until  time.Time // without one: when its grace is over
	out    string    // why it is excluded; empty: it is not
	since  time.Time // when it began to wait for a place; zero: it has one

	begun  uint64 // the newest number it began
	last   uint64 // the newest number it listed
	listed bool

	pace pace
}

// Connection says when a unit that begins a publisher's timeline was made.
type Connection interface {
	Instant(u *cut.Unit) time.Time
}

// Stream returns the rung's stream.
func (r *Rung) Stream() string { return r.stream }

// Out returns why the rung is excluded for the rest of the recording, for an operator to read, or "" if it is not.
func (r *Rung) Out() string { return r.out }

// Last returns the newest number that the rung listed, and false if it listed none.
func (r *Rung) Last() (number uint64, ok bool) { return r.last, r.listed }

// On reports whether a publisher is there.
func (r *Rung) On() bool { return r.on }

// GoesOn reports whether the rung has a publisher, or waits for one.
func (r *Rung) GoesOn(now time.Time) bool {
	return r.joined && r.out == "" && (r.on || now.Before(r.until))
}

// Enter records that a publisher has come.
func (r *Rung) Enter(c Connection) {
	r.conn, r.joined, r.on, r.since, r.pace = c, true, true, time.Time{}, pace{}
}

// Leave records that the publisher is gone, and until when it may return.
func (r *Rung) Leave(until time.Time) { r.on, r.until = false, until }

// Restore restores what the rung had listed before a restart: the numbers before next. Its publisher may return for a while.
func (r *Rung) Restore(next uint64, until time.Time) {
	r.joined, r.until, r.last, r.listed = true, until, max(next, 1)-1, next > 0
}

// plays reports whether the rung has a publisher and is not excluded.
func (r *Rung) plays() bool { return r.on && r.out == "" }

// reset prepares the rung for the ladder's next recording. Its publisher may still be there if it was excluded.
func (r *Rung) reset() {
	*r = Rung{stream: r.stream, on: r.on && r.out != ""}
}
