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

// Tracks are those of a segment. One that the segment does not have, or that has no form in CMAF, as MP3, has no Data.
type Tracks struct{ Video, Audio Track }

// Remuxer renders segments. It serves one goroutine at a time; the zero value is ready, and keeps memory to work in.
type Remuxer struct {
	in    mpegts.Demuxer
	video video
	audio audio

	base  int64 // a time of the segment, unwrapped
	based bool
}

// Remux renders the tracks of a segment, which is given in pieces of whole packets, behind dst: first the video, then the audio. It
// returns dst with what is behind it, to which the tracks refer. The error is mpegts.ErrDamaged or mpegts.ErrNotTS, and then
// nothing is behind dst.
func (r *Remuxer) Remux(dst []byte, pieces [][]byte, s Segment) ([]byte, Tracks, error) {
	if err := r.open(pieces, dst); err != nil {
		return dst, Tracks{}, err
	}
	r.base, r.based = s.Start, false
	sequence := uint32(s.Number<<8) + 1
	err := r.in.Each(func(u *mpegts.Unit) error {
		t := r.unwrap(u.DTS)
		if u.Track == mpegts.AudioTrack {
			if !r.audio.there {
				return nil
			}
			r.audio.turn(u.Part, sequence)
			return r.audio.add(u, t)
		}
		r.video.turn(u.Part, sequence, t)
		return r.video.add(u, t)
	})
	v, a := &r.video, &r.audio
	if err != nil {
		v.out = nil
		return dst, Tracks{}, err
	}
	last := len(r.in.Parts()) - 1
	if v.codec != 0 {
		end := r.base
		if v.count > 0 {
			end = v.end(s.Duration)
		}
		v.turn(last, sequence, end)
		v.finish(sequence+uint32(last), end)
	}
	if a.there {
		if a.config.Rate == 0 {
			a.next = r.base
		}
		a.turn(last, sequence)
		a.finish(sequence + uint32(last))
	}
	out := v.out
	v.out = nil // it is the caller's
	from, to := len(dst), len(out)
	out = append(out, a.out...)
	t := Tracks{Track{Data: out[from:to:to]}, Track{Data: out[to:]}}
	if last > 0 {
		both := slices.Concat(v.ends, a.ends)
		for i := range both[:len(v.ends)] {
			both[i] -= from
		}
		t.Video.Ends, t.Audio.Ends = both[:len(v.ends):len(v.ends)], both[len(v.ends):]
	}
	return out, t, nil
}

// open looks through a segment.
func (r *Remuxer) open(pieces [][]byte, out []byte) error {
	if err := r.in.Open(pieces); err != nil {
		return err
	}
	size, sound := r.in.Bytes()
	v, a := r.in.Streams()
	out = slices.Grow(out, size+sound)
	r.video.reset(videoCodec(v), r.in.Parts(), size, out)
	r.audio.reset(a == mpegts.AAC)
	return nil
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
