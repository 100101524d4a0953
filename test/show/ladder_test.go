package show

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// rung is one quality of a ladder. The test's pictures are smaller than the names say: the switching is what is tested.
type rung struct {
	stream        string
	width, height int
	studio        *studio
}

// publishLadder publishes three rungs on their own connections, with timestamps on one base.
func publishLadder(t *testing.T, p *rig.Process) []*rung {
	t.Helper()
	rungs := []*rung{{stream: "show_1080p", width: 640, height: 360}, {stream: "show_720p", width: 480, height: 270}, {stream: "show_480p", width: 320, height: 180}}
	var files []string
	for _, r := range rungs {
		files = append(files, rig.CountedClip(t, r.width, r.height, 150*time.Second))
	}
	began := time.Now()
	for i, r := range rungs {
		r.studio = broadcast(t, files[i], "rtmp://"+p.RTMP+"/live/"+r.stream, began, true)
	}
	return rungs
}

// variants returns the streams that a multivariant playlist lists, best first.
func variants(t *testing.T, body string) (streams []string) {
	t.Helper()
	m, err := m3u8.ParseMaster([]byte(body))
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	for _, v := range m.Variants {
		streams = append(streams, strings.SplitN(v.URI, "/", 2)[0])
	}
	return streams
}

// TestLadder makes one adaptive stream from three plain pushes: the browser's players switch up and down in it without a gap, ffmpeg and
// GStreamer play it, a lost rung harms no other and comes back, and the bucket has everything.
func TestLadder(t *testing.T) {
	rig.Need(t, "ffmpeg")
	dir := t.TempDir()
	p := rig.Serve(t, dir, "hls: {segment_duration: 2s, end_grace: 2s}\napps: {live: {groups: {show: [show_1080p, show_720p, show_480p]}}}\n")
	rungs := publishLadder(t, p)
	entry := p.URL("live/streams/show.m3u8")
	rig.Eventually(t, 60*time.Second, "all rungs are in the ladder", func() bool {
		body := rig.TryGet(entry)
		return body != "" && len(variants(t, body)) == len(rungs)
	})
	if got := rig.TryGet(p.URL("live/streams/show_adaptive.m3u8")); got == "" {
		t.Error("show_adaptive.m3u8 is not there")
	}
	recording := path.Base(path.Dir(livePath(t, p, "live/streams/show.m3u8")))
	media := func(r *rung) string { return p.URL("live/streams/" + r.stream + "/" + recording + "/live.m3u8") }
	joinable(t, media(rungs[2]))
	sameGrid(t, media, rungs)

	length := rig.Scaled(60*time.Second, 15*time.Second)
	var wg sync.WaitGroup
	wg.Go(func() { t.Run("ffmpeg", func(t *testing.T) { ffmpegPlays(t, entry, length) }) })
	wg.Go(func() {
		t.Run("gstreamer", func(t *testing.T) {
			rig.Need(t, "gst-launch-1.0")
			gstPlays(t, "playbin", entry, length)
		})
	})
	wg.Go(func() {
		t.Run("chromium", func(t *testing.T) {
			switching(t, launchBrowser(t, "hls.js", "shaka-player", "video.js"), entry, rungs)
		})
	})
	wg.Wait()
	if t.Failed() {
		return
	}
	t.Run("lost rung", func(t *testing.T) { lostRung(t, entry, media, rungs) })
	for _, r := range rungs {
		r.studio.end()
	}
	p.Signal(syscall.SIGINT, 20*time.Second)
	ladderInTheBucket(t, filepath.Join(dir, "data", "bucket", "live", "streams"), "show-"+recording+".m3u8", rungs)
}

// sameGrid compares the rungs' playlists: what a number is in one, it is in all.
func sameGrid(t *testing.T, media func(*rung) string, rungs []*rung) {
	t.Helper()
	type row struct {
		duration      int64
		date          time.Time
		discontinuity bool
	}
	seen, target, of := map[uint64]row{}, 0, map[uint64]string{}
	shared := 0
	for _, r := range rungs {
		m, err := m3u8.ParseMedia([]byte(rig.TryGet(media(r))))
		if err != nil {
			t.Errorf("%s: %v", r.stream, err)
			continue
		}
		if target != 0 && m.TargetDuration != target {
			t.Errorf("%s has the target duration %d, another rung %d", r.stream, m.TargetDuration, target)
		}
		target = m.TargetDuration
		date := time.Time{}
		for i, s := range m.Segments {
			n := m.MediaSequence + uint64(i)
			if !s.ProgramDateTime.IsZero() {
				date = s.ProgramDateTime
			}
			got := row{s.Duration, date, s.Discontinuity && i > 0}
			ends := i+1 == len(m.Segments) || m.Segments[i+1].Discontinuity // each rung's own end, before a break of all
			if want, ok := seen[n]; !ok {
				seen[n], of[n] = got, r.stream
			} else if shared++; abs(got.duration-want.duration) > 3600 && !s.Gap && !ends || got.date.Sub(want.date).Abs() > 40*time.Millisecond || got.discontinuity != want.discontinuity {
				t.Errorf("number %d is %+v in %s and %+v in %s", n, got, r.stream, want, of[n])
			}
			date = date.Add(time.Duration(s.Duration) * time.Second / 90000)
		}
	}
	if shared < 3 {
		t.Errorf("the rungs share %d numbers", shared)
	}
}

