package normalise

import "github.com/hlsorigin/hlsorigin/ingest"

const (
	// backLimit is how far DTS may fall, 90 kHz ticks, and still be of the same time line: it is then made to rise. One that
	// falls by more is let through, for the segmenter to begin a new line.
	backLimit = 1 * ingest.Clock
	// maxLower is the largest composition offset below 0 that is believed, ticks: at most 16 pictures are reordered.
	maxLower = 2 * ingest.Clock
)

// decoding makes the decoding times of a track rise, and keeps them from being after the presentation times.
type decoding struct {
	lowered int64 // by which DTS is lowered, so that no composition offset is below 0
	begun   bool
	last    int64
}

// lower makes DTS earlier by so many ticks at least.
func (d *decoding) lower(by int64) {
	if by <= maxLower {
		d.lowered = max(d.lowered, by)
	}
}

// place gives a frame its times. PTS stays as it is unless no DTS is left that could be before it, which repaired reports.
func (d *decoding) place(pts, dts int64) (newPTS, newDTS int64, repaired bool) {
	d.lower(dts - pts)
	dts -= d.lowered
	if d.begun && dts <= d.last && d.last-dts <= backLimit {
		// Where the encoder's own DTS does rise, it was lowered just now, and the next ones will be right again.
		dts, repaired = d.last+1, true
	}
	if pts < dts {
		pts, repaired = dts, true
	}
	d.begun, d.last = true, dts
	return pts, dts, repaired
}
