package grid

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// start is when the first keyframe comes.
var start = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

// TestGridIsDue checks which keyframes make a boundary, two seconds apart with four wanted.
func TestGridIsDue(t *testing.T) {
	const frame = codec.Clock / 25
	for _, tc := range []struct {
		name  string
		learn []int64 // keyframe intervals
		at    int64
		steps int64
		ok    bool
	}{
		{"nothing is known, too early", nil, 2 * codec.Clock, 0, false},
		{"nothing is known", nil, 4 * codec.Clock, 1, true},
		{"half a step", []int64{2 * codec.Clock, 2 * codec.Clock}, 2 * codec.Clock, 0, false},
		{"a step", []int64{2 * codec.Clock, 2 * codec.Clock}, 4*codec.Clock + frame, 1, true},
		{"three steps", []int64{2 * codec.Clock, 2 * codec.Clock}, 12 * codec.Clock, 3, true},
		{"off the grid", []int64{2 * codec.Clock, 2 * codec.Clock}, 5 * codec.Clock, 0, false},
		{"a first interval of its own", []int64{6 * codec.Clock / 5}, 16 * codec.Clock / 5, 0, false},
		{"and the keyframe after", []int64{6 * codec.Clock / 5}, 26 * codec.Clock / 5, 1, true},
		{"the longer interval", []int64{3 * codec.Clock, 3 * codec.Clock}, 3 * codec.Clock, 1, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := bounds{wanted: 4 * codec.Clock}
			g.begin(bound{arrival: start})
			for i, interval := range tc.learn {
				g.learn(interval, i > 0 && interval == tc.learn[i-1])
			}
			steps, ok := g.due(tc.at, frame, start.Add(cut.Duration(tc.at)), false)
			if ok != tc.ok || ok && steps != tc.steps {
				t.Errorf("%d steps, %v", steps, ok)
			}
		})
	}
}

// TestGridKeepsItsPhase checks that a boundary out of turn does not move those that follow.
func TestGridKeepsItsPhase(t *testing.T) {
	g := bounds{wanted: 4 * codec.Clock}
	g.begin(bound{arrival: start})
	g.learn(2*codec.Clock, false)
	g.learn(2*codec.Clock, true)
	g.set(bound{number: 1, at: 5 * codec.Clock / 2, arrival: start, keyless: true})
	if _, ok := g.due(13*codec.Clock/2, codec.Clock/25, start, false); ok {
		t.Error("the grid moved to the boundary without a keyframe")
	}
	if steps, ok := g.due(4*codec.Clock, codec.Clock/25, start, false); !ok || steps != 1 {
		t.Errorf("%d steps, %v", steps, ok)
	}
	if b := g.find(5*codec.Clock/2+100, codec.Clock/25); b == nil || b.number != 1 {
		t.Errorf("%+v", b)
	}
}

func TestGridOfAnotherTimeBase(t *testing.T) {
	g := bounds{wanted: 4 * codec.Clock}
	g.begin(bound{arrival: start})
	if g.shares(100*codec.Clock, start.Add(time.Second)) || !g.shares(100*codec.Clock, start.Add(95*time.Second)) {
		t.Error("media time and arrival are not held against each other")
	}
	if _, ok := g.due(1<<38, codec.Clock/25, start.Add(time.Second), true); ok {
		t.Error("the distance to another time base is filled with numbers")
	}
}
