//go:build linux

package load

import "github.com/hlsorigin/hlsorigin/bench/stat"

// Took records how long viewers waited, from the request to the last byte.
type Took struct {
	Playlist, Segment stat.Histogram
}
