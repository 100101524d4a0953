package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// part is a segment while it is written.
type part struct {
	number        uint64
	buf           *mpegts.Buffer
	start         int64 // presentation time of its first access unit
	boundary      int64 // decoding time of its first access unit: audio before it belongs to the part before
	wall          time.Time
	discontinuity bool
	independent   bool
	frames        int
	videoBytes    int64
	end           int64 // presentation time at which it was cut off, where it is held back
}

// finish publishes all that is written.
func (w *writer) finish() {
	w.finishClosing()
	w.settle(true)
	if p := w.cur; p != nil {
		w.cur = nil
		end := w.endOfInput(p)
		w.publish(p, end)
		if w.tee != nil {
			w.tee.end(end, w)
		}
	}
}

// endOfInput is the presentation time at which a part ends that no other follows. How long its last frame is shown is a
// guess, and must not break the target duration.
func (w *writer) endOfInput(p *part) int64 {
	end := p.start
	if w.sawVideo {
		end = w.videoDTS + w.delay + w.frameDur
	}
	if w.sawAudio && (!w.sawVideo || w.audioPTS-w.videoDTS > videoSilent) {
		end = w.audioPTS + w.audioDur
	}
	return min(end, p.start+w.cadence.longest())
}

// begin opens the first part of a time line; false where a rung has to wait for its place in the ladder.
func (w *writer) begin(at, boundary, frame int64, arrival time.Time, independent bool) bool {
	if w.newAudio != nil {
		w.audio, w.newAudio = w.newAudio, nil
	}
	w.isKeyless = false
	if w.member != nil && w.member.outside() {
		w.member = nil
	}
	if w.member == nil {
		w.settle(true)
	}
	number := w.next()
	if w.member == nil {
		w.clock.anchor(arrival, w.endOfEntries(), at)
	} else {
		changed := len(w.entries) > 0 && !w.gapsBreak() && !(sameConfiguration(w.listedVideo, w.video) && sameConfiguration(w.listedAudio, w.audio))
		n, wall, ok := w.member.place(at, frame, arrival, number, changed)
		if !ok {
			return false
		}
		if number = n; len(w.entries) == 0 {
			w.base = number
		}
		if w.held != nil && w.held.number >= number {
			w.settle(false) // the encoder sends this number anew, from its beginning
		}
		w.fill(number)
		w.clock.anchor(wall, wall, at)
	}
	w.listedVideo, w.listedAudio = w.video, w.audio
	w.configure()
	w.open(number, at, boundary, independent)
	w.tee = nil
	if w.member != nil && w.audio != nil {
		if w.tee = w.member.tee(); w.tee != nil {
			w.tee.begin(w.cur, w.audio, w)
		}
	}
	w.broken = false
	if w.state == Stalled {
		w.state = Live
	}
	w.announceWriting()
	return true
}

// fill lists gaps for the numbers up to one that do not exist, as a lost or lagging rung leaves them.
func (w *writer) fill(upTo uint64) {
	if w.next() >= upTo || w.member == nil && w.leader == nil {
		return
	}
	if w.held != nil && w.held.number < upTo {
		w.settleFor(w.ladder())
	}
	for w.next() < upTo {
		e := w.gap(w.next())
		e.DiscontinuitySequence = w.discontinuity
		if e.Discontinuity {
			w.discontinuity++
		}
		w.entries = append(w.entries, e)
		w.segments = append(w.segments, nil)
		w.stats.Gaps.Add(1)
	}
	if w.target == 0 {
		return
	}
	w.slide()
	w.modified = w.lastFrame
	w.render()
	w.snapshot()
	if w.member != nil {
		w.member.published(w.next()-1, w.lastFrame)
	}
}

// gapsBreak tells whether a discontinuity stands among the gaps at the end.
func (w *writer) gapsBreak() bool {
	for i := len(w.entries) - 1; i >= 0 && w.entries[i].Gap; i-- {
		if w.entries[i].Discontinuity {
			return true
		}
	}
	return false
}

// gap is the row of a number without bytes, as the ladder's grid has it.
func (w *writer) gap(number uint64) Entry {
	return w.ladder().gap(number, w.endOfEntries())
}

