package file

import (
	"fmt"
	"io"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Medium is what a track carries.
type Medium uint8

// The media.
const (
	Other Medium = iota // subtitles, time codes, hints
	Video
	Audio
)

// Movie is an MP4 file whose index has been read.
type Movie struct {
	Tracks   []*Track
	Duration time.Duration // as the index says; 0: it does not
	// Cut says that a fragmented file ends within a fragment, as a recording that was interrupted does. What is whole can be read.
	Cut bool

	w          *window
	timescale  int64
	fragmented bool
	first      int64 // where the first fragment is
	defaults   map[uint32]trex
}

// Track is one track of a Movie.
type Track struct {
	ID       uint32
	Medium   Medium
	Format   string      // of its sample entry: "avc1"
	Codec    codec.Codec // 0: none that is carried
	Language string      // ISO 639-2; "": not said
	Enabled  bool        // it is meant to be shown
	Rotation int         // degrees clockwise by which the picture is to be turned: 0, 90, 180, 270
	Lasts    time.Duration

	Width, Height int // of pictures, pixels, as the sample entry says

	Video *codec.Video    // of H.264 and HEVC; its sets may be in the stream
	ASC   []byte          // of AAC
	Sound codec.AACConfig // of AAC
	Why   error           // where Codec is 0 for another reason than Format: a *codec.Unsupported, or that it cannot be read

	// Edited says that its edit list does more than to shift and to trim: another reader is to be used.
	Edited bool

	timescale int64
	length    int // bytes of a NAL unit's length
	shift     int64
	begin     int64 // media time that is shown first, of its time scale
	end       int64 // media time at which it ends; 0: with its samples
	tables    tables
	movie     *Movie
}

// Limits on what is believed of a file.
const (
	maxTracks = 512
	maxSmall  = 1 << 20 // bytes of a box that is read whole
	maxSample = 256 << 20
)

// Open reads the index. The error is an *Error, or one of the reader's.
func Open(r io.ReaderAt, size int64) (*Movie, error) {
	m := &Movie{w: newWindow(r, size, 4), defaults: map[uint32]trex{}}
	var moov box
	data := false // there is media
	var cut *box
	for off := int64(0); size-off >= 8 && (moov.to == 0 || !m.fragmented); {
		b, short, err := m.w.box(off, size)
		if err != nil {
			return nil, err
		}
		switch b.kind {
		case "moov":
			if short {
				return nil, &Error{Truncated, "the file ends within its index (moov): it is not complete; upload it again"}
			}
			if moov.to != 0 {
				return nil, damaged("it has two indexes (moov)")
			}
			moov = b
			if err := m.index(b); err != nil {
				return nil, err
			}
		case "moof":
			if m.fragmented = moov.to != 0; m.fragmented {
				m.first = off
			}
		case "mdat":
			data = true
		}
		if short && cut == nil {
			cut = &b
		}
		off = b.to
	}
	switch {
	case moov.to == 0 && (data || cut != nil):
		return nil, &Error{Truncated, "the file has no index (moov): the recording or the upload was interrupted before its end; upload it again, or repair it with the program that recorded it"}
	case moov.to == 0:
		return nil, &Error{NotMedia, "the file begins as MP4, and has neither an index nor media"}
	case cut != nil && !m.fragmented && cut.kind == "mdat":
		return nil, &Error{Truncated, fmt.Sprintf("the file ends within its media, after %d bytes: it is not complete; upload it again", size)}
	}
	if !m.fragmented && len(m.defaults) > 0 {
		if samples := m.samples(); samples == 0 {
			return nil, &Error{Truncated, "the file has an index without samples, and no fragments: the recording was interrupted before its first fragment"}
		}
	}
	return m, nil
}

func (m *Movie) samples() (n int64) {
	for _, t := range m.Tracks {
		n += t.tables.sizes.count
	}
	return n
}

// index reads moov.
func (m *Movie) index(moov box) error {
	err := m.w.each(moov.from, moov.to, func(b box) error {
		switch b.kind {
		case "mvhd":
			f, version, _, err := m.w.dated(b)
			if err != nil {
				return err
			}
			m.timescale = int64(f.u32())
			d := f.word(version)
			if f.short || m.timescale == 0 {
				return damaged("its movie header cannot be read")
			}
			if d > 0 && d != 1<<32-1 {
				m.Duration = scaled(d, m.timescale)
			}
		case "trak":
			if len(m.Tracks) == maxTracks {
				return damaged("more than %d tracks", maxTracks)
			}
			return m.track(b)
		case "mvex":
			return m.w.each(b.from, b.to, func(b box) error {
				if b.kind != "trex" {
					return nil
				}
				p, err := m.w.read(b, maxSmall)
				if err != nil {
					return err
				}
				f := fields{b: p}
				f.skip(4)
				id := f.u32()
				f.skip(4)
				m.defaults[id] = trex{f.u32(), f.u32(), f.u32()}
				return nil
			})
		case "cmov":
			return damaged("its index is compressed, as QuickTime did long ago")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if m.timescale == 0 {
		return damaged("its index has no movie header")
	}
	for _, t := range m.Tracks {
		if err := t.edit(); err != nil {
			return err
		}
	}
	return nil
}

// scaled is a duration of a time scale. It saturates.
func scaled(n, timescale int64) time.Duration {
	s := float64(n) / float64(timescale)
	if s < 0 || s > 1e9 {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

func (m *Movie) track(trak box) error {
	t := &Track{movie: m}
	handler := ""
	var entry box
	err := m.walk(trak, func(b box) error {
		switch b.kind {
		case "tkhd":
			return t.header(b)
		case "mdhd":
			return t.media(b)
		case "hdlr":
			p, err := m.w.read(b, maxSmall)
			if err != nil {
				return err
			}
			f := fields{b: p}
			f.skip(4)
			if f.u32() != 0x64686c72 { // of the data, in QuickTime
				handler = string(f.take(4))
			}
		case "elst":
			t.tables.edits = b
		case "stsd":
			entry = b
		default:
			return t.tables.add(m.w, b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch handler {
	case "vide":
		t.Medium = Video
	case "soun":
		t.Medium = Audio
	default:
		return nil
	}
	if t.timescale <= 0 {
		return damaged("track %d has no time scale", t.ID)
	}
	if entry.to == 0 {
		return damaged("track %d does not say how it is coded", t.ID)
	}
	if err := t.entry(entry); err != nil {
		return err
	}
	m.Tracks = append(m.Tracks, t)
	return nil
}

// walk visits the boxes of a track.
func (m *Movie) walk(in box, fn func(b box) error) error {
	return m.w.each(in.from, in.to, func(b box) error {
		switch b.kind {
		case "mdia", "minf", "stbl", "edts":
			return m.walk(b, fn)
		}
		return fn(b)
	})
}

// header reads tkhd.
func (t *Track) header(b box) error {
	f, version, flags, err := t.movie.w.dated(b)
	if err != nil {
		return err
	}
	t.Enabled = flags&1 != 0
	t.ID = f.u32()
	f.skip(4)
	f.word(version)
	f.skip(8 + 8) // reserved; layer, group, volume
	var matrix [9]int32
	for i := range matrix {
		matrix[i] = int32(f.u32())
	}
	if f.short {
		return damaged("the header of a track is cut short")
	}
	switch a, b, c, d := matrix[0], matrix[1], matrix[3], matrix[4]; {
	case a == 0 && d == 0 && b > 0 && c < 0:
		t.Rotation = 90
	case a < 0 && d < 0 && b == 0 && c == 0:
		t.Rotation = 180
	case a == 0 && d == 0 && b < 0 && c > 0:
		t.Rotation = 270
	}
	return nil
}

// media reads mdhd.
func (t *Track) media(b box) error {
	f, version, _, err := t.movie.w.dated(b)
	if err != nil {
		return err
	}
	t.timescale = int64(f.u32())
	d := f.word(version)
	l := f.u16()
	if f.short {
		return damaged("the media header of a track is cut short")
	}
	if t.timescale > 0 && d > 0 && d != 1<<32-1 {
		t.Lasts = scaled(d, t.timescale)
	}
	if l >= 0x400 && l != 0x7FFF { // smaller ones are codes of the Macintosh
		name := []byte{byte(l>>10&31) + 0x60, byte(l>>5&31) + 0x60, byte(l&31) + 0x60}
		if string(name) != "und" {
			t.Language = string(name)
		}
		for _, c := range name {
			if c < 'a' || c > 'z' {
				t.Language = ""
			}
		}
	}
	return nil
}

// edit reads the edit list (8.6.6).
func (t *Track) edit() error {
	b := t.tables.edits
	if b.to == 0 {
		return nil
	}
	p, err := t.movie.w.read(b, maxSmall)
	if err != nil {
		return err
	}
	f := fields{b: p}
	version := f.u8()
	f.skip(3)
	delay, shown := int64(0), false // of the movie's time scale
	for n := f.u32(); n > 0 && !f.short; n-- {
		lasts := f.word(version)
		from := int64(int32(-1))
		if version == 1 {
			from = int64(f.u64())
		} else {
			from = int64(int32(f.u32()))
		}
		rate := f.u32()
		switch {
		case f.short:
			return damaged("the edit list of track %d is cut short", t.ID)
		case from < 0 && !shown:
			delay += lasts
		case from >= 0 && !shown && rate == 1<<16:
			shown, t.begin = true, from
			if lasts > 0 && t.movie.timescale > 0 {
				t.end = from + ratio(lasts, t.timescale, t.movie.timescale)
			}
		default:
			t.Edited = true
		}
	}
	t.shift = ratio(delay, codec.Clock, t.movie.timescale) - ratio(t.begin, codec.Clock, t.timescale)
	return nil
}

// ratio is n × to / from, rounded down, of what cannot overflow for times.
func ratio(n, to, from int64) int64 {
	whole, rest := n/from, n%from
	if rest < 0 {
		whole, rest = whole-1, rest+from
	}
	return whole*to + rest*to/from
}
