package players

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// pressure tells how short of processors the machine was for a while, by Linux's pressure stall information.
type pressure struct {
	began time.Time
	total time.Duration
}

var pressureTotal = regexp.MustCompile(`(?m)^some .* total=(\d+)$`)

// waited is for how long, since the system started, something was ready to run and did not; 0 where the system does not tell.
func waited(text []byte) time.Duration {
	m := pressureTotal.FindSubmatch(text)
	if m == nil {
		return 0
	}
	us, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return time.Duration(us) * time.Microsecond
}

func startPressure() pressure {
	text, _ := os.ReadFile("/proc/pressure/cpu")
	return pressure{time.Now(), waited(text)}
}

// share is the part of the time since the start in which something waited for a processor, 0 to 1.
func (p pressure) share() float64 {
	text, _ := os.ReadFile("/proc/pressure/cpu")
	return min(1, max(0, float64(waited(text)-p.total)/float64(time.Since(p.began))))
}

// slack is what players are given beyond their margin on a machine that was busy for a share of the time: nothing up to a
// half, and up to busy.
func slack(share float64) time.Duration {
	return time.Duration(max(0, share-0.5) * 2 * float64(busy))
}

func TestPressure(t *testing.T) {
	if got := waited([]byte("some avg10=1.25 avg60=3.74 avg300=7.63 total=184566954\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")); got != 184566954*time.Microsecond {
		t.Errorf("%v", got)
	}
	if got := waited(nil); got != 0 {
		t.Errorf("%v of nothing", got)
	}
	for share, want := range map[float64]time.Duration{0: 0, 0.5: 0, 0.75: busy / 2, 1: busy} {
		if got := slack(share); got != want {
			t.Errorf("slack of %v is %v", share, got)
		}
	}
}
