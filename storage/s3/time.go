package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Time returns the store's time, to the second, from the Date of an answer about the bucket. It is the clock by which objects are dated.
func (s *Store) Time(ctx context.Context) (time.Time, error) {
	out, err := call(ctx, s, func() (*s3.HeadBucketOutput, error) {
		return s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.o.Bucket})
	})
	if err == nil {
		if at, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok && !at.IsZero() {
			return at, nil
		}
		return time.Time{}, fmt.Errorf("time of the store: %s tells none", s.endpoint)
	}
	// Credentials that may not list the bucket get the time as well.
	var r *smithyhttp.ResponseError
	if errors.As(err, &r) && r.HTTPStatusCode() == http.StatusForbidden && r.HTTPResponse() != nil {
		if at, err := http.ParseTime(r.HTTPResponse().Header.Get("Date")); err == nil {
			return at, nil
		}
	}
	return time.Time{}, wrap("time of the store", s.o.Bucket, s.kind(ctx, err))
}