func abs(n int64) int64 { return max(n, -n) }

// switching plays the ladder in the browser's players, one after another, and makes each go to the lowest rung, the best, and the middle.
func switching(t *testing.T, b *chromium, entry string, rungs []*rung) {
	players := []string{"hls.js", "shaka", "video.js"}
	if rig.Scale() < 1 {
		players = players[:2]
	}
	for _, name := range players {
		t.Run(name, func(t *testing.T) {
			player := b.with(t).play(name, entry, true)
			player.started(60 * time.Second)
			for _, level := range []int{0, 2, 1} {
				player.switches(level, rungs[len(rungs)-1-level].width)
				player.reaches(player.seen().Time+1, 30*time.Second)
			}
			s := player.seen()
			player.smooth(s)
			player.shot("ladder-" + name)
			t.Logf("%s %s: %.1f s, pictures %d to %d, widths %+v, errors %v, stalls %+v", name, s.Version, s.Time, s.Counter.First, s.Counter.Last, s.Widths, s.Errors, s.Stalls)
			player.close()
		})
	}
}

// switches makes a player change to a level, 0 being the lowest, and waits until it shows it.
func (p *tab) switches(level, width int) {
	p.b.t.Helper()
	p.eval(fmt.Sprintf("to(%d)", level), nil)
	rig.Eventually(p.b.t, 60*time.Second, fmt.Sprintf("%s shows %d pixels a line", p.name, width), func() bool {
		s := p.seen()
		if len(s.Fatal) > 0 {
			p.b.t.Fatalf("%s gave up: %v", p.name, s.Fatal)
		}
		return s.Width == width
	})
}

// lostRung cuts the best rung's connection for a while. It is watched by a player of another rung, and by hls.js on just this one, which
// must take the next rung by itself.
func lostRung(t *testing.T, entry string, media func(*rung) string, rungs []*rung) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ffmpegPlaysUntil(t, media(rungs[1]), stop)
	}()
	defer func() { close(stop); <-done }()
	t.Run("hls.js", func(t *testing.T) {
		player := launchBrowser(t, "hls.js").play("hls.js", entry, true)
		player.started(60 * time.Second)
		player.switches(2, rungs[0].width)
		player.eval("to(-1)", nil)
		before := player.seen()
		rungIsAway(t, entry, media, rungs)
		player.reaches(before.Time+16, 60*time.Second)
		s := player.seen()
		player.alive(s)
		if n := len(s.Stalls); n > 1 || n == 1 && s.Stalls[0].Ms > 4000 {
			t.Errorf("hls.js stood still: %+v", s.Stalls)
		}
		t.Logf("hls.js: %.1f s, pictures %d to %d, widths %+v, jumps %+v, errors %v, stalls %+v", s.Time-before.Time, before.Counter.Last, s.Counter.Last, s.Widths, s.Jumps, s.Errors, s.Stalls)
	})
	if !strings.Contains(rig.TryGet(media(rungs[0])), "#EXT-X-GAP") { // no browser is there
		rungIsAway(t, entry, media, rungs)
	}
}

// rungIsAway drops the best rung and waits until it is back, according to the playlists.
func rungIsAway(t *testing.T, entry string, media func(*rung) string, rungs []*rung) {
	t.Helper()
	rungs[0].studio.drop(10 * time.Second)
	rig.Eventually(t, 30*time.Second, "the lost rung leaves the ladder", func() bool {
		return strings.Join(variants(t, rig.TryGet(entry)), " ") == "show_720p show_480p"
	})
	rig.Eventually(t, 60*time.Second, "the lost rung comes back", func() bool {
		return strings.Join(variants(t, rig.TryGet(entry)), " ") == "show_1080p show_720p show_480p"
	})
	m, err := m3u8.ParseMedia([]byte(rig.TryGet(media(rungs[0]))))
	if err != nil {
		t.Fatal(err)
	}
	gaps, after := 0, 0
	for _, s := range m.Segments {
		if s.Gap {
			gaps, after = gaps+1, 0
		} else {
			after++
		}
	}
	if gaps == 0 || after == 0 {
		t.Errorf("the lost rung has %d gaps and %d segments after them", gaps, after)
	}
	t.Logf("the lost rung has %d gaps and %d segments after them", gaps, after)
	sameGrid(t, media, rungs)
}

// ladderInTheBucket plays each rung of what the ladder left, from files alone.
func ladderInTheBucket(t *testing.T, streams, name string, rungs []*rung) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(streams, name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := m3u8.ParseMaster(body)
	if err != nil || len(m.Variants) != len(rungs) {
		t.Fatalf("%s: %v\n%s", name, err, body)
	}
	for i, v := range m.Variants {
		file := filepath.Join(streams, v.URI)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(text), "#EXT-X-ENDLIST") || !strings.Contains(string(text), "#EXT-X-PLAYLIST-TYPE:VOD") {
			t.Errorf("%s is not final", v.URI)
		}
		if gaps := strings.Contains(string(text), "#EXT-X-GAP"); gaps != (i == 0) {
			t.Errorf("%s has gaps: %v", v.URI, gaps)
		} else if !gaps {
			rig.Decodes(t, file)
		}
	}
}
