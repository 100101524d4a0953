package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func places(t *testing.T) (*Places, *storetest.Memory, string) {
	t.Helper()
	own, other, dir := &storetest.Memory{}, &storetest.Memory{}, t.TempDir()
	put(t, other, "in/a.mp4", []byte("other"))
	put(t, other, "secret.mp4", []byte("secret"))
	for name, body := range map[string]string{"up/ä b.mov": "file", "secret.mov": "secret"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &Places{
		Store: own, At: "s3://own/pre/", Inputs: []string{"s3://other/in", "file://" + dir + "/up"}, Outputs: []string{"s3://other/out/"},
		Bucket: func(_ context.Context, name string) (storage.Store, error) {
			if name != "other" {
				t.Errorf("bucket %s is opened", name)
			}
			return other, nil
		},
	}, own, dir
}

func put(t *testing.T, m *storetest.Memory, key string, body []byte) {
	t.Helper()
	if _, err := m.Put(t.Context(), key, bytes.NewReader(body), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
}

func readAll(t *testing.T, in *Input) []byte {
	t.Helper()
	defer in.Close()
	b, err := io.ReadAll(io.NewSectionReader(in, 0, in.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpen(t *testing.T) {
	p, own, dir := places(t)
	put(t, own, "uploads/x y.mp4", []byte("own"))
	for url, want := range map[string][2]string{
		"s3://own/pre/uploads/x y.mp4":       {"own", "x y.mp4"},
		"s3://other/in/a.mp4":                {"other", "a.mp4"},
		"file://" + dir + "/up/" + "ä b.mov": {"file", "ä b.mov"},
	} {
		in, err := p.Open(t.Context(), url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if in.Name() != want[1] || string(readAll(t, in)) != want[0] {
			t.Errorf("%s: %q", url, in.Name())
		}
		if err := p.Check(t.Context(), url); err != nil {
			t.Error(err)
		}
	}
}

func TestRefused(t *testing.T) {
	p, own, dir := places(t)
	put(t, own, storage.Shared+"_jobs/open/x.json", []byte("{}"))
	if err := os.Symlink(filepath.Join(dir, "secret.mov"), filepath.Join(dir, "up", "link.mov")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "up", "out")); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]error{
		"":                                      ErrForm,
		"x.mp4":                                 ErrForm,
		"http://169.254.169.254/latest":         ErrForm,
		"concat:a|b":                            ErrForm,
		"recording:x":                           ErrForm,
		"s3://own/other/x.mp4":                  ErrNotAllowed,
		"s3://own/pre":                          ErrNotAllowed,
		"s3://own/prefix/x.mp4":                 ErrNotAllowed,
		"s3://own/pre/":                         ErrForm,
		"s3://own/pre/../secret":                ErrForm,
		"s3://own/pre//x":                       ErrForm,
		"s3://own/pre/.cluster/_jobs/open/x":    ErrForm,
		"s3://other/secret.mp4":                 ErrNotAllowed,
		"s3://other/in/../secret.mp4":           ErrForm,
		"s3://other/inside/x":                   ErrNotAllowed,
		"file:///etc/passwd":                    ErrNotAllowed,
		"file://" + dir + "/secret.mov":         ErrNotAllowed,
		"file://" + dir + "/up/../secret.mov":   ErrForm,
		"file://" + dir + "/up/./../secret.mov": ErrForm,
		"file://" + dir + "/upper":              ErrNotAllowed,
		"s3://own/pre/a\nb":                     ErrForm,
	} {
		if _, err := p.Open(t.Context(), url); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
		if err := p.Check(t.Context(), url); !errors.Is(err, want) {
			t.Errorf("check %s: %v, want %v", url, err, want)
		}
	}
	for _, url := range []string{"/up/link.mov", "/up/out/secret.mov", "/up/out", "/up/none.mov"} {
		if in, err := p.Open(t.Context(), "file://"+dir+url); err == nil {
			t.Errorf("%s is read: %s", url, readAll(t, in))
		}
	}
	if _, err := p.Open(t.Context(), "s3://own/pre/none.mp4"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestOutput(t *testing.T) {
	p, own, _ := places(t)
	if s, prefix, err := p.Output(t.Context(), "s3://own/pre/vod/x/"); err != nil || s != storage.Store(own) || prefix != "vod/x/" {
		t.Errorf("%q, %v", prefix, err)
	}
	if _, prefix, err := p.Output(t.Context(), "s3://other/out/x/"); err != nil || prefix != "out/x/" {
		t.Errorf("%q, %v", prefix, err)
	}
	for _, url := range []string{"s3://other/in/x/", "s3://own/pre/", "s3://own/pre/.cluster/x/", "s3://own/pre/a/.b/", "s3://own/pre/x", "file:///tmp/x/", "s3://own/pre/../x/", "s3://own/pre/a//"} {
		if _, _, err := p.Output(t.Context(), url); err == nil {
			t.Errorf("%s is written", url)
		}
	}
}

func TestBase(t *testing.T) {
	for url, want := range map[string]string{
		"s3://b/a/lecture.final.mov": "lecture.final", "file:///x/a b": "a b", "s3://b/.mp4": ".mp4", "recording:live/cam-2023-08-24_16-02-52.970": "cam-2023-08-24_16-02-52.970",
	} {
		if got := Base(url); got != want {
			t.Errorf("%s: %q", url, got)
		}
	}
}

// What is read in any order is what is there, and reading in order asks for each byte once.
func TestReadAhead(t *testing.T) {
	stats := &storage.StoreStats{}
	m := &storetest.Memory{}
	body := storetest.Random(1, 40*blockSize+123)
	put(t, m, "a.mp4", body)
	in, err := openObject(t.Context(), storage.Measure(m, stats), "a.mp4")
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, in); !bytes.Equal(got, body) {
		t.Fatal("it is something else")
	}
	if n := stats.Get.Requests.Load(); n != 41 {
		t.Errorf("%d requests for 41 blocks", n)
	}
	in, _ = openObject(t.Context(), m, "a.mp4")
	defer in.Close()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 40 {
				off := (i*7919*1024*13 + g*blockSize*9) % len(body)
				p := make([]byte, 1+(i*101)%(2*blockSize))
				n, err := in.ReadAt(p, int64(off))
				if !bytes.Equal(p[:n], body[off:min(off+len(p), len(body))]) || (err != nil) != (n < len(p)) || err != nil && err != io.EOF {
					t.Errorf("%d bytes from %d: %d, %v", len(p), off, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := len(in.ReaderAt.(*ahead).blocks); n > maxBlocks {
		t.Errorf("%d blocks are kept", n)
	}
}

func TestReplacedWhileRead(t *testing.T) {
	m := &storetest.Memory{}
	put(t, m, "a.mp4", storetest.Random(1, 3*blockSize))
	f := storetest.NewFaulty(m)
	in, err := openObject(t.Context(), f, "a.mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	away := errors.New("away")
	f.Set(storetest.Fault{Err: away})
	if _, err := in.ReadAt(make([]byte, 10), 0); !errors.Is(err, away) {
		t.Error(err)
	}
	f.Set()
	if _, err := in.ReadAt(make([]byte, 10), 0); err != nil {
		t.Errorf("asked again: %v", err)
	}
	put(t, m, "a.mp4", storetest.Random(2, 3*blockSize))
	if _, err := in.ReadAt(make([]byte, 10), 2*blockSize); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
}

func TestRecording(t *testing.T) {
	p, own, _ := places(t)
	const at = "live/streams/cam-2023-08-24_16-02-52.970.m3u8"
	list := "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n" +
		"#EXTINF:4.000,\ncam/2023-08-24_16-02-52.970/000000000.ts\n#EXT-X-GAP\n#EXTINF:4.000,\ncam/2023-08-24_16-02-52.970/000000001.ts\n#EXTINF:4.000,\ncam/2023-08-24_16-02-52.970/000000002.ts\n"
	put(t, own, at, []byte(list))
	for _, n := range []string{"0", "2"} {
		put(t, own, "live/streams/cam/2023-08-24_16-02-52.970/00000000"+n+".ts", []byte(strings.Repeat(n, 188)))
	}
	const url = "recording:live/cam-2023-08-24_16-02-52.970"
	if _, err := p.Open(t.Context(), url); !errors.Is(err, ErrGrowing) {
		t.Error(err)
	}
	put(t, own, at, []byte(list+"#EXT-X-ENDLIST\n"))
	in, err := p.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(readAll(t, in)); got != strings.Repeat("0", 188)+strings.Repeat("2", 188) || len(in.Notes) != 1 {
		t.Errorf("%q, %q", got, in.Notes)
	}
	if _, err := p.Open(t.Context(), "recording:live/none-2023-08-24_16-02-52.970"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
