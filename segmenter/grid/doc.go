// Package grid holds what the rungs of a ladder agree on: at which instants of media all of them are cut, with which
// numbers, wall times, discontinuities and target duration, and which rung stands outside because it cannot keep step. It
// learns all of that from the keyframes of the rungs. The package is a function of what it is told: it looks at no clock,
// locks nothing, and refuses to know recordings, publishers and playlists.
package grid
