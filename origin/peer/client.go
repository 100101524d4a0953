package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Limits of what another server is asked.
const (
	dialTimeout = time.Second
	askTimeout  = 1500 * time.Millisecond // for State and Node, all in all
	maxAnswer   = 64 << 10                // bytes of a State or Node, or what a Pair has beside what is asked for
	maxIdle     = 64                      // connections kept to one server
	MaxConns    = 2048                    // connections to one server for what viewers ask; a request beyond them waits
)

// Client asks other servers of the cluster. It is safe for concurrent use.
type Client struct {
	secrets *Secrets
	media   *http.Client // for viewers
	asks    *http.Client // for State and Node, with connections of their own: what viewers wait for does not make a server seem away
}

// NewClient makes a client. Close it when nobody uses it any more.
func NewClient(secrets *Secrets) *Client {
	return &Client{secrets: secrets, media: newHTTP(secrets, MaxConns), asks: newHTTP(secrets, 0)}
}

func newHTTP(secrets *Secrets, conns int) *http.Client {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout, MaxIdleConnsPerHost: maxIdle, MaxConnsPerHost: conns, IdleConnTimeout: idleTimeout / 2,
		MaxResponseHeaderBytes: maxHeader, DisableCompression: true, // bodies are passed on as they are
	}
	return &http.Client{Transport: &signing{t, secrets}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Close closes the connections that nobody uses.
func (c *Client) Close() {
	c.media.CloseIdleConnections()
	c.asks.CloseIdleConnections()
}

// HTTP returns a client for what viewers ask for. It adds the secret to each request, takes bodies as they are, and follows no redirect; how
// long an answer may take is for the context of the request to say.
func (c *Client) HTTP() *http.Client { return c.media }

// signing adds the secret to requests, and where the other server has not got a new one yet, the one before.
type signing struct {
	*http.Transport
	secrets *Secrets
}

// RoundTrip implements http.RoundTripper.
func (t *signing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		_ = r.Body.Close()
		return nil, errors.New("a request between servers has no body")
	}
	value, former := t.secrets.all()
	res, err := t.signed(r, value)
	if err != nil || res.StatusCode != http.StatusUnauthorized || former == "" {
		return res, err
	}
	_ = res.Body.Close()
	return t.signed(r, former)
}

func (t *signing) signed(r *http.Request, secret string) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+secret)
	return t.Transport.RoundTrip(r)
}

// State asks the server at an address what it knows of a stream.
func (c *Client) State(ctx context.Context, address, app, stream string) (State, error) {
	var st State
	err := c.ask(ctx, address, statePath+url.PathEscape(app)+"/"+url.PathEscape(stream), &st, maxAnswer)
	return st, err
}

// Pair asks the server at an address, for one that stands by, what it tells of a stream, which is decoded into v. It is false where that
// server has no recording of the stream under way. step says that this server is in step with it. limit is how many bytes v may have as JSON.
func (c *Client) Pair(ctx context.Context, address, app, stream string, step bool, v any, limit int64) (bool, error) {
	path := pairPath + url.PathEscape(app) + "/" + url.PathEscape(stream)
	if step {
		path += "?step=1"
	}
	told := paired{Pair: v}
	err := c.ask(ctx, address, path, &told, limit+maxAnswer)
	return told.Known && err == nil, err
}

// Node asks the server at an address who it is.
func (c *Client) Node(ctx context.Context, address string) (Node, error) {
	var n Node
	err := c.ask(ctx, address, NodePath, &n, maxAnswer)
	return n, err
}

// ask gets one object of so many bytes at most.
func (c *Client) ask(ctx context.Context, address, path string, v any, limit int64) error {
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(limited, http.MethodGet, address+path, nil)
	if err != nil { // it is no address: nobody is there
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	res, err := c.asks.Do(r)
	if err != nil {
		if ctx.Err() != nil { // it is not known whether anybody would have answered
			return fmt.Errorf("ask %s: %w", address, context.Cause(ctx))
		}
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // whom it asked, who reads it knows
		}
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	defer res.Body.Close()
	switch {
	case res.Header.Get(markHeader) == "":
		return fmt.Errorf("%w: something else does, with %s", ErrAway, res.Status)
	case res.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("ask %s: %w", address, ErrSecret)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("ask %s: it answers %s", address, res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, limit)).Decode(v); err != nil {
		return fmt.Errorf("ask %s: it cannot be understood: %w", address, err)
	}
	return nil
}
