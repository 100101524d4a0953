package mirror_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scale shortens the long tests; 1 is their full length.
func scale() float64 {
	if f, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64); err == nil && f > 0 {
		return f
	}
	return 0.06
}

// ledger is a bucket that keeps playlists, and of segments what identifies them. It plays a reader that looks at every moment: each
// playlist is checked, when it is written, against what is there.
type ledger struct {
	t testing.TB

	mu      sync.Mutex
	objects map[string]stored
	media   int64         // bytes of segments
	lists   int64         // bytes of playlists
	writes  int           // playlists written
	late    time.Duration // the longest a listed segment waited for the growing timestamped playlist
	arrived map[string]time.Time
	named   map[string]bool
	checked int
	whole   bool                // bodies of segments are kept, too
	swaps   bool                // it keeps to conditions, and states ETags
	asked   int                 // requests
	history map[string][]stored // entries, by key: what was written
}

type stored struct {
	size int64
	crc  uint32
	body []byte // of playlists
	a    storage.Attributes
	at   time.Time
}

func newLedger(t testing.TB) *ledger {
	return &ledger{t: t, objects: map[string]stored{}, arrived: map[string]time.Time{}, named: map[string]bool{}, history: map[string][]stored{}}
}

func (l *ledger) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	var keep bytes.Buffer
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	w := io.Writer(sum)
	list := strings.HasSuffix(key, ".m3u8") || strings.HasSuffix(key, ".mpd")
	aside := strings.HasPrefix(key, storage.Shared)
	if list || l.whole || aside {
		w = io.MultiWriter(sum, &keep)
	}
	n, err := io.Copy(w, body)
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	old, exists := l.objects[key]
	if exists && a.IfAbsent {
		if old.crc == sum.Sum32() && old.size == n {
			return l.etag(old), nil
		}
		return "", fmt.Errorf("put %s: %w", key, storage.ErrExists)
	}
	o := stored{size: n, crc: sum.Sum32(), body: keep.Bytes(), a: a, at: time.Now()}
	if l.swaps && a.IfMatch != "" && (!exists || l.etag(old) != a.IfMatch) {
		if exists && l.etag(old) == l.etag(o) {
			return l.etag(o), nil
		}
		return "", fmt.Errorf("put %s: %w", key, storage.ErrChanged)
	}
	if aside {
		l.objects[key] = o
		return l.etag(o), nil
	}
	if list {
		l.lists += n
		l.writes++
		l.check(key, o, old)
		if name, ok := segmenter.ParseName(key); ok && name.Kind == segmenter.KindEntry {
			l.history[key] = append(l.history[key], o)
		}
	} else {
		l.media += n
		l.arrived[key] = o.at
	}
	l.objects[key] = o
	return l.etag(o), nil
}

// etag is what the ledger states; "" unless it keeps to conditions.
func (l *ledger) etag(o stored) string {
	if !l.swaps {
		return ""
	}
	if int64(len(o.body)) == o.size {
		return fmt.Sprintf("%x", md5.Sum(o.body))
	}
	return fmt.Sprintf("%08x-%d", o.crc, o.size)
}

// requests returns how many there were.
func (l *ledger) requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

// Stat and Get are what the mirror calls if a journal does not say enough.
func (l *ledger) Stat(ctx context.Context, key string) (storage.Object, error) {
	if err := ctx.Err(); err != nil {
		return storage.Object{}, err
	}
	l.mu.Lock()
	l.asked++
	l.mu.Unlock()
	o, ok := l.object(key)
	if !ok {
		return storage.Object{}, fmt.Errorf("stat %s: %w", key, fs.ErrNotExist)
	}
	return storage.Object{Key: key, Size: o.size, Modified: o.at, ETag: l.etag(o), ContentEncoding: o.a.ContentEncoding}, nil
}

