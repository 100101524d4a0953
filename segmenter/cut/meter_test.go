package cut

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// encoder sends 25 pictures and 50 frames of sound a second to a meter, with a keyframe every two seconds.
type encoder struct {
	m       *Meter
	at      time.Time
	n       int
	early   time.Duration // by how much the sound is ahead
	slow    float64       // seconds of arrival for each second of media
	unquiet time.Duration // every other picture is so late
}

func (e *encoder) run(pictures int) {
	video, audio := &ingest.Track{Codec: ingest.H264}, &ingest.Track{Codec: ingest.AAC}
	for range pictures {
		media := time.Duration(e.n) * 40 * time.Millisecond
		arrival := e.at.Add(time.Duration(float64(media) * e.slow))
		if e.n%2 == 1 {
			arrival = arrival.Add(e.unquiet)
		}
		for i := range 2 {
			pts := codec.Ticks(media+e.early) + int64(i-1)*1800
			e.m.Add(&Unit{Frame: &ingest.Frame{Track: audio, Units: [][]byte{make([]byte, 100)}, Arrival: arrival}, PTS: pts, DTS: pts})
		}
		u := Unit{Frame: &ingest.Frame{Track: video, Units: [][]byte{make([]byte, 1000), make([]byte, 800)}, Arrival: arrival}, Video: true, PTS: codec.Ticks(media), DTS: codec.Ticks(media)}
		if e.n%50 == 0 {
			u.Survey.Access = codec.Clean
		}
		e.m.Add(&u)
		e.n++
	}
}

func TestMeter(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		e    encoder
		want func(s Second) bool
	}{
		"even":             {encoder{slow: 1}, func(s Second) bool { return s.Skew == 0 && s.Jitter == 0 && s.Behind == 0 }},
		"sound ahead":      {encoder{slow: 1, early: time.Second}, func(s Second) bool { return s.Skew == codec.Clock }},
		"sound behind":     {encoder{slow: 1, early: -time.Second}, func(s Second) bool { return s.Skew == -codec.Clock }},
		"pairs":            {encoder{slow: 1, unquiet: 20 * time.Millisecond}, func(s Second) bool { return s.Jitter > 1500 && s.Jitter <= 1800 && s.Behind == 0 }},
		"a slow clock":     {encoder{slow: 1.01}, func(s Second) bool { return s.Behind > codec.Clock/20 && s.Behind < codec.Clock/8 }},
		"a clock too fast": {encoder{slow: 0.99}, func(s Second) bool { return s.Behind < -codec.Clock/20 && s.Behind > -codec.Clock/8 }},
	} {
		t.Run(name, func(t *testing.T) {
			e := tc.e
			e.m, e.at = &Meter{}, begun
			e.run(10 * 25)
			got := e.m.History(nil)
			last, ok := e.m.Last()
			if len(got) < 9 || !ok || got[len(got)-1] != last {
				t.Fatalf("%d seconds, the last is %+v", len(got), last)
			}
			if e.slow == 1 && (last.Bytes != 25*2000 || last.Video != 25 || last.Audio != 50) || last.Key != 2*codec.Clock {
				t.Errorf("%+v", last)
			}
			if !tc.want(last) {
				t.Errorf("%+v", last)
			}
		})
	}
}

// A break of the time line is neither jitter nor a keyframe interval, and leaves a hole where nothing came.
func TestMeterOverABreak(t *testing.T) {
	m := &Meter{}
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one := encoder{m: m, at: begun, slow: 1}
	one.run(5 * 25)
	m.Break()
	two := encoder{m: m, at: begun.Add(9 * time.Second), slow: 1}
	two.run(3 * 25)
	all := m.History(nil)
	hole := false
	for i, s := range all {
		if s.Jitter != 0 || s.Behind != 0 || s.Key != 0 && s.Key != 2*codec.Clock {
			t.Errorf("second %d: %+v", i, s)
		}
		hole = hole || i > 0 && s.Begin.Sub(all[i-1].Begin) > 3*time.Second
	}
	if !hole {
		t.Errorf("no hole in %+v", all)
	}
}

func TestMeterIsBounded(t *testing.T) {
	e := encoder{m: &Meter{}, at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), slow: 1}
	e.run((Seconds + 30) * 25)
	got := e.m.History(nil)
	if len(got) != Seconds || got[1].Begin.Sub(got[0].Begin) != time.Second {
		t.Errorf("%d seconds from %v on", len(got), got[0].Begin)
	}
	if n := testing.AllocsPerRun(1, func() { e.m.Last() }); n != 0 {
		t.Errorf("reading allocates %v times", n)
	}
}
