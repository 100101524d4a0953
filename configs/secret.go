package configs

import (
	"errors"
	"fmt"
	"log/slog"
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
