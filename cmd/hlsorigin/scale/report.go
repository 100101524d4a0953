package scale

// Report is what comes out.
type Report struct {
	Input   Input   `json:"input"`
	Levels  []Level `json:"requests"` // from the viewers to the origin
	Bucket  Bucket  `json:"stream_month"`
	Servers Servers `json:"servers"`
	Month   Month   `json:"month"`
	Limits  []Limit `json:"limits"` // what breaks first comes first
}

// Month is what all streams and all viewers cost, dollars, if the viewers are there whenever the streams are.
type Month struct {
	Bucket   float64 `json:"bucket"`
	EgressGB float64 `json:"egress_gb"`
	Egress   float64 `json:"egress"`
	Requests float64 `json:"requests"`
	Shield   float64 `json:"shield"`
}

// Compute fails where the input makes no sense.
func Compute(in Input) (*Report, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	r := &Report{Input: in, Levels: in.levels(), Bucket: in.bucket()}
	origin := r.Levels[len(r.Levels)-1]
	r.Servers = in.servers(origin)
	cdn := r.Levels[0]
	r.Month = Month{Bucket: r.Bucket.Price() * in.Streams, EgressGB: cdn.Gbps / 8 * in.month(), Requests: cdn.Requests() * in.month() / 10_000 * in.Prices.Request}
	r.Month.Egress = cost(in.Prices.Egress, r.Month.EgressGB)
	if in.Shield {
		r.Month.Shield = r.Levels[len(r.Levels)-2].Requests() * in.month() / 10_000 * in.Prices.Shield
	}
	r.Limits = r.limits()
	return r, nil
}
