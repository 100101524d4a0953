// Package control connects the operators' API to the command: which parts of streams, bucket and webhooks it shows and changes, and the
// command line that calls it. It refuses to decide who may do what, and to know how anything is done.
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
	"github.com/hlsorigin/hlsorigin/segmenter/id3"
)

// Streams gives the API access to the live streams.
type Streams struct {
	Status   admin.Streams
	Groups   func() []admin.Stream // ladders with their rungs
	Registry *segmenter.Registry
	Now      func() time.Time
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

// Cue implements api.Streams.
func (s Streams) Cue(app, stream string, lasts time.Duration) (id string, number uint64, err error) {
	id = s.Now().UTC().Format("cue-20060102T150405.000")
	number, err = s.Registry.Cue(segmenter.Key{App: app, Stream: stream}, id, lasts)
	switch {
	case errors.Is(err, segmenter.ErrNotLive):
		err = api.Fail(api.NotFound, "%v as %s/%s: GET /v1/streams lists what is", err, app, stream)
	case errors.Is(err, segmenter.ErrCueShort):
		err = api.Fail(api.Invalid, "%v", err)
	case err != nil:
		err = api.Fail(api.Conflict, "%v", err)
	}
	return id, number, err
}

// Metadata implements api.Streams.
func (s Streams) Metadata(app, stream string, texts []api.Text, tag []byte) (api.TagPlace, error) {
	if tag == nil {
		frames := make([]id3.Text, len(texts))
		for i, t := range texts {
			frames[i] = id3.Text{Description: t.Description, Value: t.Value}
		}
		var err error
		if tag, err = id3.Tag(frames); err != nil {
			return api.TagPlace{}, api.Fail(api.Invalid, "%v", err)
		}
	}
	place, err := s.Registry.Metadata(segmenter.Key{App: app, Stream: stream}, tag)
	switch {
	case errors.Is(err, segmenter.ErrNotLive):
		err = api.Fail(api.NotFound, "%v as %s/%s: GET /v1/streams lists what is", err, app, stream)
	case errors.Is(err, segmenter.ErrTag):
		err = api.Fail(api.Invalid, "%v", err)
	case errors.Is(err, segmenter.ErrTagFast):
		err = api.Fail(api.TooMany, "%v: try again in a second", err)
	case errors.Is(err, segmenter.ErrTagFull):
		err = api.Fail(api.Unavailable, "%v: try again when the next segment has begun", err)
	case err != nil:
		err = api.Fail(api.Conflict, "%v", err)
	}
	return api.TagPlace{At: place.At, Deferred: place.Deferred, Sequence: place.Sequence}, err
}

// refusal returns an operator's reason in the form that encoders show.
func refusal(reason string) error { return ingest.Refuse(ingest.Unauthorized, "%s", reason) }

// Tokens returns the tokens of a configuration.
func Tokens(c configs.Config) []api.Token {
	list := make([]api.Token, len(c.Admin.Tokens))
	for i, t := range c.Admin.Tokens {
		list[i] = api.Token{Name: t.Name, Hash: string(t.Hash), Operate: t.Scope == "operate"}
	}
	return list
}

// Guesses counts wrong tokens by address, like wrong keys of publishers.
type Guesses struct{ Limiter *attempts.Limiter }

// Take implements api.Guesses.
func (g Guesses) Take(peer netip.Addr) time.Duration { return g.Limiter.Take(attempts.Address(peer)) }

// Return implements api.Guesses.
func (g Guesses) Return(peer netip.Addr) { g.Limiter.Return(attempts.Address(peer)) }
