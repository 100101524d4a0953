package origin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/origin/remote"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

const secretOfServers = "servers know it"

// pair is two servers of a cluster: one that has all streams, and one that viewers ask.
type pair struct {
	t           testing.TB
	owner, node *rig
	remote      *remote.Remote
	bucket      *dirArchive // of both
	front       *httptest.Server

	requests, held, lookups atomic.Int64
	hangs                   atomic.Bool                      // the bucket
	answer                  atomic.Pointer[http.HandlerFunc] // instead of the owner
	mu                      sync.Mutex
	of                      map[string]remote.Owner // by stream
	err                     error
}

// Owner implements remote.Owners.
func (p *pair) Owner(_ context.Context, app, stream string) (remote.Owner, error) {
	p.lookups.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.of[stream]
	switch {
	case p.err != nil:
		return remote.Owner{}, p.err
	case !ok:
		return remote.Owner{}, fs.ErrNotExist
	}
	return o, nil
}

// own makes the owner that of a stream.
func (p *pair) own(stream string, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of[stream] = remote.Owner{Address: p.front.URL, Recording: p.owner.snapshot(stream).Recording, Ended: ended}
}

// ServeHTTP stands in for what answers other servers.
func (p *pair) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/cluster/v1/node" {
		w.WriteHeader(200)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+secretOfServers {
		w.WriteHeader(401)
		return
	}
	p.requests.Add(1)
	if h := p.answer.Load(); h != nil {
		(*h)(w, r)
		return
	}
	had := r.Header.Get("Hlsorigin-Wait")
	if had == "" {
		p.owner.origin.ServeLocal(w, r)
		return
	}
	p.held.Add(1)
	defer p.held.Add(-1)
	late := time.After(10 * time.Second)
	for {
		changed := p.changed(r.URL.Path)
		a := httptest.NewRecorder()
		p.owner.origin.ServeLocal(a, r)
		same := a.Code == 200 && slices.Contains(a.Header()["ETag"], had) // as the engine spells it
		if !same {
			for name, v := range a.Header() {
				w.Header()[name] = v
			}
			w.WriteHeader(a.Code)
			_, _ = w.Write(a.Body.Bytes())
			return
		}
		select {
		case <-changed:
		case <-late:
			w.Header().Set("ETag", had)
			w.Header().Set("Cache-Control", a.Header().Get("Cache-Control"))
			w.WriteHeader(304)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (p *pair) changed(path string) <-chan struct{} {
	n, _ := segmenter.ParseName(path[1:])
	line := p.owner.Timeline(n.App, n.Stream)
	if line == nil {
		return nil
	}
	return line.Snapshot().Advanced()
}

// network is an archive whose objects cannot be read any more when the context that they were opened with has ended.
type network struct {
	*dirArchive
	hangs *atomic.Bool
}

func (n network) Open(ctx context.Context, key string) (Object, error) {
	if n.hangs.Load() {
		<-ctx.Done()
		return Object{}, ctx.Err()
	}
	o, err := n.dirArchive.Open(ctx, key)
	o.Body = &download{o.Body, ctx}
	return o, err
}

type download struct {
	io.ReadSeekCloser
	ctx context.Context
}

func (d *download) Read(b []byte) (int, error) {
	if err := context.Cause(d.ctx); err != nil {
		return 0, err
	}
	return d.ReadSeekCloser.Read(b)
}

// newPair returns a pair whose node answers by the mode that is given.
func newPair(t testing.TB, mode string, opts Options) *pair {
	t.Helper()
	p := &pair{t: t, of: map[string]remote.Owner{}, bucket: &dirArchive{dir: t.TempDir()}}
	opts.Archive = network{p.bucket, &p.hangs}
	p.owner = newRig(t, opts)
	p.owner.serve()
	p.front = httptest.NewServer(p)
	t.Cleanup(p.front.Close)
	p.remote = remote.New(remote.Options{Owners: p, Now: time.Now, Secret: func() string { return secretOfServers }, Patience: 300 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.remote.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	opts.Remote = p.remote
	p.node = newRigOver(t, opts, mode)
	p.node.serve()
	return p
}

// paths are those of all kinds of objects of a stream that is running.
func (p *pair) paths(stream string) []string {
	r := p.owner
	s := r.snapshot(stream)
	dir := strings.TrimSuffix(r.live(stream), "live.m3u8")
	entry := "/live/streams/" + stream
	whole := entry + "-" + string(s.Recording)
	next, parts := r.newest(stream)
	paths := []string{
		entry + ".m3u8", entry + "_adaptive.m3u8", entry + "_ll.m3u8", entry + "_cmaf.m3u8", entry + ".mpd", entry + "_ll.mpd",
		dir + "live.m3u8", dir + "ll.m3u8", dir + "v/live.m3u8", dir + "a/live.m3u8", dir + "iframes.m3u8", dir + "v/iframes.m3u8",
		dir + "ll.m3u8?_HLS_skip=YES", dir + "ll.m3u8?_HLS_msn=1", dir + "ll.m3u8?_HLS_msn=900", dir + "ll.m3u8?_HLS_part=1",
		dir + fmt.Sprintf("ll.m3u8?_HLS_msn=%d&_HLS_part=0&viewer=7", next), dir + fmt.Sprintf("v/live.m3u8?_HLS_msn=%d", next-1),
		whole + ".m3u8", whole + "_cmaf.m3u8", whole + ".mpd", whole + "_iframes.m3u8", dir + "v/" + string(s.Recording) + ".m3u8", dir + "v/" + string(s.Recording) + "_iframes.m3u8",
		entry + ".m3u8?aws.manifestfilter=video_bitrate:0-99000000", entry + ".m3u8?aws.manifestfilter=x", entry + ".m3u8?aws.manifestfilter=video_bitrate:1-2",
		entry + "_none.m3u8", "/live/streams/nobody.m3u8", "/live/streams/nobody/2020-01-01_00-00-00.000/live.m3u8", "/live/streams/nobody/2020-01-01_00-00-00.000/000000001.ts",
		"/live/streams/" + stream + "/2020-01-01_00-00-00.000/live.m3u8", "/live/streams/" + stream + "/2020-01-01_00-00-00.000/000000001.ts", entry + "-2020-01-01_00-00-00.000.m3u8",
		dir + fmt.Sprintf("%09d.ts", next), dir + fmt.Sprintf("%09d.ts", next+50), dir + fmt.Sprintf("v/%09d.m4s", next), dir + "000000001.99.ts", dir + "v/init-00000000.mp4",
		dir + segmenter.PartFile(next, 0), dir + segmenter.PartFile(next-1, 1), dir + "v/" + segmenter.FragmentPartFile(next, 0), dir + segmenter.PartFile(next, parts+7),
		"/healthz", "/nonsense", "/live/streams/../x",
	}
	for n := s.Base; n < s.Next(); n++ {
		paths = append(paths, dir+segmenter.SegmentFile(n), dir+"v/"+segmenter.FragmentFile(n))
	}
	begun, _ := s.Recording.Time()
	for _, at := range []time.Duration{-time.Hour, 5 * time.Second, 9 * time.Second} {
		start := begun.Add(at).UTC().Format("2006-01-02T15:04:05Z")
		end := begun.Add(at + 9*time.Second).UTC().Format("2006-01-02T15:04:05Z")
		paths = append(paths, entry+".m3u8?start="+start, entry+".mpd?start="+start+"&end="+end, dir+"live.m3u8?start="+start+"&end="+end, dir+"v/live.m3u8?start="+start+"&end="+end)
	}
	list := string(r.get(dir + "v/live.m3u8").body)
	_, rest, _ := strings.Cut(list, `URI="init-`)
	file, _, ok := strings.Cut(rest, `"`)
	if !ok {
		p.t.Fatalf("no init segment in %s", list)
	}
	return append(paths, dir+"v/init-"+file)
}

// same compares what both servers answer.
func (p *pair) same(method, path string, fields ...string) {
	p.t.Helper()
	want, got := p.owner.do(method, path, fields...), p.node.do(method, path, fields...)
	for _, h := range []http.Header{want.Header, got.Header} {
		h.Del("Date")
		h.Del("Connection")
	}
	if got.StatusCode != want.StatusCode || !bytes.Equal(got.body, want.body) || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) {
		p.t.Errorf("%s %s %q:\n%d %v %.200q\nwant\n%d %v %.200q", method, path, fields, got.StatusCode, got.Header, got.body, want.StatusCode, want.Header, want.body)
	}
}

// Every path of a running stream gives the same answer at both servers: status, header, bytes.
func TestAnyServerGivesTheSameAnswer(t *testing.T) {
	for _, mode := range []string{pollers, goroutines, http2} {
		t.Run(mode, func(t *testing.T) {
			p := newPair(t, mode, Options{})
			p.owner.low("cam", 43*time.Second)
			p.own("cam", false)
			dir := strings.TrimSuffix(p.owner.live("cam"), "live.m3u8")
			for n := range uint64(3) { // the bucket lags behind, and has a date of its own
				p.bucket.put(t, dir+segmenter.SegmentFile(n), p.owner.get(dir+segmenter.SegmentFile(n)).body)
			}
			for _, path := range p.paths("cam") {
				for range 2 { // the second comes from what is kept
					p.same("GET", path)
				}
				p.same("GET", path, "Accept-Encoding", "gzip")
				p.same("HEAD", path)
				p.same("HEAD", path, "Accept-Encoding", "gzip")
				p.same("GET", path, "Range", "bytes=10-99")
				a := p.owner.get(path)
				if tag := a.Header.Get("ETag"); tag != "" {
					p.same("GET", path, "If-None-Match", tag)
					p.same("GET", path, "If-None-Match", tag, "Accept-Encoding", "gzip")
					p.same("GET", path, "If-Modified-Since", a.Header.Get("Last-Modified"))
					p.same("GET", path, "Range", "bytes=5-", "If-Range", tag)
					p.same("GET", path, "If-Match", `"x"`)
				}
			}
			for query, status := range map[string]int{"?st%61rt=nonsense": 400, "?t%69me_delay=-1": 400, "?_HLS_%6dsn=1&_HLS_%6Dsn=1": 400, "?%73tart%=nonsense": 200, "?st%2561rt=nonsense": 200} { // a name may be escaped
				p.same("GET", p.owner.edge("cam")+query)
				p.owner.get(p.owner.edge("cam")+query).want(t, status)
			}
			p.same("POST", p.owner.live("cam"))
			p.same("OPTIONS", p.owner.live("cam"), "Origin", "https://example.com")
		})
	}
}

// soon waits for something that takes a moment.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within 20 s", what)
}

// However many viewers poll, the owner has one request that waits for each playlist, and viewers see what is new at once.
func TestManyViewersCostTheOwnerOnePoll(t *testing.T) {
	p := newPair(t, pollers, Options{})
	e := p.owner.publish("cam")
	e.run(21 * time.Second)
	p.own("cam", false)
	paths := []string{"/live/streams/cam.m3u8", p.owner.live("cam")}
	viewers := func() {
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() { p.node.get(paths[i%2]) })
		}
		all.Wait()
	}
	viewers()
	soon(t, "two polls", func() bool { return p.held.Load() == 2 })
	if n := p.requests.Load(); n > 4 {
		t.Errorf("%d requests at the owner", n)
	}
	var lags []time.Duration
	for range 10 {
		e.run(4 * time.Second)
		began := time.Now()
		want := p.owner.snapshot("cam").Live
		soon(t, "the new playlist", func() bool { return bytes.Equal(p.node.get(paths[1]).body, want.Body) })
		lags = append(lags, time.Since(began))
		before := p.requests.Load()
		viewers()
		if n := p.requests.Load() - before; n > 4 {
			t.Errorf("200 viewers cost %d requests", n)
		}
	}
	slices.Sort(lags)
	t.Logf("behind the owner, a viewer's request included: median %v, most %v", lags[len(lags)/2], lags[len(lags)-1])
	if lags[len(lags)/2] > time.Second {
		t.Errorf("behind by %v", lags)
	}
	if n := p.remote.Stats.Polls.Load(); n != 2 {
		t.Errorf("%d playlists are followed", n)
	}
}

