package players

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/browser"
)

// tab is a player in the browser.
type tab struct {
	player string
	launch time.Time
	page   *browser.Page

	mu    sync.Mutex
	begin time.Duration
	quit  chan struct{}
	done  chan struct{}
}

// starting is how often the page is asked whether it is playing yet.
const starting = 200 * time.Millisecond

func readyBrowser(player string) func(*testing.T, *screens) func(string) watcher {
	return func(t *testing.T, s *screens) func(string) watcher {
		t.Helper()
		b, err := s.browser()
		if err != nil {
			t.Fatal(err)
		}
		x := &tab{player: player, quit: make(chan struct{}), done: make(chan struct{})}
		if x.page, err = b.Play(player, "", true); err != nil {
			t.Fatal(err)
		}
		return func(src string) watcher {
			x.launch = time.Now()
			if err := x.page.Go(src); err != nil {
				t.Fatal(err)
			}
			go x.follow()
			t.Cleanup(x.stop)
			return x
		}
	}
}

// follow waits for the beginning.
func (x *tab) follow() {
	defer close(x.done)
	for {
		select {
		case <-x.quit:
			return
		case <-time.After(starting):
		}
		if s, err := x.page.Seen(); err == nil && s.Started {
			x.mu.Lock()
			x.begin = time.Since(x.launch)
			x.mu.Unlock()
			return
		}
	}
}

func (x *tab) stop() {
	select {
	case <-x.quit:
	default:
		close(x.quit)
		<-x.done
		_ = x.page.Close()
	}
}

// empty is how many seconds must be buffered ahead for a stall not to count as lack of data.
const empty = 0.5

func (x *tab) look() result {
	s, err := x.page.Seen()
	r := result{Player: x.player}
	if err != nil {
		r.Fatal = []string{err.Error()}
		return r
	}
	x.mu.Lock()
	r.Begin = x.begin
	x.mu.Unlock()
	return fromPage(r, s)
}

// fromPage converts the record of a page to a result.
func fromPage(r result, s browser.Seen) result {
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	r.Version, r.Fatal, r.Ended, r.Frames = s.Version, s.Fatal, s.Ended, s.Frames
	r.Played, r.At = ms(s.Played*1000), ms(s.Time*1000)
	for _, x := range s.Stalls {
		if x.Ms < float64(least.Milliseconds()) {
			continue
		}
		r.Stalls = append(r.Stalls, stall{At: ms(x.At * 1000), Length: ms(x.Ms), Full: x.Ahead >= empty})
		r.Frozen = max(r.Frozen, ms(x.Ms))
	}
	for _, x := range s.Freezes {
		r.Frozen = max(r.Frozen, ms(x.Ms))
	}
	for _, x := range s.Silences {
		r.Mute = max(r.Mute, ms(x.Ms))
	}
	var notes []string
	for _, j := range s.Jumps {
		notes = append(notes, fmt.Sprintf("jump %.1f→%.1f", j.From, j.To))
	}
	for _, j := range s.Counter.Back {
		notes = append(notes, fmt.Sprintf("picture %d after %d", j.To, j.From))
	}
	notes = append(notes, fmt.Sprintf("pictures %d–%d", s.Counter.First, s.Counter.Last))
	for _, w := range s.Widths {
		notes = append(notes, fmt.Sprintf("width %d@%.1f", w.Width, w.At))
	}
	if len(s.Errors) > 0 {
		notes = append(notes, fmt.Sprint("errors ", strings.TrimPrefix(fmt.Sprint(s.Errors), "map")))
	}
	r.Notes = strings.Join(notes, ", ")
	return r
}

func TestFromPage(t *testing.T) {
	s := browser.Seen{
		Version: "1", Started: true, Time: 20, Played: 12.5, Frames: 300, Fatal: []string{"x"},
		Stalls:   []browser.Stall{{At: 1, Ms: 450}, {At: 2, Ms: 3000, Ahead: 0.2}, {At: 3, Ms: 1000, Ahead: 4}},
		Freezes:  []browser.Freeze{{At: 4, Ms: 3500}},
		Silences: []browser.Freeze{{At: 4, Ms: 1500}},
	}
	r := fromPage(result{Begin: time.Second}, s)
	if r.still() != 4*time.Second || r.Stalls[0].Full || !r.Stalls[1].Full || r.Frozen != 3500*time.Millisecond || r.Mute != 1500*time.Millisecond ||
		r.Played != 12500*time.Millisecond || r.At != 20*time.Second || len(r.Fatal) != 1 || r.Begin != time.Second {
		t.Errorf("%v", r)
	}
}
