package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

const dir = "/live/streams/cam/2024-05-01_10-00-00.000/"

// rig is a Remote with one other server, and a clock that a test moves.
type rig struct {
	*Remote
	t       *testing.T
	url     string
	serve   atomic.Pointer[http.HandlerFunc]
	awaited atomic.Pointer[http.HandlerFunc] // what it answers to requests that wait; nil: nothing
	asked   atomic.Int64
	waiting atomic.Int64

	mu    sync.Mutex
	now   time.Time
	real  bool          // it is the machine's
	tick  time.Duration // by which the clock moves whenever it is looked at
	owner Owner
	err   error
	hang  func(ctx context.Context) // before it is said whose a stream is; nil: nothing
}

func (r *rig) Owner(ctx context.Context, _, _ string) (Owner, error) {
	r.mu.Lock()
	hang := r.hang
	r.mu.Unlock()
	if hang != nil {
		hang(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owner, r.err
}

func (r *rig) set(owner Owner, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owner, r.err = owner, err
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.real {
		return time.Now()
	}
	r.now = r.now.Add(r.tick)
	return r.now
}

func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func newRig(t *testing.T, o Options) *rig {
	r := &rig{t: t, now: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/cluster/v1/node" {
			return
		}
		r.asked.Add(1)
		if req.Header.Get(waitHeader) != "" {
			r.waiting.Add(1)
			defer r.waiting.Add(-1)
			if h := r.awaited.Load(); h != nil {
				(*h)(w, req)
				return
			}
			<-req.Context().Done()
			return
		}
		(*r.serve.Load())(w, req)
	}))
	t.Cleanup(s.Close)
	r.url, r.owner = s.URL, Owner{Address: s.URL, Recording: "2024-05-01_10-00-00.000"}
	o.Owners, o.Now = r, r.clock
	r.Remote = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil || r.waiting.Load() > 0 && r.running > 0 {
			t.Errorf("%v, %d requests are left", err, r.running)
		}
		if got := r.Ask(query(dir + "live.m3u8")); got.Verdict != Busy {
			t.Errorf("after the end: %+v", got)
		}
	})
	r.answer(func(w http.ResponseWriter, req *http.Request) {
		send(w, segmenter.AgeSegment, bytes.Repeat([]byte("x"), 10<<10))
	})
	return r
}

func (r *rig) answer(h http.HandlerFunc) { r.serve.Store(&h) }

func send(w http.ResponseWriter, age string, body []byte) {
	h := w.Header()
	h.Set("Cache-Control", age)
	h.Set("ETag", fmt.Sprintf(`"%d"`, len(body)))
	h.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	h.Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body)
}

func query(path string) Query {
	n, ok := segmenter.ParseName(path[1:])
	if !ok {
		panic(path)
	}
	return Query{Name: n, Path: path}
}

// get asks until there is a reply.
func (r *rig) get(q Query) Reply {
	r.t.Helper()
	late := time.After(20 * time.Second)
	for {
		rep := r.Ask(q)
		if rep.Verdict != Pending {
			return rep
		}
		select {
		case <-rep.Wait:
			q.Held = true
		case <-late:
			r.t.Fatalf("%s: no reply", q.Path)
		}
	}
}

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// What never changes is asked for once as long as there is memory for it; the rest for each news.
func TestObjectsAreKeptWithinTheirBound(t *testing.T) {
	r := newRig(t, Options{MaxBytes: 64 << 10})
	segment := func(n uint64) string { return dir + segmenter.SegmentFile(n) }
	for range 3 {
		if rep := r.get(query(segment(1))); rep.Verdict != Away || len(rep.Answer.Body) != 10<<10 {
			t.Fatalf("%+v", rep)
		}
		r.advance(time.Minute)
	}
	if n := r.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if _, ok := r.Found(query(segment(1))); !ok {
		t.Error("it is not found")
	}
	for n := range uint64(50) {
		r.get(query(segment(n + 2)))
		if r.Bytes() > 64<<10 {
			t.Fatalf("%d bytes", r.Bytes())
		}
	}
	if _, ok := r.Found(query(segment(1))); ok {
		t.Error("it did not make room")
	}
	if rep := r.get(query(segment(51))); rep.Verdict != Away || r.asked.Load() != 51 {
		t.Errorf("%+v, asked %d times", rep, r.asked.Load())
	}
	r.answer(func(w http.ResponseWriter, req *http.Request) {
		send(w, segmenter.AgeSegment, make([]byte, 128<<10))
	})
	if rep := r.get(query(segment(99))); rep.Verdict != Busy {
		t.Errorf("more than there is memory for: %v", rep.Verdict)
	}
	r.answer(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1")
		w.WriteHeader(404)
	})
	before := r.asked.Load()
	for range 3 {
		if rep := r.get(query(segment(200))); rep.Verdict != Away || rep.Answer.Status != 404 {
			t.Errorf("%+v", rep)
		}
	}
	r.advance(2 * time.Second)
	r.get(query(segment(200)))
	if n := r.asked.Load() - before; n != 2 {
		t.Errorf("what is not there was asked for %d times", n)
	}
}

