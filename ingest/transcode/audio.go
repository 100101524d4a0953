package transcode

import "sync"

// audioFrames is how many audio frames are kept for rungs that are behind: 20 s of AAC at 48 kHz.
const audioFrames = 1024

// audioLine holds the source's newest audio for all rungs, each of which reads at its own position. One goroutine adds.
type audioLine struct {
	mu     sync.Mutex
	frames [audioFrames]packet
	end    int // number of the next frame
}

func (a *audioLine) add(p packet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frames[a.end%audioFrames] = p
	a.end++
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
