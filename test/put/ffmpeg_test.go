package put

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestFFmpeg: FFmpeg sends a show, with one connection and with one for each file, while the bucket is away for a part of it. Viewers see it
// as any other; the archive has FFmpeg's own bytes, nothing is lost, no playlist in the bucket ever names what is not there.
func TestFFmpeg(t *testing.T) {
	rig.Need(t, "ffmpeg")
	outage := rig.Scaled(3*time.Minute, 5*time.Second)
	for _, persistent := range []string{"0", "1"} {
		t.Run("http_persistent "+persistent, func(t *testing.T) {
			t.Parallel()
			v := rig.NewVault(t)
			p, at := serve(t, v.YAML())
			r := newRelay(t, at)
			w, stop := rig.Watch(t, p.URL("live/streams/show.m3u8"))
			defer stop()
			reader := v.PeekAt("show")
			ff := encode(t, rig.CountedClip(t, 320, 180, outage+10*time.Second), r.URL+"/live/show/index.m3u8", "-http_persistent", persistent)
			rig.Eventually(t, 30*time.Second, "viewers have segments", func() bool { return w.Count() >= 3 })
			v.Proxy.Set(storetest.Trouble{ResetRequest: 1})
			before := w.Count()
			time.Sleep(outage)
			if n := w.Count() - before; n < int(outage.Seconds())/4 { // they last 2 s
				t.Errorf("%d segments for viewers in the %v in which the bucket was away", n, outage)
			}
			v.Proxy.Set()
			id := ended(t, ff, v, r, w, outage)
			w.Good()
			reader.Good()
			m, got := archived(t, v, "show", id)
			same(t, got, r.sent())
			for i, s := range m.Segments {
				if s.Gap || s.Discontinuity {
					t.Errorf("segment %d: %+v", i, s)
				}
			}
			if said, status := p.Command("recordings", "verify", "-deep", "live/show-"+id); status != 0 {
				t.Errorf("verify: %s", said)
			}
			for path, want := range map[string]string{"live/streams/show-" + id + ".m3u8": "h264", "live/streams/show-" + id + "_cmaf.m3u8": "h264"} {
				if n, said := rig.Play(t, p.URL(path)); n < 25*int(outage.Seconds()) || strings.TrimSpace(said) != "" {
					t.Errorf("%s (%s): %d pictures, %s", path, want, n, said)
				}
			}
			t.Logf("%d segments, outage of %v", len(got), outage)
		})
	}
}

// ended waits until FFmpeg has sent all, and the recording that a viewer saw is finished in the bucket. It returns that.
func ended(t *testing.T, ff *rig.Tool, v *rig.Vault, r *relay, w *rig.Viewer, within time.Duration) (id string) {
	t.Helper()
	if err := ff.Wait(within + time.Minute); err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	w.Mu.Lock()
	id = w.Recording
	w.Mu.Unlock()
	v.WaitFinished("show", id, 2*time.Minute)
	r.good()
	return id
}

// TestKilled: the server is killed while a sender sends that repeats what has no answer. One recording goes on; what was shown is archived, and
// so is everything that was acknowledged, also where the kill comes between a segment and the playlist that names it.
func TestKilled(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	kills := max(2, int(20*rig.Scale()))
	v := rig.NewVault(t)
	p, at := serve(t, v.YAML())
	r := newRelay(t, at)
	w, stop := rig.Watch(t, p.URL("live/streams/show.m3u8"))
	defer stop()
	reader := v.PeekAt("show")
	ff := encode(t, rig.CountedClip(t, 320, 180, time.Duration(kills)*5*time.Second+8*time.Second), r.URL+"/live/show/index.m3u8", "-http_persistent", "1")
	rig.Eventually(t, 30*time.Second, "viewers have segments", func() bool { return w.Count() >= 3 })
	for i := range kills {
		before := w.Count()
		over := make(chan struct{})
		if i%3 == 2 {
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		} else { // at the worst moments: a segment is in memory alone, and it is listed and not in the spool
			select {
			case over = <-[]chan chan struct{}{r.segment, r.playlist}[i%3]:
			case <-time.After(30 * time.Second):
				t.Fatal("nothing comes")
			}
		}
		p.Kill()
		p.Start()
		close(over)
		rig.Eventually(t, 30*time.Second, "the show goes on", func() bool { return w.Count() >= before+2 })
	}
	id := ended(t, ff, v, r, w, time.Minute)
	reader.Good()
	m, got := archived(t, v, "show", id)
	lost, unknown := missing(got, r.sent())
	breaks := 0
	for _, s := range m.Segments {
		if s.Discontinuity {
			breaks++
		}
	}
	t.Logf("%d kills: %d segments sent, %d archived, %d acknowledged ones lost, %d discontinuities, %d requests repeated", kills, len(r.sent()), len(got), lost, breaks, r.tries)
	if unknown > 0 || breaks > kills {
		t.Errorf("%d segments are archived that were not sent; %d discontinuities", unknown, breaks)
	}
	if lost > 0 {
		t.Errorf("%d segments that were acknowledged are lost", lost)
	}
	t.Logf("%v segments were not on disk when they were answered", p.Metric("hlsorigin_ingest_put_kept_errors_total")) // how busy the disk was
	if said, status := p.Command("recordings", "verify", "-deep", "live/show-"+id); status != 0 {
		t.Errorf("verify: %s", said)
	}
}

// missing counts what was sent and is not archived, and what is archived and was not sent.
func missing(got, sent [][]byte) (lost, unknown int) {
	have := map[string]bool{}
	for _, b := range got {
		if b != nil {
			have[string(b)] = true
		}
	}
	for _, b := range sent {
		if !have[string(b)] {
			lost++
		}
		delete(have, string(b))
	}
	return lost, len(have)
}

