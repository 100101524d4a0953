package lowlatency

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// heldConfig has segments of some seconds, in which there is time to ask for the next one.
const heldConfig = `
hls: {low_latency: true, segment_duration: %[1]ds, target_duration: %[1]ds}
apps: {live: {publish: open}}
rtsp: {udp_rtp: "", udp_rtcp: ""}
http: {max_connections: 20000}
admin: {pprof: true}
`

// descriptors is how many of its connections a process may have, beside what else it has open.
func descriptors(t *testing.T) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	return int(min(l.Max, 1<<20)) - 300
}

// TestHeldAtOnce has as many viewers wait for one playlist as the machine lets connections be open, 20,000 at the most: none of them costs the
// server a goroutine, each little memory, and all are answered when it is there. Then a thousand of them wait for one part after another.
func TestHeldAtOnce(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg")
	n := min(20_000, descriptors(t), max(1000, int(20_000*rig.Scale())))
	long, wakes := 4, 2
	if rig.Scale() >= 0.2 {
		long, wakes = 10, 20
	}
	p := rig.Serve(t, t.TempDir(), fmt.Sprintf(heldConfig, long))
	rig.Push(t, rig.CountedClip(t, 320, 180, 128*time.Second), "rtmp://"+p.RTMP+"/live/cam")
	path := ""
	rig.Eventually(t, time.Minute, "the stream is there", func() bool {
		body := rig.TryGet(p.URL("live/streams/cam_ll.m3u8"))
		path = "/live/streams/" + strings.TrimSpace(body[strings.LastIndexByte(strings.TrimSpace(body), '\n')+1:])
		return strings.HasSuffix(path, "/ll.m3u8")
	})
	w := &waiters{t: t, p: p, path: path}
	defer w.close()
	w.open(n)
	idle := w.look()
	// All of them, for a segment.
	w.start()
	next := w.edge().sequence
	w.ask(fmt.Sprintf("?_HLS_msn=%d", next+1), n)
	rig.Eventually(t, 20*time.Second, "all of them wait", func() bool { return w.held() == n })
	held := w.look()
	each := (held.memory - idle.memory) / int64(n)
	t.Logf("%d wait: %d goroutines, %d more than before; %d bytes each beyond an idle connection, which takes %d of the engine's count",
		n, held.goroutines, held.goroutines-idle.goroutines, each, idle.engine/int64(n))
	if more := held.goroutines - idle.goroutines; more > 50 {
		t.Errorf("%d goroutines more for %d held requests", more, n)
	}
	if each > 4<<10 {
		t.Errorf("a held request takes %d bytes", each)
	}
	cpu, waited, pressed := w.cpu(), time.Now(), rig.StartPressure()
	took := w.all(n, time.Minute)
	cpu = w.cpu() - cpu
	t.Logf("they are answered within %v; the server has used %v meanwhile, and while it waited", took[n-1].Round(time.Millisecond), cpu.Round(time.Millisecond))
	if share := float64(cpu) / float64(time.Since(waited)); rig.Scale() == 1 && pressed.Share() < 0.3 && share > 0.4 {
		t.Errorf("%d who wait take %.0f %% of a processor", n, 100*share)
	}

	// A thousand, for parts; in turn with one, which tells what all else costs meanwhile.
	const viewers = 1000
	pressed = rig.StartPressure()
	var spent, last []time.Duration
	for range wakes {
		alone, length, _, ok := w.wake(1)
		cpu, window, took, ok2 := w.wake(viewers)
		if ok && ok2 {
			spent = append(spent, cpu-time.Duration(float64(alone)*float64(window)/float64(length)))
			last = append(last, took[viewers*99/100])
		}
	}
	if len(spent) == 0 {
		t.Skip("nobody waited: the machine is too busy")
	}
	slices.Sort(spent)
	slices.Sort(last)
	t.Logf("a thousand wait for a part, %d times: CPU of the server p50 %v, most %v; from the first to 99 of a hundred p50 %v, most %v",
		len(spent), spent[len(spent)/2], spent[len(spent)-1], last[len(last)/2], last[len(last)-1])
	if rig.Scale() < 1 || pressed.Share() > 0.3 {
		return // what a busy machine takes says nothing of the server
	}
	if cpu, late := spent[len(spent)/2], last[len(last)/2]; cpu > 15*time.Millisecond || late > 25*time.Millisecond {
		t.Errorf("a thousand who wait cost %v of a processor and have their answers within %v", cpu, late)
	}
}