// Requests at other servers are bounded.
func TestRequestsAreBounded(t *testing.T) {
	r := newRig(t, Options{MaxRequests: 3})
	let := make(chan struct{})
	r.answer(func(w http.ResponseWriter, req *http.Request) {
		<-let
		send(w, segmenter.AgeSegment, []byte("x"))
	})
	r.until("whose it is", func() bool { return r.Whose("live", "cam").Verdict == Away })
	var waits []<-chan struct{}
	for n := range uint64(3) {
		rep := r.Ask(query(dir + segmenter.SegmentFile(n)))
		if rep.Verdict != Pending {
			t.Fatalf("%+v", rep)
		}
		waits = append(waits, rep.Wait)
	}
	r.until("three requests", func() bool { return r.asked.Load() >= 3 })
	if rep := r.Ask(query(dir + segmenter.SegmentFile(9))); rep.Verdict != Busy {
		t.Errorf("a fourth: %v", rep.Verdict)
	}
	if rep := r.Ask(query(dir + segmenter.SegmentFile(2))); rep.Verdict != Pending {
		t.Errorf("one that is made: %v", rep.Verdict)
	}
	close(let)
	for _, w := range waits {
		<-w
	}
	if rep := r.get(query(dir + segmenter.SegmentFile(9))); rep.Verdict != Away {
		t.Errorf("afterwards: %v", rep.Verdict)
	}
}

