package report

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"

	"github.com/hlsorigin/hlsorigin/bench/stat"
)

// Plot is a picture of some metrics: one group of bars for each metric, one bar for each system, with a line from the minimum to the
// maximum of the rounds.
type Plot struct {
	Title   string
	Metrics []string // IDs, of one unit
	Labels  []string // of the groups
}

// The dimensions of a plot, in its own units.
const (
	plotWidth  = 760
	plotHeight = 320
	left       = 56
	top        = 44
	bottom     = 64
)

// palette distinguishes systems, also for the colour-blind, on light and on dark; only Systems[0] stands out.
func palette() []string {
	return []string{"#d9480f", "#1c7ed6", "#0ca678", "#9c36b5", "#b08900", "#868e96", "#e64980", "#5c7cfa", "#495057"}
}

// Draw writes the plot as SVG. Its texts follow the page's colour scheme.
func (r *Results) Draw(w io.Writer, p Plot) error {
	var systems []string
	most := 0.0
	for _, s := range r.Systems {
		for _, m := range p.Metrics {
			if v := r.Samples[m][s]; len(v) > 0 {
				most = max(most, slices.Max(v))
				if !slices.Contains(systems, s) {
					systems = append(systems, s)
				}
			}
		}
	}
	if most == 0 {
		return fmt.Errorf("plot %s: nothing was measured", p.Title)
	}
	b := &drawing{w: w, scale: (plotHeight - top - bottom) / niceTop(most)}
	b.f(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" role="img">`, plotWidth, plotHeight)
	b.f(`<title>%s</title>`, html.EscapeString(p.Title))
	b.f(`<style>text{fill:#222}.g{stroke:#8886}.e{stroke:#222}@media(prefers-color-scheme:dark){text{fill:#ddd}.e{stroke:#ddd}}</style>`)
	b.f(`<text x="%d" y="22" font-size="15" font-weight="600">%s</text>`, left, html.EscapeString(p.Title))
	for i := range 5 {
		v := niceTop(most) * float64(i) / 4
		b.f(`<line class="g" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, plotWidth-16, b.y(v), b.y(v))
		b.f(`<text x="%d" y="%.1f" text-anchor="end">%s</text>`, left-6, b.y(v)+4, number(v))
	}
	group := float64(plotWidth-16-left) / float64(len(p.Metrics))
	bar := group * 0.8 / float64(len(systems))
	for i, m := range p.Metrics {
		x := left + group*(float64(i)+0.1)
		b.f(`<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x+group*0.4, plotHeight-bottom+18, html.EscapeString(p.Labels[i]))
		for k, s := range systems {
			v := r.Samples[m][s]
			if len(v) == 0 {
				continue
			}
			b.bar(x+bar*float64(k), bar, v, palette()[slices.Index(r.Systems, s)%len(palette())], s)
		}
	}
	x := float64(left)
	for _, s := range systems {
		b.f(`<rect x="%.1f" y="%d" width="11" height="11" rx="2" fill="%s"/>`, x, plotHeight-26, palette()[slices.Index(r.Systems, s)%len(palette())])
		b.f(`<text x="%.1f" y="%d">%s</text>`, x+16, plotHeight-16, html.EscapeString(s))
		x += 36 + 6.6*float64(len(s))
	}
	b.f(`</svg>`)
	return b.err
}

// drawing remembers the first error.
type drawing struct {
	w     io.Writer
	scale float64
	err   error
}

func (b *drawing) f(format string, args ...any) {
	if b.err == nil {
		_, b.err = fmt.Fprintf(b.w, format+"\n", args...)
	}
}

func (b *drawing) y(v float64) float64 { return plotHeight - bottom - v*b.scale }

func (b *drawing) bar(x, width float64, v []float64, colour, system string) {
	m := stat.Median(v)
	b.f(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" fill="%s"><title>%s: %s</title></rect>`,
		x+1, b.y(m), width-2, m*b.scale, colour, html.EscapeString(system), number(m))
	if len(v) > 1 {
		b.f(`<line class="e" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x+width/2, x+width/2, b.y(slices.Min(v)), b.y(slices.Max(v)))
	}
	if width >= 20 {
		b.f(`<text x="%.1f" y="%.1f" text-anchor="middle" font-size="10">%s</text>`, x+width/2, b.y(slices.Max(v))-4, number(m))
	}
}

// niceTop returns the end of the axis: the next of 1, 2, 4, 5, 8 times a power of ten.
func niceTop(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 4, 5, 8} {
		if v <= n*unit {
			return n * unit
		}
	}
	return 10 * unit
}
