package storage

import (
	"path"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Usual returns the attributes that follow from an object's name: all of a segment's, and a playlist's except for its age.
func Usual(key string) Attributes {
	switch path.Ext(key) {
	case ".ts":
		return AttributesOf(segmenter.KindSegment, 0, true)
	case ".m3u8":
		return Attributes{ContentType: segmenter.TypePlaylist}
	case ".m4s", ".mp4":
		if n, ok := segmenter.ParseName(key); ok {
			return Attributes{ContentType: n.ContentType(), CacheControl: n.Kind.Age(0, true)}
		}
	case ".mpd":
		return Attributes{ContentType: segmenter.TypeMPD}
	case ".json":
		return Attributes{ContentType: "application/json"}
	}
	return Attributes{ContentType: "application/octet-stream"}
}

// AttributesOf returns the attributes of an object of a kind, in a recording with that target duration in seconds. settled means that
// nothing will change any more, except by a repair.
func AttributesOf(k segmenter.Kind, targetDuration int, settled bool) Attributes {
	return Attributes{ContentType: k.ContentType(), CacheControl: k.Age(targetDuration, settled)}
}
