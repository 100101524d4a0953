package ladder_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/ladder"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bucket is a store that holds each multivariant playlist, when it is written, against what is there.
type bucket struct {
	*storetest.Memory
	t       testing.TB
	checked atomic.Int64
}

func (b *bucket) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	etag, err := b.Memory.Put(ctx, key, body, a)
	if err != nil || !strings.HasSuffix(key, ".m3u8") {
		return etag, err
	}
	m, e := m3u8.ParseMaster(storetest.Read(b.t, b.Memory, key, 0, -1))
	if e != nil {
		return etag, err // a media playlist
	}
	b.checked.Add(1)
	for i := range m.Variants {
		at := path.Join(path.Dir(key), m.Variants[i].URI)
		if _, err := b.Stat(ctx, at); err != nil {
			b.t.Errorf("%s names %s, which is not there", key, at)
		}
	}
	return etag, err
}

// text is an object's content; empty where there is none.
func (b *bucket) text(key string) string {
	if _, err := b.Stat(b.t.Context(), key); err != nil {
		return ""
	}
	return string(storetest.Read(b.t, b.Memory, key, 0, -1))
}

// playlists are the keys of all.
func (b *bucket) playlists() (keys []string) {
	for _, key := range storetest.Keys(b.t, b.Memory, "") {
		if strings.HasSuffix(key, ".m3u8") {
			keys = append(keys, key)
		}
	}
	return keys
}

var errAway = errors.New("the bucket is away")

// rig is a server with a mirror, and ladders beside it. It runs in a synctest bubble.
type rig struct {
	t      *testing.T
	bucket *bucket
	store  *storetest.Faulty
	dir    string // of the spool
	groups map[string][]string
	low    bool // with low latency
	cmaf   bool
	split  time.Duration

	reg    *segmenter.Registry
	mirror *mirror.Mirror
	stop   func() // nil: it is not running
}

func newRig(t *testing.T) *rig {
	b := &bucket{Memory: &storetest.Memory{Now: time.Now}, t: t}
	return &rig{t: t, bucket: b, store: storetest.NewFaulty(b), dir: t.TempDir(), groups: map[string][]string{"show": {"high", "low"}}}
}

// away makes the bucket unreachable, or reachable again.
func (r *rig) away(on bool) {
	if on {
		r.store.Set(storetest.Fault{Err: errAway})
	} else {
		r.store.Set()
	}
}

// start starts the server: recover, restore, run.
func (r *rig) start() {
	r.t.Helper()
	r.reg = segmenter.NewRegistry(segmenter.Options{
		Apps: map[string]segmenter.AppOptions{"live": {SegmentDuration: 2 * time.Second, Window: 20 * time.Second, TargetDuration: 2 * time.Second, Groups: r.groups, LowLatency: r.low}},
		Now:  time.Now,
	})
	o := mirror.Options{
		Store: r.store, ArchiveSplit: r.split, CMAF: func(string) bool { return r.cmaf },
		Spool: spool.New(spool.Options{Dir: r.dir, Sync: spool.Never}),
	}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(r.t.Output(), nil))
	}
	r.mirror = mirror.New(o)
	found, err := r.mirror.Recover(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, rec := range found {
		if err := r.reg.Restore(rec); err != nil {
			r.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	beside, end := context.WithCancel(context.Background())
	done, ended, ticked := make(chan error, 1), make(chan error, 1), make(chan struct{})
	go func() { done <- r.mirror.Run(ctx, r.reg) }()
	l := ladder.New(r.mirror, r.reg)
	go func() { ended <- l.Run(beside) }()
	go func() {
		defer close(ticked)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				r.reg.Expire(time.Now())
			}
		}
	}()
	r.stop = func() {
		end()
		err := <-ended
		cancel()
		<-ticked
		if err := errors.Join(err, <-done); err != nil {
			r.t.Error(err)
		}
		r.stop = nil
	}
}

// kill cuts off the disk at one moment, and stops the server on it.
func (r *rig) kill() {
	r.t.Helper()
	copied := r.t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(r.dir)); err != nil {
		r.t.Fatal(err)
	}
	r.stop()
	r.dir = copied
}

// settled waits until the bucket has everything.
func (r *rig) settled() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.mirror.Flush(ctx); err != nil {
		r.t.Fatal(err)
	}
}

var sps = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}

// encoder publishes streams alike, one frame a second, every second one a keyframe.
type encoder struct {
	t        *testing.T
	sessions []ingest.Session
	tracks   []*ingest.Track
	n        int64
}

func (r *rig) publish(streams ...string) *encoder {
	r.t.Helper()
	e := &encoder{t: r.t}
	for _, stream := range streams {
		s, err := r.reg.Publish(context.Background(), ingest.Announce{
			App: "live", Stream: stream, Protocol: "test", Remote: "192.0.2.1:5000", Identity: "me", Cancel: func(error) {},
		})
		if err != nil {
			r.t.Fatal(err)
		}
		e.sessions = append(e.sessions, s)
		e.tracks = append(e.tracks, &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 1, Alone: true})
	}
	return e
}

// run publishes some seconds.
func (e *encoder) run(seconds int) {
	e.t.Helper()
	for range seconds {
		unit := bytes.Repeat([]byte{0x55}, 1000)
		unit[0] = 0x41
		key := e.n%2 == 0
		if key {
			unit[0] = 0x65
		}
		binary.BigEndian.PutUint64(unit[1:], 0x0101010101010101+uint64(e.n)<<8)
		for i, s := range e.sessions {
			if err := s.WriteFrame(&ingest.Frame{Track: e.tracks[i], PTS: e.n * ingest.Clock, DTS: e.n * ingest.Clock, Key: key, Units: [][]byte{unit}, Arrival: time.Now()}); err != nil {
				e.t.Fatal(err)
			}
		}
		e.n++
		time.Sleep(time.Second)
	}
}

func (e *encoder) end() {
	for _, s := range e.sessions {
		s.Close(ingest.ErrUnpublished)
	}
}

// bubble runs a test in virtual time, on a rig that is stopped at the end. No multivariant playlist is checked: it tests nothing.
func bubble(t *testing.T, fn func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() {
			if r.stop != nil {
				r.stop()
			}
			if r.bucket.checked.Load() == 0 {
				t.Error("no multivariant playlist was written")
			}
		}()
		fn(t, r)
	})
}
