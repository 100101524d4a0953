package vod

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// needs skips a test where a program is not installed.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// create makes a file with ffmpeg, and returns its path.
func create(t testing.TB, name string, args ...string) string {
	t.Helper()
	needs(t, "ffmpeg", "ffprobe")
	path := filepath.Join(t.TempDir(), name)
	all := append([]string{"-hide_banner", "-loglevel", "error", "-nostdin", "-y"}, args...)
	if out, err := exec.Command("ffmpeg", append(all, path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return path
}

// Sources for create: pictures of a size and rate, and sound, for some seconds.
func pictures(size, rate, seconds string) []string {
	return []string{"-f", "lavfi", "-t", seconds, "-i", "testsrc2=size=" + size + ":rate=" + rate}
}

func tones(seconds string) []string {
	return []string{"-f", "lavfi", "-t", seconds, "-i", "sine=frequency=440:sample_rate=48000"}
}

// h264 are arguments that code quickly, with a keyframe each second at a rate of 25.
var h264 = []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p"}

func join(parts ...[]string) []string { return slices.Concat(parts...) }

// disk is an Input.
type disk struct {
	*os.File
	size int64
}

func (d *disk) Size() int64 { return d.size }

func open(t testing.TB, path string) Input {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	s, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return &disk{f, s.Size()}
}

// text is an Input.
type text struct {
	*bytes.Reader
	name string
}

func (x text) Name() string { return x.name }

func bytesInput(b []byte) Input { return text{bytes.NewReader(b), "a file"} }

// shelf is an Output in memory.
type shelf struct {
	mu     sync.Mutex
	order  []string
	types  map[string]string
	bodies map[string][]byte
	fail   func(key string) error // nil: never
}

func newShelf() *shelf { return &shelf{types: map[string]string{}, bodies: map[string][]byte{}} }

func (s *shelf) Put(ctx context.Context, key, contentType string, body [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.fail != nil {
		if err := s.fail(key); err != nil {
			return err
		}
	}
	s.order = append(s.order, key)
	s.types[key], s.bodies[key] = contentType, slices.Concat(body...)
	return nil
}

func (s *shelf) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.bodies))
}

// save writes all to a folder, for programs that read it.
func (s *shelf) save(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hlsorigin-vod-") // players take the # of t.TempDir for the end of a name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for key, body := range s.bodies {
		path := filepath.Join(dir, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pack packages a file, which must succeed.
func pack(t testing.TB, path string, kind Kind, o Options) (*shelf, Result) {
	t.Helper()
	out := newShelf()
	res, err := Package(t.Context(), Request{Input: open(t, path), Output: out, Kind: kind, Options: o})
	if err != nil {
		t.Fatalf("%s of %s: %v", kind, filepath.Base(path), err)
	}
	return out, res
}

// unlisted checks what a package that failed has put: nothing leads to it, and who removes it finds it all.
func unlisted(t testing.TB, what string, out *shelf) {
	t.Helper()
	for _, key := range out.keys() {
		if slices.Contains([]string{masterName, cmafMasterName, manifestName}, key) || !Own(key) {
			t.Errorf("%s: it left %s", what, key)
		}
	}
}

// refused packages a file, which must be refused with a code, and is not listed.
func refused(t testing.TB, in Input, kind Kind, code string, says ...string) {
	t.Helper()
	out := newShelf()
	_, err := Package(t.Context(), Request{Input: in, Output: out, Kind: kind})
	var r *Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Fatalf("%s: got %v, want a refusal %s", kind, err, code)
	}
	for _, s := range says {
		if !strings.Contains(r.Reason, s) {
			t.Errorf("%s: no %q in: %s", kind, s, r.Reason)
		}
	}
	unlisted(t, string(kind), out)
}

// run runs a program, and returns what it says.
func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	needs(t, program)
	var out, words bytes.Buffer
	c := exec.Command(program, args...)
	c.Stdout, c.Stderr = &out, &words
	if err := c.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, words.String())
	}
	if program == "ffmpeg" || program == "ffprobe" {
		if w := strings.TrimSpace(words.String()); w != "" {
			t.Errorf("%s %s says: %s", program, strings.Join(args, " "), w)
		}
	}
	return out.String()
}

var _ io.ReaderAt = (*disk)(nil)
