// Package page tests the operator's page in a browser: on a real show with what goes wrong there, and on a server that says what no
// server should.
package page

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// The screens that the page is looked at with.
var (
	desktop = browser.Screen{Width: 1280, Height: 900}
	phone   = browser.Screen{Width: 390, Height: 844}
)

// dark is a screen in the dark.
func dark(s browser.Screen) browser.Screen {
	s.Dark = true
	return s
}

// script is hls.js, as make web has it.
func script(t *testing.T) string {
	t.Helper()
	dir, missing := browser.Modules("hls.js")
	if missing != "" {
		t.Skip(missing)
	}
	return filepath.Join(dir, "hls.js", "dist", "hls.min.js")
}

// watched runs before the page's own scripts: it sums what moved by itself, and keeps what the page's policy forbade.
const watched = `
window.seen = { moved: 0, what: [], forbidden: [] };
new PerformanceObserver((list) => {
  for (const e of list.getEntries()) {
    if (e.hadRecentInput) continue;
    seen.moved += e.value;
    seen.what.push(e.value.toFixed(4) + " " + e.sources.map((s) => s.node?.id || s.node?.className || s.node?.nodeName).join(" "));
  }
}).observe({ type: "layout-shift", buffered: true });
document.addEventListener("securitypolicyviolation", (e) => seen.forbidden.push(e.violatedDirective + " " + e.blockedURI));
`

// tab is the page in the browser.
type tab struct {
	t    *testing.T
	b    *browser.Browser
	page *browser.Page
}

// open loads the page of an admin address.
func open(t *testing.T, b *browser.Browser, admin, rest string, s browser.Screen) *tab {
	t.Helper()
	page, err := b.OpenAs("http://"+admin+"/?player=hls.js"+rest, s, watched)
	p := &tab{t, b, page}
	p.must(err)
	return p
}

// openWith is open with another script that runs before the page's own.
func openWith(t *testing.T, b *browser.Browser, admin, before string) *tab {
	t.Helper()
	page, err := b.OpenAs("http://"+admin+"/?player=hls.js", desktop, before)
	p := &tab{t, b, page}
	p.must(err)
	return p
}

// serveScript serves hls.js as a CDN does, and returns its address.
func serveScript(t *testing.T) string {
	t.Helper()
	file := script(t)
	lib := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		http.ServeFile(w, r, file)
	}))
	t.Cleanup(lib.Close)
	return lib.URL + "/hls.min.js"
}

func (p *tab) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.b.Log())
	}
}

// is is what an expression comes to.
func is[T any](p *tab, js string) (v T) {
	p.t.Helper()
	p.must(p.page.Eval(js, &v))
	return v
}

// until waits for an expression to be true.
func (p *tab) until(what, js string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	var ok bool
	for p.page.Eval("!!("+js+")", &ok) != nil || !ok { // while a page is loaded anew there is nobody to ask
		if time.Now().After(deadline) {
			p.shot("failed", desktop)
			p.t.Fatalf("not within %v: %s\n%s\n%s", patience, what, is[string](p, "document.body.innerText"), p.b.Log())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// patience is for whatever has to happen on the page; a busy machine takes its time.
const patience = 60 * time.Second

func (p *tab) press(keys ...string) {
	p.t.Helper()
	p.must(p.page.Press(keys...))
}

// click clicks with the mouse what a selector finds.
func (p *tab) click(selector string) {
	p.t.Helper()
	at := is[[2]float64](p, `((e) => { e.scrollIntoView({ block: "center" }); const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })(document.querySelector(`+"`"+selector+"`"+`))`)
	p.must(p.page.Drag(at))
}

// shot keeps pictures of the page on screens where HLSORIGIN_TEST_SCREENSHOTS names a directory; else they go with the test.
func (p *tab) shot(name string, screens ...browser.Screen) {
	p.t.Helper()
	dir := os.Getenv("HLSORIGIN_TEST_SCREENSHOTS")
	if dir == "" {
		dir = p.t.TempDir()
		screens = screens[:1] // that it can be done
	}
	for _, s := range screens {
		file := name + map[bool]string{true: "-phone", false: "-desktop"}[s.Width < 800] + map[bool]string{true: "-dark", false: "-light"}[s.Dark] + ".png"
		p.must(p.page.Look(s))
		p.must(p.page.Eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))", nil))
		p.must(p.page.ShotWhole(filepath.Join(dir, file)))
	}
	p.must(p.page.Look(desktop))
}

// good holds what the browser noticed against what an operator may expect.
func (p *tab) good() {
	p.t.Helper()
	moved := is[float64](p, "seen.moved")
	p.t.Logf("things moved by %.4f", moved)
	if moved >= 0.05 {
		what := is[[]string](p, "seen.what")
		slices.Sort(what)
		slices.Reverse(what)
		p.t.Errorf("things moved by themselves, %.3f: %q", moved, what[:min(len(what), 15)])
	}
	if f := is[[]string](p, "seen.forbidden"); len(f) > 0 {
		p.t.Errorf("the page's own policy forbids %v", f)
	}
	for line := range strings.SplitSeq(p.b.Log(), "\n") {
		if strings.Contains(line, "error: ") {
			p.t.Errorf("the console says %s", line)
		}
	}
}
