package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// receiver is every target of a test: a network on which it decides the answer to each request.
type receiver struct {
	t      *testing.T
	mu     sync.Mutex
	got    []received                                  // what was accepted, in order
	tried  []time.Time                                 // every request
	answer func(host string, e *received) (int, error) // nil: 200
	hold   time.Duration                               // before each answer
	header http.Header                                 // of each answer; nil: none
}

type received struct {
	host, id, typ, stream string
	seq                   int // Segment.Sequence, if the event has one
	body                  []byte
	header                http.Header
}

// RoundTrip implements http.RoundTripper.
func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var b struct {
		ID, Type string
		Data     struct {
			App, Stream string
			Sequence    int
		}
	}
	_ = json.Unmarshal(body, &b)
	e := received{host: req.URL.Host, id: req.Header.Get("webhook-id"), typ: b.Type, stream: b.Data.Stream, seq: b.Data.Sequence, body: body, header: req.Header}
	if r.hold > 0 {
		select {
		case <-time.After(r.hold):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried = append(r.tried, time.Now())
	status := 200
	if r.answer != nil {
		if status, err = r.answer(e.host, &e); err != nil {
			return nil, err
		}
	}
	if status == 200 {
		r.got = append(r.got, e)
	}
	header := r.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("ok")), Request: req}, nil
}

func (r *receiver) set(answer func(host string, e *received) (int, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// sequences returns those accepted of a stream, in order.
func (r *receiver) sequences(host, stream string) (out []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.got {
		if e.host == host && e.stream == stream {
			out = append(out, e.seq)
		}
	}
	return out
}

// all returns a copy of what was accepted.
func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// forget drops what was accepted.
func (r *receiver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = nil
}

// attempts returns the number of requests.
func (r *receiver) attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.tried)
}

func (r *receiver) types(host string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.got {
		if e.host == host {
			out = append(out, e.typ)
		}
	}
	return out
}

var errDown = errors.New("connection refused")

func down(string, *received) (int, error) { return 0, errDown }

// memoryLog is a Log that can be told to fail.
type memoryLog struct {
	mu      sync.Mutex
	records [][]byte
	err     error
	writes  int
}

func (l *memoryLog) Append(records ...[]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if l.err == nil {
		l.records = append(l.records, records...)
	}
	return l.err
}

func (l *memoryLog) Rewrite(records [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if l.err == nil {
		l.records = slices.Clone(records)
	}
	return l.err
}

func (l *memoryLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *memoryLog) all() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

// logLines is a log's lines.
type logLines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *logLines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.String(), text)
}

// rig is running Hooks in a synctest bubble.
type rig struct {
	*Hooks
	t     *testing.T
	r     *receiver
	lines *logLines
	stop  func()
}

// begin starts Hooks. The queue is restored from log if there is one.
func begin(t *testing.T, r *receiver, log *memoryLog, o Options, targets ...Target) *rig {
	t.Helper()
	g := &rig{t: t, r: r, lines: &logLines{}}
	o.Now, o.Transport, o.Log = time.Now, r, slog.New(slog.NewTextHandler(g.lines, nil))
	g.Hooks = New(o)
	g.targets(targets...)
	if log != nil {
		g.Restore(log, log.all())
	}
	ctx, cancel := contextWithCancel(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	g.stop = func() {
		cancel()
		<-done
	}
	return g
}

func (g *rig) targets(list ...Target) {
	g.t.Helper()
	commit, err := g.Prepare(list)
	if err != nil {
		g.t.Fatal(err)
	}
	commit()
}

// emit emits a segment: a numbered event of a stream.
func (g *rig) emit(stream string, sequence int) {
	g.Emit(SegmentUploaded, Segment{Of: Of{"live", stream, "r"}, Sequence: uint64(sequence)})
}

func to(host string) Target {
	return Target{URL: "https://" + host + "/hook?token=topsecret", Secret: secret, Events: append(Types(), Test)}
}

func wantSequences(t *testing.T, got []int, from, to int) {
	t.Helper()
	want := []int{}
	for i := from; i <= to; i++ {
		want = append(want, i)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %d to %d", got, from, to)
	}
}

// verify checks a signature as receivers do.
func verify(t *testing.T, e *received) {
	t.Helper()
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Verify(e.body, e.header); err != nil {
		t.Errorf("%s %s: %v", e.id, e.typ, err)
	}
}

func bubble(t *testing.T, fn func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, fn)
}
