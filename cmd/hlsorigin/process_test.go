package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program builds the program once, without the race detector: players and encoders drive what users run.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hlsorigin-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "hlsorigin")
	out, err := exec.Command("go", "build", "-o", path, "github.com/hlsorigin/hlsorigin/cmd/hlsorigin").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// scale shortens counts and durations; `make soak` sets it to 1.
func scale() float64 {
	if f, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64); err == nil && f > 0 {
		return f
	}
	return 0.1
}

// scaled is d at full scale, and never less than least.
func scaled(d, least time.Duration) time.Duration {
	return max(least, time.Duration(float64(d)*scale()))
}

// need skips a test whose program is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// process is a running server of ours.
type process struct {
	t    *testing.T
	dir  string
	wrap []string // a command that runs the rest of its arguments; empty: none
	args []string
	env  []string
	cmd  *exec.Cmd
	log  *lines
	done chan struct{}
	err  error

	http, admin, rtmp, rtsp string // host:port, the same over restarts
}

// serve starts the binary with an addition to a configuration that has ports of its own and all its data in dir.
func serve(t *testing.T, dir, yaml string) *process {
	t.Helper()
	return serveWrapped(t, dir, nil, yaml)
}

// serveWrapped is serve, run by another command.
func serveWrapped(t *testing.T, dir string, wrap []string, yaml string) *process {
	t.Helper()
	p := &process{t: t, dir: dir, wrap: wrap, http: freeAddress(t), admin: freeAddress(t), rtmp: freeAddress(t), rtsp: freeAddress(t)}
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	p.args = []string{"-config", config}
	p.env = append(os.Environ(), "HLSORIGIN_HTTP_LISTEN="+p.http, "HLSORIGIN_ADMIN_LISTEN="+p.admin, "HLSORIGIN_RTMP_LISTEN="+p.rtmp,
		"HLSORIGIN_RTSP_LISTEN="+p.rtsp, "HLSORIGIN_LOG_FORMAT=json")
	p.start()
	t.Cleanup(func() { p.kill() })
	return p
}

// freeAddress is one that nobody listens on, for a server that is started later, or again. It lies below the ports that
// systems give to outgoing connections: of those, one that is free now may be anybody's a moment later.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+rand.N(20000))
		if _, taken := givenAway.LoadOrStore(address, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// givenAway are the addresses that freeAddress gave away: tests run beside one another.
var givenAway sync.Map

// start runs the binary and waits until it listens.
func (p *process) start() {
	p.t.Helper()
	p.spawn()
	p.ready()
}

// spawn runs the binary.
func (p *process) spawn() {
	p.t.Helper()
	path, err := program()
	if err != nil {
		p.t.Fatal(err)
	}
	command := slices.Concat(p.wrap, []string{path}, p.args)
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Dir, p.cmd.Env = p.dir, p.env
	p.log = &lines{}
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func() {
		p.log.read(pipe)
		p.err = p.cmd.Wait()
		close(p.done)
	}()
}

// ready waits until the server answers.
func (p *process) ready() {
	p.t.Helper()
	eventually(p.t, 10*time.Second, "the server answers", func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("the server ended: %v\n%s", p.err, p.log)
		default:
		}
		res, err := http.Get("http://" + p.http + "/healthz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// signal sends a signal and waits for the end; it gives how long that took.
func (p *process) signal(sig syscall.Signal, within time.Duration) time.Duration {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(within):
		p.t.Fatalf("not ended %v after %v\n%s", within, sig, p.log)
	}
	return time.Since(began)
}

func (p *process) kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	if p.t.Failed() {
		p.t.Logf("server log:\n%s", p.log)
	}
}

// command runs another command of the program with the server's configuration, and gives what it said and its exit status.
func (p *process) command(args ...string) (said string, status int) {
	p.t.Helper()
	path, err := program()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, "-config", p.args[1])...)
	cmd.Dir = p.dir
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		p.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (p *process) url(path string) string { return "http://" + p.http + "/" + path }

// metric reads one series of /metrics.
func (p *process) metric(series string) float64 {
	p.t.Helper()
	body := p.get("http://" + p.admin + "/metrics")
	for line := range strings.SplitSeq(body, "\n") {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return v
		}
	}
	p.t.Fatalf("no series %s", series)
	return 0
}

func (p *process) get(url string) string {
	p.t.Helper()
	res, err := http.Get(url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}

// lines collects a log.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) read(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		l.mu.Lock()
		l.all = append(l.all, s.Text())
		l.mu.Unlock()
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// messages are the log's messages with a level.
func (l *lines) messages(level string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		var m struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &m) == nil && m.Level == level {
			out = append(out, m.Msg)
		}
	}
	return out
}

// eventually waits for a condition; what says which.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// tool is a program beside the server: an encoder or a player.
type tool struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	out  *lines
	done chan struct{}
	err  error
}

func launch(t *testing.T, name string, args ...string) *tool {
	t.Helper()
	x := &tool{t: t, name: name, cmd: exec.Command(name, args...), out: &lines{}, done: make(chan struct{})}
	r, w := io.Pipe()
	x.cmd.Stdout, x.cmd.Stderr = w, w
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		x.out.read(r)
		close(read)
	}()
	go func() {
		x.err = x.cmd.Wait()
		_ = w.Close()
		<-read
		close(x.done)
	}()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		<-x.done
	})
	return x
}

// wait is for the program to end by itself.
func (x *tool) wait(within time.Duration) error {
	x.t.Helper()
	select {
	case <-x.done:
		return x.err
	case <-time.After(within):
		x.t.Fatalf("%s has not ended after %v:\n%s", x.name, within, x.out)
		return nil
	}
}