// A viewer who waits for a part at a server gets it as soon as the owner has it; a thousand who wait for it are one there.
func TestPartsAreAwaitedElsewhere(t *testing.T) {
	for _, mode := range []string{pollers, goroutines} {
		t.Run(mode, func(t *testing.T) {
			p := newPair(t, mode, Options{})
			e := p.owner.low("cam", 21*time.Second)
			p.own("cam", false)
			next, parts := p.owner.newest("cam")
			dir := strings.TrimSuffix(p.owner.live("cam"), "live.m3u8")
			p.node.get(dir + "ll.m3u8")
			before := p.requests.Load()
			reload, part := fmt.Sprintf("%sll.m3u8?_HLS_msn=%d&_HLS_part=%d", dir, next, parts), dir+segmenter.PartFile(next, parts)
			var all []later
			for range 20 {
				all = append(all, p.node.ask(reload), p.node.ask(part))
			}
			soon(t, "two requests", func() bool { return p.requests.Load() >= before+2 })
			for _, l := range all {
				l.waits(t)
			}
			e.run(partsLong)
			want := p.owner.get(reload)
			bytesOfPart := p.owner.get(part).body
			for i, l := range all {
				a := l.answer(t)
				if i%2 == 0 {
					a.want(t, 200, "Cache-Control", edgeAge)
					if !bytes.Equal(a.body, want.body) {
						t.Fatalf("%s, want %s", a.body, want.body)
					}
				} else if a.want(t, 200); !bytes.Equal(a.body, bytesOfPart) {
					t.Fatal("another part")
				}
			}
			if n := p.requests.Load() - before; n > 10 { // the playlist is followed besides, with each of its parts
				t.Errorf("%d requests at the owner", n)
			}
		})
	}
}

