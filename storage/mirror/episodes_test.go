package mirror

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
	var a alone
	no := errors.New("403")
	a.took(log, "b")
	a.refused("a", no, epoch)
	if lines() != 0 || !a.lasts(epoch) {
		t.Error("before the store takes anything it is not known whether it refuses one")
	}
	for i := range 10 {
		a.took(log, "b")
		a.refused("a", no, epoch.Add(time.Duration(i)*time.Second))
	}
	if lines() != 1 || !a.since.Equal(epoch) {
		t.Errorf("%d lines, since %v", lines(), a.since)
	}
	a.took(log, "a")
	if a.lasts(epoch.Add(10 * time.Second)) {
		t.Error("it is taken, and still refused")
	}
	a.refused("a", no, epoch)
	a.took(log, "b")
	if lines() != 2 || a.lasts(epoch.Add(aloneFor)) {
		t.Errorf("%d lines", lines())
	}
}
