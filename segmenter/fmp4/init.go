package fmp4

import "github.com/hlsorigin/hlsorigin/ingest/codec"

// trackID is that of the only track of a file.
const trackID = 1

// VideoTimescale is the time scale of video tracks, Hz: that of the stream.
const VideoTimescale = 90000

// AppendVideoInit appends the init segment of a video track, which has its parameter sets: "avc1" or "hvc1" (ISO/IEC 14496-15).
func AppendVideoInit(b []byte, v *codec.Video) []byte {
	p := v.Picture()
	width, height := v.Width, v.Height
	shown := width
	if p.SARWidth > 0 && p.SARHeight > 0 {
		shown = width * p.SARWidth / p.SARHeight
	}
	return appendInit(b, header{handler: "vide", timescale: VideoTimescale, width: shown, height: height}, func(b []byte) []byte {
		name, record := "avc1", "avcC"
		if v.Codec == codec.H265 {
			name, record = "hvc1", "hvcC"
		}
		b, entry := open(b, name)
		b = zeros(b, 6)
		b = u16(b, 1) // data_reference_index
		b = zeros(b, 16)
		b = u16(u16(b, uint16(width)), uint16(height))
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
	})
}

// AppendAudioInit appends the init segment of an AAC track. HE-AAC is announced as its core, as in the stream: its extensions
// are signalled implicitly (ISO/IEC 14496-3 1.6.5.2), and decoders find them in the frames.
func AppendAudioInit(b []byte, c codec.AACConfig) []byte {
	return appendInit(b, header{handler: "soun", timescale: c.Rate}, func(b []byte) []byte {
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
	})
}

// header is what differs between the tracks beside the sample entry.
type header struct {
	handler       string
	timescale     int
	width, height int // as it is shown
}

func appendInit(b []byte, h header, entry func([]byte) []byte) []byte {
	b, at := open(b, "ftyp")
	b = append(b, "iso6"...)
	b = u32(b, 0)
	b = end(append(b, "iso6cmfcmp41"...), at)

	b, moov := open(b, "moov")
	b, at = openFull(b, "mvhd", 0, 0)
	b = u32(zeros(b, 8), 1000)
	b = zeros(b, 4) // its duration is in the fragments
	b = u16(u32(b, 1<<16), 1<<8)
	b = appendMatrix(zeros(b, 10))
	b = end(u32(zeros(b, 24), trackID+1), at)

	b, trak := open(b, "trak")
	b, at = openFull(b, "tkhd", 0, 3) // enabled, in the movie
	b = u32(zeros(b, 8), trackID)
	b = zeros(b, 16)
	volume := uint16(0)
	if h.handler == "soun" {
		volume = 1 << 8
	}
	b = u16(zeros(b, 4), volume) // behind layer and group
	b = appendMatrix(zeros(b, 2))
	b = end(u32(u32(b, uint32(h.width)<<16), uint32(h.height)<<16), at)

	b, mdia := open(b, "mdia")
	b, at = openFull(b, "mdhd", 0, 0)
	b = u32(zeros(b, 8), uint32(h.timescale))
	b = zeros(b, 4)
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
	b = end(entry(u32(b, 1)), at)
	for _, empty := range [...]string{"stts", "stsc", "stco"} {
		b, at = openFull(b, empty, 0, 0)
		b = end(u32(b, 0), at)
	}
	b, at = openFull(b, "stsz", 0, 0)
	b = end(zeros(b, 8), at)
	b = end(end(end(end(b, stbl), minf), mdia), trak)

	b, mvex := open(b, "mvex")
	b, at = openFull(b, "trex", 0, 0)
	b = end(zeros(u32(u32(b, trackID), 1), 12), at)
	return end(end(b, mvex), moov)
}

// appendMatrix appends the unit matrix (ISO/IEC 14496-12 6.2.2).
func appendMatrix(b []byte) []byte {
	for _, v := range [...]uint32{1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30} {
		b = u32(b, v)
	}
	return b
}
