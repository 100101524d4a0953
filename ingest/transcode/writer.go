package transcode

import (
	"io"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// leap is the gap in decoding times, in ticks, beyond which a process would not keep the timeline.
const leap = 5 * ingest.Clock

// writer feeds one process: pictures go to its input as a transport stream, audio bypasses it.
type writer struct {
	feed   *feed
	audio  *audioLine
	stats  *Stats
	maxAge int64 // ticks
	pool   *mpegts.Pool

	first *packet // the keyframe with which it begins
	last  int64   // DTS of the newest picture
	usual int64   // ticks between the two newest
}

// run writes until the feed ends, quit is closed, or the process stops reading, which is the error. It returns the keyframe with which
// another process must begin, or nil.
func (w *writer) run(in io.Writer, quit <-chan struct{}) (*packet, error) {
	mux, err := mpegts.NewMuxer(mpegts.Config{Video: mpegts.TypeOf(w.first.track.Codec, 0)})
	if err != nil {
		return nil, err
	}
	w.last = w.first.dts
	turning := false // to another process, at the next keyframe
	for p, ok := *w.first, true; ok; p, ok = w.feed.take(quit) {
		if !p.video() {
			w.audio.add(p)
			continue
		}
		turning = turning || w.turns(&p)
		if turning {
			if p.key {
				return &p, nil
			}
			w.stats.DroppedFrames.Add(1)
			continue
		}
		w.last, w.usual = p.dts, p.dts-w.last
		if err := w.picture(mux, in, &p); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// turns reports whether the process cannot go on with a picture: another codec or size; a jump in time; a hole before a keyframe, across
// which reordering encoders stretch their decoding times; or a process so old that timestamps would soon wrap.
func (w *writer) turns(p *packet) bool {
	if p.dts == w.first.dts && p.track == w.first.track {
		return false
	}
	a, b := w.first.track, p.track
	return a.Codec != b.Codec || a.Width != b.Width || a.Height != b.Height ||
		p.dts <= w.last || p.dts-w.last > leap || p.key && hole(p.dts-w.last, w.usual) || p.key && p.dts-w.first.dts > w.maxAge
}

// hole reports whether a step between two pictures, in ticks, means that pictures are missing. usual is 0 if the usual step is not known.
func hole(step, usual int64) bool { return usual > 0 && step > ingest.Clock/4 && step > 3*usual }

func (w *writer) picture(mux *mpegts.Muxer, in io.Writer, p *packet) error {
	b := w.pool.Buffer()
	defer b.Release()
	base := w.first.dts
	unit := mpegts.VideoUnit{PTS: p.pts - base, DTS: p.dts - base, Units: p.units, IDR: p.key}
	if p.key {
		unit.ParameterSets = slices.Concat(p.track.VPS, p.track.SPS, p.track.PPS)
		mux.Begin(b)
	}
	mux.Video(b, unit)
	w.stats.FramesIn.Add(1)
	_, err := b.WriteTo(in)
	return err
}
