// Package storetest is shared by tests of object stores: the conformance suite that every store passes, a store in memory, servers to run
// against, and faults. It refuses to be imported by anything but tests.
package storetest

import (
	"bytes"
	"io"
	"math/rand/v2"
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
		{"if match", testIfMatch},
		{"if match, two at once", testIfMatchConcurrent},
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
	if _, err := s.Put(t.Context(), key, bytes.NewReader(body), a); err != nil {
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
