package limits

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// limit is the memory of the smallest container that is promised to be enough, in bytes.
const limit = 256 << 20

// TestACrowdInASmallContainer checks that a server in 256 MiB neither dies nor swaps, and that its show loses no picture, while viewers
// read slowly, anonymous requests ask for ever new views, and publishers stop halfway through large messages.
func TestACrowdInASmallContainer(t *testing.T) {
	g := newCgroup(t, limit)
	var wrap []string
	more := "apps: {live: {publish: open, groups: {show: [show_high, show_mid, show_low]}}}\nhls: {segment_duration: 2s}\n"
	if g != nil {
		wrap = g.wrap()
	} else {
		more += "memory: 256MiB\n"
	}
	s := serve(t, wrap, more)
	x := publish(t, s)
	entry := "http://" + s.http + "/live/streams/"
	eventually(t, 60*time.Second, "the show is on the air", func() bool {
		status, _, err := s.get(entry + "show.m3u8")
		status2, _, _ := s.get(entry + "show_high.m3u8")
		return err == nil && status == 200 && status2 == 200
	})
	_, master, _ := s.get(entry + "show_high.m3u8")
	found := regexp.MustCompile(`show_high/([^/]+)/live.m3u8`).FindSubmatch(master)
	if found == nil {
		t.Fatalf("no recording in\n%s", master)
	}
	id := string(found[1])
	newest := func() int64 {
		st, err := latest(s, entry+"show_high/"+id+"/live.m3u8")
		if err != nil {
			return 0
		}
		return st
	}

	slow, half, gets := scaled(2000, 100), scaled(500, 40), int64(float64(400<<20)*max(scale(), 0.05))
	c := newCrowd()
	defer c.end()
	var edge, sent, bytes, sentAway atomic.Int64
	edge.Store(newest())
	c.add(1, func(ctx context.Context, _ int) {
		for ctx.Err() == nil {
			if n := newest(); n > 0 {
				edge.Store(n)
			}
			pause(ctx, 500*time.Millisecond)
		}
	})
	c.add(slow, func(ctx context.Context, i int) {
		slowReader(ctx, s.http, func() string {
			name := [...]string{"show_high", "show_mid", "show_low"}[i%3]
			return fmt.Sprintf("/live/streams/%s/%s/%09d.ts", name, id, max(0, edge.Load()-int64(i%4)))
		})
	})
	c.add(half, func(ctx context.Context, i int) {
		halfPublisher(ctx, s.rtmp, fmt.Sprintf("stranger%d", i), [...]int{10 << 20, 7 << 20}[i%2], &sentAway)
	})
	began := time.Now().Unix()
	c.add(12, func(ctx context.Context, _ int) {
		storm(ctx, s.http, func(n int64) string {
			live := fmt.Sprintf("/live/streams/show_high/%s/live.m3u8", id)
			switch n % 8 {
			case 0:
				return fmt.Sprintf("%s?start=%d&end=%d", live, began-n%30, began+1+n%40)
			case 1:
				return fmt.Sprintf("/live/streams/show.m3u8?start=%d.%03d", began-n%20, n%1000)
			case 2:
				return fmt.Sprintf("/live/streams/nobody%d.m3u8?start=%d", n, began)
			case 3:
				return fmt.Sprintf("/live/streams/nobody%d/2023-08-24_16-02-52.%03d/%09d.ts", n, n%1000, n)
			case 4:
				return fmt.Sprintf("/live/streams/show_high-2023-08-24_16-02-52.%03d.m3u8", n%1000)
			case 5:
				return fmt.Sprintf("/live/streams/show.m3u8?aws.manifestfilter=video_bitrate:0-%d&x=%s", n, strings.Repeat("a", 4000))
			case 6:
				if n%64 != 6 {
					return fmt.Sprintf("%s?start=%d&time=%d", live, began-n%30, n)
				}
				return fmt.Sprintf("/live/streams/show_low/%s/%09d.ts", id, max(0, edge.Load()-n%20))
			}
			return fmt.Sprintf("/live/streams/show_high-%s.m3u8?start=%d", id, began-n%60)
		}, &sent, &bytes, gets)
	})

	peak, anon, slowest := int64(0), int64(0), time.Duration(0)
	until := time.Now().Add(max(20*time.Second, time.Duration(90*scale())*time.Second))
	shown := time.Now()
	for time.Now().Before(until) || bytes.Load() < gets && time.Now().Before(until.Add(120*time.Second)) {
		if !s.alive() {
			t.Fatal("the server is dead")
		}
		peak, anon = max(peak, s.status("VmHWM")), max(anon, s.status("RssAnon"))
		asked := time.Now()
		if status, _, err := s.get("http://" + s.http + "/healthz"); err != nil || status != 200 {
			t.Errorf("/healthz: %d, %v", status, err)
		}
		slowest = max(slowest, time.Since(asked))
		if time.Since(shown) > 10*time.Second {
			shown = time.Now()
			t.Logf("%d MB answered, %d publishers sent away; anonymous %d MiB, %s", bytes.Load()>>20, sentAway.Load(), s.status("RssAnon")>>20, s.shares())
		}
		if n := s.status("VmSwap"); n > 0 {
			t.Errorf("%d bytes are swapped out", n)
		}
		pause(t.Context(), 200*time.Millisecond)
	}
	st := s.state()
	c.end()
	x.end()
	for _, share := range st.Memory.Shares {
		t.Logf("%-10s %6.1f of %6.1f MiB, %d refused", share.Name, float64(share.Used)/(1<<20), float64(share.Limit)/(1<<20), share.Refused)
		if share.Used > share.Limit+share.Limit/10 && share.Name != "viewers" {
			t.Errorf("%s takes %d bytes of %d", share.Name, share.Used, share.Limit)
		}
	}
	t.Logf("%d slow readers, %d requests with %d MB, %d publishers half way (%d sent away): peak RSS %.1f MiB, anonymous %.1f MiB, /healthz within %v",
		slow, sent.Load(), bytes.Load()>>20, half, sentAway.Load(), float64(peak)/(1<<20), float64(anon)/(1<<20), slowest)
	if g != nil {
		t.Logf("cgroup: peak %.1f MiB, failures of the limit and kills: %d, %d", float64(g.peak())/(1<<20), g.number("memory.failcnt", ""), g.killed())
		if g.killed() > 0 {
			t.Error("the kernel has killed")
		}
	} else if anon > limit {
		t.Errorf("%d bytes of anonymous memory, more than the limit", anon)
	}
	if bytes.Load() < gets {
		t.Errorf("only %d of %d bytes were answered: the test is too slow here", bytes.Load(), gets)
	}
	for _, r := range x.rungs {
		if r.err != nil {
			t.Errorf("%s: %v", r.name, r.err)
		}
		whole(t, s, r)
	}
}

