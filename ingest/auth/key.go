package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// hashPrefix marks a key that is stored as its hash.
const hashPrefix = "sha256:"

// keyBytes is the length of a new key: 192 bits, which nobody guesses, so that a plain hash protects it as well as a slow one.
const keyBytes = 24

// NewKey returns a key of 192 random bits, in 32 characters that no encoder and no URL changes.
func NewKey() string {
	b := make([]byte, keyBytes)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// Hash returns what may replace a key in the configuration: "sha256:" and 64 hexadecimal digits.
func Hash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// key holds a digest, so that comparing takes the same time whatever the lengths.
type key struct {
	stream string
	secret [sha256.Size]byte
	plain  string // empty if the configuration has only the hash
}

func newKeys(settings map[string]string, valid func(string) bool) ([]key, error) {
	var all []key
	seen := make(map[[sha256.Size]byte]string, len(settings))
	for _, stream := range slices.Sorted(maps.Keys(settings)) {
		if !valid(stream) {
			return nil, fmt.Errorf("%q %w", stream, errNoName)
		}
		k, err := parseKey(settings[stream])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", stream, err)
		}
		if first, ok := seen[k.secret]; ok {
			return nil, fmt.Errorf("%s and %s have the same secret key", first, stream)
		}
		k.stream = stream
		seen[k.secret] = stream
		all = append(all, k)
	}
	return all, nil
}

func parseKey(s string) (key, error) {
	text, hashed := strings.CutPrefix(s, hashPrefix)
	switch {
	case s == "":
		return key{}, errors.New("the secret key is empty")
	case !hashed:
		return key{secret: sha256.Sum256([]byte(s)), plain: s}, nil
	}
	var k key
	if n, err := hex.Decode(k.secret[:], []byte(text[:min(len(text), 2*len(k.secret))])); err != nil || n != len(k.secret) || len(text) != 2*n {
		return key{}, fmt.Errorf("after %s there must be 64 hexadecimal digits", hashPrefix)
	}
	return k, nil
}

// find returns the stream whose secret was sent, as the name itself or as the password beside the public name. It compares all keys, so
// that the time reveals nothing.
func find(keys []key, r ingest.Request) (stream string, ok bool) {
	public := r.Name
	if public == "" {
		public = r.User
	}
	name, password := sha256.Sum256([]byte(r.Name)), sha256.Sum256([]byte(r.Password))
	for _, k := range keys {
		byName := subtle.ConstantTimeCompare(name[:], k.secret[:])
		byPassword := subtle.ConstantTimeCompare(password[:], k.secret[:])
		if byName == 1 || byPassword == 1 && public == k.stream {
			stream, ok = k.stream, true
		}
	}
	return stream, ok
}
