package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/aws/smithy-go"

	"github.com/hlsorigin/hlsorigin/storage"
)

// errMissing is fs.ErrNotExist in the words of an object store.
var errMissing = fmt.Errorf("no such object: %w", fs.ErrNotExist)

// statusOf is the HTTP status that an error of the SDK came with; 0 where there was no answer.
func statusOf(err error) int {
	var r interface{ HTTPStatusCode() int }
	if errors.As(err, &r) {
		return r.HTTPStatusCode()
	}
	return 0
}

// codeOf is S3's own code of an error; "" where there was none.
func codeOf(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// kind sorts an error of the SDK into the kinds of package storage, in words that say what to do. What the operator
// cannot mend stays as it is and is transient.
func (s *Store) kind(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var creds *credentialsError
	if errors.As(err, &creds) {
		return s.permanent(err, "no usable credentials for bucket %q: set storage.access_key and storage.secret_key, or "+
			"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an AWS profile, or give the machine a role", s.o.Bucket)
	}
	status, code := statusOf(err), codeOf(err)
	if advice := s.advice(code); advice != "" {
		return s.permanent(err, "%s", advice)
	}
	switch code {
	case "NoSuchKey", "NotFound":
		return errMissing
	case "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "BandwidthLimitExceeded":
		return fmt.Errorf("%w: %w", storage.ErrThrottled, err)
	case "RequestTimeout", "OperationAborted", "ConditionalRequestConflict", "IncompleteBody", "BadDigest":
		return err // the same request may succeed the next time
	}
	switch status {
	case http.StatusNotFound:
		if code == "" {
			return errMissing
		}
		return s.permanent(err, "%s does not know what the request is about", s.endpoint)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %w", storage.ErrThrottled, err)
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return s.permanent(err, "bucket %q is not served at %s: correct storage.region or storage.endpoint", s.o.Bucket, s.endpoint)
	case http.StatusUnauthorized, http.StatusForbidden:
		return s.permanent(err, "access to bucket %q at %s is denied: allow s3:PutObject, s3:GetObject, s3:ListBucket and "+
			"s3:DeleteObject to these credentials", s.o.Bucket, s.endpoint)
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusInsufficientStorage:
		return s.permanent(err, "%s refuses the request", s.endpoint)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return opaque{err}
	}
	return err
}

// opaque hides that a time-out of the transport passes for one of the caller's context, which it is not.
type opaque struct{ err error }

func (e opaque) Error() string { return e.err.Error() }

// advice says what to do about a code that repeating cannot cure; "" for all others.
func (s *Store) advice(code string) string {
	switch code {
	case "NoSuchBucket":
		return fmt.Sprintf("bucket %q does not exist at %s: create it or correct storage.url", s.o.Bucket, s.endpoint)
	case "InvalidBucketName":
		return fmt.Sprintf("%q is no valid bucket name at %s: correct storage.url", s.o.Bucket, s.endpoint)
	case "InvalidAccessKeyId", "XAdminUserNotFound": // the latter is versitygw's
		return fmt.Sprintf("the access key is not known at %s: correct storage.access_key, AWS_ACCESS_KEY_ID or the profile, whichever it comes from", s.endpoint)
	case "SignatureDoesNotMatch":
		return fmt.Sprintf("the secret key does not fit the access key at %s: correct storage.secret_key or AWS_SECRET_ACCESS_KEY, or look for a "+
			"proxy that alters the Host header", s.endpoint)
	case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
		return fmt.Sprintf("the session token is refused at %s: renew the credentials", s.endpoint)
	case "RequestTimeTooSkewed":
		return fmt.Sprintf("the clock of this machine and that of %s differ: synchronise it", s.endpoint)
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return fmt.Sprintf("bucket %q lives in another region than %s: correct storage.region", s.o.Bucket, s.endpoint)
	case "AccessControlListNotSupported":
		return fmt.Sprintf("bucket %q has ACLs disabled: leave storage.acl empty", s.o.Bucket)
	case "InvalidStorageClass":
		return fmt.Sprintf("storage class %q is not known at %s: correct storage.storage_class", s.o.StorageClass, s.endpoint)
	case "QuotaExceeded", "XMinioStorageFull", "InsufficientStorage":
		return fmt.Sprintf("%s has no room left for bucket %q: raise the quota or remove recordings", s.endpoint, s.o.Bucket)
	}
	if len(code) > 4 && code[:4] == "KMS." {
		return fmt.Sprintf("key %q cannot be used: check the key's state and policy", s.o.KMSKey)
	}
	return ""
}

func (s *Store) permanent(err error, format string, args ...any) error {
	return fmt.Errorf("%s (%w): %w", fmt.Sprintf(format, args...), storage.ErrPermanent, err)
}
