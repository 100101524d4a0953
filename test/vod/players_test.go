// Package vod has real players play packages that were made of files. It contains only tests, and refuses to judge what is inside a package
// beyond what players and two other parsers see of it.
package vod

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// shelf is a package in memory, served as a bucket behind a CDN would be.
type shelf struct {
	mu     sync.Mutex
	bodies map[string][]byte
	types  map[string]string
	missed []string
}

func (s *shelf) Put(_ context.Context, key, contentType string, body [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies[key], s.types[key] = slices.Concat(body...), contentType
	return nil
}

func (s *shelf) Remove(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bodies, key)
	return nil
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/")
	s.mu.Lock()
	body, ok := s.bodies[key]
	if !ok {
		s.missed = append(s.missed, key)
	}
	s.mu.Unlock()
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", s.types[key])
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// input is a file on a disk.
type input struct {
	*os.File
	size int64
}

func (i *input) Size() int64 { return i.size }

// serve packages a file, and serves the package.
func serve(t *testing.T, path string, kind vod.Kind, o vod.Options) (*shelf, string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	i, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{bodies: map[string][]byte{}, types: map[string]string{}}
	if _, err := vod.Package(t.Context(), vod.Request{Input: &input{f, i.Size()}, Output: s, Kind: kind, Options: o}); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, web.URL + "/"
}

// film is as long as the tests play, with its number in each picture.
func film(t *testing.T) string {
	rig.Need(t, "ffmpeg")
	rig.Need(t, "ffprobe")
	return rig.CountedClip(t, 640, 360, rig.Scaled(2*time.Minute, 30*time.Second))
}

// dubbed is the film with three sound tracks.
func dubbed(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "dubbed.mp4")
	args := []string{"-v", "error", "-i", film(t), "-map", "0:v", "-map", "0:a", "-map", "0:a", "-map", "0:a", "-c", "copy", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", "-metadata:s:a:2", "language=fra", path}
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func ladder() vod.Options {
	return vod.Options{CMAF: true, SegmentDuration: 4 * time.Second, Ladder: []vod.Rung{{Name: "high", Height: 360}, {Name: "low", Height: 180}}}
}

// TestBrowserPlayers has the players of browsers play packages to their ends, and change between rungs on the way: without a hole, a picture
// shown twice, a stall for want of media, or an object that is not there.
func TestBrowserPlayers(t *testing.T) {
	t.Parallel()
	path := film(t)
	b := browser.Start(t, "hls.js", "shaka-player", "video.js", "dashjs")
	plain, at := serve(t, path, vod.AdaptiveVideo, ladder())
	several, dubs := serve(t, dubbed(t), vod.AdaptiveVideo, ladder())
	asis, copied := serve(t, path, vod.Remux, vod.Options{CMAF: true})
	type show struct {
		player, url string
		changes     bool
	}
	shows := []show{
		{"hls.js", at + "master.m3u8", true}, {"shaka", at + "manifest.mpd", true}, {"video.js", dubs + "master.m3u8", true},
	}
	if rig.Scale() == 1 {
		shows = append(shows, []show{
			{"shaka", at + "master.m3u8", true}, {"video.js", at + "master.m3u8", true},
			{"hls.js", at + "master_cmaf.m3u8", true}, {"video.js", at + "master_cmaf.m3u8", true}, {"dash.js", at + "manifest.mpd", false},
			{"hls.js", dubs + "master.m3u8", true}, {"shaka", dubs + "master.m3u8", true},
			{"hls.js", copied + "master.m3u8", false}, {"shaka", copied + "manifest.mpd", false},
		}...)
	}
	for _, c := range shows {
		what := map[string]string{at: "ladder/", dubs: "three sounds/", copied: "remux/"}[c.url[:strings.LastIndex(c.url, "/")+1]] + c.url[strings.LastIndex(c.url, "/")+1:]
		t.Run(c.player+" "+what, func(t *testing.T) {
			page, err := b.Play(c.player, "", true)
			if err != nil {
				t.Fatal(err)
			}
			defer page.Close()
			if err := page.Go(c.url); err != nil {
				t.Fatal(err)
			}
			var s browser.Seen
			until := func(what string, done func() bool) {
				t.Helper()
				rig.Eventually(t, 5*time.Minute, c.player+" "+what, func() bool {
					s, err = page.Seen()
					return err == nil && (done() || len(s.Fatal) > 0)
				})
			}
			until("plays", func() bool { return s.Played > 2 })
			if c.changes {
				for _, level := range []int{0, 1, 0} {
					if err := page.Eval(fmt.Sprintf("to(%d)", level), nil); err != nil {
						t.Fatal(err)
					}
					from := s.Played
					until("plays on", func() bool { return s.Played > from+5 })
				}
			}
			until("comes to the end", func() bool { return s.Ended })
			widths := map[int]bool{}
			for _, w := range s.Widths {
				widths[w.Width] = true
			}
			starved := 0
			for _, x := range s.Stalls {
				if x.Ahead < 0.3 && x.At < s.Time-1 {
					starved++
				}
			}
			t.Logf("%s %s: played %.1f of %.1f s, widths %v, %d stalls (%d for want of media), %d holes, errors %v", c.player, s.Version, s.Played, s.Time, widths, len(s.Stalls), starved, len(s.Holes), s.Errors)
			if len(s.Fatal) > 0 || len(s.Holes) > 0 || s.Sound == 0 || s.Counter.Last < int(s.Time*25)-50 {
				t.Errorf("%+v", s)
			}
			if c.changes && !(widths[640] && widths[320]) {
				t.Errorf("it did not change between the rungs: %v", s.Widths)
			}
		})
	}
	for _, s := range []*shelf{plain, several, asis} {
		for _, key := range s.missed {
			if key != "favicon.ico" {
				t.Errorf("a player asked for %s, which is not there", key)
			}
		}
	}
}

// TestOtherPlayers has ffmpeg and GStreamer play packages to their ends.
func TestOtherPlayers(t *testing.T) {
	t.Parallel()
	path := film(t)
	pictures := int(rig.Scaled(2*time.Minute, 30*time.Second).Seconds()) * 25
	_, at := serve(t, path, vod.AdaptiveVideo, ladder())
	_, dubs := serve(t, dubbed(t), vod.Remux, vod.Options{CMAF: true})
	for _, c := range []struct {
		url, name string
		rungs     int // ffmpeg plays all of them at once
	}{
		{at + "master.m3u8", "ladder", 2}, {at + "low/stream.m3u8", "rung", 1}, {at + "master_cmaf.m3u8", "CMAF", 2}, {at + "manifest.mpd", "DASH", 2}, {dubs + "master.m3u8", "three sounds", 1},
	} {
		t.Run("ffmpeg "+c.name, func(t *testing.T) {
			n, said := rig.Play(t, c.url)
			if want := pictures * c.rungs; n < want-4 || n > want+4 || said != "" {
				t.Errorf("%d pictures of %d: %s", n, want, said)
			}
		})
	}
	for name, url := range map[string]string{"ladder": at + "master.m3u8", "CMAF": at + "master_cmaf.m3u8", "three sounds": dubs + "master.m3u8"} {
		t.Run("GStreamer "+name, func(t *testing.T) {
			rig.Need(t, "gst-launch-1.0")
			for element, player := range map[string]string{"hlsdemux2:MAX,hlsdemux:NONE": "playbin3", "hlsdemux:MAX,hlsdemux2:NONE": "playbin"} {
				if player == "playbin" && name != "three sounds" { // the former demuxer stands still now and then where it changes to another rung
					continue
				}
				cmd := exec.Command("timeout", "240", "gst-launch-1.0", "-v", player, "uri="+url, "video-sink=fakesink name=picture sync=false silent=false", "audio-sink=fakesink name=sound sync=false silent=false")
				cmd.Env = append(os.Environ(), "GST_PLUGIN_FEATURE_RANK="+element)
				out, err := cmd.CombinedOutput()
				n, sounds := bytes.Count(out, []byte("(picture:sink)")), bytes.Count(out, []byte("(sound:sink)"))
				if err != nil || !bytes.Contains(out, []byte("EOS")) || n < pictures-5 || sounds == 0 {
					t.Errorf("%s: %v, %d pictures of %d, %d sounds: %s", element, err, n, pictures, sounds, out[max(len(out)-2000, 0):])
				}
			}
		})
	}
}
