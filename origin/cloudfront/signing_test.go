package cloudfront

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Keys of nobody: their private halves were thrown away.
const (
	rsaPublic = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA496wfY1xxtR5pAMYKMcs
UL2FwLayaJCwSbxGOQaOnwmKYX+hriRKCXyMppluqQZnWaOCgHEzsQ/iFf38bega
LbFSSf8Rg8lYiOfv+0DqpLlO9yUtKmpi2U8wuEWvHSzPr8/ZOVZMHwzbtR5xx9Xh
0MMELblGeLJcCLNiJwRsvdVpORGdQ0+xjFgO0Vsp8HvBN7rcKaF+vC1+amm36Jqo
2hLps5SGi66NfuN1duOW8QTFd6rWubjMOuC/Bm4OH30ygqqQJLLiupgXxnQcwR41
+vPJD06yvgT8ZfH+5w+bG2mx6Ym+QTKk7mZM6oNuImlf8iVe7cd0mtNqj9jTABHC
DQIDAQAB
-----END PUBLIC KEY-----
`
	ecdsaPublic = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1wATDdkslW5+PiB5spGcyielE2kX
fEyWoaoBb+V5o/uhK5ZHKXiIGrZnN5+h7mFE6m2cmeEgua945d9K2JG+ag==
-----END PUBLIC KEY-----
`
)

// pemOf writes a public key of any kind.
func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestEveryBehaviorNeedsASignature: what is behind no key group anybody can get, whatever the others say.
func TestEveryBehaviorNeedsASignature(t *testing.T) {
	for name, o := range cases() {
		c, h := printed(t, o)
		config := at(t, readYAML(t, c), "Resources", "Distribution", "Properties", "DistributionConfig")
		behaviors := append([]any{at(t, config, "DefaultCacheBehavior")}, at(t, config, "CacheBehaviors").([]any)...)
		var want any // of CloudFormation
		if o.signed() {
			groups := []any{}
			if len(o.PublicKeys) > 0 {
				groups = append(groups, call{"!Ref", "Signers"})
			}
			for _, id := range o.KeyGroups {
				groups = append(groups, id)
			}
			want = groups
		}
		for i, b := range behaviors {
			if d := cmp.Diff(want, b.(map[string]any)["TrustedKeyGroups"], cmp.AllowUnexported(call{})); d != "" {
				t.Errorf("%s: behavior %d (-wanted +printed):\n%s", name, i, d)
			}
		}
		for _, b := range readHCL(t, h).find(t, "resource", "aws_cloudfront_distribution", "live").blocks {
			if b.kind != "default_cache_behavior" && b.kind != "ordered_cache_behavior" {
				continue
			}
			if _, has := b.attributes["trusted_key_groups"]; has != o.signed() {
				t.Errorf("%s: Terraform's %s: key groups %t", name, b.kind, has)
			}
		}
	}
}

// TestSigningKeysArePrinted: each key is a resource of its own, byte for byte the one that was given, and in the group.
func TestSigningKeysArePrinted(t *testing.T) {
	o := cases()["signed"]
	c, h := printed(t, o)
	resources := at(t, readYAML(t, c), "Resources").(map[string]any)
	tf := readHCL(t, h)
	items := []any{}
	for _, text := range o.PublicKeys {
		k, err := readSigningKey(text)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, call{"!Ref", "SigningKey" + k.Name})
		config := at(t, resources, "SigningKey"+k.Name, "Properties", "PublicKeyConfig")
		if got := at(t, config, "EncodedKey"); got != text {
			t.Errorf("CloudFormation: %q, not %q", got, text)
		}
		if got := at(t, config, "CallerReference"); got != k.Hash {
			t.Errorf("CloudFormation: reference %v, not %v", got, k.Hash)
		}
		b := tf.find(t, "resource", "aws_cloudfront_public_key", "signing_"+k.Name)
		if got := constant(b.attributes["encoded_key"]); got != text {
			t.Errorf("Terraform: %q, not %q", got, text)
		}
		tf.find(t, "output", "signing_key_"+k.Name+"_id")
	}
	if d := cmp.Diff(items, at(t, resources, "Signers", "Properties", "KeyGroupConfig", "Items"), cmp.AllowUnexported(call{})); d != "" {
		t.Errorf("the group (-wanted +printed):\n%s", d)
	}
	// The same keys with the line ends of another system are the same print.
	for i, text := range o.PublicKeys {
		o.PublicKeys[i] = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if c2, h2 := printed(t, o); !bytes.Equal(c, c2) || !bytes.Equal(h, h2) {
		t.Error("other line ends give another print")
	}
}

