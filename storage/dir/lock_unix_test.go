//go:build unix

package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
)

// writerVariable makes the test binary a second process that replaces an object: its value is the directory.
const writerVariable = "HLSORIGIN_TEST_DIR_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerVariable); path != "" {
		fmt.Println(swaps(path, "other process"))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// swapKey is the object that processes replace, and swapTimes how often each.
const (
	swapKey   = "live/streams/cam.m3u8"
	swapTimes = 100
)

// swaps replaces the object until it has done so swapTimes, each time over what it read. It returns what went wrong; "" if nothing did.
func swaps(path, who string) string {
	s, err := Open(Options{Path: path, NoFsync: true})
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	for done := 0; done < swapTimes; {
		r, o, err := s.Get(context.Background(), swapKey, 0, -1)
		if err != nil {
			return err.Error()
		}
		var n int
		_, err = fmt.Fscanf(r, "%d", &n)
		r.Close()
		if err != nil {
			return err.Error()
		}
		_, err = s.Put(context.Background(), swapKey, strings.NewReader(fmt.Sprintf("%d %s", n+1, who)), storage.Attributes{IfMatch: o.ETag})
		switch {
		case err == nil:
			done++
		case !errors.Is(err, storage.ErrChanged):
			return err.Error()
		}
	}
	return ""
}

// Two processes that each replace an object over what they read lose none of each other's writes: it counts them.
func TestProcessesExcludeEachOther(t *testing.T) {
	path := t.TempDir()
	s := open(t, Options{Path: path, NoFsync: true})
	if _, err := s.Put(t.Context(), swapKey, strings.NewReader("0"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerVariable+"="+path)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	here := swaps(path, "this process")
	if err := cmd.Wait(); err != nil || strings.TrimSpace(out.String()) != "" || here != "" {
		t.Fatalf("%v, there: %s, here: %s", err, out.String(), here)
	}
	body, err := os.ReadFile(filepath.Join(path, filepath.FromSlash(swapKey)))
	if want := fmt.Sprint(2*swapTimes, " "); err != nil || !strings.HasPrefix(string(body), want) {
		t.Errorf("%q, %v; want %q", body, err, want)
	}
}

// A lock that its owner keeps delays a conditional Put until ctx ends, and no other Put. Who dies gives it back.
func TestLockIsKept(t *testing.T) {
	s := open(t, Options{NoFsync: true})
	first, err := s.Put(t.Context(), "a.m3u8", strings.NewReader("first"), storage.Attributes{})
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := s.exclude(t.Context(), "a.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := s.exclude(ctx, "a.m3u8"); !errors.Is(err, gone) {
		t.Errorf("while it is kept: %v", err)
	}
	if _, err := s.Put(t.Context(), "a.m3u8", strings.NewReader("second"), storage.Attributes{}); err != nil {
		t.Errorf("without a condition: %v", err)
	}
	unlock()
	if _, err := s.Put(t.Context(), "a.m3u8", strings.NewReader("third"), storage.Attributes{IfMatch: first}); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("over what was replaced: %v", err)
	}
}
