package segmenter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
)

// cmafBook renders every part of a stage's streams as CMAF as soon as it may be, and holds that together they are what their segment
// is.
type cmafBook struct {
	s      *stage
	parts  map[string][]fmp4.Tracks // by "stream/recording/sequence"
	states map[string]fmp4.State    // by "stream/recording/sequence.index"
	remux  fmp4.Remuxer
	early  int // parts that were rendered before their segment was complete
	whole  int // segments that were compared
	last   map[string]*Snapshot
}

func newCMAFBook(s *stage) *cmafBook {
	b := &cmafBook{s: s, parts: map[string][]fmp4.Tracks{}, states: map[string]fmp4.State{}, last: map[string]*Snapshot{}}
	before := s.every
	s.every = func() {
		if before != nil {
			before()
		}
		b.look()
	}
	return b
}

func (b *cmafBook) look() {
	b.s.t.Helper()
	for _, tl := range b.s.reg.Timelines() {
		snap := tl.Snapshot()
		name := snap.Stream + "/" + string(snap.Recording)
		if b.last[name] == snap || snap.PartTarget == 0 {
			continue
		}
		b.last[name] = snap
		view := snap.Pictured()
		for i := range view.Parts {
			p := &view.Parts[i]
			key := fmt.Sprintf("%s/%d", name, p.Sequence)
			if p.Index != len(b.parts[key]) {
				continue
			}
			if t, ok := b.render(view, key, p); ok {
				b.parts[key] = append(b.parts[key], t)
				if p.Sequence >= view.Next() {
					b.early++
				}
			}
			if n := view.Count(p.Sequence); p.Sequence < view.Next() && p.Index == n-1 && len(b.parts[key]) == n {
				b.compare(view, key, p.Sequence)
			}
		}
	}
}

// render renders one part, from as few bytes as there is a state for.
func (b *cmafBook) render(s *Snapshot, key string, p *Part) (fmp4.Tracks, bool) {
	b.s.t.Helper()
	last, next, ok := s.Together(p.Sequence, p.Index)
	if !ok {
		b.s.t.Errorf("%s.%d is there, and it is not known what it needs", key, p.Index)
		return fmp4.Tracks{}, false
	}
	first := p.Index
	for ; first > 0; first-- {
		if _, ok := b.states[fmt.Sprintf("%s.%d", key, first-1)]; ok && p.Sequence%2 == 0 { // of every other one nothing is remembered
			break
		}
	}
	e := fmp4.Excerpt{First: first, After: b.states[fmt.Sprintf("%s.%d", key, first-1)], Next: next}
	if first == 0 {
		e.After = fmp4.State{}
	}
	var pieces [][]byte
	for i := first; i <= last; i++ {
		q, _ := s.Part(p.Sequence, i)
		if !q.Retain() {
			return fmp4.Tracks{}, false
		}
		pieces = q.Slices(pieces)
		defer q.Release()
	}
	row := s.Edge
	if p.Sequence < s.Next() {
		row = s.Rows[p.Sequence-s.Base]
	}
	_, t, after, err := b.remux.Parts(nil, pieces, fmp4.Segment{Number: p.Sequence, Start: row.Start.UnixMilli() * 90, Duration: row.Duration}, e)
	if err != nil {
		b.s.t.Errorf("%s.%d: %v", key, p.Index, err)
		return fmp4.Tracks{}, false
	}
	if last == p.Index {
		b.states[fmt.Sprintf("%s.%d", key, last)] = after
	}
	n := last - first + 1
	for _, t := range []fmp4.Track{t.Video, t.Audio} {
		if len(t.Data) > 0 && n > 1 && len(t.Ends) != n {
			b.s.t.Errorf("%s: parts %d to %d give %d fragments", key, first, last, len(t.Ends))
			return fmp4.Tracks{}, false
		}
	}
	return fmp4.Tracks{Video: t.Video.Part(p.Index - first), Audio: t.Audio.Part(p.Index - first)}, true
}

