//go:build linux && !race

package main

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// The guards check relations between costs that were measured at the same moment, the best of several turns of each: a slow machine slows
// both. The race detector would distort them, so they run without it. What a single package promises about itself is guarded there.

// compare returns the ratio of the time of a to that of b; n calls are one turn. It measures this thread's CPU time, which does not include
// what else the machine does.
//
// A ratio over the limit is measured again, at most twice: a neighbour on the memory bus distorts even a thread's own time, and a
// regression does not go away.
func compare(t *testing.T, limit float64, n int, a, b func()) (r float64) {
	t.Helper()
	for range 3 {
		if r = ratio(t, n, a, b); r <= limit {
			break
		}
	}
	return r
}

func ratio(t *testing.T, n int, a, b func()) float64 {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := func(least time.Duration, f func()) time.Duration {
		begin := threadTime(t)
		for range n {
			f()
		}
		return min(least, threadTime(t)-begin)
	}
	x, y := time.Hour, time.Hour
	for range 15 {
		x, y = best(x, a), best(y, b)
	}
	return float64(x) / float64(y)
}

func threadTime(t *testing.T) time.Duration {
	const clockThreadCPUTime = 3 // CLOCK_THREAD_CPUTIME_ID
	var ts syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPUTime, uintptr(unsafe.Pointer(&ts)), 0); err != 0 {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// broadcast is a stream in its own registry, advanced by a second at a time.
type broadcast struct {
	registry *segmenter.Registry
	session  ingest.Session
	now      time.Time
	seconds  int64
	video    ingest.Frame
	unit     []byte
}

// air begins a stream of one picture of that size a second, with a keyframe every two.
func air(t *testing.T, window time.Duration, size int) *broadcast {
	t.Helper()
	b := &broadcast{now: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC), unit: make([]byte, size)}
	b.registry = segmenter.NewRegistry(segmenter.Options{
		Apps: map[string]segmenter.AppOptions{"live": {SegmentDuration: 2 * time.Second, Window: window}},
		Now:  func() time.Time { return b.now },
	})
	var err error
	b.session, err = b.registry.Publish(t.Context(), ingest.Announce{App: "live", Stream: "cam", Cancel: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	sps := []byte{0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5, 0xbb, 1, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}
	b.video = ingest.Frame{Units: [][]byte{b.unit}, Track: &ingest.Track{
		Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 1, Alone: true,
	}}
	return b
}

func (b *broadcast) second() {
	b.video.Key = b.seconds%2 == 0
	b.unit[0] = 0x41
	if b.video.Key {
		b.unit[0] = 0x65
	}
	b.now = b.now.Add(time.Second)
	b.video.DTS, b.video.PTS, b.video.Arrival = b.seconds*ingest.Clock, b.seconds*ingest.Clock, b.now
	_ = b.session.WriteFrame(&b.video)
	b.seconds++
}

func (b *broadcast) run(d time.Duration) *broadcast {
	for range int(d / time.Second) {
		b.second()
	}
	return b
}

// A cut costs the same after twelve hours as after two minutes.
func TestGuardCutsDoNotGetDearer(t *testing.T) {
	young, old := air(t, time.Minute, 100).run(2*time.Minute), air(t, time.Minute, 100).run(12*time.Hour)
	if r := compare(t, 2, 200, old.second, young.second); r > 2 {
		t.Errorf("a second after twelve hours costs %.1f times one after two minutes", r)
	}
}

// What is done to a picture costs little compared with copying it, which is the least a segment in memory can cost.
func TestGuardSegmentingIsLittleMoreThanCopying(t *testing.T) {
	const size, kept = 1 << 20, 24
	b := air(t, 10*time.Second, size).run(time.Minute)
	// The copies go where segments go, to memory that is no longer in the CPU cache.
	to, next := make([]byte, kept*size), 0
	for i := range to {
		to[i] = 1
	}
	r := compare(t, 10, 24, b.second, func() {
		copy(to[next*size:], b.unit)
		next = (next + 1) % kept
	})
	t.Logf("segmenting costs %.1f copies", r)
	if r > 10 {
		t.Errorf("segmenting a picture of 1 MiB costs %.1f times a copy of it", r)
	}
}

// A poll of a day's window is no dearer than one of a minute's, except for its bytes: it was rendered when its last segment was cut.
func TestGuardPollsRenderNothing(t *testing.T) {
	short, long := newPoll(t, time.Minute), newPoll(t, 24*time.Hour)
	if r := compare(t, 2, 500, long.ask, short.ask); r > 2 {
		t.Errorf("a poll of a day costs %.1f times one of a minute", r)
	}
	a, b := testing.AllocsPerRun(200, long.ask), testing.AllocsPerRun(200, short.ask)
	if a > b+1 {
		t.Errorf("a poll of a day allocates %v times, one of a minute %v times", a, b)
	}
	if len(long.w.header) == 0 || long.w.bytes < 500*short.w.bytes {
		t.Errorf("%d bytes and %d bytes were served", long.w.bytes, short.w.bytes)
	}
}

// poll requests a live playlist repeatedly.
type poll struct {
	handler http.Handler
	request *http.Request
	w       *void
}

// newPoll returns a poll of a recording that fills its window.
func newPoll(t *testing.T, window time.Duration) *poll {
	t.Helper()
	const length = 2 * time.Second
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	begun := now.Add(-window)
	rec := segmenter.Recovered{
		Key: segmenter.Key{App: "live", Stream: "cam"}, Recording: segmenter.NewRecordingID(begun), TargetDuration: 2, LastFrame: now,
		Variant: variant.Variant{Bandwidth: 3e6, Codecs: "avc1.64001f"},
	}
	for n := range uint64(window / length) {
		rec.Rows = append(rec.Rows, segmenter.Row{
			Sequence: n, Start: begun.Add(time.Duration(n) * length), Duration: int64(length) * ingest.Clock / int64(time.Second), Size: 188, Independent: true,
		})
	}
	rec.Next = uint64(len(rec.Rows))
	registry := segmenter.NewRegistry(segmenter.Options{
		Apps: map[string]segmenter.AppOptions{"live": {SegmentDuration: length, Window: window, RestartGrace: time.Minute}},
		Now:  func() time.Time { return now },
	})
	if err := registry.Restore(rec); err != nil {
		t.Fatal(err)
	}
	name := segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: "cam", Recording: rec.Recording}
	p := &poll{
		handler: origin.New(origin.Options{Streams: registry, Now: func() time.Time { return now }}),
		request: httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+name.String(), nil),
		w:       &void{header: http.Header{}},
	}
	p.ask()
	if p.w.status != http.StatusOK {
		t.Fatalf("status %d", p.w.status)
	}
	return p
}

func (p *poll) ask() { p.handler.ServeHTTP(p.w, p.request) }

// void is a ResponseWriter that counts.
type void struct {
	header http.Header
	status int
	bytes  int64
}

func (v *void) Header() http.Header { return v.header }
func (v *void) WriteHeader(s int)   { v.status = s }
func (v *void) Write(b []byte) (int, error) {
	if v.status == 0 {
		v.status = http.StatusOK
	}
	v.bytes += int64(len(b))
	return len(b), nil
}
