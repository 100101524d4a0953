package scale

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/test/docs"
)

var updateDocs = flag.Bool("update", false, "rewrite what is generated")

// markdown is a table.
func markdown(head string, rows [][]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n|%s\n", head, strings.Repeat("---|", strings.Count(head, "|")-1))
	for _, cells := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.String()
}

// variant is a row of a table: what is told of it, and what differs from the default.
type variant struct {
	name   string
	change func(in *Input)
}

// TestDocumentationOfAMillion keeps the table of a million viewers in docs/scale.md; -update rewrites it, as it does the others.
func TestDocumentationOfAMillion(t *testing.T) {
	var rows [][]string
	for _, v := range []variant{
		{"6 Mb/s, segments of 4 s", nil},
		{"the same, segments of 2 s", func(in *Input) { in.Segment = 2 }},
		{"the same, low latency with parts of 500 ms", func(in *Input) { in.Segment, in.Part = 2, 0.5 }},
		{"segments of 4 s, no Origin Shield", func(in *Input) { in.Shield = false }},
		{"segments of 4 s, neither regional caches nor shield", func(in *Input) { in.Shield, in.Regions = false, 0 }},
		{"ladder of 6, 3, 1.5 Mb/s, mean 4, segments of 4 s", func(in *Input) { in.Rates, in.Mean = []float64{6, 3, 1.5}, 4 }},
		{"100 such ladders", func(in *Input) { in.Rates, in.Mean, in.Streams = []float64{6, 3, 1.5}, 4, 100 }},
		{"100 such ladders, low latency", func(in *Input) {
			in.Rates, in.Mean, in.Streams, in.Segment, in.Part = []float64{6, 3, 1.5}, 4, 100, 2, 0.5
		}},
	} {
		r := compute(t, v.change)
		cdn, origin, shield := r.Levels[0], r.Levels[len(r.Levels)-1], "–"
		if r.Input.Shield {
			shield = Figure(r.Levels[len(r.Levels)-2].Requests())
		}
		rows = append(rows, []string{v.name, Figure(cdn.Requests()), Figure(cdn.Gbps), Figure(r.Levels[1].Requests()), shield,
			Figure(origin.Requests()), Figure(origin.Gbps * 1000)})
	}
	docs.Section(t, "../../../docs/scale.md", "<!-- million -->", "<!-- end of million -->",
		markdown("| a million viewers | CDN, requests/s | CDN, Gb/s | from locations, requests/s | shield, requests/s | origin, requests/s | origin, Mb/s |", rows), *updateDocs)
}

// TestDocumentationOfAMonth keeps the table of what a stream costs in the bucket.
func TestDocumentationOfAMonth(t *testing.T) {
	ladder := []float64{6, 3, 1.5}
	var rows [][]string
	for _, v := range []variant{
		{"6 Mb/s, segments of 4 s", nil},
		{"the same, segments of 2 s", func(in *Input) { in.Segment = 2 }},
		{"segments of 2 s, low latency", func(in *Input) { in.Segment, in.Part = 2, 0.5 }},
		{"segments of 4 s, stored as CMAF, too", func(in *Input) { in.CMAF = true }},
		{"each segment read once", func(in *Input) { in.Replays = 1 }},
		{"three servers, segments of 4 s", func(in *Input) { in.Servers = 3 }},
		{"three servers, segments of 2 s, low latency", func(in *Input) { in.Servers, in.Segment, in.Part = 3, 2, 0.5 }},
		{"1 Mb/s, segments of 4 s", func(in *Input) { in.Rates = []float64{1} }},
		{"ladder of 6, 3, 1.5 Mb/s", func(in *Input) { in.Rates = ladder }},
		{"the same, 4 hours a day, kept for 7 days", func(in *Input) { in.Rates, in.Hours, in.Kept = ladder, 4, 7 }},
		{"the same, kept for a year", func(in *Input) { in.Rates, in.Hours, in.Kept = ladder, 4, 365 }},
	} {
		b := compute(t, v.change).Bucket
		rows = append(rows, []string{v.name, Figure(b.Puts()), Figure(b.Growing), Figure(b.Gets + b.Claims + b.Others), Figure(b.Claims), Figure(b.PutPrice + b.GetPrice), Figure(b.GB), Figure(b.Stored), Figure(b.StoragePrice), Figure(b.Price())})
	}
	docs.Section(t, "../../../docs/scale.md", "<!-- month -->", "<!-- end of month -->",
		markdown("| one stream, a month | PUT | of them timestamped playlists | GET | of them claims | $ for requests | GB written | GB stored | $ for storage | $ |", rows), *updateDocs)
}

