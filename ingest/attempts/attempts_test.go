package attempts

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// clock is a clock that the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newLimiter(o Options) (*Limiter, *clock) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	o.Now = c.now
	return New(o), c
}

func TestPauseGrowsWithEachFailure(t *testing.T) {
	l, c := newLimiter(Options{Burst: 3, Every: time.Hour, MinPause: time.Second, MaxPause: 8 * time.Second})
	for i := range 3 {
		if wait := l.Take("a"); wait != 0 {
			t.Fatalf("attempt %d of the burst waits %v", i, wait)
		}
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 8} {
		if wait := l.Take("a"); wait != 0 {
			t.Fatalf("the pause is over, and there is one of %v", wait)
		}
		if wait := l.Take("a"); wait != want*time.Second {
			t.Fatalf("wait %v, want %v", wait, want*time.Second)
		}
		if wait := l.Take("b"); wait != 0 {
			l.Return("b")
			t.Fatal("another key waits")
		}
		l.Return("b")
		c.t = c.t.Add(want * time.Second)
	}
	c.t = c.t.Add(4 * time.Hour)
	for i := range 3 {
		if wait := l.Take("a"); wait != 0 {
			t.Fatalf("attempt %d after a long quiet waits %v", i, wait)
		}
	}
}

// TestGoodAttemptsCostNothing checks that a success takes back its own cost, and forgives no failure.
func TestGoodAttemptsCostNothing(t *testing.T) {
	l, _ := newLimiter(Options{Burst: 2, Every: time.Hour})
	for range 100 {
		if l.Take("a") != 0 {
			t.Fatal("a good one waits")
		}
		l.Return("a")
	}
	for range 3 {
		l.Take("a")
	}
	if l.Take("a") == 0 {
		t.Error("failures were forgiven")
	}
}

func TestGoodAttemptLiftsThePause(t *testing.T) {
	l, c := newLimiter(Options{Burst: 1, Every: time.Hour})
	l.Take("a")
	l.Take("a")
	c.t = c.t.Add(time.Second)
	if l.Take("a") != 0 {
		t.Fatal("after the pause it waits")
	}
	l.Return("a")
	if wait := l.Take("a"); wait != 0 {
		t.Errorf("after a good one it waits %v", wait)
	}
}

func TestBucketsAreBounded(t *testing.T) {
	l, _ := newLimiter(Options{MaxKeys: 100})
	for i := range 10_000 {
		l.Take(fmt.Sprint(i))
	}
	if n := l.Len(); n != 100 {
		t.Errorf("%d buckets", n)
	}
	l.Return("0") // forgotten: nothing happens
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "::ffff:203.0.113.9": "203.0.113.9", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := Address(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := Address(netip.Addr{}); got == "" {
		t.Error("no address has no key")
	}
}
