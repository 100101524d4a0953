// Package report keeps what was measured and prints it: tables for people, JSON for programs, plots for light and dark pages. It refuses to
// measure anything.
package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/bench/stat"
)

// Metric is one line of a table.
type Metric struct {
	ID    string `json:"id"`
	Title string `json:"title"` // with the unit
	Table string `json:"table"` // the table's heading
	Only  bool   `json:"only"`  // a plain figure: a ratio of it would mean nothing
}

// Results are the samples of a run.
type Results struct {
	Machine string                          `json:"machine"`
	Metrics []Metric                        `json:"metrics"`
	Systems []string                        `json:"systems"` // the first is compared with each other
	Samples map[string]map[string][]float64 `json:"samples"` // by metric and system, one a round
	Notes   []string                        `json:"notes"`   // what went wrong or should be known
}

// Add adds a sample, and the metric if it is new.
func (r *Results) Add(m Metric, system string, v float64) {
	if !slices.ContainsFunc(r.Metrics, func(o Metric) bool { return o.ID == m.ID }) {
		r.Metrics = append(r.Metrics, m)
	}
	if r.Samples == nil {
		r.Samples = map[string]map[string][]float64{}
	}
	if r.Samples[m.ID] == nil {
		r.Samples[m.ID] = map[string][]float64{}
	}
	r.Samples[m.ID][system] = append(r.Samples[m.ID][system], v)
}

// Note adds a remark, once.
func (r *Results) Note(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(r.Notes, s) {
		r.Notes = append(r.Notes, s)
	}
}

// Tables prints one Markdown table for each heading: the median of the rounds with minimum and maximum, and under each other system the
// first system's ratio to it, computed round by round, of which it prints the median.
func (r *Results) Tables(w io.Writer) {
	for _, heading := range r.headings() {
		systems := r.taking(heading)
		fmt.Fprintf(w, "\n### %s\n\n| |", heading)
		for _, s := range systems {
			fmt.Fprintf(w, " %s |", s)
		}
		fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(systems)))
		for _, m := range r.Metrics {
			if m.Table != heading {
				continue
			}
			fmt.Fprintf(w, "| %s |", m.Title)
			for _, s := range systems {
				fmt.Fprintf(w, " %s |", r.cell(m, s))
			}
			fmt.Fprintln(w)
		}
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "- %s\n", n)
	}
}

func (r *Results) headings() (all []string) {
	for _, m := range r.Metrics {
		if !slices.Contains(all, m.Table) {
			all = append(all, m.Table)
		}
	}
	return all
}

// taking returns the systems that have a figure in a table.
func (r *Results) taking(heading string) (all []string) {
	for _, s := range r.Systems {
		if slices.ContainsFunc(r.Metrics, func(m Metric) bool { return m.Table == heading && len(r.Samples[m.ID][s]) > 0 }) {
			all = append(all, s)
		}
	}
	return all
}

func (r *Results) cell(m Metric, system string) string {
	v := r.Samples[m.ID][system]
	if len(v) == 0 {
		return "–"
	}
	s := "**" + number(stat.Median(v)) + "**"
	if len(v) > 1 {
		s += fmt.Sprintf(" (%s–%s)", number(slices.Min(v)), number(slices.Max(v)))
	}
	if ours := r.Samples[m.ID][r.Systems[0]]; system != r.Systems[0] && !m.Only && len(ours) > 0 {
		if ratios := stat.Ratios(ours, v); len(ratios) > 0 {
			s += fmt.Sprintf(" ×%.2f", stat.Median(ratios))
		}
	}
	return s
}

// number formats three significant digits, and larger numbers as whole numbers.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}
