// Package segmenter turns one publisher's frames into a recording: it cuts segments, muxes them, and publishes an
// immutable snapshot of the timeline for each change, with its playlists already rendered. The goroutine that reads the
// publisher's socket does all of this; there is none of the package's own. It refuses to do I/O of any kind, to look at
// a wall clock, and to wait for anyone who reads.
package segmenter