// TestDocumentationOfManyStreams keeps what the program prints for ten thousand streams.
func TestDocumentationOfManyStreams(t *testing.T) {
	line := "-streams 10000 -viewers 1000000 -rates 3 -kept 7"
	text, err := command(t, line)
	if err != nil {
		t.Fatal(err)
	}
	docs.Section(t, "../../../docs/scale.md", "<!-- streams -->", "<!-- end of streams -->", "\n```\n$ hlsorigin scale "+line+"\n"+text+"```\n\n", *updateDocs)
}

// TestDocumentationOfLimits keeps the table of what breaks.
func TestDocumentationOfLimits(t *testing.T) {
	var rows [][]string
	few := compute(t, nil)
	many := compute(t, func(in *Input) { in.Streams, in.Rates = 10_000, []float64{3} })
	at := func(r *Report, name string) *Limit {
		for i := range r.Limits {
			if r.Limits[i].Name == name {
				return &r.Limits[i]
			}
		}
		t.Fatalf("no limit is called %s", name)
		return nil
	}
	for i := range many.Limits {
		name := many.Limits[i].Name
		a, b := at(few, name), at(many, name)
		quota := Figure(b.Quota) + " " + b.Unit
		if b.Unit == "streams" {
			quota = "a node's own"
		}
		rows = append(rows, []string{name, quota, Figure(a.At) + " " + a.Of, Figure(b.At) + " " + b.Of, b.Do})
	}
	docs.Section(t, "../../../docs/scale.md", "<!-- limits -->", "<!-- end of limits -->",
		markdown("| limit | is | one stream of 6 Mb/s, breaks at | 10,000 streams of 3 Mb/s and a million viewers, breaks at | what to do |", rows), *updateDocs)
}

// TestDocumentationOfPrices keeps the price list.
func TestDocumentationOfPrices(t *testing.T) {
	p, q := ListPrices(), DefaultQuotas()
	steps := func(tiers []Tier) string {
		var all []string
		for _, tier := range tiers {
			s := fmt.Sprintf("$%g", tier.Price)
			if tier.UpTo > 0 {
				s += " up to " + Figure(tier.UpTo) + " TB"
			} else {
				s += " beyond"
			}
			all = append(all, s)
		}
		return strings.Join(all, ", ")
	}
	rows := [][]string{
		{"S3 PUT, 1,000", fmt.Sprintf("$%g", p.Put), "`-price-put`"},
		{"S3 GET and HEAD, 1,000", fmt.Sprintf("$%g", p.Get), "`-price-get`"},
		{"S3 Standard, a GB and month", steps(p.Storage), "`-price-storage`"},
		{"CloudFront to viewers, a GB", steps(p.Egress), "`-price-egress`"},
		{"CloudFront, 10,000 requests by HTTPS", fmt.Sprintf("$%g", p.Request), "`-price-request`"},
		{"Origin Shield, 10,000 requests", fmt.Sprintf("$%g", p.Shield), "`-price-shield`"},
		{"CloudFront, traffic of a distribution", Figure(q.Egress) + " Gb/s", "`-quota-egress`"},
		{"CloudFront, requests of a distribution", Figure(q.Requests) + " a second", "`-quota-requests`"},
		{"S3, PUT of a prefix", Figure(q.Put) + " a second", "`-quota-put`"},
		{"S3, GET and HEAD of a prefix", Figure(q.Get) + " a second", "`-quota-get`"},
	}
	docs.Section(t, "../../../docs/scale.md", "<!-- prices -->", "<!-- end of prices -->",
		"Of "+PricesSeen+": "+Sources+".\n\n"+markdown("| what | price or quota | other value |", rows), *updateDocs)
}
