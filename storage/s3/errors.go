package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/hlsorigin/hlsorigin/storage"
)

// errMissing is fs.ErrNotExist in the terms of an object store.
var errMissing = fmt.Errorf("no such object: %w", fs.ErrNotExist)

// statusOf returns the HTTP status of an SDK error, or 0 if there was no answer.
func statusOf(err error) int {
	var r interface{ HTTPStatusCode() int }
	if errors.As(err, &r) {
		return r.HTTPStatusCode()
	}
	return 0
}

// codeOf returns the S3 error code of an error, or "" if there is none.
func codeOf(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// kind maps an error of the SDK to the kinds of package storage, in words that say what to do. What the operator cannot fix stays as it is
// and is transient.
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
	var strange *foreignError
	if errors.As(err, &strange) {
		return s.permanent(err, "%s does not answer as an object store does: correct storage.endpoint, which may be the port of a console or of "+
			"another service, or look for a proxy, a portal or a login page in between%s", s.endpoint, s.hint())
	}
	status, code := statusOf(err), codeOf(err)
	if advice := s.advice(code); advice != "" {
		return s.permanent(err, "%s", advice)
	}
	switch code {
	case "NoSuchKey", "NotFound":
		return errMissing
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "BandwidthLimitExceeded":
		return fmt.Errorf("%w: %w", storage.ErrThrottled, err)
	case "RequestTimeout", "OperationAborted", "ConditionalRequestConflict", "IncompleteBody", "BadDigest":
		return err // the same request may succeed next time
	}
	switch status {
	case http.StatusNotFound:
		return s.permanent(err, "%s does not know what the request is about: correct storage.endpoint%s", s.endpoint, s.hint())
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %w", storage.ErrThrottled, err)
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		region := "" // if Amazon states it
		var r *smithyhttp.ResponseError
		if errors.As(err, &r) && r.HTTPResponse() != nil {
			if region = r.HTTPResponse().Header.Get("X-Amz-Bucket-Region"); region != "" {
				region = ", it lives in " + region
			}
		}
		return s.permanent(err, "bucket %q is not served at %s%s: correct storage.region or storage.endpoint, or look for a portal in between", s.o.Bucket, s.endpoint, region)
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

// putKind is kind for a Put of that many bytes, for which some answers mean something else.
func (s *Store) putKind(ctx context.Context, err error, size int64) error {
	kind := s.kind(ctx, err)
	if ctx.Err() != nil || err == nil {
		return kind
	}
	code := codeOf(err)
	switch status := statusOf(err); {
	case isMissing(kind):
		return s.permanent(err, "nothing at %s takes objects for bucket %q: correct storage.endpoint, storage.path_style or storage.url%s", s.endpoint, s.o.Bucket, s.hint())
	case status == http.StatusRequestEntityTooLarge, code == "EntityTooLarge", code == "MaxMessageLengthExceeded":
		return s.permanent(err, "an object of %d bytes is too large for %s: raise the limit of the proxy in front of it (nginx: client_max_body_size), "+
			"or lower hls.segment_duration or the encoder's bit rate", size, s.endpoint)
	case s.o.Checksum == "none" && (code == "MissingContentMD5" || code == "InvalidRequest" && status == http.StatusBadRequest):
		return s.permanent(err, "%s refuses an object without a checksum, as buckets with Object Lock do: set storage.checksum to crc32c or md5; if that "+
			"does not help, the reason is at the end of this message", s.endpoint)
	}
	return kind
}

// mayLackConditions reports whether a conditional Put may have failed because of its condition: stores without conditions report that in
// several ways. The same request without the condition then shows whether that was the reason.
func mayLackConditions(err error) bool {
	switch statusOf(err) {
	case http.StatusNotImplemented:
		return true
	case http.StatusBadRequest:
		switch codeOf(err) {
		case "", "BadRequest", "InvalidArgument", "InvalidRequest", "InvalidHeader", "NotImplemented", "NotSupported", "UnknownError", "UnsupportedHeader":
			return true
		}
	}
	return false
}

// hint points out a frequent mistake in endpoints, which makes a store look for something that does not exist; "" if this endpoint does not
// have it.
func (s *Store) hint() string {
	u, err := url.Parse(s.o.Endpoint)
	if err != nil || !strings.HasPrefix(u.Host, s.o.Bucket+".") {
		return ""
	}
	return fmt.Sprintf("; storage.endpoint begins with the bucket's name: leave %s. away there, storage.url has it", s.o.Bucket)
}

// opaque hides that a timeout of the transport looks like one of the caller's context.
type opaque struct{ err error }

func (e opaque) Error() string { return e.err.Error() }

// advice says what to do about a code that repeating cannot cure; "" for all others.
func (s *Store) advice(code string) string {
	switch code {
	case "NoSuchBucket":
		return fmt.Sprintf("bucket %q does not exist at %s: create it or correct storage.url%s", s.o.Bucket, s.endpoint, s.hint())
	case "InvalidBucketName":
		return fmt.Sprintf("%q is no valid bucket name at %s: correct storage.url", s.o.Bucket, s.endpoint)
	case "InvalidAccessKeyId", "XAdminUserNotFound": // the latter is versitygw's
		return fmt.Sprintf("the access key is not known at %s: correct storage.access_key, AWS_ACCESS_KEY_ID or the profile, whichever it comes from", s.endpoint)
	case "SignatureDoesNotMatch":
		return fmt.Sprintf("the secret key does not fit the access key at %s: correct storage.secret_key or AWS_SECRET_ACCESS_KEY, or look for a "+
			"proxy that alters the Host header", s.endpoint)
	case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidTokenId", "TokenRefreshRequired":
		return fmt.Sprintf("the session token is refused at %s, and the credentials, read again, are the same: renew them", s.endpoint)
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
