package transcode

import (
	"sync"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// audioFrames is how many audio frames are kept for rungs that are behind: 20 s of AAC at 48 kHz.
const audioFrames = 1024

// audioLine holds the source's newest audio for all rungs, each of which reads at its own position. One goroutine adds.
type audioLine struct {
	memory *ingest.Memory // that the frames brought with them from the feed

	mu     sync.Mutex
	frames [audioFrames]packet
	end    int // number of the next frame
}

func (a *audioLine) add(p packet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memory.Yield(int64(a.frames[a.end%audioFrames].size))
	a.frames[a.end%audioFrames] = p
	a.end++
}

// drop forgets all frames.
func (a *audioLine) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.frames {
		a.memory.Yield(int64(a.frames[i].size))
		a.frames[i] = packet{}
	}
}

// next returns the first frame at or after a position that is not later than until, and the position after it.
func (a *audioLine) next(place int, until int64) (p packet, after int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	place = max(place, a.end-audioFrames)
	if place >= a.end || a.frames[place%audioFrames].pts > until {
		return packet{}, place, false
	}
	return a.frames[place%audioFrames], place + 1, true
}
