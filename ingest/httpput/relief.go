package httpput

import "time"

// relief reports whether another sender stands by for a stream.
func (w *show) relief(o *out) bool {
	for _, in := range w.inputs {
		for _, l := range in.lines {
			if l.begun && l.out == o {
				return true
			}
		}
	}
	return false
}

// standby counts the senders that would take another's place.
func (w *show) standby() (n int64) {
	for _, in := range w.inputs {
		for _, l := range in.lines {
			if l.begun && l.out.line != l {
				n++
				break
			}
		}
	}
	return n
}

// maxStandby is how many segments a sender that stands by has in memory.
const maxStandby = 16

// relieve takes the place of who feeds the stream, if that has fallen silent; else it lets go of what has been passed on meanwhile.
func (l *line) relieve(now time.Time) bool {
	o := l.out
	for {
		e, named := l.entries[l.next]
		f := l.in.files[e.file]
		if !named {
			n, ok := l.lowest()
			if !ok {
				return false
			}
			l.next = n
			continue
		}
		if f == nil && now.Sub(e.since) < l.patience() {
			return false
		}
		if f != nil && !o.has(&e, f) && len(l.entries) <= maxStandby {
			break
		}
		l.miss(l.next, e.file)
		l.in.discard(e.file, nil)
		delete(l.entries, l.next)
		l.next++
	}
	if o.line != nil && now.Sub(o.latest) < max(5*time.Duration(l.longest)*time.Second/2, 3*time.Second) {
		return false
	}
	l.in.log.Warn("the stream's sender is silent: another goes on with it", "playlist", l.file)
	l.in.s.Stats.Takeovers.Add(1)
	o.line, l.broken = l, true
	return true
}

// has reports whether what a segment shows has been passed on, as far as that can be told: by the senders' clocks, or by when it came.
func (o *out) has(e *entry, f *file) bool {
	half := ticks(e.duration / 2)
	if !e.wall.IsZero() && !o.until.IsZero() {
		return e.wall.Add(half).Before(o.until)
	}
	return f.at.Before(o.latest.Add(half))
}