// TestGroupsAloneMakeNoKeys: whoever has a key group needs no other.
func TestGroupsAloneMakeNoKeys(t *testing.T) {
	o := cases()["plain"]
	o.KeyGroups = []string{"one", "two"}
	c, h := printed(t, o)
	for _, unwanted := range []string{"PublicKey", "KeyGroup:", "aws_cloudfront_public_key", "aws_cloudfront_key_group"} {
		if bytes.Contains(c, []byte(unwanted)) || bytes.Contains(h, []byte(unwanted)) {
			t.Errorf("%s is printed", unwanted)
		}
	}
	for _, text := range [][]byte{c, h} {
		if n := bytes.Count(text, []byte(`["one", "two"]`)); n != 6 {
			t.Errorf("%d behaviors have the groups, not 6", n)
		}
	}
}

// TestCookiesCrossHosts: a browser sends cookies to another host, and shows the answer to the page, only where the host names
// the page's and says that it may.
func TestCookiesCrossHosts(t *testing.T) {
	for _, c := range []struct {
		origins []string
		signed  bool
		want    bool
	}{
		{nil, true, false}, {[]string{"*"}, true, false}, {[]string{"https://example.com", "*"}, true, false},
		{[]string{"https://example.com"}, true, true}, {[]string{"https://example.com"}, false, false},
	} {
		o := cases()["plain"]
		o.CORSOrigins = c.origins
		if c.signed {
			o.PublicKeys = []string{rsaPublic}
		}
		f, h := printed(t, o)
		if got := at(t, readYAML(t, f), "Resources", "CrossOrigin", "Properties", "ResponseHeadersPolicyConfig", "CorsConfig", "AccessControlAllowCredentials"); got != c.want {
			t.Errorf("%+v: CloudFormation says %v", c, got)
		}
		cors := any(readHCL(t, h).find(t, "resource", "aws_cloudfront_response_headers_policy", "cors").values())
		if got := at(t, cors, "cors_config", 0, "access_control_allow_credentials"); got != c.want {
			t.Errorf("%+v: Terraform says %v", c, got)
		}
	}
}

func TestSigningKeysRefused(t *testing.T) {
	must := func(key any, err error) any {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	long := must(rsa.GenerateKey(rand.Reader, 3072)).(*rsa.PrivateKey)
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)).(*ecdsa.PrivateKey)
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(p384)).([]byte)}))
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	many := []string{}
	for range maxPublicKeys + 1 {
		many = append(many, pemOf(t, &must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).(*ecdsa.PrivateKey).PublicKey))
	}
	for _, c := range []struct {
		keys, groups []string
		want         string
	}{
		{[]string{"ssh-rsa AAAA"}, nil, "not in PEM"},
		{[]string{""}, nil, "not in PEM"},
		{[]string{private}, nil, "it is a private key"},
		{[]string{strings.Replace(rsaPublic, "PUBLIC", "RSA PUBLIC", 1)}, nil, "not in PEM"},
		{[]string{strings.ReplaceAll(rsaPublic, "PUBLIC", "RSA PUBLIC")}, nil, "rsa public key, not a PUBLIC KEY"},
		{[]string{rsaPublic + ecdsaPublic}, nil, "more than one key"},
		{[]string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}))}, nil, "cannot be read"},
		{[]string{pemOf(t, &long.PublicKey)}, nil, "RSA of 3072 bits"},
		{[]string{pemOf(t, &p384.PublicKey)}, nil, "ECDSA on P-384"},
		{[]string{pemOf(t, edwards)}, nil, "takes RSA of 2048 bits"},
		{[]string{rsaPublic, ecdsaPublic, rsaPublic}, nil, "public key 3: it was given before"},
		{many, nil, "5 in a key group, not 6"},
		{nil, []string{"a", "b", "c", "d", "e"}, "4 for a distribution"},
		{[]string{rsaPublic}, []string{"a", "b", "c", "d"}, "not 5"},
		{nil, []string{"a b"}, `"a b" is not the ID`},
		{nil, []string{""}, `"" is not the ID`},
		{nil, []string{"a\", \"b"}, "is not the ID"},
	} {
		o := cases()["plain"]
		o.PublicKeys, o.KeyGroups = c.keys, c.groups
		var out bytes.Buffer
		for _, err := range []error{CloudFormation(&out, o), Terraform(&out, o)} {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, not %q", err, c.want)
			} else if body := strings.Split(private, "\n")[1]; strings.Contains(fmt.Sprint(err), body) {
				t.Error("the error has a private key in it")
			}
		}
		if out.Len() > 0 {
			t.Errorf("%s: %d bytes were printed all the same", c.want, out.Len())
		}
	}
}
