package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/cloudfront"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// cloudfrontFlags are what the CDN has and the server's configuration does not know.
type cloudfrontFlags struct {
	app, domain, shield, priceClass, certificate string
	aliases, keyFiles, keyGroups                 []string
	noBucket, mayRemove                          bool
}

// cloudfrontCommand prints how a CDN in front of the configured server is to be set up.
func cloudfrontCommand(args []string, env environment) error {
	var o cloudfrontFlags
	f := flags("cloudfront")
	path := configFlag(f, env)
	format := f.String("format", "cloudformation", "")
	f.StringVar(&o.app, "app", "", "")
	f.StringVar(&o.domain, "domain", "", "")
	f.StringVar(&o.shield, "shield", "", "")
	f.StringVar(&o.priceClass, "price-class", "", "")
	f.StringVar(&o.certificate, "certificate", "", "")
	f.Func("alias", "", func(s string) error { o.aliases = append(o.aliases, s); return nil })
	f.Func("public-key", "", func(s string) error { o.keyFiles = append(o.keyFiles, s); return nil })
	f.Func("key-group", "", func(s string) error { o.keyGroups = append(o.keyGroups, s); return nil })
	f.BoolVar(&o.noBucket, "no-bucket", false, "")
	f.BoolVar(&o.mayRemove, "may-remove", false, "")
	if err := parse(f, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			_, err = io.WriteString(env.out, cloudfrontHelp)
		}
		return err
	}
	write, ok := map[string]func(io.Writer, cloudfront.Options) error{
		"cloudformation": cloudfront.CloudFormation, "terraform": cloudfront.Terraform,
	}[*format]
	if !ok {
		return usageError{fmt.Errorf("-format: %q is neither cloudformation nor terraform", *format)}
	}
	c, err := configs.Load(*path, env.vars)
	if err != nil {
		return err
	}
	options, notes, err := cloudfrontOptions(c, o)
	if err != nil {
		return err
	}
	if err := write(env.out, options); err != nil {
		return fmt.Errorf("CloudFront could not stand before this server:\n%w", err)
	}
	for _, n := range notes {
		fmt.Fprintf(env.err, "hlsorigin: note: %s\n", n)
	}
	return nil
}

// cloudfrontOptions also tells what an operator may not have meant.
func cloudfrontOptions(c configs.Config, f cloudfrontFlags) (o cloudfront.Options, notes []string, err error) {
	name, err := chooseApp(c, f.app)
	if err != nil {
		return o, nil, err
	}
	app := c.Apps[name]
	o = cloudfront.Options{
		App: name, Domain: f.domain, IdleTimeout: time.Duration(c.HTTP.IdleTimeout), CORSOrigins: c.HTTP.CORSOrigins,
		ShieldRegion: f.shield, PriceClass: priceClass(f.priceClass), Aliases: f.aliases, CertificateARN: f.certificate,
		KeyGroups: f.keyGroups,
	}
	for _, name := range f.keyFiles {
		key, err := regular.Read(name, maxPEM)
		if err != nil {
			return o, nil, fmt.Errorf("-public-key: %w", err)
		}
		o.PublicKeys = append(o.PublicKeys, string(key))
	}
	if o.HTTPPort, err = listenPort("http.listen", c.HTTP.Listen); err != nil {
		return o, nil, err
	}
	if o.HTTPSPort, err = listenPort("http.tls.listen", c.HTTP.TLS.Listen); err != nil {
		return o, nil, err
	}
	h := app.HLS.Over(c.HLS)
	o.TargetDuration, o.MaxTargetDuration = targetDurations(h)
	o.LowLatency, o.DeltaUpdates = h.LowLatency, h.LowLatency && h.Window.Std() >= segmenter.DeltaWindow
	if len(c.HTTP.CDNSecret.Values) > 0 {
		o.SecretHeader = c.HTTP.CDNSecret.Header
	} else {
		notes = append(notes, "without http.cdn_secret.values whoever finds the origin can go past CloudFront")
	}
	if len(o.PublicKeys)+len(o.KeyGroups) > 0 && (len(o.CORSOrigins) == 0 || slices.Contains(o.CORSOrigins, "*")) {
		notes = append(notes, "a page of another host can bring signed URLs, and signed cookies only when http.cors_origins names it")
	}
	if o.HTTPSPort == 0 && loopback(c.HTTP.Listen) {
		notes = append(notes, fmt.Sprintf("http.listen is %s, which CloudFront cannot reach", c.HTTP.Listen))
	}
	var note string
	if o.Bucket, note, err = cloudfrontBucket(c, app, f); note != "" {
		notes = append(notes, "no bucket stands in for the origin: "+note)
	}
	return o, notes, err
}

