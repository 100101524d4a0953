// Package intake holds what cannot be written yet: a Gather holds a publisher's first frames until it is known which tracks there are; an
// Interleaver holds the track that is sent seconds before the other; a Lobby holds what waits for the picture with which it takes effect.
// Each copies what it holds, and is bounded. The package is a function of its input: it uses no clock, and refuses to write, to count and
// to log.
package intake