func (l *ledger) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	l.mu.Lock()
	var keys []string
	for k := range l.objects {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	l.mu.Unlock()
	slices.Sort(keys)
	for _, k := range keys {
		o, err := l.Stat(ctx, k)
		if err == nil {
			err = fn(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) Get(ctx context.Context, key string, _, _ int64) (io.ReadCloser, storage.Object, error) {
	o, err := l.Stat(ctx, key)
	if err != nil {
		return nil, o, err
	}
	stored, _ := l.object(key)
	if int64(len(stored.body)) != o.Size {
		return nil, o, fmt.Errorf("get %s: this ledger keeps no bodies", key)
	}
	return io.NopCloser(bytes.NewReader(stored.body)), o, nil
}

// check fails the test if a reader of this playlist would be sent to something missing, or would see the playlist go back.
func (l *ledger) check(key string, o, old stored) {
	l.checked++
	text := string(plain(l.t, o))
	name, ok := segmenter.ParseName(key)
	if !ok {
		l.t.Errorf("%s is no name of ours", key)
		return
	}
	if name.Kind == segmenter.KindDASHEntry || name.Kind == segmenter.KindDASHArchive {
		for _, at := range manifested(l.t, key, text) {
			if _, ok := l.objects[at]; !ok {
				l.t.Errorf("%s names %s, which is not there", key, at)
			}
		}
		return
	}
	if name.Kind == segmenter.KindEntry || strings.Contains(text, "#EXT-X-STREAM-INF") {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if _, uri, ok := strings.Cut(line, `URI="`); ok && strings.HasPrefix(line, "#EXT-X-MEDIA:") {
				line, _, _ = strings.Cut(uri, `"`)
			}
			if !strings.HasPrefix(line, "#") {
				if _, ok := l.objects[path.Join(path.Dir(key), line)]; !ok {
					l.t.Errorf("%s names %s, which is not there", key, line)
				}
			}
		}
		return
	}
	m, err := m3u8.ParseMedia([]byte(text))
	if err != nil {
		l.t.Errorf("%s: %v\n%s", key, err, text)
		return
	}
	for _, s := range m.Segments {
		if s.Map != "" {
			if _, ok := l.objects[path.Join(path.Dir(key), s.Map)]; !ok {
				l.t.Errorf("%s names %s, which is not there", key, s.Map)
			}
		}
		if s.Gap {
			continue
		}
		at := path.Join(path.Dir(key), s.URI)
		seg, ok := l.objects[at]
		if !ok {
			l.t.Errorf("%s names %s, which is not there", key, at)
		}
		if s.Size > 0 && (s.Size != seg.size || s.CRC32C != seg.crc) {
			l.t.Errorf("%s says of %s: %d bytes, %08x; it has %d, %08x", key, s.URI, s.Size, s.CRC32C, seg.size, seg.crc)
		}
		if name.Kind == segmenter.KindArchive && !l.named[at] {
			l.named[at] = true
			l.late = max(l.late, o.at.Sub(seg.at))
		}
	}
	if old.body == nil {
		return
	}
	was, err := m3u8.ParseMedia(plain(l.t, old))
	if err != nil {
		l.t.Fatal(err)
	}
	if m.MediaSequence < was.MediaSequence || m.DiscontinuitySequence < was.DiscontinuitySequence || was.EndList && !m.EndList ||
		m.MediaSequence+uint64(len(m.Segments)) < was.MediaSequence+uint64(len(was.Segments)) {
		l.t.Errorf("%s goes back: from %d+%d (disc %d, end %v) to %d+%d (disc %d, end %v)", key,
			was.MediaSequence, len(was.Segments), was.DiscontinuitySequence, was.EndList,
			m.MediaSequence, len(m.Segments), m.DiscontinuitySequence, m.EndList)
	}
}

func plain(t testing.TB, o stored) []byte {
	if o.a.ContentEncoding != "gzip" {
		return o.body
	}
	z, err := gzip.NewReader(bytes.NewReader(o.body))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// list returns the playlist under a key, or nil.
func (l *ledger) list(key string) *m3u8.Media {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, ok := l.objects[key]
	if !ok {
		return nil
	}
	m, err := m3u8.ParseMedia(plain(l.t, o))
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

func (l *ledger) object(key string) (stored, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, ok := l.objects[key]
	return o, ok
}

// totals is what was written so far.
type totals struct {
	media, lists    int64 // bytes
	writes, checked int   // playlists
	late            time.Duration
}

func (l *ledger) totals() totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	return totals{media: l.media, lists: l.lists, writes: l.writes, checked: l.checked, late: l.late}
}

func (l *ledger) keys(suffix string) (keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.objects {
		if strings.HasSuffix(k, suffix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// fault is a switch in front of a bucket.
type fault struct {
	storage.Putter
	mu      sync.Mutex
	err     error
	lost    bool // the write is carried out and only its answer is lost
	every   int  // only one call in this many is affected; 0: all
	calls   int
	block   chan struct{}
	refused int
	unread  bool   // nothing can be read
	only    string // only writes of keys with this suffix are affected; "": all
}

func (f *fault) refusals() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

func (f *fault) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.lost, f.every = err, false, 0
}

// hang makes calls wait until the returned func is called.
func (f *fault) hang() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan struct{})
	f.block = ch
	return func() {
		f.mu.Lock()
		f.block = nil
		f.mu.Unlock()
		close(ch)
	}
}

func (f *fault) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	f.mu.Lock()
	f.calls++
	err, lost, block := f.err, f.lost, f.block
	if f.every > 0 && f.calls%f.every != 0 || !strings.HasSuffix(key, f.only) {
		err = nil
	}
	if err != nil {
		f.refused++
	}
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if err != nil && !lost {
		return "", err
	}
	etag, e := f.Putter.Put(ctx, key, body, a)
	return etag, errors.Join(e, err)
}

// trouble is what a query meets now.
func (f *fault) trouble(ctx context.Context) (storage.Getter, error) {
	f.mu.Lock()
	err, block := f.err, f.block
	if f.every > 0 {
		err = nil
	}
	if f.unread {
		err = errAway
	}
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if g, ok := f.Putter.(storage.Getter); ok || err != nil {
		return g, err
	}
	return nil, errors.New("this store cannot be asked")
}

func (f *fault) Stat(ctx context.Context, key string) (storage.Object, error) {
	g, err := f.trouble(ctx)
	if err != nil {
		return storage.Object{}, err
	}
	return g.Stat(ctx, key)
}

func (f *fault) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	g, err := f.trouble(ctx)
	if err != nil {
		return nil, storage.Object{}, err
	}
	return g.Get(ctx, key, off, n)
}

func (f *fault) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	g, err := f.trouble(ctx)
	if err != nil {
		return err
	}
	return g.(storage.Lister).List(ctx, prefix, fn)
}