// TestReordered: a thousand segments and playlists on eight connections, each with a delay of its own, and some of them twice: nothing is
// lost, nothing comes twice, all is in order, in the bucket too.
func TestReordered(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	n := max(200, int(1000*rig.Scale()))
	bodies := segments(t, n)
	v := rig.NewVault(t)
	p, at := serve(t, "apps: {live: {publish: open, hls: {window: 30s}}}\n"+v.YAML())
	reader := v.PeekAt("show")
	type file struct {
		name, body string
		at         float64
	}
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	var all []file
	for i, b := range bodies {
		for range 1 + rng.IntN(20)/19 {
			all = append(all, file{fmt.Sprintf("%05d.ts", i), string(b), float64(i) + 4*rng.Float64()})
		}
		all = append(all, file{"index.m3u8", page(i, 12), float64(i) + 4*rng.Float64()})
	}
	slices.SortFunc(all, func(a, b file) int {
		if a.at < b.at {
			return -1
		}
		return 1
	})
	const pace = 15 * time.Millisecond // for a segment
	begin := time.Now()
	queue := make(chan file)
	var senders sync.WaitGroup
	var mu sync.Mutex
	refused := map[int]int{}
	for range 8 {
		senders.Go(func() {
			for f := range queue {
				q, err := http.NewRequest(http.MethodPut, "http://"+at+"/live/show/"+f.name, strings.NewReader(f.body))
				if err != nil {
					t.Error(err)
					return
				}
				res, err := http.DefaultClient.Do(q)
				if err != nil {
					t.Error(err)
					continue
				}
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					mu.Lock()
					refused[res.StatusCode]++
					mu.Unlock()
				}
			}
		})
	}
	for _, f := range all {
		time.Sleep(time.Until(begin.Add(time.Duration(f.at * float64(pace)))))
		queue <- f
	}
	close(queue)
	senders.Wait()
	if len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	rig.Eventually(t, 30*time.Second, "all is listed", func() bool { return p.Metric(`hlsorigin_ingest_put_held`) == 0 })
	res, err := http.Post("http://"+at+"/live/show/index.m3u8", "", strings.NewReader(page(n-1, 12)+"#EXT-X-ENDLIST\n"))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", res, err)
	}
	_ = res.Body.Close()
	id := p.RecordingOf("show")
	v.WaitFinished("show", id, 2*time.Minute)
	reader.Good()
	m, got := archived(t, v, "show", id)
	same(t, got, bodies)
	for i, s := range m.Segments {
		if s.Gap || s.Discontinuity {
			t.Errorf("segment %d: %+v", i, s)
		}
	}
	t.Logf("%d segments, %d requests, in %v", n, len(all), time.Since(begin).Round(time.Millisecond))
}

// TestLadder: FFmpeg's multivariant playlist makes a ladder of what it sends, which hls.js plays.
func TestLadder(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	p, at := serve(t, "apps: {live: {publish: open}}\nstorage: {url: file://bucket}\nspool: {dir: spool}\n")
	watch := rig.Scaled(time.Minute, 6*time.Second)
	rig.Launch(t, "ffmpeg", "-nostdin", "-v", "error", "-re", "-i", rig.CountedClip(t, 640, 360, 10*watch), "-filter_complex", "[0:v]split=2[a][b];[b]scale=320:180[c]",
		"-map", "[a]", "-map", "0:a", "-map", "[c]", "-map", "0:a", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0", "-c:a", "aac",
		"-f", "hls", "-hls_time", "1", "-hls_list_size", "6", "-var_stream_map", "v:0,a:0,name:high v:1,a:1,name:low", "-master_pl_name", "index.m3u8", "-method", "PUT",
		"-hls_segment_filename", "http://"+at+"/live/show/%v/%05d.ts", "http://"+at+"/live/show/%v/index.m3u8")
	entry := p.URL("live/streams/show.m3u8")
	rig.Eventually(t, time.Minute, "the ladder has two variants", func() bool { return strings.Count(p.Get(entry), "#EXT-X-STREAM-INF") == 2 })
	p.Kill()
	p.Start()
	rig.Eventually(t, time.Minute, "it has them after a restart, without another multivariant playlist", func() bool {
		return strings.Count(p.Get(entry), "#EXT-X-STREAM-INF") == 2 && p.Streams()["show_low"].Protocol == "http" && p.Streams()["show_high"].Protocol == "http"
	})
	plays(t, entry, watch)
}

// plays has hls.js play a stream.
func plays(t *testing.T, entry string, watch time.Duration) {
	t.Helper()
	b := browser.Start(t, "hls.js")
	tab, err := b.Play("hls.js", "", true)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	if err := tab.Go(entry); err != nil {
		t.Fatal(err)
	}
	var s browser.Seen
	rig.Eventually(t, time.Minute+3*watch, "hls.js plays", func() bool {
		s, err = tab.Seen()
		return err == nil && (s.Played >= watch.Seconds() || len(s.Fatal) > 0)
	})
	if len(s.Fatal) > 0 || s.Frames == 0 || s.Sound == 0 || len(s.Counter.Back) > 0 {
		t.Errorf("%+v", s)
	}
}

// TestBrowser: hls.js plays what FFmpeg sends.
func TestBrowser(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	p, at := serve(t, "apps: {live: {publish: open}}\nstorage: {url: file://bucket}\nspool: {dir: spool}\n")
	watch := rig.Scaled(time.Minute, 6*time.Second)
	encode(t, rig.CountedClip(t, 320, 180, 10*watch), "http://"+at+"/live/show/index.m3u8")
	entry := p.URL("live/streams/show.m3u8")
	rig.Eventually(t, 30*time.Second, "it is on the air", func() bool { return p.Status(entry) == http.StatusOK })
	plays(t, entry, watch)
}
