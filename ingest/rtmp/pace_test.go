package rtmp

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestPace has an encoder send 25 or 30 pictures and 47 frames of sound a second with some jitter, and viewers wait for every fifteenth
// picture: that one is read within the shorter time, and the socket is read little more often than it would be if nobody waited.
func TestPace(t *testing.T) {
	const (
		usual = 40 * time.Millisecond
		short = 10 * time.Millisecond
	)
	for _, c := range []struct {
		name   string
		rate   int // pictures a second; 0: 30
		jitter time.Duration
		drift  float64 // of the encoder's clock
		stall  bool    // its uplink stands still for a second, after ten
		reads  int     // a second, at most
		p90    time.Duration
	}{
		{name: "steady", reads: 30, p90: short},
		{name: "jitter", jitter: 8 * time.Millisecond, reads: 30, p90: short},
		{name: "much jitter", jitter: 60 * time.Millisecond, reads: 33, p90: 2 * short},
		{name: "slow clock", drift: 300e-6, reads: 30, p90: short},
		{name: "fast clock", drift: -300e-6, reads: 30, p90: short},
		{name: "as often as the socket is read", rate: 25, reads: 30, p90: short},
		{name: "nearly as often", rate: 25, drift: 20e-6, reads: 30, p90: short},
		{name: "stall", stall: true, reads: 30, p90: short},
	} {
		t.Run(c.name, func(t *testing.T) {
			type message struct {
				video   bool
				n       int
				stamp   time.Duration
				arrival time.Duration
			}
			rnd := rand.New(rand.NewPCG(1, 2))
			var sent []message
			frame := time.Second / time.Duration(cmp.Or(c.rate, 30))
			const length = 60 * time.Second
			for i := range int(length / frame) {
				sent = append(sent, message{true, i, time.Duration(i) * frame, 0})
			}
			for i := range int(length.Seconds() * 47) {
				sent = append(sent, message{false, i, time.Duration(i) * time.Second / 47, 0})
			}
			slices.SortFunc(sent, func(a, b message) int { return int(a.stamp - b.stamp) })
			last := time.Duration(0)
			for i := range sent {
				m := &sent[i]
				m.arrival = 7*time.Millisecond + time.Duration(float64(m.stamp)*(1+c.drift))
				if c.jitter > 0 {
					m.arrival += time.Duration(rnd.Int64N(int64(c.jitter)))
				}
				if c.stall && m.arrival > 10*time.Second && m.arrival < 11*time.Second {
					m.arrival = 11 * time.Second
				}
				m.arrival = max(m.arrival, last)
				last = m.arrival
			}
			p := pace{usual: usual, urgent: short}
			now, newest, reads := time.Duration(0), 0, 0
			var delays []time.Duration
			for len(sent) > 0 {
				awaited := time.Duration(15-newest%15) * frame
				now = p.next(now, awaited)
				reads++
				for len(sent) > 0 && sent[0].arrival <= now {
					m := sent[0]
					sent = sent[1:]
					p.saw(m.video, uint32(m.stamp/time.Millisecond), now)
					if m.video {
						if newest = m.n; m.n%15 == 0 && m.n > 60 {
							delays = append(delays, now-m.arrival)
						}
					}
				}
			}
			slices.Sort(delays)
			perSecond, p90 := float64(reads)/length.Seconds(), delays[len(delays)*9/10]
			t.Logf("%.1f reads a second; what is waited for is read after %v at the median, p90 %v, most %v", perSecond, delays[len(delays)/2], p90, delays[len(delays)-1])
			if perSecond > float64(c.reads) || p90 > c.p90 || delays[len(delays)-1] > usual {
				t.Error("too often, or too late")
			}
		})
	}
}

// Time stamps that jump, wrap or stand still, and a wish for less than a millisecond, leave a next instant that is in the future and no
// further than usual.
func TestPaceOddities(t *testing.T) {
	for _, urgent := range []time.Duration{0, time.Microsecond, 10 * time.Millisecond, time.Second} {
		p := pace{usual: 40 * time.Millisecond, urgent: urgent}
		now := time.Duration(0)
		rnd := rand.New(rand.NewPCG(3, 4))
		for range 100_000 {
			awaited := time.Duration(rnd.Int64N(int64(2*time.Second))) - time.Second
			next := p.next(now, awaited)
			if next <= now || next > now+p.usual {
				t.Fatalf("at %v the next is %v", now, next)
			}
			now = next
			for range rnd.IntN(3) {
				stamp := p.stamp + rnd.Uint32N(50)
				if rnd.IntN(10) == 0 {
					stamp = rnd.Uint32()
				}
				p.saw(rnd.IntN(2) == 0, stamp, now)
			}
		}
	}
}