// A server that goes away leaves its streams stalled: with the last playlist that is known, be it from the bucket. When it comes back, they go on.
func TestOwnerGoesAndComesBack(t *testing.T) {
	p := newPair(t, pollers, Options{})
	e := p.owner.publish("cam")
	e.run(21 * time.Second)
	p.own("cam", false)
	live, entry := p.owner.live("cam"), "/live/streams/cam.m3u8"
	old := p.owner.get(live)
	p.bucket.put(t, live, old.body)
	p.bucket.put(t, entry, p.owner.get(entry).body)
	p.bucket.put(t, p.owner.segment("cam", 3), p.owner.get(p.owner.segment("cam", 3)).body)
	e.run(4 * time.Second)
	newer := p.owner.get(live)
	p.node.get(live)

	away := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	p.answer.Store(&away)
	p.front.CloseClientConnections()
	began := time.Now()
	for range 20 {
		a := p.node.get(live)
		a.want(t, 200, "Cache-Control", "public, max-age=2, stale-if-error=4")
		if !bytes.Equal(a.body, newer.body) {
			t.Fatalf("the playlist went back: %s", a.body)
		}
		p.node.get(entry).want(t, 200)
		p.node.get(p.owner.segment("cam", 3)).want(t, 200, "Cache-Control", segmenter.AgeSegment)
	}
	if n := p.requests.Load(); float64(n) > 40+20*time.Since(began).Seconds() {
		t.Errorf("%d requests at a server that is away, in %v", n, time.Since(began))
	}
	p.answer.Store(nil)
	e.run(4 * time.Second)
	want := p.owner.get(live)
	soon(t, "the owner's playlist", func() bool { return bytes.Equal(p.node.get(live).body, want.body) })
}

