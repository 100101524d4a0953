package cloudfront

import (
	"slices"
	"time"
)

// What the origin's answers say (see docs/cloudfront.md), in seconds.
const (
	ageSegment  = 31536000 // a segment's name is never reused
	agePlaylist = 3600     // the longest of any playlist: a finished and uploaded one
)

const (
	connectionTimeout  = 1 // s: with 2, where a firewall swallows what is sent, players get a bucket's segments slower than they play them
	connectionAttempts = 2
	maxHold            = 25 // s: the origin awaits a first playlist for min(3 TD, this)
	readMargin         = 5  // s beyond the hold, for the round trip
	maxKeepAlive       = 60 // s: CloudFront's maximum without a quota increase
	abortUploadDays    = 1
	preflightAge       = 86400 // s: the longest browsers keep
)

// keepAliveMargin is how much earlier than the server CloudFront closes an idle connection. The other way round, a request could be in
// transit when the server closes: a needless 502.
const keepAliveMargin = 5 * time.Second

// errorAge is the minimum time for which CloudFront keeps an error.
type errorAge struct {
	Status, Seconds int
	Why             string
}

// errorAges leaves out 415, for which CloudFront accepts no such rule, and 416, which it never keeps. Without a rule it keeps an error for
// 10 s.
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

// lowLatencyAges are those that are other with low latency: the very request that is refused may be due a moment later, and whoever
// asks for it then must not be shown the refusal.
var lowLatencyAges = []errorAge{
	{400, 0, "what is asked for too early is due next"},
	{404, 1, "the same of a part that was hinted at; a stream that has not begun says 3 s itself"},
	{503, 0, "the same of what did not come in time"},
}

// errors are the ages of errors.
func (o Options) errors() []errorAge {
	ages := slices.Clone(errorAges)
	if !o.LowLatency {
		return ages
	}
	for _, low := range lowLatencyAges {
		ages[slices.IndexFunc(ages, func(e errorAge) bool { return e.Status == low.Status })] = low
	}
	return ages
}

// playlistQueries are the parameters that the origin knows; all others would only multiply copies.
var playlistQueries = []string{"start", "end", "time_delay", "aws.manifestfilter"}

// queries are the parameters that tell playlists apart.
func (o Options) queries() []string {
	list := slices.Clone(playlistQueries)
	if o.LowLatency {
		list = append(list, "_HLS_msn", "_HLS_part")
	}
	if o.LowLatency && o.DeltaUpdates {
		list = append(list, "_HLS_skip")
	}
	return list
}

// playlistsFrom are the statuses by which the bucket is asked for a playlist. With low latency 503 says that nothing new came in time:
// the bucket would answer with what is older still.
func (o Options) playlistsFrom() []int {
	if !o.LowLatency {
		return playlistFailover
	}
	return slices.DeleteFunc(slices.Clone(playlistFailover), func(status int) bool { return status == 503 })
}

// exposedHeaders are the fields that players may read.
var exposedHeaders = []string{"Content-Length", "Content-Range", "Date", "Age", "ETag"}

// preflightHeaders are the fields that a page may send with a request.
var preflightHeaders = []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "Cache-Control"}

// Statuses for which the bucket is asked in place of the origin. 404 is not among them for playlists: the bucket would answer with
// yesterday's show. A segment's name is never reused, so any copy is the right one.
var (
	playlistFailover = []int{500, 502, 503, 504}
	segmentFailover  = []int{403, 404, 500, 502, 503, 504}
)

// half returns how long the origin lets caches keep what changes with every segment: half the target duration, in seconds.
func (o Options) half() int { return max(1, o.TargetDuration/2) }

// readTimeout is in seconds, longer than the origin may hold a request for a first playlist.
func (o Options) readTimeout() int {
	return min(3*max(o.TargetDuration, o.MaxTargetDuration), maxHold) + readMargin
}

// keepAlive is in seconds, less than the server's own timeout.
func (o Options) keepAlive() int {
	if o.IdleTimeout == 0 {
		return maxKeepAlive
	}
	return min(int((o.IdleTimeout-keepAliveMargin)/time.Second), maxKeepAlive)
}

// How long the playlists of a package are kept: its folder may be removed and used again. Its segments are kept as those of a show are.
const (
	agePackage    = 10 // seconds, where the object says nothing
	maxAgePackage = 30 // seconds
)

// pattern is what CloudFront tells apart below a folder of packages.
type pattern struct {
	Files    string
	Playlist bool // it names others, and is kept as long as a package's playlist
	Compress bool
}

// packagePatterns is in the order in which CloudFront looks.
var packagePatterns = []pattern{{"*.m3u8", true, true}, {"*.mpd", true, true}, {"*", false, false}}
