package cloudfront

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Options are the settings of a server that its CDN must match, and settings of the CDN itself.
type Options struct {
	App    string // the application that the distribution serves: the Origin Path
	Domain string // host name of the origin; "" makes it a parameter of the template

	HTTPPort  int // of the public listener; 0: there is none
	HTTPSPort int // of the encrypted public listener; if there is one, CloudFront uses only that

	SecretHeader string        // field in which the server expects a secret; "" if it expects none
	IdleTimeout  time.Duration // after which the server closes an idle connection; 0: never

	TargetDuration    int      // smallest EXT-X-TARGETDURATION the application can have, in seconds
	MaxTargetDuration int      // largest, in seconds; 0: the smallest
	LowLatency        bool     // the application has low-latency playlists
	DeltaUpdates      bool     // with delta updates
	CORSOrigins       []string // pages that may play; empty or with "*": all

	ShieldRegion   string   // region of Origin Shield; "" switches it off
	PriceClass     string   // PriceClass_100, PriceClass_200 or PriceClass_All; "" is PriceClass_All
	Aliases        []string // host names of the distribution besides its own
	CertificateARN string   // certificate for the aliases, from us-east-1; required with them

	// With PublicKeys or KeyGroups CloudFront serves nobody without a URL or cookies that one of their keys has signed.
	PublicKeys []string // in PEM: RSA of 2048 bits or ECDSA on P-256; a key group is made of them
	KeyGroups  []string // IDs of key groups that exist

	Bucket *Bucket // nil: no bucket backs up the origin
}

// Bucket is the S3 bucket that the server uploads to.
type Bucket struct {
	Name   string
	Prefix string // of every key; empty, or with a trailing slash
	Region string // "" makes it a parameter of the template

	// Packages is the folder below Prefix in which jobs put their packages, with a trailing slash; "": there are none. Viewers ask for it
	// under the same path, without the app where it is the first part.
	Packages string

	KMSKey string // ARN of the key that objects are encrypted with; "" if it is not one of the account's own
	ACL    bool   // uploads carry an ACL
	Tags   bool   // uploads carry tags
	// Remove reports that the server removes recordings, or that an operator does so with its credentials.
	Remove bool
	// ExpireDays is the number of days after which S3 may expire an object without taking anything that the server keeps. 0: never.
	ExpireDays int
}

// Limits of CloudFront that a setting can exceed.
const (
	minPort       = 1024 // besides 80 and 443
	maxPort       = 65535
	maxOriginPath = 255
	maxPattern    = 200 // of a path pattern, of 255 with its ending
)

