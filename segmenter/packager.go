package segmenter

import "github.com/hlsorigin/hlsorigin/segmenter/mpegts"

// packager writes transport stream segments as a cutter's events say. A second output is a second packager that is given
// the same events.
type packager struct {
	pool  *mpegts.Pool
	stats *Stats
	sink  sink
	sound bool // it carries sound alone
	late  bool // another muxer wrote what the recording has so far, before a restart

	mux     *mpegts.Muxer
	tracks  tracks
	sets    [][]byte // parameter sets of the picture
	open    *draft
	closing *draft // complete but for late sound
}

// draft is a segment while it is written.
type draft struct {
	segment
	tracks     tracks
	buf        *mpegts.Buffer
	frames     int
	videoBytes int64
}

// renumber gives the segment in hand another number: nobody has been shown it by its old one.
func (p *packager) renumber(number uint64) {
	if p.open != nil {
		p.open.number = number
		p.sink.open(number)
	}
}

// size is the length of the segment in hand, bytes.
func (p *packager) size() int {
	if p.open == nil {
		return 0
	}
	return p.open.buf.Len()
}

// take consumes an event.
func (p *packager) take(e *event) {
	switch e.kind {
	case evOpen:
		p.begin(e)
	case evUnit:
		p.unit(e)
	case evClose:
		p.finish(e)
	case evBreak:
		if p.mux != nil {
			p.mux.Discontinuity()
		}
	}
}

func (p *packager) begin(e *event) {
	t := e.tracks
	if p.sound {
		t.video = nil
		if t.audio == nil {
			return
		}
	}
	p.configure(t)
	p.closing = p.open
	p.open = &draft{segment: e.segment, tracks: t, buf: p.pool.Buffer()}
	if p.sound {
		p.open.independent = true
	}
	p.mux.Begin(p.open.buf)
	p.sink.open(e.segment.number)
}

// configure makes the muxer fit the tracks, which were checked by configured: there is no error any more.
func (p *packager) configure(t tracks) {
	if t.video != p.tracks.video && t.video != nil {
		p.sets = parameterSets(t.video)
	}
	same := p.mux != nil && t.same(p.tracks)
	if p.tracks = t; same {
		return
	}
	if p.mux == nil {
		if p.mux, _ = mpegts.NewMuxer(program(t)); p.late {
			p.mux.Discontinuity()
		}
		return
	}
	if p.open != nil && p.open.tracks.audio != nil {
		p.mux.FlushAudio(p.open.buf) // what gathers is of the old configuration
	}
	_ = p.mux.Reconfigure(program(t))
}

// draft finds the segment of a number; nil where this packager does not write it.
func (p *packager) draft(number uint64) *draft {
	switch {
	case p.open != nil && p.open.number == number:
		return p.open
	case p.closing != nil && p.closing.number == number:
		return p.closing
	}
	return nil
}

func (p *packager) unit(e *event) {
	u, d := e.unit, p.draft(e.number)
	if d == nil || u.video && p.sound {
		return
	}
	d.frames++
	if !p.sound {
		p.stats.Frames.Add(1)
	}
	if u.alone && !p.sound {
		other := mpegts.AudioTrack
		if !u.video {
			other = mpegts.VideoTrack
		}
		p.mux.Away(other)
	}
	if !u.video {
		p.mux.Audio(d.buf, u.pts, u.frame.Units[0])
		return
	}
	if t := u.frame.Track; t != p.tracks.video { // the same configuration, sent again
		p.tracks.video, p.sets = t, parameterSets(t)
		d.tracks.video = t
	}
	p.mux.Video(d.buf, mpegts.VideoUnit{PTS: u.pts, DTS: u.dts, Units: u.frame.Units, IDR: u.key, ParameterSets: p.sets, Survey: u.survey})
	for _, n := range u.frame.Units {
		d.videoBytes += int64(len(n))
	}
}

func (p *packager) finish(e *event) {
	d := p.draft(e.segment.number)
	if d == nil {
		return
	}
	if d == p.open {
		p.open = nil
	} else {
		p.closing = nil
	}
	if d.tracks.audio != nil {
		p.mux.FlushAudio(d.buf)
	}
	f := finished{
		segment: e.segment, end: e.end, target: e.target, cutOff: e.cutOff,
		buf: d.buf, frames: d.frames, videoBytes: d.videoBytes, tracks: d.tracks,
	}
	if p.sound {
		f.independent = true
	}
	if !p.sink.list(&f) {
		p.mux.Discontinuity() // nobody sees its packets, and counters have run on in them
	}
}
