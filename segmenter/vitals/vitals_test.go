package vitals

import (
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

var (
	video = &ingest.Track{Codec: ingest.H264}
	audio = &ingest.Track{Codec: ingest.AAC}
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

const ms = time.Millisecond

// frame is one of a track, with a decoding time and an arrival after the start.
func frame(t *ingest.Track, dts, at time.Duration, key bool) *ingest.Frame {
	ticks := int64(dts * 90 / ms)
	return &ingest.Frame{Track: t, DTS: ticks, PTS: ticks, Key: key, Units: [][]byte{make([]byte, 60), make([]byte, 40)}, Arrival: start.Add(at)}
}

// counted is the buckets of a histogram that are not empty.
func counted(h Histogram, bounds []time.Duration) map[time.Duration]int64 {
	m := map[time.Duration]int64{}
	for i, n := range h.Counts {
		if n > 0 && i < len(bounds) {
			m[bounds[i]] = n
		} else if n > 0 {
			m[-1] = n
		}
	}
	return m
}

func TestBoundsFit(t *testing.T) {
	for _, bounds := range [][]time.Duration{JitterBounds(), IntervalBounds()} {
		if len(bounds) >= NumBuckets || !slices.IsSorted(bounds) {
			t.Error(bounds)
		}
	}
	// An alert interpolates: what is in time must not look late.
	for td := time.Second; td <= 12*time.Second; td += time.Second {
		bounds := IntervalBounds()
		i, _ := slices.BinarySearch(bounds, td+50*ms) // a segment that is listed in time comes by a frame later
		if bounds[i] > 3*td/2 {
			t.Errorf("a segment of %v that is in time counts among those up to %v", td, bounds[i])
		}
	}
}

func TestVitals(t *testing.T) {
	type step struct{ dts, at time.Duration }
	even := func(n int, every time.Duration) (s []step) {
		for i := range n {
			s = append(s, step{time.Duration(i) * every, time.Duration(i) * every})
		}
		return s
	}
	for name, tc := range map[string]struct {
		video, audio []step
		key          int // each n-th picture; 0: none
		jitter       map[time.Duration]int64
		interval     time.Duration
		skew         time.Duration
	}{
		"even":           {video: even(61, 40*ms), key: 30, jitter: map[time.Duration]int64{5 * ms: 60}, interval: 1200 * ms},
		"no keyframe":    {video: even(10, 40*ms), jitter: map[time.Duration]int64{5 * ms: 9}},
		"one keyframe":   {video: even(10, 40*ms), key: 10, jitter: map[time.Duration]int64{5 * ms: 9}},
		"sound alone":    {audio: even(50, 20*ms), jitter: map[time.Duration]int64{5 * ms: 49}},
		"a stall":        {video: []step{{0, 0}, {40 * ms, 40 * ms}, {80 * ms, 3080 * ms}, {120 * ms, 3081 * ms}, {160 * ms, 3082 * ms}}, jitter: map[time.Duration]int64{5 * ms: 1, 5 * time.Second: 1, 50 * ms: 2}},
		"a long stall":   {video: []step{{0, 0}, {40 * ms, 20 * time.Second}}, jitter: map[time.Duration]int64{-1: 1}},
		"stands":         {video: []step{{0, 0}, {0, 40 * ms}, {40 * ms, 80 * ms}}, jitter: map[time.Duration]int64{5 * ms: 1}},
		"jumps":          {video: []step{{0, 0}, {time.Hour, 40 * ms}, {time.Hour + 40*ms, 80 * ms}, {0, 120 * ms}}, key: 1, jitter: map[time.Duration]int64{5 * ms: 1}, interval: 40 * ms},
		"sound ahead":    {video: even(100, 40*ms), audio: []step{{500 * ms, 0}}, key: 50, jitter: map[time.Duration]int64{5 * ms: 99}, interval: 2 * time.Second, skew: 500 * ms},
		"sound of years": {video: even(10, 40*ms), audio: []step{{1000 * time.Hour, 0}}, jitter: map[time.Duration]int64{5 * ms: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			var v Vitals
			v.Begin(nil)
			for _, s := range tc.audio {
				v.Frame(frame(audio, s.dts, s.at, true))
			}
			for i, s := range tc.video {
				v.Frame(frame(video, s.dts, s.at, tc.key > 0 && i%tc.key == 0))
			}
			r := v.Read()
			if got := counted(r.Jitter, JitterBounds()); !equal(got, tc.jitter) {
				t.Errorf("jitter %v, want %v", got, tc.jitter)
			}
			if r.KeyframeInterval != tc.interval || (r.Skew-tc.skew).Abs() > ms {
				t.Errorf("keyframes each %v, sound %v ahead", r.KeyframeInterval, r.Skew)
			}
			if want := [2]int64{int64(len(tc.video)), int64(len(tc.audio))}; r.Frames != want || r.Bytes != [2]int64{100 * want[0], 100 * want[1]} {
				t.Errorf("%v frames, %v bytes", r.Frames, r.Bytes)
			}
		})
	}
}

func equal(a, b map[time.Duration]int64) bool {
	for k, n := range b {
		if a[k] != n {
			return false
		}
	}
	return len(a) == len(b)
}

// TestAnotherPublisher holds that what was counted stays, and that nothing is measured from one publisher to the next.
func TestAnotherPublisher(t *testing.T) {
	var v Vitals
	first, second := ingest.NewLedger(nil), ingest.NewLedger(nil)
	v.Begin(first)
	v.Frame(frame(video, 0, 0, true))
	v.Listed(start)
	first.Video.Refuse(ingest.NoPicture)
	first.Audio.Refuse(ingest.BeforeVideo)
	v.Begin(second)
	v.Frame(frame(video, 10*time.Second, time.Hour, true))
	v.Listed(start.Add(time.Hour))
	v.Listed(start.Add(time.Hour + 4*time.Second))
	second.Video.Refuse(ingest.NoPicture)
	v.Request()
	r := v.Read()
	if got := counted(r.Intervals, IntervalBounds()); !equal(got, map[time.Duration]int64{4 * time.Second: 1}) || r.Intervals.Sum != 4*time.Second {
		t.Errorf("intervals %v", got)
	}
	if r.Keyframes != 2 || r.KeyframeInterval != 0 || r.Jitter.Sum != 0 || r.Requests != 1 {
		t.Errorf("%+v", r)
	}
	if r.Lost[ingest.NoPicture] != 2 || r.Lost[ingest.BeforeVideo] != 1 {
		t.Errorf("lost %v", r.Lost)
	}
}

func TestAdd(t *testing.T) {
	var a, b Vitals
	for i, v := range []*Vitals{&a, &b} {
		v.Begin(nil)
		v.Frame(frame(audio, 0, 0, true))
		v.Frame(frame(video, time.Duration(i)*time.Second, 0, true))
		v.Frame(frame(video, time.Duration(i)*3*time.Second+time.Second, time.Second, true))
		v.Request()
	}
	sum, other := a.Read(), b.Read()
	sum.Add(&other)
	if sum.Frames != [2]int64{4, 2} || sum.Requests != 2 || sum.KeyframeInterval != 3*time.Second || sum.Skew != other.Skew || len(counted(sum.Jitter, JitterBounds())) != 2 {
		t.Errorf("%+v", sum)
	}
}

// TestNothingIsAllocated holds that measuring a frame costs no memory.
func TestNothingIsAllocated(t *testing.T) {
	var v Vitals
	v.Begin(nil)
	f := frame(video, 0, 0, true)
	if n := testing.AllocsPerRun(100, func() {
		f.DTS += 3000
		f.Arrival = f.Arrival.Add(33 * ms)
		v.Frame(f)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNilMeasuresNothing(t *testing.T) {
	var v *Vitals
	v.Frame(frame(video, 0, 0, true))
	v.Listed(start)
	v.Request()
}

func BenchmarkFrame(b *testing.B) {
	var v Vitals
	v.Begin(nil)
	f := frame(video, 0, 0, false)
	b.ReportAllocs()
	for range b.N {
		f.DTS += 3000
		f.Arrival = f.Arrival.Add(33 * ms)
		v.Frame(f)
	}
}
