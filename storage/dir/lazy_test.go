package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func TestLazyIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storage.Store {
		l := NewLazy(Options{Path: filepath.Join(t.TempDir(), "later"), NoFsync: true})
		t.Cleanup(func() { l.Close() })
		return l
	})
}

// A directory that cannot be opened now makes each operation fail, and is used as soon as it can be opened.
func TestLazyOpensWhenItCan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // a file where the directory should be
		t.Fatal(err)
	}
	l := NewLazy(Options{Path: path})
	none := func(storage.Object) error { return nil }
	_, _, getErr := l.Get(t.Context(), "k", 0, -1)
	_, statErr := l.Stat(t.Context(), "k")
	_, putErr := l.Put(t.Context(), "k", strings.NewReader("x"), storage.Attributes{})
	for name, err := range map[string]error{
		"put": putErr, "get": getErr, "stat": statErr,
		"list": l.List(t.Context(), "", none), "browse": l.Browse(t.Context(), "", none), "remove": l.Remove(t.Context(), "k"),
	} {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of a directory that is not there: %v", name, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Put(t.Context(), "k", strings.NewReader("x"), storage.Attributes{}); err != nil {
		t.Errorf("when it can be made: %v", err)
	}
	if o, err := l.Stat(t.Context(), "k"); err != nil || o.Size != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	if err := errors.Join(l.Close(), NewLazy(Options{Path: path}).Close()); err != nil {
		t.Error(err)
	}
}
