package rig

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// Scale shortens counts and durations; `make soak` sets it to 1.
func Scale() float64 {
	if f, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64); err == nil && f > 0 {
		return f
	}
	return 0.06
}

// Scaled returns d scaled by Scale, but never less than least.
func Scaled(d, least time.Duration) time.Duration {
	return max(least, time.Duration(float64(d)*Scale()))
}

// Need skips a test if a program is missing.
func Need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// Eventually waits for a condition described by what.
func Eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
