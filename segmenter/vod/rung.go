package vod

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Bounds of a segment that no keyframe ends. They keep memory bounded, and players able to begin.
const (
	maxSegment      = 60 * codec.Clock
	maxSegmentBytes = 128 << 20
)

const (
	// headStart is how much earlier than the first picture sound may begin that is taken to begin with it: decoders of AAC need some frames.
	headStart = codec.Clock / 10
	// usualStep is how long a picture is shown that is the only one.
	usualStep = codec.Clock / 25
)

// picture is a coded picture. It is valid during the call that it is given to.
type picture struct {
	pts, dts int64
	lasts    int64 // ticks; 0: not known
	units    [][]byte
	survey   codec.Survey
	key      bool
	sets     [][]byte // parameter sets for where it brings none; may be nil
	sps      []byte   // the first sequence parameter set that it brings; nil: none
}

// tone is a frame of sound.
type tone struct {
	pts, lasts int64
	frame      []byte
}

// rung writes the segments of one rendition.
type rung struct {
	name   string
	up     *uploads
	cmaf   bool
	target int64 // of a segment, ticks
	slack  int64 // how much earlier a keyframe may end it
	alone  bool  // sound alone, which is cut at multiples of target; else where it is told

	config mpegts.Config
	pool   mpegts.Pool
	mux    *mpegts.Muxer
	open   *mpegts.Buffer
	key    bool // open begins with a keyframe, or has no picture
	due    bool // the next sound begins a segment

	early    []tone // sound that came before the first picture: a segment begins with that
	begun    bool
	origin   int64 // when the first segment begins
	start    int64 // when the open one does
	end      int64 // when the newest unit ends
	delay    int64 // of PTS after DTS, of the newest keyframe
	last     int64 // DTS of the newest picture
	step     int64
	pictures int
	firstPic int64
	lastPic  int64

	rows      []m3u8.Segment
	fragments []m3u8.Segment
	pieces    [][]byte
	remux     fmp4.Remuxer
	head      *fmp4.Head
	bytes     int64
	peak      int
	dependent bool // a segment begins without a keyframe
	forced    int
	sps       []byte // of the newest keyframe
	changes   int    // of that
	spoken    string // CODECS of the sound, where the file knows better
	language  string
	title     string
}

// configure says what the rendition has, before its first unit.
func (r *rung) configure(video codec.Codec, sound *codec.AACConfig) error {
	c := mpegts.Config{}
	if video != 0 {
		c.Video = mpegts.TypeOf(video, 0)
	}
	if sound != nil {
		c.Audio, c.ASC = mpegts.AAC, sound.ASC()
	}
	m, err := mpegts.NewMuxer(c)
	r.mux, r.config = m, c
	return err
}

// video takes a picture.
func (r *rung) video(ctx context.Context, p *picture) error {
	if p.key {
		r.delay = p.pts - p.dts
	}
	at := p.dts + r.delay
	if p.key {
		at = p.pts
	}
	if err := r.described(p); err != nil {
		return err
	}
	switch {
	case r.open == nil:
		if len(r.early) > 0 && r.early[0].pts < at-headStart { // the pictures come later
			r.begin(r.early[0].pts, p.key)
		} else {
			r.begin(at, p.key)
		}
		defer r.release()
	case p.key && at-r.start >= r.target-r.slack:
		if err := r.cut(ctx, at, true); err != nil {
			return err
		}
	case at-r.start >= maxSegment || r.open.Len() >= maxSegmentBytes:
		r.forced++
		if err := r.cut(ctx, at, false); err != nil {
			return err
		}
	}
	if r.pictures > 0 {
		r.step = p.dts - r.last
	} else {
		r.firstPic, r.lastPic = p.dts, p.dts
	}
	r.pictures++
	r.last = p.dts
	if p.lasts == 0 {
		p.lasts = r.step
	}
	r.lastPic = max(r.lastPic, p.dts+p.lasts)
	r.end = max(r.end, p.pts+p.lasts)
	r.mux.Video(r.open, mpegts.VideoUnit{PTS: p.pts, DTS: p.dts, Units: p.units, Survey: p.survey, IDR: p.key, ParameterSets: p.sets})
	return nil
}

