package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// host is another server.
type host struct {
	address string

	// Of Remote.mu.
	failed  time.Time // when it could not be reached; zero: it could
	watched bool      // a goroutine looks whether it lives
	running map[*running]bool
}

// running is a request at a host.
type running struct {
	began time.Time
	cut   context.CancelCauseFunc
}

// maxHosts bounds the servers of which it is remembered whether they can be reached. There are as many as the claims of streams name.
const maxHosts = 1024

// The reasons why a request ends early.
var (
	errStopped     = errors.New("this server stops")
	errUnreachable = errors.New("the server that has the stream cannot be reached")
	errMoved       = errors.New("another server has the stream now")
	errUnwanted    = errors.New("nobody asks for it any more")
	errFull        = errors.New("there is no memory for what another server answers")
	errUnusable    = errors.New("the answer of another server cannot be used")
)

// newClient returns a client for other servers. Its connections are kept, because each poll follows the last at once.
func newClient(patience time.Duration) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: patience}).DialContext,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    256,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 32 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// host returns a host. r.mu is held.
func (r *Remote) host(address string) *host {
	h := r.hosts[address]
	if h != nil {
		return h
	}
	if len(r.hosts) >= maxHosts {
		for a, other := range r.hosts {
			if len(other.running) == 0 && !other.watched {
				delete(r.hosts, a)
			}
		}
	}
	h = &host{address: address, running: map[*running]bool{}}
	r.hosts[address] = h
	return h
}

// down reports whether a host could not be reached just now. r.mu is held.
func (r *Remote) down(address string) bool {
	h := r.hosts[address]
	return h != nil && !h.failed.IsZero() && r.o.Now().Sub(h.failed) < r.o.Patience
}

// cut ends all requests at a host. Remote.mu is held.
func (h *host) cut(why error) {
	for x := range h.running {
		x.cut(why)
	}
}

// enter counts a request at a host, until leave is called; the context ends when it is of no use any more.
func (r *Remote) enter(address string) (ctx context.Context, cut context.CancelCauseFunc, leave func()) {
	ctx, cut = context.WithCancelCause(context.Background())
	x := &running{cut: cut}
	r.mu.Lock()
	defer r.mu.Unlock()
	x.began = r.o.Now()
	h := r.host(address)
	h.running[x] = true
	r.running++
	if r.stopped {
		cut(errStopped)
	} else if !h.watched {
		h.watched = r.spawn(func() { r.watch(h) })
	}
	return ctx, cut, func() {
		cut(nil)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(h.running, x)
		r.running--
	}
}

// reached notes whether a host could be reached.
func (r *Remote) reached(address string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.host(address); ok {
		h.failed = time.Time{}
	} else {
		h.failed = r.o.Now()
	}
}

// watch looks whether a host lives as long as a request there takes longer than one should; those that wait for something new always do. What
// waits at a host that is silent is ended.
func (r *Remote) watch(h *host) {
	tick := time.NewTicker(r.o.Patience)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
		}
		slow := false
		r.mu.Lock()
		now := r.o.Now()
		for x := range h.running {
			slow = slow || now.Sub(x.began) >= r.o.Patience
		}
		if len(h.running) == 0 {
			h.watched = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		if !slow {
			continue
		}
		if err := r.ping(h.address); err != nil {
			r.mu.Lock()
			h.failed = r.o.Now()
			h.cut(fmt.Errorf("%w: %w", errUnreachable, err))
			r.mu.Unlock()
		}
	}
}

// ping asks a host whether it lives.
func (r *Remote) ping(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.o.Patience)
	defer cancel()
	if r.o.Alive != nil {
		return r.o.Alive(ctx, address)
	}
	req, err := r.request(ctx, http.MethodGet, address, "/cluster/v1/node", "")
	if err != nil {
		return err
	}
	res, err := r.o.Client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	return errors.Join(err, res.Body.Close())
}

// request makes a request for another server.
func (r *Remote) request(ctx context.Context, method, address, path, query string) (*http.Request, error) {
	if query != "" {
		path += "?" + query
	}
	req, err := http.NewRequestWithContext(ctx, method, address+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	if s := r.o.Secret(); s != "" {
		req.Header.Set("Authorization", "Bearer "+s)
	}
	return req, nil
}
