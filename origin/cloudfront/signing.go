package cloudfront

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Limits of CloudFront's on who may sign ("Quotas on signed URLs and signed cookies").
const (
	maxPublicKeys = 5 // in a key group
	maxKeyGroups  = 4 // of a cache behavior
	rsaBits       = 2048
)

var keyGroupID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// signingKey is a public key as the templates write it down.
type signingKey struct {
	Name string   // the first digits of its hash: another key is another resource, for CloudFront changes none
	Hash string   // of the whole key, in hexadecimal digits
	PEM  []string // line by line
}

// signed reports whether viewers need a signature.
func (o Options) signed() bool { return len(o.PublicKeys)+len(o.KeyGroups) > 0 }

// signingKeys reads o.PublicKeys. What it cannot read is left out; checkSigning has said so.
func (o Options) signingKeys() (keys []signingKey) {
	for _, text := range o.PublicKeys {
		if k, err := readSigningKey(text); err == nil {
			keys = append(keys, k)
		}
	}
	return keys
}

func (o Options) checkSigning() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	for i, text := range o.PublicKeys {
		k, err := readSigningKey(text)
		switch {
		case err != nil:
			bad("public key %d: %w", i+1, err)
		case seen[k.Name]:
			bad("public key %d: it was given before", i+1)
		}
		seen[k.Name] = true
	}
	if n := len(o.PublicKeys); n > maxPublicKeys {
		bad("public key: CloudFront takes %d in a key group, not %d", maxPublicKeys, n)
	}
	groups := len(o.KeyGroups)
	if len(o.PublicKeys) > 0 {
		groups++
	}
	if groups > maxKeyGroups {
		bad("key group: CloudFront takes %d for a distribution like this, the one of the public keys among them, not %d", maxKeyGroups, groups)
	}
	for _, id := range o.KeyGroups {
		if !keyGroupID.MatchString(id) {
			bad("key group: %q is not the ID of one", id)
		}
	}
	return errors.Join(errs...)
}

// readSigningKey takes one public key in PEM, of a kind that CloudFront takes. Nothing of a private key gets into the error.
func readSigningKey(text string) (signingKey, error) {
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return signingKey{}, errors.New("it is not in PEM: it begins with -----BEGIN PUBLIC KEY-----")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return signingKey{}, errors.New("it is a private key, which belongs to who signs and to nobody else: openssl pkey -in FILE -pubout prints the public one")
	case block.Type != "PUBLIC KEY":
		return signingKey{}, fmt.Errorf("it is a %s, not a PUBLIC KEY: openssl pkey -in FILE -pubout prints that", strings.ToLower(block.Type))
	case strings.TrimSpace(string(rest)) != "":
		return signingKey{}, errors.New("there is more than one key in it: give each a file of its own")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return signingKey{}, fmt.Errorf("it cannot be read: %w", err)
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n != rsaBits {
			return signingKey{}, fmt.Errorf("RSA of %d bits: CloudFront takes %d", n, rsaBits)
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return signingKey{}, fmt.Errorf("ECDSA on %s: CloudFront takes P-256", k.Curve.Params().Name)
		}
	default:
		return signingKey{}, errors.New("CloudFront takes RSA of 2048 bits and ECDSA on P-256")
	}
	sum := sha256.Sum256(block.Bytes)
	hash := hex.EncodeToString(sum[:])
	// Written anew, so that the same key has the same bytes, whatever ends its lines.
	lines := strings.Split(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))), "\n")
	return signingKey{Name: hash[:8], Hash: hash, PEM: lines}, nil
}
