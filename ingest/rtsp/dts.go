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
	// trustedReorder is the largest reorder depth that is believed from parameter sets. Some encoders state the size of their picture
	// buffer instead, which would make every DTS too early by that much.
	trustedReorder = 4
	// guessedFrame is the assumed time between two frames, in 90 kHz ticks, if nothing states it.
	guessedFrame = 3000

	// If the depth is not stated, pictures are held until this many have come without making it deeper, and no longer.
	learnPictures = 8
	learnMost     = 32
	learnBytes    = 4 << 20
	learnTime     = 1500 * time.Millisecond
)

// decoding derives the decoding times of pictures, which RTP does not carry. It takes frames in decoding order and returns all of them, in
// the same order, with DTS that rise and are not after PTS.
type decoding struct {
	track *ingest.Track // of the newest picture
	said  int           // reorder depth from its SPS; -1 if not stated, or not believed
	seen  int           // depth that was seen, if it is not stated

	order   *reorderDTS // nil while the depth is being learned
	waiting []ingest.Frame
	bytes   int // bytes of those waiting
	rose    int // the waiting picture that last increased the depth
	begun   bool
	last    int64
	lifted  func() // counts a picture that is shown too late, because no earlier decoding time was left
}

// add takes a picture, and emits it and those before it when their times are known.
func (d *decoding) add(f ingest.Frame, emit func(ingest.Frame)) {
	if d.track != f.Track {
		if d.track == nil || !slices.EqualFunc(d.track.SPS, f.Track.SPS, bytes.Equal) { // only a new SPS can change the order of pictures
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

// flush emits what waits, using what has been learned.
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

// jumped emits what waits, before PTS continue from somewhere else.
func (d *decoding) jumped(emit func(ingest.Frame)) {
	switch {
	case len(d.waiting) > 0: // too few to have learned from
		d.flush(emit)
		d.order, d.seen = nil, 0
	case d.order != nil:
		d.order = newReorderDTS(d.order.known(), d.track.FrameRate)
	}
}

func (d *decoding) place(f ingest.Frame, emit func(ingest.Frame)) {
	if f.Key {
		d.order.settle()
	}
	dts, ok := d.order.next(f.PTS)
	if !ok || d.begun && dts <= d.last {
		// The reordering is deeper than stated or seen; or a new order, deeper than the previous one, begins in its past.
		dts = d.last + 1
	}
	if dts > f.PTS {
		f.PTS = dts
		d.lifted()
	}
	d.begun, d.last, d.order.last, f.DTS = true, dts, dts, dts
	emit(f)
}

// saidReorder returns the reorder depth from a track's parameter sets, or -1 if they do not state it, or are not believed.
func saidReorder(t *ingest.Track) int {
	v := codec.Video{Codec: t.Codec, VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}
	if err := v.Describe(); err != nil || v.Reorder > trustedReorder {
		return -1
	}
	return v.Reorder
}

// reorderDTS derives DTS from the reorder depth alone: with at most n frames decoded before and shown after another, the DTS of a frame is
// the n-th last of the presentation times so far, sorted. These are the times an encoder itself would give, frame by frame, and a lost
// frame leaves them correct.
type reorderDTS struct {
	depth  int
	frame  int64   // ticks between frames, for the first frames up to the depth
	window []int64 // presentation times not yet used, rising
	begun  bool
	last   int64

	first   int64 // presentation time of the first picture
	settled bool  // a picture has come that a decoder can begin with, and of which nothing is missing
}

func newReorderDTS(depth int, frameRate float64) *reorderDTS {
	r := &reorderDTS{depth: min(depth, maxReorder), frame: guessedFrame}
	if frameRate >= 1 {
		r.frame = int64(90000 / frameRate)
	}
	return r
}

// settle is called before a picture that a decoder can begin with. What comes before the first of them is the end of something whose beginning
// is missing, and says nothing of how deep the reordering is; nor does what is shown before the picture that a connection begins with.
func (r *reorderDTS) settle() {
	if extra := len(r.window) - r.depth; extra > 0 && !r.settled {
		r.window = slices.Delete(r.window, 0, extra)
	}
	r.settled = true
}

// known returns how deep the reordering is, as far as it is known.
func (r *reorderDTS) known() int {
	if !r.settled {
		return r.depth
	}
	return len(r.window)
}

// next returns the DTS of the next frame in decoding order, on the timeline of pts, or false if there is none.
func (r *reorderDTS) next(pts int64) (int64, bool) {
	if !r.begun {
		r.begun, r.first = true, pts
		r.last = pts - int64(r.depth+1)*r.frame
		for i := r.depth; i > 0; i-- {
			r.window = append(r.window, pts-int64(i)*r.frame)
		}
	}
	r.settled = r.settled && pts >= r.first
	i, _ := slices.BinarySearch(r.window, pts)
	r.window = slices.Insert(r.window, i, pts)
	dts := max(r.window[0], r.last+1)
	if dts > pts {
		// The frame is shown before one that was to be decoded before it: the reordering is deeper than stated. A longer window serves the
		// next frames.
		if len(r.window) > maxReorder {
			r.window = slices.Delete(r.window, 0, 1)
		}
		return 0, false
	}
	r.window = slices.Delete(r.window, 0, 1)
	r.last = dts
	return dts, true
}
