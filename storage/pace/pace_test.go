package pace

import (
	"fmt"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

var epoch = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

// usual returns a mirror's options.
func usual(workers int) Options {
	return Options{Workers: workers, Backoff: storage.RetryOptions{First: 50 * time.Millisecond, Most: 4 * time.Second},
		Probe: storage.RetryOptions{First: 2 * time.Second, Most: 4 * time.Second}}
}

func TestPaceGrowsSlowlyAndHalves(t *testing.T) {
	p := New(usual(8))
	if p.limit != 4 {
		t.Fatalf("begins with %d", p.limit)
	}
	rounds := 0
	for p.limit < 8 {
		for range p.limit {
			p.Success(0)
		}
		rounds++
	}
	if rounds != 4 {
		t.Errorf("%d rounds to the maximum", rounds)
	}
	// Requests that were in progress together fail together: that counts once.
	at := epoch
	for range 2 {
		p.Failure(storage.Transient, "a", at, at.Add(time.Second))
	}
	if p.limit != 4 || !p.gate.IsZero() {
		t.Errorf("limit %d, gate %v", p.limit, p.gate)
	}
	p.Success(0)
	p.Failure(storage.Transient, "a", at.Add(2*time.Second), at.Add(3*time.Second))
	if p.limit != 2 {
		t.Errorf("limit %d", p.limit)
	}
}

func TestPaceGatesAnEpisode(t *testing.T) {
	o := usual(4)
	for kind, want := range map[storage.FailureKind]struct{ least, most time.Duration }{
		storage.Transient: {2 * time.Second, 4 * time.Second},
		storage.Throttled: {2 * time.Second, 4 * time.Second},
		storage.Permanent: {2 * time.Second, 4 * time.Second},
	} {
		p := New(o)
		now, episodes := epoch, 0
		for range 20 {
			if p.Failure(kind, fmt.Sprint(now), now, now) {
				episodes++
			}
			if p.gate.After(now) {
				now = p.gate
			}
		}
		last := now
		p.Failure(kind, "last", last, last)
		if pause := p.gate.Sub(last); pause < want.least || pause > want.most {
			t.Errorf("%v: pause of %v", kind, pause)
		}
		if episodes != 1 || p.limit != 1 {
			t.Errorf("%v: %d episodes, limit %d", kind, episodes, p.limit)
		}
		before := p.epoch
		if !p.Success(0) || p.epoch == before || !p.gate.IsZero() {
			t.Errorf("%v: not healed: %+v", kind, p)
		}
		if p.Success(0) {
			t.Errorf("%v: healed twice", kind)
		}
	}
}

// Every worker has a request in progress when the store begins to refuse: that is one refusal, and the pause after it is the shortest.
// Otherwise a repair after one minute would go unnoticed for five.
func TestPaceCountsRefusalsTogether(t *testing.T) {
	p := New(usual(8))
	for i := range 8 {
		now := epoch.Add(time.Duration(i) * time.Millisecond)
		if p.Failure(storage.Permanent, fmt.Sprint(i), epoch.Add(-time.Second), now) != (i == 0) {
			t.Errorf("refusal %d: an episode begins, or does not", i)
		}
	}
	if pause := p.gate.Sub(epoch); pause < p.probe.First/2 || pause > p.probe.First+time.Second {
		t.Errorf("pause of %v", pause)
	}
}

// However and however long a store fails, it is tried again within five seconds. A probe that hangs keeps no other from following, nor the
// rest from resuming when one succeeds.
func TestPaceProbesWithinSeconds(t *testing.T) {
	o := usual(4)
	for _, kind := range []storage.FailureKind{storage.Transient, storage.Throttled, storage.Permanent} {
		p := New(o)
		now := epoch
		for i := range 10_000 {
			p.Failure(kind, fmt.Sprint(i), now, now)
			if ok, due := p.Allows(0, now); !ok {
				if due.Sub(now) > probeEvery {
					t.Fatalf("%v: left alone for %v after %d failures", kind, due.Sub(now), i)
				}
				now = due
			}
			if ok, _ := p.Allows(0, now); !ok {
				t.Fatalf("%v: no probe when its time has come", kind)
			}
		}
		p.begun = now // it hangs
		ok, due := p.Allows(1, now)
		if ok || due.Sub(now) != probeEvery {
			t.Errorf("%v: the next is due after %v", kind, due.Sub(now))
		}
		if ok, _ := p.Allows(1, due); !ok {
			t.Errorf("%v: a hanging probe keeps the next from beginning", kind)
		}
		if ok, _ := p.Allows(4, due.Add(time.Minute)); ok {
			t.Errorf("%v: more probes than workers", kind)
		}
		if !p.Success(2) {
			t.Errorf("%v: not healed", kind)
		}
		if ok, _ := p.Allows(2, now); !ok {
			t.Errorf("%v: two probes that hang keep the backlog waiting", kind)
		}
	}
}

// Throttling of one object delays no other, unless others are refused too, or nothing succeeds.
func TestPaceOfOneObject(t *testing.T) {
	o := usual(4)
	p := New(o)
	now := epoch
	for range 100 {
		now = now.Add(time.Second)
		if p.Failure(storage.Throttled, "live.m3u8", now, now) || p.Gated() || p.limit < o.Workers/2 {
			t.Fatalf("%+v", p)
		}
		p.Success(0) // of a segment
	}
	p.Failure(storage.Throttled, "live.m3u8", now, now)
	if !p.Failure(storage.Throttled, "1.ts", now, now) || !p.gate.After(now) {
		t.Errorf("two objects: %+v", p)
	}
	p = New(o)
	for range gateAfter {
		p.Failure(storage.Throttled, "live.m3u8", now, now)
	}
	if !p.Failure(storage.Throttled, "live.m3u8", now, now) || !p.gate.After(now) {
		t.Errorf("nothing else succeeds: %+v", p)
	}
}

func TestPaceHurries(t *testing.T) {
	o := usual(4)
	p := New(o)
	for i := range 10 {
		p.Failure(storage.Permanent, fmt.Sprint(i), epoch, epoch)
	}
	before := p.epoch
	p.Hurry()
	if ok, _ := p.Allows(0, epoch); !ok || p.epoch == before {
		t.Errorf("%+v", p)
	}
	if !p.Gated() || p.Failure(storage.Permanent, "again", epoch, epoch) {
		t.Error("the next failure is taken for another episode")
	}
}

func TestForbiddenIsWhatIsRefusedWhileOthersAreTaken(t *testing.T) {
	var f forbidden
	if f.refused("a") || f.refused("a") {
		t.Error("nothing was taken yet: the store may refuse all")
	}
	f.took()
	if !f.refused("a") || f.refused("b") {
		t.Error("a alone is known to be refused")
	}
	f.took()
	f.allowed("a")
	if f.refused("a") || !f.refused("b") {
		t.Error("a is taken now")
	}
	for i := range 3 * maxForbidden {
		f.refused(fmt.Sprint(i))
		if i%100 == 0 {
			f.took()
		}
		if len(f.known) > maxForbidden || len(f.fresh) > maxForbidden {
			t.Fatalf("%d and %d remembered", len(f.known), len(f.fresh))
		}
	}
}