// described looks whether a picture is described as those before it are.
func (r *rung) described(p *picture) error {
	switch {
	case p.sps == nil || bytes.Equal(p.sps, r.sps):
		return nil
	case r.sps != nil:
		r.changes++
		if r.cmaf {
			return refuse(CodeCodec, "the pictures change within the film, at %.1f s, in their size or how they are coded, and fragments have one description for all: make the package without CMAF, or an adaptive_video package, which codes them anew", codec.Duration(p.pts).Seconds())
		}
	}
	r.sps = bytes.Clone(p.sps)
	return nil
}

// sound takes a frame.
func (r *rung) sound(ctx context.Context, t *tone) error {
	switch {
	case r.open == nil && r.config.Video != 0 && (len(r.early) == 0 || t.pts-r.early[0].pts < patience):
		r.early = append(r.early, tone{t.pts, t.lasts, slices.Clone(t.frame)})
		return nil
	case r.open == nil && r.config.Video != 0:
		r.begin(r.early[0].pts, true)
		r.release()
	case r.open == nil:
		r.begin(t.pts, true)
	case r.config.Video == 0 && (r.due || r.alone && t.pts >= r.origin+int64(len(r.rows)+1)*r.target):
		r.due = false
		if err := r.cut(ctx, t.pts, true); err != nil {
			return err
		}
	case r.config.Video != 0 && t.pts-r.start >= r.target && t.pts-r.last > 2*r.target, t.pts-r.start >= maxSegment && r.config.Video == 0:
		// The pictures are over, or have not begun, and the sound goes on.
		r.mux.Away(mpegts.VideoTrack)
		if err := r.cut(ctx, t.pts, true); err != nil {
			return err
		}
	}
	r.end = max(r.end, t.pts+t.lasts)
	r.mux.Audio(r.open, t.pts, t.frame)
	return nil
}

// release writes the sound that has waited for the first picture.
func (r *rung) release() {
	for i := range r.early {
		t := &r.early[i]
		r.end = max(r.end, t.pts+t.lasts)
		r.mux.Audio(r.open, t.pts, t.frame)
	}
	r.early = nil
}

func (r *rung) begin(at int64, key bool) {
	if !r.begun {
		r.begun, r.origin, r.end = true, at, at
	}
	r.start, r.key = at, key
	r.open = r.pool.Buffer()
	r.mux.Begin(r.open)
}

// cut ends the segment in hand at a time, and begins the next.
func (r *rung) cut(ctx context.Context, at int64, key bool) error {
	if err := r.finish(ctx, at); err != nil {
		return err
	}
	r.begin(at, key)
	return nil
}

// finish ends the segment in hand, and sends it.
func (r *rung) finish(ctx context.Context, at int64) error {
	b := r.open
	r.open = nil
	r.mux.FlushAudio(b)
	sent := false
	defer func() {
		if !sent {
			b.Release()
		}
	}()
	s := m3u8.Segment{URI: segmentName(len(r.rows), "ts"), Duration: max(at-r.start, 1), Size: int64(b.Len()), CRC32C: b.CRC32C()}
	r.dependent = r.dependent || !r.key
	r.bytes += s.Size
	if s.Duration >= codec.Clock/2 {
		r.peak = max(r.peak, int(s.Size*8*codec.Clock/s.Duration))
	}
	r.pieces = b.Slices(nil) // they are being sent when those of the next segment are looked at
	if r.head == nil || r.head.Lacks {
		h, err := r.remux.Head(r.pieces)
		if err != nil {
			return fmt.Errorf("segment %d of %s: %w", len(r.rows), r.name, err)
		}
		if r.head == nil || !h.Lacks {
			r.head = h
		}
	}
	if r.cmaf {
		if err := r.fragment(ctx, s.Duration); err != nil {
			return err
		}
	}
	r.rows = append(r.rows, s)
	sent = true
	return r.up.send(ctx, r.name+"/"+s.URI, typeTS, r.pieces, b.Release)
}

