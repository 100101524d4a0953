package httpput

import "maps"

// over reports whether a playlist is the last of a show that has been passed on to its end, once more.
func (l *line) over(p *playlist) bool {
	if !p.finished || len(p.entries) == 0 {
		return false
	}
	last := p.entries[len(p.entries)-1].file
	_, passed := l.sums[last]
	return passed && l.in.files[last] == nil
}

// restarts reports whether a playlist is one of a sender that began anew, and at which number: it names what has been sent since, in places
// that have been passed.
func (l *line) restarts(p *playlist) (at uint64, ok bool) {
	if p.first >= l.next {
		return 0, false
	}
	held, first := 0, -1
	for i := range p.entries {
		f := l.in.files[p.entries[i].file]
		if f == nil {
			continue
		}
		if l.late(p, i) {
			l.in.log.Warn("a segment came after the stream had gone on without it, and cannot be listed any more", "playlist", l.file, "file", p.entries[i].file)
			l.in.discard(p.entries[i].file, &l.in.s.Stats.Unnamed)
			continue
		}
		held++
		sum, known := l.sums[p.entries[i].file]
		if n := p.first + uint64(i); n < l.next && first < 0 && (!known || sum != f.segment.sum) {
			first = i
		}
	}
	switch {
	case first >= 0:
		return p.first + uint64(first), true
	case held == len(p.entries) && held > 0 && p.end() < l.next: // the same show once more, byte for byte
		return p.first, true
	}
	for i := range p.entries {
		if n := p.first + uint64(i); n < l.next && p.end() >= l.next {
			l.in.discard(p.entries[i].file, &l.in.s.Stats.Duplicates)
		}
	}
	return 0, false
}

// late reports whether an entry of a playlist is what the stream has gone on without, not one of a sender that began anew: such a sender's
// playlist ends before what has been passed.
func (l *line) late(p *playlist, i int) bool {
	name, missed := l.missed[p.first+uint64(i)]
	return missed && (name == "" || name == p.entries[i].file) && p.end() >= l.next
}

// miss notes a number that the stream goes on without, and forgets those of long ago.
func (l *line) miss(n uint64, name string) {
	l.missed[n] = name
	if len(l.missed) > 2*remembered {
		maps.DeleteFunc(l.missed, func(k uint64, _ string) bool { return k+remembered < n })
	}
}

// restart goes on with a sender that began anew.
func (l *line) restart(at uint64) {
	l.in.log.Info("the sender began anew: a discontinuity", "playlist", l.file, "number", at)
	clear(l.entries)
	clear(l.missed)
	l.next, l.end, l.finished, l.broken = at, at, false, true
}
