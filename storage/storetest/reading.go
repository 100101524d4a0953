package storetest

import (
	"bytes"
	"crypto/md5"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
)

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
