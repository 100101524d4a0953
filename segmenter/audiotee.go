package segmenter

import "github.com/hlsorigin/hlsorigin/ingest"

// audioTee makes a ladder's audio-only variant: a recording without a publisher, written along with the ladder's first
// rung by the same goroutine. It is cut where that rung is cut, with the same numbers, wall time and discontinuities.
// Its Timeline.mu is taken while that of the rung is held; see group.
type audioTee struct{ t *Timeline }

// begin opens a part beside the rung's newest.
func (a *audioTee) begin(p *part, track *ingest.Track, rung *writer) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	w := &a.t.w
	if w.state == Ended {
		return
	}
	w.settleFor(rung.member)
	if w.mux == nil || !sameConfiguration(w.audio, track) {
		w.audio = track
		w.configure()
	}
	if len(w.entries) == 0 && w.cur == nil {
		w.base = p.number
	}
	w.target, w.cadence.target = rung.target, rung.cadence.target
	w.cur = &part{number: p.number, buf: w.pool.Buffer(), start: p.start, boundary: p.boundary, wall: p.wall, discontinuity: p.discontinuity, independent: true}
	w.mux.Begin(w.cur.buf)
	if w.state == Stalled {
		w.state = Live
	}
	w.announceWriting()
}

// frame writes an audio frame of the rung.
func (a *audioTee) frame(pts int64, f *ingest.Frame) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	w := &a.t.w
	if w.cur == nil {
		return
	}
	w.lastFrame = f.Arrival
	w.mux.Audio(w.cur.buf, pts, f.Units[0])
	w.cur.frames++
}

// end publishes the part that ends with the rung's.
func (a *audioTee) end(end int64, rung *writer) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	w := &a.t.w
	if w.cur == nil {
		return
	}
	p := w.cur
	w.cur = nil
	w.cadence.target = rung.target
	w.publish(p, end)
}

// stall shows that the rung has lost its publisher.
func (a *audioTee) stall() {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	if a.t.w.state == Live {
		a.t.w.state = Stalled
		a.t.w.snapshot()
	}
}

// tee gives a ladder's first rung its audio-only companion; nil for every other stream.
func (m *member) tee() *audioTee {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.o.Audio || m.stream != g.rungs[0] || g.t == nil {
		return nil
	}
	if g.audio == nil {
		key := Key{g.key.App, g.key.Stream + AudioSuffix}
		t := g.r.current(key)
		if t != nil && t.id == g.t.id && t.Snapshot().State == Ended {
			return nil // after a restart this rung came back later than its audio could wait; a recording ends once
		}
		if t == nil || t.id != g.t.id {
			begun, _ := g.t.id.Time()
			t = g.r.newTimeline(key, g.t.id, g.o, begun)
			t.w.leader = m
			t.w.snapshot()
			g.r.adopt(t, false)
		} else {
			t.mu.Lock()
			t.w.leader = m
			t.mu.Unlock()
		}
		g.audio = t
	}
	return &audioTee{g.audio}
}