// rig is everything from the frame to the bucket. It runs in a synctest bubble.
type rig struct {
	t      *testing.T
	reg    *segmenter.Registry
	mirror *mirror.Mirror
	spool  *spool.Spool
	dir    string
	bucket *ledger
	fault  *fault
	o      mirror.Options
	so     spool.Options
	stop   func() error
	odd    bool                // a start may find folders that it has to put aside
	newest int                 // recordings that were restored with the bytes of their newest segment
	groups map[string][]string // ladders of the app
	low    bool                // recordings have low latency
	waits  bool                // viewers wait for the first store
	node   string              // the server's name; "": it claims nothing
}

func newRig(t *testing.T) *rig {
	b := newLedger(t)
	r := &rig{t: t, bucket: b, fault: &fault{Putter: b}, dir: t.TempDir()}
	r.o.Store = r.fault
	r.so.Dir = r.dir
	r.so.FS = quick
	return r
}

// quick is a disk that does not sync.
var quick = spool.FS{Sync: func(*os.File) error { return nil }, SyncDir: func(string) error { return nil }}

// start starts a server: recover, restore, run. It returns what was recovered.
func (r *rig) start() []segmenter.Recovered {
	r.t.Helper()
	r.reg = segmenter.NewRegistry(segmenter.Options{
		Apps: map[string]segmenter.AppOptions{"live": {SegmentDuration: 2 * time.Second, Window: 20 * time.Second, TargetDuration: 2 * time.Second, Groups: r.groups, LowLatency: r.low}},
		Now:  time.Now, Confirmed: r.waits,
	})
	if r.so.Dir != "" {
		r.spool = spool.New(r.so)
		r.o.Spool = r.spool
	}
	if r.o.Log == nil && testing.Verbose() {
		r.o.Log = slog.New(slog.NewTextHandler(testWriter{r.t}, nil))
	}
	o := r.o
	over := make(chan mirror.Notice, 64)
	o.Tell = func(n mirror.Notice) {
		if n.Kind == mirror.StoodDown && n.Ended {
			over <- n
		}
		if r.o.Tell != nil {
			r.o.Tell(n)
		}
	}
	r.mirror = mirror.New(o)
	r.mirror.Name(claim.Server{Node: r.node})
	recovered, err := r.mirror.Recover(r.t.Context())
	if err != nil && !r.odd {
		r.t.Error(err)
	} else if err != nil {
		r.t.Log(err)
	}
	for _, rec := range recovered {
		n := len(rec.Rows)
		for n > 0 && rec.Rows[n-1].Gap {
			n--
		}
		if n > 0 {
			last := &rec.Rows[n-1]
			if lost := rec.Next > last.Sequence+1; len(rec.Newest) > 0 && (!lost || crc32.Checksum(rec.Newest, crc32.MakeTable(crc32.Castagnoli)) != last.CRC32C) {
				r.t.Errorf("%d bytes stand for the newest segment %+v, the next is %d", len(rec.Newest), *last, rec.Next)
			}
			if len(rec.Newest) > 0 {
				r.newest++
			}
		}
		if err := r.reg.Restore(rec); err != nil {
			r.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.mirror.Run(ctx, r.reg) }()
	ticked := make(chan struct{})
	go func() {
		defer close(ticked)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case n := <-over: // as the server does
				if line := r.reg.Timeline(n.Key.App, n.Key.Stream); line != nil && line.Recording() == n.Recording {
					_, _ = r.reg.End(n.Key, errElsewhere)
				}
			case <-tick.C:
				r.reg.Expire(time.Now())
			}
		}
	}()
	r.stop = func() error {
		cancel()
		<-ticked
		return <-done
	}
	return recovered
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// errElsewhere is what a publisher is told whose recording another server has ended.
var errElsewhere = errors.New("another server has had the stream: connect again")

