package vitals

import (
	"testing"
	"time"
)

// sender sends 25 pictures and 50 frames of sound a second, with a keyframe every two seconds.
type sender struct {
	v       *Vitals
	from    time.Duration // of arrival
	n       int
	slow    float64       // of arrival, to the media
	unquiet time.Duration // by which every other picture is late
}

func (s *sender) send(pictures int) {
	for range pictures {
		media := time.Duration(s.n) * 40 * ms
		at := s.from + time.Duration(float64(media)*s.slow)
		if s.n%2 == 1 {
			at += s.unquiet
		}
		s.v.Frame(frame(audio, media, at, true))
		s.v.Frame(frame(audio, media+20*ms, at, true))
		s.v.Frame(frame(video, media, at, s.n%50 == 0))
		s.n++
	}
}

func TestSeconds(t *testing.T) {
	for name, tc := range map[string]struct {
		s    sender
		want func(s Second) bool
	}{
		"even":             {sender{slow: 1}, func(s Second) bool { return s.Jitter < ms && s.Behind == 0 && s.Skew.Abs() <= 20*ms }},
		"pairs":            {sender{slow: 1, unquiet: 20 * ms}, func(s Second) bool { return s.Jitter > 15*ms && s.Jitter <= 20*ms && s.Behind == 0 }},
		"a slow clock":     {sender{slow: 1.02}, func(s Second) bool { return s.Behind > 150*ms && s.Behind < 250*ms }},
		"a clock too fast": {sender{slow: 0.98}, func(s Second) bool { return s.Behind < -150*ms && s.Behind > -250*ms }},
	} {
		t.Run(name, func(t *testing.T) {
			tc.s.v = &Vitals{}
			tc.s.v.Begin(nil)
			tc.s.send(10 * 25)
			all := tc.s.v.Seconds(nil)
			last, ok := tc.s.v.Last()
			if len(all) < 9 || !ok || all[len(all)-1] != last {
				t.Fatalf("%d seconds, the last is %+v", len(all), last)
			}
			if tc.s.slow == 1 && (last.Bytes != 75*100 || last.Frames != [2]int64{25, 50}) || last.KeyframeInterval != 2*time.Second || !tc.want(last) {
				t.Errorf("%+v", last)
			}
		})
	}
}

// A stalled uplink that catches up is behind for a while and then is not; a jump of the time stamps is neither jitter nor delay.
func TestSecondsOfAnUplinkThatStalls(t *testing.T) {
	v := &Vitals{}
	v.Begin(nil)
	for i := range 20 * 25 {
		dts := time.Duration(i) * 40 * ms
		at := dts
		if dts >= 5*time.Second && dts < 9*time.Second {
			at = 9 * time.Second
		}
		v.Frame(frame(video, dts, at, i%25 == 0))
	}
	all := v.Seconds(nil)
	for i, s := range all {
		if s.Behind.Abs() > 100*ms {
			t.Errorf("second %d: %+v", i, s)
		}
		if i > 0 && s.Begin.Sub(all[i-1].Begin) > time.Second && s.Begin.Sub(start) != 9*time.Second {
			t.Errorf("a hole before %v", s.Begin)
		}
	}
	for i := range 3 * 25 {
		v.Frame(frame(video, time.Hour+time.Duration(i)*40*ms, 20*time.Second+time.Duration(i)*40*ms, i%25 == 0))
	}
	if last, _ := v.Last(); last.Behind != 0 || last.Jitter > 100*ms || last.KeyframeInterval != time.Second {
		t.Errorf("after a jump: %+v", last)
	}
}

func TestSecondsAreBounded(t *testing.T) {
	s := sender{v: &Vitals{}, slow: 1}
	if _, ok := s.v.Last(); ok {
		t.Error("a second of nothing")
	}
	s.v.Begin(nil)
	s.send((Remembered + 30) * 25)
	got := s.v.Seconds(nil)
	if len(got) != Remembered || got[1].Begin.Sub(got[0].Begin) != time.Second {
		t.Errorf("%d seconds", len(got))
	}
	var none *Vitals
	if _, ok := none.Last(); ok || none.Seconds(nil) != nil {
		t.Error("nobody's vitals have seconds")
	}
}
