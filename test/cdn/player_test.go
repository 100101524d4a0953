package cdn

import (
	"compress/gzip"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// audience is a crowd of players. They share what they learn, so that any two that are shown different things report a fault.
type audience struct {
	t      *testing.T
	entry  string // URL of the stable entry at the edge
	client *http.Client
	quit   context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	players   []*seat
	faults    []string
	requests  int
	hits      int // of the edge's cache
	stale     int // copies served because of an error of the origin
	refused   []string
	sums      map[string][16]byte  // by path of segment
	paths     map[[16]byte]string  // and the reverse
	starts    map[string]time.Time // PROGRAM-DATE-TIME by path of segment
	published map[int64]time.Time  // when the server listed a number; see follow
	lag       time.Duration        // the longest that a superseded playlist was still served
	age       int                  // the highest Age of a live playlist, seconds
}

// seat is one player: it polls the playlist every target duration, or half of it while nothing changes, and loads each new segment once.
type seat struct {
	a         *audience
	gzip      bool
	recording string
	media     string // URL of the media playlist
	target    time.Duration
	last      int64 // newest number that was played; -1: none
	end       int64 // newest number that was listed
	first     int64
	breaks    uint64
	seen      []shown
	ended     bool
}

// shown is a segment that a player played.
type shown struct {
	number int64
	at     time.Time // PROGRAM-DATE-TIME
	got    time.Time
	length time.Duration
	gap    bool
}

// gather seats n players, one every spread/n, until the test ends or leave is called. Given the URL of the server's own live playlist, they
// also learn when it lists which number; "" for not.
func gather(t *testing.T, entry, live string, n int, spread time.Duration) *audience {
	t.Helper()
	ctx, quit := context.WithCancel(context.Background())
	transport := &http.Transport{DisableCompression: true, MaxIdleConns: 0, MaxIdleConnsPerHost: 2 * n}
	a := &audience{
		t: t, entry: entry, quit: quit, client: &http.Client{Transport: transport, Timeout: 30 * time.Second},
		sums: map[string][16]byte{}, paths: map[[16]byte]string{}, starts: map[string]time.Time{}, published: map[int64]time.Time{},
	}
	for i := range n {
		p := &seat{a: a, gzip: i%2 == 0, last: -1, end: -1}
		a.players = append(a.players, p)
		a.wg.Go(func() {
			if pause(ctx, spread*time.Duration(i)/time.Duration(n)) {
				p.run(ctx)
			}
		})
	}
	if live != "" {
		a.wg.Go(func() { a.follow(ctx, live) })
	}
	t.Cleanup(func() {
		a.leave()
		transport.CloseIdleConnections()
	})
	return a
}

// leave stops all players.
func (a *audience) leave() {
	a.quit()
	a.wg.Wait()
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *audience) fault(format string, args ...any) {
	if len(a.faults) < 50 {
		a.faults = append(a.faults, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
	}
}

func (a *audience) follow(ctx context.Context, url string) {
	known := int64(-1)
	for pause(ctx, 50*time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
		if err != nil {
			return
		}
		req.Header.Set("X-Origin-Secret", cdnSecret)
		res, err := a.client.Do(req)
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		n, err := strconv.ParseInt(res.Header.Get("X-HLS-Last-Sequence"), 10, 64)
		if err != nil {
			continue
		}
		a.mu.Lock()
		for ; known >= 0 && known < n; known++ {
			a.published[known+1] = time.Now()
		}
		a.mu.Unlock()
		known = n
	}
}

func (p *seat) run(ctx context.Context) {
	for ctx.Err() == nil && !p.ended {
		began := time.Now()
		wait := time.Second
		if p.media == "" {
			if p.open(ctx) {
				continue
			}
		} else {
			wait = p.poll(ctx) - time.Since(began)
		}
		pause(ctx, wait)
	}
}

// load requests a URL from the edge; the body is nil if it does not exist.
func (p *seat) load(ctx context.Context, url string) (body []byte, res *http.Response) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil
	}
	if p.gzip {
		req.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	}
	req.Header.Set("Cookie", "viewer=me")
	req.Header.Set("Origin", "https://player.example.com")
	res, err = p.a.client.Do(req)
	if err == nil {
		body, err = readAll(res)
	}
	if ctx.Err() != nil {
		return nil, nil
	}
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	p.a.requests++
	if err != nil {
		p.a.refused = append(p.a.refused, fmt.Sprintf("%s: %v", url, err))
		return nil, nil
	}
	switch x := res.Header.Get("X-Cache"); {
	case strings.HasPrefix(x, "Hit"):
		p.a.hits++
	case strings.HasPrefix(x, "Error"):
		p.a.stale++
	}
	switch {
	case res.StatusCode == http.StatusOK:
		return body, res
	case res.StatusCode < 500:
		p.a.fault("%s: %s, %s", url, res.Status, res.Header.Get("X-Cache"))
	default:
		p.a.refused = append(p.a.refused, fmt.Sprintf("%s: %s", url, res.Status))
	}
	return nil, res
}

func readAll(res *http.Response) ([]byte, error) {
	defer res.Body.Close()
	in := io.Reader(res.Body)
	if res.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			return nil, err
		}
		in = z
	}
	return io.ReadAll(in)
}

func (p *seat) open(ctx context.Context) bool {
	body, _ := p.load(ctx, p.a.entry)
	if body == nil {
		return false
	}
	m, err := m3u8.ParseMaster(body)
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	if err != nil {
		p.a.fault("entry: %v\n%s", err, body)
		return false
	}
	p.media = rig.Resolve(p.a.entry, m.Variants[0].URI)
	p.recording = path.Base(path.Dir(p.media))
	return true
}

