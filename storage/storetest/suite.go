// Package storetest is shared by tests of object stores: the conformance suite that every store passes, a store in memory, servers to run
// against, and faults. It refuses to be imported by anything but tests.
package storetest

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Run checks that the store returned by open, empty each time, keeps the contract of storage.Store.
func Run(t *testing.T, open func(t *testing.T) storage.Store) { RunBut(t, nil, open) }

// RunBut is Run without the parts that a store is known to lack, each with the reason.
func RunBut(t *testing.T, lacks map[string]string, open func(t *testing.T) storage.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, storage.Store)
	}{
		{"round trip", testRoundTrip},
		{"names", testNames},
		{"attributes", testAttributes},
		{"empty object", testEmpty},
		{"large object", testLarge},
		{"ranges", testRanges},
		{"missing", testMissing},
		{"overwrite", testOverwrite},
		{"if absent", testIfAbsent},
		{"if absent, many at once", testIfAbsentConcurrent},
		{"list in order", testListOrder},
		{"list many", testListMany},
		{"list stops", testListStops},
		{"browse", testBrowse},
		{"remove", testRemove},
		{"cancelled", testCancelled},
		{"broken body", testBrokenBody},
		{"body read from its start", testRewind},
		{"readers and one writer", testAtomic},
	} {
		t.Run(c.name, func(t *testing.T) {
			if why, lacks := lacks[c.name]; lacks {
				t.Skip(why)
			}
			c.test(t, open(t))
		})
	}
}

// Attributes of segments and playlists as this server writes them.
var (
	segmentAttributes  = storage.Attributes{ContentType: "video/mp2t", CacheControl: "public, max-age=31536000, immutable"}
	playlistAttributes = storage.Attributes{ContentType: "application/vnd.apple.mpegurl", CacheControl: "public, max-age=2"}
)

func put(t *testing.T, s storage.Store, key string, body []byte, a storage.Attributes) {
	t.Helper()
	if err := s.Put(t.Context(), key, bytes.NewReader(body), a); err != nil {
		t.Fatal(err)
	}
}