// compare holds that the parts of a segment are what it is itself.
func (b *cmafBook) compare(s *Snapshot, key string, sequence uint64) {
	b.s.t.Helper()
	seg := s.Segment(sequence)
	if seg == nil || !seg.Retain() {
		return
	}
	defer seg.Release()
	row := s.Rows[sequence-s.Base]
	_, t, err := new(fmp4.Remuxer).Remux(nil, seg.Slices(nil), fmp4.Segment{Number: sequence, Start: row.Start.UnixMilli() * 90, Duration: row.Duration})
	if err != nil {
		b.s.t.Errorf("%s: %v", key, err)
		return
	}
	b.whole++
	var video, audio []byte
	for _, p := range b.parts[key] {
		video, audio = append(video, p.Video.Data...), append(audio, p.Audio.Data...)
	}
	for track, both := range map[string][2][]byte{"video": {video, t.Video.Data}, "audio": {audio, t.Audio.Data}} {
		if parts, whole := both[0], both[1]; !bytes.Equal(parts, whole) {
			at := 0
			for at < min(len(parts), len(whole)) && parts[at] == whole[at] {
				at++
			}
			b.s.t.Errorf("%s: the %s of its %d parts is %d bytes, its own %d; they differ from byte %d on", key, track, len(b.parts[key]), len(parts), len(whole), at)
		}
	}
}

// TestPartsAsCMAF holds the law of parts over what encoders of many shapes send: one behind the other, they are the segment as CMAF,
// byte for byte, though most of them are rendered before it is complete.
func TestPartsAsCMAF(t *testing.T) {
	for _, shape := range encoderShapes() {
		t.Run(shape.name, func(t *testing.T) {
			s := newStage(t, lowLatencyOptions())
			b := newCMAFBook(s)
			s.play(on("cam", shape.frames(20*time.Second)))
			s.finish()
			s.end()
			if b.whole < 2 || shape.clump == 0 && b.early < 10 && shape.longest() < Clock/4 {
				t.Errorf("%d segments were compared, %d parts were rendered before their segment was complete", b.whole, b.early)
			}
		})
	}
}

// The picture stands still while sound goes on, and comes back: parts that have none of it wait, and are the segment all the same.
func TestPartsAsCMAFWhereTracksAreAway(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 50, between: 2, audio: "aac"}
	for name, away := range map[string]func(f *sentFrame) bool{
		"picture for two seconds": func(f *sentFrame) bool {
			return f.video() && f.at > 9300*time.Millisecond && f.at < 11400*time.Millisecond
		},
		"picture for ten seconds": func(f *sentFrame) bool {
			return f.video() && f.at > 9300*time.Millisecond && f.at < 19400*time.Millisecond
		},
		"sound for two seconds": func(f *sentFrame) bool {
			return !f.video() && f.at > 9300*time.Millisecond && f.at < 11400*time.Millisecond
		},
		"sound for ten seconds": func(f *sentFrame) bool {
			return !f.video() && f.at > 9300*time.Millisecond && f.at < 19400*time.Millisecond
		},
		"sound comes and goes":     func(f *sentFrame) bool { return !f.video() && f.at/(700*time.Millisecond)%2 == 0 },
		"picture comes and goes":   func(f *sentFrame) bool { return f.video() && f.at/(900*time.Millisecond)%3 == 1 },
		"both, one behind another": func(f *sentFrame) bool { return f.video() == (f.at/(1500*time.Millisecond)%2 == 0) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, lowLatencyOptions())
			b := newCMAFBook(s)
			s.play(without(shape.stream("cam", 26*time.Second), away))
			s.finish()
			s.end()
			if b.whole < 6 {
				t.Errorf("%d segments were compared", b.whole)
			}
		})
	}
}

// Whatever publishers do, the law of parts holds.
func TestPartsAsCMAFInDisorder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 11))
	compared := 0
	for range chaosSeeds() + 3 {
		script := make([]byte, 60)
		for i := range script {
			script[i] = byte(rnd.Uint32())
		}
		script[0] |= 32 // low latency
		s := newFuzzShow(t, script[0])
		b := newCMAFBook(s.stage)
		for i := 1; i+1 < len(script) && s.budget > 0; i += 2 {
			s.happen(script[i], script[i+1])
		}
		s.judge()
		s.end()
		if compared += b.whole; t.Failed() {
			t.Fatalf("the script is %v", script)
		}
	}
	if compared < 20 {
		t.Errorf("%d segments were compared", compared)
	}
}
