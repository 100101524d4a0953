package mirror

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

var epoch = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

func TestPaceGrowsSlowlyAndHalves(t *testing.T) {
	o := Options{Workers: 8}.withDefaults()
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
		p.failure(storage.Transient, at, at.Add(time.Second))
	}
	if p.limit != 4 || !p.gate.IsZero() {
		t.Errorf("limit %d, gate %v", p.limit, p.gate)
	}
	p.success()
	p.failure(storage.Transient, at.Add(2*time.Second), at.Add(3*time.Second))
	if p.limit != 2 {
		t.Errorf("limit %d", p.limit)
	}
}

func TestPaceGatesAnEpisode(t *testing.T) {
	o := Options{}.withDefaults()
	for kind, want := range map[storage.FailureKind]struct{ least, most time.Duration }{
		storage.Transient: {15 * time.Second, 30 * time.Second},
		storage.Throttled: {15 * time.Second, 30 * time.Second},
		storage.Permanent: {150 * time.Second, 5 * time.Minute},
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
	o := Options{Workers: 8}.withDefaults()
	p := newPace(&o)
	for i := range 8 {
		now := epoch.Add(time.Duration(i) * time.Millisecond)
		if p.failure(storage.Permanent, epoch.Add(-time.Second), now) != (i == 0) {
			t.Errorf("refusal %d: an episode begins, or does not", i)
		}
	}
	if pause := p.gate.Sub(epoch); pause < o.ProbeMin/2 || pause > o.ProbeMin+time.Second {
		t.Errorf("pause of %v", pause)
	}
}
