package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/auth"
	"github.com/aws/smithy-go/encoding/httpbinding"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	// maxErrorDocument bounds what is read of an error answer.
	maxErrorDocument = 64 << 10
	unsignedPayload  = "UNSIGNED-PAYLOAD"
)

// direct puts objects with requests of its own: the SDK's pass through some sixty stages, which are built anew for each, and most objects
// are playlists of a few kilobytes. The bucket's address, the signature and the meaning of refusals still come from the SDK.
type direct struct {
	client  aws.HTTPClient
	bucket  url.URL     // without a trailing slash
	header  http.Header // required by the endpoint
	region  string
	service string
	signer  *signer
	keys    *keyring
}

// newDirect returns nil, and no error, for a bucket that does not use an ordinary signature: directory buckets have sessions, multi-region
// access points another algorithm. The SDK handles these.
func newDirect(ctx context.Context, o s3.Options, bucket string, keys *keyring, sign *signer) (*direct, error) {
	at, err := o.EndpointResolverV2.ResolveEndpoint(ctx, s3.EndpointParameters{
		Bucket: &bucket, Region: &o.Region, Endpoint: o.BaseEndpoint, ForcePathStyle: &o.UsePathStyle, Accelerate: &o.UseAccelerate,
		UseFIPS:                        aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack:                   aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		DisableMultiRegionAccessPoints: &o.DisableMultiRegionAccessPoints, UseArnRegion: &o.UseARNRegion,
		DisableS3ExpressSessionAuth: o.DisableS3ExpressSessionAuth,
	})
	if err != nil {
		return nil, err
	}
	d := &direct{client: o.HTTPClient, bucket: at.URI, header: at.Headers, region: o.Region, service: "s3", signer: sign, keys: keys}
	d.bucket.Path, d.bucket.RawPath = strings.TrimSuffix(d.bucket.Path, "/"), ""
	if schemes, ok := auth.GetAuthOptions(&at.Properties); ok && len(schemes) > 0 {
		if id := schemes[0].SchemeID; id != auth.SchemeIDSigV4 && id != "sigv4" {
			return nil, nil
		}
		p := &schemes[0].SignerProperties
		if name, ok := smithyhttp.GetSigV4SigningName(p); ok {
			d.service = name
		}
		if region, ok := smithyhttp.GetSigV4SigningRegion(p); ok {
			d.region = region
		}
	}
	return d, nil
}

// put makes one request. Its errors have the SDK's types.
func (d *direct) put(ctx context.Context, in *s3.PutObjectInput, body io.ReadSeeker, size int64) (*s3.PutObjectOutput, error) {
	by, err := d.keys.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	// An encrypted connection changes no bytes in transit.
	payload := unsignedPayload
	if d.bucket.Scheme != "https" {
		h := sha256.New()
		if err := hashAll(h, body); err != nil {
			return nil, fmt.Errorf("read body: %w", err)
		}
		payload = hex.EncodeToString(h.Sum(nil))
	}
	at := d.bucket
	at.RawPath = at.Path + "/" + httpbinding.EscapePath(*in.Key, false)
	at.Path += "/" + *in.Key
	req := (&http.Request{
		Method: http.MethodPut, URL: &at, Host: at.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: d.headerOf(in), ContentLength: size,
	}).WithContext(ctx)
	req.Header["X-Amz-Content-Sha256"] = []string{payload}
	if size > 0 {
		req.Body = unclosed{body}
	} else {
		req.Body = http.NoBody
	}
	if err := d.signer.SignHTTP(ctx, by, req, payload, d.service, d.region, time.Time{}); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, refused(res)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxErrorDocument)) // otherwise the connection cannot be reused
	out := &s3.PutObjectOutput{}
	if v := res.Header.Get("Etag"); v != "" {
		out.ETag = &v
	}
	if v := res.Header.Get("X-Amz-Version-Id"); v != "" {
		out.VersionId = &v
	}
	return out, nil
}

// unclosed is a body that its owner closes.
type unclosed struct{ io.ReadSeeker }

func (unclosed) Close() error { return nil }

// headerOf returns the headers of an input, without those added by the signature.
func (d *direct) headerOf(in *s3.PutObjectInput) http.Header {
	h := make(http.Header, 16)
	for name, values := range d.header {
		h[name] = values
	}
	set := func(name, v string) {
		if v != "" {
			h[name] = []string{v}
		}
	}
	set("User-Agent", "hlsorigin")
	set("Content-Type", aws.ToString(in.ContentType))
	set("Cache-Control", aws.ToString(in.CacheControl))
	set("Content-Encoding", aws.ToString(in.ContentEncoding))
	set("If-None-Match", aws.ToString(in.IfNoneMatch))
	set("If-Match", aws.ToString(in.IfMatch))
	set("Content-Md5", aws.ToString(in.ContentMD5))
	set("X-Amz-Checksum-Crc32", aws.ToString(in.ChecksumCRC32))
	set("X-Amz-Checksum-Crc32c", aws.ToString(in.ChecksumCRC32C))
	set("X-Amz-Acl", string(in.ACL))
	set("X-Amz-Storage-Class", string(in.StorageClass))
	set("X-Amz-Server-Side-Encryption", string(in.ServerSideEncryption))
	set("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", aws.ToString(in.SSEKMSKeyId))
	set("X-Amz-Tagging", aws.ToString(in.Tagging))
	return h
}

// refused reads an error answer. For an answer without a document it uses the SDK's code.
func refused(res *http.Response) error {
	var doc struct {
		Code, Message string
		RequestID     string `xml:"RequestId"`
	}
	id := res.Header.Get("X-Amz-Request-Id")
	data, err := io.ReadAll(io.LimitReader(res.Body, maxErrorDocument))
	switch {
	case err != nil:
	case len(data) == 0:
		err = &smithy.GenericAPIError{Code: "UnknownError", Message: "an answer without a word"}
	case xml.Unmarshal(data, &doc) != nil, doc.Code == "":
		err = errors.New("an answer that no object store gives")
	default:
		err = &smithy.GenericAPIError{Code: doc.Code, Message: doc.Message}
		if id == "" {
			id = doc.RequestID
		}
	}
	return &awshttp.ResponseError{RequestID: id, ResponseError: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: res}, Err: err}}
}
