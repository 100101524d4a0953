package rtsp

import (
	"bytes"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

const (
	// maxReorder is the most pictures that H.264 and H.265 let a decoder reorder.
	maxReorder = 16
	// trustedReorder is the reorder depth that is believed when parameter sets name it. Some encoders name the size of
	// their picture buffer instead, which would put every DTS that much too early.
	trustedReorder = 4
	// guessedFrame is the time between two frames where nobody says it, 90 kHz ticks.
	guessedFrame = 3000

	// Where the depth is not said, pictures are held until so many have come that did not make it deeper, and no longer
	// than that.
	learnPictures = 8
	learnMost     = 32
	learnBytes    = 4 << 20
	learnTime     = 1500 * time.Millisecond
)

// decoding derives the decoding times of pictures, which RTP does not carry. It takes frames in decoding order and gives all
// of them back, in the same order, with DTS that rise and are not after PTS.
type decoding struct {
	track *ingest.Track // of the newest picture
	said  int           // depth of reordering by its SPS; -1 where it does not tell, or is not believed
	seen  int           // depth that was seen, where it is not said

	order   *reorderDTS // nil while the depth is being learnt
	waiting []ingest.Frame
	bytes   int // of those waiting
	rose    int // the picture, of those waiting, that made the depth what it is
	begun   bool
	last    int64
	lifted  func() // counts a picture that is shown too late, because its decoding time could not be before
}

// add takes a picture and emits it, and those before it, when their times are known.
func (d *decoding) add(f ingest.Frame, emit func(ingest.Frame)) {
	if d.track != f.Track {
		if d.track == nil || !slices.EqualFunc(d.track.SPS, f.Track.SPS, bytes.Equal) { // only another SPS can change the order of pictures
			d.flush(emit)
			d.order, d.said, d.seen = nil, saidReorder(f.Track), 0
		}
		d.track = f.Track
	}
	if d.order == nil && d.said >= 0 {
		d.order = newReorderDTS(d.said, f.Track.FrameRate)
	}
	if d.order != nil {
		d.place(f, emit)
		return
	}
	d.waiting = append(d.waiting, f)
	d.bytes += size(&f)
	depth := 0
	for _, w := range d.waiting {
		if w.PTS > f.PTS {
			depth++
		}
	}
	if depth > d.seen {
		d.seen, d.rose = depth, len(d.waiting)
	}
	if n := len(d.waiting); n-d.rose >= learnPictures || n >= learnMost || d.bytes >= learnBytes || f.Arrival.Sub(d.waiting[0].Arrival) >= learnTime {
		d.flush(emit)
	}
}

// flush emits what waits, with what has been learnt.
func (d *decoding) flush(emit func(ingest.Frame)) {
	if len(d.waiting) == 0 {
		return
	}
	d.order = newReorderDTS(d.seen, d.track.FrameRate)
	for _, f := range d.waiting {
		d.place(f, emit)
	}
	d.waiting, d.bytes, d.rose = nil, 0, 0
}

// jumped emits what waits: PTS will not go on from where they were.
func (d *decoding) jumped(emit func(ingest.Frame)) {
	switch {
	case len(d.waiting) > 0: // too few to have learnt from
		d.flush(emit)
		d.order, d.seen = nil, 0
	case d.order != nil:
		d.order = newReorderDTS(len(d.order.window), d.track.FrameRate)
	}
}

func (d *decoding) place(f ingest.Frame, emit func(ingest.Frame)) {
	dts, ok := d.order.next(f.PTS)
	if !ok || d.begun && dts <= d.last {
		// The reordering is deeper than it was said or seen to be; or an order that began anew, with a deeper one than before,
		// begins in its past.
		dts = d.last + 1
	}
	if dts > f.PTS {
		f.PTS = dts
		d.lifted()
	}
	d.begun, d.last, d.order.last, f.DTS = true, dts, dts, dts
	emit(f)
}

// saidReorder is the depth of reordering that a track's parameter sets tell, -1 where they do not, or are not believed.
func saidReorder(t *ingest.Track) int {
	v := codec.Video{Codec: t.Codec, VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}
	if err := v.Describe(); err != nil || v.Reorder > trustedReorder {
		return -1
	}
	return v.Reorder
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

// next is the DTS of the next frame in decoding order, on the time line of pts; false where there is none.
func (r *reorderDTS) next(pts int64) (int64, bool) {
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
		// The frame is shown before one that was to be decoded before it: the reordering is deeper than was said. A longer
		// window serves the next ones.
		if len(r.window) > maxReorder {
			r.window = slices.Delete(r.window, 0, 1)
		}
		return 0, false
	}
	r.window = slices.Delete(r.window, 0, 1)
	r.last = dts
	return dts, true
}
