package cdn

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// closest is a player of the test, and how far behind live it may be on a machine that has time for it.
type closest struct {
	name, player string
	close        bool          // set as a site sets it that wants low latency
	entry        string        // what it plays
	p50, p95     time.Duration // 0: it is only told of
	starts       time.Duration // within which it is to start; 0: 1.5 s
}

// together watch at the same time, beside a crowd.
var together = []closest{
	{"hls.js", "hls.js", true, "cam_ll.m3u8", 2300 * time.Millisecond, 2800 * time.Millisecond, 0},
	{"shaka", "shaka", true, "cam_ll.m3u8", 2000 * time.Millisecond, 2500 * time.Millisecond, 0},
	{"hls.js as it comes", "hls.js", false, "cam_ll.m3u8", 0, 0, 0},
}

// alone watch one after the other. video.js takes the segment that is being written for a whole one, so that it begins with the newest part, and
// EXT-X-INDEPENDENT-SEGMENTS for a promise about parts: it shows nothing until the next keyframe comes, 2 s later at most, and in between asks for a
// second for what it has.
var alone = []closest{
	{"video.js", "video.js", false, "cam_cmaf.m3u8", 3300 * time.Millisecond, 0, 5 * time.Second},
	{"dash.js", "dash.js", false, "cam_ll.mpd", 3000 * time.Millisecond, 0, 0},
	{"dash.js, plain", "dash.js", false, "cam.mpd", 10500 * time.Millisecond, 0, 0},
	{"shaka, plain DASH", "shaka", false, "cam.mpd", 10500 * time.Millisecond, 0, 0},
	{"shaka, plain HLS", "shaka", false, "cam.m3u8", 10500 * time.Millisecond, 0, 0},
	{"hls.js, plain", "hls.js", false, "cam.m3u8", 0, 0, 0},
}

// TestCDNCloseToLive has three browser players and a crowd of others watch with low latency through the edge. By the number in the picture, held
// against the clock, they are close to live; nobody stands still or is refused anything.
func TestCDNCloseToLive(t *testing.T) {
	if rig.Scale() < 0.1 {
		t.Skip("tried by `make soak`: ten minutes")
	}
	watch, crowd, players := 6*time.Second, max(10, int(300*rig.Scale())), together[:2]
	if rig.Scale() >= 0.2 {
		watch, players = rig.Scaled(10*time.Minute, 0), together
	}
	s := onAir(t, "4s", watch+2*time.Minute)
	pressed := rig.StartPressure()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	ways := map[string]*[]time.Duration{"at the server": {}, "at the edge": {}}
	for where, url := range map[string]string{"at the server": s.server.URL("live/" + s.path), "at the edge": s.c.url + s.path} {
		wg.Go(func() { *ways[where] = lags(ctx, url) })
	}
	f := follow(t, s.c.url+s.path, crowd, 5*time.Second)
	var shown sync.WaitGroup
	results := make([]sight, len(players))
	for i, who := range players {
		shown.Go(func() { results[i] = s.look(t, who, watch) })
	}
	shown.Wait()
	f.playing(time.Minute)
	stop()
	wg.Wait()
	quiet := rig.Scale() == 1 && pressed.Share() < 0.2
	f.good(quiet)
	share := pressed.Share()
	t.Logf("%d others: %d parts, %d stalls, the longest %v; the machine was pressed for %.0f %% of the time", crowd, f.parts, len(f.stalls), f.late.Round(time.Millisecond), 100*share)
	for where, l := range ways {
		t.Logf("a part has ended → its playlist is had %s: p50 %v, p95 %v, most %v (%d)", where, at(*l, .5), at(*l, .95), at(*l, 1), len(*l))
	}
	for i, who := range players {
		results[i].judge(t, who, quiet, 9*time.Second+rig.Slack(share, 20*time.Second))
	}
}

// TestCDNHowFarBehind has one player after the other watch through the edge for a minute, so that none is slowed down by the next. With
// segments of 4 s those that are not close to live are half as far behind again and more: players want three of them, and Shaka of DASH a fourth.
func TestCDNHowFarBehind(t *testing.T) {
	if rig.Scale() < 0.1 {
		t.Skip("tried by `make soak`: eight minutes")
	}
	watch := rig.Scaled(time.Minute, 15*time.Second)
	all := slices.Concat(together, alone)
	s := onAir(t, "2s", time.Duration(len(all)+1)*(watch+10*time.Second))
	for _, who := range all {
		pressed := rig.StartPressure()
		r := s.look(t, who, watch)
		share := pressed.Share()
		r.judge(t, who, rig.Scale() == 1 && share < 0.2, 15*time.Second+rig.Slack(share, 20*time.Second))
	}
}

// scene is a stream of counted pictures on the air, a server, an edge in front of it and a browser.
type scene struct {
	server *rig.Process
	c      *cdn
	b      *browser.Browser
	path   string    // of the low-latency playlist
	begun  time.Time // of the recording
}

// onAir begins a show with segments of a duration.
func onAir(t *testing.T, segments string, length time.Duration) *scene {
	rig.Need(t, "ffmpeg", "varnishd")
	s := &scene{b: browser.Start(t, "hls.js", "shaka-player", "video.js", "dashjs")}
	s.server = rig.Serve(t, t.TempDir(), "http: {cdn_secret: {values: [\""+cdnSecret+"\"]}}\nhls: {low_latency: true, segment_duration: "+segments+"}\nrtsp: {listen: \"\"}\n")
	s.c = front(t, s.server, "")
	rig.Push(t, rig.CountedClip(t, 320, 180, length), "rtmp://"+s.server.RTMP+"/live/cam")
	s.path = s.c.lowPlayable(t, "cam")
	var ok bool
	if s.begun, ok = segmenter.RecordingID(strings.Split(s.path, "/")[2]).Time(); !ok {
		t.Fatalf("no recording in %s", s.path)
	}
	rig.Eventually(t, time.Minute, "the stream has gone on for a while", func() bool {
		_, body := s.c.ask(t, s.path)
		return strings.Count(body, "#EXTINF:") >= 3
	})
	return s
}

