package rig

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Brisk is a configuration for tests: short segments, short graces.
const Brisk = "hls: {segment_duration: 1s, window: 10s, end_grace: 2s}\nrtsp: {listen: \"\"}\n"

// Process is a running server.
type Process struct {
	T    *testing.T
	Dir  string
	Wrap []string // a command that runs the rest of its arguments; may be empty
	Args []string
	Env  []string
	Cmd  *exec.Cmd
	Log  *Lines
	Done chan struct{}
	Err  error

	HTTP, Admin, RTMP, RTSP string // host:port, the same across restarts
}

// Serve starts the binary with an addition to a configuration that has its own ports and all its data in dir.
func Serve(t *testing.T, dir, yaml string) *Process {
	t.Helper()
	return ServeWrapped(t, dir, nil, yaml)
}

// ServeWrapped is Serve, run by another command.
func ServeWrapped(t *testing.T, dir string, wrap []string, yaml string) *Process {
	t.Helper()
	p := &Process{T: t, Dir: dir, Wrap: wrap, HTTP: FreeAddress(t), Admin: FreeAddress(t), RTMP: FreeAddress(t), RTSP: FreeAddress(t)}
	p.start(yaml)
	return p
}

// NotStarted runs the binary like Serve where it must end by itself, and returns what it says.
func NotStarted(t *testing.T, yaml string) string {
	t.Helper()
	p := &Process{T: t, Dir: t.TempDir(), HTTP: FreeAddress(t), Admin: FreeAddress(t), RTMP: FreeAddress(t), RTSP: FreeAddress(t)}
	p.configure(yaml)
	p.Spawn()
	t.Cleanup(p.Kill)
	select {
	case <-p.Done:
	case <-time.After(60 * time.Second):
		t.Fatalf("it was started:\n%s", p.Log)
	}
	if p.Err == nil {
		t.Error("its status says that all is well")
	}
	return p.Log.String()
}

// start is the first Start, with what is added to the configuration; the server ends with the test.
func (p *Process) start(yaml string) {
	p.T.Helper()
	p.configure(yaml)
	p.Start()
	p.T.Cleanup(func() { p.Kill() })
}

// configure writes the configuration, and sets what the program is called with.
func (p *Process) configure(yaml string) {
	p.T.Helper()
	config := filepath.Join(p.Dir, "config.yaml")
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		p.T.Fatal(err)
	}
	p.Args = []string{"-config", config}
	p.Env = append(os.Environ(), "HLSORIGIN_HTTP_LISTEN="+p.HTTP, "HLSORIGIN_ADMIN_LISTEN="+p.Admin, "HLSORIGIN_RTMP_LISTEN="+p.RTMP,
		"HLSORIGIN_RTSP_LISTEN="+p.RTSP, "HLSORIGIN_LOG_FORMAT=json")
}

// Start runs the binary and waits until it listens.
func (p *Process) Start() {
	p.T.Helper()
	p.Spawn()
	p.ready()
}

// Spawn runs the binary.
func (p *Process) Spawn() {
	p.T.Helper()
	path, err := Program()
	if err != nil {
		p.T.Fatal(err)
	}
	command := slices.Concat(p.Wrap, []string{path}, p.Args)
	p.Cmd = exec.Command(command[0], command[1:]...)
	p.Cmd.Dir, p.Cmd.Env = p.Dir, p.Env
	p.Log = &Lines{}
	pipe, err := p.Cmd.StderrPipe()
	if err != nil {
		p.T.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		p.T.Fatal(err)
	}
	p.Done = make(chan struct{})
	go func() {
		p.Log.read(pipe)
		p.Err = p.Cmd.Wait()
		close(p.Done)
	}()
}

// ready waits until the server answers.
func (p *Process) ready() {
	p.T.Helper()
	Eventually(p.T, 10*time.Second, "the server answers", func() bool {
		select {
		case <-p.Done:
			p.T.Fatalf("the server ended: %v\n%s", p.Err, p.Log)
		default:
		}
		res, err := http.Get("http://" + p.HTTP + "/healthz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// Signal sends a signal and waits for the end; it returns how long that took.
func (p *Process) Signal(sig syscall.Signal, within time.Duration) time.Duration {
	p.T.Helper()
	began := time.Now()
	if err := p.Cmd.Process.Signal(sig); err != nil {
		p.T.Fatal(err)
	}
	select {
	case <-p.Done:
	case <-time.After(within):
		p.T.Fatalf("not ended %v after %v\n%s", within, sig, p.Log)
	}
	return time.Since(began)
}

// Kill ends the server like kill -9, and waits. If the test has failed, it shows the server's log.
func (p *Process) Kill() {
	if p.Cmd == nil || p.Cmd.Process == nil {
		return
	}
	_ = p.Cmd.Process.Kill()
	<-p.Done
	if p.T.Failed() {
		p.T.Logf("server log:\n%s", p.Log)
	}
}

// Command runs another command of the program with the server's configuration, and returns its output and exit status.
func (p *Process) Command(args ...string) (said string, status int) {
	p.T.Helper()
	path, err := Program()
	if err != nil {
		p.T.Fatal(err)
	}
	cmd := exec.Command(path, append(args, "-config", p.Args[1])...)
	cmd.Dir, cmd.Env = p.Dir, p.Env
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		p.T.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// URL returns the URL of a path on the public listener.
func (p *Process) URL(path string) string { return "http://" + p.HTTP + "/" + path }

// Metric reads one series of /metrics.
func (p *Process) Metric(series string) float64 {
	p.T.Helper()
	body := p.Get("http://" + p.Admin + "/metrics")
	for line := range strings.SplitSeq(body, "\n") {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				p.T.Fatal(err)
			}
			return v
		}
	}
	p.T.Fatalf("no series %s", series)
	return 0
}

// Get returns the body of a URL, whatever the status.
func (p *Process) Get(url string) string {
	p.T.Helper()
	res, err := http.Get(url)
	if err != nil {
		p.T.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.T.Fatal(err)
	}
	return string(body)
}
