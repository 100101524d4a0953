package peer

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

const secret, former, other = "0123456789abcdef", "former-9876543210", "another-secret-of-others"

// media is a playlist that changes when it is told to.
type media struct {
	mu      sync.Mutex
	etag    string
	body    string
	changed chan struct{}
	asked   int
}

func newMedia() *media { return &media{etag: `"1"`, body: "one", changed: make(chan struct{})} }

func (m *media) set(etag, body string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.etag, m.body = etag, body
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *media) watch(string) []<-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return []<-chan struct{}{m.changed}
}

func (m *media) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	etag, body := m.etag, m.body
	m.asked++
	m.mu.Unlock()
	if etag == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header()["ETag"] = []string{etag} // as origin has it
	w.Header().Set("Cache-Control", "public, max-age=2")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write([]byte(body))
}

// newServer is a server in front of m.
func newServer(m *media, change ...func(*Options)) *Server {
	o := Options{
		Self: func() Node { return Node{Node: "a", Address: "http://a", Version: "v1", Instance: "i", Streams: 3} },
		Stream: func(app, stream string) State {
			return State{Fed: app == "live" && stream == "cam", Recording: "r", Remote: "192.0.2.1:5", Since: time.Unix(1, 0).UTC()}
		},
		Media: m, Watch: m.watch, Secrets: NewSecrets(secret, time.Now),
	}
	for _, c := range change {
		c(&o)
	}
	return NewServer(o)
}

func request(method, path, had string) *http.Request {
	r, err := http.NewRequest(method, path, nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	if had != "" {
		r.Header.Set(WaitHeader, had)
	}
	return r
}
