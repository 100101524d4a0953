package rig

import (
	"os"
	"regexp"
	"strconv"
	"time"
)

// Pressure measures how short of CPU time the machine was for a while, from Linux's pressure stall information.
type Pressure struct {
	began time.Time
	total time.Duration
}

var pressureTotal = regexp.MustCompile(`(?m)^some .* total=(\d+)$`)

// waited returns for how long, since the system started, something was ready to run and did not, or 0 if the system does not say.
func waited(text []byte) time.Duration {
	m := pressureTotal.FindSubmatch(text)
	if m == nil {
		return 0
	}
	us, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return time.Duration(us) * time.Microsecond
}

// StartPressure begins to measure.
func StartPressure() Pressure {
	text, _ := os.ReadFile("/proc/pressure/cpu")
	return Pressure{time.Now(), waited(text)}
}

// Share returns the part of the time since the start in which something waited for a CPU, 0 to 1.
func (p Pressure) Share() float64 {
	text, _ := os.ReadFile("/proc/pressure/cpu")
	return min(1, max(0, float64(waited(text)-p.total)/float64(time.Since(p.began))))
}

// Slack returns what may be added to a margin on a machine that was busy for a share of the time: nothing up to a half, and
// up to most.
func Slack(share float64, most time.Duration) time.Duration {
	return time.Duration(max(0, share-0.5) * 2 * float64(most))
}