var (
	host         = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	alias        = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*$`)
	appName      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	bucketName   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	bucketPrefix = regexp.MustCompile(`^([A-Za-z0-9_.=-]+/)*$`)
	region       = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)
	headerName   = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	webOrigin    = regexp.MustCompile(`^(\*|https?://[A-Za-z0-9.:*\[\]-]+)$`)
	keyARN       = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$`)
	certificate  = regexp.MustCompile(`^arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/[A-Za-z0-9-]+$`)
)

// reserved are fields that CloudFront never adds to a request.
var reserved = []string{
	"cache-control", "connection", "content-length", "cookie", "host", "if-match", "if-modified-since", "if-none-match",
	"if-range", "if-unmodified-since", "max-forwards", "pragma", "proxy-authenticate", "proxy-authorization",
	"proxy-connection", "range", "request-range", "te", "trailer", "transfer-encoding", "upgrade", "via", "x-real-ip",
}

// check returns an error for everything that AWS would refuse in the template, or that could not work.
func (o Options) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !appName.MatchString(o.App) || len(o.App) > 128 {
		bad("app: %q is no name of an app", o.App)
	}
	if o.Domain != "" && (!host.MatchString(o.Domain) || len(o.Domain) > 253) {
		bad("domain: %q is not a full host name, such as origin.example.com: CloudFront takes no address and no short name", o.Domain)
	}
	if o.HTTPPort == 0 && o.HTTPSPort == 0 {
		bad("port: the server has no public listener")
	}
	for _, p := range []int{o.HTTPPort, o.HTTPSPort} {
		if p != 0 && p != 80 && p != 443 && (p < minPort || p > maxPort) {
			bad("port: CloudFront connects to 80, 443 and %d to %d, not to %d", minPort, maxPort, p)
		}
	}
	if h := strings.ToLower(o.SecretHeader); h != "" &&
		(!headerName.MatchString(h) || slices.Contains(reserved, h) || strings.HasPrefix(h, "x-amz-") || strings.HasPrefix(h, "x-edge-")) {
		bad("secret header: CloudFront cannot send %q: name another, such as X-Origin-Secret", o.SecretHeader)
	}
	if o.TargetDuration < 1 || o.MaxTargetDuration != 0 && o.MaxTargetDuration < o.TargetDuration {
		bad("target duration: %d to %d s is no range from 1", o.TargetDuration, o.MaxTargetDuration)
	}
	for _, s := range o.CORSOrigins {
		if !webOrigin.MatchString(s) {
			bad("CORS origin: %q is neither * nor scheme://host[:port]", s)
		}
	}
	if o.IdleTimeout != 0 && o.IdleTimeout < keepAliveMargin+time.Second {
		bad("idle time-out: the server closes connections after %s, which leaves CloudFront none to keep: at least %s is needed",
			o.IdleTimeout, keepAliveMargin+time.Second)
	}
	errs = append(errs, o.checkEdge(), o.checkSigning(), o.checkBucket())
	return errors.Join(errs...)
}

func (o Options) checkEdge() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.ShieldRegion != "" && !region.MatchString(o.ShieldRegion) {
		bad("origin shield: %q is not a region, such as eu-central-1", o.ShieldRegion)
	}
	if !slices.Contains([]string{"", "PriceClass_100", "PriceClass_200", "PriceClass_All"}, o.PriceClass) {
		bad("price class: %q is none of PriceClass_100, PriceClass_200, PriceClass_All", o.PriceClass)
	}
	for _, a := range o.Aliases {
		if !alias.MatchString(a) {
			bad("alias: %q is not a host name in small letters", a)
		}
	}
	switch {
	case len(o.Aliases) > 0 && o.CertificateARN == "":
		bad("alias: a certificate for it is needed too")
	case len(o.Aliases) == 0 && o.CertificateARN != "":
		bad("certificate: it needs an alias that it is for")
	case o.CertificateARN != "" && !certificate.MatchString(o.CertificateARN):
		bad("certificate: %q is not the ARN of a certificate in ACM in us-east-1, the only region that CloudFront takes one from", o.CertificateARN)
	}
	return errors.Join(errs...)
}

func (o Options) checkBucket() error {
	b := o.Bucket
	if b == nil {
		return nil
	}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !bucketName.MatchString(b.Name) {
		bad("bucket: %q is no name of a bucket", b.Name)
	}
	// Any other character has a special meaning in a policy's resource, in a template's text or in an Origin Path.
	if !bucketPrefix.MatchString(b.Prefix) {
		bad("bucket prefix: %q: letters, digits and _ . = - between slashes, and a slash at the end, are what policies can name safely", b.Prefix)
	}
	if b.Packages != "" && (!bucketPrefix.MatchString(b.Packages) || len(b.Packages) > maxPattern || b.packagesPath(o.App) == "") {
		bad("packages: %q is no folder that CloudFront can tell from others: jobs.output is letters, digits and _ . = - between slashes, with a slash at the end, up to %d characters", b.Packages, maxPattern)
	}
	if len("/"+b.Prefix+o.App) > maxOriginPath {
		bad("bucket prefix: the Origin Path %q would be longer than %d characters", "/"+b.Prefix+o.App, maxOriginPath)
	}
	if b.Region != "" && !region.MatchString(b.Region) {
		bad("bucket region: %q is not a region, such as eu-central-1", b.Region)
	}
	if b.KMSKey != "" && !keyARN.MatchString(b.KMSKey) {
		bad("KMS key: %q is not the ARN of a key, which policies need: arn:aws:kms:REGION:ACCOUNT:key/ID", b.KMSKey)
	}
	if b.ExpireDays < 0 {
		bad("expiry: %d days is in the past", b.ExpireDays)
	}
	return errors.Join(errs...)
}

// packagesPath is the folder of packages as viewers see it, and packagesOrigin the Origin Path in front of it.
func (b *Bucket) packagesPath(app string) string { return strings.TrimPrefix(b.Packages, app+"/") }

func (b *Bucket) packagesOrigin(app string) string {
	whole := "/" + b.Prefix
	if strings.HasPrefix(b.Packages, app+"/") {
		whole += app
	}
	return strings.TrimRight(whole, "/")
}
