package cluster

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// apart starts n servers on a bucket, each of which has a way of its own to it, and one on which the others reach it: both can be cut.
func apart(t *testing.T, n int, v *rig.Vault) (all []*node) {
	t.Helper()
	for i := range n {
		at := rig.FreeAddress(t)
		x := &node{name: string(rune('a' + i)), wrote: record(t, v.At.Endpoint), door: newLink(t, at)}
		x.bucket = storetest.NewProxy(t, x.wrote.url)
		own := *v
		own.Proxy = x.bucket
		yaml := rig.Brisk + own.YAML() + fmt.Sprintf("cluster: {node: %s, address: \"http://%s\", listen: %q, secret: aclustersecretoftests, drain: 1s}\n", x.name, x.door.address, at)
		x.Process = rig.Serve(t, t.TempDir(), yaml)
		all = append(all, x)
	}
	return all
}

// written is an object that a server has written, as the bucket has answered.
type written struct {
	when time.Time
	key  string // below the prefix of the bucket
	etag string
}

func (w written) String() string { return w.when.Format("05.000 ") + w.key }

// recorder is a way to the bucket that keeps what was written on it.
type recorder struct {
	url, address string

	mu  sync.Mutex
	all []written
}

// record makes one that leads to a server, until the test ends.
func record(t *testing.T, endpoint string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return recordOn(t, endpoint, l)
}

// recordOn is record where the servers reach it at a listener.
func recordOn(t *testing.T, endpoint string, l net.Listener) *recorder {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	srv := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host // the signature covers it
		},
		ModifyResponse: func(res *http.Response) error {
			if res.Request.Method == http.MethodPut && res.StatusCode == http.StatusOK {
				r.put(res.Request.URL.Path, strings.Trim(res.Header.Get("ETag"), `"`))
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	r.url, r.address = srv.URL, l.Addr().String()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		transport.CloseIdleConnections()
	})
	return r
}

func (r *recorder) put(at, etag string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, key, ok := strings.Cut(at, "/archive/"); ok {
		r.all = append(r.all, written{time.Now(), key, etag})
	}
}

// since returns what was written after an instant.
func (r *recorder) since(when time.Time) (some []written) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.all {
		if w.when.After(when) {
			some = append(some, w)
		}
	}
	return some
}

// playlists are those of them that are none of segments and claims.
func playlists(all []written) (some []written) {
	for _, w := range all {
		if e := path.Ext(w.key); e == ".m3u8" || e == ".mpd" {
			some = append(some, w)
		}
	}
	return some
}

// cut is how a network fails.
type cut int

const (
	whole   cut = iota
	refused     // who connects is sent away, and connections break
	silent      // nothing passes any more, and nobody is told
)

// link leads to an address, until it is cut.
type link struct {
	address, to string
	l           net.Listener
	busy        sync.WaitGroup

	mu      sync.Mutex
	now     cut
	changed chan struct{} // closed when now is set
	open    map[net.Conn]bool
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{address: l.Addr().String(), to: to, l: l, changed: make(chan struct{}), open: map[net.Conn]bool{}}
	k.busy.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			k.busy.Go(func() { k.pass(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		k.set(refused)
		k.busy.Wait()
	})
	return k
}

// set changes what becomes of connections, also of those that there are. What was silent breaks when that ends.
func (k *link) set(how cut) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if how == refused || how == whole && k.now == silent {
		for c := range k.open {
			_ = c.Close()
		}
	}
	k.now = how
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *link) state() (cut, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now, k.changed
}

func (k *link) keep(c net.Conn) (done func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open[c] = true
	return func() {
		_ = c.Close()
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.open, c)
	}
}

func (k *link) pass(c net.Conn) {
	defer k.keep(c)()
	switch how, changed := k.state(); how {
	case refused:
		return
	case silent:
		<-changed
		return
	}
	s, err := net.DialTimeout("tcp", k.to, time.Second)
	if err != nil {
		return
	}
	defer k.keep(s)()
	done := make(chan struct{})
	go func() {
		k.copy(s, c)
		_ = s.Close()
		close(done)
	}()
	k.copy(c, s)
	_ = c.Close()
	<-done
}

// copy passes bytes on, while the link is whole.
func (k *link) copy(to, from net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		for how, changed := k.state(); how == silent; how, changed = k.state() {
			<-changed
		}
		if _, err := io.Copy(to, bytes.NewReader(b[:n])); err != nil {
			return
		}
	}
}
