// Package cue places ad breaks in the rows of a segment table: where one goes out, and where the programme comes back. It is a function
// of numbers and wall times, so the rungs of a ladder agree without being asked. It refuses to look at a clock.
package cue

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Break is an ad break that was ordered.
type Break struct {
	ID       string        // of the date range; unique in a recording
	Number   uint64        // of the segment that it begins with, or the first after it that there is
	Duration time.Duration // planned
}

// ErrRunning refuses a break within another.
var ErrRunning = errors.New("an ad break is running or about to begin")

// Book is the breaks of one recording. The zero value is ready. It is for one goroutine at a time.
type Book struct {
	ordered *Break // it has not begun
	running string // the line of the one that runs
}

// Order takes a break; the error is ErrRunning or nil.
func (b *Book) Order(o Break) error {
	if b.Busy() {
		return ErrRunning
	}
	b.ordered = &o
	return nil
}

// Busy reports whether a break is running or ordered.
func (b *Book) Busy() bool { return b.ordered != nil || b.running != "" }

// Drop takes the break out that was ordered and has not begun, and returns its ID; empty where there is none.
func (b *Book) Drop() (id string) {
	if b.ordered != nil {
		id, b.ordered = b.ordered.ID, nil
	}
	return id
}

// early is how much a segment may begin before the planned end of a break and still end it: cuts are at pictures.
const early = 50 * time.Millisecond

// Place gives what a row has to say: cues, the lines that stand before it, and running, those of earlier rows that go on there.
func (b *Book) Place(number uint64, start time.Time) (cues, running string) {
	if b.running != "" {
		d, err := m3u8.ParseDateRange(b.running)
		switch end := d.Start.Add(d.Planned); {
		case err != nil:
			b.running = ""
		case start.Add(early).Before(end):
			running = b.running
		default:
			b.running = ""
			d.Duration, d.Out, d.In = max(start.Sub(d.Start), time.Millisecond), nil, splice(d.ID, false, 0)
			d.Planned = 0
			cues = string(d.Append(nil))
		}
	}
	if o := b.ordered; o != nil && number >= o.Number {
		b.ordered = nil
		d := m3u8.DateRange{ID: o.ID, Start: start, Planned: o.Duration, Out: splice(o.ID, true, o.Duration)}
		b.running = string(d.Append(nil))
		cues += b.running
	}
	return cues, running
}

// Resume takes up what a row from before a restart says. Date ranges that came with a sender's segments stand there too; their ends are its
// to say.
func (b *Book) Resume(cues, running string) {
	for line := range strings.Lines(running + cues) {
		switch d, err := m3u8.ParseDateRange(line); {
		case err != nil:
		case ours(&d):
			b.running = line
		case d.In != nil && b.running != "":
			if r, err := m3u8.ParseDateRange(b.running); err != nil || r.ID == d.ID {
				b.running = ""
			}
		}
	}
}

// ours reports whether Place made the beginning of a break: its splice_event_id is made of its ID.
func ours(d *m3u8.DateRange) bool {
	const begin = 18 // bytes, up to the end of the splice_event_id
	made := splice(d.ID, true, d.Planned)
	return len(d.Out) == len(made) && bytes.Equal(d.Out[:begin], made[:begin])
}
