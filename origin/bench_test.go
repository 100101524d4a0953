package origin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The benchmarks serve over loopback, to clients in another process, so that the CPU time per request that they report
// is the server's alone.
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
				r := newRig(b, Options{NetHTTP: std})
				e := r.publish("cam")
				e.size = 15_500 // 1.6 MB in 4 s
				e.run(41 * time.Second)
				r.serve()
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

// cpu is the time that this process spent on the processors.
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
			if !benchRequest(t, c, b, request) { // every connection is warm
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

// BenchmarkAnswer is the decision alone, without any front-end.
func BenchmarkAnswer(b *testing.B) {
	r := newRig(b, Options{})
	r.publish("cam").run(41 * time.Second)
	for _, c := range []struct{ name, path string }{{"playlist", r.live("cam")}, {"segment", r.segment("cam", 5)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req := request{method: methodGet, path: c.path, acceptEncoding: "gzip"}
				var res response
				r.origin.answer(b.Context(), &req, &res)
				res.close()
			}
		})
	}
}

// BenchmarkParseHead is the loop's reading of a usual request.
func BenchmarkParseHead(b *testing.B) {
	text := []byte("GET /live/streams/cam/2023-08-24_16-02-52.970/live.m3u8 HTTP/1.1\r\nHost: origin.example.com:5080\r\nUser-Agent: Amazon CloudFront\r\n" +
		"Accept-Encoding: gzip\r\nX-Amz-Cf-Id: 3Jz6mXv1jXy9t0Zs7YzG0YV0aQ1s8m1m0Fv3kq9J2m3J4v5J6w7x8y==\r\nConnection: Keep-Alive\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		n, _, _ := headEnd(text, 0)
		var h head
		parseHead(text[:n], "", &h)
		if h.bad != 0 {
			b.Fatal("refused")
		}
	}
}

// TestLoopServesWithoutAllocations counts what one poll of a live playlist costs on the server's side.
func TestLoopServesWithoutAllocations(t *testing.T) {
	r := newRig(t, Options{})
	r.publish("cam").run(41 * time.Second)
	v := &viewer{conn: conn{Conn: &blackHole{}, o: r.origin, armed: time.Now()}, s: &server{o: r.origin, outboxes: newOutboxes()}}
	for path, limit := range map[string]float64{r.live("cam"): 0, r.segment("cam", 5): 12} {
		head := []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nIf-None-Match: \"x\"\r\n\r\n")
		v.serve(t.Context(), head)
		if n := testing.AllocsPerRun(200, func() { v.serve(t.Context(), head) }); n > limit {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
	if n := r.origin.Stats().Requests[KindLive][2].Load(); n < 200 {
		t.Errorf("%d playlists were served", n)
	}
}

// blackHole is a connection that takes everything.
type blackHole struct{ net.Conn }

func (*blackHole) Write(b []byte) (int, error)        { return len(b), nil }
func (*blackHole) SetWriteDeadline(t time.Time) error { return nil }
func (*blackHole) SetReadDeadline(t time.Time) error  { return nil }
func (*blackHole) Close() error                       { return nil }

var _ http.Handler = (*Origin)(nil)
