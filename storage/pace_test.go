package storage

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
	"time"
)

var epoch = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

func TestPaceGrowsSlowlyAndHalves(t *testing.T) {
	o := MirrorOptions{Workers: 8}.withDefaults()
	p := newPace(&o)
	if p.limit != 4 {
		t.Fatalf("begins with %d", p.limit)
	}
	rounds := 0
	for p.limit < 8 {
		for range p.limit {
			p.success()
		}
		rounds++
	}
	if rounds != 4 {
		t.Errorf("%d rounds to the maximum", rounds)
	}
	// Requests that were on their way together fail together: that is one piece of news.
	at := epoch
	for range 2 {
		p.failure(Transient, at, at.Add(time.Second))
	}
	if p.limit != 4 || !p.gate.IsZero() {
		t.Errorf("limit %d, gate %v", p.limit, p.gate)
	}
	p.success()
	p.failure(Transient, at.Add(2*time.Second), at.Add(3*time.Second))
	if p.limit != 2 {
		t.Errorf("limit %d", p.limit)
	}
}

func TestPaceGatesAnEpisode(t *testing.T) {
	o := MirrorOptions{}.withDefaults()
	for kind, want := range map[FailureKind]struct{ least, most time.Duration }{
		Transient: {15 * time.Second, 30 * time.Second},
		Throttled: {15 * time.Second, 30 * time.Second},
		Permanent: {150 * time.Second, 5 * time.Minute},
	} {
		p := newPace(&o)
		now, episodes := epoch, 0
		for range 20 {
			if p.failure(kind, now, now) {
				episodes++
			}
			if p.gate.After(now) {
				now = p.gate
			}
		}
		last := now
		p.failure(kind, last, last)
		if pause := p.gate.Sub(last); pause < want.least || pause > want.most {
			t.Errorf("%v: pause of %v", kind, pause)
		}
		if episodes != 1 || p.limit != 1 {
			t.Errorf("%v: %d episodes, limit %d", kind, episodes, p.limit)
		}
		before := p.epoch
		if !p.success() || p.epoch == before || !p.gate.IsZero() {
			t.Errorf("%v: not healed: %+v", kind, p)
		}
		if p.success() {
			t.Errorf("%v: healed twice", kind)
		}
	}
}

// Every worker has a request on its way when the store begins to refuse: that is one refusal, and the pause after it is
// the shortest, or what took a minute to mend would take five to be noticed.
func TestPaceCountsRefusalsTogether(t *testing.T) {
	o := MirrorOptions{Workers: 8}.withDefaults()
	p := newPace(&o)
	for i := range 8 {
		now := epoch.Add(time.Duration(i) * time.Millisecond)
		if p.failure(Permanent, epoch.Add(-time.Second), now) != (i == 0) {
			t.Errorf("refusal %d: an episode begins, or does not", i)
		}
	}
	if pause := p.gate.Sub(epoch); pause < o.ProbeMin/2 || pause > o.ProbeMin+time.Second {
		t.Errorf("pause of %v", pause)
	}
}

func TestSliceReader(t *testing.T) {
	whole := []byte("hello, consecutive slices of one segment")
	parts := [][]byte{whole[:5], whole[5:5], whole[5:20], whole[20:]}
	if err := iotest.TestReader(&sliceReader{parts: parts}, whole); err != nil {
		t.Fatal(err)
	}
	s := &sliceReader{parts: parts}
	for _, off := range []int64{0, 3, 5, 19, 20, int64(len(whole)), int64(len(whole)) + 5} {
		if n, err := s.Seek(off, io.SeekStart); n != off || err != nil {
			t.Fatalf("seek %d: %d, %v", off, n, err)
		}
		got, err := io.ReadAll(s)
		if want := whole[min(off, int64(len(whole))):]; err != nil || !bytes.Equal(got, want) {
			t.Errorf("from %d: %q, %v", off, got, err)
		}
	}
	if _, err := s.Seek(-1, io.SeekStart); err == nil {
		t.Error("before the beginning")
	}
}

func TestRowFlagsAreDistinct(t *testing.T) {
	seen := flags(0)
	for _, f := range []flags{isDiscontinuity, isIndependent, isGap, isDropped, onDisk, confirmed, confirmed << 1, sending, sending << 1,
		refused, refused << 1, logged, logged << 1} {
		if f == 0 || seen&f != 0 {
			t.Errorf("%b overlaps %b", f, seen)
		}
		seen |= f
	}
	if confirmAll != confirmed|confirmed<<1 || logAll != logged|logged<<1 {
		t.Errorf("%b, %b", confirmAll, logAll)
	}
}
