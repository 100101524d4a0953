// Package grid holds what the rungs of a ladder agree on: the media instants at which all of them are cut, with which numbers, wall times,
// discontinuities and target duration, and which rungs are excluded because they cannot keep step. It learns all of that from the keyframes
// of the rungs. The package is a function of its input: it uses no clock, locks nothing, and refuses to know recordings, publishers and
// playlists.
package grid
