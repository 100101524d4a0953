package model

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var search = flag.Bool("search", false, "find and shorten schedules that break what lacks a rule, and write them to testdata")

// scale shortens the long tests; 1 is their full length.
func scale() float64 {
	if f, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64); err == nil && f > 0 {
		return f
	}
	return 0.06
}

// schedules is how many are drawn of each design.
func schedules() int {
	if scale() >= 1 {
		return 100_000
	}
	return max(300, int(4_000*scale()))
}

// try runs the schedule of a seed, and then heals the world.
func try(d design, seed uint64) (*world, []step) {
	w := newWorld(d)
	steps := w.run(seed)
	if w.check.broken == "" {
		w.settle()
	}
	return w, steps
}

// replay runs the steps that are possible, and says what breaks.
func replay(d design, steps []step) string {
	w := newWorld(d)
	for _, s := range steps {
		w.do(s)
		if w.check.broken != "" {
			return w.check.broken
		}
	}
	w.settle()
	return w.check.broken
}

// shorten leaves out what a schedule does not need for its contradiction.
func shorten(d design, steps []step) []step {
	want := replay(d, steps)
	for chunk := len(steps) / 2; chunk > 0; {
		smaller := false
		for from := 0; from+chunk <= len(steps); {
			fewer := slices.Concat(steps[:from], steps[from+chunk:])
			if replay(d, fewer) == want {
				steps, smaller = fewer, true
			} else {
				from += chunk
			}
		}
		if !smaller || chunk > 1 {
			chunk /= 2
		}
	}
	return steps
}

// broken counts the contradictions in which schedules end.
func broken(t *testing.T, d design, n int) (all int) {
	kinds, seen := map[string]int{}, map[string]int{}
	for seed := range uint64(n) {
		w, steps := try(d, seed)
		for k, times := range w.seen {
			seen[k] += times
		}
		if w.check.broken != "" {
			kinds[w.check.broken]++
			if all++; d.nonce && d.match {
				t.Errorf("%s: seed %d: %s:\n%s", d.name, seed, w.check.broken, text(shorten(d, steps)))
				break
			}
		}
	}
	t.Logf("%s: %d of %d schedules end in a contradiction (%.1f %%)", d.name, all, n, 100*float64(all)/float64(n))
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("  %6d  %s", kinds[k], k)
	}
	for _, k := range []string{"takeover", "new recording after another", "stand down", "refused write", "number taken", "going on after a start"} {
		t.Logf("  %6d × %s", seen[k], k)
		if seen[k] == 0 && d.match {
			t.Errorf("%s: no schedule has a %s: the model is not put to the test", d.name, k)
		}
	}
	return all
}

// What is built today breaks in most schedules, claims without If-Match in some, and with it in none.
func TestOnlyTheWholeDesignHolds(t *testing.T) {
	n := schedules()
	now, unfenced, fenced := broken(t, today(), n), broken(t, unmatched(), n), broken(t, whole(), n)
	if fenced != 0 || unfenced <= fenced || now <= unfenced {
		t.Errorf("%d today, %d without If-Match, %d with all: they should fall to none", now, unfenced, fenced)
	}
}

// Two nodes of one name do no harm either.
func TestNamesAreNotTrusted(t *testing.T) {
	d := whole()
	d.name, d.oneName = "two nodes of one name", true
	if n := broken(t, d, schedules()/2); n != 0 {
		t.Errorf("%d", n)
	}
}

// rules are the designs that lack one rule each, and what is told of them.
func rules() map[string]design {
	without := func(take func(d *design)) design {
		d := whole()
		take(&d)
		return d
	}
	return map[string]design{
		"retry-claim-first":    without(func(d *design) { d.retryFirst = false }),
		"start-claim-first":    without(func(d *design) { d.startFirst = false }),
		"takeover-claim-first": without(func(d *design) { d.takeFirst = false }),
		"end-is-taken-back":    without(func(d *design) { d.endIsFinal = false }),
		"predecessor-is-left":  without(func(d *design) { d.finishOther = false }),
		"ended-after-claim":    without(func(d *design) { d.finishFirst = false }),
		"empty-one-is-left":    without(func(d *design) { d.finishEmpty = false }),
		"copied-machine":       without(func(d *design) { d.nonce, d.oneName = false, true }),
		"listed-at-once":       without(func(d *design) { d.confirmed = false }),
		"no-if-match":          unmatched(),
		"today":                today(),
	}
}

// Each rule is needed: a schedule that breaks what lacks it lies in testdata, as a list of steps, and does not break the whole.
func TestEachRuleIsNeeded(t *testing.T) {
	for name, d := range rules() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".txt")
			if *search {
				find(t, d, file)
			}
			written, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			steps, want := parse(t, string(written))
			if got := replay(d, steps); got != want {
				t.Errorf("without the rule: %q, want %q", got, want)
			}
			held := whole()
			held.oneName = d.oneName
			if got := replay(held, steps); got != "" {
				t.Errorf("with it: %q", got)
			}
		})
	}
}

// find writes the shortest of some schedules.
func find(t *testing.T, d design, file string) {
	var best []step
	what := ""
	for seed, found := uint64(0), 0; seed < 40_000 && found < 12; seed++ {
		w, steps := try(d, seed)
		if w.check.broken == "" {
			continue
		}
		found++
		if steps = shorten(d, steps); best == nil || len(steps) < len(best) {
			best, what = steps, w.check.broken
		}
	}
	if best == nil {
		t.Fatal("no schedule breaks it")
	}
	if err := os.WriteFile(file, []byte("# "+what+"\n"+text(best)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// parse reads a schedule as text has written it.
func parse(t *testing.T, written string) (steps []step, want string) {
	t.Helper()
	known := map[string]step{}
	for v := join; v <= healPeers; v++ {
		for n := range nodes {
			for e := range 3 {
				for op := getClaim; op < ops; op++ {
					s := step{v, n, e, op}
					known[s.String()] = clean(s)
				}
			}
		}
	}
	for line := range strings.Lines(written) {
		line = strings.TrimSpace(line)
		if comment, ok := strings.CutPrefix(line, "# "); ok {
			want = comment
			continue
		}
		_, line, _ = strings.Cut(line, ". ")
		s, ok := known[line]
		if !ok {
			t.Fatalf("%q is no step", line)
		}
		steps = append(steps, s)
	}
	return steps, want
}

// clean is a step without the fields that its verb does not use.
func clean(s step) step {
	switch s.verb {
	case join:
		s.op = 0
	case leave:
		s.op, s.node = 0, 0
	case carry, reply, giveUp, late:
		s.encoder = 0
	case cutPeers, healPeers:
		return step{verb: s.verb}
	default:
		s.op, s.encoder = 0, 0
	}
	return s
}
