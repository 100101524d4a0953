package rtsp

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
)

// heldFrame waits for the tracks to be aligned.
type heldFrame struct {
	track    *track
	f        ingest.Frame
	pts, dts int64 // on the track's own timeline
	arrival  time.Time
}

// unit maps a unit to its track's timeline, and passes it to the normaliser.
func (p *publisher) unit(t *track, u unit) {
	local, jumped := t.clock.local(u.rtp, u.arrival)
	if jumped {
		// The report belongs to the timeline that broke off, and so does what waits.
		t.align.reported, t.align.slewActive = false, false
		p.over(p.stream.Flush())
		t.decoding.jumped(func(f ingest.Frame) { p.timed(t, f) })
		p.stats.Jumps.Add(1)
		p.opts.Log.Warn("rtsp: the encoder's time stamps jumped", "stream", p.target, "codec", t.stream.codec().String())
	}
	if t.align.reported && t.align.reportPending {
		p.aligner.placeReport(t)
	}
	pts, c := local+u.offset, t.stream.codec()
	if c.IsVideo() {
		p.over(p.stream.Video(&normalise.Video{Codec: c, Units: u.data, PTS: pts, DTS: pts, Arrival: u.arrival}))
		return
	}
	if u.config != nil {
		p.over(p.stream.AudioHeader(u.config, u.arrival))
	}
	p.over(p.stream.Audio(&normalise.Audio{Codec: c, Data: u.data[0], PTS: pts, Arrival: u.arrival}))
}

// flush releases what the streams and the normaliser hold.
func (p *publisher) flush() {
	for _, t := range p.tracks {
		t.stream.flush(func(u unit) { p.unit(t, u) })
	}
	p.over(p.stream.Flush())
	for _, t := range p.tracks {
		t.decoding.flush(func(f ingest.Frame) { p.timed(t, f) })
	}
}

// sink takes the normaliser's frames. Their units are not overwritten.
type sink struct{ p *publisher }

func (s sink) WriteFrame(f *ingest.Frame) error {
	for _, t := range s.p.tracks {
		switch video := f.Track.Codec.IsVideo(); {
		case video != t.stream.codec().IsVideo():
		case video:
			f.Key = f.Track.Codec.Survey(f.Units).Access != codec.NoAccess // RTP has no flag
			t.decoding.add(*f, func(f ingest.Frame) { s.p.timed(t, f) })
		default:
			s.p.timed(t, *f)
		}
	}
	return nil
}

// timed takes a frame with all its times, on its track's own timeline, and holds it or passes it on.
func (p *publisher) timed(t *track, f ingest.Frame) {
	h := heldFrame{track: t, f: f, pts: f.PTS, dts: f.DTS, arrival: f.Arrival}
	if p.flowing && t.align.set {
		p.place(h)
		return
	}
	if t.since.IsZero() {
		t.since = f.Arrival
	}
	p.held = append(p.held, h)
	p.heldBytes += size(&f)
	switch {
	case len(p.tracks) == 1 || p.aligner.ready() || p.full || p.heldBytes > p.opts.MaxHeldBytes, p.flowing && !p.aligner.awaits(t):
		p.release(func(*track) bool { return true })
	case f.Arrival.Sub(p.held[0].arrival) >= p.opts.SyncWait:
		p.release(func(t *track) bool { return !p.aligner.awaits(t) || f.Arrival.Sub(t.since) >= p.opts.SyncWait })
	}
}

// release passes on held frames of the tracks that are ready: the first frames of the publisher, which align the tracks, or those of a
// track that came late.
func (p *publisher) release(ripe func(*track) bool) {
	var out, stay []heldFrame
	for _, h := range p.held {
		if ripe(h.track) {
			out = append(out, h)
		} else {
			stay = append(stay, h)
		}
	}
	if len(out) == 0 {
		return
	}
	if !p.flowing {
		p.flowing = true
		p.aligner.begin(out)
	}
	p.held, p.heldBytes = stay, 0
	for _, h := range stay {
		p.heldBytes += size(&h.f)
	}
	for _, h := range out {
		p.place(h)
	}
}

// place gives a frame its time, and queues it for interleaving.
func (p *publisher) place(h heldFrame) {
	al := &h.track.align
	p.aligner.join(h.track, h.pts, h.arrival)
	h.f.DTS = al.place(h.dts)
	h.f.PTS = h.pts + al.base
	if h.f.DTS <= al.lastOut {
		h.track.account.Drop(ingest.Backwards)
		return
	}
	al.lastOut, al.lastArrival = h.f.DTS, h.arrival
	h.track.queue = append(h.track.queue, h.f)
	p.queued += size(&h.f)
}

// size returns the length of a frame in bytes.
func size(f *ingest.Frame) (n int) {
	for _, u := range f.Units {
		n += len(u)
	}
	return n
}

// drain passes on what need not wait. In decoding order, a frame waits until the other track has come as far, but not longer than
// InterleaveWait, and not if more than MaxHeldBytes wait. Encoders send each track when it is ready, and pictures take longer than audio.
func (p *publisher) drain(now time.Time) {
	for p.failure() == nil {
		next := p.tracks[0]
		for _, t := range p.tracks[1:] {
			if len(next.queue) == 0 || len(t.queue) > 0 && t.queue[0].DTS < next.queue[0].DTS {
				next = t
			}
		}
		if len(next.queue) == 0 {
			return
		}
		f := &next.queue[0]
		for _, t := range p.tracks {
			if t != next && len(t.queue) == 0 && t.align.lastOut < f.DTS && now.Sub(f.Arrival) < p.opts.InterleaveWait && !p.full && p.queued <= p.opts.MaxHeldBytes {
				return
			}
		}
		p.queued -= size(f)
		err := p.session.WriteFrame(f)
		next.pop()
		if err != nil {
			p.announce.Cancel(err)
			return
		}
		p.frames++
		p.stats.Frames.Add(1)
	}
}

// pop removes the first frame from the queue and releases its bytes.
func (t *track) pop() {
	t.queue[0] = ingest.Frame{}
	t.queue = t.queue[1:]
}