// The bucket's playlist may reach as far as that which viewers had last from the owner, and begin earlier: what they have had does not go back.
func TestOwnerGoesAndBucketBeginsEarlier(t *testing.T) {
	p := newPair(t, pollers, Options{})
	e := p.owner.publish("cam")
	e.run(61 * time.Second)
	p.own("cam", false)
	live := p.owner.live("cam")
	had := p.owner.get(live)
	m, err := m3u8.ParseMedia(had.body)
	if err != nil || m.MediaSequence == 0 {
		t.Fatalf("%v: %s", err, had.body)
	}
	head, rows, _ := strings.Cut(string(had.body), fmt.Sprintf("#EXT-X-MEDIA-SEQUENCE:%d\n", m.MediaSequence))
	at := strings.Index(rows, "#EXTINF:")
	earlier := head + fmt.Sprintf("#EXT-X-MEDIA-SEQUENCE:%d\n", m.MediaSequence-1) + rows[:at] + "#EXTINF:2.00000,\n" + segmenter.SegmentFile(m.MediaSequence-1) + "\n" + rows[at:]
	p.bucket.put(t, live, []byte(earlier))
	p.node.get(live)
	away := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	p.answer.Store(&away)
	p.front.CloseClientConnections()
	for range 20 {
		if a := p.node.get(live); !bytes.Equal(a.body, had.body) {
			t.Fatalf("the playlist went back: %s", a.body)
		}
	}
}

