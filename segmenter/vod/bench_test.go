package vod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
	"github.com/hlsorigin/hlsorigin/ingest/file"
)

// packEnv makes the test binary a program that packages one file, "input\noutput\nhow": so CPU and memory are those of a process of its own.
const packEnv = "HLSORIGIN_TEST_VOD_PACK"

func TestMain(m *testing.M) {
	if spec := os.Getenv(packEnv); spec != "" {
		if err := packAlone(strings.Split(spec, "\n")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func packAlone(spec []string) error {
	f, err := os.Open(spec[0])
	if err != nil {
		return err
	}
	s, err := f.Stat()
	if err != nil {
		return err
	}
	r := Request{Input: &disk{f, s.Size()}, Output: folder(spec[1]), Kind: Remux, Options: Options{CMAF: spec[2] == "cmaf"}}
	if spec[2] == "ladder" {
		r.Kind = AdaptiveVideo
	}
	_, err = Package(context.Background(), r)
	return err
}

// folder is an Output on a disk.
type folder string

func (d folder) Put(_ context.Context, key, _ string, body [][]byte) error {
	path := filepath.Join(string(d), filepath.FromSlash(key))
	f, err := os.Create(path)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			f, err = os.Create(path)
		}
	}
	if err != nil {
		return err
	}
	for _, p := range body {
		if _, e := f.Write(p); e != nil && err == nil {
			err = e
		}
	}
	return errors.Join(err, f.Close())
}

// long is a film of about so many bytes, 1080p with about 12 Mb/s, in memory where there is room for it, and the folder that it lies in.
func long(t testing.TB, size int64) (path, dir string) {
	needs(t, "ffmpeg")
	root := t.TempDir()
	if _, err := os.Stat("/dev/shm"); err == nil {
		if root, err = os.MkdirTemp("/dev/shm", "hlsorigin-vod-"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(root) })
	}
	loop := create(t, "loop.mp4", join([]string{"-f", "lavfi", "-t", "6", "-i", "testsrc2=size=1920x1080:rate=30,noise=alls=12:allf=t"}, tones("6"),
		[]string{"-c:v", "libx264", "-preset", "ultrafast", "-b:v", "12M", "-maxrate", "12M", "-bufsize", "12M", "-g", "60", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", "-shortest"})...)
	s, err := os.Stat(loop)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(root, "film.mp4")
	if out, err := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-stream_loop", strconv.FormatInt(size/s.Size(), 10), "-i", loop, "-c", "copy", "-y", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path, root
}

// usage is what a process took.
type usage struct {
	cpu, wall time.Duration
	rss       int64 // bytes at most
}

func measure(t testing.TB, c *exec.Cmd) usage {
	t.Helper()
	c.Stderr = os.Stderr
	began := time.Now()
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	u := usage{cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime(), wall: time.Since(began)}
	if r, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = r.Maxrss << 10
	}
	return u
}

func remuxOurs(t testing.TB, in, dir, cmaf string) usage {
	out := filepath.Join(dir, "ours")
	defer func() { _ = os.RemoveAll(out) }()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), packEnv+"="+in+"\n"+out+"\n"+cmaf, "GOMAXPROCS=1")
	return measure(t, c)
}

func remuxFFmpeg(t testing.TB, in, dir string) usage {
	out := filepath.Join(dir, "theirs")
	defer func() { _ = os.RemoveAll(out) }()
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	return measure(t, exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-i", in, "-c", "copy", "-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", filepath.Join(out, "stream.m3u8")))
}

// scale is the part of the full size that a test is run at: HLSORIGIN_TEST_SCALE=1 is all of it.
func scale() float64 {
	if v, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64); err == nil && v > 0 {
		return v
	}
	return 0.1
}

