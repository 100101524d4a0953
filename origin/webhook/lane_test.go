package webhook

import (
	"testing"
	"time"
)

// Requests that were in progress together fail together: that is one failure of the target, and one pause.
func TestGateCountsOnce(t *testing.T) {
	var g gate
	now := time.Unix(1000, 0)
	for _, lane := range []string{"a", "b", "c", "d"} {
		g.failure(lane, now, 0)
	}
	if pause := g.until.Sub(now); !g.shut() || pause > retryFirst {
		t.Errorf("shut is %v, a pause of %v after the first failure", g.shut(), pause)
	}
	now = g.until
	g.failure("a", now, 0)
	if pause := g.until.Sub(now); pause <= retryFirst || pause > 2*retryFirst {
		t.Errorf("a pause of %v after the second", pause)
	}
	g.failure("b", now, time.Minute)
	if pause := g.until.Sub(now); pause != time.Minute {
		t.Errorf("a pause of %v where a minute is asked for", pause)
	}
	if !g.success() || g.shut() {
		t.Error("a success does not open it")
	}
}
