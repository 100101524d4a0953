package segmenter

import (
	"strconv"
	"strings"
	"time"
)

// recordingLayout is the form of a recording id: its first frame's UTC instant to the millisecond.
const recordingLayout = "2006-01-02_15-04-05.000"

// RecordingID names one recording of a stream, "2023-08-24_16-02-52.970". Ids of one stream sort by time as text.
type RecordingID string

// NewRecordingID names the recording whose first frame came at t.
func NewRecordingID(t time.Time) RecordingID {
	return RecordingID(t.UTC().Format(recordingLayout))
}

// Time is the instant that the id names; false where the id is not one.
func (id RecordingID) Time() (time.Time, bool) {
	if len(id) != len(recordingLayout) || id[len("2006-01-02_15-04-05")] != '.' { // time.Parse takes a comma, too
		return time.Time{}, false
	}
	t, err := time.Parse(recordingLayout, string(id))
	return t, err == nil
}

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
)

// LowLatencyFile is the last element of a low-latency media playlist's path.
const LowLatencyFile = "ll.m3u8"

// Name is a parsed path. The URL path is the object key: this file alone knows its form.
type Name struct {
	Kind      Kind
	App       string
	Stream    string
	Recording RecordingID // not for KindEntry
	Sequence  uint64      // KindSegment and KindPart only
	Part      int         // KindPart only
	Adaptive  bool        // KindEntry only: the _adaptive form
}

// String is the path, without a leading slash.
func (n Name) String() string {
	switch n.Kind {
	case KindEntry:
		if n.Adaptive {
			return n.App + "/streams/" + n.Stream + "_adaptive.m3u8"
		}
		return n.App + "/streams/" + n.Stream + ".m3u8"
	case KindLive:
		return n.App + "/streams/" + n.Stream + "/" + string(n.Recording) + "/live.m3u8"
	case KindArchive:
		return n.App + "/streams/" + n.Stream + "-" + string(n.Recording) + ".m3u8"
	case KindSegment:
		return n.App + "/streams/" + n.Stream + "/" + string(n.Recording) + "/" + SegmentFile(n.Sequence)
	case KindLowLatencyEntry:
		return n.App + "/streams/" + n.Stream + "_ll.m3u8"
	case KindLowLatency:
		return n.App + "/streams/" + n.Stream + "/" + string(n.Recording) + "/" + LowLatencyFile
	case KindPart:
		return n.App + "/streams/" + n.Stream + "/" + string(n.Recording) + "/" + PartFile(n.Sequence, n.Part)
	}
	return ""
}

// SegmentFile is the last element of a segment's path, "000000042.ts": the URI in the live playlist beside it.
func SegmentFile(sequence uint64) string {
	var b [24]byte
	i := len(b) - len(".ts")
	copy(b[i:], ".ts")
	for digits := 0; digits < 9 || sequence > 0; digits++ {
		i--
		b[i] = byte('0' + sequence%10)
		sequence /= 10
	}
	return string(b[i:])
}

// ParseName reads a path without its leading slash. It accepts exactly what String makes: every object has one name.
func ParseName(path string) (Name, bool) {
	app, rest, ok := strings.Cut(path, "/streams/")
	if !ok || !ValidName(app) {
		return Name{}, false
	}
	stream, rest, nested := strings.Cut(rest, "/")
	if !nested {
		return parsePlaylist(app, stream)
	}
	id, file, ok := strings.Cut(rest, "/")
	n := Name{App: app, Stream: stream, Recording: RecordingID(id)}
	if _, isID := n.Recording.Time(); !ok || !isID || !KnownStream(stream) {
		return Name{}, false
	}
	switch file {
	case "live.m3u8":
		n.Kind = KindLive
		return n, true
	case LowLatencyFile:
		n.Kind = KindLowLatency
		return n, true
	}
	return parseMedia(n, file)
}

