package httpput

import (
	"errors"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// line is a media playlist of a sender, and where in it the stream has got to. Guarded by show.mu.
type line struct {
	in   *input
	file string // of the playlist
	out  *out   // what it feeds, or would; nil: that is not known yet

	begun    bool
	next     uint64           // the number that is passed on next
	end      uint64           // after all that have been named
	entries  map[uint64]entry // from next on
	first    time.Time        // when its first playlist came
	newest   time.Time        // when its newest came
	longest  int              // seconds
	finished bool             // nothing follows end
	broken   bool             // what is next does not go on from what was before
	retry    time.Time        // when to try again to publish
	paced    time.Time        // since then
	passed   int              // so many segments have been passed on

	sums map[string]uint32 // of what was passed on, by name
	used []string          // those names, oldest first

	missed map[uint64]string // what was gone on without, by number: the name, empty where no playlist had named it
}

func newLine(in *input, file string, now time.Time) *line {
	return &line{in: in, file: file, entries: map[uint64]entry{}, sums: map[string]uint32{}, missed: map[uint64]string{}, first: now}
}

// remembered is how many names are known again.
const remembered = 256

// maxAhead is how many segments are known that have been named and not passed on: more than a sender may have in memory.
const maxAhead = 4096

// take learns from a playlist. The error refuses what it names too much.
func (l *line) take(p *playlist, now time.Time) error {
	l.newest = now
	if l.longest = p.longest; l.longest == 0 {
		l.longest = 1
	}
	if l.begun {
		if n, ok := l.restarts(p); ok {
			l.restart(n)
		}
	}
	if !l.begun && l.over(p) {
		return nil
	}
	if !l.begun && len(l.entries)+min(len(p.entries), maxAhead/2) > maxAhead {
		clear(l.entries) // the newest playlist says what there is to begin with
	}
	for i, e := range p.entries {
		n := p.first + uint64(i)
		if l.begun && n < l.next {
			continue
		}
		if !l.begun && len(p.entries)-i > maxAhead/2 {
			continue // it came long ago, if at all
		}
		if old, known := l.entries[n]; !known || old.file != e.file { // of a show that came to nothing
			if !known && len(l.entries) >= maxAhead {
				return ingest.Refuse(ingest.Unsupported, "the playlists name %d segments that have not come, or wait for others, and more: send the segments before they are named", maxAhead)
			}
			e.since = now
			l.entries[n] = e
		}
	}
	if l.end = max(l.end, p.end()); p.finished && p.end() == l.end {
		l.finished = true
	}
	return nil
}

// patience is how long a segment is waited for that a playlist names. In a ladder the other rungs wait no longer than a segment lasts: what comes
// later has no place any more.
func (l *line) patience() time.Duration {
	if l.in.ending {
		return 0
	}
	if l.out != nil && l.out.name != l.in.show.stream {
		return time.Duration(l.longest) * time.Second
	}
	return max(3*time.Duration(l.longest)*time.Second, 10*time.Second)
}

// step passes on what is there. The error is fatal for the sender.
func (l *line) step(now time.Time) error {
	if !l.begun && !l.begin(now) {
		return nil
	}
	for {
		if l.out.line != l {
			if !l.relieve(now) {
				return nil
			}
			continue
		}
		e, named := l.entries[l.next]
		if !named {
			if l.skip(now) {
				continue
			}
			break
		}
		if !l.pace(now) {
			return nil
		}
		f := l.in.files[e.file]
		if f == nil && l.in.ending && !l.waits() {
			return nil // what has not come may come after a restart
		}
		if f == nil && !e.gap && now.Sub(e.since) < l.patience() && len(l.in.files) < l.in.s.o.MaxHeld/2 {
			return nil
		}
		l.passed++
		if err := l.pass(&e, f, now); err != nil {
			if err == errLater {
				return nil
			}
			return err
		}
	}
	if l.finished && l.next >= l.end {
		l.finish()
	}
	return nil
}

// waits reports whether something that is named has come, and has not been passed on.
func (l *line) waits() bool {
	for _, e := range l.entries {
		if l.in.files[e.file] != nil {
			return true
		}
	}
	return false
}

// burst is how many segments are passed on within a paceEvery: what was held back comes all at once, and who mirrors a stream has to see each
// segment before it has left memory.
const (
	burst     = 4
	paceEvery = 100 * time.Millisecond
)

// pace reports whether another segment may be passed on now.
func (l *line) pace(now time.Time) bool {
	if now.Sub(l.paced) >= paceEvery {
		l.paced, l.passed = now, 0
	}
	return l.passed < burst
}

// pass passes on one segment, or that it is lost.
func (l *line) pass(e *entry, f *file, now time.Time) error {
	if l.out.session == nil {
		if now.Before(l.retry) {
			return errLater
		}
		if err := l.out.open(l.in); err == errLater {
			return err
		} else if later(err) { // in a cluster: its store does not answer. What came is kept meanwhile
			l.retry = now.Add(time.Second)
			l.in.s.o.Episodes.Warn("publish", l.out.app+"/"+l.out.name, "a stream cannot be published yet; it is tried again, and what comes is held", "reason", err)
			return errLater
		} else if err != nil {
			return err
		}
	}
	var err error
	if f == nil {
		if !e.gap {
			l.in.log.Warn("a segment that the playlist names did not come: a gap", "playlist", l.file, "file", e.file)
		}
		l.miss(l.next, e.file)
		err = l.out.lose(e, now)
	} else {
		err = l.out.feed(e, f, l.broken)
		l.broken = false
		l.note(e.file, f.segment.sum)
		if err == nil && l.out.framed == "" { // cut anew, the next process could not tell that the recording has it
			f.release(true)
		}
		l.in.discard(e.file, nil)
	}
	delete(l.entries, l.next)
	l.next++
	return err
}

// note remembers what was passed on by a name.
func (l *line) note(name string, sum uint32) {
	if _, known := l.sums[name]; !known {
		l.used = append(l.used, name)
	}
	l.sums[name] = sum
	if n := len(l.used) - remembered; n > 0 {
		for _, old := range l.used[:n] {
			delete(l.sums, old)
		}
		l.used = slices.Delete(l.used, 0, n)
	}
}

// skip goes on behind numbers that no playlist names any more, which it does not do at once: playlists may overtake one another.
func (l *line) skip(now time.Time) bool {
	n, ok := l.lowest()
	if !ok {
		return false
	}
	if e := l.entries[n]; now.Sub(e.since) < min(l.patience(), 3*time.Second) {
		return false
	}
	l.in.log.Warn("the playlist goes on further ahead: what is between was never named", "playlist", l.file, "from", l.next, "to", n)
	if lost := n - l.next; lost <= 1000 { // else it began to count elsewhere
		l.in.s.Stats.Lost.Add(lost)
	}
	for k := max(l.next, n-min(n, remembered)); k < n; k++ {
		l.miss(k, "")
	}
	l.next, l.out.counters = n, nil
	return true
}

// lowest is the lowest number that is named.
func (l *line) lowest() (lowest uint64, ok bool) {
	for n := range l.entries {
		if !ok || n < lowest {
			lowest, ok = n, true
		}
	}
	return lowest, ok
}

// begin finds the first segment to pass on, and what it is passed on to. What a playlist names and was sent before this server listened does
// not come any more.
func (l *line) begin(now time.Time) bool {
	if len(l.entries) == 0 || !l.in.decide(l, now) {
		return false
	}
	if l.finished && now.Sub(l.out.ended) < l.patience() { // what another has ended
		l.reset()
		return false
	}
	lowest, _ := l.lowest()
	first, any := uint64(0), false
	for n, e := range l.entries {
		f := l.in.files[e.file]
		if f == nil {
			continue
		}
		if sum, listed := l.in.listed[e.file]; listed && sum == f.segment.sum {
			l.in.discard(e.file, &l.in.s.Stats.Duplicates)
			continue
		}
		if !any || n < first {
			first, any = n, true
		}
	}
	if !any || first > lowest && now.Sub(l.first) < 2*l.in.settle() {
		return false
	}
	if l.out.name != l.in.show.stream && now.Sub(l.first) < 4*l.in.settle() && l.in.behind(l, l.in.files[l.entries[first].file]) {
		return false
	}
	if before := first - lowest; before > 0 {
		l.in.log.Info("the playlist names earlier segments, which have not come since this server listens", "playlist", l.file, "earlier", before)
	}
	for n, e := range l.entries {
		delete(l.in.listed, e.file)
		if n < first {
			if n+remembered >= first {
				l.miss(n, e.file)
			}
			delete(l.entries, n)
		}
	}
	l.begun, l.next, l.broken = true, first, true
	if l.out.line == nil {
		l.out.line = l
	}
	return true
}

// behind reports whether another rung has yet to begin, with what is earlier than a segment of this one. In a ladder a number is a moment: a rung
// that was behind when the server died has no place any more for what it has, if another has gone on.
func (in *input) behind(l *line, f *file) bool {
	for _, o := range in.lines {
		if o == l || o.begun {
			continue
		}
		for _, e := range o.entries {
			if other := in.files[e.file]; other != nil && mpegts.Distance(f.segment.units[0].dts, other.segment.units[0].dts) < 0 {
				return true
			}
		}
	}
	return false
}

// finish ends the stream as its sender asks.
func (l *line) finish() {
	o := l.out
	o.close(ingest.ErrUnpublished)
	o.line, o.ended = nil, l.newest
	for _, in := range l.in.show.inputs {
		for _, other := range in.lines {
			if other != l && other.out == o { // what it has is of the same show
				other.reset()
			}
		}
	}
	l.reset()
}

// reset forgets the show, and what is held for it.
func (l *line) reset() {
	for _, e := range l.entries {
		l.in.discard(e.file, &l.in.s.Stats.Duplicates)
	}
	clear(l.entries)
	clear(l.missed)
	l.begun, l.finished, l.out, l.end, l.in.listed = false, false, nil, 0, nil
}

// errLater says that the stream cannot be published yet.
var errLater = errors.New("not yet")

var errSilent = errors.New("nothing has come from the sender for too long")
