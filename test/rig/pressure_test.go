package rig

import (
	"testing"
	"time"
)

func TestPressure(t *testing.T) {
	if got := waited([]byte("some avg10=1.25 avg60=3.74 avg300=7.63 total=184566954\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")); got != 184566954*time.Microsecond {
		t.Errorf("%v", got)
	}
	if got := waited(nil); got != 0 {
		t.Errorf("%v of nothing", got)
	}
	const busy = 8 * time.Second
	for share, want := range map[float64]time.Duration{0: 0, 0.5: 0, 0.75: busy / 2, 1: busy} {
		if got := Slack(share, busy); got != want {
			t.Errorf("slack of %v is %v", share, got)
		}
	}
}
