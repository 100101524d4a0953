package mirror_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/dir"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/s3"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// A client that reads a real store all the time, through every kind of trouble, never finds a playlist that lists a missing object. The
// clock is the real one.
func TestReaderNeverMissesAnything(t *testing.T) {
	t.Run("directory", func(t *testing.T) {
		bucket, err := dir.Open(dir.Options{Path: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer bucket.Close()
		faulty := storetest.NewFaulty(bucket)
		put := []storetest.Op{storetest.OpPut}
		neverMisses(t, faulty, bucket, []func(){
			func() { faulty.Set() },
			func() { faulty.Set(storetest.Fault{Ops: put, Err: errors.New("connection reset")}) },
			func() { faulty.Set(storetest.Fault{Ops: put, Err: storage.ErrThrottled}) },
			func() { faulty.Set(storetest.Fault{Ops: put, Err: errors.New("no answer"), Lost: true}) },
			func() { faulty.Set(storetest.Fault{Ops: put, Hang: true}) },
		}, faulty.Hits)
	})
	t.Run("versitygw", func(t *testing.T) {
		server := storetest.Versitygw(t)
		proxy := storetest.NewProxy(t, server.Endpoint)
		open := func(endpoint string) storage.Store {
			s, err := s3.Open(t.Context(), s3.Options{
				Bucket: server.Bucket, Prefix: "show", Endpoint: endpoint, PathStyle: true, AccessKey: server.AccessKey, SecretKey: server.SecretKey,
				StallTimeout: time.Second, ResponseTimeout: time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		hits := func() int { _, n := proxy.Counts(); return n }
		put := storetest.Method("PUT")
		neverMisses(t, open(proxy.URL), open(server.Endpoint), []func(){
			func() { proxy.Set() },
			func() { proxy.Set(storetest.Trouble{Match: put, Status: 503}) },
			func() { proxy.Set(storetest.Trouble{Match: put, Every: 2, ResetRequest: 3000}) },
			func() { proxy.Set(storetest.Trouble{Match: put, Every: 2, LoseResponse: true}) },
			func() { proxy.Set(storetest.Trouble{Match: put, Hang: true}) },
			func() { proxy.Set(storetest.Trouble{Match: put, BytesPerSecond: 50_000}) },
		}, hits)
	})
}

// neverMisses uploads through store under one trouble after another, the first being none, and reads from bucket.
func neverMisses(t *testing.T, store, bucket storage.Store, troubles []func(), hits func() int) {
	m := mirror.New(mirror.Options{Store: store, Spool: spool.New(spool.Options{Dir: t.TempDir()})})
	reg := segmenter.NewRegistry(segmenter.Options{
		Apps: map[string]segmenter.AppOptions{"live": {SegmentDuration: 200 * time.Millisecond, Window: 2 * time.Second, TargetDuration: time.Second}},
		Now:  time.Now,
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, reg) }()

	s, err := reg.Publish(ctx, ingest.Announce{App: "live", Stream: "cam", Identity: "me", Cancel: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	var reads, missing atomic.Int64
	stopReader := make(chan struct{})
	readerDone := make(chan struct{})
	go func() {
		defer close(readerDone)
		for {
			select {
			case <-stopReader:
				return
			default:
			}
			readAll(t, bucket, &reads, &missing)
		}
	}()

	length := time.Duration(float64(60*time.Second) * min(1, scale()))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	track := &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 20, Alone: true}
	begun, phase := time.Now(), 0
	for n := int64(0); time.Since(begun) < length; n++ {
		switch i := int(time.Since(begun)*20/length) % (2 * len(troubles)); {
		case i == phase:
		case i%2 == 1:
			phase = i
			troubles[i/2]()
		default:
			phase = i
			troubles[0]()
		}
		unit := make([]byte, 20000)
		unit[0] = 0x41
		if n%4 == 0 {
			unit[0] = 0x65
		}
		for i := 1; i < len(unit); i++ {
			unit[i] = byte(n) | 1
		}
		now := <-tick.C
		if err := s.WriteFrame(&ingest.Frame{Track: track, PTS: n * 4500, DTS: n * 4500, Key: n%4 == 0, Units: [][]byte{unit}, Arrival: now}); err != nil {
			t.Fatal(err)
		}
	}
	troubles[0]()
	s.Close(ingest.ErrUnpublished)
	reg.Close(true)
	flush, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if err := m.Sync(flush); err != nil {
		t.Error(err)
	}
	if err := m.Flush(flush); err != nil {
		t.Error(err)
	}
	close(stopReader)
	<-readerDone
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	readAll(t, bucket, &reads, &missing)
	attributes(t, bucket)
	stats, took := m.Uploaders()[0].Stats(), int64(0)
	for i := range stats.Took {
		took += stats.Took[i].Load()
	}
	if took != stats.Segments.Load() || stats.TookSum.Load() <= 0 {
		t.Errorf("%d segments were stored, and %d uploads took %v", stats.Segments.Load(), took, time.Duration(stats.TookSum.Load()))
	}
	t.Logf("%d playlists read, %d faults met, %d segments uploaded", reads.Load(), hits(), stats.Segments.Load())
	if missing.Load() > 0 || reads.Load() == 0 || m.Uploaders()[0].Stats().BacklogSegments.Load() != 0 {
		t.Errorf("%d of what %d playlists name is missing", missing.Load(), reads.Load())
	}
}

// attributes checks the type and the age of every object.
func attributes(t *testing.T, s storage.Store) {
	var keys []string
	if err := s.List(context.Background(), "", func(o storage.Object) error { keys = append(keys, o.Key); return nil }); err != nil {
		t.Error(err)
	}
	for _, key := range keys {
		o, err := s.Stat(context.Background(), key)
		typ, age := "application/vnd.apple.mpegurl", "public, max-age="
		if strings.HasSuffix(key, ".ts") {
			typ, age = "video/mp2t", "public, max-age=31536000, immutable"
		}
		if err != nil || o.ContentType != typ || !strings.HasPrefix(o.CacheControl, age) {
			t.Errorf("%s: %+v, %v", key, o, err)
		}
	}
}

// readAll reads every playlist in a store and checks for everything it lists.
func readAll(t *testing.T, s storage.Store, reads, missing *atomic.Int64) {
	ctx := context.Background()
	var lists []string
	if err := s.List(ctx, "live/", func(o storage.Object) error {
		if strings.HasSuffix(o.Key, ".m3u8") {
			lists = append(lists, o.Key)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	for _, key := range lists {
		body := storetest.Read(t, s, key, 0, -1)
		reads.Add(1)
		named := []string{}
		if m, err := m3u8.ParseMedia(body); err == nil {
			for _, seg := range m.Segments {
				if !seg.Gap {
					named = append(named, seg.URI)
				}
			}
		} else if m, err := m3u8.ParseMaster(body); err == nil {
			for _, v := range m.Variants {
				named = append(named, v.URI)
			}
		} else {
			t.Errorf("%s: %v", key, err)
		}
		for _, uri := range named {
			if _, err := s.Stat(ctx, path.Join(path.Dir(key), uri)); errors.Is(err, fs.ErrNotExist) {
				missing.Add(1)
				t.Errorf("%s names %s, which is not there", key, uri)
			}
		}
	}
}

// On a file system that is really full, live goes on, gaps are declared, and what the disk could keep is not lost.
func TestSmallFileSystem(t *testing.T) {
	mount := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount).CombinedOutput(); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v %s", err, out)
	}
	t.Cleanup(func() {
		if err := exec.Command("umount", mount).Run(); err != nil {
			t.Error(err)
		}
	})
	bubble(t, func(t *testing.T, r *rig) {
		r.so.Dir = filepath.Join(mount, "spool")
		r.o.MemoryBytes = 100_000
		r.start()
		e := r.publish("cam", 20_000)
		e.run(20 * time.Second)
		r.fault.set(errAway)
		e.run(10 * time.Minute)
		r.fault.set(nil)
		e.run(time.Minute)
		gaps := int(r.mirror.Stats().Gaps.Load())
		if kept := 310 - gaps; kept < 25 || kept > 60 {
			t.Errorf("%d gaps", gaps)
		}
		if n := r.mirror.Stats().DiskErrors.Load(); n > 2 {
			t.Errorf("%d disk errors, though eviction makes room", n)
		}
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		r.complete(340, gaps)
		if left, _ := filepath.Glob(filepath.Join(mount, "spool/*/*/*/*/*.tmp")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		// A filler takes all that is left: then segments go only from memory.
		filler, err := os.Create(filepath.Join(mount, "filler"))
		if err != nil {
			t.Fatal(err)
		}
		defer filler.Close()
		for buf := make([]byte, 4096); err == nil; {
			_, err = filler.Write(buf)
		}
		e = r.publish("dog", 20_000)
		e.run(time.Minute)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		if got := len(r.bucket.keysIn("live/streams/dog/")); got != 30 {
			t.Errorf("%d segments of 30", got)
		}
	})
}
