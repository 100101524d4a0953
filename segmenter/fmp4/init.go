package fmp4

import "github.com/hlsorigin/hlsorigin/ingest/codec"

// trackID is that of the only track of a file.
const trackID = 1

// VideoTimescale is the time scale of video tracks, Hz: that of the stream.
const VideoTimescale = 90000

// AppendVideoInit appends the init segment of a video track, which has its parameter sets: "avc1" or "hvc1" (ISO/IEC 14496-15).
func AppendVideoInit(b []byte, v *codec.Video) []byte {
	return appendInit(b, videoHeader(v), func(b []byte) []byte { return appendVideoEntry(b, v) })
}

// AppendAudioInit appends the init segment of an AAC track. HE-AAC is announced as its core, as in the stream: its extensions
// are signalled implicitly (ISO/IEC 14496-3 1.6.5.2), and decoders find them in the frames.
func AppendAudioInit(b []byte, c codec.AACConfig) []byte {
	return appendInit(b, audioHeader(c), func(b []byte) []byte { return appendAudioEntry(b, c) })
}

// header is what differs between the tracks beside the sample entry.
type header struct {
	id            uint32
	handler       string
	timescale     int
	width, height int // as it is shown

	lasts  int64                 // units of the time scale; 0: it is in the fragments
	shown  uint32                // milliseconds
	edits  func(b []byte) []byte // appends the edit list; nil: there is none
	tables func(b []byte) []byte // appends the tables of samples; nil: they are in the fragments
}

func videoHeader(v *codec.Video) header {
	p := v.Picture()
	shown := v.Width
	if p.SARWidth > 0 && p.SARHeight > 0 {
		shown = v.Width * p.SARWidth / p.SARHeight
	}
	return header{id: trackID, handler: "vide", timescale: VideoTimescale, width: shown, height: v.Height}
}

func audioHeader(c codec.AACConfig) header {
	return header{id: trackID, handler: "soun", timescale: c.Rate}
}

// appendVideoEntry appends the sample entry of a video track.
func appendVideoEntry(b []byte, v *codec.Video) []byte {
	p := v.Picture()
	name, record := "avc1", "avcC"
	if v.Codec == codec.H265 {
		name, record = "hvc1", "hvcC"
	}
	b, entry := open(b, name)
	b = zeros(b, 6)
	b = u16(b, 1) // data_reference_index
	b = zeros(b, 16)
	b = u16(u16(b, uint16(v.Width)), uint16(v.Height))
	b = u32(u32(b, 72<<16), 72<<16) // pixels per inch
	b = u16(u32(b, 0), 1)           // frame_count
	b = zeros(b, 32)                // compressorname
	b = u16(u16(b, 24), 0xFFFF)
	b, at := open(b, record)
	b = end(v.AppendRecord(b), at)
	if p.Colour {
		b, at = open(b, "colr")
		b = append(b, "nclx"...)
		b = u16(u16(u16(b, uint16(p.Primaries)), uint16(p.Transfer)), uint16(p.Matrix))
		full := byte(0)
		if p.FullRange {
			full = 0x80
		}
		b = end(append(b, full), at)
	}
	if p.SARWidth > 0 && p.SARWidth != p.SARHeight {
		b, at = open(b, "pasp")
		b = end(u32(u32(b, uint32(p.SARWidth)), uint32(p.SARHeight)), at)
	}
	return end(b, entry)
}

// appendAudioEntry appends the sample entry of an AAC track.
func appendAudioEntry(b []byte, c codec.AACConfig) []byte {
	b, entry := open(b, "mp4a")
	b = zeros(b, 6)
	b = u16(b, 1) // data_reference_index
	b = zeros(b, 8)
	b = u16(u16(b, uint16(c.Channels)), 16)
	b = u32(u32(b, 0), uint32(c.Rate)<<16) // above 65535 Hz it is cut off, and nobody reads it
	b, at := openFull(b, "esds", 0, 0)
	asc := c.ASC()
	n := byte(len(asc))
	b = append(b, 3, 3+2+13+2+n+3, 0, trackID, 0, // ES_Descriptor (ISO/IEC 14496-1 7.2.6.5)
		4, 13+2+n, 0x40, 5<<2|1, // DecoderConfigDescriptor: MPEG-4 audio
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // buffer and rates are not known
		5, n)
	b = append(b, asc...)
	b = append(b, 6, 1, 2) // SLConfigDescriptor
	return end(end(b, at), entry)
}

