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
	Standard = "standard" // JSON, signed as Standard Webhooks says
	AMS      = "ams"      // JSON with the variables of Ant Media Server's hooks
	AMSForm  = "ams_form" // the same as a form, as its older versions send it
)

// Target is somebody who is told.
type Target struct {
	URL    string        // http or https; a user and password in it are sent as basic authentication
	Secret string        // whsec_…; may be empty for the formats of Ant Media Server
	Events []string      // types, or groups such as "stream.*"; empty: all but segment.uploaded
	Format string        // "": Standard
	Keep   time.Duration // an event is given up after so long; 0: DefaultKeep
}

// DefaultKeep is Target.Keep where it is 0.
const DefaultKeep = 3 * 24 * time.Hour

// identity tells a target from others in the queue on disk, without showing its URL. It is the same with another secret and
// with other events.
type identity string

func (t *Target) identity() identity {
	sum := sha256.Sum256([]byte(t.Format + "\x00" + t.URL))
	return identity(hex.EncodeToString(sum[:8]))
}

// target is a Target at work. Guarded by Hooks.mu, but for what never changes.
type target struct {
	Target
	id    identity
	key   []byte // of the signature; nil: none
	label string // index and host, for logs and metrics

	lanes map[string]*lane
	order []*lane // those in lanes, in turns
	turn  int
	busy  int // requests on their way
	gate  gate
	stats TargetStats
	trouble
}

// TargetStats are the counters of one target.
type TargetStats struct {
	Index   int       // in the configuration, from 0
	Host    string    // of its URL, without user, path and query
	Sent    int64     // events it took
	Failed  int64     // attempts that failed
	Dropped int64     // events given up, for their age or for want of room
	Pending int64     // gauge: events that wait
	Oldest  time.Time // of the oldest that waits; zero where none does
}

// newTarget checks a target. Errors name neither secret nor URL.
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

// wants reports whether the target is told of a type.
func (t *target) wants(typ string) bool {
	if t.Format != Standard && amsAction(typ) == "" && typ != Test {
		return false
	}
	return typ == Test || wants(t.Events, typ)
}

// render is the body of a request, and its content type.
func (t *target) render(e *Event) (body []byte, contentType string) {
	switch t.Format {
	case AMS:
		return amsJSON(e), "application/json"
	case AMSForm:
		return amsForm(e), "application/x-www-form-urlencoded"
	}
	return e.Body, "application/json"
}
