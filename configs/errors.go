package configs

import (
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake: where it stands and what would be right.
type Error struct {
	File string // as it was given; empty for the environment
	Line int    // from 1; 0 where the mistake is no line's
	Env  string // the environment variable, where that is to blame
	Key  string // "http.listen"; may be empty
	Text string
}

// Error is "hlsorigin.yaml:12: http.listen: what is wrong".
func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.Env != "":
		fmt.Fprintf(&b, "environment variable %s: ", e.Env)
	case e.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	case e.File != "":
		fmt.Fprintf(&b, "%s: ", e.File)
	}
	if e.Key != "" && e.Env == "" {
		fmt.Fprintf(&b, "%s: ", e.Key)
	}
	b.WriteString(e.Text)
	return b.String()
}

// Errors is every mistake that was found, in the order of the file, those of the environment last. It is never empty
// when it is returned as an error.
type Errors []*Error

// Error is one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, m := range e {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single mistake.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, m := range e {
		out[i] = m
	}
	return out
}

// sorted puts a file's mistakes into reading order.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int {
		if (a.Env == "") != (b.Env == "") {
			return strings.Compare(a.Env, b.Env)
		}
		return a.Line - b.Line
	})
	return e
}

// didYouMean ends a message about an unknown name. Nothing near: the names there are, where they are few.
func didYouMean(got string, known []string) string {
	if best := nearest(got, known); best != "" {
		return fmt.Sprintf(" (did you mean %q?)", best)
	}
	if n := len(known); n > 0 && n <= 12 {
		return " (there are: " + strings.Join(known, ", ") + ")"
	}
	return ""
}

// nearest is the known name with the fewest edits from got, or "" where none is close enough to have been meant.
func nearest(got string, known []string) string {
	best, bestDistance := "", max(2, len(got)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(got), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions and replacements that make b of a; a swap of neighbours costs one.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
