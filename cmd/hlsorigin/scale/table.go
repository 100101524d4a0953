package scale

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is rows of cells, the first of which says what the others are.
type table [][]string

func (t *table) row(cells ...string) { *t = append(*t, cells) }

// write aligns the first cells to the left and the others to the right, and leaves a line free.
func (t table) write(out io.Writer) {
	var widths []int
	for _, cells := range t {
		for i, cell := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range t {
		line := ""
		for i, cell := range cells {
			blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line = cell + blanks
			} else {
				line += "  " + blanks + cell
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	fmt.Fprintln(out)
}

// Print writes the report as tables for people.
func (r *Report) Print(out io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n", &r.Input)
	r.requests().write(&b)
	r.bucket().write(&b)
	r.servers().write(&b)
	r.month().write(&b)
	r.breaks().write(&b)
	for i := range r.Limits {
		if l := &r.Limits[i]; l.Share() > 1 {
			fmt.Fprintf(&b, "%s: %s\n", l.Name, l.Do)
		}
	}
	fmt.Fprintf(&b, "prices and quotas of %s: %s\n", PricesSeen, Sources)
	_, err := out.Write(b.Bytes())
	return err
}

func (r *Report) requests() (t table) {
	t.row("requests a second", "playlists", media(&r.Input), "all", "Gb/s")
	for _, l := range r.Levels {
		t.row(l.From+" → "+l.To, Figure(l.Playlists), Figure(l.Media), Figure(l.Requests()), Figure(l.Gbps))
	}
	return t
}

func (r *Report) bucket() (t table) {
	b := &r.Bucket
	t.row("the bucket, each stream", "a month", "dollars")
	t.row("PUT segments", Figure(b.Segments))
	t.row("PUT live playlists", Figure(b.Live))
	t.row("PUT timestamped playlists", Figure(b.Growing))
	t.row("PUT entries and ends", Figure(b.Other))
	t.row("PUT, all", Figure(b.Puts()), Figure(b.PutPrice))
	if b.Gets > 0 {
		t.row("GET, replays", Figure(b.Gets))
	}
	if r.Input.Servers > 1 {
		t.row("GET, claims, by servers without the stream", Figure(b.Claims))
		t.row("GET, segments, by those", Figure(b.Others))
	}
	if b.GetPrice > 0 {
		t.row("GET, all", Figure(b.Gets+b.Claims+b.Others), Figure(b.GetPrice))
	}
	t.row("GB written", Figure(b.GB))
	t.row(fmt.Sprintf("GB stored, kept %s days", Figure(r.Input.Kept)), Figure(b.Stored), Figure(b.StoragePrice))
	t.row("all", "", Figure(b.Price()))
	return t
}

func (r *Report) servers() (t table) {
	s := &r.Servers
	t.row("servers", "each stream", "streams a node")
	t.row("CPU, ms a second", Figure(s.CPU), Figure(s.ByCPU))
	t.row("memory, MB", Figure(s.Memory/1e6), Figure(s.ByMem))
	t.row("network in, Mb/s", Figure(s.In))
	t.row("network out, Mb/s", Figure(s.Out), Figure(s.ByNet))
	t.row(fmt.Sprintf("spool for %s without the bucket, GB", short(r.Input.Outage)), Figure(s.Disk/1e9))
	nodes := Figure(s.Nodes)
	if s.Nodes == 0 {
		nodes = "none carries one"
	}
	t.row("nodes, one of them to spare", "", nodes)
	return t
}

func (r *Report) month() (t table) {
	m := &r.Month
	t.row("all of it", "a month", "dollars")
	t.row("the bucket, GB stored", Figure(r.Bucket.Stored*r.Input.Streams), Figure(m.Bucket))
	t.row("CDN, GB to viewers", Figure(m.EgressGB), Figure(m.Egress))
	t.row("CDN, requests", Figure(r.Levels[0].Requests()*r.Input.month()), Figure(m.Requests))
	if r.Input.Shield {
		t.row("Origin Shield, requests", Figure(r.Levels[len(r.Levels)-2].Requests()*r.Input.month()), Figure(m.Shield))
	}
	return t
}

func (r *Report) breaks() (t table) {
	t.row("what breaks first", "limit", "asked for", "of it", "breaks at")
	for i := range r.Limits {
		l := &r.Limits[i]
		t.row(l.Name, Figure(l.Quota)+" "+l.Unit, Figure(l.Demand), Figure(100*l.Share())+" %", Figure(l.At)+" "+l.Of)
	}
	return t
}

// media names what viewers fetch beside playlists.
func media(in *Input) string {
	if in.Part > 0 {
		return "parts"
	}
	return "segments"
}

// String is the show in a line.
func (in *Input) String() string {
	var rates []string
	for _, r := range in.Rates {
		rates = append(rates, Figure(r))
	}
	streams := "streams"
	if in.Streams == 1 {
		streams = "stream"
	}
	s := fmt.Sprintf("%s viewers of %s %s at %s Mb/s, segments of %s", Figure(in.Viewers), Figure(in.Streams), streams, strings.Join(rates, "+"), short(in.Segment))
	if in.Part > 0 {
		s += ", parts of " + short(in.Part)
	}
	return s + fmt.Sprintf(", %s hours a day", Figure(in.Hours))
}

// short is a time without what is nothing: 1h for 1h0m0s.
func short(s Seconds) string {
	text := s.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Figure is a number for people: three digits that count, and commas.
func Figure(x float64) string {
	switch a := math.Abs(x); {
	case math.IsInf(x, 0), math.IsNaN(x):
		return "–"
	case a == 0:
		return "0"
	case a < 0.001:
		return strconv.FormatFloat(x, 'e', 1, 64)
	case a < 1000:
		digits := max(0, 2-int(math.Floor(math.Log10(a))))
		text := strconv.FormatFloat(x, 'f', digits, 64)
		if strings.Contains(text, ".") {
			text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
		}
		return text
	}
	text := strconv.FormatFloat(x, 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