// A playlist that nobody wants any more is not followed.
func TestPlaylistIsFollowedAsLongAsItIsWanted(t *testing.T) {
	r := newRig(t, Options{})
	r.answer(func(w http.ResponseWriter, req *http.Request) {
		send(w, "public, max-age=2", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n"))
	})
	q := query(dir + "live.m3u8")
	rep := r.get(q)
	if rep.Verdict != Away || rep.Copy == nil || rep.Copy.Ready() != rep.Answer {
		t.Fatalf("%+v", rep)
	}
	r.until("the poll", func() bool { return r.waiting.Load() == 1 })
	if r.Stats.Polls.Load() != 1 {
		t.Errorf("%d polls", r.Stats.Polls.Load())
	}
	r.until("its end", func() bool {
		r.advance(time.Second) // that somebody wanted it may be seen late
		return r.Stats.Polls.Load() == 0 && r.waiting.Load() == 0
	})
	if rep.Copy.Ready() != nil || r.Bytes() > 2<<10 {
		t.Errorf("it is still there: %d bytes", r.Bytes())
	}
	if again := r.get(q); again.Verdict != Away || again.Copy == rep.Copy {
		t.Errorf("%+v", again)
	}
}

// What another server said of a stream counts no more when this one has taken it, and when it has let go of it; nor does a look-up that was
// begun before.
func TestStreamMovesHere(t *testing.T) {
	r := newRig(t, Options{})
	r.answer(func(w http.ResponseWriter, req *http.Request) {
		send(w, "public, max-age=2", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n"))
	})
	q, id := query(dir+"live.m3u8"), segmenter.RecordingID("2024-05-01_10-00-00.000")
	theirs := r.owner
	rep := r.get(q)
	if rep.Verdict != Away || rep.Copy.Ready() == nil {
		t.Fatalf("%+v", rep)
	}
	let, begun := make(chan struct{}), make(chan struct{}, 8)
	r.mu.Lock()
	r.hang = func(context.Context) {
		begun <- struct{}{}
		<-let
	}
	r.mu.Unlock()
	late := q
	late.Path, late.Since = dir+"other.m3u8", r.clock()
	r.advance(time.Second)
	late.Since = r.clock()
	waits := r.Ask(late)
	if waits.Verdict != Pending {
		t.Fatalf("%+v", waits)
	}
	<-begun // it will say that the stream is the other server's
	r.Took("live", "cam", id)
	if rep.Copy.Ready() != nil {
		t.Error("what the other server said is still shown")
	}
	if got := r.Ask(q); got.Verdict != Here || got.Owner.Recording != id {
		t.Errorf("%+v", got)
	}
	close(let)
	<-waits.Wait
	if got := r.Ask(q); got.Verdict != Here {
		t.Errorf("a look-up that was begun before has the last word: %+v", got)
	}
	r.mu.Lock()
	r.hang = nil
	r.mu.Unlock()
	r.set(theirs, nil)
	r.Lost("live", "cam", id)
	if got := r.Ask(q); got.Verdict != Pending {
		t.Errorf("whose it is was not asked anew: %+v", got)
	}
	if got := r.get(q); got.Verdict != Away || got.Copy == rep.Copy {
		t.Errorf("%+v", got)
	}
	r.until("the former copy is let go of", func() bool { return r.Stats.Polls.Load() == 1 })
}

// Whose a stream is: nobody's, this server's, not to be found out, and found out once.
func TestWhose(t *testing.T) {
	r := newRig(t, Options{})
	q := query(dir + segmenter.SegmentFile(1))
	r.set(Owner{}, fs.ErrNotExist)
	if rep := r.get(q); rep.Verdict != Here {
		t.Errorf("nobody's: %v", rep.Verdict)
	}
	r.set(Owner{Recording: "2024-05-01_10-00-00.000"}, nil)
	if rep := r.get(q); rep.Verdict != Here {
		t.Errorf("within the second: %v", rep.Verdict)
	}
	r.advance(time.Second)
	if rep := r.get(q); rep.Verdict != Here {
		t.Errorf("this server's: %v", rep.Verdict)
	}
	r.advance(time.Second)
	r.set(Owner{Address: r.url, Recording: "2024-05-01_10-00-00.000"}, nil)
	if rep := r.get(q); rep.Verdict != Away {
		t.Errorf("another's: %v", rep.Verdict)
	}
	r.advance(time.Second)
	r.set(Owner{}, errors.New("the bucket is away"))
	q = query(dir + segmenter.SegmentFile(2))
	if rep := r.get(q); rep.Verdict != Away {
		t.Errorf("another's as far as is known: %v", rep.Verdict)
	}
	other := query(strings.Replace(dir, "cam", "other", 1) + segmenter.SegmentFile(2))
	if rep := r.get(other); rep.Verdict != Unsure {
		t.Errorf("not to be found out: %v", rep.Verdict)
	}
	r.set(Owner{Address: r.url, Recording: "2024-06-01_10-00-00.000", Ended: true}, nil)
	r.advance(time.Second)
	if rep := r.get(query(dir + segmenter.SegmentFile(3))); rep.Verdict != Here {
		t.Errorf("an old recording of a stream that is over: %v", rep.Verdict)
	}
	since := query(dir + segmenter.SegmentFile(4))
	since.Since = r.clock().Add(-time.Hour)
	before := r.Stats.Lookups.Load()
	r.get(since)
	if r.Stats.Lookups.Load() != before {
		t.Error("it was looked up again")
	}
	r.advance(100 * time.Millisecond)
	since.Since = r.clock()
	if rep := r.get(since); rep.Verdict != Here || r.Stats.Lookups.Load() != before+1 {
		t.Errorf("%v, %d look-ups", rep.Verdict, r.Stats.Lookups.Load()-before)
	}
}

// A server that another has taken a stream from may have let go of it before anybody asks whose it is now: who is told that there is nothing
// does not come back, so it is asked then.
func TestFormerOwnerHasNothing(t *testing.T) {
	const entry = "/live/streams/cam.m3u8"
	list := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			send(w, "public, max-age=2", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n"+text))
		}
	}
	next := func(r *rig) (url string) {
		s := httptest.NewServer(list("# of the next one\n"))
		t.Cleanup(s.Close)
		return s.URL
	}
	moving := func(r *rig, to Owner) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			r.set(to, nil)
			w.Header().Set("Cache-Control", "public, max-age=1")
			w.WriteHeader(404)
		}
	}
	for name, here := range map[string]bool{"another has it": false, "this one has it": true} {
		check := func(r *rig, rep Reply) {
			t.Helper()
			switch {
			case here && rep.Verdict != Here:
				t.Errorf("%s: %v, %+v", name, rep.Verdict, rep.Answer)
			case !here && (rep.Verdict != Away || rep.Answer.Status != 200 || !bytes.Contains(rep.Answer.Body, []byte("next"))):
				t.Errorf("%s: %v, %+v", name, rep.Verdict, rep.Answer)
			}
		}
		to := func(r *rig) Owner {
			o := Owner{Recording: "2024-05-01_10-00-00.000"}
			if !here {
				o.Address = next(r)
			}
			return o
		}
		once := newRig(t, Options{})
		once.tick = time.Microsecond
		once.answer(moving(once, to(once)))
		check(once, once.get(query(entry)))

		followed := newRig(t, Options{})
		followed.tick = time.Microsecond
		followed.answer(list(""))
		gone := moving(followed, to(followed))
		followed.awaited.Store(&gone)
		q := query(entry)
		followed.until("it is the next one's", func() bool {
			rep := followed.get(q)
			if rep.Answer != nil && rep.Answer.Status != 200 {
				t.Fatalf("%s: viewers are told %d", name, rep.Answer.Status)
			}
			return rep.Verdict == Here || rep.Answer != nil && bytes.Contains(rep.Answer.Body, []byte("next"))
		})
		check(followed, followed.get(q))
	}
}

