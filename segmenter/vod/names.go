package vod

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

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

	recordings = "streams" // a folder of recordings beside a package, and so no rung
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

// Own reports whether a key relative to a package is the name of one of its objects, or could be, whatever its rungs are called. All else
// is somebody else's, a package in a folder below too.
func Own(key string) bool {
	folder, name, in := strings.Cut(key, "/")
	if !in {
		return slices.Contains([]string{masterName, cmafMasterName, manifestName, posterName, thumbsName}, folder) || numbered(folder, "thumbnails-", ".jpg")
	}
	return folder != "" && folder != recordings && (name == streamName || name == cmafStreamName || name == initName || numbered(name, "segment-", ".ts") || numbered(name, "segment-", ".m4s"))
}

// numbered reports whether a name is a number between two texts.
func numbered(name, before, ending string) bool {
	n, is := strings.CutPrefix(strings.TrimSuffix(name, ending), before)
	return is && path.Ext(name) == ending && n != "" && strings.Trim(n, "0123456789") == ""
}

// segmentName is the name of a rung's segment.
func segmentName(n int, ending string) string { return "segment-" + strconv.Itoa(n) + "." + ending }

// spriteName is the name of a sheet of thumbnails.
func spriteName(n int) string { return "thumbnails-" + strconv.Itoa(n) + ".jpg" }
