package printable

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"live/cam: 3 segments\n\twhole": "live/cam: 3 segments\n\twhole",
		"größe 日本 🎥":                    "größe 日本 🎥",
		"a\x1b[2Jb\x07\r":               `a\u001b[2Jb\u0007\u000d`,
		"\x9b31m \u009b31m \x7f":        `\x9b31m \u009b31m \u007f`,
		"gnp.\u202egpj \u2066x \u200b":  `gnp.\u202egpj \u2066x \u200b`,
		"\U000e0041\ufeff\x00":          `\udb40\udc41\ufeff\u0000`,
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
	var b strings.Builder
	if n, err := fmt.Fprintf(Writer(&b), "a\x1bb\n"); err != nil || n != 4 || b.String() != "a\\u001bb\n" {
		t.Errorf("%d, %v, %q", n, err, b.String())
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[2J\u202e\xff")
	f.Add("größe 日本 🎥\U000e0041")
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is no text", got)
		}
		for _, r := range got {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Fatalf("%q has %U", got, r)
			}
		}
		if again := Text(got); again != got {
			t.Fatalf("%q, and then %q", got, again)
		}
		// JSON keeps its meaning.
		in, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var was, is string
		if err := json.Unmarshal(in, &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(Text(string(in))), &is); err != nil || was != is {
			t.Fatalf("%q became %q: %v", was, is, err)
		}
	})
}
