package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Callback is a back end that is asked whether somebody may publish. An empty URL means none.
//
// It gets a POST with the JSON that MediaMTX sends (action is always "publish"). A 2xx status admits the publisher; a body of {"stream":
// "NAME"} then replaces the public name it sent. 401 and 403 refuse, with a reason for the encoder as {"reason": "…"} or plain text.
// Anything else refuses too, and so does no answer in time.
type Callback struct {
	URL     string
	Timeout time.Duration // of one question; default 2s
	Cache   time.Duration // how long an answer is valid, a refusal for at most 5s; 0: not at all
}

// Limits of callbacks.
const (
	maxAsking    = 32              // questions in flight
	maxAnswer    = 4 << 10         // bytes of an answer that are read
	maxCached    = 4096            // answers kept
	maxDenied    = 5 * time.Second // how long a refusal is kept
	maxReasonLen = 200             // bytes of a reason that an encoder is shown
)

// callback asks a back end.
type callback struct {
	Callback
	client *http.Client
	now    func() time.Time
	asking chan struct{}

	mu     sync.Mutex
	cached map[[sha256.Size]byte]answer
}

// answer is a back end's answer.
type answer struct {
	allowed bool
	stream  string // another public name; empty: the one that was sent
	reason  string // for the encoder; empty: none was given
	until   time.Time
}

func newCallback(c Callback, client *http.Client, now func() time.Time) *callback {
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	return &callback{Callback: c, client: client, now: now, asking: make(chan struct{}, maxAsking), cached: map[[sha256.Size]byte]answer{}}
}

// callbackBody is the question in MediaMTX's format.
type callbackBody struct {
	User     string `json:"user"`
	Password string `json:"password"`
	Token    string `json:"token"`
	IP       string `json:"ip"`
	Action   string `json:"action"`
	Path     string `json:"path"`
	Protocol string `json:"protocol"`
	ID       string `json:"id"`
	Query    string `json:"query"`
}

// ask returns the back end's answer, or why there is none.
func (c *callback) ask(ctx context.Context, r ingest.Request, ip netip.Addr) (answer, error) {
	body := callbackBody{
		User: r.User, Password: r.Password, Token: r.Token, IP: ip.String(), Action: "publish", Path: r.App + "/" + r.Name,
		Protocol: r.Protocol, Query: r.Query,
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	known := sha256.Sum256(raw)
	if a, ok := c.lookup(known); ok {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
		return answer{}, fmt.Errorf("%d questions wait for their answers already", maxAsking)
	}
	body.ID = newID() // differs in each question, so it is not part of the cache key
	if raw, err = json.Marshal(body); err != nil {
		return answer{}, err
	}
	a, err := c.post(ctx, raw)
	if err != nil {
		return answer{}, err
	}
	a.reason = presentable(a.reason, r.Password, r.Token, r.Name)
	c.keep(known, a)
	return a, nil
}

func (c *callback) post(ctx context.Context, raw []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(raw))
	if err != nil {
		return answer{}, errors.New("the URL cannot be read")
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.client.Do(req)
	if err != nil {
		return answer{}, withoutURL(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{}, withoutURL(err)
	case len(text) > maxAnswer:
		return answer{}, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	var said struct{ Stream, Reason, Error, Message string }
	isObject := json.Unmarshal(text, &said) == nil
	switch res.StatusCode / 100 * 100 {
	case http.StatusOK:
		return answer{allowed: true, stream: said.Stream}, nil
	case http.StatusBadRequest:
		if res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusForbidden {
			break
		}
		var a answer
		for _, s := range []string{said.Reason, said.Error, said.Message} {
			if s != "" {
				a.reason = s
				break
			}
		}
		if !isObject && !strings.Contains(res.Header.Get("Content-Type"), "html") {
			a.reason = string(text)
		}
		return a, nil
	}
	return answer{}, fmt.Errorf("the answer is %s", res.Status)
}

func (c *callback) lookup(known [sha256.Size]byte) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.cached[known]
	if ok && !c.now().Before(a.until) {
		delete(c.cached, known)
		return answer{}, false
	}
	return a, ok
}

func (c *callback) keep(known [sha256.Size]byte, a answer) {
	good := c.Cache
	if !a.allowed {
		good = min(good, maxDenied)
	}
	if good <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	a.until = now.Add(good)
	if len(c.cached) >= maxCached {
		for k, old := range c.cached {
			if !now.Before(old.until) {
				delete(c.cached, k)
			}
		}
	}
	if len(c.cached) < maxCached { // when the cache is full, each newcomer is asked about every time
		c.cached[known] = a
	}
}

// presentable returns a reason that is fit for an encoder and a log: one line, bounded, and without the secrets that were sent.
func presentable(s string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= 4 {
			s = strings.ReplaceAll(s, secret, "…")
		}
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxReasonLen {
		s = strings.ToValidUTF8(s[:maxReasonLen], "")
	}
	return s
}

// newID returns a random UUID (RFC 9562 5.4), by which MediaMTX names a connection.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
