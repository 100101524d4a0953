package segmenter

// A rung that loses its publisher in the middle of a segment has a part of a number that the other rungs have whole. Listed,
// it would say another duration of that number than they do, and its viewers would see a hole; as a gap it sends them to
// another rung. Where all rungs were cut off together, though, that part is the end of a stretch, and worth having. So it
// is held back until it is known which it was: the ladder went on past the number, or not.

// suspend ends the time line in hand. A rung's cut-off part is held back; anybody else's is published.
func (w *writer) suspend() {
	if w.member == nil {
		w.finish()
		return
	}
	w.finishClosing()
	p := w.cur
	if p == nil {
		return
	}
	end := w.endOfInput(p)
	if w.member.whole(end-p.start, w.frameDur) {
		w.finish()
		return
	}
	w.holdBack(end)
	if w.tee != nil {
		w.tee.holdBack(end)
	}
}

func (w *writer) holdBack(end int64) {
	p := w.cur
	w.cur = nil
	if w.audio != nil {
		w.mux.FlushAudio(p.buf)
	}
	p.end, w.held = end, p
}

// settle lists what is held back, or gives it up; fill then declares the number a gap.
func (w *writer) settle(list bool) {
	p := w.held
	if p == nil {
		return
	}
	w.held = nil
	if list {
		w.publish(p, p.end)
		return
	}
	w.stats.DroppedLate.Add(int64(p.frames))
	p.buf.Release()
}

// settleFor lists what is held back where a discontinuity of the whole ladder follows it.
func (w *writer) settleFor(m *member) {
	if w.held != nil {
		w.settle(m.breakAt(w.held.number + 1))
	}
}

// keep publishes what is held back, because nobody will be there to settle it.
func (t *Timeline) keep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w.state != Ended {
		t.w.settle(true)
	}
}

// holdBack holds the audio-only companion's part back with the rung's.
func (a *audioTee) holdBack(end int64) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	if a.t.w.cur != nil {
		a.t.w.holdBack(end)
	}
}

// whole tells whether a part of some duration fills its place on the grid, to within a frame.
func (m *member) whole(length, frame int64) bool {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.g.grid.step == 0 || length+frame*3/2 >= m.g.grid.step
}
