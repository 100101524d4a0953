package rig

import (
	"testing"
	"time"
)

// Waits are the longest that a viewer waited for a new segment, and an encoder for a frame to be accepted.
type Waits struct{ Segment, Frame time.Duration }

// Felt returns what viewers and encoders felt of the server since its last call for them.
func Felt(viewers []*Viewer, cameras []*Camera) (w Waits) {
	for _, v := range viewers {
		v.Mu.Lock()
		w.Segment = max(w.Segment, v.Cadence)
		v.Cadence = 0
		v.Mu.Unlock()
	}
	for _, c := range cameras {
		c.Mu.Lock()
		w.Frame = max(w.Frame, c.Late)
		c.Late = 0
		c.Mu.Unlock()
	}
	return w
}

// Bystander is a stream on a server of its own, which nothing happens to: what it feels is the machine's doing.
type Bystander struct {
	viewers []*Viewer
	cameras []*Camera
}

// Stand begins a bystander's stream; opts are its camera's.
func Stand(t *testing.T, opts ...func(*Camera)) *Bystander {
	t.Helper()
	p := Serve(t, t.TempDir(), Brisk)
	v, _ := Watch(t, p.URL("live/streams/bystander.m3u8"))
	b := &Bystander{[]*Viewer{v}, []*Camera{Shoot(t, p, "bystander", opts...)}}
	Eventually(t, 20*time.Second, "the bystander is on", func() bool { return v.Count() > 0 })
	b.Felt()
	return b
}

// Felt returns what the bystander felt since its last call.
func (b *Bystander) Felt() Waits { return Felt(b.viewers, b.cameras) }
