package vod

import "strconv"

// The names of a package's objects, relative to it. Those of the transport stream are Ittybit's.
const (
	masterName     = "master.m3u8"
	streamName     = "stream.m3u8"
	cmafMasterName = "master_cmaf.m3u8"
	cmafStreamName = "stream_cmaf.m3u8"
	manifestName   = "manifest.mpd"
	initName       = "init.mp4"
	posterName     = "poster.jpg"
	thumbsName     = "thumbnails.vtt"
	soundName      = "audio"
)

const (
	typePlaylist = "application/vnd.apple.mpegurl"
	typeTS       = "video/mp2t"
	typeDASH     = "application/dash+xml"
	typeJPEG     = "image/jpeg"
	typeVTT      = "text/vtt"
)

func typeMP4(sound bool) string {
	if sound {
		return "audio/mp4"
	}
	return "video/mp4"
}

// segmentName is the name of a rung's segment.
func segmentName(n int, ending string) string { return "segment-" + strconv.Itoa(n) + "." + ending }

// spriteName is the name of a sheet of thumbnails.
func spriteName(n int) string { return "thumbnails-" + strconv.Itoa(n) + ".jpg" }
