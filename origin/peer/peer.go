// Package peer is how the servers of a cluster ask one another: what one knows of a stream, who it is, and what it would answer a viewer. It
// is HTTP, with a secret that all of them share. A server answers from what it has itself. The package refuses to ask a third server for an
// answer, so that no request goes in a circle, to follow a redirect, and to judge which server ought to have a stream.
package peer

import (
	"errors"
	"time"
)

// What is asked for beside the paths of viewers. No path of an app is like these: there, streams/ comes second.
const (
	NodePath  = "/cluster/v1/node"
	statePath = "/cluster/v1/state/" // {app}/{stream}
	pairPath  = "/cluster/v1/pair/"  // {app}/{stream}, with ?step=1 from one that is in step
)

// WaitHeader is a field of a request for what viewers ask for. Its value is the ETag of an answer: the next one is given when it has another,
// at the latest after HoldFor, and then it is 304.
const WaitHeader = "Hlsorigin-Wait"

// markHeader is a field of every answer that is no viewer's: what answers at an address is a server of a cluster.
const markHeader = "Hlsorigin-Cluster"

// HoldFor is how long an answer is awaited at most.
const HoldFor = 10 * time.Second

// State is what a server knows of a stream, or of a ladder.
type State struct {
	Node      string    `json:"node"`                // the server that answers
	Fed       bool      `json:"fed"`                 // a publisher feeds the stream here, and is not silent
	Recording string    `json:"recording,omitempty"` // the newest that it has
	Remote    string    `json:"remote,omitempty"`    // address of the publisher
	Since     time.Time `json:"since,omitzero"`      // when it came
	Unsent    int64     `json:"unsent,omitempty"`    // bytes of the recording that the bucket has not confirmed
}

// paired is the answer to one that stands by.
type paired struct {
	Known bool `json:"known"` // a recording is under way
	Pair  any  `json:"pair"`
}

// Node is what a server says of itself.
type Node struct {
	Node     string    `json:"node"`     // its name
	Address  string    `json:"address"`  // where others reach it
	Version  string    `json:"version"`  // as `hlsorigin version` says it
	Instance string    `json:"instance"` // drawn at each start
	Started  time.Time `json:"started"`
	Clock    time.Time `json:"clock"`                     // when it answered, by its own clock
	Streams  int       `json:"streams"`                   // that are published to it
	Standbys int       `json:"standbys,omitempty"`        // publishers that stand by there for others that have their streams
	Silent   int       `json:"standbys_silent,omitempty"` // of them, those from whose encoders nothing comes
	Draining bool      `json:"draining"`
}

// Kinds of failure of a Client; test with errors.Is. Of any other error, but for that of a context, it is only known that a server is there.
var (
	// ErrAway means that nobody answers at the address, or something that is no server of a cluster: the address may be another's by now.
	ErrAway = errors.New("no server answers there")
	// ErrSecret means that a server answers, and has another secret.
	ErrSecret = errors.New("the server there has another cluster.secret")
)
