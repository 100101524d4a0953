package segmenter

// rungLog is the sink of a rung, and of the audio-only variant that is made from one: a log in which the numbers are those
// of the whole ladder.
//
// A rung that loses its publisher in the middle of a segment has a part of a number that the other rungs have whole. Listed,
// it would say another duration of that number than they do, and its viewers would see a hole; as a gap it sends them to
// another rung. Where all rungs were cut off together, though, that part is the end of a stretch, and worth having. So it
// is held back until it is known which it was: the ladder went on past the number, or not.
type rungLog struct {
	*log
	rung  *rung
	quiet bool // the ladder is not told: it is the audio-only variant
	held  *finished
}

// open implements sink.
func (l *rungLog) open(number uint64) {
	if l.held != nil && l.held.Number >= number {
		l.settle(false) // the encoder sends this number anew, from its beginning
	}
	if len(l.table.rows) > 0 && !l.writing { // else the one before is still to come
		l.fill(number)
	}
	l.log.open(number)
}

// list implements sink.
func (l *rungLog) list(f *finished) bool {
	f.Wall = l.rung.wall(f.Number, f.Wall)
	if f.cutOff && !l.rung.whole(f.end-f.Start) {
		l.closed(f.Number)
		held := *f
		l.held = &held
		return false // maybe: what follows says so itself
	}
	return l.append(f)
}

func (l *rungLog) append(f *finished) bool {
	if len(l.table.rows) > 0 {
		l.fill(f.Number)
	}
	ok := l.log.list(f)
	l.told()
	return ok
}

// told tells the ladder of the newest row.
func (l *rungLog) told() {
	if n := len(l.table.rows); n > 0 && !l.quiet {
		l.rung.published(&l.table.rows[n-1], l.lastFrame)
	}
}

// fill lists gaps for the numbers up to one that do not exist, as a lost or lagging rung leaves them.
func (l *rungLog) fill(upTo uint64) {
	if l.table.next() >= upTo {
		return
	}
	l.miss(upTo)
	if l.held != nil && l.held.Number < upTo {
		l.settle(l.rung.breakAt(l.held.Number + 1))
	}
	for l.table.next() < upTo {
		l.gap(l.rung.gap(l.table.next(), l.table.end()))
	}
	if l.target > 0 {
		l.changed()
		l.told()
	}
}

// settle lists what is held back, or gives it up; fill then declares the number a gap.
func (l *rungLog) settle(list bool) {
	f := l.held
	if f == nil {
		return
	}
	l.held = nil
	if list {
		l.append(f)
		return
	}
	l.discard(f)
}
