package flv

import (
	"bytes"
	"encoding/binary"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// videoTrack is the state of the video of one publisher.
type videoTrack struct {
	codec  ingest.Codec
	raw    []byte       // the sequence header in use, to know a repeated one
	config *videoConfig // nil before a usable one has come
	track  *ingest.Track
}

const (
	packetHeader = 0
	packetFrame  = 1
	packetEnd    = 2
	packetFrameX = 3 // enhanced: a frame whose composition offset is 0
	packetMeta   = 4 // enhanced: colour information
	packetMulti  = 6 // enhanced v2: several tracks
)

// videoTag reads a VIDEODATA body. The key flag is the encoder's: FLV frame type 1.
func (d *Demuxer) videoTag(dts int64, b []byte) error {
	if b[0]&0x80 != 0 {
		return d.enhancedVideo(dts, b)
	}
	frameType, codec := b[0]>>4, b[0]&0x0f
	if frameType == 5 { // an info frame: seek markers
		return nil
	}
	c := ingest.H264
	switch codec {
	case 7:
	case 12: // H.265 as encoders of the years before Enhanced RTMP send it
		c = ingest.H265
	default:
		return ingest.Refuse(ingest.Unsupported, "%s video is not supported: set the encoder to H.264, or to H.265 over enhanced RTMP",
			legacyVideo(codec))
	}
	if len(b) < 5 {
		d.stats.Malformed.Add(1)
		return nil
	}
	switch b[1] {
	case packetHeader:
		d.videoHeader(c, b[5:])
	case packetFrame:
		return d.videoFrame(c, dts, s24(b[2:]), frameType == 1, b[5:])
	case packetEnd:
	default:
		d.stats.Malformed.Add(1)
	}
	return nil
}

// enhancedVideo reads a body with a fourcc (Enhanced RTMP v1, and v2's avc1).
func (d *Demuxer) enhancedVideo(dts int64, b []byte) error {
	frameType, packet := b[0]>>4&7, b[0]&0x0f
	if frameType == 5 {
		return nil
	}
	if packet == packetMulti {
		return ingest.Refuse(ingest.Unsupported, "several video tracks in one RTMP stream are not supported: publish each as a stream of its own")
	}
	if len(b) < 5 {
		d.stats.Malformed.Add(1)
		return nil
	}
	fourcc := b[1:5]
	b = b[5:]
	var c ingest.Codec
	switch string(fourcc) {
	case "hvc1":
		c = ingest.H265
	case "avc1":
		c = ingest.H264
	default:
		return ingest.Refuse(ingest.Unsupported, "%s video is not supported: set the encoder to H.264 or H.265", fourccName(fourcc))
	}
	key := frameType == 1
	switch packet {
	case packetHeader:
		d.videoHeader(c, b)
	case packetFrame:
		if len(b) < 3 {
			d.stats.Malformed.Add(1)
			return nil
		}
		return d.videoFrame(c, dts, s24(b), key, b[3:])
	case packetFrameX:
		return d.videoFrame(c, dts, 0, key, b)
	case packetEnd, packetMeta:
	default:
		d.stats.Malformed.Add(1)
	}
	return nil
}

// videoHeader takes a sequence header. Encoders repeat it, some with each keyframe: only a different one counts.
func (d *Demuxer) videoHeader(c ingest.Codec, b []byte) {
	v := &d.video
	if v.config != nil && v.codec == c && bytes.Equal(v.raw, b) {
		return
	}
	v.codec, v.raw, v.track = c, bytes.Clone(b), nil
	if v.config = parseVideoConfig(c, v.raw); v.config == nil {
		d.stats.Malformed.Add(1)
	}
}

func (d *Demuxer) videoFrame(c ingest.Codec, dts, offset int64, key bool, b []byte) error {
	v := &d.video
	if v.config == nil || v.codec != c {
		d.stats.NoHeader.Add(1)
		return nil
	}
	if !d.split(b, v.config.lengthSize) {
		d.stats.Malformed.Add(1)
		return nil
	}
	if v.track == nil {
		v.track = v.config.track(c, &d.meta)
	}
	return d.emit(v.track, dts+offset*ticks, dts, key)
}

// split cuts a picture into NAL units; false where the lengths do not add up, or nothing is in it.
func (d *Demuxer) split(b []byte, lengthSize int) bool {
	d.units = d.units[:0]
	for len(b) > 0 {
		if len(b) < lengthSize {
			return false
		}
		var n uint64
		switch lengthSize {
		case 4:
			n = uint64(binary.BigEndian.Uint32(b))
		case 2:
			n = uint64(binary.BigEndian.Uint16(b))
		case 1:
			n = uint64(b[0])
		}
		b = b[lengthSize:]
		if n > uint64(len(b)) || len(d.units) == maxUnits {
			return false
		}
		if n > 0 {
			d.units = append(d.units, b[:n:n])
		}
		b = b[n:]
	}
	return len(d.units) > 0
}

// maxUnits bounds the NAL units of one picture: 4K H.265 in small slices stays below 1,000.
const maxUnits = 4096

func s24(b []byte) int64 {
	return int64(int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8)
}

func legacyVideo(codec byte) string {
	switch codec {
	case 1:
		return "JPEG"
	case 2:
		return "Sorenson H.263"
	case 3, 6:
		return "screen"
	case 4, 5:
		return "VP6"
	case 8:
		return "H.263"
	case 9:
		return "MPEG-4 part 2"
	case 13:
		return "AV1"
	}
	return "this kind of"
}

func fourccName(b []byte) string {
	switch s := string(b); s {
	case "av01":
		return "AV1"
	case "vp08":
		return "VP8"
	case "vp09":
		return "VP9"
	case "vvc1":
		return "H.266"
	case "Opus":
		return "Opus"
	case "ac-3":
		return "AC-3"
	case "ec-3":
		return "E-AC-3"
	case "fLaC":
		return "FLAC"
	}
	for _, c := range b {
		if c < '0' || c > 'z' {
			return "this kind of"
		}
	}
	return "\"" + string(b) + "\""
}
