package report

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func results() *Results {
	r := &Results{Systems: []string{"ours", "theirs", "absent"}}
	cpu := Metric{ID: "cpu", Title: "CPU <ms>", Table: "Cost"}
	for _, v := range []float64{1, 2, 3} {
		r.Add(cpu, "ours", v)
		r.Add(cpu, "theirs", 2*v)
	}
	r.Add(Metric{ID: "size", Title: "bytes", Table: "Cost", Only: true}, "theirs", 1234.5)
	r.Note("a & b")
	r.Note("a & b")
	return r
}

func TestTables(t *testing.T) {
	var b strings.Builder
	results().Tables(&b)
	want := `
### Cost

| | ours | theirs |
|---|---|---|
| CPU <ms> | **2.00** (1.00–3.00) | **4.00** (2.00–6.00) ×0.50 |
| bytes | – | **1234** |

- a & b
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestPlotIsXML(t *testing.T) {
	var b strings.Builder
	if err := results().Draw(&b, Plot{Title: "<less> is better", Metrics: []string{"cpu"}, Labels: []string{"a & b"}}); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		_, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
	}
	if n := strings.Count(b.String(), "<rect"); n != 4 {
		t.Errorf("%d rectangles, want two bars and two of the legend", n)
	}
	if err := results().Draw(io.Discard, Plot{Title: "nothing", Metrics: []string{"none"}}); err == nil {
		t.Error("a plot of nothing is no error")
	}
}

func TestNiceTop(t *testing.T) {
	for v, want := range map[float64]float64{0.7: 0.8, 3: 4, 9: 10, 41: 50, 100: 100} {
		if got := niceTop(v); got < want*0.999 || got > want*1.001 {
			t.Errorf("top for %v is %v, want %v", v, got, want)
		}
	}
}