// A server that was away and is back may know less than the one that has taken its streams: for a while it is not believed for longer than it
// takes to ask, though nothing new is due from it yet. What it shows meanwhile comes from its own past.
func TestServerThatWasAwayIsDoubted(t *testing.T) {
	r := newRig(t, Options{Patience: 100 * time.Millisecond})
	r.real = true
	list := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			send(w, "public, max-age=2", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:30\n"+text))
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get(waitHeader) != "" {
			<-req.Context().Done()
			return
		}
		list("# of the next one\n")(w, req)
	}))
	t.Cleanup(other.Close)
	r.answer(list(""))
	away := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.awaited.Store(nil) // the next time it waits
		w.WriteHeader(503)   // it is stopping
	})
	r.awaited.Store(&away)
	q := query(dir + "live.m3u8")
	r.get(q)
	r.until("it was away, and is back", func() bool { return r.asked.Load() >= 3 && r.get(q).Verdict == Away })
	r.set(Owner{Address: other.URL, Recording: "2024-05-01_10-00-00.000"}, nil)
	began := time.Now()
	r.until("it is the next one's", func() bool {
		rep := r.get(q)
		return rep.Answer != nil && bytes.Contains(rep.Answer.Body, []byte("next"))
	})
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("after %v", took)
	}
}

// However many names are asked for, those remembered are bounded.
func TestNamesAreBounded(t *testing.T) {
	r := newRig(t, Options{MaxNames: 64, MaxLookups: 1 << 30})
	r.set(Owner{}, fs.ErrNotExist)
	for n := range 1000 {
		r.get(query(fmt.Sprintf("/live/streams/x%d.m3u8", n)))
	}
	if n := len(r.names.young) + len(r.names.old); n > 64 {
		t.Errorf("%d names", n)
	}
}

