package storetest

import (
	"bytes"
	"crypto/md5"
	"errors"
	"slices"
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
