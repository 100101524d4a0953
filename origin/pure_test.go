package origin

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

func TestWantsGzip(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "GZip": true, "x-gzip": true, "identity": false, "br": false, "gzip, deflate, br, zstd": true,
		"br;q=1.0, gzip;q=0.8, *;q=0.1": true, "*": true, "*;q=0": false, "gzip;q=0": false, "gzip;q=0.000": false,
		"gzip;q=0.001": true, "gzip;q=1.000": true, "gzip; q=0.5": true, "gzip ;Q=0.5": true, "gzip;q=0.5, identity": false,
		"gzip;q=0.5, identity;q=0.5": true, "identity;q=0": false, "identity;q=0, gzip": true, "identity;q=0, *": true,
		"gzip;q=0, *": false, "gzip;q=nonsense": false, "gzip;q=2": false, "gzip;q=1.1": true, "gzip;q=-1": false, "gzip;q=": false,
		"gzip;q=0.12345": false, "gzip;level=9": true, ",,gzip,": true, "gzippy": false,
	} {
		if got := wantsGzip(accept); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

func TestMatchETag(t *testing.T) {
	const tag = `"a,b"`
	for list, want := range map[string][2]bool{ // weak, strong comparison
		"": {}, "*": {true, true}, " * ": {true, true}, "* , x": {}, tag: {true, true}, "W/" + tag: {true, false}, `"x", ` + tag: {true, true},
		`"x",,W/"y" , W/` + tag: {true, false}, `"a`: {}, `a,b`: {}, `"a", b"`: {}, `x, ` + tag: {}, `w/` + tag: {}, `"a,b`: {},
	} {
		if weak, strong := matchETag(list, tag, true), matchETag(list, tag, false); weak != want[0] || strong != want[1] {
			t.Errorf("%q: weak %v, strong %v", list, weak, strong)
		}
	}
}

func TestParseRange(t *testing.T) {
	for text, want := range map[string]string{
		"": "0 10 whole", "bytes=0-0": "0 1 one", "bytes=0-": "0 10 one", "bytes=9-": "9 1 one", "bytes=10-": "unsatisfiable",
		"bytes=3-5": "3 3 one", "bytes=3-99": "3 7 one", "bytes=5-3": "0 10 whole", "bytes=-3": "7 3 one", "bytes=-99": "0 10 one",
		"bytes=-0": "unsatisfiable", "bytes=-": "0 10 whole", "bytes=": "0 10 whole", "bytes=a-b": "0 10 whole", "BYTES=1-2": "1 2 one",
		"bytes= 1-2 ": "1 2 one", "items=1-2": "0 10 whole", "bytes=1-2,4-5": "0 10 whole", "bytes=1-2-3": "0 10 whole",
		"bytes=99999999999999999999999-": "unsatisfiable", "bytes=0-99999999999999999999999": "0 10 one", "bytes=+1-2": "0 10 whole",
		"bytes=-99999999999999999999999": "0 10 one", "bytes": "0 10 whole",
	} {
		offset, length, result := parseRange(text, 10)
		got := fmt.Sprintf("%d %d %s", offset, length, [...]string{"whole", "one", ""}[result])
		if result == unsatisfiable {
			got = "unsatisfiable"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if _, _, result := parseRange("bytes=0-", 0); result != unsatisfiable {
		t.Error("a range of an empty body")
	}
	if _, _, result := parseRange("bytes=-1", 0); result != unsatisfiable {
		t.Error("the end of an empty body")
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add("bytes=0-5", int64(10))
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size < 0 {
			return
		}
		offset, length, result := parseRange(text, size)
		if offset < 0 || length < 0 || offset+length > size || result == onePart && length == 0 || result == wholeBody && length != size {
			t.Errorf("%q of %d: %d %d %d", text, size, offset, length, result)
		}
	})
}

func TestPagesAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	c := pages{max: 10_000, now: func() time.Time { return now }}
	made := map[string]int{}
	get := func(key string, size int, life time.Duration) error {
		_, err := cached(t.Context(), &c, key, func() (string, int64, time.Duration, error) {
			made[key]++
			if size < 0 {
				return "", 0, 0, errors.New("broken")
			}
			return key, int64(size), life, nil
		})
		return err
	}
	get("a", 4000, 0)
	get("b", 4000, time.Second)
	get("a", 4000, 0)
	get("b", 4000, time.Second)
	if made["a"] != 1 || made["b"] != 1 {
		t.Errorf("made %v", made)
	}
	now = now.Add(time.Second)
	get("b", 4000, time.Second)
	if made["b"] != 2 {
		t.Error("an old page was used")
	}
	get("a", 4000, 0) // now b is the older one
	get("c", 4000, 0)
	if get("a", 4000, 0); made["a"] != 1 || c.byKey["b"] != nil {
		t.Errorf("made %v: not the oldest went", made)
	}
	get("huge", 20_000, 0)
	if c.byKey["huge"] != nil || c.size > c.max {
		t.Errorf("%d bytes kept", c.size)
	}
	if get("bad", -1, 0) == nil || get("bad", 1, 0) != nil || made["bad"] != 2 {
		t.Error("a failure was kept")
	}
	var sum int64
	for e := c.order.Front(); e != nil; e = e.Next() {
		sum += e.Value.(*page).size
	}
	if sum != c.size || c.order.Len() != len(c.byKey) {
		t.Errorf("counted %d, kept %d", c.size, sum)
	}
}

// A page that is being made has no size yet: evicting it gains nothing, and those who wait for it would have it made again.
func TestPagesThatAreBeingMadeStay(t *testing.T) {
	c := pages{max: 10_000, now: time.Now}
	slow, mine := c.at("slow")
	if !mine {
		t.Fatal("somebody makes it")
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		p, _ := c.at(key)
		c.make(p, func() (any, int64, time.Duration, error) { return key, 4000, 0, nil })
	}
	c.make(slow, func() (any, int64, time.Duration, error) { return "slow", 1, 0, nil })
	if _, again := c.at("slow"); again || c.size > c.max {
		t.Errorf("made again: %v, %d bytes kept", again, c.size)
	}
}

func TestSlotsAreBounded(t *testing.T) {
	s := slots{max: 4}
	s.insert(segmenter.Name{Stream: "hot"}, "hot", nil)
	for i := range 100 {
		s.insert(segmenter.Name{}, fmt.Sprint(i), nil)
		if s.find("hot") == nil {
			t.Fatal("what is asked for all the time was dropped")
		}
		if n := len(s.young) + len(s.old); n > 8 {
			t.Fatalf("%d slots", n)
		}
	}
	if s.find("0") != nil {
		t.Error("an old slot is still there")
	}
}

func TestSecretIsComparedWhole(t *testing.T) {
	g := newGuard(Secret{Header: "X", Values: []string{"alpha", "beta"}})
	for value, want := range map[string]bool{"alpha": true, "beta": true, "": false, "alph": false, "alphab": false, "alpha, alpha": false} {
		if g.admits(value) != want {
			t.Errorf("%q", value)
		}
	}
	if !newGuard(Secret{}).admits("") {
		t.Error("a check that was not asked for")
	}
}

func TestDocumentationNamesEveryAge(t *testing.T) {
	text, err := os.ReadFile("../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, age := range []string{segmenter.AgeSegment, segmenter.AgeEnded, segmenter.AgeSettled, age404Next, age404Entry, age404Removed, ageNever} {
		if !strings.Contains(string(text), "`"+age+"`") {
			t.Errorf("docs/http.md does not say %q", age)
		}
	}
	for _, c := range filterable {
		if !strings.Contains(string(text), "`"+c.name+"`") {
			t.Errorf("docs/http.md does not say %q", c.name)
		}
	}
}
