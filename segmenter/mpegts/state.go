package mpegts

// State is what a Muxer's output before a segment has left in it: counters and clock. A Muxer that begins the segment with the state, and is
// given the same, writes the same bytes.
type State struct {
	Counters [5]uint8 // of PAT, PMT, video, audio and metadata
	Broken   [5]bool  // which of them have a discontinuity_indicator to write
	Version  uint8    // of the program map
	PCR      int64
	HasPCR   bool

	Video, Audio Place
	Begun        bool
	Start, Step  int64
}

// Place is where a track has got to.
type Place struct {
	Seen      bool
	At, Other int64
	Away      bool
	Since     int64
}

func (m *Muxer) streams() [5]*stream {
	return [5]*stream{&m.tables[0].stream, &m.tables[1].stream, &m.video, &m.audio, &m.metadata}
}

// State returns the state between two segments: after FlushAudio of the one, before Begin of the next.
func (m *Muxer) State() State {
	c := &m.clock
	st := State{Version: m.ver, PCR: c.last, HasPCR: c.valid, Video: c.video.state(), Audio: c.audio.state(), Begun: c.begun, Start: c.start, Step: c.step}
	for i, s := range m.streams() {
		st.Counters[i], st.Broken[i] = s.cc, s.broken
	}
	return st
}

// Resume goes on from a state, as a new Muxer of the same program.
func (m *Muxer) Resume(st State) {
	m.clock = clock{last: st.PCR, valid: st.HasPCR, video: st.Video.place(), audio: st.Audio.place(), begun: st.Begun, start: st.Start, step: st.Step}
	for i, s := range m.streams() {
		s.cc, s.broken = st.Counters[i]&15, st.Broken[i]
	}
	m.ver = st.Version & 31
	m.tables[1].set(pmt(m.config, m.ver))
}

func (p *place) state() Place {
	return Place{Seen: p.seen, At: p.at, Other: p.other, Away: p.away, Since: p.since}
}

func (p *Place) place() place {
	return place{seen: p.Seen, at: p.At, other: p.Other, away: p.Away, since: p.Since}
}