func chooseApp(c configs.Config, name string) (string, error) {
	apps := slices.Sorted(maps.Keys(c.Apps))
	switch _, known := c.Apps[name]; {
	case name == "" && len(apps) == 1:
		return apps[0], nil
	case len(apps) == 0:
		return "", errors.New("the configuration has no apps")
	case name == "":
		return "", usageError{fmt.Errorf("-app: a distribution serves one app: which of %s?", strings.Join(apps, ", "))}
	case !known:
		return "", usageError{fmt.Errorf("-app: there is no %q, only %s", name, strings.Join(apps, ", "))}
	}
	return name, nil
}

// targetDurations are the least and the largest EXT-X-TARGETDURATION a recording can have, in seconds.
func targetDurations(h configs.HLS) (least, largest int) {
	if h.TargetDuration != 0 {
		td := int(h.TargetDuration.Std() / time.Second)
		return td, td
	}
	return int(math.Round(h.SegmentDuration.Std().Seconds())), int(h.MaxTargetDuration.Std() / time.Second)
}

func priceClass(s string) string {
	if s == "" || strings.HasPrefix(s, "PriceClass_") {
		return s
	}
	if strings.EqualFold(s, "all") {
		s = "All"
	}
	return "PriceClass_" + s
}

// listenPort is 0 for a listener that is switched off.
func listenPort(key, address string) (int, error) {
	if address == "" {
		return 0, nil
	}
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", key, err)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s: %q has another port at every start: CloudFront needs a fixed one", key, address)
	}
	return n, nil
}

func loopback(address string) bool {
	h, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(h)
	return h == "localhost" || ip != nil && ip.IsLoopback()
}

// cloudfrontBucket is nil, with the reason, where CloudFront cannot read what the server uploads.
func cloudfrontBucket(c configs.Config, app configs.App, f cloudfrontFlags) (bucket *cloudfront.Bucket, reason string, err error) {
	at, err := c.Storage.Location()
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("storage.url: %w", err)
	case f.noBucket:
		return nil, "", nil
	case c.Storage.URL == "":
		return nil, "storage.url is empty", nil
	case at.Bucket == "":
		return nil, "storage.url is a directory, and CloudFront reads s3:// alone", nil
	case c.Storage.Endpoint != "":
		return nil, fmt.Sprintf("storage.endpoint is %s, and CloudFront signs its requests for Amazon S3 alone", c.Storage.Endpoint), nil
	case strings.HasPrefix(c.Storage.SSE, "aws:kms") && c.Storage.SSEKMSKeyID == "":
		return nil, "", errors.New("storage.sse: CloudFront may not use AWS's own key: set storage.sse_kms_key_id to the ARN of one of yours, or give -no-bucket")
	}
	bucket = &cloudfront.Bucket{
		Name: at.Bucket, Prefix: at.Prefix, Region: c.Storage.Region, KMSKey: c.Storage.SSEKMSKeyID,
		ACL: c.Storage.ACL != "", Tags: len(c.Storage.Tags) > 0, Remove: f.mayRemove, Packages: c.Jobs.Output,
	}
	for _, a := range c.Apps { // one set of credentials serves all apps
		bucket.Remove = bucket.Remove || a.Keep > 0
	}
	bucket.ExpireDays = expireDays(time.Duration(app.Keep), time.Duration(app.HLS.Over(c.HLS).ArchiveSplit))
	return bucket, "", nil
}

// expireDays is at what age S3 may expire an object without being ahead of the server. The server keeps a playlist for
// keep after it is finished, which is up to split after its first segment; S3 counts each object's own days. 0: nothing
// may ever expire, because recordings are kept for ever or have no end.
func expireDays(keep, split time.Duration) int {
	if keep <= 0 || split <= 0 {
		return 0
	}
	const day = 24 * time.Hour
	return int((keep+split+day-1)/day) + 1
}

const cloudfrontHelp = `hlsorigin cloudfront prints how CloudFront is set up in front of a server, with the values of its configuration.

  hlsorigin cloudfront -config FILE > cdn.yaml                      a CloudFormation template
  hlsorigin cloudfront -config FILE -format terraform > cdn.tf      the same for Terraform

  -app NAME            the app that viewers see; needed where there are several
  -domain HOST         host name of the origin; else it is asked for when the template is applied
  -shield REGION       Origin Shield in the region nearest to the origin
  -price-class CLASS   100, 200 or All (the default): which of CloudFront's locations serve
  -alias HOST          host name of the distribution, beside its own; may be given again
  -certificate ARN     of ACM in us-east-1, for the aliases
  -public-key FILE     viewers need URLs or cookies that the private key to this one has signed; may be given again
  -key-group ID        the same for a key group that is there already; may be given again
  -no-bucket           no bucket stands in for the origin, though the server has one
  -may-remove          the server's credentials may delete recordings; they may anyway where keep is set

The secret that the server asks for is never printed: it is asked for when the template is applied.
docs/cloudfront.md walks through it.
`
