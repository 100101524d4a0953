package mpegts

// Times in this file are 90 kHz ticks.
const (
	// pcrDelay is how far the PCR stays behind DTS. It is more than audioSpan and audioHold, so that audio that was
	// gathered into one PES packet still comes before its time.
	pcrDelay = 300 * 90
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
	// videoStall is the time that audio runs on without video until it drives the PCR alone.
	videoStall = 2 * 90000
)

// clock remembers which PCR the stream last carried. The zero value has carried none.
type clock struct {
	last  int64 // newest PCR
	valid bool  // last is one

	dts   int64 // of the newest video access unit
	video bool  // dts is one
	since int64 // PTS of the first audio that came after it
	heard bool  // since is one
}

// steps is the number of PCRs, one at least, by which to get to t with no two further apart than pcrLimit.
func (c *clock) steps(t int64) int64 {
	gap := t - c.last
	if !c.valid || gap <= 0 || gap > pcrLeap {
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
	c.fill(b, s, t, c.steps(t))
	c.last, c.valid = t, true
	pcrOnly(b, s, t)
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
	switch {
	case !c.valid:
	case c.last >= t: // even the unit's own time is past
		m.stats.PCRReset.Add(1)
		c.valid = false
	case c.last >= target: // audio drove the clock ahead
		if !first {
			return tick{}
		}
		target = c.last + 1
	case target-c.last < pcrDue && !first && !every:
		return tick{}
	}
	if first {
		m.first = false
	}
	n := c.steps(target)
	if first && n > 1 {
		c.last += (target - c.last) / n
		return tick{pcr: c.last, has: true, rest: true, to: target}
	}
	c.fill(b, s, target, n)
	c.last, c.valid = target, true
	return tick{pcr: target, has: true}
}

// tickAudio keeps the video stream's PCR going while audio of time t is written and pictures are rare. It stays behind
// the audio, and behind the DTS of the newest picture, since the next may follow closely: until video has
// stalled, when audio goes alone.
func (m *Muxer) tickAudio(b *Buffer, t int64) {
	c := &m.clock
	if !c.heard {
		c.since, c.heard = t, true
	}
	if b != m.current {
		return // a later segment has begun, and has the clock
	}
	target := t - pcrDelay
	if t-c.since <= videoStall {
		if !c.video || !c.valid || m.first {
			return
		}
		target = min(target, c.dts)
	}
	if c.valid && target-c.last < pcrAudio {
		return
	}
	c.catchUp(b, &m.video, target)
}
