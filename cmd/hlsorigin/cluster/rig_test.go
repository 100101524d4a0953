package cluster

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// clock is a clock that is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Round(time.Second)} } // stores have the system's

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// text is a log that may be read while it is written.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// node is a server of a cluster in a test.
type node struct {
	*Cluster
	log      *text
	registry *segmenter.Registry
	at       string
	stop     func() // its port
}

// newNode makes a server that answers the others.
func newNode(t *testing.T, store storage.Store, now func() time.Time, change ...func(*Options)) *node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{log: &text{}, at: "http://" + l.Addr().String()}
	n.registry = segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": {}}, Now: now})
	o := Options{
		Settings: configs.Cluster{Address: n.at, Secret: "0123456789abcdef"}, Version: "v1", Registry: n.registry, Next: n.registry, Store: store,
		Media:         http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "media") }),
		TakeoverAfter: func(string) time.Duration { return 2 * time.Second },
		Unsent:        func(segmenter.Key, segmenter.RecordingID) int64 { return 0 },
		Now:           now, Log: slog.New(slog.NewTextHandler(n.log, nil)),
	}
	for _, c := range change {
		c(&o)
	}
	n.Cluster = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx, l) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		n.client.Close()
		n.stop()
	})
	return n
}

// run runs a server's loop until the function is called that it returns, which gives its error.
func (n *node) run(t *testing.T) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// publish publishes a stream, and returns why it is sent away.
func (n *node) publish(t *testing.T, stream string) (ingest.Session, <-chan error, error) {
	t.Helper()
	sent := make(chan error, 1)
	s, err := n.Publish(t.Context(), ingest.Announce{App: "live", Stream: stream, Protocol: "rtmp", Remote: "192.0.2.1:99", Cancel: func(err error) {
		select {
		case sent <- err:
		default:
		}
	}})
	if err == nil {
		t.Cleanup(func() { s.Close(nil) })
	}
	return s, sent, err
}
