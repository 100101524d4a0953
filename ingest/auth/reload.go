package auth

import (
	"context"
	"sync"
)

// Prepare checks new apps, as New does, and fetches the public keys that they need and that are not known yet. Nothing changes until commit
// is called. Failing to fetch keys is not an error: they are fetched again later, and tokens wait for them.
func (a *Authorizer) Prepare(ctx context.Context, apps map[string]App) (commit func(), err error) {
	before := a.settings.Load()
	next, err := a.build(apps, before)
	if err != nil {
		return nil, err
	}
	var fetches sync.WaitGroup
	for url, j := range next.jwks {
		if before.jwks[url] == nil {
			fetches.Go(func() { _ = j.fetch(ctx, 0) }) // it logs by itself what is wrong
		}
	}
	fetches.Wait()
	return func() {
		a.settings.Store(next)
		select {
		case a.swapped <- struct{}{}:
		default: // Run has not seen the previous one either
		}
	}, nil
}

// Run keeps public keys fresh until ctx is done. Without it they are fetched when a token needs them.
func (a *Authorizer) Run(ctx context.Context) error {
	var all sync.WaitGroup
	running := map[*jwks]context.CancelFunc{}
	for ctx.Err() == nil {
		now := a.settings.Load().jwks
		for url, j := range now {
			if running[j] == nil {
				own, stop := context.WithCancel(ctx)
				running[j] = stop
				all.Go(func() { now[url].run(own) })
			}
		}
		for j, stop := range running {
			if now[j.url] != j {
				stop()
				delete(running, j)
			}
		}
		select {
		case <-a.swapped:
		case <-ctx.Done():
		}
	}
	for _, stop := range running {
		stop()
	}
	all.Wait()
	a.client.CloseIdleConnections()
	return nil
}

// jwksOf returns the keys behind a URL, which apps share, or nil if there is no URL. Keys that are already known are carried over.
func (a *Authorizer) jwksOf(url string, s, before *settings) *jwks {
	if url == "" {
		return nil
	}
	if s.jwks[url] == nil {
		if s.jwks[url] = before.jwks[url]; s.jwks[url] == nil {
			s.jwks[url] = newJWKS(url, a.client, a.now, a.episodes, &a.Stats)
		}
	}
	return s.jwks[url]
}
