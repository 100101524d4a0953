package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// The formats of what is sent.
const (
	Standard = "standard" // JSON, signed according to Standard Webhooks
	AMS      = "ams"      // JSON with the variables of Ant Media Server's hooks
	AMSForm  = "ams_form" // the same as a form, as its older versions send it
)

// Target is a receiver of events.
type Target struct {
	URL    string        // http or https; a user and password in it are sent as basic authentication
	Secret string        // whsec_…; optional for the formats of Ant Media Server
	Events []string      // types, or groups such as "stream.*"; empty: all but segment.uploaded
	Format string        // "": Standard
	Keep   time.Duration // an event is dropped after this time; 0: DefaultKeep
}

// DefaultKeep is used if Target.Keep is 0.
const DefaultKeep = 3 * 24 * time.Hour

// identity identifies a target in the queue on disk, without showing its URL. It does not depend on the secret or the events.
type identity string

func (t *Target) identity() identity {
	sum := sha256.Sum256([]byte(t.Format + "\x00" + t.URL))
	return identity(hex.EncodeToString(sum[:8]))
}

// target is a running Target. It is guarded by Hooks.mu, except for what never changes.
type target struct {
	Target
	id    identity
	key   []byte // of the signature; nil: none
	label string // index and host, for logs and metrics

	lanes map[string]*lane
	order []*lane // the values of lanes, in turn
	turn  int
	busy  int // requests in progress
	gate  gate
	stats TargetStats
	trouble
}

// TargetStats are the counters of one target.
type TargetStats struct {
	Index   int       // in the configuration, from 0
	Host    string    // of its URL, without user, path and query
	Sent    int64     // accepted events
	Failed  int64     // attempts that failed
	Dropped int64     // events dropped because of their age or for lack of room
	Pending int64     // gauge: waiting events
	Oldest  time.Time // of the oldest waiting event; zero if there is none
}

// newTarget checks a target. Errors contain neither secret nor URL.
func newTarget(index int, t Target) (*target, error) {
	if t.Format == "" {
		t.Format = Standard
	}
	if t.Keep == 0 {
		t.Keep = DefaultKeep
	}
	u, err := url.Parse(t.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the URL is not http://host/… or https://host/…")
	}
	if !slices.Contains([]string{Standard, AMS, AMSForm}, t.Format) {
		return nil, fmt.Errorf("there is no format %q", t.Format)
	}
	key, err := parseSecret(t.Secret)
	if err != nil {
		return nil, err
	}
	if key == nil && t.Format == Standard {
		return nil, errSecret
	}
	return &target{
		Target: t, id: t.identity(), key: key, label: strconv.Itoa(index) + " " + u.Host, lanes: map[string]*lane{},
		stats: TargetStats{Index: index, Host: u.Host},
	}, nil
}

// wants reports whether the target receives a type.
func (t *target) wants(typ string) bool {
	if t.Format != Standard && amsAction(typ) == "" && typ != Test {
		return false
	}
	return typ == Test || wants(t.Events, typ)
}

// render returns the body of a request, and its content type.
func (t *target) render(e *Event) (body []byte, contentType string) {
	switch t.Format {
	case AMS:
		return amsJSON(e), "application/json"
	case AMSForm:
		return amsForm(e), "application/x-www-form-urlencoded"
	}
	return e.Body, "application/json"
}
