package hooks

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// receiver receives events like a platform: it checks each signature with the reference library.
type receiver struct {
	t       *testing.T
	address string
	server  *http.Server

	mu     sync.Mutex
	got    []event // first arrivals, in order
	again  int     // repeated arrivals
	known  map[string]bool
	shaky  bool // every sixth request is answered with an error, or late
	failed int
}

type event struct {
	ID, Type  string
	Timestamp time.Time
	Data      struct {
		App, Stream, Recording, Path, Reason, Archive, Target, Error string
		Sequence                                                     uint64
		Segments, Gaps                                               int
	}
	arrived time.Time
}

// newReceiver has an address but is not there yet.
func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, address: rig.FreeAddress(t), known: map[string]bool{}}
	t.Cleanup(r.goAway)
	return r
}

// yaml returns its line for a configuration.
func (r *receiver) yaml(events string) string {
	return fmt.Sprintf("  - {url: \"http://user:pass@%s/hook?token=topsecret\", secret: %q, events: [%s]}\n", r.address, secret, events)
}

func (r *receiver) come() {
	r.t.Helper()
	l := rig.Listen(r.t, r.address)
	r.server = &http.Server{Handler: r}
	go func() { _ = r.server.Serve(l) }()
}

func (r *receiver) goAway() {
	if r.server != nil {
		_ = r.server.Close()
		r.server = nil
	}
}

func (r *receiver) shake(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shaky = on
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		return // the server was killed
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		r.t.Error(err)
		return
	}
	if err := verifier.Verify(body, req.Header); err != nil {
		r.t.Errorf("signature: %v\n%v\n%s", err, req.Header, body)
	}
	if user, pass, _ := req.BasicAuth(); user != "user" || pass != "pass" || req.URL.Query().Get("token") != "topsecret" {
		r.t.Errorf("%s %q %q", req.URL, user, pass)
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil || e.ID != req.Header.Get("webhook-id") || !strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		r.t.Errorf("%v: %v %s", err, req.Header, body)
	}
	e.arrived = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shaky && rand.N(6) == 0 {
		if r.failed++; rand.N(2) == 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return // it has not received it
		}
		defer w.WriteHeader(http.StatusBadGateway) // it has, and does not say so
	}
	if r.known[e.ID] {
		r.again++
		return
	}
	r.known[e.ID] = true
	r.got = append(r.got, e)
}

// all returns a copy of what it received.
func (r *receiver) all() []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// of returns the events of one stream.
func (r *receiver) of(stream string) (out []event) {
	for _, e := range r.all() {
		if e.Data.Stream == stream {
			out = append(out, e)
		}
	}
	return out
}

// has reports whether it received a type of event of a stream.
func (r *receiver) has(stream, typ string) bool {
	return slices.ContainsFunc(r.of(stream), func(e event) bool { return e.Type == typ })
}