// ladder is the writer's place in a ladder, be it a rung or the audio-only companion of one; nil: it has none.
func (w *writer) ladder() *member {
	if w.member != nil {
		return w.member
	}
	return w.leader
}

// next is the number after the last listed one.
func (w *writer) next() uint64 { return w.base + uint64(len(w.entries)) }

// endOfEntries is the wall time at which the last published segment ends; zero before the first.
func (w *writer) endOfEntries() time.Time {
	if len(w.entries) == 0 {
		return w.begun
	}
	e := &w.entries[len(w.entries)-1]
	return e.Start.Add(duration(e.Duration))
}

// configure makes the muxer fit the tracks, which were checked by configured: there is no error any more.
func (w *writer) configure() {
	c := mpegts.Config{Video: streamType(w.video), Audio: streamType(w.audio)}
	if w.audio != nil {
		c.ASC = w.audio.ASC
	}
	if w.mux == nil {
		w.mux, _ = mpegts.NewMuxer(c)
	} else {
		_ = w.mux.Reconfigure(c)
	}
}

func (w *writer) open(number uint64, at, boundary int64, independent bool) {
	w.cur = &part{
		number: number, buf: w.pool.Buffer(), start: at, boundary: boundary, wall: w.clock.at(at),
		discontinuity: w.broken && number > w.base, independent: independent,
	}
	if w.member != nil {
		w.cur.discontinuity = w.member.breakAt(number)
	}
	w.mux.Begin(w.cur.buf)
}

// cut ends the current part at a boundary and opens the next. The old one is published at once where its audio is
// complete to within a frame, else as soon as that is so, or after audioWait.
func (w *writer) cut(at, boundary int64, arrival time.Time, independent bool) {
	w.cutTo(w.cur.number+1, at, boundary, arrival, independent)
}

func (w *writer) cutTo(number uint64, at, boundary int64, arrival time.Time, independent bool) {
	w.finishClosing()
	w.closing, w.closingBy = w.cur, arrival.Add(audioWait)
	// Audio still in the muxer's hands belongs to the old part; it must not reach the new one's buffer.
	w.open(number, at, boundary, independent)
	if !w.audioIsLate(boundary) {
		w.finishClosing()
	}
}

func (w *writer) finishClosing() {
	if p := w.closing; p != nil {
		w.closing = nil
		w.publish(p, w.cur.start)
		if w.tee != nil {
			w.tee.end(w.cur.start, w)
			w.tee.begin(w.cur, w.audio, w)
		}
	}
}

// publish lists a part that ends at presentation time end.
func (w *writer) publish(p *part, end int64) {
	if w.audio != nil {
		w.mux.FlushAudio(p.buf)
	}
	if p.frames == 0 {
		p.buf.Release()
		return
	}
	if p.number < w.next() {
		// It came so late that it was declared lost: a number never means two things.
		w.stats.DroppedLate.Add(int64(p.frames))
		p.buf.Release()
		return
	}
	w.fill(p.number)
	p.buf.Trim()
	e := Entry{
		Sequence: p.number, Start: p.wall, Duration: max(end-p.start, 1), Size: int64(p.buf.Len()), CRC32C: p.buf.CRC32C(),
		Discontinuity: p.discontinuity, Independent: p.independent, DiscontinuitySequence: w.discontinuity,
	}
	if e.Discontinuity {
		w.discontinuity++
		w.stats.Discontinuities.Add(1)
	}
	if w.member != nil && w.cadence.target == 0 {
		own := w.cadence
		w.cadence.target = w.member.fix(own.fix(e.Duration))
	}
	w.target = w.cadence.fix(e.Duration)
	w.entries = append(w.entries, e)
	w.segments = append(w.segments, newSegment(e, p.buf))
	w.stats.Segments.Add(1)
	w.stats.Bytes.Add(e.Size)
	w.stats.MemoryBytes.Add(e.Size)
	w.slide()
	w.rate.add(&e, p.videoBytes)
	w.variant = w.rate.variant(w.video, w.audio, w.target)
	if w.owner != nil || w.leader != nil {
		w.state = Live
	}
	w.modified = w.lastFrame
	w.render()
	w.snapshot()
	if w.member != nil {
		w.member.published(e.Sequence, w.lastFrame)
	}
}
