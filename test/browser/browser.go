// Package browser drives one headless Chromium for tests: a page for each player, with a record of what a person before the screen would
// have seen. It refuses to judge, and brings neither the browser nor the players.
package browser

import (
	"bufio"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"sync"
	"time"
)

//go:embed drive.cjs
var drive string

//go:embed page
var pages embed.FS

// closing is how long Chromium has to end by itself.
const closing = 20 * time.Second

// Browser is a running Chromium, and a web server with the page for players. Its methods are safe for concurrent use.
type Browser struct {
	web  *httptest.Server
	cmd  *exec.Cmd
	done chan struct{} // closed when the messages have ended

	mu  sync.Mutex // one command at a time
	in  io.WriteCloser
	out *bufio.Reader

	log messages
}

// Launch starts the browser. modules is an npm directory with playwright-core and the players, chromium the path of the program; node must
// be in PATH. The caller closes the browser.
func Launch(modules, chromium string) (*Browser, error) {
	page, err := fs.Sub(pages, "page")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/modules/", http.StripPrefix("/modules/", http.FileServer(http.Dir(modules))))
	mux.Handle("/", http.FileServerFS(page))
	b := &Browser{cmd: exec.Command("node", "-e", drive, modules, chromium), done: make(chan struct{})}
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	b.out = bufio.NewReader(out)
	told, err := b.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	b.web = httptest.NewServer(mux)
	go func() {
		b.log.read(told)
		close(b.done)
	}()
	return b, nil
}

// Close closes the browser with all its pages, by force if it does not end by itself.
func (b *Browser) Close() error {
	_ = b.in.Close() // the driver closes the browser and ends
	late := time.AfterFunc(closing, func() { _ = b.cmd.Process.Kill() })
	defer late.Stop()
	<-b.done
	err := b.cmd.Wait()
	b.web.Close()
	return err
}

// Log returns what the pages have written to their consoles, and what became of the driver.
func (b *Browser) Log() string { return b.log.String() }

// do sends one command to the driver and reads the answer into value.
func (b *Browser) do(command map[string]any, value any) error {
	line, err := json.Marshal(command)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err = b.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("the browser is gone: %w", err)
	}
	if line, err = b.out.ReadBytes('\n'); err != nil {
		return fmt.Errorf("the browser is gone: %w", err)
	}
	var answer struct {
		Value json.RawMessage
		Error string
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return fmt.Errorf("the browser answers %q: %w", line, err)
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, value)
}

// Open loads any page.
func (b *Browser) Open(url string, dark bool) (*Page, error) {
	return b.OpenAs(url, Screen{Dark: dark}, "")
}

// Screen is what a page is looked at with. Zero sizes are 1280 by 800.
type Screen struct {
	Width, Height int // CSS pixels
	Dark          bool
}

// OpenAs loads any page on a screen. before is JavaScript that runs before what the page has of its own.
func (b *Browser) OpenAs(url string, s Screen, before string) (*Page, error) {
	p := &Page{b: b}
	return p, b.do(map[string]any{"do": "open", "url": url, "dark": s.Dark, "width": s.Width, "height": s.Height, "before": before}, &p.n)
}

// Play opens our page with a player, "hls.js", "shaka", "dash.js" or "video.js", at the player's default settings. counted says that
// each picture of the stream carries its number in its top row: 16 squares, black or white, the lowest bit first. A player
// without a src waits for Go.
func (b *Browser) Play(player, src string, counted bool) (*Page, error) {
	return b.play(url.Values{"player": {player}}, src, counted)
}

// PlayClose is Play of "hls.js" or "shaka" with what a site sets that wants low latency: a player that has fallen behind plays a little faster
// until it is where the playlist lets it be, which neither does by itself.
func (b *Browser) PlayClose(player, src string, counted bool) (*Page, error) {
	return b.play(url.Values{"player": {player}, "close": {"1"}}, src, counted)
}

func (b *Browser) play(query url.Values, src string, counted bool) (*Page, error) {
	if src != "" {
		query.Set("src", src)
	}
	if counted {
		query.Set("counter", "1")
	}
	return b.Open(b.web.URL+"/page.html?"+query.Encode(), false)
}

// Page is one page in the browser.
type Page struct {
	b *Browser
	n int
}

// Eval evaluates an expression in the page, and reads the result into value unless that is nil.
func (p *Page) Eval(js string, value any) error {
	return p.b.do(map[string]any{"do": "eval", "page": p.n, "js": js}, value)
}

// Go makes a waiting player play src: by then the browser has loaded the player.
func (p *Page) Go(src string) error {
	text, err := json.Marshal(src)
	if err != nil {
		return err
	}
	return p.Eval("void go("+string(text)+")", nil)
}

// Seen returns the record so far; the page must come from Play.
func (p *Page) Seen() (s Seen, err error) {
	return s, p.Eval("seen", &s)
}

// Shot saves a screenshot of the page as a PNG file.
func (p *Page) Shot(file string) error {
	return p.b.do(map[string]any{"do": "shot", "page": p.n, "file": file}, nil)
}

// ShotWhole is Shot of the whole page, beyond what is seen of it.
func (p *Page) ShotWhole(file string) error {
	return p.b.do(map[string]any{"do": "shot", "page": p.n, "file": file, "whole": true}, nil)
}

// Look looks at the page on another screen.
func (p *Page) Look(s Screen) error {
	return p.b.do(map[string]any{"do": "look", "page": p.n, "dark": s.Dark, "width": s.Width, "height": s.Height}, nil)
}

// Press presses keys one after another, by Playwright's names: Tab, Enter, Shift+ArrowRight.
func (p *Page) Press(keys ...string) error {
	for _, key := range keys {
		if err := p.b.do(map[string]any{"do": "press", "page": p.n, "key": key}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Drag presses the mouse at the first of some places, moves it over the others and lets it go. Places are CSS pixels from the
// window's upper left.
func (p *Page) Drag(path ...[2]float64) error {
	return p.b.do(map[string]any{"do": "drag", "page": p.n, "path": path}, nil)
}

// Close closes the page.
func (p *Page) Close() error {
	return p.b.do(map[string]any{"do": "close", "page": p.n}, nil)
}