// latest returns the newest number of a playlist.
func latest(s *server, url string) (int64, error) {
	_, body, err := s.get(url)
	if err != nil {
		return 0, err
	}
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		return 0, err
	}
	return int64(m.MediaSequence) + int64(len(m.Segments)) - 1, nil
}

// whole checks that every picture that a rung sent is in its recording, without a break.
func whole(t *testing.T, s *server, r *rung) {
	t.Helper()
	sent := r.pictures.Load()
	want := time.Duration(sent) * time.Second / fps
	var m *m3u8.Media
	eventually(t, 20*time.Second, r.name+" has ended", func() bool {
		_, master, err := s.get("http://" + s.http + "/live/streams/" + r.name + ".m3u8")
		if err != nil {
			return false
		}
		found := regexp.MustCompile(r.name + `/([^/]+)/live.m3u8`).FindSubmatch(master)
		if found == nil {
			return false
		}
		_, body, err := s.get("http://" + s.http + "/live/streams/" + r.name + "-" + string(found[1]) + ".m3u8")
		if err != nil {
			return false
		}
		m, err = m3u8.ParseMedia(body)
		return err == nil && m.EndList
	})
	sum, gaps, breaks := int64(0), 0, 0
	for i := range m.Segments {
		sum += m.Segments[i].Duration
		if m.Segments[i].Gap {
			gaps++
		}
		if m.Segments[i].Discontinuity {
			breaks++
		}
	}
	lasts := time.Duration(sum) * time.Second / 90000
	if r.late > time.Second {
		t.Logf("%s: its sender came %v late for want of a processor: what the ladder made of that is not held against the server", r.name, r.late)
		gaps = 0
	}
	if gaps > 0 || breaks > 0 || (lasts-want).Abs() > 2*time.Second/fps {
		t.Errorf("%s: %d pictures were sent, which last %v; the recording lasts %v, with %d gaps and %d breaks", r.name, sent, want, lasts, gaps, breaks)
	}
	t.Logf("%s: %d pictures, %v, %d segments", r.name, sent, lasts, len(m.Segments))
}
