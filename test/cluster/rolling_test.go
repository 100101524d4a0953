package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// viewer polls a stream through the balancer.
type viewer struct {
	stream string
	f      *front

	from   string // who answered last
	next   uint64
	back   int // playlists that ended earlier than the one before
	loaded map[string]bool
	faults []string
}

func (v *viewer) get(ctx context.Context, path string) (body string, ok bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.f.url+path, nil)
	if err != nil {
		return "", false
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", false
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	v.from = res.Header.Get("Answered-By")
	return string(data), err == nil && res.StatusCode == http.StatusOK
}

// run polls until ctx is done. The balancer counts what is refused.
func (v *viewer) run(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		v.poll(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (v *viewer) poll(ctx context.Context) {
	entry, ok := v.get(ctx, rig.EntryKey(v.stream))
	if !ok {
		return
	}
	master, err := m3u8.ParseMaster([]byte(entry))
	if err != nil {
		v.faults = append(v.faults, err.Error())
		return
	}
	live := path.Join(path.Dir(rig.EntryKey(v.stream)), master.Variants[0].URI)
	body, ok := v.get(ctx, live)
	if !ok {
		return
	}
	m, err := m3u8.ParseMedia([]byte(body))
	if err != nil {
		v.faults = append(v.faults, err.Error())
		return
	}
	if now := next(m); now < v.next {
		v.back++
		if now+1 < v.next {
			v.faults = append(v.faults, fmt.Sprintf("%s %s of %s ends with %d, and ended with %d before", time.Now().Format("04:05.000"), live, v.from, now, v.next))
		}
	}
	v.next = max(v.next, next(m))
	for _, s := range m.Segments[max(0, len(m.Segments)-3):] {
		if s.Gap || v.loaded[s.URI] {
			continue
		}
		_, v.loaded[s.URI] = v.get(ctx, path.Join(path.Dir(live), s.URI))
	}
}

// TestRollingRestart drains, stops and starts three servers one after the other, while encoders and viewers come through a balancer: no request
// fails, and no stream is broken more than once for each time that the server which had it was stopped.
func TestRollingRestart(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	v := rig.NewVault(t)
	all := serve(t, 3, v.YAML())
	f := stand(t, all)
	streams := make([]string, max(3, int(30*rig.Scale())))
	var cameras []*rig.Camera
	for i := range streams {
		streams[i] = fmt.Sprintf("cam%d", i)
		cameras = append(cameras, rig.Shoot(t, all[0].Process, streams[i], func(c *rig.Camera) { c.URL = "rtmp://" + f.rtmp.l.Addr().String() + "/live/" + streams[i] }))
	}
	ids := map[string]string{}
	reached := func(stream string) uint64 {
		m := v.Media(rig.LiveKey(stream, ids[stream]))
		if m == nil {
			return 0
		}
		if m.EndList {
			t.Fatalf("%s has ended", stream)
		}
		return next(m)
	}
	goOn := func() {
		t.Helper()
		at := map[string]uint64{}
		for _, s := range streams {
			at[s] = reached(s)
		}
		for _, s := range streams {
			rig.Eventually(t, 60*time.Second, s+" goes on", func() bool { return reached(s) >= at[s]+3 })
		}
	}
	for _, s := range streams {
		rig.Eventually(t, 60*time.Second, s+" is in the bucket", func() bool {
			body, _, ok := v.Get(rig.EntryKey(s))
			if ok {
				ids[s] = strings.Split(listedEntry(t, body), "/")[1]
			}
			return ok
		})
	}
	goOn()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var viewers []*viewer
	var busy sync.WaitGroup
	for _, s := range streams {
		for range 3 {
			x := &viewer{stream: s, f: f, loaded: map[string]bool{}}
			viewers = append(viewers, x)
			busy.Go(func() { x.run(ctx) })
		}
	}
	moves := map[string]int{} // how often the server that had a stream was stopped
	for range max(1, int(5*rig.Scale())) {
		for _, n := range all {
			goOn()
			had := 0
			for name, s := range n.Streams() {
				if s.Remote != "" {
					moves[name]++
					had++
				}
			}
			took := n.Signal(syscall.SIGTERM, 60*time.Second)
			if n.Err != nil {
				t.Errorf("%s: %v", n.name, n.Err)
			}
			n.Start()
			rig.Eventually(t, 60*time.Second, "it is ready", func() bool { return f.takes(n) })
			t.Logf("%s %s had %d streams, and stopped in %v", time.Now().Format("04:05.000"), n.name, had, took.Round(time.Millisecond))
		}
	}
	goOn()
	cancel()
	busy.Wait()
	back := 0
	for _, x := range viewers {
		back += x.back
		for _, said := range x.faults {
			t.Errorf("viewer of %s: %s", x.stream, said)
		}
	}
	f.mu.Lock()
	for _, said := range f.faults {
		t.Error(said)
	}
	t.Logf("%d streams, %d viewers: %d answers, %d of them refused, %d by another server than was asked first; %d playlists ended a segment earlier than one before", len(streams), len(viewers), f.answers,
		len(f.faults), f.moved, back)
	f.mu.Unlock()
	for _, c := range cameras {
		c.Stop()
	}
	for _, s := range streams {
		rig.Eventually(t, 60*time.Second, s+" has ended", func() bool { m := v.Media(rig.LiveKey(s, ids[s])); return m.EndList })
		lists, gaps := verified(t, v, all, s)
		breaks := 0
		names, err := storage.Archives(t.Context(), v.Store, segmenter.Key{App: "live", Stream: s})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range names {
			for _, row := range v.Media(rig.ArchiveKey(s, string(id))).Segments {
				if row.Discontinuity {
					breaks++
				}
				if !strings.Contains(row.URI, ids[s]) {
					t.Errorf("%s: %s is of another recording", s, row.URI)
				}
			}
		}
		if breaks > moves[s] || gaps > 0 {
			t.Errorf("%s: %d discontinuities and %d gaps, and %d times the server that had it was stopped", s, breaks, gaps, moves[s])
		}
		t.Logf("%s: %d timestamped playlists, %d discontinuities, %d stops", s, lists, breaks, moves[s])
	}
}

// listedEntry is what an entry names.
func listedEntry(t *testing.T, body []byte) string {
	t.Helper()
	m, err := m3u8.ParseMaster(body)
	if err != nil {
		t.Fatal(err)
	}
	return m.Variants[0].URI
}
