package mirror

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// episodes turn what goes wrong for a while into one line when it begins and one when it ends.
type episodes struct {
	failing atomic.Bool

	mu       sync.Mutex
	since    time.Time // of the disk's trouble
	folders  int       // recordings whose disk fails now
	err      error
	errors   int
	drops    int
	lastDrop time.Time
}

// dropEpisode is how long no segment must be dropped for the next one to be news.
const dropEpisode = time.Minute

// diskFailed notes a failure of one recording's disk; first where the last attempt went well.
func (e *episodes) diskFailed(log *slog.Logger, err error, first bool, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
	e.errors++
	if first {
		e.folders++
	}
	if e.since.IsZero() {
		e.since = now
		e.failing.Store(true)
		log.Error("the spool's disk fails; live is not affected, segments go from memory to the bucket as far as memory allows: check that spool.dir exists, is writable and has room",
			"err", err)
	}
}

// diskHealed ends a recording's trouble; the episode ends with the last one's.
func (e *episodes) diskHealed(log *slog.Logger, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.folders--; e.folders > 0 {
		return
	}
	log.Info("the spool's disk works again", "after", now.Sub(e.since).Round(time.Millisecond), "errors", e.errors)
	e.since, e.err, e.errors = time.Time{}, nil, 0
	e.failing.Store(false)
}

func (e *episodes) diskIsFailing() bool { return e.failing.Load() }

func (e *episodes) dropped(log *slog.Logger, why string, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.drops > 0 && now.Sub(e.lastDrop) > dropEpisode {
		e.drops = 0
	}
	if e.drops == 0 {
		log.Error("segments that are in no bucket yet are given up, oldest first; they become gaps in the archive: "+why, "until", "the bucket answers or there is more room")
	}
	e.drops++
	e.lastDrop = now
}

func (e *episodes) health(now time.Time) (out []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.since.IsZero() {
		out = append(out, fmt.Sprintf("the spool's disk has failed for %s: %v", now.Sub(e.since).Round(time.Second), e.err))
	}
	if e.drops > 0 && now.Sub(e.lastDrop) <= dropEpisode {
		out = append(out, fmt.Sprintf("%d segments were given up before they reached the bucket", e.drops))
	}
	return out
}