// encoder publishes one frame a second, every second one a keyframe. It connects again when it is told to.
type encoder struct {
	r     *rig
	on    string
	s     ingest.Session
	track *ingest.Track
	n     int64
	unit  []byte
	sei   [][]byte // before the picture
}

var sps = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}

// publish begins to push a stream with segments of size bytes and 2 s.
func (r *rig) publish(stream string, size int) *encoder {
	r.t.Helper()
	return &encoder{
		r: r, on: stream, s: r.session(stream), unit: bytes.Repeat([]byte{0x55}, size/2),
		track: &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 1, Alone: true},
	}
}

func (r *rig) session(stream string) ingest.Session {
	r.t.Helper()
	s, err := r.reg.Publish(context.Background(), ingest.Announce{
		App: "live", Stream: stream, Protocol: "test", Remote: "192.0.2.1:5000", Identity: "me", Cancel: func(error) {},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// run pushes for d, in the bubble's real time.
func (e *encoder) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		e.frame()
		time.Sleep(time.Second)
	}
}

func (e *encoder) frame() {
	e.r.t.Helper()
	e.unit[0] = 0x41
	if e.n%2 == 0 {
		e.unit[0] = 0x65
	}
	binary.BigEndian.PutUint64(e.unit[1:], 0x0101010101010101+uint64(e.n)<<8)
	dts := e.n * ingest.Clock
	f := &ingest.Frame{Track: e.track, PTS: dts, DTS: dts, Key: e.n%2 == 0, Units: append(e.sei[:len(e.sei):len(e.sei)], e.unit), Arrival: time.Now()}
	err := e.s.WriteFrame(f)
	if errors.Is(err, errElsewhere) {
		e.s = e.r.session(e.on)
		err = e.s.WriteFrame(f)
	}
	if err != nil {
		e.r.t.Fatal(err)
	}
	e.n++
}

// end ends the publisher and waits for the recording to end and settle.
func (e *encoder) end() { e.s.Close(ingest.ErrUnpublished) }

// recordAway records ten segments while the store is away, of pictures of so many bytes, and stops; it returns their files in the spool.
func (r *rig) recordAway(size int) []string {
	r.t.Helper()
	r.start()
	r.fault.set(errAway)
	e := r.publish("cam", size)
	e.run(20 * time.Second)
	e.end()
	time.Sleep(30 * time.Second)
	if err := r.stop(); err != nil {
		r.t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "live/streams/cam/*/*.ts"))
	if err != nil || len(files) != 10 {
		r.t.Fatal(files, err)
	}
	return files
}

// settled waits until the bucket has everything, and fails the test if that does not happen.
func (r *rig) settled(within time.Duration) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := r.mirror.Flush(ctx); err != nil {
		r.t.Fatal(err)
	}
}

// archives returns the timestamped playlists in the bucket.
func (r *rig) archives() (lists []*m3u8.Media, keys []string) {
	for _, k := range r.bucket.keys(".m3u8") {
		if n, ok := segmenter.ParseName(k); ok && n.Kind == segmenter.KindArchive {
			lists, keys = append(lists, r.bucket.list(k)), append(keys, k)
		}
	}
	return lists, keys
}

// complete fails the test unless there is one finished timestamped playlist of n segments with that many gaps.
func (r *rig) complete(n, gaps int) {
	r.t.Helper()
	lists, keys := r.archives()
	if len(lists) != 1 {
		r.t.Fatalf("timestamped playlists: %v", keys)
	}
	m := lists[0]
	if !m.EndList || m.Type != m3u8.VOD || len(m.Segments) != n {
		r.t.Errorf("timestamped playlist: %d segments, type %v, end %v; want %d, VOD, true", len(m.Segments), m.Type, m.EndList, n)
	}
	got := 0
	for _, s := range m.Segments {
		if s.Gap {
			got++
		}
	}
	if got != gaps {
		r.t.Errorf("%d gaps, want %d", got, gaps)
	}
	for _, k := range r.bucket.keys("live.m3u8") {
		if !r.bucket.list(k).EndList {
			r.t.Errorf("%s has no ENDLIST", k)
		}
	}
}

// bubble runs a test in virtual time, on a rig whose mirror is stopped at the end.
func bubble(t *testing.T, fn func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() {
			if r.stop != nil {
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			}
		}()
		fn(t, r)
	})
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func (s *slowStore) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	select {
	case <-time.After(s.pause):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return s.Putter.Put(ctx, key, body, a)
}

func (l *ledger) keysIn(prefix string) (keys []string) {
	for _, k := range l.keys(".ts") {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	return keys
}
