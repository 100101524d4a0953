package segmenter

import "strconv"

// This table says of every kind of object what it is served and stored as. Origin, mirror, repair, export and the store of
// a directory ask it, so that an object is the same wherever it comes from (CONTRACT §2). Its name is in name.go.

// The Content-Type of what there is.
const (
	TypePlaylist = "application/vnd.apple.mpegurl"
	TypeSegment  = "video/mp2t"
)

// The Cache-Control of what does not depend on a target duration.
const (
	AgeSegment = "public, max-age=31536000, immutable" // a name is never used twice
	AgeEnded   = "public, max-age=60"                  // live playlist of an ended recording
	AgeSettled = "public, max-age=3600"                // finished timestamped playlist; a repair may still change it
	AgeGap     = "public, max-age=60"                  // what stands in for a lost segment, which a repair may put in its place
)

// ContentType is the MIME type of the kind's objects.
func (k Kind) ContentType() string {
	if k == KindSegment {
		return TypeSegment
	}
	return TypePlaylist
}

// Age is the Cache-Control of the kind's objects. At most half a target duration, in seconds, passes between a change and a
// viewer behind a cache seeing it. Settled says that nothing will change any more but by a repair.
func (k Kind) Age(targetDuration int, settled bool) string {
	switch {
	case k == KindSegment:
		return AgeSegment
	case k == KindLive && settled:
		return AgeEnded
	case k == KindArchive && settled:
		return AgeSettled
	case k == KindLive:
		// Should the origin fail, a cache may show the last one for as long as players would wait for the next anyway.
		return AgeMoving(targetDuration) + ", stale-if-error=" + strconv.Itoa(max(1, targetDuration))
	}
	return AgeMoving(targetDuration)
}

// AgeMoving is the Cache-Control of what changes with the segments.
func AgeMoving(targetDuration int) string {
	return "public, max-age=" + strconv.Itoa(max(1, targetDuration/2))
}
