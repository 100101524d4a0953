// Package claim says which server writes the playlists of a stream into a bucket that several may write to. That is one small object for each
// stream, changed by compare-and-swap alone: no clock and no heartbeat decides. It refuses to judge whether the server that has a stream is
// still alive.
package claim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hlsorigin/hlsorigin/storage"
)

// State is what the server that has a stream says of its recording.
type State string

// The states. One that a later version made up counts as Live.
const (
	Live  State = "live"  // it has the stream
	Ended State = "ended" // it had the stream, and is done with it
)

// Claim is the content of the object.
type Claim struct {
	Epoch     uint64 `json:"epoch"`             // rises by one whenever a server takes the stream, from 1 on
	Node      string `json:"node"`              // the server's name
	Address   string `json:"address,omitempty"` // where other servers reach it; may be empty
	Recording string `json:"recording"`         // the newest one that it has of the stream
	State     State  `json:"state"`
	// Nonce is Server.Nonce of who wrote it: with the epoch, no two claims are alike, also those of servers with one name. Empty: an earlier
	// version wrote it.
	Nonce string `json:"nonce,omitempty"`
}

// Key returns the key of the claim to a stream, or to a ladder as a whole.
func Key(app, stream string) string { return storage.Shared + app + "/" + stream + ".json" }

// errDamaged means that something is there, and is no claim.
var errDamaged = errors.New("it is no claim")

// Bounds on a claim's object and texts, in bytes.
const (
	maxClaim = 16 << 10
	maxText  = 256
)

// parse reads a claim. What it does not know, because a later version wrote it, it ignores.
func parse(data []byte) (c Claim, err error) {
	if err := json.Unmarshal(data, &c); err != nil {
		return Claim{}, fmt.Errorf("%w: %v", errDamaged, err)
	}
	for _, text := range []string{c.Node, c.Address, c.Recording, string(c.State), c.Nonce} {
		if len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return Claim{}, fmt.Errorf("%w: a text in it is too long, or not plain", errDamaged)
		}
	}
	if c.Epoch == 0 || c.Epoch+1 == 0 || c.Node == "" || c.Recording == "" {
		return Claim{}, fmt.Errorf("%w: epoch, node or recording is missing", errDamaged)
	}
	return c, nil
}

// append returns the object's content.
func (c *Claim) append() []byte {
	data, _ := json.Marshal(c) // plain fields: it cannot fail
	return append(data, '\n')
}
