package origin

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
)

// The benchmarks serve over loopback, to clients in another process, so that the reported CPU time per request is only the server's.
//
//	go test ./origin -run '^$' -bench Serve -benchtime 20000x

func BenchmarkServe(b *testing.B) {
	for _, c := range []struct {
		name, encoding string
		segment        bool
		conns          int
	}{
		{"playlist", "identity", false, 64},
		{"gzip", "gzip", false, 64},
		{"playlist-1000", "identity", false, 1000},
		{"segment", "identity", true, 64},
		{"segment-1000", "identity", true, 1000},
	} {
		for _, std := range []bool{true, false} {
			name := c.name + "/loop"
			if std {
				name = c.name + "/nethttp"
			}
			b.Run(name, func(b *testing.B) {
				r := newRig(b, Options{})
				e := r.publish("cam")
				e.size = 15_500 // 1.6 MB in 4 s
				e.run(41 * time.Second)
				if std {
					srv := httptest.NewServer(r.origin)
					b.Cleanup(srv.Close)
					r.addr = srv.Listener.Addr().String()
				} else {
					r.serve()
				}
				path := r.live("cam")
				if c.segment {
					path = r.segment("cam", 5)
					b.SetBytes(r.snapshot("cam").Segment(5).Size)
				}
				cmd := exec.Command(os.Args[0], "-test.run=^TestBenchClient$")
				cmd.Env = append(os.Environ(), fmt.Sprintf("HLSORIGIN_BENCH_CLIENT=%s %s %s %d %d", r.addr, path, c.encoding, c.conns, b.N))
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				if err != nil {
					b.Fatal(err)
				}
				in, err := cmd.StdinPipe()
				if err != nil {
					b.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				lines := bufio.NewScanner(out)
				for lines.Scan() && lines.Text() != "connected" {
				}
				b.ResetTimer()
				begin := cpu()
				in.Close() // go
				for lines.Scan() && lines.Text() != "done" {
				}
				used := cpu() - begin
				b.StopTimer()
				if err := cmd.Wait(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(b.N), "cpu-µs/req")
				if c.segment {
					gb := float64(b.N) * float64(r.snapshot("cam").Segment(5).Size) / 1e9
					b.ReportMetric(used.Seconds()/gb, "cpu-s/GB")
				}
			})
		}
	}
}

// cpu returns the CPU time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestBenchClient is the other process of BenchmarkServe.
func TestBenchClient(t *testing.T) {
	spec := strings.Fields(os.Getenv("HLSORIGIN_BENCH_CLIENT"))
	if len(spec) != 5 {
		t.Skip("only the benchmark runs this")
	}
	conns, _ := strconv.Atoi(spec[3])
	total, _ := strconv.ParseInt(spec[4], 10, 64)
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: origin.example.com:5080\r\nUser-Agent: Amazon CloudFront\r\nAccept-Encoding: %s\r\n"+
		"X-Amz-Cf-Id: 3Jz6mXv1jXy9t0Zs7YzG0YV0aQ1s8m1m0Fv3kq9J2m3J4v5J6w7x8y==\r\nVia: 2.0 0123456789abcdef.cloudfront.net (CloudFront)\r\n"+
		"X-Forwarded-For: 203.0.113.7\r\nConnection: Keep-Alive\r\n\r\n", spec[1], spec[2])
	var left atomic.Int64
	left.Store(total)
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	for range conns {
		c, err := net.Dial("tcp", spec[0])
		if err != nil {
			t.Fatal(err)
		}
		ready.Add(1)
		done.Go(func() {
			defer c.Close()
			b := bufio.NewReaderSize(c, 64<<10)
			if !benchRequest(t, c, b, request) { // warm up every connection
				return
			}
			ready.Done()
			<-begin
			for left.Add(-1) >= 0 && benchRequest(t, c, b, request) {
			}
		})
	}
	ready.Wait()
	fmt.Println("connected")
	io.Copy(io.Discard, os.Stdin)
	close(begin)
	done.Wait()
	fmt.Println("done")
}

func benchRequest(t *testing.T, c net.Conn, b *bufio.Reader, request string) bool {
	if _, err := io.WriteString(c, request); err != nil {
		t.Error(err)
		return false
	}
	var length int
	for first := true; ; first = false {
		line, err := b.ReadSlice('\n')
		switch {
		case err != nil:
			t.Error(err)
			return false
		case first && string(line[:15]) != "HTTP/1.1 200 OK":
			t.Errorf("%s", line)
			return false
		case len(line) == 2:
			_, err := b.Discard(length)
			return err == nil
		case len(line) > 16 && line[0] == 'C' && string(line[:16]) == "Content-Length: ":
			length, _ = strconv.Atoi(string(line[16 : len(line)-2]))
		}
	}
}

