package storetest

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
)

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
		if _, err := s.Put(t.Context(), "p/1.ts", bytes.NewReader(c.body), at); !errors.Is(err, c.want) {
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

func testIfMatch(t *testing.T, s storage.Store) {
	const key = "p/live.m3u8"
	swap := func(body, etag string) (string, error) {
		at := playlistAttributes
		at.IfMatch = etag
		return s.Put(t.Context(), key, strings.NewReader(body), at)
	}
	if _, err := swap("nothing was there", "d41d8cd98f00b204e9800998ecf8427e"); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("where there is none: %v", err)
	}
	if got := Keys(t, s, ""); got != nil {
		t.Errorf("it is there all the same: %q", got)
	}
	at := playlistAttributes
	at.IfAbsent = true
	first, err := s.Put(t.Context(), key, strings.NewReader("first"), at)
	if err != nil || first == "" {
		t.Fatalf("ETag %q, %v", first, err)
	}
	if o, err := s.Stat(t.Context(), key); err != nil || o.ETag != first {
		t.Errorf("Put says %q, Stat %q, %v", first, o.ETag, err)
	}
	second, err := swap("second", first)
	if err != nil || second == "" || second == first {
		t.Fatalf("ETag %q after %q, %v", second, first, err)
	}
	// The answer to that was lost: the same once more is no other writer.
	if again, err := swap("second", first); err != nil || again != second {
		t.Errorf("the same again: %q, %v", again, err)
	}
	for body, etag := range map[string]string{"third": first, "other": "d41d8cd98f00b204e9800998ecf8427e"} {
		if _, err := swap(body, etag); !errors.Is(err, storage.ErrChanged) || storage.KindOf(err) != storage.Changed {
			t.Errorf("%s over %s: %v", body, etag, err)
		}
	}
	r, o, err := s.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if got := Read(t, s, key, 0, -1); string(got) != "second" || o.ETag != second || o.CacheControl != playlistAttributes.CacheControl {
		t.Errorf("read %q of %+v", got, o)
	}
	// What was read is as good as what was written.
	if _, err := swap("fourth", o.ETag); err != nil {
		t.Error(err)
	}
	if err := s.Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := swap("fifth", second); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("where it was removed: %v", err)
	}
}

// swapRounds is how often two writers meet.
const swapRounds = 25

// testIfMatchConcurrent lets two writers replace one object in rounds: exactly one of them succeeds each time, and what it wrote is there.
func testIfMatchConcurrent(t *testing.T, s storage.Store) {
	const key = "p/live.m3u8"
	etag, err := s.Put(t.Context(), key, strings.NewReader("start"), playlistAttributes)
	if err != nil {
		t.Fatal(err)
	}
	for round := range swapRounds {
		var wg sync.WaitGroup
		var etags [2]string
		var errs [2]error
		body := func(i int) string { return strings.Repeat(fmt.Sprintf("round %d, writer %d\n", round, i), 50) }
		for i := range 2 {
			wg.Go(func() {
				for { // a conflict of two concurrent Puts may be transient
					at := playlistAttributes
					at.IfMatch = etag
					etags[i], errs[i] = s.Put(t.Context(), key, strings.NewReader(body(i)), at)
					if storage.KindOf(errs[i]) != storage.Transient {
						return
					}
				}
			})
		}
		wg.Wait()
		won := 0
		if errs[0] != nil {
			won = 1
		}
		if errs[won] != nil || !errors.Is(errs[1-won], storage.ErrChanged) {
			t.Fatalf("round %d: %v, %v", round, errs[0], errs[1])
		}
		if got := Read(t, s, key, 0, -1); string(got) != body(won) {
			t.Fatalf("round %d: writer %d won, and %.30q is there", round, won, got)
		}
		etag = etags[won]
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
				_, errs[i] = s.Put(t.Context(), "p/1.ts", bytes.NewReader(bodies[i]), storage.Attributes{IfAbsent: true})
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