// judge says what came of a player, and finds what is wrong. quiet says that the machine had time for it; far is how far behind it may be
// otherwise.
func (r *sight) judge(t *testing.T, who closest, quiet bool, far time.Duration) {
	t.Logf("%s %s of %s: starts after %v; behind p50 %v, p95 %v, most %v, with %.1f s in front of it at the end; it aims at %.2f s; stalls %+v, freezes %+v, errors %v",
		who.name, r.Version, who.entry, r.startup.Round(10*time.Millisecond), at(r.behind, .5), at(r.behind, .95), at(r.behind, 1), r.Ahead, r.aims, r.Stalls, r.Freezes, r.Errors)
	for what := range r.Errors {
		if refused.MatchString(what) {
			t.Errorf("%s: %s", who.name, what)
		}
	}
	if len(r.Fatal) > 0 || len(r.behind) == 0 {
		t.Errorf("%s: fatal %v, errors %v, seen %d times", who.name, r.Fatal, r.Errors, len(r.behind))
		return
	}
	// A browser's clock goes slower than time where it has to decode more than it can; a player that does not make up for it falls behind without
	// standing still, and what it has in front of it grows. That much of it the server is not to blame for.
	late := at(r.behind, .5)
	if !who.close {
		late = r.behind[len(r.behind)-1] - time.Duration(r.Ahead*float64(time.Second))
	}
	if late > far {
		t.Errorf("%s is %v behind", who.name, late)
	}
	if !quiet {
		return // what a busy machine does to players says nothing of the server
	}
	if who.p50 > 0 && (at(r.behind, .5) > who.p50 || r.startup > cmp.Or(who.starts, 1500*time.Millisecond)) || who.p95 > 0 && at(r.behind, .95) > who.p95 {
		t.Errorf("%s is %v behind, at worst %v, after a start of %v", who.name, at(r.behind, .5), at(r.behind, .95), r.startup)
	}
	for _, s := range r.Stalls {
		if s.Ahead < .5 {
			t.Errorf("%s stalls for want of data: %+v", who.name, s)
		}
	}
}

// refused is an error of a player that is a status of 400 or more: hls.js says the status, Shaka has a code for it.
var refused = regexp.MustCompile(`^(\w+ [45]\d\d|shaka 1001)$`)

// sight is what came of a browser's player.
type sight struct {
	browser.Seen
	startup time.Duration
	behind  []time.Duration
	aims    float64 // how far behind the end of the playlist it wants to be, seconds; 0: it does not say
}

// look has the browser play for a while.
func (sc *scene) look(t *testing.T, who closest, watch time.Duration) (r sight) {
	open := sc.b.Play
	if who.close {
		open = sc.b.PlayClose
	}
	page, err := open(who.player, "", true)
	if err != nil {
		t.Error(err)
		return r
	}
	defer page.Close()
	launched := time.Now()
	if err := page.Go(sc.c.url + "streams/" + who.entry); err != nil {
		t.Error(err)
		return r
	}
	for !r.Started && time.Since(launched) < time.Minute {
		if r.Seen, err = page.Seen(); err != nil {
			t.Error(err)
			return r
		}
	}
	r.startup = time.Since(launched)
	for end := time.Now().Add(watch); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		var now struct{ N, Now, Aims float64 }
		if err := page.Eval("({N: seen.counter.last, Now: Date.now(), Aims: window.hls?.targetLatency ?? 0})", &now); err != nil {
			t.Error(err)
			return r
		}
		if now.N > 0 && time.Since(launched) > r.startup+min(watch/3, 10*time.Second) { // it has come to where it wants to be
			r.behind = append(r.behind, time.UnixMilli(int64(now.Now)).Sub(sc.begun.Add(time.Duration(now.N)*frame)))
		}
		r.aims = now.Aims
	}
	if r.Seen, err = page.Seen(); err != nil {
		t.Error(err)
	}
	return r
}

// at is a quantile.
func at(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[int(q*float64(len(all)-1))].Round(time.Millisecond)
}

// lags waits for one playlist after another until ctx ends, and returns how long after the end of its newest part each was there.
func lags(ctx context.Context, url string) (all []time.Duration) {
	client, closeIdle := keeping(1)
	defer closeIdle()
	p := &follower{f: &followers{client: client, media: url}}
	body, err := p.load(ctx, url)
	for err == nil {
		_, hint, ok := listed(body)
		if !ok {
			return all
		}
		if body, err = p.load(ctx, fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", url, hint.sequence, hint.part)); err == nil {
			all = append(all, time.Since(endOf(body)))
		}
	}
	return all
}

// endOf is when the newest part of a playlist ends.
func endOf(body string) (end time.Time) {
	for line := range strings.SplitSeq(body, "\n") {
		if at, ok := strings.CutPrefix(line, "#EXT-X-PROGRAM-DATE-TIME:"); ok {
			end, _ = time.Parse(time.RFC3339, at)
		} else if m := partLine.FindStringSubmatch(line); m != nil {
			s, _ := strconv.ParseFloat(m[1], 64)
			end = end.Add(time.Duration(s * float64(time.Second)))
		}
	}
	return end
}
