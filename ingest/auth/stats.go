package auth

import "sync/atomic"

// Outcome is how a request ended.
type Outcome uint8

// The outcomes. Those from UnknownApp on are refusals.
const (
	GrantedOpen  Outcome = iota // by its address, or because the app is open
	GrantedKey                  // by a key
	UnknownApp                  // the app does not exist
	NoKeys                      // the app has no keys, and the encoder is not on this machine
	WrongAddress                // outside the app's ranges
	BadName                     // the name cannot be public
	Question                    // no credentials came; over RTSP every encoder begins so
	WrongKey                    // the credentials are not known
	Paused                      // wrong credentials came too often before
	NumOutcomes
)

// String is the outcome as a metric's label: one word.
func (o Outcome) String() string {
	return [...]string{"open", "key", "unknown_app", "no_keys", "wrong_address", "bad_name", "question", "wrong_key", "paused"}[o]
}

// Granted reports whether the publisher was let in.
func (o Outcome) Granted() bool { return o < UnknownApp }

// counts reports whether an outcome is held against its address and its secret.
func (o Outcome) counts() bool {
	switch o {
	case Question, WrongKey:
		return true
	}
	return false
}

// Stats may be read at any time.
type Stats struct {
	By [NumOutcomes]atomic.Uint64 // requests to publish
}
