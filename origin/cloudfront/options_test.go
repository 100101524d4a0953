package cloudfront

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestRefused checks that what AWS would refuse, or what could not work, is refused here, by name, and that nothing is printed.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		set  func(*Options)
		want string
	}{
		{func(o *Options) { o.App = "" }, `"" is no name of an app`},
		{func(o *Options) { o.App = "live/x" }, `"live/x" is no name`},
		{func(o *Options) { o.App = strings.Repeat("a", 129) }, "is no name of an app"},
		{func(o *Options) { o.Domain = "192.0.2.1" }, "takes no address"},
		{func(o *Options) { o.Domain = "localhost" }, "is not a full host name"},
		{func(o *Options) { o.Domain = "a.example.com:5080" }, "is not a full host name"},
		{func(o *Options) { o.Domain = "a.example.com\nEvil: true" }, "is not a full host name"},
		{func(o *Options) { o.HTTPPort = 0 }, "no public listener"},
		{func(o *Options) { o.HTTPPort = 81 }, "not to 81"},
		{func(o *Options) { o.HTTPSPort = 1023 }, "not to 1023"},
		{func(o *Options) { o.HTTPPort = 65536 }, "not to 65536"},
		{func(o *Options) { o.SecretHeader = "X-Amz-Secret" }, `cannot send "X-Amz-Secret"`},
		{func(o *Options) { o.SecretHeader = "x-edge-a" }, "cannot send"},
		{func(o *Options) { o.SecretHeader = "Host" }, "cannot send"},
		{func(o *Options) { o.SecretHeader = "a b" }, "cannot send"},
		{func(o *Options) { o.TargetDuration = 0 }, "no range from 1"},
		{func(o *Options) { o.MaxTargetDuration = 3 }, "4 to 3 s is no range"},
		{func(o *Options) { o.IdleTimeout = 5 * time.Second }, "at least 6s is needed"},
		{func(o *Options) { o.CORSOrigins = []string{"example.com"} }, `"example.com" is neither`},
		{func(o *Options) { o.ShieldRegion = "Frankfurt" }, `"Frankfurt" is not a region`},
		{func(o *Options) { o.PriceClass = "100" }, `"100" is none of`},
		{func(o *Options) { o.Aliases = []string{"live.example.com"} }, "a certificate for it is needed"},
		{func(o *Options) { o.CertificateARN = "arn:aws:acm:us-east-1:123456789012:certificate/1" }, "needs an alias"},
		{func(o *Options) {
			o.Aliases, o.CertificateARN = []string{"a.example.com"}, "arn:aws:acm:eu-central-1:123456789012:certificate/1"
		}, "the only region"},
		{func(o *Options) {
			o.Aliases, o.CertificateARN = []string{"live_1"}, "arn:aws:acm:us-east-1:123456789012:certificate/1"
		}, `"live_1" is not a host name`},
		{func(o *Options) { o.Bucket.Name = "My_Bucket" }, "no name of a bucket"},
		{func(o *Options) { o.Bucket.Prefix = "a" }, "bucket prefix"},
		{func(o *Options) { o.Bucket.Prefix = "a*/" }, "bucket prefix"},
		{func(o *Options) { o.Bucket.Packages = "a b/" }, "packages"},
		{func(o *Options) { o.Bucket.Packages = "vod" }, "packages"},
		{func(o *Options) { o.Bucket.Packages = o.App + "/" }, "packages"},
		{func(o *Options) { o.Bucket.Prefix = "${aws:username}/" }, "bucket prefix"},
		{func(o *Options) { o.Bucket.Prefix = strings.Repeat("a", 255) + "/" }, "longer than 255"},
		{func(o *Options) { o.Bucket.Region = "auto" }, `"auto" is not a region`},
		{func(o *Options) { o.Bucket.KMSKey = "alias/mine" }, "is not the ARN of a key"},
		{func(o *Options) { o.Bucket.ExpireDays = -1 }, "in the past"},
	} {
		o := cases()["plain"]
		o.Bucket = &Bucket{Name: "bucket"}
		c.set(&o)
		var out bytes.Buffer
		for _, err := range []error{CloudFormation(&out, o), Terraform(&out, o)} {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, not %q", err, c.want)
			}
		}
		if out.Len() > 0 {
			t.Errorf("%s: %d bytes were printed all the same", c.want, out.Len())
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	err := CloudFormation(&bytes.Buffer{}, Options{App: "live", HTTPPort: 1, PriceClass: "x", Bucket: &Bucket{}})
	for _, want := range []string{"port:", "target duration:", "price class:", "bucket:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: nothing about %s", err, want)
		}
	}
}

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriterFails(t *testing.T) {
	o := cases()["plain"]
	if err := errors.Join(CloudFormation(broken{}, o)); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	if err := Terraform(broken{}, o); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

// FuzzQuotes checks that parsers read back whatever text is printed.
func FuzzQuotes(f *testing.F) {
	for _, s := range []string{"", "a", `"`, "\\", "${a}", "$${a}", "%{ if }", "%%{", "<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			return // no option accepts anything but printable ASCII
		}
		if got := constant(readHCL(t, []byte("a = "+hclQuote(s)+"\n")).attributes["a"]); got != s {
			t.Errorf("HCL: %q became %q", s, got)
		}
		if got := readYAML(t, []byte("a: "+yamlQuote(s)+"\nb: 1\n"))["a"]; got != s {
			t.Errorf("YAML: %q became %q", s, got)
		}
	})
}
