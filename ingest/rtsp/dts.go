package rtsp

import (
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

const (
	// maxReorder is the most pictures that H.264 and H.265 let a decoder reorder.
	maxReorder = 16
	// trustedReorder is the reorder depth that is believed when H.264 parameter sets name it. Some encoders name the
	// size of their picture buffer instead, which would put every DTS that much too early.
	trustedReorder = 4
	// guessedFrame is the time between two frames where nobody says it, 90 kHz ticks.
	guessedFrame = 3000
)

// dtsSource derives the decoding times that RTP does not carry.
type dtsSource interface {
	// next is the DTS of the next frame in decoding order, on the time line of pts; false where there is none.
	next(units [][]byte, pts int64, key bool) (int64, bool)
}

// reorderDTS derives DTS from the depth of reordering alone: with at most n frames that are decoded before and shown
// after another, the DTS of a frame is the n-th last of the presentation times so far, in their order. These are the
// times an encoder itself would give, frame by frame, and a lost frame leaves them right.
type reorderDTS struct {
	depth  int
	frame  int64   // ticks between frames, for the first depth ones
	window []int64 // presentation times not yet used, rising
	begun  bool
	last   int64
}

func newReorderDTS(depth int, frameRate float64) *reorderDTS {
	r := &reorderDTS{depth: min(depth, maxReorder), frame: guessedFrame}
	if frameRate >= 1 {
		r.frame = int64(90000 / frameRate)
	}
	return r
}

func (r *reorderDTS) next(_ [][]byte, pts int64, _ bool) (int64, bool) {
	if !r.begun {
		r.begun = true
		r.last = pts - int64(r.depth+1)*r.frame
		for i := r.depth; i > 0; i-- {
			r.window = append(r.window, pts-int64(i)*r.frame)
		}
	}
	i, _ := slices.BinarySearch(r.window, pts)
	r.window = slices.Insert(r.window, i, pts)
	dts := max(r.window[0], r.last+1)
	if dts > pts {
		// The frame is shown before one that was to be decoded before it: the reordering is deeper than the parameter
		// sets say. This frame is lost to that; a longer window serves the next ones.
		if len(r.window) > maxReorder {
			r.window = slices.Delete(r.window, 0, 1)
		}
		return 0, false
	}
	r.window = slices.Delete(r.window, 0, 1)
	r.last = dts
	return dts, true
}

// pocDTS derives DTS from picture order counts, for H.264 parameter sets that do not tell the depth of reordering.
// mediacommon's extractor gives up on streams that it does not understand, so each error is survived by beginning anew
// at the next IDR.
type pocDTS struct {
	sps []byte
	x   *h264.DTSExtractor // nil until the next IDR
}

func (p *pocDTS) next(units [][]byte, pts int64, key bool) (int64, bool) {
	if key {
		units = slices.Concat([][]byte{p.sps}, units)
		if p.x == nil {
			p.x = &h264.DTSExtractor{}
			p.x.Initialize()
		}
	}
	if p.x == nil {
		return 0, false
	}
	dts, err := p.x.Extract(units, pts)
	if err != nil || dts > pts {
		p.x = nil
		return 0, false
	}
	return dts, true
}