func appendInit(b []byte, h header, entry func([]byte) []byte) []byte {
	b = appendFileType(b, "iso6", "iso6cmfcmp41")
	b, moov := open(b, "moov")
	b = appendMovieHeader(b, 0, trackID+1)
	b = appendTrack(b, &h, 1, entry)
	b = appendExtends(b, trackID)
	return end(b, moov)
}

func appendFileType(b []byte, brand, compatible string) []byte {
	b, at := open(b, "ftyp")
	b = u32(append(b, brand...), 0)
	return end(append(b, compatible...), at)
}

// appendMovieHeader appends mvhd; lasts in milliseconds, 0 where that is in the fragments.
func appendMovieHeader(b []byte, lasts, nextID uint32) []byte {
	b, at := openFull(b, "mvhd", 0, 0)
	b = u32(zeros(b, 8), 1000)
	b = u32(b, lasts)
	b = u16(u32(b, 1<<16), 1<<8)
	b = appendMatrix(zeros(b, 10))
	return end(u32(zeros(b, 24), nextID), at)
}

// appendExtends appends mvex, which says that the tracks go on in fragments.
func appendExtends(b []byte, ids ...uint32) []byte {
	b, mvex := open(b, "mvex")
	for _, id := range ids {
		var at int
		b, at = openFull(b, "trex", 0, 0)
		b = end(zeros(u32(u32(b, id), 1), 12), at)
	}
	return end(b, mvex)
}

// appendTrack appends trak with n sample entries.
func appendTrack(b []byte, h *header, n uint32, entries func([]byte) []byte) []byte {
	b, trak := open(b, "trak")
	b, at := openFull(b, "tkhd", 0, 3) // enabled, in the movie
	b = u32(zeros(b, 8), h.id)
	b = zeros(u32(zeros(b, 4), h.shown), 8)
	volume := uint16(0)
	if h.handler == "soun" {
		volume = 1 << 8
	}
	b = u16(zeros(b, 4), volume) // behind layer and group
	b = appendMatrix(zeros(b, 2))
	b = end(u32(u32(b, uint32(h.width)<<16), uint32(h.height)<<16), at)
	if h.edits != nil {
		b = h.edits(b)
	}

	b, mdia := open(b, "mdia")
	if h.lasts == 0 {
		b, at = openFull(b, "mdhd", 0, 0)
		b = zeros(u32(zeros(b, 8), uint32(h.timescale)), 4)
	} else { // thirteen hours of 90 kHz are too long for 32 bits
		b, at = openFull(b, "mdhd", 1, 0)
		b = u64(u32(zeros(b, 16), uint32(h.timescale)), uint64(h.lasts))
	}
	b = end(u16(u16(b, 0x55C4), 0), at) // language und
	b, at = openFull(b, "hdlr", 0, 0)
	b = append(zeros(b, 4), h.handler...)
	b = end(zeros(b, 13), at)

	b, minf := open(b, "minf")
	if h.handler == "vide" {
		b, at = openFull(b, "vmhd", 0, 1)
		b = end(zeros(b, 8), at)
	} else {
		b, at = openFull(b, "smhd", 0, 0)
		b = end(zeros(b, 4), at)
	}
	b, dinf := open(b, "dinf")
	b, dref := openFull(b, "dref", 0, 0)
	b, at = openFull(u32(b, 1), "url ", 0, 1) // in this file
	b = end(end(end(b, at), dref), dinf)

	b, stbl := open(b, "stbl")
	b, at = openFull(b, "stsd", 0, 0)
	b = end(entries(u32(b, n)), at)
	if h.tables != nil {
		b = h.tables(b)
	} else {
		for _, empty := range [...]string{"stts", "stsc", "stco"} {
			b, at = openFull(b, empty, 0, 0)
			b = end(u32(b, 0), at)
		}
		b, at = openFull(b, "stsz", 0, 0)
		b = end(zeros(b, 8), at)
	}
	return end(end(end(end(b, stbl), minf), mdia), trak)
}

// appendMatrix appends the unit matrix (ISO/IEC 14496-12 6.2.2).
func appendMatrix(b []byte) []byte {
	for _, v := range [...]uint32{1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30} {
		b = u32(b, v)
	}
	return b
}
