package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBrowser(t *testing.T) {
	b := Start(t)
	one, err := b.Open("data:text/html,<title>one</title><script>console.log('so it says')</script>", false)
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Open("data:text/html,<title>two</title>", true)
	if err != nil {
		t.Fatal(err)
	}
	for page, want := range map[*Page]string{one: "one", two: "two"} {
		var got string
		if err := page.Eval("Promise.resolve(document.title)", &got); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	var dark bool
	if err := two.Eval(`matchMedia("(prefers-color-scheme: dark)").matches`, &dark); err != nil || !dark {
		t.Errorf("dark is %v, %v", dark, err)
	}
	if err := one.Eval("nobody.knows", nil); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a fault in the page is %v", err)
	}
	file := filepath.Join(t.TempDir(), "one.png")
	if err := one.Shot(file); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(b), "\x89PNG") {
		t.Errorf("no picture: %v", err)
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	if _, err := one.Seen(); err == nil {
		t.Error("a closed page answers")
	}
	if log := b.Log(); !strings.Contains(log, "page 0: so it says") {
		t.Errorf("the log is %q", log)
	}
}

// A player that cannot be loaded is a fatal error in the record, and no reason to wait.
func TestPlayWithoutThePlayer(t *testing.T) {
	b := Start(t)
	page, err := b.Play("hls.jsx", "nowhere", false)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := page.Seen(); err != nil || s.Player != "hls.jsx" || s.Started || len(s.Fatal) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	var m messages
	m.read(strings.NewReader(strings.Repeat("the same\n", 2*maxMessages) + strings.Repeat("x", 2<<20) + "\n"))
	if n := strings.Count(m.String(), "\n") + 1; n != maxMessages {
		t.Errorf("%d lines are kept", n)
	}
}
