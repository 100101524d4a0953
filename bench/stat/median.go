package stat

import "slices"

// Median returns the median of v, or 0 if v is empty. It does not change v.
func Median(v []float64) float64 { return Quantile(v, 0.5) }

// Quantile returns the quantile q of v, interpolated between neighbours, or 0 if v is empty.
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

// Ratios divides pair by pair, up to the shorter length: figures from the same round are compared, so that a machine that drifts from round
// to round affects both.
func Ratios(a, b []float64) []float64 {
	var r []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			r = append(r, a[i]/b[i])
		}
	}
	return r
}
