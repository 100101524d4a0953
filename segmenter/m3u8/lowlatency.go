package m3u8

import "strconv"

// Part is one EXT-X-PART (rfc8216bis 4.4.4.9).
type Part struct {
	URI         string
	Duration    int64 // 90 kHz ticks
	Independent bool  // there is a place in it where a decoder can begin
}

// Control is what makes a media playlist a low-latency one: EXT-X-SERVER-CONTROL and EXT-X-PART-INF (rfc8216bis 4.4.3.7, 4.4.3.8).
// A nil Control makes none.
type Control struct {
	PartTarget int64 // 90 kHz ticks
	SkipUntil  int   // CAN-SKIP-UNTIL, seconds; 0: there are no delta updates
}

// holdBack is PART-HOLD-BACK in PART-TARGETs: the least that the draft allows is 2, and it recommends 3.
const holdBack = 3

func (c *Control) append(b []byte) []byte {
	if c == nil {
		return b
	}
	b = append(b, "\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES"...)
	if c.SkipUntil > 0 {
		b = append(b, ",CAN-SKIP-UNTIL="...)
		b = strconv.AppendInt(b, int64(c.SkipUntil), 10)
	}
	b = append(b, ",PART-HOLD-BACK="...)
	b = appendSeconds(b, holdBack*c.PartTarget)
	b = append(b, "\n#EXT-X-PART-INF:PART-TARGET="...)
	return appendSeconds(b, c.PartTarget)
}

func (p *Part) append(b []byte) []byte {
	b = append(b, "#EXT-X-PART:DURATION="...)
	b = appendSeconds(b, p.Duration)
	b = appendQuoted(b, ",URI=", p.URI)
	if p.Independent {
		b = append(b, ",INDEPENDENT=YES"...)
	}
	return append(b, '\n')
}

// appendSkip renders EXT-X-SKIP (rfc8216bis 4.4.5.2).
func appendSkip(b []byte, n int) []byte {
	b = append(b, "#EXT-X-SKIP:SKIPPED-SEGMENTS="...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, '\n')
}

// appendEdge renders what stands behind the last complete segment.
func (m *Media) appendEdge(b []byte) []byte {
	if len(m.AtEdge) > 0 {
		b = m.Edge.appendTags(b, m.AtEdge)
	}
	if m.Hint != "" { // rfc8216bis 4.4.5.3
		b = append(b, "#EXT-X-PRELOAD-HINT:TYPE=PART"...)
		b = appendQuoted(b, ",URI=", m.Hint)
		b = append(b, '\n')
	} else if m.LowLatency != nil && len(m.AtEdge) == 0 {
		// Without a line here hls.js takes the last segment for one that is being written, too, and ends with "discontinuity sequence
		// mismatch" when the one that does follow has a discontinuity.
		b = append(b, "# nothing is being written\n"...)
	}
	for i := range m.Reports {
		b = m.Reports[i].append(b)
	}
	return b
}

// Report is one EXT-X-RENDITION-REPORT (rfc8216bis 4.4.5.4): what is newest in another rendition.
type Report struct {
	URI  string
	MSN  uint64 // of the segment that is newest, complete or not
	Part int    // the newest part of it; below 0: it has none
}

func (r *Report) append(b []byte) []byte {
	b = append(b, "#EXT-X-RENDITION-REPORT"...)
	b = appendQuoted(b, ":URI=", r.URI)
	b = append(b, ",LAST-MSN="...)
	b = strconv.AppendUint(b, r.MSN, 10)
	if r.Part >= 0 {
		b = append(b, ",LAST-PART="...)
		b = strconv.AppendInt(b, int64(r.Part), 10)
	}
	return append(b, '\n')
}
