package configs

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Secret is text that no log and no print shows. Convert it to string to use it.
type Secret string

// String hides the value; it tells only whether there is one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// LogValue hides the value from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// URL is an address that may hold a user, a password or a secret query, which no log and no print shows. Convert it to string
// to use it.
type URL string

// String is the address without what may be secret in it.
func (u URL) String() string {
	p, err := url.Parse(string(u))
	switch {
	case u == "":
		return ""
	case err != nil:
		return "(unreadable)"
	}
	if p.User != nil {
		p.User = url.User("xxxxx")
	}
	if p.RawQuery != "" {
		p.RawQuery = "xxxxx"
	}
	return p.String()
}

// GoString hides the same from %#v.
func (u URL) GoString() string { return fmt.Sprintf("%q", u.String()) }

// LogValue hides the same from log/slog.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText hides the same from encoders.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// web reports whether the address is http://host… or https://host….
func (u URL) web() bool {
	p, err := url.Parse(string(u))
	return err == nil && (p.Scheme == "http" || p.Scheme == "https") && p.Host != ""
}

// expand puts the environment's values in place of ${NAME}. Any other dollar sign is itself.
func expand(s string, lookup func(string) (string, bool)) (Secret, error) {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "${")
		b.WriteString(before)
		if !ok {
			return Secret(b.String()), nil
		}
		name, rest, ok := strings.Cut(after, "}")
		if !ok || name == "" {
			return "", errors.New("there is a ${ without a name and a } after it")
		}
		value, ok := lookup(name)
		if !ok {
			return "", fmt.Errorf("environment variable %s is not set", name)
		}
		b.WriteString(value)
		s = rest
	}
}
