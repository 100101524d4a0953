package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// maxBusy is how many requests may be in progress to one target, each of another stream.
const maxBusy = 4

// maxAnswer is how many bytes of an answer are read: nothing in it is used, but reading it lets the connection be reused.
const maxAnswer = 64 << 10

// newTransport returns a transport that keeps a few connections to each target.
func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: maxBusy, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxAnswer,
	}
}

// newClient returns a client that follows no redirect: a signed event goes only where the operator wanted it.
func newClient(t http.RoundTripper, timeout time.Duration) *http.Client {
	return &http.Client{Transport: t, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// job is one attempt.
type job struct {
	t    *target
	l    *lane
	e    *item
	body []byte
	typ  string // of the content
	url  string
	key  []byte
}

// send sends what is due until ctx ends, and a little longer.
func (h *Hooks) send(ctx context.Context, written <-chan struct{}) {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var jobs sync.WaitGroup
	defer jobs.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	stop := ctx.Done()
	var over <-chan time.Time
	for {
		j, due, idle := h.pick(h.o.Now())
		if j != nil {
			jobs.Go(func() { h.settle(j, h.attempt(requests, j)) })
			continue
		}
		if over != nil && idle {
			return
		}
		var alarm <-chan time.Time
		if !due.IsZero() {
			timer.Reset(max(due.Sub(h.o.Now()), time.Millisecond))
			alarm = timer.C
		}
		select {
		case <-h.wakeSender:
		case <-alarm:
		case <-stop:
			<-written // everything emitted is in the lanes
			last := time.NewTimer(h.o.Linger)
			defer last.Stop()
			stop, over = nil, last.C
		case <-over:
			cancel()
			return
		}
	}
}

// pick begins the next attempt. If there is none, due is when to look again, and idle reports that none is in progress.
func (h *Hooks) pick(now time.Time) (j *job, due time.Time, idle bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	idle = true
	for _, t := range h.targets {
		h.expire(t, now)
		next, at := t.next(now)
		if next != nil {
			next.busy = true
			t.busy++
			j = &job{t: t, l: next, e: next.items[0], url: t.URL, key: t.key}
			j.body, j.typ = t.render(&j.e.Event)
			return j, due, false
		}
		if !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
		idle = idle && t.busy == 0
	}
	return nil, due, idle
}

// next returns the next lane. If nothing may be sent now it returns nil, and due is when something may.
func (t *target) next(now time.Time) (l *lane, due time.Time) {
	switch {
	case t.busy >= maxBusy, t.gate.shut() && t.busy > 0:
		return nil, due // the end of one of them decides
	case t.gate.shut() && t.gate.until.After(now):
		if len(t.order) > 0 {
			due = t.gate.until
		}
		return nil, due
	}
	var first *lane // of those that wait, by time
	for i := range t.order {
		at := (t.turn + i) % len(t.order)
		l := t.order[at]
		switch {
		case l.ready(now) || t.gate.shut() && !l.busy && len(l.items) > 0: // the gate's pauses are enough
			t.turn = at + 1
			return l, due
		case !l.busy && len(l.items) > 0 && (first == nil || l.due.Before(first.due)):
			first = l
		}
	}
	if first != nil {
		due = first.due
	}
	return nil, due
}

// expire drops what has become too old, and removes empty lanes. h.mu is held.
func (h *Hooks) expire(t *target, now time.Time) {
	n, kept := 0, t.order[:0]
	for _, l := range t.order {
		for !l.busy && len(l.items) > 0 && now.Sub(l.items[0].Time) > t.Keep {
			h.done = append(h.done, doneRecord{l.items[0].n, t.id})
			h.forget(l)
			n++
		}
		if len(l.items) == 0 && !l.busy {
			delete(t.lanes, l.name)
			continue
		}
		kept = append(kept, l)
	}
	clear(t.order[len(kept):])
	t.order = kept
	if n > 0 {
		t.givenUp(h.log, n, "they have waited for as long as they are kept", now)
		wake(h.wakeWriter)
	}
}

// statusError is an answer other than acceptance.
type statusError struct {
	code   int
	status string
	after  time.Duration // pause requested by the target; 0: none
}

func (e statusError) Error() string {
	if e.code >= 300 && e.code < 400 {
		return "answered " + e.status + ": redirects are not followed, give the address that answers"
	}
	return "answered " + e.status
}

// alone reports whether an error concerns only this event and not the target: the next event may be accepted.
func alone(err error) bool {
	var s statusError
	return errors.As(err, &s) && s.code >= 400 && s.code < 500 && s.code != http.StatusRequestTimeout && s.code != http.StatusTooManyRequests
}

// attempt sends one event once. The error contains at most the host.
func (h *Hooks) attempt(ctx context.Context, j *job) error { return h.attemptBy(ctx, h.client, j) }

func (h *Hooks) attemptBy(ctx context.Context, client *http.Client, j *job) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.url, bytes.NewReader(j.body))
	if err != nil {
		return errors.New("the URL cannot be asked") // the original error contains the URL
	}
	req.Header.Set("Content-Type", j.typ)
	req.Header.Set("User-Agent", h.o.UserAgent)
	sign(req.Header, j.key, j.e.ID, h.o.Now(), j.body)
	res, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // it would show the URL
			err = u.Err
		}
		return err
	}
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
	_ = res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return statusError{res.StatusCode, fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode)), retryAfter(res.Header)}
	}
	return nil
}

// retryAfter returns how long a target wants to be left alone, in the form of seconds (RFC 9110 10.2.3), and at most the longest pause.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, int(retryMost/time.Second))) * time.Second
}

// settle records the result of an attempt.
func (h *Hooks) settle(j *job, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	t, l := j.t, j.l
	l.busy = false
	t.busy--
	wake(h.wakeSender)
	if len(l.items) == 0 || l.items[0] != j.e {
		return // the target is gone
	}
	if err == nil {
		t.stats.Sent++
		h.done = append(h.done, doneRecord{j.e.n, t.id})
		h.forget(l)
		if t.gate.success() {
			t.retry()
		}
		t.healed(h.log, now, t.waiting())
		wake(h.wakeWriter)
		return
	}
	if errors.Is(err, context.Canceled) {
		return // the server is stopping
	}
	t.stats.Failed++
	l.fails++
	var s statusError
	errors.As(err, &s)
	l.due = now.Add(max(backoff(l.fails), s.after))
	if !alone(err) || t.gate.shut() { // while it is closed, an event that is refused for its own sake ends no pause
		t.gate.failure(l.name, now, s.after)
	}
	t.failed(h.log, err, &j.e.Event, now)
}
