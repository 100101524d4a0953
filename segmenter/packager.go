package segmenter

import (
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/id3"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// packager writes transport stream segments as a cutter's events say. A second output is a second packager that is given
// the same events.
type packager struct {
	pool  *mpegts.Pool
	stats *Stats
	sink  sink
	sound bool // it carries sound alone
	parts bool // segments have parts
	late  bool // another muxer wrote what the recording has so far, before a restart

	tags      id3.Queue // timed metadata that has no place yet
	announced bool      // the program has timed metadata, for the rest of the recording

	mux     *mpegts.Muxer
	resume  *mpegts.State // what another server's has before the first segment; nil: none
	tracks  cut.Tracks
	sets    [][]byte // parameter sets of the picture
	open    *draft
	closing *draft // complete but for late sound
}

// draft is a segment while it is written.
type draft struct {
	cut.Segment
	tracks     cut.Tracks
	buf        *mpegts.Buffer
	growth     *growth // nil: it has no parts
	frames     int
	videoBytes int64
	captions   variant.Captions
	key        int // bytes up to the end of the first picture, if that is a keyframe
	pictures   int

	at    int64 // where it has got to: the newest unit of the track that leads, presentation time
	lasts int64 // of that unit, ticks
}

// renumber gives the segment in hand another number: nobody has been shown it by its old one.
func (p *packager) renumber(number uint64) {
	if p.open != nil {
		p.open.Number = number
		if g := p.open.growth; g != nil {
			g.withdrawn = true // its parts have the other number
		}
		p.sink.open(number)
		p.sink.unpart(number)
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
func (p *packager) take(e *cut.Event) {
	switch e.Kind {
	case cut.EventOpen:
		p.begin(e)
	case cut.EventUnit:
		p.unit(e)
	case cut.EventPart:
		p.part(e)
	case cut.EventClose:
		p.finish(e)
	case cut.EventBreak:
		p.tags.Break()
		if p.mux != nil {
			p.mux.Discontinuity()
		}
	}
}

func (p *packager) begin(e *cut.Event) {
	t := e.Tracks
	if p.sound {
		t.Video = nil
		if t.Audio == nil {
			return
		}
	}
	p.configure(t, p.announced || p.tags.Wants(e.Segment.Number))
	p.closing = p.open
	p.open = &draft{Segment: e.Segment, tracks: t, buf: p.pool.Buffer(), at: e.Segment.Start}
	if p.sound {
		p.open.Independent = true
	}
	if p.parts {
		p.open.growth = newGrowth(&p.open.Segment, p.open.buf)
	}
	p.mux.Begin(p.open.buf)
	p.sink.open(e.Segment.Number)
}

// part ends a part of a segment and begins the next. One without frames is not worth having: what it lasts is the next one's.
func (p *packager) part(e *cut.Event) {
	d := p.draft(e.Number)
	if d == nil || d.growth == nil || d.growth.withdrawn {
		return
	}
	if at := e.Segment.Wall; !at.IsZero() {
		d.growth.row.Start = at
	}
	next := int64(Unknown)
	if !e.Sound || d.tracks.Video == nil {
		next = (e.Next + mpegts.Offset) & (1<<33 - 1)
	}
	if p.mux.EndPart(d.buf); !d.growth.end(e.Length, e.PartTarget, next) {
		return
	}
	p.sink.grow(d.growth)
	p.mux.BeginPart(d.buf)
}

// configure makes the muxer fit the tracks, which were checked by configured: there is no error any more. metadata says that the
// program has timed metadata beside them.
func (p *packager) configure(t cut.Tracks, metadata bool) {
	if t.Video != p.tracks.Video && t.Video != nil {
		p.sets = parameterSets(t.Video)
	}
	same := p.mux != nil && t.Same(p.tracks) && metadata == p.announced
	if p.tracks, p.announced = t, metadata; same {
		return
	}
	c := program(t)
	c.ID3 = metadata
	if p.mux == nil {
		if p.mux, _ = mpegts.NewMuxer(c); p.late {
			p.mux.Discontinuity()
		}
		if p.resume != nil {
			p.mux.Resume(*p.resume)
			p.resume = nil
		}
		return
	}
	if p.open != nil && p.open.tracks.Audio != nil {
		p.mux.FlushAudio(p.open.buf) // what gathers is of the old configuration
	}
	_ = p.mux.Reconfigure(c)
}

// draft finds the segment of a number; nil where this packager does not write it.
func (p *packager) draft(number uint64) *draft {
	switch {
	case p.open != nil && p.open.Number == number:
		return p.open
	case p.closing != nil && p.closing.Number == number:
		return p.closing
	}
	return nil
}

func (p *packager) unit(e *cut.Event) {
	u, d := e.Unit, p.draft(e.Number)
	if d == nil || u.Video && p.sound {
		return
	}
	opening := d.frames == 0
	d.frames++
	if u.Video || u.Silent || d.tracks.Video == nil {
		d.at, d.lasts = d.Start+u.Boundary-d.Boundary, u.Duration
		if p.tags.Len() > 0 && !opening {
			p.tag(d, false)
		}
	}
	if d.growth != nil && (u.Access || p.sound || d.tracks.Video == nil) {
		d.growth.access = true
	}
	if !p.sound {
		p.stats.Frames.Add(1)
	}
	if u.Alone && !p.sound {
		other := mpegts.AudioTrack
		if !u.Video {
			other = mpegts.VideoTrack
		}
		p.mux.Away(other)
	}
	p.write(u, d)
	if p.tags.Len() > 0 && opening {
		p.tag(d, true)
	}
}

// tag writes the timed metadata whose time a segment has reached. opening says that it has its first unit and nothing else, which
// stands before everything.
func (p *packager) tag(d *draft, opening bool) {
	for d == p.open {
		tag, at, ok := p.tags.Next(d.Number, d.Start, d.at, opening)
		if !ok {
			return
		}
		p.mux.Metadata(d.buf, at, tag)
	}
}

// write gives a unit to the muxer.
func (p *packager) write(u *cut.Unit, d *draft) {
	if !u.Video {
		p.mux.Audio(d.buf, u.PTS, u.Frame.Units[0])
		return
	}
	if t := u.Frame.Track; t != p.tracks.Video { // the same configuration, sent again
		p.tracks.Video, p.sets = t, parameterSets(t)
		d.tracks.Video = t
	}
	p.mux.Video(d.buf, mpegts.VideoUnit{PTS: u.PTS, DTS: u.DTS, Units: u.Frame.Units, IDR: u.Key, ParameterSets: p.sets, Survey: u.Survey})
	if d.pictures++; d.pictures == 1 && u.Survey.Access != codec.NoAccess && u.Survey.RecoverIn == 0 {
		d.key = d.buf.Len()
	}
	for _, n := range u.Frame.Units {
		d.videoBytes += int64(len(n))
	}
	if u.Survey.Captions {
		d.captions.Sent, d.captions.Channels = true, d.captions.Channels|u.Survey.Channels
	}
}

func (p *packager) finish(e *cut.Event) {
	d := p.draft(e.Segment.Number)
	if d == nil {
		return
	}
	if d == p.open {
		p.open = nil
	} else {
		p.closing = nil
	}
	if d.tracks.Audio != nil {
		p.mux.FlushAudio(d.buf)
	}
	if g := d.growth; g != nil && !g.withdrawn {
		g.end(e.End-e.Segment.Start-g.lasted-g.owed, e.PartTarget, AtEnd)
	}
	f := finished{
		Segment: e.Segment, end: e.End, target: e.Target, cutOff: e.CutOff,
		buf: d.buf, growth: d.growth, frames: d.frames, videoBytes: d.videoBytes, captions: d.captions, key: d.key, tracks: d.tracks,
	}
	if p.sound {
		f.Independent = true
	}
	if !p.sink.list(&f) {
		p.mux.Discontinuity() // nobody sees its packets, and counters have run on in them
	}
}

// configured reports whether the track can be muxed. It is asked once for each track, not for every frame.
func configured(t *ingest.Track) bool {
	switch t.Codec {
	case ingest.H264, ingest.H265:
		v := codec.Video{Codec: t.Codec, VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}
		return v.Complete()
	case ingest.AAC:
		return mpegts.Config{Audio: mpegts.AAC, ASC: t.ASC}.Check() == nil
	case ingest.MP3:
		return true
	}
	return false
}

// parameterSets are those of a video track in the order in which they stand before a keyframe.
func parameterSets(t *ingest.Track) [][]byte { return slices.Concat(t.VPS, t.SPS, t.PPS) }

// program is the tracks as a transport stream has them.
func program(t cut.Tracks) mpegts.Config {
	c := mpegts.Config{Video: streamType(t.Video), Audio: streamType(t.Audio)}
	if t.Audio != nil {
		c.ASC = t.Audio.ASC
	}
	return c
}

func streamType(t *ingest.Track) mpegts.StreamType {
	if t == nil {
		return 0
	}
	switch t.Codec {
	case ingest.H264:
		return mpegts.H264
	case ingest.H265:
		return mpegts.H265
	case ingest.AAC:
		return mpegts.AAC
	}
	if t.SampleRate > 0 && t.SampleRate < codec.MP3MPEG1 {
		return mpegts.MP3MPEG2
	}
	return mpegts.MP3MPEG1
}
