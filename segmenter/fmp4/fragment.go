package fmp4

import (
	"encoding/binary"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// sample is one row of a track run.
type sample struct {
	duration, size uint32
	flags          uint32 // video only
	offset         int32  // of its presentation from its decoding, video only
}

// Flags of samples (ISO/IEC 14496-12 8.8.3.1).
const (
	syncSample = 2 << 24       // depends on no other
	nonSync    = 1<<24 | 1<<16 // depends on others, and no decoder may begin with it
)

// Flags of boxes.
const (
	baseIsMoof     = 0x020000
	defaultFlags   = 0x20
	runDataOffset  = 0x1
	runDuration    = 0x100
	runSize        = 0x200
	runFlags       = 0x400
	runTimeOffsets = 0x800
)

// headSize is how long moof and the header of mdat are, before n samples.
func headSize(video bool, n int) int {
	if video {
		return 96 + 16*n
	}
	return 100 + 8*n
}

// Where the rows of samples of a video track lie in its fragments.
const (
	countAt = 80 // of their number
	rowsAt  = 88 // of the first
)

// FirstPicture is which bytes of a video track, as Remux renders it, show its first picture: its first fragment, without what stands before
// it, to the end of its first sample. None: that picture cannot be shown without others, or there is none.
func FirstPicture(track []byte, c codec.Codec) (from, to int64) {
	for len(track) > 8 && string(track[4:8]) == "emsg" {
		size := int64(binary.BigEndian.Uint32(track))
		if size < 8 || size > int64(len(track)) {
			return 0, 0
		}
		from, track = from+size, track[size:]
	}
	if to = firstPicture(track, c); to == 0 {
		return 0, 0
	}
	return from, from + to
}

// firstPicture is how long that is of a track that begins with a fragment.
func firstPicture(track []byte, c codec.Codec) int64 {
	if len(track) < rowsAt+16 {
		return 0
	}
	n, size := int(binary.BigEndian.Uint32(track[countAt:])), int(binary.BigEndian.Uint32(track[rowsAt+4:]))
	if n < 1 || n > len(track) || size > len(track)-headSize(true, n) {
		return 0
	}
	var units [][]byte
	for b := track[headSize(true, n):][:size]; len(b) > 4; {
		end := 4 + int(binary.BigEndian.Uint32(b))
		if end > len(b) {
			return 0
		}
		units, b = append(units, b[4:end]), b[end:]
	}
	if s := c.Survey(units); !s.Alone() {
		return 0
	}
	return int64(headSize(true, n) + size)
}

// nothingSize is what appendNothing appends.
const nothingSize = 16

// appendNothing appends a fragment of sound where none has come yet: a segment type box alone (ISO/IEC 14496-12 8.16.2). A moof without
// samples would name a time, and in which unit nothing tells.
func appendNothing(b []byte) []byte {
	b, at := open(b, "styp")
	return end(u32(append(b, "msdh"...), 0), at)
}

// appendHead appends what stands before the samples of a fragment: its moof, and the header of the mdat. Times are in units of
// the track's time scale.
func appendHead(b []byte, id uint32, video bool, sequence uint32, time int64, samples []sample) []byte {
	b, moof := open(b, "moof")
	b, at := openFull(b, "mfhd", 0, 0)
	b = end(u32(b, sequence), at)
	b, traf := open(b, "traf")
	run := uint32(runDataOffset | runDuration | runSize)
	if video {
		run |= runFlags | runTimeOffsets
		b, at = openFull(b, "tfhd", 0, baseIsMoof)
		b = end(u32(b, id), at)
	} else {
		b, at = openFull(b, "tfhd", 0, baseIsMoof|defaultFlags)
		b = end(u32(u32(b, id), syncSample), at)
	}
	b, at = openFull(b, "tfdt", 1, 0)
	b = end(u64(b, uint64(time)), at)
	b, trun := openFull(b, "trun", 1, run)
	b = u32(b, uint32(len(samples)))
	b = u32(b, uint32(headSize(video, len(samples)))) // from the moof to the samples
	media := 8
	for i := range samples {
		s := &samples[i]
		media += int(s.size)
		b = u32(u32(b, s.duration), s.size)
		if video {
			b = u32(u32(b, s.flags), uint32(s.offset))
		}
	}
	b = end(end(end(b, trun), traf), moof)
	b, at = open(b, "mdat")
	binary.BigEndian.PutUint32(b[at:], uint32(media))
	return b
}
