package cloudfront

import "time"

// What the origin says about its answers (see docs/cloudfront.md), in seconds.
const (
	ageSegment  = 31536000 // a segment's name is never used twice
	agePlaylist = 3600     // the longest any playlist says: one that is finished and uploaded
)

const (
	connectionTimeout  = 1 // s: with 2, where a firewall swallows what is sent, players get a bucket's segments slower than they play them
	connectionAttempts = 2
	maxHold            = 25 // s: the origin awaits a first playlist for min(3 TD, this)
	readMargin         = 5  // s beyond the hold, for the way there and back
	maxKeepAlive       = 60 // s: what CloudFront allows without being asked for more
	abortUploadDays    = 1
	preflightAge       = 86400 // s: the longest browsers keep
)

// keepAliveMargin is how much earlier than the server CloudFront gives a connection up. Were it the other way round, a
// request could be on its way when the server closes: a 502 for nothing.
const keepAliveMargin = 5 * time.Second

// errorAge is for how long CloudFront keeps an error at least.
type errorAge struct {
	Status, Seconds int
	Why             string
}

// errorAges leave out 415, for which CloudFront takes no such rule, and 416, which it never keeps. Without a rule it keeps
// an error for 10 s.
var errorAges = []errorAge{
	{400, 10, "a bad query is as bad 10 s later"},
	{403, 1, "heals when the secret, or the bucket's policy, has reached everybody"},
	{404, 3, "a stream that has not begun: its viewers see the start within 3 s"},
	{405, 10, "the request's own fault"},
	{414, 10, "the request's own fault"},
	{500, 1, "where a copy is in the cache, it is shown meanwhile"},
	{502, 1, "the same"},
	{503, 1, "the same: the origin is overloaded, and one request a second and edge does not add to it"},
	{504, 1, "the same"},
}

// playlistQueries are the parameters that the origin knows; all others would only make copies.
var playlistQueries = []string{"start", "end", "time_delay", "aws.manifestfilter"}

// exposedHeaders are the fields that players may read.
var exposedHeaders = []string{"Content-Length", "Content-Range", "Date", "Age", "ETag"}

// preflightHeaders are the fields that a page may send with a request.
var preflightHeaders = []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "Cache-Control"}

// Statuses by which the bucket is asked in place of the origin. A 404 of a playlist is not among them: the bucket would
// answer it with yesterday's show. A segment's name is never used twice, so that any copy is the right one.
var (
	playlistFailover = []int{500, 502, 503, 504}
	segmentFailover  = []int{403, 404, 500, 502, 503, 504}
)

// half is for how long the origin lets caches keep what changes with every segment: half the target duration, in seconds.
func (o Options) half() int { return max(1, o.TargetDuration/2) }

// readTimeout is in seconds, longer than the origin may hold a request for a first playlist.
func (o Options) readTimeout() int {
	return min(3*max(o.TargetDuration, o.MaxTargetDuration), maxHold) + readMargin
}

// keepAlive is in seconds, less than the server's own patience.
func (o Options) keepAlive() int {
	if o.IdleTimeout == 0 {
		return maxKeepAlive
	}
	return min(int((o.IdleTimeout-keepAliveMargin)/time.Second), maxKeepAlive)
}
