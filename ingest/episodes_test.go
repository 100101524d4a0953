package ingest

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestEpisodesSayBeginAndCount(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1_700_000_000, 0)
	e := NewEpisodes(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), func() time.Time { return now })
	for range 500 {
		e.Warn("refused", "203.0.113.9", "publisher refused", "reason", "no")
		now = now.Add(time.Millisecond)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines at the begin:\n%s", n, &out)
	}
	e.Expire(now.Add(59 * time.Second))
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines before its end:\n%s", n, &out)
	}
	now = now.Add(61 * time.Second)
	e.Expire(now)
	if s := out.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "times=500") || !strings.Contains(s, "over=true") {
		t.Fatalf("the end is\n%s", s)
	}
	e.Warn("refused", "203.0.113.9", "publisher refused")
	e.Expire(now.Add(time.Hour))
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("a single event has a line of its own, and no end:\n%s", &out)
	}
}

// TestEpisodesAreBounded checks that an hour of attack from ever new addresses logs less than 300 kB.
func TestEpisodesAreBounded(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1_700_000_000, 0)
	e := NewEpisodes(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	for i := range 3600 * 100 {
		e.Warn("refused", fmt.Sprint("address", i), "publisher refused", "reason", strings.Repeat("x", 100))
		now = now.Add(10 * time.Millisecond)
	}
	if out.Len() > 300_000 {
		t.Errorf("%d bytes of log in an hour", out.Len())
	}
	if n := len(e.open); n > episodePeers+1 {
		t.Errorf("%d episodes are open", n)
	}
	if s := out.String(); !strings.Contains(s, "by=several") {
		t.Error("nothing is said of those that were not told apart")
	}
}
