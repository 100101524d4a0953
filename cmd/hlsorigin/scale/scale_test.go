package scale

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// near fails the test unless got is want, but for what rounding does.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.005*math.Abs(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func compute(t *testing.T, change func(in *Input)) *Report {
	t.Helper()
	in := Default()
	if change != nil {
		change(&in)
	}
	r, err := Compute(in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The default, by hand.
func TestAMillionViewers(t *testing.T) {
	r := compute(t, nil)
	if len(r.Levels) != 4 {
		t.Fatalf("%d levels", len(r.Levels))
	}
	cdn, locations, regions, origin := r.Levels[0], r.Levels[1], r.Levels[2], r.Levels[3]
	near(t, "playlists of viewers", cdn.Playlists, 1e6/4)
	near(t, "segments of viewers", cdn.Media, 1e6/4)
	near(t, "Gb/s to viewers", cdn.Gbps, 6000)
	// A location has 1,667 viewers, who ask 416.7 times a second; it asks every 2 s, and the time that passes until somebody does.
	near(t, "playlists of locations", locations.Playlists, 600*416.67/(1+416.67*2))
	near(t, "segments of locations", locations.Media, 600./4)
	near(t, "Gb/s of locations", locations.Gbps, 600*0.006)
	near(t, "playlists of regional caches", regions.Playlists, 13*23.049/(1+23.049*2))
	near(t, "segments of regional caches", regions.Media, 13./4)
	near(t, "playlists of the shield", origin.Playlists, 6.3618/(1+6.3618*2))
	near(t, "segments of the shield", origin.Media, 1./4)
	near(t, "Gb/s of the origin", origin.Gbps, 0.006)
	if first := r.Limits[0]; first.Name != "CloudFront, a distribution's traffic" || first.At != 25_000 {
		t.Errorf("first breaks %+v", first)
	}
	near(t, "GB to viewers", r.Month.EgressGB, 6000./8*2_592_000)
	near(t, "dollars for requests", r.Month.Requests, 500_000*2_592_000/10_000*0.01)
}

// Whatever is between, an origin is not asked more often than the viewers ask, nor less for more of them, nor beyond what one cache asks.
func TestCachesNeverMultiply(t *testing.T) {
	for _, part := range []Seconds{0, 0.5} {
		before := 0.0
		for _, viewers := range []float64{0, 0.5, 1, 2, 10, 100, 1e4, 1e6, 1e9} {
			r := compute(t, func(in *Input) { in.Viewers, in.Part = viewers, part })
			for i, l := range r.Levels[1:] {
				if up := r.Levels[i]; l.Requests() > up.Requests()*1.000001 {
					t.Errorf("%v viewers, parts of %v: %s ask %v times for %v", viewers, part, l.From, l.Requests(), up.Requests())
				}
			}
			origin := r.Levels[3].Requests()
			if origin < before {
				t.Errorf("%v viewers: the origin is asked %v times, less than %v by fewer", viewers, origin, before)
			}
			most := 1/2. + 1/4.
			if part > 0 {
				most = 2 / float64(part)
			}
			if before = origin; origin > most {
				t.Errorf("%v viewers, parts of %v: the origin is asked %v times", viewers, part, origin)
			}
		}
	}
}

// Nine parts in a segment of 4 s were measured to be 4.4 to 4.7 requests a second behind a CDN: docs/performance.md.
func TestLowLatencyAsMeasured(t *testing.T) {
	r := compute(t, func(in *Input) { in.Viewers, in.Part, in.Edges, in.Regions, in.Shield = 60, Seconds(4./9), 1, 0, false })
	if got := r.Levels[len(r.Levels)-1].Requests(); got < 4.3 || got > 4.8 {
		t.Errorf("%v requests a second", got)
	}
}

func TestBucketByHand(t *testing.T) {
	r := compute(t, func(in *Input) { in.Rates, in.Kept, in.Streams = []float64{6, 3}, 10, 100 })
	b := r.Bucket
	near(t, "segments", b.Segments, 2*30*21_600)
	near(t, "live playlists", b.Live, 2*30*21_600)
	near(t, "entries and ends", b.Other, 30*(2*(2+1)+2+1))
	if share := b.Growing / b.Segments; share < 0.01 || share > 0.25 {
		t.Errorf("timestamped playlists are %.3f of the segments", share)
	}
	near(t, "GB", b.GB, 9./8*86_400*30/1000)
	near(t, "stored", b.Stored, 9./8*86_400*10/1000)
	near(t, "price of PUT", b.PutPrice, b.Puts()/1000*0.005)
	near(t, "price of storage", b.StoragePrice*100, 50_000*0.023+(b.Stored*100-50_000)*0.022)
	near(t, "PUT a second", b.PutsASecond, b.Puts()/2_592_000)
}

func TestOptionsThatCostRequests(t *testing.T) {
	plain := compute(t, nil).Bucket
	low := compute(t, func(in *Input) { in.Part = 0.5 }).Bucket
	near(t, "live playlists with low latency", low.Live, 2*plain.Live)
	both := compute(t, func(in *Input) { in.CMAF = true }).Bucket
	near(t, "segments with CMAF", both.Segments, 3*plain.Segments)
	near(t, "live playlists with CMAF", both.Live, 4*plain.Live)
	near(t, "stored with CMAF", both.Stored, 2*plain.Stored)
	again := compute(t, func(in *Input) { in.Replays = 2 }).Bucket
	near(t, "GET of replays", again.Gets, 2*plain.Segments)
	near(t, "price of GET", again.GetPrice, 2*648*0.0004)
}

func TestServersByHand(t *testing.T) {
	r := compute(t, func(in *Input) { in.Streams, in.Viewers = 10_000, 1e6 })
	s := r.Servers
	near(t, "CPU", s.CPU, 0.36+6*0.135+6*0.125+6./8000*180+0.0028)
	near(t, "memory", s.Memory, 750_000*70)
	near(t, "out", s.Out, 12)
	near(t, "by network", s.ByNet, 416)
	near(t, "nodes", s.Nodes, math.Ceil(10_000./416)+1)
	if small := compute(t, func(in *Input) { in.Node.Network = 0.01 }).Servers; small.Nodes != 0 {
		t.Errorf("a node of 10 Mb/s carries %v", small.EachHas)
	}
}

// What servers take is what docs/operations.md and docs/performance.md say in their rules for sizing.
func TestServersAreAsMeasured(t *testing.T) {
	for _, c := range []struct {
		page, pattern string
		want          float64
	}{
		{"operations", `costs ([0-9.]+) \+ [0-9.]+ r ms each second`, cpuStream},
		{"operations", `costs [0-9.]+ \+ ([0-9.]+) r ms each second`, cpuRate},
		{"operations", `uploading it ([0-9.]+) r ms over https`, cpuPut},
		{"operations", `the rate × ([0-9.]+) s, for .hls.window: 60s. and segments of 4 s`, 60 + inMemory*4},
		{"performance", `At ([0-9.]+) CPU seconds per GB`, cpuSend / 1000.},
		{"performance", `and ([0-9.]+) µs a playlist`, cpuAnswer * 1000},
	} {
		text, err := os.ReadFile("../../../docs/" + c.page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(c.pattern).FindSubmatch(text)
		if m == nil {
			t.Errorf("docs/%s.md does not say %s", c.page, c.pattern)
			continue
		}
		got, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		near(t, c.pattern, c.want, got)
	}
}

func TestCostByTiers(t *testing.T) {
	for _, c := range []struct{ gb, want float64 }{
		{0, 0}, {1000, 85}, {10_000, 850}, {60_000, 850 + 40_000*0.08 + 10_000*0.06},
		{6_000_000, 850 + 3200 + 6000 + 14_000 + 15_720 + 4_096_000*0.025 + 880_000*0.02},
	} {
		near(t, "dollars", cost(ListPrices().Egress, c.gb), c.want)
	}
	near(t, "flat", cost(Flat(0.01), 1e6), 10_000)
}

func TestCheck(t *testing.T) {
	for name, change := range map[string]func(in *Input){
		"viewers":       func(in *Input) { in.Viewers = -1 },
		"streams":       func(in *Input) { in.Streams = 0 },
		"rates":         func(in *Input) { in.Rates = nil },
		"mean":          func(in *Input) { in.Mean = math.NaN() },
		"segment":       func(in *Input) { in.Segment = 0 },
		"target":        func(in *Input) { in.Target = 2 },
		"window":        func(in *Input) { in.Window = 8 },
		"part":          func(in *Input) { in.Part = 5 },
		"hours":         func(in *Input) { in.Hours = 25 },
		"kept":          func(in *Input) { in.Kept = math.Inf(1) },
		"edges":         func(in *Input) { in.Edges = 0 },
		"apps":          func(in *Input) { in.Apps = 0 },
		"cores":         func(in *Input) { in.Node.Cores = 0 },
		"replays":       func(in *Input) { in.Replays = -1 },
		"outage":        func(in *Input) { in.Outage = -1 },
		"regions":       func(in *Input) { in.Regions = -1 },
		"network":       func(in *Input) { in.Node.Network = 0 },
		"memory":        func(in *Input) { in.Node.Memory = 0 },
		"distributions": func(in *Input) { in.CDNs = 0 },
	} {
		in := Default()
		change(&in)
		if _, err := Compute(in); err == nil || !strings.Contains(err.Error(), "-"+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := Default()
	in.Rates = []float64{1, 2}
	if in.Check() == nil {
		t.Error("rungs in the wrong order are taken")
	}
}

func TestFigure(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 1: "1", 0.25: "0.25", 0.0123: "0.0123", 1.2345: "1.23", 12.345: "12.3", 999.4: "999", 1000: "1,000", 1234567.8: "1,234,568", -1234: "-1,234",
		0.00012: "1.2e-04", math.Inf(1): "–", 100: "100", 10: "10",
	} {
		if got := Figure(x); got != want {
			t.Errorf("%v: %q, want %q", x, got, want)
		}
	}
}

// command runs a command line as the program does.
func command(t *testing.T, line string) (string, error) {
	t.Helper()
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	report := Flags(f)
	if err := f.Parse(strings.Fields(line)); err != nil {
		return "", err
	}
	var out bytes.Buffer
	err := report(&out)
	return out.String(), err
}

func TestCommand(t *testing.T) {
	text, err := command(t, "-json -viewers 50000 -rates 6,3,1.5 -mean 4 -segment 2s -price-storage 0.01 -quota-egress 1000 -shield=false -part 500ms")
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	near(t, "Gb/s", r.Levels[0].Gbps, 200)
	near(t, "requests", r.Levels[0].Requests(), 200_000)
	near(t, "quota", r.Input.Quotas.Egress, 1000)
	near(t, "storage", r.Bucket.StoragePrice, r.Bucket.Stored*0.01)
	if len(r.Levels) != 3 || r.Month.Shield != 0 {
		t.Errorf("with a shield: %+v", r.Levels)
	}
	for _, line := range []string{"-rates 6,x", "-segment 4", "-price-egress x", "-nothing"} {
		if _, err := command(t, line); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
}

// Help names every flag, and no other.
func TestHelpNamesEveryFlag(t *testing.T) {
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	Flags(f)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:^|[\s(])-([a-z][a-z-]*)`).FindAllStringSubmatch(Help, -1) {
		named[m[1]] = true
	}
	f.VisitAll(func(fl *flag.Flag) {
		if !named[fl.Name] {
			t.Errorf("-%s is not in the help", fl.Name)
		}
		delete(named, fl.Name)
	})
	for name := range named {
		t.Errorf("the help has -%s, which is no flag", name)
	}
}
