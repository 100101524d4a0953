package stat

import (
	"testing"
	"time"
)

func TestHistogramQuantiles(t *testing.T) {
	var h Histogram
	for i := 1; i <= 1000; i++ {
		h.Add(time.Duration(i) * time.Millisecond)
	}
	before := h.Snapshot()
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 500 * time.Millisecond}, {0.99, 990 * time.Millisecond}} {
		if got := before.Quantile(c.q); got < c.want*95/100 || got > c.want*105/100 {
			t.Errorf("quantile %v is %v, want %v within 5 %%", c.q, got, c.want)
		}
	}
	h.Add(3 * time.Hour)
	if d := h.Snapshot().Since(before); d.N() != 1 || d.Most != 3*time.Hour {
		t.Errorf("since: %d of at most %v", d.N(), d.Most)
	}
	if q := new(Counts).Quantile(0.5); q != 0 {
		t.Errorf("quantile of nothing is %v", q)
	}
}

func TestMedianAndRatios(t *testing.T) {
	if m := Median([]float64{9, 1, 5}); m != 5 {
		t.Errorf("median of three is %v", m)
	}
	if m := Median([]float64{1, 2}); m != 1.5 {
		t.Errorf("median of two is %v", m)
	}
	if m := Median(nil); m != 0 {
		t.Errorf("median of none is %v", m)
	}
	if r := Ratios([]float64{1, 6, 3}, []float64{2, 3}); len(r) != 2 || r[0] != 0.5 || r[1] != 2 {
		t.Errorf("ratios are %v", r)
	}
}
