// Package episode turns what goes wrong again and again into a log line when it begins and one when it ends. It refuses to know what is tried:
// who tries says how it went, and when.
package episode

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Spool is what goes wrong with a spool: its disk fails, and segments are lost before they are stored. The zero value is ready to use. It is
// safe for concurrent use.
type Spool struct {
	failing atomic.Bool

	mu       sync.Mutex
	since    time.Time // when the disk began to fail
	healed   time.Time // when the previous failures ended
	told     time.Time // when any were last logged
	loud     bool      // this episode was logged
	folders  int       // recordings whose disk is failing now
	err      error
	errors   int
	drops    int
	lastDrop time.Time
}

// dropEpisode is how long no segment must be dropped before the next one is logged again.
const dropEpisode = time.Minute

// diskEpisode is how long the disk must have worked before its next failure is logged again.
const diskEpisode = 10 * time.Second

// DiskFailed records a failure of one recording's disk; first reports that the last attempt had succeeded. It returns whether the failure
// was logged.
func (e *Spool) DiskFailed(log *slog.Logger, err error, first bool, now time.Time) (news bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
	e.errors++
	if first {
		e.folders++
	}
	if e.since.IsZero() {
		e.since, e.loud = now, false
		e.failing.Store(true)
	}
	// A disk that works in between, such as a folder that is recreated again and again, is one episode.
	if again := now.Sub(e.healed) < diskEpisode && now.Sub(e.told) < time.Minute; !e.loud && (!again || now.Sub(e.since) > diskEpisode) {
		e.loud, e.told, news = true, now, true
		log.Error("the spool's disk fails; live is not affected, segments go from memory to the bucket as far as memory allows: check that spool.dir exists, is writable and has room",
			"err", err)
	}
	return news
}

// DiskHealed ends a recording's trouble; the episode ends with the last recording's.
func (e *Spool) DiskHealed(log *slog.Logger, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.folders--; e.folders > 0 {
		return
	}
	if e.loud {
		log.Info("the spool's disk works again", "after", now.Sub(e.since).Round(time.Millisecond), "errors", e.errors)
	}
	e.since, e.healed, e.err, e.errors = time.Time{}, now, nil, 0
	e.failing.Store(false)
}

// DiskFails reports whether the disk of any recording fails.
func (e *Spool) DiskFails() bool { return e.failing.Load() }

// Dropped records that a segment was lost.
func (e *Spool) Dropped(log *slog.Logger, why string, now time.Time) {
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

// Failing returns since when the disk has failed, and why; zero and nil if it works.
func (e *Spool) Failing() (since time.Time, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.since, e.err
}

// Drops returns how many segments were lost in the episode that lasts; 0: none does.
func (e *Spool) Drops(now time.Time) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Sub(e.lastDrop) > dropEpisode {
		return 0
	}
	return e.drops
}

// Spell decides which failures of a store are worth a line each when they begin and when they end. The first is logged at once. One that
// follows soon is logged only if it lasts, each longer than the previous one: failures that come and go all day are a few lines, and one
// that stays is always one. The zero value is ready to use.
type Spell struct {
	since  time.Time // start of the failure; zero: none
	healed time.Time // when the previous one ended
	told   bool      // this one was logged
	times  int       // number of those logged without a quiet time in between
}

const (
	spellQuiet = 2 * time.Minute  // without failure, after which the next is logged at once
	spellFirst = 10 * time.Second // how long the second must last to be logged, the third twice as long, and so on
	spellMost  = 10 * time.Minute
)

// Since returns when the failure began; zero: there is none.
func (s *Spell) Since() time.Time { return s.since }

// Told reports whether the failure was logged.
func (s *Spell) Told() bool { return s.told }

// Times returns how many failures were logged without a quiet time in between.
func (s *Spell) Times() int { return s.times }

// Bad records a failure. It reports whether to log it.
func (s *Spell) Bad(now time.Time) (tell bool) {
	if s.since.IsZero() {
		if s.since = now; now.Sub(s.healed) >= spellQuiet {
			s.times = 0
		}
	}
	lasts := time.Duration(0)
	if s.times > 0 {
		lasts = min(spellFirst<<min(s.times-1, 10), spellMost)
	}
	if s.told || now.Sub(s.since) < lasts {
		return false
	}
	s.told = true
	s.times++
	return true
}

// Good records the end of a failure. It reports whether to log it, and how long the failure lasted.
func (s *Spell) Good(now time.Time) (lasted time.Duration, tell bool) {
	if s.since.IsZero() {
		return 0, false
	}
	lasted, tell = now.Sub(s.since), s.told
	s.since, s.healed, s.told = time.Time{}, now, false
	return lasted, tell
}

// Alone is an object that the store refuses while it accepts others: a policy forbids its name, or something that is not an object has it.
// Its owner guards it.
type Alone struct {
	object      string // the one refused last; "" if there is none
	err         error
	since, last time.Time
	told        bool
}

// aloneFor is how long after a refusal the next one, of any object, is not logged. It is longer than the longest pause of an object.
const aloneFor = 2 * time.Minute

// Refused records that the store has refused an object.
func (a *Alone) Refused(object string, err error, now time.Time) {
	if !a.Lasts(now) {
		*a = Alone{since: now}
	}
	a.object, a.err, a.last = object, err, now
}

// Any reports whether an object is remembered.
func (a *Alone) Any() bool { return a.object != "" }

// Took records that the store has accepted an object. If it refuses another, that is logged once.
func (a *Alone) Took(log *slog.Logger, object string) {
	switch {
	case object == a.object:
		*a = Alone{}
	case a.object != "" && !a.told:
		a.told = true
		log.Error("the store refuses an object and takes others; it is kept and tried again until it is taken: check the policy, and what has this name there", "err", a.err)
	}
}

// Refusal returns since when the store has refused the object, and why.
func (a *Alone) Refusal() (since time.Time, err error) { return a.since, a.err }

// Lasts reports whether the store has recently refused an object.
func (a *Alone) Lasts(now time.Time) bool { return a.object != "" && now.Sub(a.last) < aloneFor }