// parseMedia reads the name of a segment or a part.
func parseMedia(n Name, file string) (Name, bool) {
	stem, isTS := strings.CutSuffix(file, ".ts")
	digits, part, isPart := strings.Cut(stem, ".")
	if !isTS || len(digits) < 9 {
		return Name{}, false
	}
	seq, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return Name{}, false
	}
	n.Kind, n.Sequence = KindSegment, seq
	if isPart {
		p, err := strconv.ParseUint(part, 10, 31)
		n.Kind, n.Part = KindPart, int(p)
		return n, err == nil && PartFile(seq, n.Part) == file
	}
	return n, SegmentFile(seq) == file
}

func parsePlaylist(app, file string) (Name, bool) {
	stem, ok := strings.CutSuffix(file, ".m3u8")
	if !ok {
		return Name{}, false
	}
	if stream, id, ok := cutRecording(stem); ok {
		return Name{Kind: KindArchive, App: app, Stream: stream, Recording: id}, KnownStream(stream)
	}
	n := Name{Kind: KindEntry, App: app, Stream: stem}
	if stream, ok := strings.CutSuffix(stem, "_adaptive"); ok {
		n.Stream, n.Adaptive = stream, true
	} else if stream, ok := strings.CutSuffix(stem, lowLatencySuffix); ok {
		n.Stream, n.Kind = stream, KindLowLatencyEntry
	}
	return n, KnownStream(n.Stream)
}

// lowLatencySuffix makes a stream's name that of its low-latency entry.
const lowLatencySuffix = "_ll"

// cutRecording splits "{stream}-{recording}".
func cutRecording(s string) (stream string, id RecordingID, ok bool) {
	i := len(s) - len(recordingLayout) - 1
	if i < 1 || s[i] != '-' {
		return "", "", false
	}
	id = RecordingID(s[i+1:])
	_, ok = id.Time()
	return s[:i], id, ok
}

// ValidName tells whether s may name an app: [A-Za-z0-9][A-Za-z0-9_.-]{0,127} without "..".
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > 128 || strings.Contains(s, "..") {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return true
}

// ValidStream tells whether s may name a stream: a valid name that cannot be mistaken for a path of ours.
func ValidStream(s string) bool { return KnownStream(s) && !strings.HasSuffix(s, lowLatencySuffix) }

// KnownStream tells whether s may name a stream that there are recordings of: a name that ValidStream allows, or did once.
func KnownStream(s string) bool {
	if !ValidName(s) || strings.HasSuffix(s, ".m3u8") || strings.HasSuffix(s, ".ts") || strings.HasSuffix(s, "_adaptive") {
		return false
	}
	_, isID := RecordingID(s).Time()
	_, _, endsInID := cutRecording(s)
	return !isID && !endsInID
}

// ReservedApp tells whether an app may not have this name, because the server answers there itself.
func ReservedApp(s string) bool {
	switch s {
	case "healthz", "readyz", "metrics", "api":
		return true
	}
	return false
}

// This table says of every kind of object what it is served and stored as. Origin, mirror, repair, export and the store of
// a directory ask it, so that an object is the same wherever it comes from (CONTRACT §2).

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

// AgeEdge is the Cache-Control of a low-latency playlist as it is now.
const AgeEdge = "public, max-age=1"

// AgeAwaited is the Cache-Control of a low-latency playlist that has what its query asked for, by which no cache takes it for another.
// It is never no-store: caches without a least age would ask for it once for each viewer.
func AgeAwaited(targetDuration int) string {
	return "public, max-age=" + strconv.Itoa(6*max(1, targetDuration))
}

// ContentType is the MIME type of the kind's objects.
func (k Kind) ContentType() string {
	if k == KindSegment || k == KindPart {
		return TypeSegment
	}
	return TypePlaylist
}

// Age is the Cache-Control of the kind's objects. At most half a target duration, in seconds, passes between a change and a
// viewer behind a cache seeing it. Settled says that nothing will change any more but by a repair.
func (k Kind) Age(targetDuration int, settled bool) string {
	switch {
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