// wake has some wait for the part after the next, and returns what the server has used of the processors from then on, for how long, and how long
// after the first each was answered; ok says that they have waited.
func (w *waiters) wake(n int) (cpu, window time.Duration, took []time.Duration, ok bool) {
	w.t.Helper()
	at := w.edge()
	w.ask(fmt.Sprintf("?_HLS_msn=%d&_HLS_part=%d", at.sequence, at.part+1), n)
	rig.Eventually(w.t, 20*time.Second, "they wait, or have waited", func() bool { return w.held() == n || w.answered.Load() > 0 })
	ok = w.answered.Load() == 0
	begun, before := time.Now(), w.cpu()
	took = w.all(n, time.Minute)
	return w.cpu() - before, time.Since(begun), took, ok
}

// waiters are connections to a server on which requests wait.
type waiters struct {
	t        *testing.T
	p        *rig.Process
	path     string
	conns    []net.Conn
	got      chan time.Time // an answer has come whole
	answered atomic.Int64
	wg       sync.WaitGroup
}

// open opens connections, each of which has asked once.
func (w *waiters) open(n int) {
	w.t.Helper()
	for len(w.conns) < n {
		c, err := net.Dial("tcp", w.p.HTTP)
		if err != nil {
			w.t.Fatalf("after %d connections: %v", len(w.conns), err)
		}
		w.conns = append(w.conns, c)
		fmt.Fprintf(c, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", w.path)
		b := make([]byte, 4096)
		if _, err := c.Read(b); err != nil {
			w.t.Fatal(err)
		}
	}
	w.got = make(chan time.Time, n)
}

// start begins to read answers.
func (w *waiters) start() {
	for _, c := range w.conns {
		w.wg.Go(func() {
			in := bufio.NewReader(c)
			for {
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil {
					return
				}
				if res.StatusCode != http.StatusOK {
					w.t.Errorf("%s", res.Status)
				}
				w.answered.Add(1)
				w.got <- time.Now()
			}
		})
	}
}

func (w *waiters) close() {
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.wg.Wait()
}

// ask sends the same request on the first n connections.
func (w *waiters) ask(query string, n int) {
	w.answered.Store(0)
	for _, c := range w.conns[:n] {
		fmt.Fprintf(c, "GET %s%s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", w.path, query)
	}
}

// all waits for n answers, and returns how long after the first each came.
func (w *waiters) all(n int, within time.Duration) (after []time.Duration) {
	w.t.Helper()
	late := time.After(within)
	var times []time.Time
	for len(times) < n {
		select {
		case at := <-w.got:
			times = append(times, at)
		case <-late:
			w.t.Fatalf("%d of %d are answered", len(times), n)
		}
	}
	slices.SortFunc(times, func(a, b time.Time) int { return a.Compare(b) })
	for _, at := range times {
		after = append(after, at.Sub(times[0]))
	}
	return after
}

type place struct{ sequence, part int }

var hint = regexp.MustCompile(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="0*([0-9]+)\.([0-9]+)\.ts"`)

// edge is the part that comes next.
func (w *waiters) edge() (at place) {
	w.t.Helper()
	body := w.p.Get("http://" + w.p.HTTP + w.path)
	m := hint.FindStringSubmatch(body)
	if m == nil {
		w.t.Fatalf("no hint in %s", body)
	}
	at.sequence, _ = strconv.Atoi(m[1])
	at.part, _ = strconv.Atoi(m[2])
	return at
}

// cost is what a server takes.
type cost struct {
	memory     int64 // anonymous, bytes
	engine     int64 // what it counts of connections and held requests, bytes
	goroutines int
}

func (w *waiters) look() (c cost) {
	w.t.Helper()
	profile := rig.TryGet("http://" + w.p.Admin + "/debug/pprof/goroutine?debug=1")
	if _, err := fmt.Sscanf(profile, "goroutine profile: total %d", &c.goroutines); err != nil {
		w.t.Fatalf("%v in %.100q", err, profile)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.p.Cmd.Process.Pid))
	if err != nil {
		w.t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	_, _ = fmt.Sscanf(rest, "%d", &c.memory)
	c.memory <<= 10
	c.engine = int64(w.metric("hlsorigin_http_engine_bytes"))
	return c
}

func (w *waiters) held() int { return int(w.metric("hlsorigin_http_requests_held")) }

func (w *waiters) metric(name string) float64 {
	w.t.Helper()
	_, rest, ok := strings.Cut(rig.TryGet("http://"+w.p.Admin+"/metrics"), "\n"+name+" ")
	line, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(line, 64)
	if !ok || err != nil {
		w.t.Fatalf("%s is %q", name, line)
	}
	return v
}

// cpu is what the server has used of the processors.
func (w *waiters) cpu() (d time.Duration) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", w.p.Cmd.Process.Pid))
	for _, file := range threads {
		text, _ := os.ReadFile(file)
		var ns int64
		_, _ = fmt.Sscan(string(text), &ns)
		d += time.Duration(ns)
	}
	return d
}