// whose asks whose a stream is until that is known.
func (r *rig) whose(stream string) Reply {
	r.t.Helper()
	late := time.After(20 * time.Second)
	for range 20 {
		rep := r.Whose("live", stream)
		if rep.Verdict != Pending {
			return rep
		}
		select {
		case <-rep.Wait:
		case <-late:
			r.t.Fatal("it is not said whose a stream is")
		}
	}
	r.t.Fatal("it is asked again and again whose a stream is")
	return Reply{}
}

// A bucket that hangs keeps nobody from the server that has a stream, and that it does is found out once a second, not by each viewer.
func TestBucketHangs(t *testing.T) {
	r := newRig(t, Options{})
	if rep := r.whose("cam"); rep.Verdict != Away {
		t.Fatalf("%+v", rep)
	}
	r.advance(2 * time.Second)
	began, over := make(chan struct{}), make(chan struct{})
	r.mu.Lock()
	r.hang, r.err = func(ctx context.Context) {
		close(began)
		select {
		case <-over:
		case <-ctx.Done():
		}
	}, context.DeadlineExceeded
	r.mu.Unlock()
	if rep := r.whose("cam"); rep.Verdict != Away || rep.Owner.Address != r.url {
		t.Errorf("while it hangs: %+v", rep)
	}
	<-began
	close(over)
	for slow := true; slow; <-time.After(time.Millisecond) {
		r.Remote.mu.Lock()
		slow = r.names.find("live/cam", 100).slow
		r.Remote.mu.Unlock()
	}
	r.mu.Lock()
	r.hang = func(context.Context) { r.advance(lookupTime) } // as long as it is asked in vain
	r.mu.Unlock()
	if rep := r.whose("cam"); rep.Verdict != Away || rep.Owner.Address != r.url {
		t.Errorf("afterwards: %+v", rep)
	}
	for range 3 {
		if rep := r.whose("unknown"); rep.Verdict != Unsure {
			t.Errorf("a stream that was not known before: %+v", rep)
		}
	}
	r.set(Owner{Address: "http://other", Recording: "2024-05-01_10-00-00.000"}, nil)
	r.mu.Lock()
	r.hang = nil
	r.mu.Unlock()
	r.advance(2 * time.Second)
	for _, stream := range []string{"cam", "unknown"} {
		if rep := r.whose(stream); rep.Verdict != Away || rep.Owner.Address != "http://other" {
			t.Errorf("%s, when it answers: %+v", stream, rep)
		}
	}
}

// Requests that wait, of which a viewer can make as many different ones as he likes, leave places for others.
func TestQueriesLeavePlaces(t *testing.T) {
	r := newRig(t, Options{MaxRequests: 8})
	done := make(chan struct{})
	r.answer(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.RawQuery != "" {
			<-done
		}
		send(w, segmenter.AgeSegment, []byte("x"))
	})
	if rep := r.whose("cam"); rep.Verdict != Away {
		t.Fatalf("%+v", rep)
	}
	ask := func(n int) Query {
		q := query(dir + "ll.m3u8")
		q.Query = fmt.Sprintf("_HLS_msn=%d", n)
		return q
	}
	for n := range 10 {
		want := Pending
		if n >= 4 {
			want = Busy
		}
		if rep := r.Ask(ask(n)); rep.Verdict != want {
			t.Errorf("%d: %+v", n, rep)
		}
	}
	if rep := r.get(query(dir + "000000001.ts")); rep.Verdict != Away || rep.Answer.Status != 200 {
		t.Errorf("a segment: %+v", rep)
	}
	close(done)
	r.get(ask(0))
	r.get(ask(1))
	r.get(ask(2))
	r.get(ask(3))
	if rep := r.get(ask(11)); rep.Verdict != Away {
		t.Errorf("when there are places again: %+v", rep)
	}
}
