package show

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// chromium is a headless Chromium as used by one test; several may use it.
type chromium struct {
	t *testing.T
	*browser.Browser
}

func (b *chromium) with(t *testing.T) *chromium { return &chromium{t, b.Browser} }

// launchBrowser starts Chromium; it ends with the test.
func launchBrowser(t *testing.T, packages ...string) *chromium {
	t.Helper()
	return &chromium{t, browser.Start(t, packages...)}
}

// must fails the test if the browser did not do as told.
func (b *chromium) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.Log())
	}
}

// tab is one page in the browser.
type tab struct {
	b    *chromium
	name string
	page *browser.Page
	from rig.Pressure
}

// open loads a page.
func (b *chromium) open(name, url string, dark bool) *tab {
	b.t.Helper()
	page, err := b.Open(url, dark)
	b.must(err)
	return &tab{b, name, page, rig.StartPressure()}
}

// play opens our page with a player. counted means that the stream's pictures carry their number, see rig.CountedClip.
func (b *chromium) play(player, src string, counted bool) *tab {
	b.t.Helper()
	page, err := b.Play(player, src, counted)
	b.must(err)
	return &tab{b, player, page, rig.StartPressure()}
}

func (p *tab) eval(js string, value any) {
	p.b.t.Helper()
	p.b.must(p.page.Eval(js, value))
}

func (p *tab) close() {
	p.b.t.Helper()
	p.b.must(p.page.Close())
}

// shot saves a screenshot of the page if HLSORIGIN_TEST_SHOTS names a directory.
func (p *tab) shot(name string) {
	p.b.t.Helper()
	if dir := os.Getenv("HLSORIGIN_TEST_SHOTS"); dir != "" {
		p.b.must(p.page.Shot(filepath.Join(dir, name+".png")))
	}
}

func (p *tab) seen() browser.Seen {
	p.b.t.Helper()
	s, err := p.page.Seen()
	p.b.must(err)
	return s
}

// Bounds on a stall. The interval between the page's own looks does not count. A busy machine shows pictures late though they are there,
// and is allowed more time than a server that did not deliver.
const (
	emptyStall  = 500 * time.Millisecond // nothing was buffered
	slowMachine = 8 * time.Second
)

// smooth fails the test for each stall, jump and fatal error so far.
func (p *tab) smooth(s browser.Seen) {
	t := p.b.t
	t.Helper()
	slack := rig.Slack(p.from.Share(), 2*time.Second)
	for _, x := range s.Stalls {
		if d := time.Duration(x.Ms)*time.Millisecond - slack; x.Ahead < 0.5 && d > emptyStall || d > slowMachine {
			t.Errorf("%s stalled at %.1f s for %v with %.1f s buffered", p.name, x.At, d, x.Ahead)
		}
	}
	for _, x := range s.Jumps {
		t.Errorf("%s jumped from %.2f s to %.2f s", p.name, x.From, x.To)
	}
	for _, x := range s.Holes {
		t.Errorf("%s has a hole in its buffer from %.2f s to %.2f s", p.name, x.From, x.To)
	}
	p.alive(s)
}

// alive fails the test for each fatal error, and if an old picture or segment came after a newer one.
func (p *tab) alive(s browser.Seen) {
	t := p.b.t
	t.Helper()
	for _, x := range s.Fatal {
		t.Errorf("%s gave up: %s", p.name, x)
	}
	for _, x := range s.Counter.Back {
		t.Errorf("%s showed picture %d after %d, at %.2f s", p.name, x.To, x.From, x.At)
	}
	for i := 1; i < len(s.Fragments); i++ {
		if a, b := s.Fragments[i-1], s.Fragments[i]; b.SN < a.SN || b.CC < a.CC || b.Date < a.Date {
			t.Errorf("%s showed %+v after %+v", p.name, b, a)
		}
	}
}

// started waits for the first pictures.
func (p *tab) started(within time.Duration) {
	p.b.t.Helper()
	rig.Eventually(p.b.t, within, p.name+" plays", func() bool {
		s := p.seen()
		if len(s.Fatal) > 0 {
			p.b.t.Fatalf("%s: %v", p.name, s.Fatal)
		}
		return s.Started && s.Time > 0.5
	})
}