// BenchmarkAnswer measures the decision alone, without any front end.
func BenchmarkAnswer(b *testing.B) {
	r := newRig(b, Options{})
	r.publish("cam").run(41 * time.Second)
	for _, c := range []struct{ name, path string }{{"playlist", r.live("cam")}, {"segment", r.segment("cam", 5)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req := http1.Request{Method: http1.MethodGet, Path: c.path, AcceptEncoding: "gzip"}
				var res http1.Response
				r.origin.answer(b.Context(), &req, &res)
				res.Reset()
			}
		})
	}
}

// TestServesWithoutAllocations counts what one poll of a live playlist allocates on the server's side, with a poller and with a goroutine.
// The client is in the same process, and allocates nothing.
func TestServesWithoutAllocations(t *testing.T) {
	for _, mode := range []string{pollers, goroutines} {
		r := newRigOver(t, Options{}, mode)
		r.publish("cam").run(41 * time.Second)
		r.serve()
		for path, limit := range map[string]float64{r.live("cam"): 0, r.segment("cam", 5): 12} {
			c := r.dial(t)
			head := []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nIf-None-Match: \"x\"\r\n\r\n")
			buf := make([]byte, 64<<10)
			length := 0
			exchange := func() {
				if _, err := c.Write(head); err != nil {
					t.Fatal(err)
				}
				for n := 0; n < max(1, length); {
					m, err := c.Read(buf)
					if err != nil {
						t.Fatal(err)
					}
					n += m
				}
			}
			answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(r.answer(t, c, head))), nil)
			if err != nil || answer.StatusCode != 200 {
				t.Fatal(answer, err)
			}
			length = len(r.answer(t, c, head))
			if n := testing.AllocsPerRun(200, exchange); n > limit {
				t.Errorf("%s: %s: %v allocations", mode, path, n)
			}
		}
		if n := r.origin.Stats().Requests[KindLive][2].Load(); n < 200 {
			t.Errorf("%d playlists were served", n)
		}
	}
}

// answer returns a complete answer to a request, head included.
func (r *rig) answer(t *testing.T, c net.Conn, head []byte) []byte {
	t.Helper()
	if _, err := c.Write(head); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	res, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c, &got)), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got.Bytes()
}

var _ http.Handler = (*Origin)(nil)

// BenchmarkHeldReloads is what it costs to answer 1,000 players who wait for the next part's playlist: the server's CPU and the
// clients' together, for they are in this process, from the part's end to the last byte.
func BenchmarkHeldReloads(b *testing.B) {
	const viewers = 1000
	r := newRig(b, Options{})
	e := r.low("cam", 21*time.Second)
	r.serve()
	if a := r.get(r.edge("cam")); a.StatusCode != 200 {
		b.Fatal(a.StatusCode)
	}
	conns, buffers := make([]net.Conn, viewers), make([]*bufio.Reader, viewers)
	for i := range conns {
		conns[i] = r.dial(b)
		_ = conns[i].SetDeadline(time.Time{})
		buffers[i] = bufio.NewReaderSize(conns[i], 16<<10)
	}
	var cpu, served time.Duration
	b.ResetTimer()
	for range b.N {
		msn, n := r.newest("cam")
		request := fmt.Sprintf("GET %s?_HLS_msn=%d&_HLS_part=%d HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", r.edge("cam"), msn, n)
		for _, c := range conns {
			_, _ = io.WriteString(c, request)
		}
		for r.origin.Stats().Held.Load() < viewers {
			time.Sleep(time.Millisecond)
		}
		for was := r.snapshot("cam"); r.snapshot("cam").Count(msn) == was.Count(msn) && r.snapshot("cam").Next() == msn; {
			e.run(40 * time.Millisecond)
		}
		// The answers lie in the sockets when nobody is held any more: until then no client has worked.
		began, before := time.Now(), processCPU()
		for r.origin.Stats().Held.Load() > 0 {
			time.Sleep(200 * time.Microsecond)
		}
		cpu += processCPU() - before
		served += time.Since(began)
		for _, buf := range buffers {
			a, err := http.ReadResponse(buf, nil)
			if err != nil || a.StatusCode != 200 {
				b.Fatal(err, a)
			}
			_, _ = io.Copy(io.Discard, a.Body)
		}
	}
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N)/1000, "ms-cpu/wake")
	b.ReportMetric(float64(served.Microseconds())/float64(b.N)/1000, "ms/wake")
}

// processCPU is the CPU time that this process has used.
func processCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
