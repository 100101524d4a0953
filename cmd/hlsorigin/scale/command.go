package scale

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Flags sets up a command line over the defaults. What it returns makes the report and prints it, when the line has been parsed.
func Flags(f *flag.FlagSet) func(out io.Writer) error {
	in := Default()
	f.Float64Var(&in.Viewers, "viewers", in.Viewers, "")
	f.Float64Var(&in.Streams, "streams", in.Streams, "")
	f.Func("rates", "", func(s string) (err error) { in.Rates, err = numbers(s); return err })
	f.Float64Var(&in.Mean, "mean", in.Mean, "")
	seconds := func(name string, to *Seconds) {
		f.Func(name, "", func(s string) error {
			d, err := time.ParseDuration(s)
			*to = Seconds(d.Seconds())
			return err
		})
	}
	seconds("segment", &in.Segment)
	seconds("target", &in.Target)
	seconds("window", &in.Window)
	seconds("part", &in.Part)
	seconds("outage", &in.Outage)
	f.BoolVar(&in.CMAF, "cmaf", in.CMAF, "")
	f.Float64Var(&in.Hours, "hours", in.Hours, "")
	f.Float64Var(&in.Kept, "kept", in.Kept, "")
	f.Float64Var(&in.Replays, "replays", in.Replays, "")
	f.Float64Var(&in.Apps, "apps", in.Apps, "")
	f.Float64Var(&in.CDNs, "distributions", in.CDNs, "")
	f.Float64Var(&in.Edges, "edges", in.Edges, "")
	f.Float64Var(&in.Regions, "regions", in.Regions, "")
	f.BoolVar(&in.Shield, "shield", in.Shield, "")
	f.Float64Var(&in.Servers, "servers", in.Servers, "")
	f.Float64Var(&in.Node.Cores, "cores", in.Node.Cores, "")
	f.Float64Var(&in.Node.Memory, "memory", in.Node.Memory, "")
	f.Float64Var(&in.Node.Network, "network", in.Node.Network, "")
	f.Float64Var(&in.Prices.Put, "price-put", in.Prices.Put, "")
	f.Float64Var(&in.Prices.Get, "price-get", in.Prices.Get, "")
	f.Float64Var(&in.Prices.Request, "price-request", in.Prices.Request, "")
	f.Float64Var(&in.Prices.Shield, "price-shield", in.Prices.Shield, "")
	flat := func(name string, to *[]Tier) {
		f.Func(name, "", func(s string) error {
			v, err := strconv.ParseFloat(s, 64)
			*to = Flat(v)
			return err
		})
	}
	flat("price-storage", &in.Prices.Storage)
	flat("price-egress", &in.Prices.Egress)
	f.Float64Var(&in.Quotas.Egress, "quota-egress", in.Quotas.Egress, "")
	f.Float64Var(&in.Quotas.Requests, "quota-requests", in.Quotas.Requests, "")
	f.Float64Var(&in.Quotas.Put, "quota-put", in.Quotas.Put, "")
	f.Float64Var(&in.Quotas.Get, "quota-get", in.Quotas.Get, "")
	asJSON := f.Bool("json", false, "")
	return func(out io.Writer) error {
		r, err := Compute(in)
		if err != nil {
			return err
		}
		if *asJSON {
			e := json.NewEncoder(out)
			e.SetIndent("", "  ")
			return e.Encode(r)
		}
		return r.Print(out)
	}
}

func numbers(s string) (all []float64, err error) {
	for part := range strings.SplitSeq(s, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of Mb/s", part)
		}
		all = append(all, v)
	}
	return all, nil
}

// Help is what the command says of itself.
const Help = `hlsorigin scale computes what a show asks of the CDN, of servers and of the bucket, what it costs by AWS's price list, and what breaks
first. It needs no server and asks nobody; docs/scale.md has its formulas.

  hlsorigin scale                                              a million viewers of one stream of 6 Mb/s
  hlsorigin scale -viewers 50000 -rates 6,3,1.5 -mean 4        a ladder, of which the mean viewer takes 4 Mb/s
  hlsorigin scale -streams 10000 -viewers 200000 -kept 7       many streams, kept for a week

The show
  -viewers N        at once, of all streams together
  -streams N        on the air at once; a ladder is one
  -rates LIST       Mb/s of each rung, the highest first; one is no ladder
  -mean RATE        Mb/s that the mean viewer takes; else that of the highest rung
  -segment TIME     hls.segment_duration (4s)
  -target TIME      the target duration; else the segment's, rounded to seconds
  -window TIME      hls.window (60s)
  -part TIME        hls.part_duration, when all viewers play with low latency
  -cmaf             storage.packagings is [ts, cmaf]
  -hours N          a day on the air (24)
  -kept DAYS        in the bucket (30)
  -replays N        how often each segment is read from the bucket (0)

What carries it
  -edges N          locations of the CDN (600)
  -regions N        caches between these and the origin (13); 0: none
  -shield=false     no Origin Shield
  -servers N        servers that share the bucket, one asked as often as another (1)
  -distributions N  of the CDN, over which viewers are spread
  -apps N           over which streams are spread; each is a prefix of its own in the bucket
  -cores N, -memory GIB, -network GBPS   of one node (16, 64, 10)
  -outage TIME      of the bucket, that the spool has room for (1h)

Prices in dollars, and quotas
  -price-put, -price-get    a thousand requests of S3
  -price-storage            a GB and month, in place of the price list's steps
  -price-egress             a GB from the CDN to viewers, in place of the price list's steps
  -price-request            ten thousand requests of viewers
  -price-shield             ten thousand requests to Origin Shield
  -quota-egress GBPS, -quota-requests N   of a distribution, a second
  -quota-put N, -quota-get N              of a prefix, a second

  -json             the same for programs
`
