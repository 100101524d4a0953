package fmp4

import (
	"bytes"
	"errors"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Head is what the beginning of a segment says of it.
type Head struct {
	// Video is the configuration of its video, by the parameter sets of its first picture, and described; nil where it has none,
	// or where they are missing.
	Video *codec.Video
	// Audio is that of its AAC; nil where it has none.
	Audio *codec.AACConfig
	// Unfit names what of it has no form in CMAF; empty: nothing.
	Unfit string
	// PTS is that of the first picture, or of the first sound where there is no video, 90 kHz, modulo 2^33.
	PTS int64
	// Captions says that there are CEA-608 or CEA-708 captions in the first picture.
	Captions bool
}

// errRead ends the reading of a head.
var errRead = errors.New("all is known")

// Head reads the head of a segment, with the errors of Remux.
func (r *Remuxer) Head(pieces [][]byte) (*Head, error) {
	if err := r.in.Open(pieces); err != nil {
		return nil, err
	}
	v, a := r.in.Streams()
	c := videoCodec(v)
	h := &Head{}
	if a == mpegts.MP3MPEG1 || a == mpegts.MP3MPEG2 {
		h.Unfit = "MP3"
	}
	needsVideo, needsAudio, timed := c != 0, a == mpegts.AAC, false
	err := r.in.Each(func(u *mpegts.Unit) error {
		switch {
		case u.Track == mpegts.VideoTrack && needsVideo:
			needsVideo = false
			h.PTS, timed = u.PTS, true
			h.picture(c, u.Data)
		case u.Track == mpegts.AudioTrack && needsAudio:
			needsAudio = false
			if c, _, ok := codec.ParseADTS(u.Data); ok {
				h.Audio = &c
			}
			if c == 0 && !timed {
				h.PTS = u.PTS
			}
		}
		if !needsVideo && !needsAudio {
			return errRead
		}
		return nil
	})
	if err != nil && err != errRead {
		return nil, err
	}
	return h, nil
}

// picture reads the parameter sets of the first picture.
func (h *Head) picture(c codec.Codec, data []byte) {
	units, _ := split(nil, data)
	h.Captions = c.Survey(units).Captions
	v := &codec.Video{Codec: c}
	for _, u := range units {
		list := &v.PPS
		switch c.NAL(u) {
		case codec.KindVPS:
			list = &v.VPS
		case codec.KindSPS:
			list = &v.SPS
		case codec.KindPPS:
		default:
			continue
		}
		known := false
		for _, s := range *list {
			known = known || bytes.Equal(s, u)
		}
		if !known {
			*list = append(*list, bytes.Clone(u))
		}
	}
	if v.Complete() {
		_ = v.Describe() // a decoder may understand more than we do
		h.Video = v
	}
}