// Read reads a range of an object, and fails the test if it cannot.
func Read(t testing.TB, s storage.Getter, key string, off, n int64) []byte {
	t.Helper()
	r, _, err := s.Get(t.Context(), key, off, n)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Keys lists the keys under a prefix, and fails the test if it cannot.
func Keys(t testing.TB, s storage.Lister, prefix string) []string {
	t.Helper()
	var keys []string
	if err := s.List(t.Context(), prefix, func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

// Random returns n bytes that depend only on the seed.
func Random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

func testRoundTrip(t *testing.T, s storage.Store) {
	const key = "live/streams/cam/2023-08-24_16-02-52.970/000000001.ts"
	body := Random(1, 300*188)
	put(t, s, key, body, segmentAttributes)
	r, o, err := s.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("read back %d bytes, %v", len(got), err)
	}
	st, err := s.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []storage.Object{o, st} {
		if o.Key != key || o.Size != int64(len(body)) || o.Modified.IsZero() {
			t.Errorf("object %+v", o)
		}
	}
	if o.ETag != st.ETag {
		t.Errorf("ETag %q from Get, %q from Stat", o.ETag, st.ETag)
	}
}

func testNames(t *testing.T, s storage.Store) {
	long := strings.Repeat("x", 128)
	keys := []string{"a", "a-b/c", "a.b", "A", "live/streams/cam.m3u8", "live/streams/cam-2023-08-24_16-02-52.970.m3u8", "x_y/Z0-.._",
		long + "/streams/" + long + ".m3u8"}
	for _, key := range keys {
		put(t, s, key, []byte(key), storage.Attributes{})
	}
	for _, key := range keys {
		if got := Read(t, s, key, 0, -1); string(got) != key {
			t.Errorf("%s holds %q", key, got)
		}
	}
	slices.Sort(keys)
	if got := Keys(t, s, ""); !slices.Equal(got, keys) {
		t.Errorf("listed %q", got)
	}
}

func testAttributes(t *testing.T, s storage.Store) {
	for key, a := range map[string]storage.Attributes{
		"a/1.ts":   segmentAttributes,
		"a/2.ts":   {ContentType: "application/x-other", CacheControl: "no-store"},
		"a/1.m3u8": playlistAttributes,
		"a/2.m3u8": {ContentType: "application/vnd.apple.mpegurl", CacheControl: "public, max-age=2", ContentEncoding: "gzip"},
	} {
		put(t, s, key, []byte("x"), a)
		r, got, err := s.Get(t.Context(), key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		st, err := s.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []storage.Object{got, st} {
			if o.ContentType != a.ContentType || o.CacheControl != a.CacheControl || o.ContentEncoding != a.ContentEncoding {
				t.Errorf("%s: put %+v, got %+v", key, a, o)
			}
		}
	}
	// A later Put replaces them together with the body.
	put(t, s, "a/2.ts", []byte("y"), segmentAttributes)
	if o, err := s.Stat(t.Context(), "a/2.ts"); err != nil || o.CacheControl != segmentAttributes.CacheControl {
		t.Errorf("after overwrite: %+v, %v", o, err)
	}
}

func testEmpty(t *testing.T, s storage.Store) {
	put(t, s, "empty", nil, storage.Attributes{})
	if got := Read(t, s, "empty", 0, -1); len(got) != 0 {
		t.Errorf("read %d bytes", len(got))
	}
	if got := Read(t, s, "empty", 5, 5); len(got) != 0 {
		t.Errorf("read %d bytes", len(got))
	}
	put(t, s, "empty", nil, storage.Attributes{IfAbsent: true})
}

func testLarge(t *testing.T, s storage.Store) {
	body := Random(2, 9<<20+17)
	put(t, s, "large.ts", body, segmentAttributes)
	if md5.Sum(Read(t, s, "large.ts", 0, -1)) != md5.Sum(body) {
		t.Error("read back other bytes")
	}
}

func testRanges(t *testing.T, s storage.Store) {
	body := Random(3, 1000)
	put(t, s, "r", body, storage.Attributes{})
	for _, r := range []struct{ off, n int64 }{
		{0, -1}, {0, 0}, {0, 1}, {1, 10}, {990, 10}, {990, 100}, {999, -1}, {1000, -1}, {1000, 5}, {5000, 1}, {0, 5000}, {500, 0},
	} {
		from := min(r.off, 1000)
		to := int64(1000)
		if r.n >= 0 {
			to = min(from+r.n, 1000)
		}
		rd, o, err := s.Get(t.Context(), "r", r.off, r.n)
		if err != nil {
			t.Errorf("%+v: %v", r, err)
			continue
		}
		got, err := io.ReadAll(rd)
		rd.Close()
		if err != nil || !bytes.Equal(got, body[from:to]) {
			t.Errorf("%+v: %d bytes, %v", r, len(got), err)
		}
		if o.Size != 1000 {
			t.Errorf("%+v: size %d, want that of the whole", r, o.Size)
		}
	}
	if _, _, err := s.Get(t.Context(), "r", -1, 5); err == nil {
		t.Error("a negative offset succeeds")
	}
}

func testMissing(t *testing.T, s storage.Store) {
	put(t, s, "a/b", []byte("x"), storage.Attributes{})
	for _, key := range []string{"none", "a/none", "a", "a/b/c"} {
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat %s: %v", key, err)
		}
		for _, n := range []int64{-1, 0, 1} {
			if _, _, err := s.Get(t.Context(), key, 0, n); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("get %s: %v", key, err)
			}
		}
	}
	if got := Keys(t, s, "none/"); got != nil {
		t.Errorf("listed %q", got)
	}
}

func testOverwrite(t *testing.T, s storage.Store) {
	put(t, s, "o.m3u8", bytes.Repeat([]byte("old"), 1000), playlistAttributes)
	before, err := s.Stat(t.Context(), "o.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "o.m3u8", []byte("new"), playlistAttributes)
	if got := Read(t, s, "o.m3u8", 0, -1); string(got) != "new" {
		t.Errorf("read %q", got)
	}
	if after, err := s.Stat(t.Context(), "o.m3u8"); err != nil || after.ETag == before.ETag && after.ETag != "" {
		t.Errorf("the ETag is the same: %v", err)
	}
}

func testIfAbsent(t *testing.T, s storage.Store) {
	a, b := Random(4, 5000), Random(5, 5000)
	sum := md5.Sum(a)
	for _, c := range []struct {
		name string
		body []byte
		md5  []byte
		want error
	}{
		{"first", a, sum[:], nil},
		{"equal, MD5 known", a, sum[:], nil},
		{"equal, MD5 unknown", a, nil, nil},
		{"other bytes", b, nil, storage.ErrExists},
		{"other size", a[:4000], nil, storage.ErrExists},
		{"nothing", nil, nil, storage.ErrExists},
	} {
		at := segmentAttributes
		at.IfAbsent, at.MD5 = true, c.md5
		if err := s.Put(t.Context(), "p/1.ts", bytes.NewReader(c.body), at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if !bytes.Equal(Read(t, s, "p/1.ts", 0, -1), a) {
		t.Error("the first content is gone")
	}
	if got := Keys(t, s, ""); !slices.Equal(got, []string{"p/1.ts"}) {
		t.Errorf("listed %q", got)
	}
}

func testIfAbsentConcurrent(t *testing.T, s storage.Store) {
	const writers = 8
	var wg sync.WaitGroup
	errs := make([]error, writers)
	bodies := make([][]byte, writers)
	for i := range writers {
		bodies[i] = Random(uint64(100+i), 100_000)
		wg.Go(func() {
			for { // a conflict of two concurrent Puts is transient: the loser tries again
				errs[i] = s.Put(t.Context(), "p/1.ts", bytes.NewReader(bodies[i]), storage.Attributes{IfAbsent: true})
				if storage.KindOf(errs[i]) != storage.Transient {
					return
				}
			}
		})
	}
	wg.Wait()
	winners := 0
	got := Read(t, s, "p/1.ts", 0, -1)
	for i, err := range errs {
		switch {
		case err == nil:
			winners++
			if !bytes.Equal(got, bodies[i]) {
				t.Error("the winner's content is not there")
			}
		case !errors.Is(err, storage.ErrExists):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if winners != 1 {
		t.Errorf("%d winners", winners)
	}
}

func testListOrder(t *testing.T, s storage.Store) {
	keys := []string{"s/a-1", "s/a.m3u8", "s/a/1", "s/a/2", "s/a/b/3", "s/a0", "s/ab/1", "s/stream1/1.ts", "s/stream10/1.ts", "t/1"}
	for _, i := range rand.Perm(len(keys)) {
		put(t, s, keys[i], []byte(keys[i]), storage.Attributes{})
	}
	for prefix, want := range map[string][]string{
		"":               keys,
		"s":              keys[:9],
		"s/":             keys[:9],
		"s/a":            keys[:7],
		"s/a/":           keys[2:5],
		"s/a/b":          keys[4:5],
		"s/stream1":      keys[7:9],
		"s/stream1/":     keys[7:8],
		"s/stream1/1.ts": keys[7:8],
		"s/a/1/":         nil,
		"u":              nil,
	} {
		if got := Keys(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("prefix %q: %q, want %q", prefix, got, want)
		}
	}
	if err := s.List(t.Context(), "s/a/1", func(o storage.Object) error {
		if o.Size != int64(len(o.Key)) || o.Modified.IsZero() {
			t.Errorf("listed %+v", o)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func testListMany(t *testing.T, s storage.Store) {
	const n = 1050 // more than a page in S3
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < n; i += 8 {
				if err := s.Put(t.Context(), fmt.Sprintf("m/%09d.ts", i), strings.NewReader("x"), segmentAttributes); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	keys := Keys(t, s, "m/")
	if len(keys) != n || !slices.IsSorted(keys) {
		t.Fatalf("%d keys, sorted: %v", len(keys), slices.IsSorted(keys))
	}
	if err := s.Remove(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if got := Keys(t, s, ""); got != nil {
		t.Errorf("%d keys are left", len(got))
	}
}

func testListStops(t *testing.T, s storage.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprint("k", i), nil, storage.Attributes{})
	}
	stop, n := errors.New("stop"), 0
	if err := s.List(t.Context(), "", func(storage.Object) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	}); err != stop || n != 2 {
		t.Errorf("%v after %d", err, n)
	}
}

func testBrowse(t *testing.T, s storage.Store) {
	for _, key := range []string{"live/streams/a-1.m3u8", "live/streams/a.m3u8", "live/streams/a/1.ts", "live/streams/a/2.ts", "live/streams/b/c/1.ts", "vod/x", "z"} {
		put(t, s, key, []byte("x"), storage.Attributes{})
	}
	for prefix, want := range map[string][]string{
		"":              {"live/", "vod/", "z"},
		"live/":         {"live/streams/"},
		"live/streams/": {"live/streams/a-1.m3u8", "live/streams/a.m3u8", "live/streams/a/", "live/streams/b/"},
		"none/":         nil,
	} {
		var got []string
		if err := storage.Browse(t.Context(), s, prefix, func(o storage.Object) error {
			got = append(got, o.Key)
			return nil
		}); err != nil || !slices.Equal(got, want) {
			t.Errorf("browse %q: %q, %v", prefix, got, err)
		}
	}
}

func testRemove(t *testing.T, s storage.Store) {
	for _, key := range []string{"a/1", "a/2", "b/1", "c"} {
		put(t, s, key, []byte("x"), playlistAttributes)
	}
	if err := s.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	for _, keys := range [][]string{{"a/1"}, {"a/1", "none", "b/1"}, {"b/none"}} {
		if err := s.Remove(t.Context(), keys...); err != nil {
			t.Errorf("remove %q: %v", keys, err)
		}
	}
	if got := Keys(t, s, ""); !slices.Equal(got, []string{"a/2", "c"}) {
		t.Errorf("left %q", got)
	}
	put(t, s, "a/1", []byte("y"), storage.Attributes{IfAbsent: true})
}

func testCancelled(t *testing.T, s storage.Store) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(cancelled, "c/1", strings.NewReader("x"), storage.Attributes{}); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Stat(cancelled, "c/1"); !errors.Is(err, context.Canceled) {
		t.Errorf("stat: %v", err)
	}
	if err := s.List(cancelled, "", func(storage.Object) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
	if err := s.Remove(cancelled, "c/1"); !errors.Is(err, context.Canceled) {
		t.Errorf("remove: %v", err)
	}
	// In the middle of a body.
	during, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := &hookReader{ReadSeeker: bytes.NewReader(Random(6, 8<<20)), at: 1 << 20, hook: func() error { cancel(); return nil }}
	if err := s.Put(during, "c/1", body, storage.Attributes{}); !errors.Is(err, context.Canceled) {
		t.Errorf("put cancelled halfway: %v", err)
	}
	if got := Keys(t, s, ""); got != nil {
		t.Errorf("visible: %q", got)
	}
}

func testBrokenBody(t *testing.T, s storage.Store) {
	broken := errors.New("disk gone")
	body := &hookReader{ReadSeeker: bytes.NewReader(Random(7, 4<<20)), at: 1 << 20, hook: func() error { return broken }}
	if err := s.Put(t.Context(), "b/1", body, storage.Attributes{}); !errors.Is(err, broken) {
		t.Errorf("put: %v", err)
	}
	if got := Keys(t, s, ""); got != nil {
		t.Errorf("visible: %q", got)
	}
}

// hookReader calls hook each time reading passes the offset at.
type hookReader struct {
	io.ReadSeeker
	at, pos int64
	hook    func() error
}

func (r *hookReader) Read(p []byte) (int, error) {
	if r.pos >= r.at {
		if err := r.hook(); err != nil {
			return 0, err
		}
	}
	n, err := r.ReadSeeker.Read(p)
	r.pos += int64(n)
	return n, err
}

func (r *hookReader) Seek(off int64, whence int) (int64, error) {
	pos, err := r.ReadSeeker.Seek(off, whence)
	r.pos = 0 // only reading counts
	return pos, err
}

func testRewind(t *testing.T, s storage.Store) {
	body := bytes.NewReader([]byte("whole"))
	_, _ = body.ReadByte()
	for _, key := range []string{"1", "2"} {
		if err := s.Put(t.Context(), key, body, storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		if got := Read(t, s, key, 0, -1); string(got) != "whole" {
			t.Errorf("%q", got)
		}
	}
}

func testAtomic(t *testing.T, s storage.Store) {
	versions := [][]byte{bytes.Repeat([]byte("a"), 300_000), bytes.Repeat([]byte("b"), 200_000)}
	put(t, s, "v.m3u8", versions[0], playlistAttributes)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r, _, err := s.Get(t.Context(), "v.m3u8", 0, -1)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r)
				r.Close()
				if err != nil || !bytes.Equal(got, versions[0]) && !bytes.Equal(got, versions[1]) {
					t.Errorf("a reader sees neither version: %d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	for i := range 30 {
		put(t, s, "v.m3u8", versions[i%2], playlistAttributes)
	}
	close(done)
	wg.Wait()
}
