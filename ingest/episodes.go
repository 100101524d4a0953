package ingest

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Limits of Episodes.
const (
	episodeQuiet = time.Minute      // an episode is over after this long without an event
	episodeAgain = 10 * time.Minute // an episode that goes on is logged again after this long
	episodePeers = 8                // episodes of a kind that are kept apart by peer; all others share one
)

// Episodes turns any number of like events into two log lines: one at the beginning, and one with their count at the end. Refusals of
// hostile peers go through it, so that nobody fills a disk by knocking.
type Episodes struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	open  map[episodeKey]*episode
	peers map[string]int // open episodes by kind
}

type episodeKey struct{ kind, who string }

type episode struct {
	level            slog.Level
	msg              string
	count            uint64
	began, last, say time.Time
}

// NewEpisodes returns Episodes that log to log, on the clock now.
func NewEpisodes(log *slog.Logger, now func() time.Time) *Episodes {
	return &Episodes{log: log, now: now, open: map[episodeKey]*episode{}, peers: map[string]int{}}
}

// Warn notes an event of a kind and who caused it, usually an address. The first of an episode is logged as a warning. The kind is one of a
// few constants, never something a peer sent.
func (e *Episodes) Warn(kind, who, msg string, args ...any) {
	e.note(slog.LevelWarn, kind, who, msg, args)
}

// Debug is like Warn, at the debug level.
func (e *Episodes) Debug(kind, who, msg string, args ...any) {
	e.note(slog.LevelDebug, kind, who, msg, args)
}

func (e *Episodes) note(level slog.Level, kind, who, msg string, args []any) {
	if !e.log.Enabled(context.Background(), level) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.expire(now)
	k := episodeKey{kind, who}
	found := e.open[k]
	if found == nil && e.peers[kind] >= episodePeers {
		k.who = ""
		found = e.open[k]
	}
	if found != nil {
		found.count++
		found.last = now
		return
	}
	e.open[k] = &episode{level: level, msg: msg, count: 1, began: now, last: now, say: now.Add(episodeAgain)}
	e.peers[kind]++
	e.log.Log(context.Background(), level, msg, args...)
}

// Expire ends the episodes that are over at now. The caller runs it every few seconds.
func (e *Episodes) Expire(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expire(now)
}

func (e *Episodes) expire(now time.Time) {
	for k, p := range e.open {
		over := now.Sub(p.last) >= episodeQuiet
		if !over && now.Before(p.say) {
			continue
		}
		who := k.who
		if who == "" {
			who = "several"
		}
		if p.count > 1 {
			e.log.Log(context.Background(), min(p.level, slog.LevelInfo), "so far: "+p.msg, "kind", k.kind, "by", who, "times", p.count, "since", p.began.UTC().Format(time.RFC3339), "over", over)
		}
		p.say = now.Add(episodeAgain)
		if over {
			delete(e.open, k)
			e.peers[k.kind]--
		}
	}
}