// fragment renders the segment in hand as CMAF, and sends it: of its pictures, or where it has none of its sound.
func (r *rung) fragment(ctx context.Context, lasts int64) error {
	n := len(r.rows)
	memory, tracks, err := r.remux.Remux(r.up.memory(r.size()+4096), r.pieces, fmp4.Segment{Number: uint64(n), Start: r.start + mpegts.Offset, Duration: lasts})
	if err != nil {
		return fmt.Errorf("fragment %d of %s: %w", n, r.name, err)
	}
	data := tracks.Video.Data
	if r.config.Video == 0 {
		data = tracks.Audio.Data
	}
	if len(data) == 0 { // a segment without a picture: it is a gap of this track
		r.fragments = append(r.fragments, m3u8.Segment{URI: segmentName(n, "m4s"), Duration: lasts, Gap: true})
		return nil
	}
	r.fragments = append(r.fragments, m3u8.Segment{URI: segmentName(n, "m4s"), Duration: lasts, Size: int64(len(data)), CRC32C: mpegts.Checksum(data)})
	return r.up.send(ctx, r.name+"/"+segmentName(n, "m4s"), typeMP4(r.config.Video == 0), [][]byte{data}, func() { r.up.keep(memory) })
}

// size is the length of the segment in hand, bytes.
func (r *rung) size() (n int) {
	for _, p := range r.pieces {
		n += len(p)
	}
	return n
}

// close ends the rendition. ok is false where it has nothing.
func (r *rung) close(ctx context.Context) (d RungDone, ok bool, err error) {
	if r.open == nil && len(r.early) > 0 { // there is no picture at all
		r.begin(r.early[0].pts, true)
		r.release()
	}
	if r.pictures == 1 && r.lastPic == r.firstPic { // nothing says how long it is shown
		r.end = max(r.end, r.origin+usualStep)
	}
	if r.open != nil {
		if err := r.finish(ctx, r.end); err != nil {
			return d, false, err
		}
	}
	if len(r.rows) == 0 || r.config.Video != 0 && r.head.Video == nil { // a picture without its parameter sets is none
		return d, false, nil
	}
	d = RungDone{Segments: len(r.rows), Bytes: r.bytes, Ticks: r.end - r.origin, Start: r.origin + mpegts.Offset, Language: r.language, Title: r.title}
	d.Average = int(r.bytes * 8 * codec.Clock / max(d.Ticks, 1))
	d.Peak = max(r.peak, d.Average)
	if v := r.head.Video; v != nil {
		d.Video, d.Width, d.Height = v.Name(), v.Width, v.Height
		if v.Range() != "SDR" {
			d.Range = v.Range()
		}
		if span := r.lastPic - r.firstPic; span > 0 {
			d.FrameRate = codec.PlausibleRate(float64(r.pictures) * codec.Clock / float64(span))
		}
	}
	if a := r.head.Audio; a != nil {
		d.Audio, d.Rate, d.Channels = a.Name(), a.Rate, a.Channels
		if r.spoken != "" {
			d.Audio = r.spoken
		}
	}
	list := m3u8.Media{Type: m3u8.VOD, IndependentSegments: !r.dependent, EndList: true, TargetDuration: longest(r.rows), Segments: r.rows}
	d.Playlist = string(list.Append(nil))
	if r.cmaf && r.head.Video == nil && r.head.Audio == nil {
		return d, false, fmt.Errorf("the rendition %s has no configuration that its init segment could be made of", r.name)
	}
	if r.cmaf {
		init := r.init()
		list.Segments = r.fragments
		list.Segments[0].Map = initName
		d.CMAF = string(list.Append(nil))
		if err := r.up.send(ctx, r.name+"/"+initName, typeMP4(r.config.Video == 0), [][]byte{init}, nil); err != nil {
			return d, false, err
		}
	}
	return d, true, nil
}

func (r *rung) init() []byte {
	if r.config.Video != 0 {
		return fmp4.AppendVideoInit(nil, r.head.Video)
	}
	return fmp4.AppendAudioInit(nil, *r.head.Audio)
}

// longest is the target duration of segments, seconds.
func longest(rows []m3u8.Segment) int {
	n := int64(1)
	for i := range rows {
		n = max(n, (rows[i].Duration+codec.Clock/2)/codec.Clock)
	}
	return int(n)
}
