package s3

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// expiryWindow is how long before they expire credentials are read again.
	expiryWindow = 5 * time.Minute
	// renewPause is the least time between two renewals because of refusals, if the store said that the credentials are the reason;
	// guessPause if they only may be.
	renewPause = time.Second
	guessPause = time.Minute
	// renewRetry is how long credentials that could not be renewed, and have not expired, are used before the next attempt.
	renewRetry = time.Minute
)

// keyring holds the credentials in use. They are read anew, from files, environment and services, shortly before they expire, and when the
// store refuses them, since they may have been rotated meanwhile. It is safe for concurrent use.
type keyring struct {
	now   func() time.Time
	cache *aws.CredentialsCache
	turn  atomic.Uint64 // rises when renew has found new ones

	mu   sync.Mutex
	read time.Time // when renew last read them
}

// newKeyring calls load for a provider whenever credentials are to be read: an older provider may have cached a file's content.
func newKeyring(load func(context.Context) (aws.CredentialsProvider, error), now func() time.Time) *keyring {
	return &keyring{now: now, cache: aws.NewCredentialsCache(&chain{load: load, now: now}, func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = expiryWindow
	})}
}

// Retrieve implements aws.CredentialsProvider.
func (k *keyring) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return k.cache.Retrieve(ctx)
}

// renew reads the credentials again after a store refused those of a turn, unless that was done less than pause ago. It reports whether
// there are new ones now, so that the request is worth repeating.
func (k *keyring) renew(ctx context.Context, turn uint64, pause time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.turn.Load() != turn {
		return true // another request's refusal has already led to new ones
	}
	now := k.now()
	if !k.read.IsZero() && now.Sub(k.read) < pause {
		return false
	}
	k.read = now
	before, err := k.cache.Retrieve(ctx)
	if err != nil {
		return false
	}
	k.cache.Invalidate()
	after, err := k.cache.Retrieve(ctx)
	if err != nil || after.AccessKeyID == before.AccessKeyID && after.SecretAccessKey == before.SecretAccessKey && after.SessionToken == before.SessionToken {
		return false
	}
	k.turn.Add(1)
	return true
}

// chain is where the credentials come from. It marks its errors, which the SDK would wrap beyond recognition.
type chain struct {
	load func(context.Context) (aws.CredentialsProvider, error)
	now  func() time.Time

	mu   sync.Mutex
	last aws.Credentials // as read, with their true expiry
}

// Retrieve reads the credentials.
func (c *chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	p, err := c.load(ctx)
	if err == nil && p == nil {
		err = errors.New("there are none")
	}
	var v aws.Credentials
	if err == nil {
		v, err = p.Retrieve(ctx)
	}
	if err != nil {
		return v, &credentialsError{err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = v
	return v, nil
}

// HandleFailToRefresh implements aws.HandleFailRefreshCredentialsCacheStrategy: credentials that have not expired stay in use.
func (c *chain) HandleFailToRefresh(_ context.Context, _ aws.Credentials, err error) (aws.Credentials, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.last.HasKeys() || c.last.CanExpire && !now.Before(c.last.Expires) {
		return aws.Credentials{}, err
	}
	v := c.last
	until := now.Add(renewRetry)
	if v.CanExpire && v.Expires.Before(until) {
		until = v.Expires
	}
	v.CanExpire, v.Expires = true, until
	return v, nil
}

// AdjustExpiresBy implements aws.AdjustExpiresByCredentialsCacheStrategy: credentials whose lifetime is hardly longer than the window are
// read again after half of it.
func (c *chain) AdjustExpiresBy(v aws.Credentials, by time.Duration) (aws.Credentials, error) {
	if !v.CanExpire {
		return v, nil
	}
	left := v.Expires.Sub(c.now())
	if left < -2*by {
		by = -left / 2
	}
	v.Expires = v.Expires.Add(by)
	return v, nil
}

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// refusal is why a store may have refused a request.
type refusal uint8

const (
	other      refusal = iota
	keyRefused         // the credentials
	clockWrong         // the time of the signature
	maybeKey           // perhaps the credentials: an answer to HEAD has no body with the reason
)

func refusalOf(err error) refusal {
	switch codeOf(err) {
	case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidTokenId", "TokenRefreshRequired", "InvalidAccessKeyId",
		"XAdminUserNotFound", "SignatureDoesNotMatch", "InvalidClientTokenId", "UnrecognizedClientException":
		return keyRefused
	case "RequestTimeTooSkewed", "RequestExpired":
		return clockWrong
	case "", "Forbidden", "BadRequest", "Unauthorized", "AccessDenied":
		switch statusOf(err) {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
			return maybeKey
		}
	}
	return other
}

// call makes a request. It repeats the request once if the credentials had to be renewed, or if the answer showed by how much the clock is
// wrong.
func call[T any](ctx context.Context, s *Store, request func() (T, error)) (T, error) {
	turn := s.keys.turn.Load()
	out, err := request()
	if err == nil || ctx.Err() != nil {
		return out, err
	}
	again := false
	switch refusalOf(err) {
	case keyRefused:
		again = s.keys.renew(ctx, turn, renewPause)
	case maybeKey:
		again = s.keys.renew(ctx, turn, guessPause)
	case clockWrong:
		again = s.clock.learn(err)
	}
	if again {
		return request()
	}
	return out, err
}
