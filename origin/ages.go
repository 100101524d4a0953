package origin

// How long caches may keep what is no object, and what is not there; of objects see segmenter.Kind.Age. Every answer carries
// a Cache-Control, because a cache without one makes up its own: CloudFront's managed policies keep such an object for 24 hours.
const (
	age404Next    = "max-age=1"  // a segment of a running stream that is not there yet
	age404Entry   = "max-age=3"  // a stream that is unknown, not started, or gone
	age404Removed = "max-age=60" // what was there once, and what never can be
	ageNever      = "no-store"   // every other error
)