// The bucket has a segment a moment before its server lists it: who was shown the bucket's playlist, because that server could not be reached, is
// not shown its older one when it can.
func TestBucketIsAheadOfOwner(t *testing.T) {
	p := newPair(t, pollers, Options{})
	e := p.owner.publish("cam")
	e.run(61 * time.Second)
	p.own("cam", false)
	live := p.owner.live("cam")
	track := strings.TrimSuffix(live, "live.m3u8") + "v/live.m3u8"
	older, olderTrack := p.owner.get(live), p.owner.get(track)
	e.run(4 * time.Second)
	newer, newerTrack := p.owner.get(live), p.owner.get(track)
	p.bucket.put(t, live, newer.body)
	for s, n := p.owner.snapshot("cam"), uint64(0); n < s.Next(); n++ {
		if seg := p.owner.segment("cam", n); n >= s.Base {
			p.bucket.put(t, seg, p.owner.get(seg).body)
		}
	}
	away := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	behind := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := older
		switch {
		case r.URL.Path == track:
			a = olderTrack
		case r.URL.Path != live:
			p.owner.origin.ServeLocal(w, r)
			return
		}
		if r.Header.Get("Hlsorigin-Wait") != "" {
			<-r.Context().Done()
			return
		}
		for _, name := range []string{"Cache-Control", "ETag", "Last-Modified", "Content-Type", "X-Hls-Last-Sequence", "X-Hls-Last-Updated"} {
			w.Header().Set(name, a.Header.Get(name))
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
		_, _ = w.Write(a.body)
	})
	p.answer.Store(&away)
	for path, want := range map[string]reply{live: newer, track: newerTrack} {
		if a := p.node.get(path); !bytes.Equal(a.body, want.body) {
			t.Fatalf("from the bucket: %s", a.body)
		}
	}
	p.answer.Store(&behind)
	for path, want := range map[string]reply{live: newer, track: newerTrack} {
		was, times := p.remote.Stats.Answered.Load(), 0
		soon(t, "the owner answers again", func() bool {
			if a := p.node.get(path); !bytes.Equal(a.body, want.body) {
				t.Fatalf("the playlist went back: %s", a.body)
			}
			if p.remote.Stats.Answered.Load() > was {
				times++
			}
			return times > 5
		})
	}
	p.answer.Store(nil)
	e.run(4 * time.Second)
	p.front.CloseClientConnections()
	want := p.owner.get(live)
	soon(t, "the owner's playlist", func() bool { return bytes.Equal(p.node.get(live).body, want.body) })
}

// Who has never seen the owner has the bucket.
func TestOwnerIsDead(t *testing.T) {
	p := newPair(t, pollers, Options{})
	p.owner.publish("cam").run(21 * time.Second)
	p.own("cam", false)
	live, entry := p.owner.live("cam"), "/live/streams/cam.m3u8"
	seen := p.owner.get(live)
	p.bucket.put(t, live, seen.body)
	p.bucket.put(t, entry, p.owner.get(entry).body)
	p.bucket.age = "public, max-age=2"
	p.front.Close()
	a := p.node.get(live)
	a.want(t, 200, "Cache-Control", "public, max-age=2, stale-if-error=4", "Content-Type", segmenter.TypePlaylist, "X-HLS-Last-Sequence", seen.Header.Get("X-HLS-Last-Sequence"))
	if !bytes.Equal(a.body, seen.body) {
		t.Errorf("%s", a.body)
	}
	p.node.get(entry).want(t, 200, "Cache-Control", "public, max-age=2") // as it is stored
	p.node.get("/live/streams/cam_cmaf.m3u8").want(t, 200)               // made of the bucket's
	began := time.Now()
	for range 50 {
		p.node.get(live).want(t, 200)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("50 viewers waited %v", took)
	}
	p.own("cam", true)
	soon(t, "a stream that is over", func() bool { return p.node.get(entry).StatusCode == 404 })
	p.node.get(live).want(t, 200) // a recording stays
}

