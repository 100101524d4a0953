package page

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Each event that docs/hooks.md lists is told of in words.
func TestEventsHaveWords(t *testing.T) {
	docs, err := os.ReadFile("../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	js, err := os.ReadFile("../../origin/admin/page/events.js")
	if err != nil {
		t.Fatal(err)
	}
	types := regexp.MustCompile(`(?m)^### ([a-z]+\.[a-z_]+)$`).FindAllStringSubmatch(string(docs), -1)
	if len(types) < 10 {
		t.Fatalf("%d types of events are found", len(types))
	}
	for _, m := range types {
		if m[1] != "segment.uploaded" && m[1] != "webhook.test" && !strings.Contains(string(js), `"`+m[1]+`": (`) { // of those two pages hear nothing
			t.Errorf("%s has no words", m[1])
		}
	}
}