// BenchmarkRemux packages a film of 2 GB (a tenth of that without HLSORIGIN_TEST_SCALE=1), in memory, and lets ffmpeg do the same in the
// same run: MB/s and the CPU of both, and our memory.
func BenchmarkRemux(b *testing.B) {
	in, dir := long(b, int64(2e9*scale()))
	s, err := os.Stat(in)
	if err != nil {
		b.Fatal(err)
	}
	var ours, theirs, cmaf usage
	n := 0
	for b.Loop() {
		u, f, c := remuxOurs(b, in, dir, ""), remuxFFmpeg(b, in, dir), remuxOurs(b, in, dir, "cmaf")
		ours.cpu, ours.rss = ours.cpu+u.cpu, max(ours.rss, u.rss)
		theirs.cpu += f.cpu
		cmaf.cpu, cmaf.rss = cmaf.cpu+c.cpu, max(cmaf.rss, c.rss)
		n++
	}
	mb := float64(s.Size()) / 1e6 * float64(n)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(mb/ours.cpu.Seconds(), "MB/core-s")
	b.ReportMetric(mb/cmaf.cpu.Seconds(), "cmaf-MB/core-s")
	b.ReportMetric(mb/theirs.cpu.Seconds(), "ffmpeg-MB/core-s")
	b.ReportMetric(ours.cpu.Seconds()/theirs.cpu.Seconds(), "cpu/ffmpeg")
	b.ReportMetric(float64(ours.rss)/(1<<20), "MiB")
}

// TestGuardRemux holds that a remux takes no more CPU than ffmpeg's own, in the best of some runs beside each other, and less than 64 MiB.
// BenchmarkRemux says how it is.
func TestGuardRemux(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector distorts it")
	}
	in, dir := long(t, int64(2e9*scale()))
	best := 0.0
	for range 5 {
		u, f := remuxOurs(t, in, dir, ""), remuxFFmpeg(t, in, dir)
		if u.rss >= 64<<20 {
			t.Fatalf("it took %d MiB", u.rss>>20)
		}
		if ratio := u.cpu.Seconds() / f.cpu.Seconds(); best == 0 || ratio < best {
			best = ratio
		}
		if best <= 1 {
			t.Logf("CPU %s, ffmpeg %s, %d MiB", u.cpu, f.cpu, u.rss>>20)
			return
		}
	}
	t.Errorf("a remux takes %.2f of ffmpeg's CPU", best)
}

// ladderAlone runs the very command by which a package's ladder is coded, from the file and to nowhere.
func ladderAlone(t testing.TB, in string) usage {
	f, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Input: &disk{f, s.Size()}, Output: newShelf(), Kind: AdaptiveVideo}
	if err := r.Options.check(); err != nil {
		t.Fatal(err)
	}
	shared, err := ffmpeg.Share(r.Input, s.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	src, err := probe(t.Context(), "ffprobe", shared, file.MP4)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(src, &r.Options, AdaptiveVideo, false)
	if err != nil {
		t.Fatal(err)
	}
	args := p.transcodeArgs([]string{"-i", in}, p.outputs, 0)
	for i, a := range args {
		if strings.HasPrefix(a, "pipe:") {
			args[i] = "file:/dev/null"
		}
	}
	return measure(t, exec.Command("nice", append([]string{"-n", strconv.Itoa(niceness), "ffmpeg", "-y"}, args...)...))
}

// BenchmarkTranscode makes the default ladder of a film of 1080p, and runs the same ffmpeg alone in the same run: the ratios of time and CPU.
func BenchmarkTranscode(b *testing.B) {
	needs(b, "ffmpeg", "ffprobe", "nice")
	in, dir := long(b, int64(3e8*scale()))
	var ours, alone usage
	for b.Loop() {
		out := filepath.Join(dir, "ours")
		c := exec.Command("nice", "-n", strconv.Itoa(niceness), os.Args[0])
		c.Env = append(os.Environ(), packEnv+"="+in+"\n"+out+"\nladder")
		u := measure(b, c)
		_ = os.RemoveAll(out)
		a := ladderAlone(b, in)
		ours.cpu, ours.wall = ours.cpu+u.cpu, ours.wall+u.wall
		alone.cpu, alone.wall = alone.cpu+a.cpu, alone.wall+a.wall
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.wall.Seconds()/alone.wall.Seconds(), "time/alone")
	b.ReportMetric(ours.cpu.Seconds()/alone.cpu.Seconds(), "cpu/alone")
}