// This server has claimed a recording, and its timeline is not there yet: viewers have what the bucket has. Where nobody comes to go on with it,
// there is nothing.
func TestRecordingIsBeingTakenOver(t *testing.T) {
	var comes atomic.Bool
	p := newPair(t, pollers, Options{Taking: func(app, stream string) bool { return comes.Load() && app == "live" && stream == "cam" }})
	e := p.owner.publish("cam")
	e.run(21 * time.Second)
	live, entry := p.owner.live("cam"), "/live/streams/cam.m3u8"
	p.bucket.put(t, live, p.owner.get(live).body)
	p.bucket.put(t, entry, p.owner.get(entry).body)
	p.mu.Lock()
	p.of["cam"] = remote.Owner{Recording: p.owner.snapshot("cam").Recording}
	p.mu.Unlock()
	p.node.get(entry).want(t, 404)
	comes.Store(true)
	p.node.get(entry).want(t, 200)
	p.node.get(live).want(t, 200)
	for _, path := range []string{entry, live} { // another server asks, which knows by the claim that the stream is here
		w := httptest.NewRecorder()
		if p.node.origin.ServeLocal(w, httptest.NewRequest("GET", path, nil)); w.Code != 200 {
			t.Errorf("another server is told %d of %s", w.Code, path)
		}
	}
	ended := func(yes bool) {
		p.mu.Lock()
		p.of["cam"] = remote.Owner{Recording: p.owner.snapshot("cam").Recording, Ended: yes}
		p.mu.Unlock()
		p.remote.Lost("live", "cam")
	}
	ended(true)
	w := httptest.NewRecorder()
	if p.node.origin.ServeLocal(w, httptest.NewRequest("GET", entry, nil)); w.Code != 404 {
		t.Errorf("another server is told %d of a show that is over, while the next is about to begin", w.Code)
	}
	ended(false)
	e.run(5 * time.Second)
	more := p.owner.get(live).body
	p.bucket.put(t, live, more)
	if got := p.node.get(live).body; !bytes.Equal(got, more) {
		t.Errorf("the bucket has more by now, and viewers elsewhere may have seen it: %s", got)
	}
	comes.Store(false)
	p.node.get(entry).want(t, 404)
}

// A server that has taken a recording over, and has lost it again, shows what the bucket has by now: neither what it read there before it took
// the recording over, nor what it read meanwhile.
func TestTakenIsLostAgain(t *testing.T) {
	var comes atomic.Bool
	var forgotten atomic.Int64
	p := newPair(t, pollers, Options{Taking: func(string, string) bool { return comes.Load() }, Forget: func(match func(string) bool) { forgotten.Add(1) }})
	e := p.owner.publish("cam")
	e.run(21 * time.Second)
	live := p.owner.live("cam")
	id := p.owner.snapshot("cam").Recording
	p.bucket.put(t, live, p.owner.get(live).body)
	set := func(address string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.of["cam"] = remote.Owner{Address: address, Recording: id}
	}
	dead := "http://127.0.0.1:1" // nobody answers there
	more := func() []byte {
		e.run(6 * time.Second)
		body := p.owner.get(live).body
		p.bucket.put(t, live, body)
		return body
	}
	shown := func(when string, want []byte) {
		t.Helper()
		if got := p.node.get(live).body; !bytes.Equal(got, want) {
			t.Errorf("%s viewers are shown what was there before: %s", when, got)
		}
	}
	set(dead)
	p.node.get(live).want(t, 200)
	p.remote.Took("live", "cam", id) // the rest of it is not here
	p.node.origin.Loses("live", "cam", id)
	if forgotten.Load() == 0 {
		t.Error("what the archive keeps was not forgotten")
	}
	shown("what was read before the takeover:", more())

	set("")
	comes.Store(true)
	soon(t, "a recording that is taken over", func() bool {
		forgotten.Store(0)
		p.node.get(live).want(t, 200)
		return forgotten.Load() > 0
	})
	comes.Store(false)
	p.node.origin.Loses("live", "cam", id)
	set(dead)
	shown("what was read between the claim and the timeline:", more())
}

