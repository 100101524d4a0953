// Package jobs is a queue of work in the object store itself, shared by all servers that have the store: one small object for each job,
// claimed, renewed and finished by compare-and-swap alone. Who runs a job renews it; one that has not changed for long, by the watcher's
// own clock, is taken up by another. No clock is compared with another server's, and no message passes between servers but through the
// objects.
//
// It refuses to know what a job does: that is a function. And it never makes a server wait that has a show on the air: nothing here is
// called by the timeline.
//
// Under storage.Shared + "_jobs/" lie
//
//	open/{id}.json          a job that is queued, runs, or has ended and is still to be told of
//	done/{reversed}.json    one that is over: the newest come first in a listing
//	rungs/{id}/{name}.json  what a job has finished of its work, for the next try
//	keys/{hash}.json        the idempotency key of a job
//	outputs/{hash}.json     where a job puts its work, so that no other does
package jobs

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// State is where a job is in its life.
type State string

// The states. The last three are final.
const (
	Queued    State = "queued" // also between two tries
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Canceled  State = "canceled"
)

// Final reports whether a job in the state is over.
func (s State) Final() bool { return s == Succeeded || s == Failed || s == Canceled }

func (s State) known() bool { return s.Final() || s == Queued || s == Running }

// Bounds of a priority: of two jobs that wait, the one with the higher goes first, and of equals the older.
const (
	MinPriority     = 0
	DefaultPriority = 5
	MaxPriority     = 9
)

// Order is what a job is to do.
type Order struct {
	Kind     string            `json:"kind"`
	Input    string            `json:"input"`  // a URL
	Output   string            `json:"output"` // a URL that ends with a slash; no two jobs have the same at a time
	Priority int               `json:"priority"`
	Options  json.RawMessage   `json:"options,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"` // goes into its events as it is
	Webhook  string            `json:"webhook,omitempty"`  // a URL that is told how it ended; it may hold a secret
}

// Job is the content of a job's object.
type Job struct {
	ID string `json:"id"`
	Order
	State    State   `json:"state"`
	Tries    int     `json:"tries"`            // begun, those that a stop of the server cut short not counted
	Node     string  `json:"node,omitempty"`   // the server that runs it, or did
	Nonce    string  `json:"nonce,omitempty"`  // drawn at each claim
	Beat     uint64  `json:"beat,omitempty"`   // rises with each renewal, so that the object changes
	Cancel   bool    `json:"cancel,omitempty"` // somebody wants it to end
	Ends     State   `json:"ends,omitempty"`   // Running is over: what is left is removed, and then it is in this state
	Late     bool    `json:"late,omitempty"`   // a server that removed what was left went silent: removals of its may come yet
	Stage    string  `json:"stage,omitempty"`
	Progress float64 `json:"progress"`         // 0 to 1; it may fall when a try begins
	Code     string  `json:"code,omitempty"`   // why it failed, for programs
	Reason   string  `json:"reason,omitempty"` // why it failed, or the last try did, for people

	Created  time.Time `json:"created"` // the times are for people: nothing is decided by them
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`

	Result json.RawMessage `json:"result,omitempty"`

	Key     string `json:"key,omitempty"`     // hash of its idempotency key
	Emitted bool   `json:"emitted,omitempty"` // its end is in a durable queue of events
	Tells   int    `json:"tells,omitempty"`   // attempts to tell of its end that failed
	Untold  string `json:"untold,omitempty"`  // why the webhook was never told
}

// folder is where everything lies.
const folder = storage.Shared + "_jobs/"

const (
	openFolder   = folder + "open/"
	doneFolder   = folder + "done/"
	rungsFolder  = folder + "rungs/"
	keysFolder   = folder + "keys/"
	outputFolder = folder + "outputs/"
	suffix       = ".json"
)

// ErrID means that a text cannot be a job's id.
var ErrID = errors.New("it is no id of a job")

// idForm is rank, instant and something random: in the order of ids jobs are taken.
var idForm = regexp.MustCompile(`^([0-9])-([0-9]{17})-([a-z0-9]{8})$`)

// newID returns the id of a job that begins to wait now.
func newID(priority int, now time.Time) string {
	stamp := strings.ReplaceAll(now.UTC().Format("20060102150405.000"), ".", "")
	return fmt.Sprintf("%d-%s-%s", MaxPriority-priority, stamp, strings.ToLower(rand.Text()[:8]))
}

func openKey(id string) string { return openFolder + id + suffix }

// doneKey has the instant's digits reversed in value, so that the newest is listed first.
func doneKey(id string) (string, error) {
	m := idForm.FindStringSubmatch(id)
	if m == nil {
		return "", ErrID
	}
	reversed := []byte(m[2])
	for i, d := range reversed {
		reversed[i] = '9' - (d - '0')
	}
	return doneFolder + string(reversed) + "-" + id + suffix, nil
}

// idOf is the id in a key of the folders open and done; empty: there is none.
func idOf(key string) string {
	name := strings.TrimSuffix(key[strings.LastIndexByte(key, '/')+1:], suffix)
	if strings.HasPrefix(key, doneFolder) && len(name) > 18 {
		name = name[18:]
	}
	if !idForm.MatchString(name) {
		return ""
	}
	return name
}

// maxObject bounds a job's object, bytes.
const maxObject = 256 << 10

// errDamaged means that something is there, and is no job.
var errDamaged = errors.New("it is no job")

// parse reads a job. What it does not know, because a later version wrote it, it ignores.
func parse(id string, data []byte) (j Job, err error) {
	if err := json.Unmarshal(data, &j); err != nil {
		return Job{}, fmt.Errorf("%w: %v", errDamaged, err)
	}
	if j.ID != id || !j.State.known() || j.Ends != "" && !j.Ends.Final() || j.Kind == "" || j.Tries < 0 || j.Progress < 0 || j.Progress > 1 || j.Priority < MinPriority || j.Priority > MaxPriority {
		return Job{}, fmt.Errorf("%w: it contradicts itself", errDamaged)
	}
	return j, nil
}

func (j *Job) encode() ([]byte, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	if len(data) >= maxObject {
		return nil, fmt.Errorf("the job has more than %d bytes", maxObject)
	}
	return append(data, '\n'), nil
}
