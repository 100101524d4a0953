package scale

import (
	"cmp"
	"slices"
)

// Limit is something that does not give more.
type Limit struct {
	Name   string  `json:"name"`
	Quota  float64 `json:"quota"`
	Demand float64 `json:"demand"`
	Unit   string  `json:"unit"`
	At     float64 `json:"breaks_at"` // viewers or streams, the rest being as it is
	Of     string  `json:"breaks_at_unit"`
	Do     string  `json:"do"`
}

// Share is the part of the limit that is asked for: beyond 1 it breaks.
func (l *Limit) Share() float64 { return l.Demand / l.Quota }

// limits are sorted by what breaks first.
func (r *Report) limits() (all []Limit) {
	add := func(name string, quota, demand float64, unit string, now float64, of, do string) {
		if demand > 0 {
			all = append(all, Limit{name, quota, demand, unit, now * quota / demand, of, do})
		}
	}
	in, cdn, origin := &r.Input, r.Levels[0], r.Levels[len(r.Levels)-1]
	const viewers, streams = "viewers", "streams"
	add("CloudFront, a distribution's traffic", in.Quotas.Egress*in.CDNs, cdn.Gbps, "Gb/s", in.Viewers, viewers,
		"ask for more in time, or a distribution for each app (-distributions)")
	add("CloudFront, a distribution's requests", in.Quotas.Requests*in.CDNs, cdn.Requests(), "requests/s", in.Viewers, viewers,
		"ask for more in time; longer segments ask less often")
	add("S3, writes of a prefix", in.Quotas.Put*in.Apps, r.Bucket.PutsASecond*in.Streams, "PUT/s", in.Streams, streams,
		"several apps, each of which is a prefix (-apps), and have them partitioned before the show; longer segments")
	add("S3, reads of a prefix while the bucket stands in", in.Quotas.Get*in.Apps, origin.Requests(), "GET/s", in.Streams, streams,
		"Origin Shield (-shield); several apps (-apps)")
	each := r.Servers
	for _, n := range []struct {
		name    string
		streams float64
		do      string
	}{
		{"a node's network", each.ByNet, "more nodes, each with streams of its own; a faster card (-network)"},
		{"a node's memory", each.ByMem, "more nodes; a shorter hls.window, which is what memory is for"},
		{"a node's processors", each.ByCPU, "more nodes, or more of them (-cores)"},
	} {
		if n.streams > 0 {
			add(n.name, n.streams, in.Streams, streams, in.Streams, streams, n.do)
		}
	}
	slices.SortStableFunc(all, func(a, b Limit) int { return cmp.Compare(b.Share(), a.Share()) })
	return all
}