// A stream changes hands: viewers are told by the new owner, and no ENDLIST of the old one reaches them.
func TestStreamMoves(t *testing.T) {
	p := newPair(t, pollers, Options{})
	e := p.owner.publish("cam")
	e.run(21 * time.Second)
	p.own("cam", false)
	live := p.owner.live("cam")
	p.node.get(live).want(t, 200)
	soon(t, "the poll", func() bool { return p.held.Load() == 1 })

	fine := p.owner.get(live).body
	moved := append(bytes.Clone(fine), "#EXTINF:4.000,\n000000099.ts\n"...)
	taker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Hlsorigin-Wait") != "" {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
			return
		}
		pl, _ := newPlaylist(moved, time.Now())
		for name, v := range map[string]string{"Cache-Control": "public, max-age=2", "ETag": pl.ETag, "Last-Modified": httpDate(pl.Modified), "Content-Type": segmenter.TypePlaylist, "Content-Length": fmt.Sprint(len(moved))} {
			w.Header().Set(name, v)
		}
		_, _ = w.Write(moved)
	}))
	defer taker.Close()
	p.mu.Lock()
	p.of["cam"] = remote.Owner{Address: taker.URL, Recording: p.owner.snapshot("cam").Recording}
	p.mu.Unlock()
	e.end() // the old owner stands down
	soon(t, "the new owner's playlist", func() bool {
		a := p.node.get(live)
		if bytes.Contains(a.body, []byte("ENDLIST")) {
			t.Fatal("viewers are told that the stream has ended")
		}
		return bytes.Equal(a.body, moved)
	})
	// At the old owner, too.
	p.same("GET", "/healthz")
}

// What another server answers may be anything.
func TestOwnerAnswersGarbage(t *testing.T) {
	good := func(w http.ResponseWriter, body string) {
		w.Header().Set("Cache-Control", "public, max-age=2")
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", httpDate(time.Now()))
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	for name, h := range map[string]http.HandlerFunc{
		"a redirect":       func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", 302) },
		"no cache control": func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "#EXTM3U\n") },
		"no length": func(w http.ResponseWriter, r *http.Request) {
			good(w, "")
			w.Header().Del("Content-Length")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "#EXTM3U\n")
		},
		"too large": func(w http.ResponseWriter, r *http.Request) {
			good(w, "")
			w.Header().Set("Content-Length", "99999999999")
		},
		"less than it says": func(w http.ResponseWriter, r *http.Request) { good(w, "#EXTM3U\n"); _, _ = io.WriteString(w, "#EXT") },
		"no entity tag": func(w http.ResponseWriter, r *http.Request) {
			good(w, "#EXTM3U\n")
			w.Header().Del("ETag")
			_, _ = io.WriteString(w, "#EXTM3U\n")
		},
		"gzip that is none": func(w http.ResponseWriter, r *http.Request) {
			good(w, "#EXTM3U\n")
			w.Header().Set("ETag", `"x-gz"`)
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "#EXTM3U\n")
		},
		"a status of its own": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(418)
		},
		"the wrong secret": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(401)
		},
		"304 unasked": func(w http.ResponseWriter, r *http.Request) { good(w, ""); w.WriteHeader(304) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, pollers, Options{})
			p.owner.publish("cam").run(21 * time.Second)
			p.own("cam", false)
			p.answer.Store(&h)
			p.node.get(p.owner.live("cam")).want(t, 404) // neither the owner nor the bucket has it
			p.bucket.put(t, p.owner.live("cam"), p.owner.get(p.owner.live("cam")).body)
			soon(t, "what the bucket has", func() bool { return p.node.get(p.owner.live("cam")).StatusCode == 200 })
			p.node.get("/live/streams/cam/2020-01-01_00-00-00.000/000000001.ts").want(t, 404)
		})
	}
}

