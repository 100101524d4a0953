package httpput

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// studio is a sender: another segmenter, whose segments and playlists are sent on.
type studio struct {
	segments [][]byte
	rows     []segmenter.Row
}

var sps = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}

// film makes n segments of 2 s each; seed makes them differ from those of another film.
func film(t testing.TB, n int, seed byte) *studio {
	t.Helper()
	now := start
	app := segmenter.DefaultAppOptions()
	app.SegmentDuration, app.Window = 2*time.Second, time.Hour
	reg := segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": app}, Now: func() time.Time { return now }})
	s, err := reg.Publish(context.Background(), ingest.Announce{App: "live", Stream: "cam", Cancel: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	video := &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 25}
	audio := &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2}
	next := int64(0)
	for i := range int64(n*50 + 1) {
		dts := i * ingest.Clock / 25
		for ; next <= dts; next += 1920 {
			write(t, s, &ingest.Frame{Track: audio, PTS: next, DTS: next, Key: true, Units: [][]byte{append([]byte{0x21, seed}, bytes.Repeat([]byte{0x21}, 100)...)}, Arrival: now})
		}
		unit := append([]byte{0x41, 0x9A, seed}, bytes.Repeat([]byte{byte(i) | 1}, 800)...)
		if i%50 == 0 {
			unit[0], unit[1] = 0x65, 0x88
		}
		write(t, s, &ingest.Frame{Track: video, PTS: dts + 7200, DTS: dts, Key: i%50 == 0, Units: [][]byte{unit}, Arrival: now})
		now = now.Add(40 * time.Millisecond)
	}
	s.Close(ingest.ErrUnpublished)
	st := &studio{}
	snap := reg.Timeline("live", "cam").Snapshot()
	for i, g := range snap.Segments[:n] {
		st.segments = append(st.segments, bytes.Join(g.Slices(nil), nil))
		st.rows = append(st.rows, snap.Rows[i])
	}
	return st
}

func write(t testing.TB, s ingest.Session, f *ingest.Frame) {
	t.Helper()
	if err := s.WriteFrame(f); err != nil {
		t.Fatal(err)
	}
}

// page is the playlist when segment n is the newest, of at most window segments. name makes a segment's file name of its number.
func (st *studio) page(first uint64, n, window int, name func(int) string) string {
	m := m3u8.Media{TargetDuration: 2}
	from := max(0, n+1-window)
	m.MediaSequence = first + uint64(from)
	for i := from; i <= n; i++ {
		m.Segments = append(m.Segments, m3u8.Segment{URI: name(i), Duration: st.rows[i].Duration, ProgramDateTime: st.rows[i].Start})
	}
	return string(m.Append(nil))
}

func numbered(i int) string { return fmt.Sprintf("seg%d.ts", i) }

// house is a server in front of a segmenter, with a clock that the test turns.
type house struct {
	t   *testing.T
	s   *Server
	reg *segmenter.Registry

	mu  sync.Mutex
	now time.Time
	log bytes.Buffer
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// pass lets time go by.
func (h *house) pass(d time.Duration) {
	for ; d > 0; d -= min(d, 500*time.Millisecond) {
		h.mu.Lock()
		h.now = h.now.Add(min(d, 500*time.Millisecond))
		h.mu.Unlock()
		h.s.Tick(h.clock())
		h.reg.Expire(h.clock())
	}
}

// Write implements io.Writer, for the log.
func (h *house) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

func (h *house) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func newHouse(t *testing.T, app segmenter.AppOptions, open auth.App, opts ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, now: start.Add(time.Minute)}
	log := slog.New(slog.NewTextHandler(h, nil))
	h.reg = segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": app}, Now: h.clock, Log: log})
	a, err := auth.New(auth.Options{Apps: map[string]auth.App{"live": open}, ValidStream: segmenter.ValidStream, Now: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Publisher: auth.NewRights(a, h.reg, log), Authorizer: a, Password: a.Password, Keyed: a.Keyed, Now: h.clock, Log: log,
		Rung: func(app, stream string) bool {
			named, pattern := h.reg.Laddered(segmenter.Key{App: app, Stream: stream})
			return named || pattern
		},
		Form: func(app, ladder string, rungs []string) error {
			return h.reg.Form(segmenter.Key{App: app, Stream: ladder}, rungs)
		},
		Memory: ingest.NewMemory(256 << 20), PublishLimit: time.Minute, // however busy the machine is
	}
	for _, fn := range opts {
		fn(&o)
	}
	h.s = New(o)
	t.Cleanup(func() {
		h.s.endAll(ingest.ErrShutdown)
		if n := o.Memory.Used(); n != 0 {
			t.Errorf("%d bytes are still accounted for", n)
		}
		if n := h.s.Stats.Held.Load(); n != 0 {
			t.Errorf("%d segments are still held", n)
		}
	})
	return h
}

func simple() segmenter.AppOptions {
	app := segmenter.DefaultAppOptions()
	app.SegmentDuration, app.Window = 2*time.Second, time.Hour
	return app
}

// from sends a request from an address, and returns its answer.
func (h *house) from(remote, method, path, body string, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequest(method, "http://media.test"+path, strings.NewReader(body))
	r.RemoteAddr = remote
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.s.ServeHTTP(w, r)
	return w
}

// put sends a file, which has to be taken.
func (h *house) put(path, body string) {
	h.t.Helper()
	if w := h.from("127.0.0.1:5000", http.MethodPut, path, body); w.Code != http.StatusOK {
		h.t.Fatalf("PUT %s: %d %s", path, w.Code, w.Body)
	}
}

// send sends a segment and the playlist that names it.
func (h *house) send(st *studio, i int) {
	h.t.Helper()
	h.put("/live/show/"+numbered(i), string(st.segments[i]))
	h.put("/live/show/index.m3u8", st.page(0, i, 5, numbered))
}

// listed is what the stream has: its rows, and the bytes of those that are no gaps, nil in the place of the others; of a recording that was
// restored, of those that came since.
func (h *house) listed(stream string) (rows []segmenter.Row, bodies [][]byte) {
	h.t.Helper()
	tl := h.reg.Timeline("live", stream)
	if tl == nil {
		return nil, nil
	}
	s := tl.Snapshot()
	for i, g := range s.Segments {
		body := bytes.Join(g.Slices(nil), nil)
		if s.Rows[len(s.Rows)-len(s.Segments)+i].Gap {
			body = nil
		}
		bodies = append(bodies, body)
	}
	return s.Rows, bodies
}

func drain(r io.ReadCloser) string {
	b, _ := io.ReadAll(r)
	_ = r.Close()
	return string(b)
}
