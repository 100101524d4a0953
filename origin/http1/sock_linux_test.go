package http1

import (
	"errors"
	"os"
	"testing"
	"time"
)

// A deadline is a distance from the start of the poller, and not stored as a date: it does not depend on the calendar.
func TestDeadlinesDoNotMoveWithTheCalendar(t *testing.T) {
	p := &poller{began: time.Now()}
	k := &sock{poll: p, event: make(chan struct{}, 1)}
	for _, d := range []time.Duration{3 * time.Second, time.Hour, -time.Second} {
		if err := k.SetReadDeadline(p.began.Add(d)); err != nil || k.readBy.Load() != int64(d) {
			t.Errorf("%v: kept as %d, %v", d, k.readBy.Load(), err)
		}
	}
	if err := k.SetReadDeadline(p.began); err != nil || k.readBy.Load() == 0 {
		t.Errorf("the start itself is no deadline: %v", err)
	}
	read := func() error {
		return k.each(&k.readBy, func(int) (int, error) { return 1, nil }, func(int) bool { return true })
	}
	if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past: %v", err)
	}
	if err := k.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("long past: %v", err)
	}
	for _, none := range []time.Time{p.began.Add(time.Minute), {}} {
		if err := k.SetReadDeadline(none); err != nil {
			t.Fatal(err)
		}
		if err := read(); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("until %v: %v", none, err)
		}
	}
}
