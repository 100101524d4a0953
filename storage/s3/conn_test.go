package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// schemes runs a test over http and over https. It starts and stops the server.
func schemes(t *testing.T, stall time.Duration, handler http.HandlerFunc, test func(t *testing.T, s *Store, srv *httptest.Server)) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(handler)
			var dialled atomic.Int64
			srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					dialled.Add(1)
				}
			}
			srv.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(ctx, dialledKey{}, &dialled)
			}
			ca := t.TempDir() + "/ca.pem"
			if scheme == "https" {
				srv.StartTLS()
				writePEM(t, ca, srv.Certificate())
			} else {
				srv.Start()
			}
			t.Cleanup(srv.Close)
			o := options(t, storetest.Server{Endpoint: srv.URL, AccessKey: "k", SecretKey: "s", Bucket: "b"})
			o.StallTimeout, o.ResponseTimeout = stall, 20*time.Second
			if scheme == "https" {
				t.Setenv("AWS_CA_BUNDLE", ca)
			}
			test(t, open(t, o), srv)
		})
	}
}

// dialledKey is the key under which a request's context holds the number of the server's connections, an *atomic.Int64.
type dialledKey struct{}

// chunked lays out bytes like a segment in memory.
func chunked(b []byte) storage.Lender {
	var parts [][]byte
	for p := range slices.Chunk(b, 10_007) {
		parts = append(parts, p)
	}
	return storage.Body(parts).(storage.Lender)
}

// Bodies of all sizes arrive complete over one connection, lent and read.
func TestBodiesArrive(t *testing.T) {
	var mu sync.Mutex
	var got [sha256.Size]byte
	var connections int64
	schemes(t, 20*time.Second, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got, connections = sha256.Sum256(b), r.Context().Value(dialledKey{}).(*atomic.Int64).Load()
		if err == nil {
			w.Header().Set("ETag", `"1"`)
		}
	}, func(t *testing.T, s *Store, _ *httptest.Server) {
		all := storetest.Random(1, 9<<20)
		rounds := 2
		if storetest.Full() {
			rounds = 4
		}
		for round := range rounds {
			for _, size := range []int{0, 1, 4000, 64 << 10, 64<<10 + 1, 200_000, leastPiece, 1_500_000, mostSecured, len(all)} {
				for name, body := range map[string]io.ReadSeeker{"lent": chunked(all[:size]).(io.ReadSeeker), "read": bytes.NewReader(all[:size])} {
					if _, err := s.Put(t.Context(), "a", body, storage.Attributes{}); err != nil {
						t.Fatalf("%s, %d bytes: %v", name, size, err)
					}
					mu.Lock()
					if got != sha256.Sum256(all[:size]) {
						t.Errorf("%s, %d bytes, round %d: other bytes arrived", name, size, round)
					}
					mu.Unlock()
				}
			}
		}
		if connections != 1 {
			t.Errorf("%d connections for requests one after the other", connections)
		}
	})
}

// Once Put has returned, the body's memory may be reused: nothing written to it then arrives, however the request ended.
func TestLentMemoryIsBack(t *testing.T) {
	const scribble = 0xff
	for name, c := range map[string]struct{ answers, cancels bool }{
		"answered early": {answers: true}, "cancelled": {cancels: true}, "stalled": {},
	} {
		t.Run(name, func(t *testing.T) {
			begun, over, seen := make(chan struct{}, 1), make(chan struct{}), make(chan []byte, 1)
			schemes(t, 300*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
				if c.answers {
					_ = http.NewResponseController(w).EnableFullDuplex()
					w.Header().Set("Content-Length", "0") // the whole answer
					w.WriteHeader(http.StatusForbidden)
					_ = http.NewResponseController(w).Flush()
				}
				begun <- struct{}{}
				<-over
				b, _ := io.ReadAll(r.Body)
				seen <- b
			}, func(t *testing.T, s *Store, _ *httptest.Server) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				failed := make(chan error, 1)
				memory := make([]byte, 32<<20) // more than kernels buffer
				go func() { failed <- failure(s.Put(ctx, "a", chunked(memory).(io.ReadSeeker), storage.Attributes{})) }()
				wait(t, begun, "no request")
				if c.cancels {
					cancel()
				}
				err := wait(t, failed, "Put does not return")
				for i := range memory {
					memory[i] = scribble
				}
				if err == nil || name == "stalled" && !errors.Is(err, errStalled) {
					t.Error(err)
				}
				over <- struct{}{}
				if i := bytes.IndexByte(wait(t, seen, "the server reads on"), scribble); i >= 0 {
					t.Errorf("byte %d was sent after Put had returned", i)
				}
			})
		})
	}
}

func wait[T any](t *testing.T, c <-chan T, otherwise string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal(otherwise)
		panic("not reached")
	}
}
