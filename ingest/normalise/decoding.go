package normalise

import "github.com/hlsorigin/hlsorigin/ingest"

const (
	// backLimit is how far DTS may fall, in 90 kHz ticks, within one timeline: it is then made to rise. A larger fall is passed on, and the
	// segmenter begins a new timeline.
	backLimit = 1 * ingest.Clock
	// maxLower is the largest negative composition offset that is believed, in ticks: at most 16 pictures are reordered.
	maxLower = 2 * ingest.Clock
)

// decoding makes the decoding times of a track rise, and keeps them from being later than the presentation times.
type decoding struct {
	lowered int64 // how much DTS is lowered, so that no composition offset is negative
	begun   bool
	last    int64
}

// lower makes DTS earlier by at least this many ticks.
func (d *decoding) lower(by int64) {
	if by <= maxLower {
		d.lowered = max(d.lowered, by)
	}
}

// place gives a frame its times. PTS stays as it is, unless no DTS is left before it; repaired reports that.
func (d *decoding) place(pts, dts int64) (newPTS, newDTS int64, repaired bool) {
	d.lower(dts - pts)
	dts -= d.lowered
	if d.begun && dts <= d.last && d.last-dts <= backLimit {
		// If the encoder's own DTS does rise, it has just been lowered, and the next ones will be right again.
		dts, repaired = d.last+1, true
	}
	if pts < dts {
		pts, repaired = dts, true
	}
	d.begun, d.last = true, dts
	return pts, dts, repaired
}
