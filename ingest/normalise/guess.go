package normalise

import (
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

const (
	// guessFrames is how many AAC frames are measured if no header states their rate.
	guessFrames = 16
	// guessSure is how many are enough to contradict what the encoder says.
	guessSure = 8
	// guessWithin is how much a measured rate may differ from a standard one, as a fraction; standard rates are at least a twelfth apart.
	guessWithin = 0.04
)

// guess finds the configuration of AAC that came without a header.
type guess struct {
	frames      int
	first, last int64
	mono, pair  int // frames that begin with a single channel, with a pair
}

func (g *guess) add(pts int64, frame []byte) {
	if len(frame) < minHeaderless {
		return
	}
	if g.frames == 0 || pts < g.last {
		*g = guess{first: pts}
	}
	g.frames++
	g.last = pts
	switch frame[0] >> 5 { // id_syn_ele (ISO/IEC 14496-3 table 4.85)
	case 0:
		g.mono++
	case 1:
		g.pair++
	}
}

// config returns what the frames look like, as LC: the rate from what the encoder says or from the timestamps; the channels from how the
// frames begin. ok is false until there is enough to tell.
func (g *guess) config(h *Hints) (c codec.AACConfig, ok bool) {
	rate := 0
	if _, listed := codec.AACRateIndex(h.AudioRate); listed {
		rate = h.AudioRate
		// HE-AAC is announced with the rate at which it plays; its core has half of that.
		if m, ok := g.measured(guessSure); ok && m == rate/2 {
			rate = m
		}
	} else if m, ok := g.measured(guessFrames); ok {
		rate = m
	}
	index, listed := codec.AACRateIndex(rate)
	if !listed {
		if g.frames >= 2*guessFrames { // they were useless: measure others
			*g = guess{}
		}
		return c, false
	}
	channels := h.AudioChannels
	switch {
	case slices.Contains([]int{3, 4, 5, 6, 8}, channels): // they begin with a single channel
	case g.pair > g.mono:
		channels = 2
	case g.mono > 0:
		channels = 1
	case channels != 1:
		channels = 2
	}
	c = codec.AACConfig{Object: 2, Announced: 2, RateIndex: index, Rate: rate, Channels: channels, ChannelConfig: channels}
	if channels == 8 {
		c.ChannelConfig = 7
	}
	return c, true
}

// measured returns the rate in Hz, once at least this many frames have come.
func (g *guess) measured(frames int) (rate int, ok bool) {
	if g.frames < frames || g.last <= g.first {
		return 0, false
	}
	m := codec.AACSamples * float64(g.frames-1) * ingest.Clock / float64(g.last-g.first)
	rate = codec.AACRate(m)
	return rate, m > float64(rate)*(1-guessWithin) && m < float64(rate)*(1+guessWithin)
}
