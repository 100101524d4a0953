package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Times and limits of public keys.
const (
	jwksEvery   = 15 * time.Minute // interval between fetches
	jwksRetry   = 30 * time.Second // after a fetch that failed
	jwksLeast   = 10 * time.Second // least time between two fetches, whatever tokens ask for
	jwksTimeout = 3 * time.Second  // of a fetch, which a publisher may wait for
	jwksMax     = 512 << 10        // bytes
)

// jwks holds the public keys behind a URL. The last good copy is kept until a better one arrives. A token with an unknown key triggers a
// new fetch, which is how keys are rotated.
type jwks struct {
	url      string
	client   *http.Client
	now      func() time.Time
	episodes *ingest.Episodes
	stats    *Stats

	keys atomic.Pointer[keyfunc.Keyfunc]
	turn chan time.Time // one token: its holder may fetch. The value is the start of the last fetch
}

func newJWKS(url string, client *http.Client, now func() time.Time, episodes *ingest.Episodes, stats *Stats) *jwks {
	j := &jwks{url: url, client: client, now: now, episodes: episodes, stats: stats, turn: make(chan time.Time, 1)}
	j.turn <- time.Time{}
	return j
}

// key returns the key that a token says it is signed with.
func (j *jwks) key(ctx context.Context, t *jwt.Token) (any, error) {
	if keys := j.keys.Load(); keys != nil {
		if k, err := publicKey(ctx, *keys, t); err == nil {
			return k, nil
		}
	}
	_ = j.fetch(ctx, jwksLeast)
	keys := j.keys.Load()
	if keys == nil {
		return nil, errNoKeysYet
	}
	return publicKey(ctx, *keys, t)
}

// publicKey returns the key of a set that a token names. Symmetric keys are not accepted: publishing one would publish the right to sign.
func publicKey(ctx context.Context, keys keyfunc.Keyfunc, t *jwt.Token) (any, error) {
	k, err := keys.KeyfuncCtx(ctx)(t)
	if _, symmetric := k.([]byte); symmetric && err == nil {
		return nil, jwt.ErrTokenUnverifiable
	}
	return k, err
}

// run fetches until ctx is done.
func (j *jwks) run(ctx context.Context) {
	for {
		wait := jwksEvery
		if err := j.fetch(ctx, 0); err != nil {
			wait = jwksRetry
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// fetch gets the keys, unless that was done within least. Callers that come meanwhile wait for the fetch in progress.
func (j *jwks) fetch(ctx context.Context, least time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, jwksTimeout)
	defer cancel()
	var last time.Time
	select {
	case last = <-j.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { j.turn <- last }()
	if least > 0 && !last.IsZero() && j.now().Sub(last) < least {
		return nil
	}
	last = j.now()
	keys, err := j.get(ctx)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return err
		}
		j.stats.JWKSFailures.Add(1)
		what := "tokens signed with them are refused"
		if j.keys.Load() != nil {
			what = "the last good copy stays in use"
		}
		j.episodes.Warn("jwks", hostOf(j.url), "the public keys of tokens cannot be fetched: "+what, "host", hostOf(j.url), "error", err)
		return err
	}
	j.stats.JWKSFetched.Add(1)
	j.keys.Store(&keys)
	return nil
}

func (j *jwks) get(ctx context.Context) (keyfunc.Keyfunc, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, errors.New("the URL cannot be read")
	}
	res, err := j.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", res.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, jwksMax+1))
	if err != nil {
		return nil, err
	}
	return readKeySet(raw)
}

// readKeySet reads a set of public keys (RFC 7517).
func readKeySet(raw []byte) (keyfunc.Keyfunc, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(raw, &set); err != nil || len(raw) > jwksMax || len(set.Keys) == 0 {
		return nil, errors.New("the answer is no set of keys")
	}
	keys, err := keyfunc.NewJWKSetJSON(raw)
	if err != nil {
		return nil, errors.New("the answer is a set of keys that cannot be read")
	}
	return keys, nil
}

// newClient returns a client for back ends. It is bounded in all directions and follows no redirect, since that could lead anywhere.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: maxAsking, MaxConnsPerHost: maxAsking, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 32 << 10, TLSHandshakeTimeout: jwksTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// withoutURL removes the address, which may hold a secret, from an error of the HTTP client.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		if e.Timeout() {
			return errors.New("no answer came in time")
		}
		return e.Err
	}
	return err
}

// hostOf returns the part of an address that may be shown.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
