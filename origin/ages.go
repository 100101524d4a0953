package origin

import "strconv"

// How long caches may keep what. TD is EXT-X-TARGETDURATION, H half of it: at most half a target duration passes between
// a change and a viewer behind a cache seeing it. Every answer carries a Cache-Control, because a cache without one
// makes up its own: CloudFront's managed policies keep such an object for 24 hours.
const (
	ageSegment    = "public, max-age=31536000, immutable" // a name is never used twice
	ageEnded      = "public, max-age=60"                  // live playlist of an ended recording
	ageSettled    = "public, max-age=3600"                // finished timestamped playlist; a repair may still change it
	age404Next    = "max-age=1"                           // a segment of a running stream that is not there yet
	age404Entry   = "max-age=3"                           // a stream that is unknown, not started, or gone
	ageGap        = "public, max-age=60"                  // the empty segment in place of lost media
	age404Removed = "max-age=60"                          // what was there once, and what never can be
	ageNever      = "no-store"                            // every other error
)

// half is H in seconds.
func half(targetDuration int) int { return max(1, targetDuration/2) }

// ageMoving is for what changes with every segment.
func ageMoving(targetDuration int) string {
	return "public, max-age=" + strconv.Itoa(half(targetDuration))
}

// ageLive is for a live media playlist: should the origin fail, a cache may show the last one for as long as players
// would wait for the next anyway.
func ageLive(targetDuration int) string {
	return ageMoving(targetDuration) + ", stale-if-error=" + strconv.Itoa(max(1, targetDuration))
}