// poll loads the playlist and what is new in it, and returns the interval to the next request.
func (p *seat) poll(ctx context.Context) time.Duration {
	sent := time.Now()
	body, res := p.load(ctx, p.media)
	if body == nil {
		return max(time.Second, p.target/2)
	}
	m, err := m3u8.ParseMedia(body)
	p.a.mu.Lock()
	if err != nil {
		p.a.fault("playlist: %v\n%s", err, body)
		p.a.mu.Unlock()
		return time.Second
	}
	rows := p.check(m, body)
	end := int64(m.MediaSequence) + int64(len(m.Segments)) - 1
	changed := end != p.end || m.EndList
	p.end = end
	p.target = time.Duration(m.TargetDuration) * time.Second
	if since, ok := p.a.published[end+1]; ok {
		p.a.lag = max(p.a.lag, sent.Sub(since))
	}
	if age, err := strconv.Atoi(res.Header.Get("Age")); err == nil {
		p.a.age = max(p.a.age, age)
	}
	p.a.mu.Unlock()
	for i, row := range rows {
		if row.number <= p.last {
			continue
		}
		if !row.gap && !p.segment(ctx, rig.Resolve(p.media, m.Segments[i].URI)) {
			return time.Second // requested again with the next playlist, as players do
		}
		row.got = time.Now()
		p.a.mu.Lock()
		p.seen = append(p.seen, row)
		p.last = row.number
		p.a.mu.Unlock()
	}
	if m.EndList {
		p.a.mu.Lock()
		p.ended = true
		p.a.mu.Unlock()
	}
	if changed {
		return p.target
	}
	return p.target / 2
}

// check checks a playlist against everything that was shown to anybody before.
func (p *seat) check(m *m3u8.Media, body []byte) (rows []shown) {
	first, end := int64(m.MediaSequence), int64(m.MediaSequence)+int64(len(m.Segments))-1
	switch {
	case len(m.Segments) == 0:
		p.a.fault("an empty playlist")
		return nil
	case first < p.first || end < p.end:
		p.a.fault("the playlist went back from %d-%d to %d-%d", p.first, p.end, first, end)
	case m.DiscontinuitySequence < p.breaks:
		p.a.fault("DISCONTINUITY-SEQUENCE fell from %d to %d", p.breaks, m.DiscontinuitySequence)
	}
	p.first, p.breaks = first, m.DiscontinuitySequence
	if p.last < 0 { // begin three target durations before the end
		p.last = max(end-3, first-1)
	} else if first > p.last+1 {
		p.a.fault("%d to %d were never seen", p.last+1, first-1)
		p.last = first - 1
	}
	var at time.Time
	for i := range m.Segments {
		s := &m.Segments[i]
		if !s.ProgramDateTime.IsZero() {
			if s.ProgramDateTime.Before(at.Add(-frame)) {
				p.a.fault("%s begins %v before the end of the one before it", s.URI, at.Sub(s.ProgramDateTime))
			}
			at = s.ProgramDateTime
		}
		name := rig.Resolve(p.media, s.URI)
		if old, ok := p.a.starts[name]; ok && old.Sub(at).Abs() > frame {
			p.a.fault("%s begins at %v and began at %v\n%s", s.URI, at, old, body)
		}
		p.a.starts[name] = at
		length := time.Duration(s.Duration) * time.Second / 90000
		rows = append(rows, shown{number: first + int64(i), at: at, length: length, gap: s.Gap})
		at = at.Add(length)
	}
	return rows
}

const frame = 40 * time.Millisecond

// segment loads a segment: nobody ever gets other bytes under its name, or its bytes under another name.
func (p *seat) segment(ctx context.Context, url string) bool {
	body, _ := p.load(ctx, url)
	if body == nil {
		return false
	}
	sum := md5.Sum(body)
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	if old, ok := p.a.sums[url]; ok && old != sum {
		p.a.fault("%s has other bytes than before", url)
	}
	if old, ok := p.a.paths[sum]; ok && old != url {
		p.a.fault("%s has the bytes of %s", url, old)
	}
	p.a.sums[url], p.a.paths[sum] = sum, url
	return true
}

// newest returns the highest number that every player has played.
func (a *audience) newest() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	least := int64(1) << 62
	for _, p := range a.players {
		least = min(least, p.last)
	}
	return least
}

// good stops the players and fails the test for every fault, including a player that played its segments out of order or left one out.
func (a *audience) good() {
	a.t.Helper()
	a.leave()
	for i, p := range a.players {
		if len(p.seen) == 0 {
			a.fault("player %d has seen nothing", i)
		}
		for k := 1; k < len(p.seen); k++ {
			if one, two := p.seen[k-1], p.seen[k]; two.number != one.number+1 || two.at.Before(one.at.Add(one.length-frame)) {
				a.fault("player %d: %d of %v after %d of %v", i, two.number, two.at, one.number, one.at)
			}
		}
	}
	for _, f := range a.faults {
		a.t.Error(f)
	}
}

// wait returns the longest that any player waited for its next segment, and between which two.
func (a *audience) wait() (longest time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.players {
		for k := 1; k < len(p.seen); k++ {
			longest = max(longest, p.seen[k].got.Sub(p.seen[k-1].got))
		}
	}
	return longest
}

// errors returns the failures that players were shown, once each.
func (a *audience) errors() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := slices.Clone(a.refused)
	slices.Sort(out)
	return slices.Compact(out)
}
