package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Answer is what another server answered. It is read-only.
type Answer struct {
	Status       int // 200, 400, 404, 502 or 503
	ContentType  string
	CacheControl string
	ETag         string // strong, quoted, of Body
	GzipETag     string // of Gzip
	Modified     time.Time
	LastSequence string // X-HLS-Last-Sequence
	LastUpdated  string // X-HLS-Last-Updated
	Body         []byte
	Gzip         []byte // nil: it is not sent compressed
	Length       int64  // of Body; where only the header was asked for, of the form that was
	Gzipped      bool   // that was the compressed one
}

// Final reports whether nothing follows what the answer has.
func (a *Answer) Final() bool {
	return bytes.Contains(a.Body, []byte("\n#EXT-X-ENDLIST")) || bytes.Contains(a.Body, []byte(` type="static"`))
}

// size is about what it takes in memory, in bytes.
func (a *Answer) size() int64 { return int64(cap(a.Body)+cap(a.Gzip)) + 1<<10 }

// waitHeader holds the answer of another server until its ETag is another one. waitTime is how long it does, and holdTime how long any
// answer may be held there.
const (
	waitHeader = "Hlsorigin-Wait"
	holdTime   = 40 * time.Second
)

// maxRefusal is how much of a refusal's text is passed on, in bytes.
const maxRefusal = 4 << 10

// fetch asks another server. For wait see waitHeader; unchanged says that nothing new came in time, and answer then has its header alone.
func (r *Remote) fetch(ctx context.Context, q *Query, address, wait string) (a *Answer, unchanged bool, err error) {
	method := http.MethodGet
	if q.Head {
		method = http.MethodHead
	}
	req, err := r.request(ctx, method, address, q.Path, q.Query)
	if err != nil {
		return nil, false, err
	}
	if text(q.Name.Kind) && (!q.Head || q.Gzip) {
		req.Header.Set("Accept-Encoding", "gzip")
	} else {
		req.Header.Set("Accept-Encoding", "identity")
	}
	if wait != "" {
		req.Header.Set(waitHeader, wait)
	}
	res, err := r.o.Client.Do(req)
	if err == nil {
		a, unchanged, err = r.read(q, res, wait)
		err = errors.Join(err, res.Body.Close())
	}
	cause := context.Cause(ctx)
	switch {
	case err == nil:
		r.reached(address, true)
	case errors.Is(cause, errStopped), errors.Is(cause, errMoved), errors.Is(cause, errUnwanted):
		return nil, false, cause
	case errors.Is(err, errFull):
		r.Stats.Full.Add(1)
		return nil, false, err
	case errors.Is(err, errUnusable):
		r.Stats.Unusable.Add(1)
		r.o.Warn("cluster-answer", address, "another server of the cluster gave an answer that cannot be used: see whether it is one of ours, of the same version and with the same cluster.secret", "server", address, "path", q.Path, "err", err)
		return nil, false, err
	default:
		r.Stats.Unreachable.Add(1)
		r.reached(address, false)
		return nil, false, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	switch {
	case unchanged:
		r.Stats.Unchanged.Add(1)
	case a.Status == 200:
		r.Stats.Answered.Add(1)
	default:
		r.Stats.Refused.Add(1)
	}
	return a, unchanged, nil
}

// read reads an answer.
func (r *Remote) read(q *Query, res *http.Response, wait string) (a *Answer, unchanged bool, err error) {
	h := res.Header
	a = &Answer{Status: res.StatusCode, ContentType: h.Get("Content-Type"), CacheControl: h.Get("Cache-Control"), ETag: h.Get("ETag"),
		LastSequence: h.Get("X-HLS-Last-Sequence"), LastUpdated: h.Get("X-HLS-Last-Updated"), Length: res.ContentLength}
	if a.CacheControl == "" {
		return nil, false, fmt.Errorf("%w: it has no Cache-Control", errUnusable)
	}
	switch res.StatusCode {
	case 200:
	case 304:
		if wait == "" || a.ETag != wait {
			return nil, false, fmt.Errorf("%w: 304 was not asked for", errUnusable)
		}
		return a, true, nil
	case 400, 404, 502, 503:
		if a.Body, err = io.ReadAll(io.LimitReader(res.Body, maxRefusal)); q.Head {
			a.Body = make([]byte, max(0, min(res.ContentLength, maxRefusal))) // it is counted, and not sent
		}
		return a, false, err
	default:
		return nil, false, fmt.Errorf("%w: status %d", errUnusable, res.StatusCode)
	}
	if a.Modified, err = http.ParseTime(h.Get("Last-Modified")); err != nil {
		return nil, false, fmt.Errorf("%w: Last-Modified: %w", errUnusable, err)
	}
	most := r.o.MaxObject
	if text(q.Name.Kind) {
		most = r.o.MaxPage
	}
	switch {
	case !quoted(a.ETag):
		return nil, false, fmt.Errorf("%w: its ETag is %.60q", errUnusable, a.ETag)
	case a.Length < 0 || a.Length > most:
		return nil, false, fmt.Errorf("%w: a body of %d bytes; at most %d are read", errUnusable, a.Length, most)
	}
	coding := h.Get("Content-Encoding")
	switch {
	case coding == "gzip" && strings.HasSuffix(a.ETag, `-gz"`):
		a.GzipETag, a.ETag, a.Gzipped = a.ETag, strings.TrimSuffix(a.ETag, `-gz"`)+`"`, true
	case coding != "":
		return nil, false, fmt.Errorf("%w: Content-Encoding %.20q with ETag %.60q", errUnusable, coding, a.ETag)
	}
	if q.Head {
		return a, false, nil
	}
	if !r.reserve(a.Length) {
		return nil, false, errFull
	}
	defer r.giveBack(a.Length) // who keeps the answer takes its memory again
	body := make([]byte, a.Length)
	if _, err := io.ReadFull(res.Body, body); err != nil {
		return nil, false, fmt.Errorf("read the answer: %w", err)
	}
	if a.Body = body; a.Gzipped {
		a.Gzip = body
		if a.Body, err = unzip(body, most); err != nil {
			return nil, false, fmt.Errorf("%w: %w", errUnusable, err)
		}
		a.Length = int64(len(a.Body))
	}
	return a, false, nil
}

// unzip returns the text of a compressed playlist.
func unzip(data []byte, most int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(z, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) > most:
		return nil, fmt.Errorf("a playlist of more than %d bytes", most)
	}
	return body, z.Close()
}

// quoted reports whether s is a strong entity tag.
func quoted(s string) bool {
	return len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' && !strings.Contains(s[1:len(s)-1], `"`)
}

// target returns the target duration of a playlist; a usual one where it does not say.
func (a *Answer) target() time.Duration {
	const usual, longest = 4 * time.Second, 30 * time.Second
	if _, rest, ok := bytes.Cut(a.Body, []byte("\n#EXT-X-TARGETDURATION:")); ok {
		digits, _, _ := bytes.Cut(rest, []byte("\n"))
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 10, 16); err == nil && n > 0 {
			return min(time.Duration(n)*time.Second, longest)
		}
	}
	return usual
}
