package fmp4

import (
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Segment is what is known of a segment beside its bytes.
type Segment struct {
	Number   uint64
	Start    int64 // wall time, in 90 kHz ticks since 1970: it tells the laps of the 33 bits of time stamps apart
	Duration int64 // 90 kHz ticks; 0: not known
}

// Track is one track of a segment: a moof with its mdat for each part of it.
type Track struct {
	Data []byte
	Ends []int // where each part ends in Data; nil where there is one
}

// Part is the i-th part alone. It has no Data where the track has none.
func (t Track) Part(i int) Track {
	if len(t.Ends) == 0 {
		return t
	}
	from := 0
	if i > 0 {
		from = t.Ends[i-1]
	}
	return Track{Data: t.Data[from:t.Ends[i]:t.Ends[i]]}
}

// Tracks are those of a segment. One that the segment does not have, or that has no form in CMAF, as MP3, has no Data.
type Tracks struct{ Video, Audio Track }

// Remuxer renders segments. It serves one goroutine at a time; the zero value is ready, and keeps memory to work in.
type Remuxer struct {
	in    mpegts.Demuxer
	video video
	audio audio

	picture []byte // the first one of a segment, for Head

	dst      []byte
	sequence uint32 // of the first fragment
	base     int64  // a time of the segment, unwrapped
	based    bool
	excerpt  Excerpt // what is rendered of the segment
}

// Remux renders the tracks of a segment, which is given in pieces of whole packets, behind dst. The tracks that it returns lie in
// the slice that it returns, of which nothing else can be said. The error is mpegts.ErrDamaged or mpegts.ErrNotTS.
func (r *Remuxer) Remux(dst []byte, pieces [][]byte, s Segment) ([]byte, Tracks, error) {
	r.excerpt = whole()
	return r.remux(dst, pieces, s)
}

func (r *Remuxer) remux(dst []byte, pieces [][]byte, s Segment) ([]byte, Tracks, error) {
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	r.dst = slices.Grow(dst, size+headSize(true, usual))
	r.base, r.based, r.sequence = s.Start, false, uint32(s.Number<<8)+1
	v, a := &r.video, &r.audio
	parts, err := r.in.Read(pieces, (*rendering)(r))
	if err != nil {
		v.out, r.dst = nil, nil
		return dst, Tracks{}, err
	}
	last := r.excerpt.First + parts - 1
	if v.codec != 0 {
		end := r.over(s.Duration)
		v.turn(last, r.sequence, end)
		v.finish(r.sequence+uint32(last), end)
	}
	if a.there {
		a.turn(last, r.sequence)
		a.finish(r.sequence + uint32(last))
	}
	to := len(v.out)
	out := append(v.out, a.out...)
	t := Tracks{Track{Data: out[v.from:to:to]}, Track{Data: out[to:]}}
	if parts > 1 {
		both := slices.Concat(v.ends, a.ends)
		t.Video.Ends, t.Audio.Ends = both[:len(v.ends):len(v.ends)], both[len(v.ends):]
	}
	v.out, r.dst = nil, nil // they are the caller's
	out, t = r.withEvents(dst, out, t, pieces)
	return out, t, nil
}

// rendering is a Remuxer as the Demuxer sees it.
type rendering Remuxer

// Program implements mpegts.Handler.
func (r *rendering) Program(v, a mpegts.StreamType) error {
	r.video.reset(videoCodec(v), r.dst)
	r.audio.reset(a == mpegts.AAC)
	(*Remuxer)(r).resume()
	return nil
}

// Begin implements mpegts.Handler.
func (r *rendering) Begin(u *mpegts.Unit) error {
	t, part := (*Remuxer)(r).unwrap(u.DTS), r.excerpt.First+u.Part
	if u.Track == mpegts.VideoTrack {
		r.video.turn(part, r.sequence, t)
		return r.video.start(u, t)
	}
	if r.audio.there {
		r.audio.turn(part, r.sequence)
		r.audio.start(t)
	}
	return nil
}

// Bytes implements mpegts.Handler.
func (r *rendering) Bytes(t mpegts.Track, p []byte) {
	if t == mpegts.VideoTrack {
		r.video.write(p)
	} else if r.audio.there {
		r.audio.packet = append(r.audio.packet, p...)
	}
}

// Packets implements mpegts.Handler.
func (r *rendering) Packets(_ mpegts.Track, run *mpegts.Run) { r.video.packets(run) }

// End implements mpegts.Handler.
func (r *rendering) End(t mpegts.Track) error {
	if t == mpegts.VideoTrack {
		return r.video.end()
	}
	if !r.audio.there {
		return nil
	}
	return r.audio.end()
}

// videoCodec is that of a stream type; 0 where there is none.
func videoCodec(t mpegts.StreamType) codec.Codec {
	switch t {
	case mpegts.H264:
		return codec.H264
	case mpegts.H265:
		return codec.H265
	}
	return 0
}

// unwrap is a time stamp on the time line that does not wrap: for the first of the segment the one closest to the wall time, for
// the others the one closest to that.
func (r *Remuxer) unwrap(stamp int64) int64 {
	t := Unwrap(r.base, stamp)
	if !r.based {
		r.base, r.based = t, true
	}
	return t
}

// Unwrap is a time stamp of 33 bits on the time line that does not wrap: the one closest to a time near it, both in 90 kHz ticks.
func Unwrap(near, stamp int64) int64 { return near + mpegts.Distance(near, stamp) }
