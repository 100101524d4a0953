package limits

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// scale shortens the tests; `make soak` sets it to 1.
func scale() float64 {
	if f, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64); err == nil && f > 0 {
		return f
	}
	return 0.1
}

func scaled(n, least int) int { return max(least, int(float64(n)*scale())) }

// server is a running server.
type server struct {
	t                 *testing.T
	cmd               *exec.Cmd
	http, admin, rtmp string // host:port
	done              chan struct{}

	mu  sync.Mutex
	log []string
}

const settings = `
http: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
rtmp: {listen: "127.0.0.1:0"}
rtsp: {listen: "127.0.0.1:0", udp_rtp: "", udp_rtcp: ""}
log: {format: json}
`

// serve builds and starts the server, through wrap if that is set. It ends with the test.
func serve(t *testing.T, wrap []string, more string) *server {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "hlsorigin")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/hlsorigin").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte(settings+more), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(append([]string{}, wrap...), path, "-config", config)
	s := &server{t: t, cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})}
	s.cmd.Dir = dir
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read(pipe)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
		if t.Failed() {
			t.Logf("server log:\n%s", strings.Join(s.lines(), "\n"))
		}
	})
	eventually(t, 30*time.Second, "the server listens", func() bool {
		for _, line := range s.lines() {
			var l struct{ For, On string }
			_ = json.Unmarshal([]byte(line), &l)
			switch l.For {
			case "HLS":
				s.http = l.On
			case "admin":
				s.admin = l.On
			case "RTMP":
				s.rtmp = l.On
			}
		}
		return s.http != "" && s.admin != "" && s.rtmp != ""
	})
	return s
}

func (s *server) read(r io.Reader) {
	defer close(s.done)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.mu.Lock()
		s.log = append(s.log, lines.Text())
		s.mu.Unlock()
	}
	_ = s.cmd.Wait()
}

func (s *server) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

// alive reports whether it still runs.
func (s *server) alive() bool {
	select {
	case <-s.done:
		return false
	default:
		return s.cmd.Process.Signal(syscall.Signal(0)) == nil
	}
}

// status reads lines such as "VmHWM: 12 kB" of the process, in bytes.
func (s *server) status(name string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return -1
	}
	_, rest, found := strings.Cut(string(b), "\n"+name+":")
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 {
		return -1
	}
	n, _ := strconv.ParseInt(fields[0], 10, 64)
	return n << 10
}

// get requests a page and returns its body.
func (s *server) get(url string) (int, []byte, error) {
	res, err := http.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// state is the answer of /api/streams.
type state struct {
	Streams []struct {
		Name     string
		State    string
		Segments uint64
		Gaps     uint64
		Tracks   []struct {
			Kind              string
			Received, Written int64
			Dropped           map[string]int64
		}
		Problem string
	}
	Memory struct {
		Limit  int64
		Shares []struct {
			Name                 string
			Limit, Used, Refused int64
		}
	}
}

func (s *server) state() (st state) {
	s.t.Helper()
	status, body, err := s.get("http://" + s.admin + "/api/streams")
	if err != nil || status != 200 {
		s.t.Fatalf("/api/streams: %d, %v", status, err)
	}
	if err := json.Unmarshal(body, &st); err != nil {
		s.t.Fatal(err)
	}
	return st
}

// shares returns how the memory is used now, in MiB.
func (s *server) shares() string {
	var out []string
	if _, body, err := s.get("http://" + s.admin + "/metrics"); err == nil {
		for line := range strings.Lines(string(body)) {
			for _, name := range []string{"go_goroutines ", "go_memstats_heap_inuse_bytes ", "go_memstats_heap_alloc_bytes ", "go_memstats_stack_inuse_bytes ", "go_memstats_sys_bytes ", "go_memstats_heap_released_bytes "} {
				if v, ok := strings.CutPrefix(line, name); ok {
					f, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
					if name != "go_goroutines " {
						f /= 1 << 20
					}
					out = append(out, fmt.Sprintf("%s%.0f", name, f))
				}
			}
		}
	}
	for _, m := range s.state().Memory.Shares {
		out = append(out, fmt.Sprintf("%s %d/%d", m.Name, m.Used>>20, m.Limit>>20))
	}
	return strings.Join(out, ", ")
}

// eventually waits for a condition described by what.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
