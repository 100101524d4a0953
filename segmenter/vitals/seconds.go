package vitals

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Remembered is how many seconds a Vitals remembers one by one.
const Remembered = 120

// Second is what came of a stream in one second of arrival.
type Second struct {
	Begin  time.Time // a whole second
	Frames [2]int64  // by track
	Bytes  int64

	KeyframeInterval, Skew time.Duration // as in a Reading
	// Jitter is by how much frames come unevenly: the mean of RFC 3550 6.4.1, of the track that Reading.Jitter is of.
	Jitter time.Duration
	// Behind is by how much later the media comes than its time stamps say, since its time line began: the least in the second, so that
	// jitter is not in it. It rises where the way is too slow, and where the encoder's clock is; below zero it comes too early.
	Behind time.Duration
}

// seconds are the newest of them. Guarded by Vitals.mu.
type seconds struct {
	now   Second // the one under way
	fresh bool   // now.Behind is still that of the second before
	first newest // frame of the time line
	ring  [Remembered]Second
	n     int // ever
}

// jump is a step of time stamps with which a time line begins, where no such time has passed.
const jump = 2 * time.Second

// count notes a frame that came.
func (s *seconds) count(at time.Time, track, size int) {
	if begin := at.Truncate(time.Second); !begin.Equal(s.now.Begin) {
		if !s.now.Begin.IsZero() {
			s.ring[s.n%Remembered] = s.now
			s.n++
		}
		s.now = Second{Begin: begin, KeyframeInterval: s.now.KeyframeInterval, Skew: s.now.Skew, Jitter: s.now.Jitter, Behind: s.now.Behind}
		s.fresh = true
	}
	s.now.Frames[track]++
	s.now.Bytes += int64(size)
}

// follow compares when a frame came with its time stamp. last is the one before it of the same track.
func (s *seconds) follow(f, last newest) {
	step, passed := codec.Duration(f.dts-last.dts), f.at.Sub(last.at)
	if !s.first.is || !last.is || f.dts < last.dts || step > jump && (passed-step).Abs() > jump {
		s.first, s.now.Behind, s.fresh = f, 0, false
		return
	}
	s.now.Jitter += ((passed - step).Abs() - s.now.Jitter) / 16
	if behind := f.at.Sub(s.first.at) - codec.Duration(f.dts-s.first.dts); s.fresh || behind < s.now.Behind {
		s.now.Behind, s.fresh = behind, false
	}
}

// Last returns the newest second that is whole; false where there is none yet.
func (v *Vitals) Last() (s Second, ok bool) {
	if v == nil {
		return s, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seconds.n == 0 {
		return s, false
	}
	return v.seconds.ring[(v.seconds.n-1)%Remembered], true
}

// Seconds appends those that are remembered and whole to dst, oldest first. Those in which nothing came are not among them.
func (v *Vitals) Seconds(dst []Second) []Second {
	if v == nil {
		return dst
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := max(v.seconds.n-Remembered, 0); i < v.seconds.n; i++ {
		dst = append(dst, v.seconds.ring[i%Remembered])
	}
	return dst
}
