package api

import (
	"fmt"
	"testing"
	"time"
)

func TestBoard(t *testing.T) {
	var b board
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time { return now }
	made := map[string]int{}
	cost := time.Duration(0)
	ask := func(key string) string {
		return string(b.get(key, clock, func() []byte {
			made[key]++
			now = now.Add(cost)
			return fmt.Appendf(nil, "%s %d", key, made[key])
		}))
	}
	for range 10 { // many pages, one rendering
		if got := ask("all"); got != "all 1" {
			t.Fatal(got)
		}
	}
	if got := ask("live/cam"); got != "live/cam 1" {
		t.Error(got)
	}
	now = now.Add(time.Second)
	if got := ask("all"); got != "all 2" {
		t.Error(got)
	}
	now = now.Add(boardKeep + time.Second)
	ask("all")
	if len(b.sheets) != 1 {
		t.Errorf("%d sheets are kept, though one of them was asked for by nobody", len(b.sheets))
	}

	// What costs half a second is not made each second.
	cost = 500 * time.Millisecond
	now = now.Add(time.Second)
	before := made["all"]
	for range 25 {
		ask("all")
		now = now.Add(time.Second)
	}
	if n := made["all"] - before; n > 3 {
		t.Errorf("made %d times in 25 seconds", n)
	}
	now = now.Add(-time.Hour) // a clock that was set back does not stop it
	before = made["all"]
	if ask("all"); made["all"] != before+1 {
		t.Error("after a step back of the clock nothing new is shown")
	}
}
