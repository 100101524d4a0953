package mpegts

import (
	"bytes"
	"sync/atomic"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Stats counts what a Muxer could not carry as it came. It may be read at any time from any goroutine.
type Stats struct {
	AudioDropped atomic.Uint64 // audio frames: empty, too long for their framing, no MP3 header, or without a track
	AudioLate    atomic.Uint64 // audio PES packets behind the PCR: their track had not come for seconds, or its PTS fell
	VideoDropped atomic.Uint64 // video access units: without a NAL unit, or without a track
	TagsDropped  atomic.Uint64 // timed metadata: empty, longer than MaxMetadata, or not announced
	PCRReset     atomic.Uint64 // times the PCR had to jump back: DTS fell, or a track returned far behind the other
}

// Muxer turns access units into the packets of one program. It serves one goroutine. Each method is given the buffer to
// write to, and no other is touched: around a cut, the last audio of one segment may go to its buffer while the video of
// the next has begun in another.
//
// The order of calls for a segment is Begin, then Video and Audio, and FlushAudio last. Within a Muxer's life continuity
// counters run on, also over Reconfigure. A Muxer whose segments follow those of another is told so by Discontinuity before
// its first Begin.
type Muxer struct {
	stats  Stats
	config Config // without ASC
	tables [2]table
	pmt    []byte // section, without its version
	ver    uint8

	video, audio stream
	metadata     stream
	out          pesWriter
	clock        clock
	before       clock   // as it was at the newest Begin
	current      *Buffer // of the newest Begin, only to compare
	part         *Buffer // of the newest BeginPart, until a picture follows in it; only to compare
	first        bool    // current still lacks an access unit with a PCR
	bare         bool    // current still lacks any PCR

	codec   codec.Codec          // of the video; 0: none
	adts    [codec.ADTSSize]byte // see codec.AppendADTS
	rate    int                  // of AAC, Hz
	pending pending
}

// NewMuxer makes a muxer. The error says what of c has no form in a transport stream.
func NewMuxer(c Config) (*Muxer, error) {
	m := &Muxer{
		video:    stream{pid: pidVideo},
		audio:    stream{pid: pidAudio},
		metadata: stream{pid: pidMetadata},
	}
	m.tables[0].pid = pidPAT
	m.tables[0].set(pat())
	m.tables[1].pid = pidPMT
	if err := m.Reconfigure(c); err != nil {
		return nil, err
	}
	return m, nil
}

// Reconfigure takes effect with the next Begin; FlushAudio comes before it, and frames still pending are dropped. Where
// the program map changes, its version rises. After an error the muxer is as it was before.
func (m *Muxer) Reconfigure(c Config) error {
	a, err := c.aac()
	if err != nil {
		return err
	}
	m.stats.AudioDropped.Add(uint64(m.pending.frames))
	m.pending.reset()
	if (c.Video == 0) != (m.config.Video == 0) {
		m.clock = clock{} // it moves to the other PID
	}
	if (c.Audio == 0) != (m.config.Audio == 0) {
		m.clock.audio = place{}
		m.clock.start = m.clock.video.at
	}
	m.codec, m.adts, m.rate = c.codec(), a.ADTS(), a.Rate
	m.config = Config{Video: c.Video, Audio: c.Audio, ID3: c.ID3}
	section := pmt(c, 0)
	if m.pmt != nil && !bytes.Equal(m.pmt, section) {
		m.ver = (m.ver + 1) & 31
	}
	m.pmt = section
	m.tables[1].set(pmt(c, m.ver))
	return nil
}

// Stats are the muxer's counters.
func (m *Muxer) Stats() *Stats { return &m.stats }

// Begin starts a segment in b with its tables. The first access unit that follows carries a PCR.
func (m *Muxer) Begin(b *Buffer) {
	m.tables[0].writeTo(b)
	m.tables[1].writeTo(b)
	m.current, m.first, m.bare, m.before = b, true, true, m.clock
}

// EndPart writes the audio that has gathered for b: what b holds then is whole for itself. Where audio gathers for another segment,
// which is not complete yet, it stays.
func (m *Muxer) EndPart(b *Buffer) {
	if m.pending.buffer == b {
		m.FlushAudio(b)
	}
}

// BeginPart writes the tables again, in the middle of a segment, and lets the next picture have its parameter sets: Shaka refuses
// what it finds none in.
func (m *Muxer) BeginPart(b *Buffer) {
	m.part = b
	m.tables[0].writeTo(b)
	m.tables[1].writeTo(b)
}

// opens tells whether the next access unit is the first of b that carries the PCR.
func (m *Muxer) opens(b *Buffer) bool { return m.first && b == m.current }

// Discontinuity says that what is written from now on does not go on where the bytes before it end: the time line breaks
// off, or another Muxer wrote them, before a restart. No PCR is made up for the time between, and the next packet of every
// PID, tables included, has the discontinuity_indicator, so that no reader takes new time stamps and counters for a loss. It
// comes before a Begin, and after the FlushAudio of the segment before.
func (m *Muxer) Discontinuity() {
	m.clock = clock{}
	for _, s := range []*stream{&m.tables[0].stream, &m.tables[1].stream, &m.video, &m.audio, &m.metadata} {
		s.broken = true
	}
}
