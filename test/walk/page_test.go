package walk

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// step is one of a page's: a block of commands, or a mark for the test. Marks are comments, which readers do not see.
type step struct {
	kind string // "sh", "background", or the mark: "on the air", "Ctrl-C"
	text string // the commands; the address that is on the air
}

// marks are the comments of a page that say something to the test, alone on their lines.
var marks = regexp.MustCompile(`^<!-- (Ctrl-C|on the air|not run)(?:: (.*))? -->$`)

// steps reads a page: its fenced blocks of shell, those that go on in the background among them, and its marks.
func steps(page string) (all []step, err error) {
	var block *step
	skip := false
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		switch m := marks.FindStringSubmatch(line); {
		case block != nil && line == "```":
			if !skip {
				all = append(all, *block)
			}
			block, skip = nil, false
		case block != nil:
			block.text += line + "\n"
		case line == "```sh":
			block = &step{kind: "sh"}
		case line == "```sh background":
			block = &step{kind: "background"}
		case strings.HasPrefix(line, "```"):
			return nil, fmt.Errorf("a block begins with %q: shell is run, and nothing else is on this page", line)
		case strings.HasPrefix(line, "    "):
			return nil, fmt.Errorf("%q is code that is not run: fence it as sh", line)
		case m != nil && m[1] == "not run":
			skip = true
		case m != nil:
			all = append(all, step{m[1], m[2]})
		}
	}
	return all, nil
}

func TestSteps(t *testing.T) {
	got, err := steps("# A\n\n```sh\none\ntwo\n```\n\n<!-- on the air: http://x/ -->\n```sh background\nthree\n```\n<!-- Ctrl-C -->\n<!-- not run: why -->\n```sh\nfour\n```\n```sh\nfive\n```\n")
	want := []step{{"sh", "one\ntwo\n"}, {"on the air", "http://x/"}, {"background", "three\n"}, {"Ctrl-C", ""}, {"sh", "five\n"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	for _, page := range []string{"```yaml\na: b\n```\n", "    hlsorigin\n"} {
		if _, err := steps(page); err == nil {
			t.Errorf("%q is no mistake", page)
		}
	}
}

// read is a file of the tree.
func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
