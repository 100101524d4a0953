package cut

import (
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Seconds is how many seconds a Meter remembers.
const Seconds = 120

// Second is what came of a publisher in one second of arrival.
type Second struct {
	Begin  time.Time // of the second, whole seconds
	Bytes  int64     // of frames, without what transports add
	Video  int       // pictures
	Audio  int       // frames of sound
	Key    int64     // ticks between the newest two pictures at which a decoder may begin; 0: not known
	Skew   int64     // ticks by which the sound is ahead of the picture by its time stamps, as pictures came; 0 without either
	Jitter int64     // ticks by which frames come unevenly: the mean of RFC 3550, section 6.4.1
	// Behind is by how many ticks the media came later than its time stamps say, since the time line began: the least in the second,
	// so that jitter does not count. It rises where the way is too slow, and where the encoder's clock is.
	Behind int64
}

// Meter measures how frames come, second by second. One goroutine adds to it, any may read. It costs no memory for a frame, and a
// lock once a second. The zero value is ready.
type Meter struct {
	now      Second // the second under way; of the writer alone
	keyAt    int64
	keySeen  bool
	sound    int64 // PTS of the newest sound
	heard    bool
	pictures bool
	pace     pace
	fresh    bool // now.Behind is still that of the second before

	mu   sync.Mutex
	ring [Seconds]Second
	n    int // seconds ever added
}

// pace is how a time line advances by its stamps, and by arrival.
type pace struct {
	seen         bool
	begun, last  time.Time // arrivals
	first, stamp int64     // decoding times
	jitter       int64     // ticks
}

// Add measures a unit as it came, before its times are repaired.
func (m *Meter) Add(u *Unit) {
	arrival := u.Frame.Arrival
	if s := arrival.Truncate(time.Second); !s.Equal(m.now.Begin) {
		m.turn(s)
	}
	for _, b := range u.Frame.Units {
		m.now.Bytes += int64(len(b))
	}
	if !u.Video {
		m.now.Audio++
		m.sound, m.heard = u.PTS, true
		if !m.pictures {
			m.follow(arrival, u.DTS)
		}
		return
	}
	m.now.Video++
	if !m.pictures {
		m.pictures, m.pace = true, pace{}
	}
	if m.heard {
		m.now.Skew = m.sound - u.DTS
	}
	if u.Survey.Access > codec.Recovery {
		if m.keySeen && u.PTS > m.keyAt {
			m.now.Key = u.PTS - m.keyAt
		}
		m.keyAt, m.keySeen = u.PTS, true
	}
	m.follow(arrival, u.DTS)
}

// follow compares the time of arrival with that of the media.
func (m *Meter) follow(arrival time.Time, dts int64) {
	p := &m.pace
	if !p.seen {
		*p = pace{seen: true, begun: arrival, last: arrival, first: dts, stamp: dts}
		m.now.Behind, m.fresh = 0, false
		return
	}
	uneven := codec.Ticks(arrival.Sub(p.last)) - (dts - p.stamp)
	p.jitter += (max(uneven, -uneven) - p.jitter) / 16
	p.last, p.stamp = arrival, dts
	m.now.Jitter = p.jitter
	if behind := codec.Ticks(arrival.Sub(p.begun)) - (dts - p.first); m.fresh || behind < m.now.Behind {
		m.now.Behind, m.fresh = behind, false
	}
}

// Break begins another time line: what was measured of the one before says nothing of it.
func (m *Meter) Break() {
	m.keySeen, m.heard, m.pictures, m.pace = false, false, false, pace{}
}

// turn ends the second under way. The next takes over what is true until something else is seen.
func (m *Meter) turn(begin time.Time) {
	if !m.now.Begin.IsZero() {
		m.mu.Lock()
		m.ring[m.n%Seconds] = m.now
		m.n++
		m.mu.Unlock()
	}
	m.now = Second{Begin: begin, Key: m.now.Key, Skew: m.now.Skew, Jitter: m.now.Jitter, Behind: m.now.Behind}
	m.fresh = true
}

// Last returns the newest whole second; false where there is none yet.
func (m *Meter) Last() (s Second, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n == 0 {
		return s, false
	}
	return m.ring[(m.n-1)%Seconds], true
}

// History appends the seconds that are remembered to dst, oldest first. Seconds in which nothing came are not among them.
func (m *Meter) History(dst []Second) []Second {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := max(m.n-Seconds, 0); i < m.n; i++ {
		dst = append(dst, m.ring[i%Seconds])
	}
	return dst
}
