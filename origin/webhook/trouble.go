package webhook

import (
	"log/slog"
	"time"
)

// trouble turns a period of failures of a target into one log line when it begins and one when it ends. It is guarded by Hooks.mu.
type trouble struct {
	since    time.Time // zero: no failures
	attempts int
	told     time.Time // when one was last logged
	loud     bool      // this one was logged
	dropTold time.Time // when dropped events were last logged
	dropped  int       // since then, and not logged
}

// A failure is logged if none was logged for quietFor, or if it lasts longer than shortly. A target that accepts some events and not others
// is one episode.
const (
	quietFor = 10 * time.Minute
	shortly  = time.Minute
)

// dropEpisode is the least time between two log lines about dropped events.
const dropEpisode = time.Hour

// retry ends the target's pauses.
func (t *target) retry() {
	t.gate = gate{}
	for _, l := range t.order {
		l.due = time.Time{}
	}
}

// waiting returns how many events wait for the target.
func (t *target) waiting() (n int) {
	for _, l := range t.order {
		n += len(l.items)
	}
	return n
}

func (t *target) failed(log *slog.Logger, err error, e *Event, now time.Time) {
	t.attempts++
	if t.since.IsZero() {
		t.since, t.loud = now, false
	}
	if t.loud || now.Sub(t.told) < quietFor && now.Sub(t.since) < shortly {
		return
	}
	t.loud, t.told = true, now
	log.Warn("a webhook does not take an event; it is kept and tried again: check that the address is right and answers with 200",
		"webhook", t.label, "event", e.Type, "error", err, "kept_for", t.Keep)
}

// healed ends the episode when an event was accepted and none that failed waits.
func (t *target) healed(log *slog.Logger, now time.Time, waiting int) {
	if t.since.IsZero() {
		return
	}
	for _, l := range t.order {
		if l.fails > 0 {
			return
		}
	}
	if t.loud {
		log.Info("a webhook takes events again", "webhook", t.label, "after", now.Sub(t.since).Round(time.Millisecond), "failures", t.attempts, "waiting", waiting)
	}
	t.since, t.attempts = time.Time{}, 0
}

// givenUp counts events that will not be sent, and logs them from time to time.
func (t *target) givenUp(log *slog.Logger, n int, why string, now time.Time) {
	if n == 0 {
		return
	}
	t.stats.Dropped += int64(n)
	if t.dropped += n; now.Sub(t.dropTold) < dropEpisode {
		return
	}
	log.Error("events are given up for a webhook: "+why, "webhook", t.label, "events", t.dropped)
	t.dropTold, t.dropped = now, 0
}
