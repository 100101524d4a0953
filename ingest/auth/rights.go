package auth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// right is what a publisher was admitted for.
type right struct {
	request  ingest.Request
	how      Outcome
	jwt      JWT      // of the app at that time
	callback Callback // the same
}

func (s *settings) right(r ingest.Request, how Outcome) *right {
	app := s.apps[r.App]
	return &right{request: r, how: how, jwt: app.jwt, callback: app.callback}
}

// Rights is an ingest.Publisher in front of another. It remembers by which right each publisher was admitted, so that those whose right is
// taken away can be ended. It is safe for concurrent use.
type Rights struct {
	a    *Authorizer
	next ingest.Publisher
	log  *slog.Logger

	mu  sync.Mutex
	all map[*holder]struct{}
}

// holder is a publisher on the air.
type holder struct {
	ingest.Session
	of       *Rights
	announce ingest.Announce
	right    *right
}

// NewRights returns Rights in front of next, for publishers that a admitted; log may be nil.
func NewRights(a *Authorizer, next ingest.Publisher, log *slog.Logger) *Rights {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Rights{a: a, next: next, log: log, all: map[*holder]struct{}{}}
}

// Publish implements ingest.Publisher.
func (r *Rights) Publish(ctx context.Context, a ingest.Announce) (ingest.Session, error) {
	right, ok := a.Right.(*right)
	if !ok { // from another Authorizer
		return r.next.Publish(ctx, a)
	}
	h := &holder{of: r, announce: a, right: right}
	r.mu.Lock()
	r.all[h] = struct{}{}
	r.mu.Unlock()
	// The settings may have been replaced since it was admitted, before anybody could review it.
	err := r.a.stands(ctx, right, granted(&a))
	if err == nil {
		h.Session, err = r.next.Publish(ctx, a)
	}
	if err != nil {
		h.forget()
		return nil, err
	}
	return h, nil
}

// granted is the name that a publisher's right is for.
func granted(a *ingest.Announce) string { return cmp.Or(a.Granted, a.Stream) }

// Close implements ingest.Session.
func (h *holder) Close(cause error) {
	h.forget()
	h.Session.Close(cause)
}

// Awaited implements ingest.Awaiting.
func (h *holder) Awaited() time.Duration { return ingest.Awaited(h.Session) }

func (h *holder) forget() {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	delete(h.of.all, h)
}

// Review ends the publishers that the current settings would not admit, and returns how many. A publisher that was admitted by a token or a
// back end that the app still has is not checked again. A new back end is asked, until ctx is done. A publisher that cannot be decided now
// stays.
func (r *Rights) Review(ctx context.Context) (ended int) {
	r.mu.Lock()
	all := make([]*holder, 0, len(r.all))
	for h := range r.all {
		all = append(all, h)
	}
	r.mu.Unlock()
	var asked sync.WaitGroup
	gone := make([]error, len(all))
	for i, h := range all {
		asked.Go(func() { gone[i] = r.a.stands(ctx, h.right, granted(&h.announce)) })
	}
	asked.Wait()
	for i, h := range all {
		if gone[i] == nil {
			continue
		}
		ended++
		r.log.Info("a publisher is ended, as its right was taken away", "stream", h.announce.App+"/"+h.announce.Stream,
			"protocol", h.announce.Protocol, "remote", h.announce.Remote, "reason", gone[i].Error())
		h.announce.Cancel(gone[i])
	}
	return ended
}

// stands returns why a publisher has lost the right to its stream. It returns nil if it still has it, or if that cannot be decided.
func (a *Authorizer) stands(ctx context.Context, was *right, stream string) error {
	r := was.request
	app, ok := a.settings.Load().apps[r.App]
	if !ok {
		return ingest.Refuse(ingest.UnknownApp, "app %q was taken out of the server's configuration", r.App)
	}
	ip := peer(r.Remote)
	switch {
	case len(app.allow) > 0 && !within(app.allow, ip):
		return ingest.Refuse(ingest.Unauthorized, "the server's configuration was changed: publishers of this app come from certain addresses only, and %s is none of them", ip)
	case was.how == GrantedToken && app.tokens != nil && was.jwt.equal(app.jwt):
		return nil
	case was.how == GrantedCallback && app.ask != nil && was.callback.URL == app.callback.URL:
		return nil
	case !app.asks() && (app.open || len(app.allow) > 0 || ip.IsLoopback()) && r.Name == stream:
		return nil
	case !app.asks():
		return errTakenAway()
	}
	if was.how == GrantedToken && app.tokens != nil { // it may have expired since
		if name, _, why, err := app.tokens.judgeLasting(ctx, r, tokenOf(r), a.valid); err == nil && name == stream || why == Unasked {
			return nil
		}
	}
	grant, why, err := a.credentials(ctx, app, r, ip)
	var refusal *ingest.Refusal
	switch {
	case err == nil && grant.Stream == stream, why == Unasked:
		return nil
	case why == Denied && errors.As(err, &refusal):
		return refusal
	}
	return errTakenAway()
}

// errTakenAway is what an encoder is told when its key is no longer known.
func errTakenAway() error {
	return ingest.Refuse(ingest.Unauthorized, "the right to publish this stream was taken away: the server's configuration was changed")
}

func (j JWT) equal(other JWT) bool {
	return j.Secret == other.Secret && j.JWKS == other.JWKS && slices.Equal(j.Algorithms, other.Algorithms)
}
