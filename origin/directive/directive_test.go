package directive

import (
	"strings"
	"testing"
)

// What is malformed is refused in words for the person who wrote the URL.
func TestParseRefuses(t *testing.T) {
	for query, want := range map[string]string{
		"_HLS_msn=x":                          `_HLS_msn: "x" is no number from 0 to 2147483647`,
		"_HLS_msn=":                           `_HLS_msn: "" is no number from 0 to 2147483647`,
		"_HLS_msn=2147483648":                 `_HLS_msn: "2147483648" is no number from 0 to 2147483647`,
		"_HLS_msn=1&_HLS_part=-1":             `_HLS_part: "-1" is no number from 0 to 2147483647`,
		"_HLS_msn=" + strings.Repeat("9", 99): `_HLS_msn: "` + strings.Repeat("9", 40) + `" is no number from 0 to 2147483647`,
		"_HLS_part=1":                         "_HLS_part: not without _HLS_msn",
		"_HLS_msn=1&%5fHLS_msn=1":             "_HLS_msn: given more than once",
		"_HLS_skip=1":                         `_HLS_skip: "1" is neither YES nor v2`,
	} {
		if d, err := Parse(query); err == nil || err.Error() != want || d != (Set{}) {
			t.Errorf("%s: %+v, %v", query, d, err)
		}
	}
	if d, err := Parse("x=1&_HLS_msn=2147483647&_HLS_part=0&_HLS_skip=v2&_HLS_push=1"); err != nil || d != (Set{Awaits: true, msn: 1<<31 - 1, hasPart: true, Skip: true}) {
		t.Errorf("%+v, %v", d, err)
	}
}
