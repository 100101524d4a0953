package storage

import (
	"path"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Usual are the attributes that an object's name tells by itself: those of a segment whole, of a playlist but for its age.
func Usual(key string) Attributes {
	switch path.Ext(key) {
	case ".ts":
		return AttributesOf(segmenter.KindSegment, 0, true)
	case ".m3u8":
		return Attributes{ContentType: segmenter.TypePlaylist}
	case ".json":
		return Attributes{ContentType: "application/json"}
	}
	return Attributes{ContentType: "application/octet-stream"}
}

// AttributesOf are those of an object of a kind, of a recording with that target duration in seconds. Settled says that
// nothing will change any more but by a repair.
func AttributesOf(k segmenter.Kind, targetDuration int, settled bool) Attributes {
	return Attributes{ContentType: k.ContentType(), CacheControl: k.Age(targetDuration, settled)}
}
