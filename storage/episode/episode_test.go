package episode

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

func TestAloneIsToldOnce(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	lines := func() int { return strings.Count(text.String(), "refuses an object") }
	var a Alone
	no := errors.New("403")
	a.Took(log, "b")
	a.Refused("a", no, epoch)
	if lines() != 0 || !a.Lasts(epoch) {
		t.Error("before the store takes anything it is not known whether it refuses one")
	}
	for i := range 10 {
		a.Took(log, "b")
		a.Refused("a", no, epoch.Add(time.Duration(i)*time.Second))
	}
	if lines() != 1 || !a.since.Equal(epoch) {
		t.Errorf("%d lines, since %v", lines(), a.since)
	}
	a.Took(log, "a")
	if a.Lasts(epoch.Add(10 * time.Second)) {
		t.Error("it is taken, and still refused")
	}
	a.Refused("a", no, epoch)
	a.Took(log, "b")
	if lines() != 2 || a.Lasts(epoch.Add(aloneFor)) {
		t.Errorf("%d lines", lines())
	}
}

// Failures that come and go are a few lines, however long that lasts; one that stays is one line; and after a quiet time the next is logged
// at once.
func TestSpells(t *testing.T) {
	for name, c := range map[string]struct {
		bad, good time.Duration // alternating, for a day
		least     int           // lines about failures
		most      int
	}{
		"seconds":      {time.Second, time.Second, 1, 2},
		"half minutes": {30 * time.Second, 30 * time.Second, 2, 4},
		"minutes":      {5 * time.Minute, time.Minute, 3, 8},
		"long":         {30 * time.Minute, time.Minute, 40, 47}, // each is worth a line
		"rare":         {10 * time.Second, time.Hour, 23, 24},
	} {
		var s Spell
		began, ended := 0, 0
		for now := epoch; now.Before(epoch.Add(24 * time.Hour)); now = now.Add(c.good) {
			for end := now.Add(c.bad); now.Before(end); now = now.Add(500 * time.Millisecond) {
				if s.Bad(now) {
					began++
				}
			}
			if _, tell := s.Good(now); tell {
				ended++
			}
			if _, tell := s.Good(now); tell {
				t.Errorf("%s: the end is told twice", name)
			}
		}
		if began < c.least || began > c.most || ended != began {
			t.Errorf("%s: %d lines when it begins, %d when it ends, want %d to %d", name, began, ended, c.least, c.most)
		}
	}
}
