package auth

import "sync/atomic"

// Outcome is how a request ended.
type Outcome uint8

// The outcomes. Those from UnknownApp on are refusals.
const (
	GrantedOpen     Outcome = iota // by its address, or because the app is open
	GrantedKey                     // by a key
	GrantedToken                   // by a signed token
	GrantedCallback                // by the back end that was asked
	UnknownApp                     // the app does not exist
	NoKeys                         // the app has no keys, and the encoder is not on this machine
	WrongAddress                   // outside the app's ranges
	BadName                        // the name cannot be public
	Question                       // no credentials came, as in the first request of every RTSP encoder
	WrongKey                       // the credentials are not known
	BadToken                       // a token of ours that has expired, or is for something else
	Denied                         // the back end said no
	Unasked                        // the back end or the public keys could not be reached, or made no sense
	Paused                         // too many wrong credentials before
	NumOutcomes
)

// String returns the outcome as a metric label: one word.
func (o Outcome) String() string {
	return [...]string{"open", "key", "token", "callback",
		"unknown_app", "no_keys", "wrong_address", "bad_name", "question", "wrong_key", "bad_token", "denied", "unavailable", "paused"}[o]
}

// Granted reports whether the publisher was admitted.
func (o Outcome) Granted() bool { return o < UnknownApp }

// counts reports whether an outcome counts against its address and its secret.
func (o Outcome) counts() bool {
	switch o {
	case Question, WrongKey, Denied:
		return true
	}
	return false
}

// Stats may be read at any time.
type Stats struct {
	By           [NumOutcomes]atomic.Uint64 // requests to publish
	JWKSFetched  atomic.Uint64              // sets of public keys fetched
	JWKSFailures atomic.Uint64              // fetches that failed
}
