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
	healed   time.Time // when the trouble before that ended
	told     time.Time // when the log told of any
	loud     bool      // the log tells of this one
	folders  int       // recordings whose disk fails now
	err      error
	errors   int
	drops    int
	lastDrop time.Time
}

// dropEpisode is how long no segment must be dropped for the next one to be news.
const dropEpisode = time.Minute

// diskEpisode is how long the disk must have worked for its next failure to be news.
const diskEpisode = 10 * time.Second

// diskFailed notes a failure of one recording's disk; first where the last attempt went well. It reports whether the log told of it.
func (e *episodes) diskFailed(log *slog.Logger, err error, first bool, now time.Time) (news bool) {
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
	// A disk that works in between, as that of a folder does which is made anew again and again, is one episode.
	if again := now.Sub(e.healed) < diskEpisode && now.Sub(e.told) < time.Minute; !e.loud && (!again || now.Sub(e.since) > diskEpisode) {
		e.loud, e.told, news = true, now, true
		log.Error("the spool's disk fails; live is not affected, segments go from memory to the bucket as far as memory allows: check that spool.dir exists, is writable and has room",
			"err", err)
	}
	return news
}

// diskHealed ends a recording's trouble; the episode ends with the last one's.
func (e *episodes) diskHealed(log *slog.Logger, now time.Time) {
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

func (e *episodes) diskIsFailing() bool { return e.failing.Load() }

// diskError is why the disk fails; nil where it works.
func (e *episodes) diskError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.since.IsZero() {
		return nil
	}
	return e.err
}

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

// spell decides which troubles of a store are worth a line each, when they begin and when they end. The first is told at once.
// One that follows soon is told when it lasts, each longer than the one before: what comes and goes all day is a few lines, and
// what stays is always one. The zero value is ready.
type spell struct {
	since  time.Time // of the trouble; zero: there is none
	healed time.Time // when the one before ended
	told   bool      // the log tells of this one
	times  int       // that it was told without a quiet time in between
}

const (
	spellQuiet = 2 * time.Minute  // without trouble after which the next is news
	spellFirst = 10 * time.Second // that the second must last to be told, the third twice as long, and so on
	spellMost  = 10 * time.Minute
)

// bad notes a failure. It reports whether that is to be told.
func (s *spell) bad(now time.Time) (tell bool) {
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

// good notes the end of a trouble. It reports whether that is to be told, and how long it was.
func (s *spell) good(now time.Time) (lasted time.Duration, tell bool) {
	if s.since.IsZero() {
		return 0, false
	}
	lasted, tell = now.Sub(s.since), s.told
	s.since, s.healed, s.told = time.Time{}, now, false
	return lasted, tell
}

// alone is an object that the store refuses while it takes others: a policy forbids its name, or something that is no object
// has it. Guarded by Uploader.mu.
type alone struct {
	object      string // the one refused last; "" where there is none
	err         error
	since, last time.Time
	told        bool
}

// aloneFor is how long after a refusal the next one, of whatever object, is not news. It is longer than the longest pause of
// an object.
const aloneFor = 2 * time.Minute

// refused notes that the store has refused an object.
func (a *alone) refused(object string, err error, now time.Time) {
	if !a.lasts(now) {
		*a = alone{since: now}
	}
	a.object, a.err, a.last = object, err, now
}

// any reports whether an object is remembered.
func (a *alone) any() bool { return a.object != "" }

// took notes that the store has taken an object. If it refuses another, that is said once.
func (a *alone) took(log *slog.Logger, object string) {
	switch {
	case object == a.object:
		*a = alone{}
	case a.object != "" && !a.told:
		a.told = true
		log.Error("the store refuses an object and takes others; it is kept and tried again until it is taken: check the policy, and what has this name there", "err", a.err)
	}
}

// lasts reports whether the store was seen to refuse an object lately.
func (a *alone) lasts(now time.Time) bool { return a.object != "" && now.Sub(a.last) < aloneFor }
