package mpegts

// Times in this file are 90 kHz ticks.
const (
	// pcrDelay is how far the PCR stays behind DTS. It is more than audioSpan and audioHold, so that audio that was
	// gathered into one PES packet still comes before its time.
	pcrDelay = 300 * 90
	// pcrLead is how far it stays behind audio that lags behind the video by more than that.
	pcrLead = 50 * 90
	// pcrDue is the age of the last PCR at which a video access unit carries the next. At 25 pictures a second and more
	// it keeps the PCR within 40 ms, at a cost of 8 bytes each.
	pcrDue = 20 * 90
	// pcrLimit is the longest time between two PCRs (2.7.2). Where pictures are further apart, packets that carry
	// nothing else fill in.
	pcrLimit = 100 * 90
	// pcrAudio is the age of the last PCR at which an audio PES packet makes way for a packet with the next.
	pcrAudio = 75 * 90
	// pcrLeap is the longest gap that is filled in; a longer one is no pause but a break in the time line, and hostile
	// time stamps cannot make a segment swell.
	pcrLeap = 10 * 90000
	// pcrPatience is how long the PCR waits for a track while the other goes on, by the other's time: more than the five
	// seconds by which an encoder may send one track later, and which may lie between two pictures.
	pcrPatience = 6 * 90000
)

// clock is the program's clock: the PCR that the stream last carried, and what its two tracks allow the next to be. It
// follows the slower of them. The zero value is a time line that has not begun.
type clock struct {
	last  int64 // newest PCR
	valid bool  // last is one

	video, audio place
	begun        bool
	start        int64 // time of the first access unit
	step         int64 // between the two newest pictures; 0: not known
}

// place is where a track has got to.
type place struct {
	seen  bool
	at    int64 // time of its newest access unit: DTS of a picture, PTS of audio
	other int64 // where the other track was when that came
	away  bool  // see Muxer.Away
	since int64 // where the other track was when it was said to be away
}

// came notes an access unit of time t on the track p; o is the other.
func (c *clock) came(p, o *place, t int64) {
	if !c.begun {
		c.begun, c.start = true, t
	}
	if o.seen && !p.seen { // it may have come and gone before there was anything to tell that by
		o.other, o.since = t, t
	}
	n := place{seen: true, at: t, other: t}
	if o.seen {
		n.other = o.at
	}
	*p = n
}

// bound is a time that nothing of the track p that still comes is before; next is that of its oldest access unit that is not
// yet written, or else of its newest. There is none where the track has been waited for in vain for too long, and for one
// that is away from the beginning. A track that is away is taken to go on beside the other, as far from it as it was.
func (c *clock) bound(p, o *place, next int64) (t int64, ok bool) {
	switch {
	case !o.seen:
		return next, p.seen
	case !p.seen:
		return c.start, !p.away && o.at-c.start <= pcrPatience
	case o.at-p.other > pcrPatience:
		return 0, false
	case p.away:
		return next + max(o.at-p.since, 0), true
	}
	return next, true
}

// audioBound is the latest PCR that the audio allows.
func (m *Muxer) audioBound() (t int64, ok bool) {
	next := m.clock.audio.at
	if m.pending.frames > 0 {
		next = m.pending.pts
	}
	t, ok = m.clock.bound(&m.clock.audio, &m.clock.video, next)
	return t - pcrLead, ok
}

// videoBound is the latest PCR that the video allows. Pictures carry their own, pcrDelay behind; only where they are rare
// may audio drive the clock up to the newest of them, since the next may follow closely.
func (c *clock) videoBound() (t int64, ok bool) {
	if t, ok = c.bound(&c.video, &c.audio, c.video.at); 0 < c.step && c.step <= pcrLimit {
		t -= pcrDelay
	}
	return t, ok
}

// steps is the number of PCRs, one at least, by which to get to t with no two further apart than pcrLimit. Over a leap it is
// one, which s announces.
func (c *clock) steps(s *stream, t int64) int64 {
	gap := t - c.last
	switch {
	case !c.valid || gap <= 0:
		return 1
	case gap > pcrLeap:
		s.broken = true
		return 1
	}
	return (gap + pcrLimit - 1) / pcrLimit
}

// fill writes n-1 of the n PCRs that lead evenly from the last one to t; the n-th is for the caller to write.
func (c *clock) fill(b *Buffer, s *stream, t, n int64) {
	from := c.last
	for i := int64(1); i < n; i++ {
		c.last = from + (t-from)*i/n
		pcrOnly(b, s, c.last)
	}
}

// catchUp writes all PCRs from the last one to t.
func (c *clock) catchUp(b *Buffer, s *stream, t int64) {
	c.fill(b, s, t, c.steps(s, t))
	c.last, c.valid = t, true
	pcrOnly(b, s, t)
}

// reset makes the next PCR one of another clock: no PCR of this one could come before the access unit in hand.
func (m *Muxer) reset(s *stream) {
	m.stats.PCRReset.Add(1)
	m.clock.valid = false
	s.broken = true
}

// tick is what an access unit has to do with the PCR.
type tick struct {
	pcr  int64 // its own
	has  bool  // pcr is one
	rest bool  // after the unit the clock has to catch up with to
	to   int64
}

// tick prepares the PCR for an access unit of time t on the stream s that carries it, and writes those due before it. It
// always gives the unit one where every is set, and at the beginning of a segment. There, nothing may come between the
// tables and the unit: the unit takes the first of the PCRs that are due, and the rest follow it.
func (m *Muxer) tick(b *Buffer, s *stream, t int64, every bool) tick {
	c := &m.clock
	first := m.opens(b)
	target := t - pcrDelay
	if m.config.Video != 0 && m.config.Audio != 0 {
		if latest, ok := m.audioBound(); ok {
			target = min(target, latest)
		}
	}
	switch {
	case !c.valid:
	case c.last >= t: // even the unit's own time is past
		m.reset(s)
	case c.last >= target: // audio drove the clock ahead, or holds it back
		if !first {
			return tick{}
		}
		target = c.last + 1
	case target-c.last < pcrDue && !first && !every:
		return tick{}
	}
	if first {
		m.first, m.bare = false, false
	}
	n := c.steps(s, target)
	if first && n > 1 {
		c.last += (target - c.last) / n
		return tick{pcr: c.last, has: true, rest: true, to: target}
	}
	c.fill(b, s, target, n)
	c.last, c.valid = target, true
	return tick{pcr: target, has: true}
}

// tickAudio keeps the PCR on the video stream going while audio of time t is written and pictures are rare or away, and puts
// one into a segment that begins without a picture.
func (m *Muxer) tickAudio(b *Buffer, t int64) {
	c := &m.clock
	if b != m.current { // a later segment has begun, and has the clock
		if m.before.valid && t < m.before.last {
			m.stats.AudioLate.Add(1)
		}
		return
	}
	if c.valid && t < c.last {
		m.stats.AudioLate.Add(1)
		m.reset(&m.video)
	}
	target := t - pcrDelay
	if latest, ok := c.videoBound(); ok {
		if !c.video.seen { // the first picture will say where the clock begins
			return
		}
		target = min(target, latest)
	}
	if c.valid {
		if m.bare {
			target = max(target, min(c.last+1, t))
		}
		if target <= c.last || target-c.last < pcrAudio && !m.bare {
			return
		}
	}
	m.bare = false
	c.catchUp(b, &m.video, target)
}