// reaches waits until the picture is at a media time, and returns the record of it.
func (p *tab) reaches(at float64, within time.Duration) (s browser.Seen) {
	p.b.t.Helper()
	deadline := time.Now().Add(within)
	for {
		s = p.seen()
		switch {
		case s.Time >= at:
			return s
		case len(s.Fatal) > 0 || time.Now().After(deadline):
			text, _ := json.Marshal(s)
			p.b.t.Fatalf("%s is at %.1f s and not at %.1f s after %v: %s", p.name, s.Time, at, within, text)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// studio is an encoder that reconnects whenever it loses its server, and then continues at the show's current position, like a camera.
type studio struct {
	began time.Time

	mu      sync.Mutex
	running *exec.Cmd     // nil between two connections
	back    time.Time     // not before
	quit    chan struct{} // closed at the end
	done    chan struct{}
}

// retry is how soon the encoder reconnects.
const retry = 300 * time.Millisecond

// broadcast publishes one of our clips, longer than the test. base means that the timestamps count from the beginning of the show, not of
// the connection.
func broadcast(t *testing.T, file, url string, began time.Time, base bool) *studio {
	t.Helper()
	s := &studio{began: began, quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for first := true; ; first = false {
			s.connection(file, url, base, first)
			select {
			case <-s.quit:
				return
			case <-time.After(retry):
			}
		}
	}()
	t.Cleanup(s.end)
	return s
}

// connection publishes until it is cut off.
func (s *studio) connection(file, url string, base, first bool) {
	const gop = 2 * time.Second
	at := time.Duration(0)
	if !first { // the next keyframe of the show, when it is its time
		at = (time.Since(s.began) + gop - 1) / gop * gop
		select {
		case <-s.quit:
			return
		case <-time.After(time.Until(s.began.Add(at))):
		}
	}
	args := []string{"-nostdin", "-v", "error", "-ss", fmt.Sprint(at.Seconds())}
	if base {
		args = append(args, "-copyts")
	}
	cmd := exec.Command("ffmpeg", append(args, "-re", "-i", file, "-c", "copy", "-f", "flv", url)...)
	s.mu.Lock()
	select {
	case <-s.quit:
		s.mu.Unlock()
		return
	default:
	}
	if time.Now().Before(s.back) || cmd.Start() != nil {
		s.mu.Unlock()
		return
	}
	s.running = cmd
	s.mu.Unlock()
	_ = cmd.Wait() // cut off: by the server, by drop or by end
	s.mu.Lock()
	s.running = nil
	s.mu.Unlock()
}

// drop takes the encoder away for a while.
func (s *studio) drop(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.back = time.Now().Add(d)
	if s.running != nil {
		_ = s.running.Process.Kill()
	}
}

func (s *studio) end() {
	s.mu.Lock()
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
	if s.running != nil {
		_ = s.running.Process.Kill()
	}
	s.mu.Unlock()
	<-s.done
}

// ffmpegPlays reads a live stream in real time and fails the test for an error or a stall.
func ffmpegPlays(t *testing.T, src string, length time.Duration) {
	t.Helper()
	x := startFFmpeg(t, src, "-t", fmt.Sprint(length.Seconds()))
	deadline := time.AfterFunc(2*length+30*time.Second, func() { _ = x.Cmd.Process.Kill() })
	defer deadline.Stop()
	ffmpegIsWell(t, x, src, nil)
}

// ffmpegPlaysUntil is ffmpegPlays with another end.
func ffmpegPlaysUntil(t *testing.T, src string, stop <-chan struct{}) {
	ffmpegIsWell(t, startFFmpeg(t, src), src, stop)
}

func startFFmpeg(t *testing.T, src string, options ...string) *rig.Tool {
	t.Helper()
	args := append([]string{"-nostdin", "-v", "warning", "-xerror", "-re", "-i", src}, options...)
	return rig.Launch(t, "ffmpeg", append(args, "-progress", "pipe:1", "-stats_period", "0.5", "-f", "null", "-")...)
}

// ffmpegStill is how long ffmpeg may show nothing new; its progress comes twice a second.
const ffmpegStill = 4 * time.Second

func ffmpegIsWell(t *testing.T, x *rig.Tool, src string, stop <-chan struct{}) {
	t.Helper()
	var worst time.Duration
	last, since, stopped := "", time.Now(), false
	for ended := false; !ended && !stopped; {
		select {
		case <-x.Done:
			ended = true
		case <-stop:
			stopped = true
		case <-time.After(100 * time.Millisecond):
		}
		if at := x.Out.Last(outTime); at != last {
			last, since = at, time.Now()
		} else if at != "" && !ended {
			worst = max(worst, time.Since(since))
		}
	}
	if !stopped && x.Err != nil || last == "" {
		t.Errorf("ffmpeg plays %s: %v\n%s", src, x.Err, x.Out)
	}
	for _, line := range x.Out.Matching(regexp.MustCompile(`^\[|rror`)) {
		t.Errorf("ffmpeg plays %s: %s", src, line)
	}
	if worst > ffmpegStill {
		t.Errorf("ffmpeg stood still for %v in %s", worst, src)
	}
	t.Logf("ffmpeg: played to %s, still for at most %v", last, worst.Round(100*time.Millisecond))
}

var (
	outTime  = regexp.MustCompile(`^out_time=(\d\S*)`)
	position = regexp.MustCompile(`\((\d+):(\d+):(\d+)\): (\d+) seconds`)
)

// gstPlays plays a stream with GStreamer by its clock and fails the test for an error, for buffering after the start, and if the position
// falls behind the clock.
func gstPlays(t *testing.T, playbin, src string, length time.Duration) {
	t.Helper()
	x := rig.Launch(t, "gst-launch-1.0", playbin, "uri="+src, "video-sink=progressreport update-freq=1 ! fakesink sync=true", "audio-sink=fakesink sync=true")
	began := time.Now()
	var at, lag, least int
	for at < int(length.Seconds()) {
		select {
		case <-x.Done:
			t.Fatalf("%s ended by itself: %v\n%s", playbin, x.Err, x.Out)
		case <-time.After(200 * time.Millisecond):
		}
		if time.Since(began) > 2*length+30*time.Second {
			t.Fatalf("%s has come to second %d after %v:\n%s", playbin, at, time.Since(began), x.Out)
		}
		for i, line := range x.Out.Matching(position) {
			m := position.FindStringSubmatch(line)
			n := func(k int) int { v, _ := strconv.Atoi(m[k]); return v }
			at = n(4)
			behind := n(1)*3600 + n(2)*60 + n(3) - at
			if i == 0 {
				least = behind
			}
			lag = max(lag, behind-least)
		}
	}
	if lag > 2 {
		t.Errorf("%s fell %d s behind the clock:\n%s", playbin, lag, x.Out)
	}
	// Filling the buffer before the first second is part of starting.
	pauses, started := 0, false
	for _, line := range x.Out.Matching(regexp.MustCompile(position.String() + `|Buffering, setting pipeline to PAUSED`)) {
		if position.MatchString(line) {
			started = true
		} else if started {
			pauses++
		}
	}
	if pauses > 0 {
		t.Errorf("%s stopped to buffer %d times:\n%s", playbin, pauses, x.Out)
	}
	if faults := x.Out.Matching(regexp.MustCompile(`^(ERROR|WARNING)`)); len(faults) > 0 {
		t.Errorf("%s: %v", playbin, faults)
	}
	t.Logf("%s: %d s played, at most %d s behind", playbin, at, lag)
}

func atoi64(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// livePath waits for a multivariant playlist and returns the media playlist of its first variant as written there.
func livePath(t *testing.T, p *rig.Process, entry string) (path string) {
	t.Helper()
	rig.Eventually(t, 30*time.Second, entry+" is there", func() bool {
		for line := range strings.SplitSeq(rig.TryGet(p.URL(entry)), "\n") {
			if strings.HasSuffix(line, "/live.m3u8") {
				path = line
				return true
			}
		}
		return false
	})
	return path
}

// joinable waits until a media playlist has three segments: a player that joins then has as much in reserve as a live playlist is meant to
// give.
func joinable(t *testing.T, media string) {
	t.Helper()
	rig.Eventually(t, 60*time.Second, media+" has three segments", func() bool { return strings.Count(rig.TryGet(media), "#EXTINF") >= 3 })
}
