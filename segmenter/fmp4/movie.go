package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Errors of a Movie, beside those of Remux.
var (
	// ErrNoForm is that of a codec that MP4 files of ours do not carry.
	ErrNoForm = errors.New("it has no form in MP4")
	// ErrChanges is that of a fragmented file whose tracks are coded otherwise from some segment on: it has one configuration.
	ErrChanges = errors.New("its coding changes, and a fragmented MP4 has one for all")
)

// Movie makes one MP4 file of segments that follow each other: with its tables at the end (ISO/IEC 14496-12), which every program
// reads and may seek in, or in fragments, which plays while it grows. Its time begins at zero; where the stream's time breaks, it goes
// on without a pause, and where segments are missing, the last picture stands. Of each sample it keeps four bytes.
//
// The bytes of the file are what Begin, Append and Finish append, one after the other.
type Movie struct {
	fragmented bool
	remux      Remuxer
	work       []byte
	size       int64 // of the file so far
	mdat       int64 // where the media begins
	number     uint32
	started    bool
	shift      int64 // what the stream's time is ahead of the file's, ticks
	video      reel
	audio      reel
}

// NewMovie makes a Movie.
func NewMovie(fragmented bool) *Movie {
	return &Movie{fragmented: fragmented, video: reel{id: 1, moving: true}, audio: reel{id: 2}}
}

// Append appends the media of a segment, which is given in pieces of whole packets. jump says that the stream's time breaks before
// it. After an error the file is as if the segment were not there; the errors are those of Remux, and ErrNoForm and ErrChanges.
func (m *Movie) Append(b []byte, pieces [][]byte, s Segment, jump bool) ([]byte, error) {
	head, err := m.remux.Head(pieces)
	if err != nil {
		return b, err
	}
	if head.Unfit != "" {
		return b, fmt.Errorf("%w: %s", ErrNoForm, head.Unfit)
	}
	var tracks Tracks
	if m.work, tracks, err = m.remux.Remux(m.work[:0], pieces, s); err != nil {
		m.work = nil
		return b, err
	}
	rate := 0
	if head.Audio != nil {
		rate = head.Audio.Rate
	}
	video, audio := fragments(tracks.Video.Data, true, VideoTimescale), fragments(tracks.Audio.Data, false, rate)
	var entries [2]entry
	if head.Video != nil && len(video) > 0 {
		entries[0] = entry{appendVideoEntry(nil, head.Video), videoHeader(head.Video)}
	}
	if head.Audio != nil && len(audio) > 0 {
		entries[1] = entry{appendAudioEntry(nil, *head.Audio), audioHeader(*head.Audio)}
	}
	if len(video) > 0 && entries[0].text == nil && m.video.rate == 0 {
		return b, fmt.Errorf("%w: it does not say how it is coded", mpegts.ErrDamaged)
	}
	if !m.started {
		b = m.begin(b, entries)
	} else if m.fragmented && (m.video.changes(&entries[0]) || m.audio.changes(&entries[1])) {
		return b, ErrChanges
	}
	m.video.take(&entries[0])
	m.audio.take(&entries[1])
	m.place(video, audio, jump)
	for i := range video {
		b = m.add(b, &m.video, &video[i])
	}
	for i := range audio {
		b = m.add(b, &m.audio, &audio[i])
	}
	return b, nil
}

// begin appends what stands before the first media.
func (m *Movie) begin(b []byte, entries [2]entry) []byte {
	m.started = true
	from := len(b)
	if !m.fragmented {
		b = appendFileType(b, "isom", "isomiso6mp41")
		b = append(u32(b, 1), "mdat"...) // its size is behind it, in 64 bits
		b = u64(b, 0)
		m.mdat = int64(len(b) - from)
	} else {
		b = appendFileType(b, "iso6", "iso6mp41")
		b, moov := open(b, "moov")
		b = appendMovieHeader(b, 0, 3)
		var ids []uint32
		for i, e := range entries {
			if e.text != nil {
				e.header.id = uint32(i + 1)
				b = appendTrack(b, &e.header, 1, func(b []byte) []byte { return append(b, e.text...) })
				ids = append(ids, e.header.id)
			}
		}
		b = end(appendExtends(b, ids...), moov)
		m.size += int64(len(b) - from)
		return b
	}
	m.size += int64(len(b) - from)
	return b
}

