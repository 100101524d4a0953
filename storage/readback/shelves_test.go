package readback_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/readback"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// keeper needs all that it wrote.
type keeper struct{}

func (keeper) Need(uint64) spool.Need { return spool.Wanted }
func (keeper) Dropped(uint64)         {}

// The spool is looked at first, then the bucket; without either there is nothing.
func TestShelves(t *testing.T) {
	s := spool.New(spool.Options{Dir: t.TempDir(), Sync: spool.Never})
	f, err := s.Folder(spool.ID{App: "live", Stream: "cam", Recording: "2023-08-24_16-02-52.970"}, keeper{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Write(1, 5, [][]byte{[]byte("spool")}); err != nil {
		t.Fatal(err)
	}
	bucket := &storetest.Memory{}
	for _, n := range []int{1, 2} {
		if _, err := bucket.Put(t.Context(), segmentKey(n), bytes.NewReader([]byte("bucket")), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	cache := readback.New(bucket, readback.Options{})
	defer cache.Close()
	for _, c := range []struct {
		name    string
		shelves readback.Shelves
		n       int
		want    string // "": it is not there
	}{
		{"both have it", readback.Shelves{Spool: s, Cache: cache}, 1, "spool"},
		{"the bucket has it", readback.Shelves{Spool: s, Cache: cache}, 2, "bucket"},
		{"neither has it", readback.Shelves{Spool: s, Cache: cache}, 3, ""},
		{"the spool has another's", readback.Shelves{Spool: s, Cache: cache, Own: func(key string) bool { return key != segmentKey(1) }}, 1, "bucket"},
		{"no bucket", readback.Shelves{Spool: s}, 1, "spool"},
		{"no bucket, not in the spool", readback.Shelves{Spool: s}, 2, ""},
		{"no spool", readback.Shelves{Cache: cache}, 1, "bucket"},
		{"no shelf", readback.Shelves{}, 1, ""},
	} {
		o, err := c.shelves.Open(t.Context(), segmentKey(c.n))
		if c.want == "" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := io.ReadAll(o.Body)
		if _, file := o.Body.(*os.File); err != nil || string(got) != c.want || o.Size != int64(len(c.want)) || file != (c.want == "spool") || file && o.Modified.IsZero() {
			t.Errorf("%s: %q, %+v, %v", c.name, got, o.Object, err)
		}
		if err := o.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A segment that lies on a disk that fails is not missing, unless the bucket has it: nobody is to remember that there is none.
func TestShelvesOfAFailingDisk(t *testing.T) {
	broken := false
	s := spool.New(spool.Options{Dir: t.TempDir(), Sync: spool.Never, FS: spool.FS{Open: func(name string, flag int) (*os.File, error) {
		if broken {
			return nil, syscall.EIO
		}
		return os.OpenFile(name, flag, 0o600)
	}}})
	f, err := s.Folder(spool.ID{App: "live", Stream: "cam", Recording: "2023-08-24_16-02-52.970"}, keeper{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.Write(1, 5, [][]byte{[]byte("spool")}), f.Write(2, 5, [][]byte{[]byte("spool")})); err != nil {
		t.Fatal(err)
	}
	broken = true
	bucket := &storetest.Memory{}
	if _, err := bucket.Put(t.Context(), segmentKey(1), bytes.NewReader([]byte("bucket")), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	cache := readback.New(bucket, readback.Options{})
	defer cache.Close()
	shelves := readback.Shelves{Spool: s, Cache: cache}
	if o, err := shelves.Open(t.Context(), segmentKey(1)); err != nil {
		t.Error(err)
	} else if err := o.Body.Close(); err != nil {
		t.Error(err)
	}
	if _, err := shelves.Open(t.Context(), segmentKey(2)); !errors.Is(err, syscall.EIO) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("on the disk alone: %v", err)
	}
	if _, err := shelves.Open(t.Context(), segmentKey(3)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nowhere: %v", err)
	}
}