// A server that neither answers nor closes is found out by those who wait for it, once.
func TestOwnerHangs(t *testing.T) {
	p := newPair(t, pollers, Options{})
	p.owner.publish("cam").run(21 * time.Second)
	live := p.owner.live("cam")
	p.bucket.put(t, live, p.owner.get(live).body)
	stuck := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	}))
	defer hung.Close()
	defer close(stuck)
	p.mu.Lock()
	p.of["cam"] = remote.Owner{Address: hung.URL, Recording: p.owner.snapshot("cam").Recording}
	p.mu.Unlock()
	began := time.Now()
	p.node.get(live).want(t, 200)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A bucket that takes requests and does not answer keeps nobody from the segments of a server that does.
func TestBucketHangs(t *testing.T) {
	p := newPair(t, pollers, Options{})
	p.owner.publish("cam").run(21 * time.Second)
	p.own("cam", false)
	live := p.owner.live("cam")
	p.node.get(live).want(t, 200)
	p.hangs.Store(true)
	for _, name := range []string{"000000001.ts", "000000002.ts", "000000001.ts"} {
		began := time.Now()
		got := p.node.get(strings.TrimSuffix(live, "live.m3u8") + name)
		got.want(t, 200)
		if took := time.Since(began); took > 10*time.Second || !bytes.Equal(got.body, p.owner.get(strings.TrimSuffix(live, "live.m3u8")+name).body) {
			t.Errorf("%s: %v, %d bytes", name, took, len(got.body))
		}
	}
}

// Names that nobody has are looked up once a second each, and not more of them than a bound; who owns what is not forgotten for them.
func TestNamesThatNobodyHas(t *testing.T) {
	p := newPair(t, pollers, Options{})
	p.owner.publish("cam").run(21 * time.Second)
	p.own("cam", false)
	for range 20 {
		p.node.get("/live/streams/nobody.m3u8").want(t, 404, "Cache-Control", "max-age=3")
	}
	if n := p.lookups.Load(); n > 5 {
		t.Errorf("%d look-ups for one name", n)
	}
	began, before := time.Now(), p.lookups.Load()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 200 {
				p.node.get(fmt.Sprintf("/live/streams/hostile-%d-%d.m3u8", i, n))
			}
		})
	}
	all.Wait()
	if n, most := p.lookups.Load()-before, 200*int64(time.Since(began)/time.Second+2); n > most {
		t.Errorf("%d look-ups in %v", n, time.Since(began))
	}
	soon(t, "the stream that somebody has", func() bool { return p.node.get(p.owner.live("cam")).StatusCode == 200 })
	p.mu.Lock()
	p.err = context.DeadlineExceeded // the bucket is away
	p.mu.Unlock()
	p.node.get(p.owner.live("cam")).want(t, 200)
	p.node.get("/live/streams/who.m3u8").want(t, 503, "Cache-Control", "no-store")
}

// BenchmarkAnswerInACluster is BenchmarkAnswer for a stream that is here, and for one that another server has.
func BenchmarkAnswerInACluster(b *testing.B) {
	p := newPair(b, pollers, Options{})
	p.node.publish("here").run(41 * time.Second)
	p.owner.publish("cam").run(41 * time.Second)
	p.own("cam", false)
	p.node.get(p.owner.live("cam"))
	for _, c := range []struct{ name, path string }{{"here/playlist", p.node.live("here")}, {"here/segment", p.node.segment("here", 5)}, {"elsewhere/playlist", p.owner.live("cam")}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req := http1.Request{Method: http1.MethodGet, Path: c.path, AcceptEncoding: "gzip"}
				var res http1.Response
				p.node.origin.answer(b.Context(), &req, &res)
				if res.Status != 200 {
					b.Fatal(res.Status)
				}
				res.Reset()
			}
		})
	}
}
