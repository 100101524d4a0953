package players

import (
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/hlsorigin/hlsorigin/test/browser"
)

// watcher is a player that watches one address.
type watcher interface {
	// look returns the result so far.
	look() result
	// stop ends the player.
	stop()
}

// player is a way to watch.
type player struct {
	name  string
	needs func() string // what is missing; empty: nothing
	// ready does what takes time before there is anything to watch, and returns a function that begins to watch an address.
	ready func(t *testing.T, s *screens) func(src string) watcher
}

// players are all available ones. ffmpeg is not a player, but the reference for what can be read in real time.
var players = []player{
	{"hls.js", browserNeeds("hls.js"), readyBrowser("hls.js")},
	{"shaka", browserNeeds("shaka-player"), readyBrowser("shaka")},
	{"video.js", browserNeeds("video.js"), readyBrowser("video.js")},
	{"vlc", needs("vlc"), atOnce(watchVLC)},
	{"hlsdemux2", needs("gst-launch-1.0"), atOnce(watchGStreamer)},
	{"ffmpeg", needs("ffmpeg"), atOnce(watchFFmpeg)},
}

// atOnce is a player that needs no preparation.
func atOnce(watch func(t *testing.T, src string) watcher) func(*testing.T, *screens) func(string) watcher {
	return func(t *testing.T, _ *screens) func(string) watcher {
		return func(src string) watcher { return watch(t, src) }
	}
}

func needs(program string) func() string {
	return func() string {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not installed"
		}
		return ""
	}
}

func browserNeeds(module string) func() string {
	return func() string {
		_, missing := browser.Modules(module)
		return missing
	}
}

// screens is shared by the players of one test.
type screens struct {
	t    *testing.T
	once sync.Once
	b    *browser.Browser
	err  error
}

// browser returns the test's Chromium, started at the first call.
func (s *screens) browser() (*browser.Browser, error) {
	s.once.Do(func() {
		path, err := exec.LookPath("chromium")
		if err != nil {
			s.err = err
			return
		}
		if s.b, s.err = browser.Launch(os.Getenv("HLSORIGIN_TEST_NODE_MODULES"), path); s.err == nil {
			s.t.Cleanup(func() {
				_ = s.b.Close()
				if s.t.Failed() {
					s.t.Logf("browser:\n%s", s.b.Log())
				}
			})
		}
	})
	return s.b, s.err
}
