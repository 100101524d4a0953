package flv

import (
	"bytes"
	"encoding/binary"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// videoTag is the part of a sequence header that is needed to read the frames after it.
type videoTag struct {
	codec      ingest.Codec
	header     []byte // the newest good one, to recognise a repeated one
	lengthSize int    // bytes of a NAL unit's length: 1, 2 or 4
}

// defaultLength is the length size of pictures without a sequence header: no encoder uses another.
const defaultLength = 4

// videoTag reads a VIDEODATA body. The key flag is the encoder's: FLV frame type 1.
func (d *Demuxer) videoTag(dts int64, b []byte) error {
	if b[0]&0x80 != 0 {
		return d.enhancedVideo(dts, b)
	}
	frameType, id := b[0]>>4, b[0]&0x0F
	if frameType == frameCommand {
		return nil
	}
	c := ingest.H264
	switch id {
	case 7:
	case 12: // H.265 as sent by encoders before Enhanced RTMP
		c = ingest.H265
	default:
		return ingest.Refuse(ingest.Unsupported, "%s video is not supported: set the encoder to H.264, or to H.265 over enhanced RTMP",
			legacyVideo(id))
	}
	if len(b) < 5 {
		return d.malformed(c)
	}
	if d.first[0].other(noTrack) {
		return d.stream.ExtraTrack(c, b[1] == packetFrame, d.arrival)
	}
	d.first[0].take(noTrack)
	switch b[1] {
	case packetHeader:
		return d.videoHeader(c, b[5:])
	case packetFrame:
		return d.videoFrame(c, dts, s24(b[2:]), frameType == frameKey, b[5:])
	case packetEnd:
		return nil
	}
	return d.malformed(c)
}

// Frame types.
const (
	frameKey     = 1
	frameCommand = 5 // seek markers
)

// enhancedVideo reads a body with a fourcc (Enhanced RTMP v1 and v2).
func (d *Demuxer) enhancedVideo(dts int64, b []byte) error {
	frameType := b[0] >> 4 & 7
	if frameType == frameCommand {
		return nil
	}
	e, ok := parseEnhanced(b[0]&0x0F, packetMultiVideo, b[1:])
	if !ok {
		return d.malformed(ingest.H264)
	}
	for more := true; more; more = len(e.rest) > 0 {
		id, fourcc, body, ok := e.next()
		if !ok {
			return d.malformed(ingest.H264)
		}
		if d.first[0].other(id) {
			if err := d.stream.ExtraTrack(ingest.H264, e.packet == packetFrame || e.packet == packetFrameX, d.arrival); err != nil {
				return err
			}
			continue
		}
		c := videoFourCC(fourcc)
		if c == 0 && !e.sized {
			return ingest.Refuse(ingest.Unsupported, "%s video is not supported: set the encoder to H.264 or H.265", fourccName(fourcc))
		}
		if c == 0 { // another track may be usable
			if err := d.stream.Drop(ingest.H264, ingest.Uncarried, d.arrival); err != nil {
				return err
			}
			continue
		}
		d.first[0].take(id)
		if err := d.videoPacket(c, dts+e.offset, frameType == frameKey, e.packet, body); err != nil {
			return err
		}
	}
	return nil
}

func (d *Demuxer) videoPacket(c ingest.Codec, dts int64, key bool, packet byte, b []byte) error {
	switch packet {
	case packetHeader:
		return d.videoHeader(c, b)
	case packetFrame:
		if len(b) < 3 {
			return d.malformed(c)
		}
		return d.videoFrame(c, dts, s24(b), key, b[3:])
	case packetFrameX:
		return d.videoFrame(c, dts, 0, key, b)
	case packetEnd, packetMeta:
		return nil
	}
	return d.malformed(c)
}

// videoHeader takes a sequence header. Encoders repeat it, some with each keyframe: it is read only if it differs.
func (d *Demuxer) videoHeader(c ingest.Codec, b []byte) error {
	v := &d.video
	if v.codec == c && v.header != nil && bytes.Equal(v.header, b) {
		return nil
	}
	config, lengthSize, err := codec.ParseRecord(c, b)
	if err != nil {
		return d.malformed(c)
	}
	v.codec, v.header, v.lengthSize = c, bytes.Clone(b), lengthSize
	return d.stream.VideoHeader(config)
}

func (d *Demuxer) videoFrame(c ingest.Codec, dts, offset int64, key bool, b []byte) error {
	v := &d.video
	if v.codec != c {
		*v = videoTag{codec: c, lengthSize: defaultLength}
	}
	if !d.split(b, v.lengthSize) && !d.splitAnnexB(b) {
		return d.malformed(c)
	}
	m := &d.picture
	m.Codec, m.Units, m.PTS, m.DTS, m.Key, m.Arrival = c, d.units, dts+offset*ticks, dts, key, d.arrival
	return d.stream.Video(m)
}

// split splits a picture into NAL units. It returns false if the lengths do not add up, or if there are none.
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

// splitAnnexB splits a picture into NAL units that have start codes in place of lengths, as some encoders send it.
func (d *Demuxer) splitAnnexB(b []byte) bool {
	d.units = d.units[:0]
	for u := range codec.AnnexB(b) {
		if len(d.units) == maxUnits {
			return false
		}
		d.units = append(d.units, u)
	}
	return len(d.units) > 0
}

// maxUnits bounds the NAL units of one picture: 4K H.265 in small slices stays below 1,000.
const maxUnits = 4096

func s24(b []byte) int64 {
	return int64(int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8)
}
