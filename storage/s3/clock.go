package s3

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// clock gives the time for signing requests. If a store refuses it and says what time it is, the clock follows the store from then on. It
// is safe for concurrent use.
type clock struct {
	now   func() time.Time
	ahead atomic.Int64 // nanoseconds by which the store's clock is ahead
}

func (c *clock) time() time.Time { return c.now().Add(time.Duration(c.ahead.Load())) }

// learn takes the time from an answer that refused ours. It reports whether there was one.
func (c *clock) learn(err error) bool {
	var r *smithyhttp.ResponseError
	if !errors.As(err, &r) || r.HTTPResponse() == nil || r.HTTPResponse().Response == nil {
		return false
	}
	at, err := http.ParseTime(r.HTTPResponse().Header.Get("Date"))
	if err != nil {
		return false
	}
	c.ahead.Store(int64(at.Sub(c.now())))
	return true
}

// signer signs all requests to one store, the SDK's and our own.
type signer struct {
	v4    *v4.Signer
	clock *clock
}

func newSigner(c *clock) *signer {
	return &signer{clock: c, v4: v4.NewSigner(func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = true // S3 wants a path escaped once, other services twice
	})}
}

// SignHTTP implements s3.HTTPSignerV4. It does not use the time that the SDK passes.
func (s *signer) SignHTTP(ctx context.Context, by aws.Credentials, r *http.Request, payload, service, region string, _ time.Time, options ...func(*v4.SignerOptions)) error {
	return s.v4.SignHTTP(ctx, by, r, payload, service, region, s.clock.time(), options...)
}
