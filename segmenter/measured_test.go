package segmenter

import (
	"errors"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
)

// TestStreamsAreMeasured follows one stream over two publishers, until it is forgotten.
func TestStreamsAreMeasured(t *testing.T) {
	r := newRig(t, AppOptions{SegmentDuration: 2 * time.Second})
	if len(r.reg.Vitals()) != 0 {
		t.Error("there is no stream")
	}
	e := r.mustPublish("cam")
	e.run(21 * time.Second)
	read := func() vitals.Reading {
		t.Helper()
		v := r.reg.Vitals()[Key{"live", "cam"}]
		if v == nil {
			t.Fatal("the stream is not known")
		}
		return v.Read()
	}
	segments := func() (n int64) {
		for _, c := range read().Intervals.Counts {
			n += c
		}
		return n
	}
	first := read()
	if want := e.n; first.Frames[vitals.Video] != want || first.Frames[vitals.Audio] < want || first.Bytes[vitals.Video] == 0 || first.Bytes[vitals.Audio] == 0 {
		t.Errorf("%v frames of %d, %v bytes", first.Frames, want, first.Bytes)
	}
	if first.KeyframeInterval != 2*time.Second || first.Skew.Abs() > 100*time.Millisecond || first.Jitter.Counts[0] != e.n-1 {
		t.Errorf("%+v", first)
	}
	if n := segments(); n != int64(len(r.snapshot().Rows)-1) || first.Intervals.Sum < time.Duration(n)*1900*time.Millisecond || first.Intervals.Sum > time.Duration(n)*2100*time.Millisecond {
		t.Errorf("%d intervals, %v in all, of %d segments", n, first.Intervals.Sum, len(r.snapshot().Rows))
	}
	r.reg.Timeline("live", "cam").Requested()

	e.s.Close(errors.New("connection reset"))
	r.now = r.now.Add(30 * time.Second)
	before := segments()
	again := r.mustPublish("cam")
	again.run(5 * time.Second)
	if got := read(); got.Frames[vitals.Video] != e.n+again.n || got.Requests != 1 || got.Jitter.Counts[0] != e.n+again.n-2 {
		t.Errorf("%d and %d pictures are %+v", e.n, again.n, got)
	}
	if segments() <= before || read().Intervals.Sum > 30*time.Second {
		t.Errorf("%d and then %d intervals, %v in all", before, segments(), read().Intervals.Sum)
	}

	again.s.Close(nil)
	for range 3 {
		r.now = r.now.Add(time.Hour)
		r.reg.Expire(r.now)
	}
	if len(r.reg.Vitals()) != 0 {
		t.Error("what is forgotten is measured")
	}
}
