package s3

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Options say where a bucket is and how objects are put into it.
type Options struct {
	Bucket string
	Prefix string // prepended to every key, without slashes at its ends; default none

	Endpoint  string // base URL of a store other than Amazon's, "https://minio.example.com"; default by region
	Region    string // default: from the environment or shared configuration; us-east-1 if Endpoint is set
	PathStyle bool   // bucket in the path instead of the host name

	// AccessKey and SecretKey are static credentials. Default: the SDK's own chain of environment, shared files, SSO, web identity,
	// container and instance role.
	AccessKey, SecretKey, SessionToken string

	StorageClass string            // default: the bucket's own
	Encryption   string            // x-amz-server-side-encryption: "AES256", "aws:kms", "aws:kms:dsse"; default: the bucket's own
	KMSKey       string            // with aws:kms; default: the account's own key
	ACL          string            // a canned ACL; default none, as required by buckets with ACLs disabled
	Tags         map[string]string // on every object; default none

	// Checksum is sent with each object for the store to check: "none" (default), "crc32c", "crc32" or "md5". Buckets with Object Lock
	// require one; some stores support none. For segments the CRC-32C is already known; the others cost one more pass over the bytes.
	Checksum string

	Connections     int           // idle connections kept open, as many as there are workers; default 16
	StallTimeout    time.Duration // a transfer without any progress for this long is given up; default 15s
	ResponseTimeout time.Duration // from the last byte sent to the first byte of the answer; default StallTimeout

	Log *slog.Logger     // for what an operator should know about a working bucket; may be nil
	Now func() time.Time // for the expiry of credentials; nil: time.Now
}

// Defaults and bounds of Options.
const (
	DefaultConnections  = 16
	DefaultStallTimeout = 15 * time.Second
	dialTimeout         = 10 * time.Second
	// idleTimeout is shorter than that of common stores, so that a kept connection is seldom found closed.
	idleTimeout = 20 * time.Second
)

// Open prepares a client. It does not use the network: an unreachable store or wrong credentials show at the first request.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Bucket == "" || strings.Contains(o.Bucket, "/") {
		return nil, fmt.Errorf("bucket %q is not a name: storage.url is s3://bucket/prefix (%w)", o.Bucket, storage.ErrPermanent)
	}
	if o.Endpoint != "" {
		if u, err := url.Parse(o.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("storage.endpoint %q is not an http or https URL (%w)", o.Endpoint, storage.ErrPermanent)
		} else if path.Base(u.Path) == o.Bucket { // most stores would accept it, and every key would begin with it
			return nil, fmt.Errorf("storage.endpoint %q ends with the bucket's name: leave /%s away there, storage.url has it (%w)", o.Endpoint, o.Bucket, storage.ErrPermanent)
		}
	}
	switch o.Checksum {
	case "":
		o.Checksum = "none"
	case "none", "md5", "crc32", "crc32c":
	default:
		return nil, fmt.Errorf("storage.checksum %q is none of none, md5, crc32, crc32c (%w)", o.Checksum, storage.ErrPermanent)
	}
	if (o.AccessKey == "") != (o.SecretKey == "") {
		return nil, fmt.Errorf("of access key and secret key one is empty: set both or none (%w)", storage.ErrPermanent)
	}
	if o.Connections <= 0 {
		o.Connections = DefaultConnections
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = DefaultStallTimeout
	}
	if o.ResponseTimeout <= 0 {
		o.ResponseTimeout = o.StallTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}

	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = o.ResponseTimeout
		t.MaxIdleConns = 0 // the limit per host is enough
		t.MaxIdleConnsPerHost = o.Connections
		t.IdleConnTimeout = idleTimeout
		t.WriteBufferSize = 64 << 10
		t.ReadBufferSize = 64 << 10
		// One connection per transfer: HTTP/2 would put all of them behind one window and one stall.
		t.ForceAttemptHTTP2 = false
		t.TLSNextProto = nil
	}).WithReadTimeout(0) // the watchdog does that
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, o.SessionToken)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w: %w", err, storage.ErrPermanent)
	}
	if cfg.Region == "" {
		if o.Endpoint == "" && cfg.BaseEndpoint == nil {
			return nil, fmt.Errorf("no region: set storage.region or AWS_REGION (%w)", storage.ErrPermanent)
		}
		cfg.Region = "us-east-1"
	}

	first := cfg.Credentials
	s := &Store{o: o, endpoint: "Amazon S3 in " + cfg.Region, keys: newKeyring(func(ctx context.Context) (aws.CredentialsProvider, error) {
		if p := first; p != nil {
			first = nil
			return p, nil
		}
		again, err := config.LoadDefaultConfig(ctx, load...)
		return again.Credentials, err
	}, o.Now), clock: clock{now: o.Now}}
	if p := strings.Trim(o.Prefix, "/"); p != "" {
		s.prefix = p + "/"
	}
	switch {
	case o.Endpoint != "":
		s.endpoint = o.Endpoint
	case cfg.BaseEndpoint != nil:
		s.endpoint = *cfg.BaseEndpoint
	}
	sign := newSigner(&s.clock)
	s.client = s3.NewFromConfig(cfg, func(c *s3.Options) {
		c.HTTPSignerV4 = sign
		c.UsePathStyle = o.PathStyle
		if o.Endpoint != "" {
			c.BaseEndpoint = &o.Endpoint
		}
		c.Credentials = s.keys
		c.Logger = logging.Nop{} // an error is returned, and says everything
		c.HTTPClient = answers{&watchdog{next: unredirected(c.HTTPClient, o.Now), stall: o.StallTimeout}}
		c.APIOptions = append(c.APIOptions, func(stack *middleware.Stack) error {
			_, err := stack.Finalize.Remove("DisableAcceptEncodingGzip") // answers does the same, after signing
			return err
		})
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		c.ContinueHeaderThresholdBytes = -1
		c.DisableLogOutputChecksumValidationSkipped = true
	})
	if s.direct, err = newDirect(ctx, s.client.Options(), o.Bucket, s.keys, sign); err != nil {
		return nil, fmt.Errorf("bucket %q: %w: correct storage.url, storage.endpoint or storage.region: %w", o.Bucket, err, storage.ErrPermanent)
	}
	return s, nil
}

// unredirected returns a client that follows no redirect: the signature is only for one host, and a portal's page is not an answer.
func unredirected(c aws.HTTPClient, now func() time.Time) aws.HTTPClient {
	b, ok := c.(*awshttp.BuildableClient)
	if !ok {
		return c
	}
	t := b.GetTransport() // with the certificates of AWS_CA_BUNDLE
	d := &dialer{settings: t.TLSClientConfig, now: now}
	t.DialContext, t.DialTLSContext = d.dial, d.dialTLS
	return trip{t}
}

// trip is only a transport: one request, one answer.
type trip struct{ t http.RoundTripper }

func (t trip) Do(req *http.Request) (*http.Response, error) { return t.t.RoundTrip(req) }

func tagging(tags map[string]string) string {
	keys := make([]string, 0, len(tags))
	for k := range tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(k) + "=" + url.QueryEscape(tags[k]))
	}
	return b.String()
}
