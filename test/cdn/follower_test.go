package cdn

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// followers is a crowd of low-latency players: each waits at the edge for the next part's playlist, loads the parts that it names, and
// plays them PART-HOLD-BACK behind.
type followers struct {
	t      *testing.T
	media  string // URL of the low-latency media playlist at the edge
	client *http.Client
	quit   context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	seats    int
	started  int      // who has begun to play
	requests int      // at the edge
	parts    int      // that were loaded
	faults   []string // whatever was no 200, and parts that were never listed
	stalls   []string // a part that came after its time
	late     time.Duration
}

// follow seats n players within spread, until the test ends or leave is called.
func follow(t *testing.T, media string, n int, spread time.Duration) *followers {
	t.Helper()
	ctx, quit := context.WithCancel(context.Background())
	client, closeIdle := keeping(2 * n)
	f := &followers{t: t, media: media, seats: n, quit: quit, client: client}
	for i := range n {
		f.wg.Go(func() {
			if pause(ctx, spread*time.Duration(i)/time.Duration(n)) {
				(&follower{f: f, n: i}).run(ctx)
			}
		})
	}
	t.Cleanup(func() {
		f.leave()
		closeIdle()
	})
	return f
}

// keeping is a client that keeps so many connections, and what closes them.
func keeping(n int) (*http.Client, func()) {
	transport := &http.Transport{DisableCompression: true, MaxIdleConns: 0, MaxIdleConnsPerHost: n}
	return &http.Client{Transport: transport, Timeout: 40 * time.Second}, transport.CloseIdleConnections
}

// leave stops all players.
func (f *followers) leave() {
	f.quit()
	f.wg.Wait()
}

// playing waits until everybody plays.
func (f *followers) playing(within time.Duration) {
	f.t.Helper()
	rig.Eventually(f.t, within, "all of them play", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.started == f.seats
	})
}

// good stops the players and fails the test for whatever went wrong; with stalls also for parts that came too late.
func (f *followers) good(stalls bool) {
	f.t.Helper()
	f.leave()
	for _, s := range f.faults {
		f.t.Error(s)
	}
	if stalls {
		for _, s := range f.stalls {
			f.t.Error(s)
		}
	}
}

func note(list *[]string, format string, args ...any) {
	if len(*list) < 20 {
		*list = append(*list, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
	}
}

// follower is one of them.
type follower struct {
	f     *followers
	n     int
	next  place // the first part that was not loaded yet
	begun time.Time
	media time.Duration // that was loaded since
}

// place is where a part is: segment and number in it.
type place struct{ sequence, part int }

// part is one as a playlist lists it.
type part struct {
	place
	name   string
	length time.Duration
}

var (
	partLine = regexp.MustCompile(`#EXT-X-PART:DURATION=([0-9.]+),URI="(([0-9]+)\.([0-9]+)\.ts)"`)
	hintLine = regexp.MustCompile(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="(([0-9]+)\.([0-9]+)\.ts)"`)
	holdLine = regexp.MustCompile(`PART-HOLD-BACK=([0-9.]+)`)
)

func number(s string) int { n, _ := strconv.Atoi(s); return n }

// listed are the parts of a low-latency playlist, and the one that it hints at.
func listed(body string) (parts []part, hint place, ok bool) {
	for _, m := range partLine.FindAllStringSubmatch(body, -1) {
		s, _ := strconv.ParseFloat(m[1], 64)
		parts = append(parts, part{place{number(m[3]), number(m[4])}, m[2], time.Duration(s * float64(time.Second))})
	}
	m := hintLine.FindStringSubmatch(body)
	if m == nil {
		return parts, hint, false
	}
	return parts, place{number(m[2]), number(m[3])}, true
}

func (p place) before(o place) bool {
	return p.sequence < o.sequence || p.sequence == o.sequence && p.part < o.part
}

func (p *follower) run(ctx context.Context) {
	body, err := p.load(ctx, p.f.media)
	for ; err != nil && ctx.Err() == nil; body, err = p.load(ctx, p.f.media) {
		pause(ctx, time.Second)
	}
	for ctx.Err() == nil {
		hint, ok := p.play(ctx, body)
		if !ok {
			return // it is over
		}
		if body, err = p.load(ctx, fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", p.f.media, hint.sequence, hint.part)); err != nil {
			pause(ctx, time.Second)
			body, err = p.load(ctx, p.f.media)
			if err != nil {
				return
			}
		}
	}
}

// play loads what is new in a playlist and plays it.
func (p *follower) play(ctx context.Context, body string) (hint place, ok bool) {
	parts, hint, ok := listed(body)
	hold, _ := strconv.ParseFloat(holdLine.FindStringSubmatch(body + "PART-HOLD-BACK=0")[1], 64)
	back := time.Duration(hold * float64(time.Second))
	if p.begun.IsZero() { // as many from the end as are to be held back
		i := len(parts)
		for held := time.Duration(0); i > 0 && held < back; i-- {
			held += parts[i-1].length
		}
		parts = parts[i:]
	}
	for _, part := range parts {
		if part.before(p.next) {
			continue
		}
		if !p.begun.IsZero() && part.place != p.next && part.place != (place{p.next.sequence + 1, 0}) {
			p.f.mu.Lock()
			note(&p.f.faults, "player %d: %v follows %v", p.n, part.place, p.next)
			p.f.mu.Unlock()
		}
		if _, err := p.load(ctx, p.f.media[:strings.LastIndexByte(p.f.media, '/')+1]+part.name); err != nil {
			return hint, false
		}
		now := time.Now()
		p.f.mu.Lock()
		p.f.parts++
		if p.begun.IsZero() {
			p.begun = now
			p.f.started++
		} else if lag := now.Sub(p.begun) - p.media; lag > 0 {
			note(&p.f.stalls, "player %d stands still for %v before %v", p.n, lag.Round(time.Millisecond), part.place)
			p.f.late = max(p.f.late, lag)
			p.begun = p.begun.Add(lag)
		}
		p.f.mu.Unlock()
		p.media += part.length
		p.next = place{part.sequence, part.part + 1}
	}
	return hint, ok
}

// load requests a URL from the edge; whatever is no 200 is a fault.
func (p *follower) load(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	req.Header.Set("X-Origin-Secret", cdnSecret) // for the server itself; the edge has its own
	req.Header.Set("Cookie", "viewer="+strconv.Itoa(p.n))
	res, err := p.f.client.Do(req)
	var body []byte
	if err == nil {
		body, err = inflated(res)
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.f.requests++
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	if err != nil {
		note(&p.f.faults, "player %d: %s: %v", p.n, url, err)
	}
	return string(body), err
}

func inflated(res *http.Response) ([]byte, error) {
	defer res.Body.Close()
	if res.Header.Get("Content-Encoding") != "gzip" {
		n, err := io.Copy(io.Discard, res.Body) // a part, which nobody looks at
		if strings.Contains(res.Header.Get("Content-Type"), "mpegurl") {
			err = errors.Join(err, fmt.Errorf("%d bytes came plain", n))
		}
		return nil, err
	}
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
