package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// rig is a registry and a watcher in a synctest bubble.
type rig struct {
	t    *testing.T
	reg  *segmenter.Registry
	stop func()

	mu  sync.Mutex
	got map[string][]string // by stream: what was reported, in order
	all []Change
}

func begin(t *testing.T, app segmenter.AppOptions, restored ...segmenter.Recovered) *rig {
	app.SegmentDuration, app.TargetDuration = 2*time.Second, 2*time.Second
	r := &rig{t: t, got: map[string][]string{}}
	r.reg = segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": app}, Now: time.Now})
	for _, rec := range restored {
		if err := r.reg.Restore(rec); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var both sync.WaitGroup
	both.Go(func() {
		if err := Run(ctx, r.reg, r.tell); err != nil {
			t.Error(err)
		}
	})
	both.Go(func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.reg.Expire(time.Now())
			case <-ctx.Done():
				return
			}
		}
	})
	synctest.Wait()
	r.stop = func() {
		cancel()
		both.Wait()
	}
	return r
}

func (r *rig) tell(c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := [...]string{"started", "stalled", "resumed", "ended"}[c.Kind]
	if c.Restored {
		name += " after a restart"
	}
	r.got[c.Snapshot.Stream] = append(r.got[c.Snapshot.Stream], name)
	r.all = append(r.all, c)
}

func (r *rig) want(stream string, want ...string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.got[stream], want) {
		r.t.Errorf("%s: %q, want %q", stream, r.got[stream], want)
	}
}

// last returns the newest change.
func (r *rig) last() Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[len(r.all)-1]
}

var sps = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}

// encoder sends one keyframe a second.
type encoder struct {
	ingest.Session
	t     *testing.T
	video *ingest.Track
	audio *ingest.Track // nil: none
	n     int64
}

func (r *rig) publish(stream string) *encoder {
	r.t.Helper()
	s, err := r.reg.Publish(r.t.Context(), ingest.Announce{App: "live", Stream: stream, Protocol: "test", Remote: "192.0.2.1:5000", Identity: "me", Cancel: func(error) {}})
	if err != nil {
		r.t.Fatal(err)
	}
	return &encoder{Session: s, t: r.t, video: &ingest.Track{
		Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 1, Alone: true}}
}

func (e *encoder) run(seconds int) {
	e.t.Helper()
	for range seconds {
		send(e)
		time.Sleep(time.Second)
	}
}

func send(all ...*encoder) {
	for _, e := range all {
		dts := e.n * ingest.Clock
		e.n++
		unit := append([]byte{0x65}, bytes.Repeat([]byte{0x55}, 500)...)
		if err := e.WriteFrame(&ingest.Frame{Track: e.video, PTS: dts, DTS: dts, Key: true, Units: [][]byte{unit}, Arrival: time.Now()}); err != nil {
			e.t.Fatal(err)
		}
		if e.audio == nil {
			continue
		}
		if err := e.WriteFrame(&ingest.Frame{Track: e.audio, PTS: dts, DTS: dts, Key: true, Units: [][]byte{bytes.Repeat([]byte{0x21}, 100)}, Arrival: time.Now()}); err != nil {
			e.t.Fatal(err)
		}
	}
}

func bubble(t *testing.T, fn func(t *testing.T)) { synctest.Test(t, fn) }

// A stream starts when it can be watched, stalls when nothing comes or its publisher goes, resumes, and ends when its grace period is over.
func TestStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, segmenter.AppOptions{})
		e := r.publish("cam")
		e.run(1)
		r.want("cam")
		e.run(10)
		r.want("cam", "started")
		if c := r.last(); c.Publisher == nil || c.Publisher.Protocol != "test" || c.Snapshot.Variant.Width != 1280 || c.Ladder {
			t.Errorf("%+v", c)
		}
		time.Sleep(10 * time.Second)
		r.want("cam", "started", "stalled")
		if c := r.last(); c.Publisher == nil {
			t.Error("the publisher is connected")
		}
		e.run(5)
		r.want("cam", "started", "stalled", "resumed")
		e.Close(errors.New("the connection broke"))
		r.want("cam", "started", "stalled", "resumed", "stalled")
		if c := r.last(); c.Publisher != nil {
			t.Error("the publisher is gone")
		}
		r.publish("cam").run(5)
		r.want("cam", "started", "stalled", "resumed", "stalled", "resumed")
		time.Sleep(5 * time.Minute)
		r.want("cam", "started", "stalled", "resumed", "stalled", "resumed", "stalled")
		r.stop()
	})
}

func TestEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, segmenter.AppOptions{EndGrace: 5 * time.Second})
		e := r.publish("cam")
		e.run(10)
		e.Close(nil)
		time.Sleep(10 * time.Second)
		r.want("cam", "started", "stalled", "ended")
		e = r.publish("cam")
		e.run(10)
		r.want("cam", "started", "stalled", "ended", "started")
		r.stop()
	})
}

// A publisher with nothing to show is not reported.
func TestNothingToShow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, segmenter.AppOptions{EndGrace: time.Second})
		r.publish("cam").Close(nil)
		time.Sleep(time.Minute)
		r.want("cam")
		r.stop()
	})
}

// A recording that is split in two ends before the next starts.
func TestNextRecording(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, segmenter.AppOptions{})
		e := r.publish("cam")
		e.run(20)
		e.audio = &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2}
		e.run(20)
		r.want("cam", "started", "ended", "started")
		if a, b := r.all[0].Snapshot.Recording, r.last().Snapshot.Recording; a >= b {
			t.Errorf("%s, then %s", a, b)
		}
		r.stop()
	})
}

// The order of one stream's changes is kept whatever happens to others.
func TestManyRecordings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, segmenter.AppOptions{EndGrace: time.Second, EndedTTL: 30 * time.Second})
		for range 20 {
			var all []*encoder
			for i := range 20 {
				all = append(all, r.publish(fmt.Sprint("s", i)))
			}
			for range 6 {
				send(all...)
				time.Sleep(time.Second)
			}
			for _, e := range all {
				e.Close(nil)
			}
			time.Sleep(3 * time.Second)
		}
		synctest.Wait()
		for i := range 20 {
			got := strings.Join(r.got[fmt.Sprint("s", i)], " ")
			if want := strings.TrimSpace(strings.Repeat("started stalled ended ", 20)); got != want {
				t.Errorf("s%d: %s", i, got)
			}
		}
		r.stop()
	})
}

// A ladder's changes are separate from those of its rungs.
func TestLadder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, segmenter.AppOptions{EndGrace: 5 * time.Second, Groups: map[string][]string{"show": {"high", "low"}}})
		high, low := r.publish("high"), r.publish("low")
		for range 20 {
			send(high, low)
			time.Sleep(time.Second)
		}
		r.want("show", "started")
		r.want("high", "started")
		low.Close(nil)
		for range 10 {
			send(high)
			time.Sleep(time.Second)
		}
		r.want("show", "started")
		high.Close(nil)
		time.Sleep(time.Minute)
		r.want("show", "started", "stalled", "ended")
		for _, c := range r.all {
			if c.Ladder != (c.Snapshot.Stream == "show") {
				t.Errorf("%s: ladder is %v", c.Snapshot.Stream, c.Ladder)
			}
		}
		r.stop()
	})
}

// recovered is what a start finds of a stream of ten seconds that was live until a moment ago.
func recovered(stream string, ago time.Duration) segmenter.Recovered {
	at := time.Now().Add(-ago - 10*time.Second)
	rec := segmenter.Recovered{
		Key: segmenter.Key{App: "live", Stream: stream}, Recording: segmenter.NewRecordingID(at), TargetDuration: 2, Next: 5,
		Variant: variant.Variant{VideoCodec: "h264", Codecs: "avc1.64001f"}, LastFrame: at.Add(10 * time.Second),
	}
	for i := range 5 {
		rec.Rows = append(rec.Rows, segmenter.Row{Sequence: uint64(i), Start: at.Add(time.Duration(i) * 2 * time.Second), Duration: 2 * segmenter.Clock, Size: 188, Independent: true})
	}
	return rec
}

// A recovered stream is stalled, resumes with its publisher or ends without, and does not start again.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, segmenter.AppOptions{RestartGrace: time.Minute}, recovered("back", time.Second), recovered("away", time.Second), recovered("over", time.Hour))
		r.want("back", "stalled after a restart")
		r.want("over", "ended after a restart")
		r.publish("back").run(10)
		r.want("back", "stalled after a restart", "resumed")
		time.Sleep(2 * time.Minute)
		r.want("away", "stalled after a restart", "ended after a restart")
		r.stop()
	})
}

// What ends with the server is reported before the watcher ends.
func TestStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, segmenter.AppOptions{})
		e := r.publish("cam")
		e.run(10)
		e.Close(nil)
		r.reg.Close(true)
		r.stop()
		r.mu.Lock()
		defer r.mu.Unlock()
		if got := r.got["cam"]; len(got) < 2 || got[len(got)-1] != "ended" {
			t.Errorf("%q", got)
		}
	})
}
