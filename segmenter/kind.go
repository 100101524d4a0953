package segmenter

import "strconv"

// Kind tells what a path names.
type Kind uint8

// What stands under /{app}/streams/ (CONTRACT §1).
const (
	KindEntry   Kind = iota + 1 // streams/{stream}.m3u8 and streams/{stream}_adaptive.m3u8
	KindLive                    // streams/{stream}/{recording}/live.m3u8
	KindArchive                 // streams/{stream}-{recording}.m3u8
	KindSegment                 // streams/{stream}/{recording}/{sequence %09d}.ts

	KindLowLatencyEntry // streams/{stream}_ll.m3u8
	KindLowLatency      // streams/{stream}/{recording}/ll.m3u8
	KindPart            // streams/{stream}/{recording}/{sequence %09d}.{part}.ts

	KindCMAFEntry    // streams/{stream}_cmaf.m3u8
	KindCMAFArchive  // streams/{stream}-{recording}_cmaf.m3u8
	KindTrackLive    // streams/{stream}/{recording}/{v or a}/live.m3u8
	KindTrackArchive // streams/{stream}/{recording}/{v or a}/{archive}.m3u8
	KindFragment     // streams/{stream}/{recording}/{v or a}/{sequence %09d}.m4s
	KindFragmentPart // streams/{stream}/{recording}/{v or a}/{sequence %09d}.{part}.m4s
	KindInit         // streams/{stream}/{recording}/{v or a}/init-{crc32c %08x}.mp4
	KindDASHEntry    // streams/{stream}.mpd
	KindDASHArchive  // streams/{stream}-{recording}.mpd

	KindLowLatencyDASH // streams/{stream}_ll.mpd

	KindIFrames        // streams/{stream}/{recording}/iframes.m3u8
	KindIFramesArchive // streams/{stream}-{recording}_iframes.m3u8

	KindTrackIFrames        // streams/{stream}/{recording}/v/iframes.m3u8
	KindTrackIFramesArchive // streams/{stream}/{recording}/v/{archive}_iframes.m3u8
)

// This table says of every kind of object what it is served and stored as. Origin, mirror, repair, export and the store of
// a directory ask it, so that an object is the same wherever it comes from (CONTRACT §2).

// The Content-Type of what there is.
const (
	TypePlaylist = "application/vnd.apple.mpegurl"
	TypeSegment  = "video/mp2t"
	TypeVideo    = "video/mp4"
	TypeAudio    = "audio/mp4"
	TypeMPD      = "application/dash+xml"
)

// The Cache-Control of what does not depend on a target duration.
const (
	AgeSegment = "public, max-age=31536000, immutable" // a name is never used twice
	AgeEnded   = "public, max-age=60"                  // live playlist of an ended recording
	AgeSettled = "public, max-age=3600"                // finished timestamped playlist; a repair may still change it
	AgeGap     = "public, max-age=60"                  // what stands in for a lost segment, which a repair may put in its place
)

// AgeEdge is the Cache-Control of a low-latency playlist, whatever it was asked for by, and of a low-latency manifest. AWS MediaPackage says the same.
// Apple advises six target durations for what has delivery directives, since nobody is to ask for it again; but video.js (8.24) asks at the end of each
// segment for parts that it has, until it sees something new, and who was away for a moment would go through all that was missed. It is never no-store:
// caches without a least age would ask for it once for each viewer.
const AgeEdge = "public, max-age=1"

// ContentType is the MIME type of the kind's objects; for fragments and init segments, of video. See Name.ContentType.
func (k Kind) ContentType() string {
	switch k {
	case KindSegment, KindPart:
		return TypeSegment
	case KindFragment, KindFragmentPart, KindInit:
		return TypeVideo
	case KindDASHEntry, KindDASHArchive, KindLowLatencyDASH:
		return TypeMPD
	}
	return TypePlaylist
}

// Source is the kind of the transport stream object that an object of CMAF or DASH, or an I-frame playlist, is made of; of init
// segments, that of the segments; of everything else, the kind itself.
func (k Kind) Source() Kind {
	switch k {
	case KindCMAFEntry, KindDASHEntry, KindLowLatencyDASH:
		return KindEntry
	case KindCMAFArchive, KindDASHArchive, KindTrackArchive, KindIFramesArchive, KindTrackIFramesArchive:
		return KindArchive
	case KindTrackLive, KindIFrames, KindTrackIFrames:
		return KindLive
	case KindFragment, KindInit:
		return KindSegment
	case KindFragmentPart:
		return KindPart
	}
	return k
}

// Age is the Cache-Control of the kind's objects. At most half a target duration, in seconds, passes between a change and a
// viewer behind a cache seeing it. Settled says that nothing will change any more but by a repair.
func (k Kind) Age(targetDuration int, settled bool) string {
	if k == KindLowLatencyDASH {
		return AgeEdge
	}
	switch k = k.Source(); {
	case k == KindSegment, k == KindPart:
		return AgeSegment
	case (k == KindLive || k == KindLowLatency) && settled:
		return AgeEnded
	case k == KindArchive && settled:
		return AgeSettled
	case k == KindLowLatency:
		return AgeEdge
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
