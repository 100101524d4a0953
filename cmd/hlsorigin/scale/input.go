// Package scale computes what a show asks of a CDN, of servers and of a bucket, what that costs by the price list, and which limit it meets
// first. It refuses to measure: what a server takes is stated here as docs/performance.md has it, and nobody is asked.
package scale

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Input is the show, and what carries it.
type Input struct {
	Viewers float64   `json:"viewers"`   // at once, spread evenly over streams, rungs and locations
	Streams float64   `json:"streams"`   // on the air at once; a ladder is one
	Rates   []float64 `json:"rates"`     // of each rung as transport stream, Mb/s, the highest first
	Mean    float64   `json:"mean_rate"` // that a viewer takes, Mb/s; 0: the highest rung's

	Segment Seconds `json:"segment"`
	Target  Seconds `json:"target_duration"` // 0: Segment, rounded to seconds
	Window  Seconds `json:"window"`
	Part    Seconds `json:"part"` // of low latency; 0: none
	CMAF    bool    `json:"cmaf"` // the bucket has it, beside the transport stream

	Hours   float64 `json:"hours_a_day"`   // on the air
	Kept    float64 `json:"days_kept"`     // in the bucket
	Replays float64 `json:"replays"`       // how often each segment is read from the bucket
	Outage  Seconds `json:"outage"`        // of the bucket, that the spool has room for
	Apps    float64 `json:"apps"`          // over which the streams are spread: prefixes in the bucket
	CDNs    float64 `json:"distributions"` // over which the viewers are spread
	Edges   float64 `json:"edges"`         // locations of the CDN
	Regions float64 `json:"regions"`       // caches between these and the origin; 0: none
	Shield  bool    `json:"shield"`        // one cache more between those and the origin
	Servers float64 `json:"servers"`       // that share the bucket, and that the CDN asks one as often as another

	Node   Node   `json:"node"`
	Prices Prices `json:"prices"`
	Quotas Quotas `json:"quotas"`
}

// Node is one server.
type Node struct {
	Cores   float64 `json:"cores"`
	Memory  float64 `json:"memory_gib"`
	Network float64 `json:"network_gbps"` // each way
}

// Seconds is a time span. In JSON it is a number of seconds.
type Seconds float64

func (s Seconds) String() string { return time.Duration(float64(s) * float64(time.Second)).String() }

// Default is a million viewers of one stream of 6 Mb/s with the server's own defaults, around the clock, kept for 30 days.
func Default() Input {
	return Input{
		Viewers: 1e6, Streams: 1, Rates: []float64{6}, Segment: 4, Window: 60, Hours: 24, Kept: 30, Outage: 3600, Apps: 1, CDNs: 1,
		Edges: 600, Regions: 13, Shield: true, Servers: 1, Node: Node{Cores: 16, Memory: 64, Network: 10}, Prices: ListPrices(), Quotas: DefaultQuotas(),
	}
}

// MaxRungs is how many rungs a ladder may have, as in the configuration.
const MaxRungs = 9

// Check returns what makes no sense in it.
func (in *Input) Check() error {
	var bad []error
	within := func(name string, v, least, most float64) {
		if !(v >= least && v <= most) { // NaN, too
			bad = append(bad, fmt.Errorf("-%s: %v is not within %v and %v", name, v, least, most))
		}
	}
	within("viewers", in.Viewers, 0, 1e12)
	within("streams", in.Streams, 1, 1e9)
	within("servers", in.Servers, 1, 1e4)
	if n := len(in.Rates); n == 0 || n > MaxRungs {
		bad = append(bad, fmt.Errorf("-rates: %d rungs: 1 to %d", n, MaxRungs))
	}
	for i, r := range in.Rates {
		within("rates", r, 0.01, 1000)
		if i > 0 && r > in.Rates[i-1] {
			bad = append(bad, errors.New("-rates: the highest comes first"))
		}
	}
	within("mean", in.Mean, 0, 1000)
	within("segment", float64(in.Segment), 1, 30)
	within("target", float64(in.Target), 0, 30)
	if in.Target != 0 && math.Round(float64(in.Segment)) > float64(in.Target) {
		bad = append(bad, errors.New("-target: shorter than a segment"))
	}
	within("window", float64(in.Window), 3*float64(in.Segment), 86400)
	if in.Part != 0 {
		within("part", float64(in.Part), 0.1, 2)
	}
	within("hours", in.Hours, 0.01, 24)
	within("kept", in.Kept, 0, 36500)
	within("replays", in.Replays, 0, 1e6)
	within("outage", float64(in.Outage), 0, 30*86400)
	within("apps", in.Apps, 1, 1e6)
	within("distributions", in.CDNs, 1, 1e6)
	within("edges", in.Edges, 1, 1e6)
	within("regions", in.Regions, 0, 1e6)
	within("cores", in.Node.Cores, 0.1, 4096)
	within("memory", in.Node.Memory, 0.1, 65536)
	within("network", in.Node.Network, 0.01, 10000)
	return errors.Join(bad...)
}

// all is the rate of a stream's rungs together, Mb/s.
func (in *Input) all() (sum float64) {
	for _, r := range in.Rates {
		sum += r
	}
	return sum
}

// rungs is how many media playlists a stream has.
func (in *Input) rungs() float64 { return float64(len(in.Rates)) }

// mean is the rate that a viewer takes, Mb/s.
func (in *Input) mean() float64 {
	if in.Mean != 0 {
		return in.Mean
	}
	return in.Rates[0]
}

// target is EXT-X-TARGETDURATION, seconds.
func (in *Input) target() float64 {
	if in.Target != 0 {
		return float64(in.Target)
	}
	return math.Round(float64(in.Segment))
}

// age is for how long a live playlist may be kept, seconds: half a target duration, rounded down, at least 1.
func (in *Input) age() float64 { return math.Max(1, math.Floor(in.target()/2)) }

// monthDays is how many days a month has here.
const monthDays = 30

// month is how long a stream is on the air in a month, seconds.
func (in *Input) month() float64 { return in.Hours * 3600 * monthDays }
