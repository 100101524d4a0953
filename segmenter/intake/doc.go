// Package intake holds what of a publisher cannot be written yet: a Gather its first frames, until it is known which tracks
// there are; an Interleaver the track that is sent seconds before the other; a Lobby what waits for a picture with which it
// takes effect. Each copies what it holds, and has its bounds. The package is a function of what it is given: it looks at no
// clock, and refuses to write, to count and to log.
package intake
