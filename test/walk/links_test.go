package walk

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// pages are all pages of documentation, by their paths in the tree.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "deploy/*.md"} {
		found, err := fs.Glob(os.DirFS("../.."), pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 15 {
		t.Fatalf("only %d pages: is this test where it was?", len(all))
	}
	return all
}

var (
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	inline   = regexp.MustCompile("`[^`\n]*`")
)

// anchor is what a heading is called in an address, as GitHub makes it.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, links.ReplaceAllString(heading, ""))
}

// TestLinks follows every link from a page to another of ours, to its heading too.
func TestLinks(t *testing.T) {
	for _, page := range pages(t) {
		text := fenced.ReplaceAllString(read(t, page), "")
		for _, m := range links.FindAllStringSubmatch(inline.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, name, _ := strings.Cut(m[1], "#")
			to := page
			if file != "" {
				to = path.Join(path.Dir(page), file)
			}
			if _, err := os.Stat("../../" + to); err != nil {
				t.Errorf("%s leads to %s, which is not there", page, m[1])
				continue
			}
			found := name == ""
			if !found {
				for _, h := range headings.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, to), ""), -1) {
					found = found || anchor(h[1]) == name
				}
			}
			if !found {
				t.Errorf("%s leads to %s, and %s has no such heading", page, m[1], to)
			}
		}
	}
}

// TestIndex holds that every page of docs/ stands in its index.
func TestIndex(t *testing.T) {
	index := read(t, "docs/README.md")
	for _, page := range pages(t) {
		if name, ok := strings.CutPrefix(page, "docs/"); ok && name != "README.md" && !strings.Contains(index, "]("+name) {
			t.Errorf("docs/README.md does not name %s", name)
		}
	}
}
