// Package control puts the API of operators together for the command: what of streams, bucket and webhooks it shows and changes, and
// the command line that asks it. It refuses to judge who may, and to know how anything of it is done.
package control

import (
	"errors"
	"net/netip"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/attempts"
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Streams is what is on the air.
type Streams struct {
	Status   admin.Streams
	Groups   func() []admin.Stream // ladders with their rungs
	Registry *segmenter.Registry
}

// Streams implements admin.Streams.
func (s Streams) Streams() []admin.Stream { return s.Status.Streams() }

// Ladders implements api.Streams.
func (s Streams) Ladders() []admin.Stream { return s.Groups() }

// Disconnect implements api.Streams.
func (s Streams) Disconnect(app, stream, reason string) (publishers int) {
	return s.Registry.Disconnect(segmenter.Key{App: app, Stream: stream}, refusal(reason))
}

// End implements api.Streams.
func (s Streams) End(app, stream, reason string) (recording string, err error) {
	id, err := s.Registry.End(segmenter.Key{App: app, Stream: stream}, refusal(reason))
	if errors.Is(err, segmenter.ErrRung) {
		return "", api.Fail(api.Conflict, "%v", err)
	}
	return string(id), err
}

// refusal is an operator's reason as encoders show it.
func refusal(reason string) error { return ingest.Refuse(ingest.Unauthorized, "%s", reason) }

// Tokens are those of a configuration.
func Tokens(c configs.Config) []api.Token {
	list := make([]api.Token, len(c.Admin.Tokens))
	for i, t := range c.Admin.Tokens {
		list[i] = api.Token{Name: t.Name, Hash: string(t.Hash), Operate: t.Scope == "operate"}
	}
	return list
}

// Guesses counts wrong tokens by address, as wrong keys of publishers are.
type Guesses struct{ Limiter *attempts.Limiter }

// Take implements api.Guesses.
func (g Guesses) Take(peer netip.Addr) time.Duration { return g.Limiter.Take(attempts.Address(peer)) }

// Return implements api.Guesses.
func (g Guesses) Return(peer netip.Addr) { g.Limiter.Return(attempts.Address(peer)) }
