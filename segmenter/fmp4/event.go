package fmp4

import (
	"hash/crc32"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// MetadataScheme is the scheme of events that are ID3 tags ("Carriage of ID3 Timed Metadata in the Common Media Application Format", AOM).
const MetadataScheme = "https://aomedia.org/emsg/ID3"

// unknown is the duration of an event that holds until another follows (ISO/IEC 23009-1 5.10.3.3).
const unknown = 1<<32 - 1

// appendEvent appends the event message box of a tag, which is shown at a time: 90 kHz ticks on the time line that does not wrap, which is
// that of the tracks. Its id is the same wherever the same tag is.
func appendEvent(b []byte, at int64, tag []byte) []byte {
	b, box := openFull(b, "emsg", 1, 0)
	b = u64(u32(b, VideoTimescale), uint64(at))
	b = u32(b, unknown)
	b = u32(b, crc32.Update(uint32(at), crc32.IEEETable, tag))
	b = append(b, MetadataScheme+"\x00\x00"...) // and no value
	return end(append(b, tag...), box)
}

// withEvents is a track with the tags of its segment, each in front of the fragment of the part that it begins in. base is a time of the
// segment, unwrapped.
func (t Track) withEvents(b []byte, tags []mpegts.Tag, base int64) ([]byte, Track) {
	begin := len(b)
	var ends []int
	from := 0
	for i := range max(len(t.Ends), 1) {
		for k := range tags {
			if tags[k].Part == i {
				b = appendEvent(b, Unwrap(base, tags[k].PTS), tags[k].Data)
			}
		}
		to := len(t.Data)
		if t.Ends != nil {
			to = t.Ends[i]
			ends = append(ends, len(b)+to-from-begin)
		}
		b = append(b, t.Data[from:to]...)
		from = to
	}
	return b, Track{Data: b[begin:len(b):len(b)], Ends: ends}
}

// withEvents are the tracks with what their segment has of timed metadata, behind dst: with the pictures, or, where there are none, with the
// sound. Those of a segment without metadata stay as they are, in out.
func (r *Remuxer) withEvents(dst, out []byte, t Tracks, pieces [][]byte) ([]byte, Tracks) {
	tags := mpegts.Tags(pieces)
	if len(tags) == 0 {
		return out, t
	}
	size := len(dst) + len(t.Video.Data) + len(t.Audio.Data)
	for i := range tags {
		size += len(tags[i].Data) + eventSize
	}
	b := append(make([]byte, 0, size), dst...)
	if len(t.Video.Data) == 0 {
		if len(t.Audio.Data) > 0 {
			b, t.Audio = t.Audio.withEvents(b, tags, r.base)
		}
		return b, t
	}
	b, t.Video = t.Video.withEvents(b, tags, r.base)
	at := len(b)
	b = append(b, t.Audio.Data...)
	t.Audio.Data = b[at:]
	return b, t
}

// eventSize is how long an event message box is, besides its tag.
const eventSize = 12 + 20 + len(MetadataScheme) + 2
