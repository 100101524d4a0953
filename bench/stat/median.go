package stat

import "slices"

// Median of v; 0 for none. v is left as it is.
func Median(v []float64) float64 { return Quantile(v, 0.5) }

// Quantile q of v, between neighbours where it falls between them; 0 for none.
func Quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 == len(s) {
		return s[i]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

// Ratios divides pair by pair, as far as both go: what was measured in the same round is compared with each other, so
// that a machine that drifts from round to round moves both.
func Ratios(a, b []float64) []float64 {
	var r []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			r = append(r, a[i]/b[i])
		}
	}
	return r
}
