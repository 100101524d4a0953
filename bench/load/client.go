//go:build linux

// Package load watches HLS over HTTP: on one connection like a player, checking everything it gets, and on many at once, to measure the
// cost of a request. It refuses to decode media.
package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// Client is one kept-alive connection. One goroutine uses it.
type Client struct {
	host   string
	cookie string
	gzip   bool
	wait   time.Duration

	conn net.Conn
	in   *bufio.Reader
	body []byte
}

// Target is the actual location of a stream's media playlist: servers' redirects and cookies are resolved once.
type Target struct {
	Host   string // host:port
	Path   string // with the query
	Cookie string
}

// NewClient returns a client for the target's server. Each request may take as long as wait.
func NewClient(t Target, wait time.Duration) *Client {
	return &Client{host: t.Host, cookie: t.Cookie, wait: wait}
}

// Answer is the answer to a request. Body belongs to the client, until its next request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Get requests a path. If the connection broke, the next call makes a new one.
func (c *Client) Get(path string) (Answer, error) {
	a, err := c.get(path)
	if err != nil {
		c.Close()
		return a, fmt.Errorf("GET %s: %w", path, err)
	}
	return a, nil
}

func (c *Client) get(path string) (a Answer, err error) {
	deadline := time.Now().Add(c.wait)
	if c.conn == nil {
		d := net.Dialer{Deadline: deadline}
		if c.conn, err = d.Dial("tcp", c.host); err != nil {
			return a, err
		}
		if c.in == nil {
			c.in = bufio.NewReaderSize(c.conn, 4<<10)
		} else {
			c.in.Reset(c.conn)
		}
	}
	_ = c.conn.SetDeadline(deadline)
	if _, err = c.conn.Write(request(c.host, path, c.cookie, c.gzip)); err != nil {
		return a, err
	}
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return a, err
	}
	b := c.body[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		var n int
		n, err = r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return a, err
		}
	}
	c.body = b
	if r.Close {
		c.Close()
	}
	return Answer{r.StatusCode, r.Header, b}, nil
}

// Close closes the connection.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func request(host, path, cookie string, gzip bool) []byte {
	b := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\nAccept: */*\r\n"
	if gzip {
		b += "Accept-Encoding: gzip\r\n"
	}
	if cookie != "" {
		b += "Cookie: " + cookie + "\r\n"
	}
	return []byte(b + "\r\n")
}

// Resolve follows a stream's URL to a media playlist that lists at least that many segments, like players do: over redirects, cookies and a
// multivariant playlist's first variant. It polls until ctx is done.
func Resolve(ctx context.Context, rawURL string, segments int, poll time.Duration) (Target, *Playlist, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return Target{}, nil, err
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	h := &http.Client{Jar: jar, Transport: transport}
	last := fmt.Errorf("no answer")
	for {
		t, p, err := resolve(ctx, h, rawURL)
		switch {
		case err == nil && len(p.Segments) >= segments:
			return t, p, nil
		case err == nil:
			err = fmt.Errorf("%d segments listed, waiting for %d", len(p.Segments), segments)
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return t, nil, fmt.Errorf("playlist %s: %w (%w)", rawURL, last, ctx.Err())
		case <-time.After(poll):
		}
	}
}

func resolve(ctx context.Context, h *http.Client, rawURL string) (Target, *Playlist, error) {
	for range 3 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
		if err != nil {
			return Target{}, nil, err
		}
		r, err := h.Do(req)
		if err != nil {
			return Target{}, nil, err
		}
		b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		_ = r.Body.Close()
		if err != nil {
			return Target{}, nil, err
		}
		if r.StatusCode != http.StatusOK {
			return Target{}, nil, fmt.Errorf("status %d", r.StatusCode)
		}
		at := r.Request.URL
		if variant := firstVariant(b); variant != "" {
			next, err := at.Parse(variant)
			if err != nil {
				return Target{}, nil, err
			}
			rawURL = next.String()
			continue
		}
		p, err := ParsePlaylist(b)
		t := Target{Host: at.Host, Path: at.RequestURI(), Cookie: cookies(h.Jar, at)}
		return t, p, err
	}
	return Target{}, nil, fmt.Errorf("multivariant playlists that lead to each other")
}

func cookies(jar http.CookieJar, u *url.URL) string {
	var all []string
	for _, c := range jar.Cookies(u) {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

// Beside returns where a URI of the target's playlist leads.
func (t Target) Beside(uri string) (string, error) {
	base, err := url.Parse(t.Path)
	if err != nil {
		return "", err
	}
	u, err := base.Parse(uri)
	if err != nil {
		return "", err
	}
	return u.RequestURI(), nil
}