// A step of the stream's time back by more ticks than that breaks it, whatever is said of it.
const stepBack = VideoTimescale / 2

// place sees to it that the file's time goes on where the stream's breaks.
func (m *Movie) place(video, audio []fragment, jump bool) {
	first, there := int64(0), false
	for _, f := range [][]fragment{video, audio} {
		if len(f) > 0 && (!there || f[0].at(VideoTimescale) < first) {
			first, there = f[0].at(VideoTimescale), true
		}
	}
	if reached := max(m.video.ticks(m.video.end), m.audio.ticks(m.audio.end)); there && (!m.video.begun && !m.audio.begun || jump || first-m.shift < reached-stepBack) {
		m.shift = first - reached
	}
}

// add appends a fragment: its media, which is noted, or a fragment of the file.
func (m *Movie) add(b []byte, r *reel, f *fragment) []byte {
	from, at := len(b), max(f.at(r.header.timescale)-rescale(m.shift, VideoTimescale, r.header.timescale), 0)
	r.reach(at)
	if m.fragmented {
		m.number++
		b = appendHead(b, r.id, r.moving, m.number, at, f.samples)
		r.note(f, 0)
	} else {
		r.note(f, m.size)
	}
	b = append(b, f.media...)
	m.size += int64(len(b) - from)
	return b
}

// Finish appends the end of the file. What patch says is to be written at an offset of the file; nil: nothing.
func (m *Movie) Finish(b []byte) (out, patch []byte, at int64) {
	if m.fragmented || !m.started {
		return b, nil, 0
	}
	patch = u64(nil, uint64(m.size-m.mdat+16))
	b, moov := open(b, "moov")
	// What is presented first is at zero.
	zero := int64(-1)
	var lasts uint32
	for _, r := range []*reel{&m.video, &m.audio} {
		if r.begun {
			if at := r.presented(); zero < 0 || at < zero {
				zero = at
			}
		}
	}
	for _, r := range []*reel{&m.video, &m.audio} {
		if r.begun {
			lasts = max(lasts, r.delay(zero)+r.milliseconds())
		}
	}
	b = appendMovieHeader(b, lasts, 3)
	for _, r := range []*reel{&m.video, &m.audio} {
		if r.begun {
			b = r.append(b, zero)
		}
	}
	return end(b, moov), patch, m.mdat - 8
}

// entry is how a track is coded.
type entry struct {
	text   []byte // the sample entry; nil: it is not there, or not known
	header header
}

// fragment is one of the fragments of a track, read back.
type fragment struct {
	time    int64
	rate    int // its time scale
	samples []sample
	media   []byte
}

// at is when it begins, in units of a time scale.
func (f *fragment) at(scale int) int64 { return rescale(f.time, f.rate, scale) }

// fragments reads back what a Remuxer made of a track, whose time scale is rate. Fragments without samples are left out.
func fragments(data []byte, video bool, rate int) (all []fragment) {
	for len(data) > 0 {
		if string(data[4:8]) == "styp" {
			data = data[nothingSize:]
			continue
		}
		n := int(binary.BigEndian.Uint32(data[headSize(video, 0)-16:])) // trun's count, before the offset of its data and mdat's header
		size := headSize(video, n)
		f := fragment{rate: rate, time: int64(binary.BigEndian.Uint64(data[headSize(video, 0)-36:]))} // tfdt's, before trun
		row := data[headSize(video, 0)-8 : size-8]
		total := 0
		for range n {
			s := sample{duration: binary.BigEndian.Uint32(row), size: binary.BigEndian.Uint32(row[4:]), flags: syncSample}
			if row = row[8:]; video {
				s.flags, s.offset = binary.BigEndian.Uint32(row), int32(binary.BigEndian.Uint32(row[4:]))
				row = row[8:]
			}
			total += int(s.size)
			f.samples = append(f.samples, s)
		}
		f.media = data[size : size+total]
		data = data[size+total:]
		if n > 0 && rate > 0 {
			all = append(all, f)
		}
	}
	return all
}
