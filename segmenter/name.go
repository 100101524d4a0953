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

// Track is one of the two tracks that CMAF serves apart.
type Track byte

// The tracks, as they stand in paths.
const (
	VideoTrack Track = 'v'
	AudioTrack Track = 'a'
)

// LowLatencyFile is the last element of a low-latency media playlist's path.
const LowLatencyFile = "ll.m3u8"

// IFramesFile is the last element of an I-frame playlist's path, beside the live media playlist.
const IFramesFile = "iframes.m3u8"

// Name is a parsed path. The URL path is the object key: this file alone knows its form.
type Name struct {
	Kind      Kind
	App       string
	Stream    string
	Recording RecordingID // not for entries
	Sequence  uint64      // KindSegment, KindPart, KindFragment and KindFragmentPart only
	Part      int         // KindPart and KindFragmentPart only
	Adaptive  bool        // KindEntry only: the _adaptive form
	Track     Track       // of the tracks' playlists, fragments and init segments
	Archive   RecordingID // KindTrackArchive and KindTrackIFramesArchive only: the timestamped playlist that it is a track of
	CRC32C    uint32      // KindInit only: of its bytes
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
	case KindIFrames:
		return n.App + "/streams/" + n.Stream + "/" + string(n.Recording) + "/" + IFramesFile
	case KindIFramesArchive:
		return n.App + "/streams/" + n.Stream + "-" + string(n.Recording) + iframesSuffix
	case KindCMAFEntry:
		return n.App + "/streams/" + n.Stream + "_cmaf.m3u8"
	case KindCMAFArchive:
		return n.App + "/streams/" + n.Stream + "-" + string(n.Recording) + "_cmaf.m3u8"
	case KindDASHEntry:
		return n.App + "/streams/" + n.Stream + ".mpd"
	case KindDASHArchive:
		return n.App + "/streams/" + n.Stream + "-" + string(n.Recording) + ".mpd"
	case KindTrackLive, KindTrackArchive, KindTrackIFrames, KindTrackIFramesArchive, KindFragment, KindFragmentPart, KindInit:
		return n.App + "/streams/" + n.Stream + "/" + string(n.Recording) + "/" + string(rune(n.Track)) + "/" + n.trackFile()
	case KindLowLatencyEntry:
		return n.App + "/streams/" + n.Stream + "_ll.m3u8"
	case KindLowLatencyDASH:
		return n.App + "/streams/" + n.Stream + "_ll.mpd"
	case KindLowLatency:
		return n.App + "/streams/" + n.Stream + "/" + string(n.Recording) + "/" + LowLatencyFile
	case KindPart:
		return n.App + "/streams/" + n.Stream + "/" + string(n.Recording) + "/" + PartFile(n.Sequence, n.Part)
	}
	return ""
}

// trackFile is the last element of the path of something of a track.
func (n Name) trackFile() string {
	switch n.Kind {
	case KindTrackArchive:
		return string(n.Archive) + ".m3u8"
	case KindTrackIFrames:
		return IFramesFile
	case KindTrackIFramesArchive:
		return string(n.Archive) + iframesSuffix
	case KindFragment:
		return FragmentFile(n.Sequence)
	case KindFragmentPart:
		return FragmentPartFile(n.Sequence, n.Part)
	case KindInit:
		return InitFile(n.CRC32C)
	}
	return "live.m3u8"
}

// InitFile is the last element of an init segment's path, "init-0a1b2c3d.mp4".
func InitFile(crc32c uint32) string {
	const digits = "0123456789abcdef"
	b := []byte("init-00000000.mp4")
	for i := range 8 {
		b[5+i] = digits[crc32c>>(28-4*i)&15]
	}
	return string(b)
}

// FragmentFile is the last element of a fragment's path, "000000042.m4s".
func FragmentFile(sequence uint64) string { return numbered(sequence, ".m4s") }

// FragmentPartFile is the last element of the path of a part of a fragment, "000000042.3.m4s".
func FragmentPartFile(sequence uint64, index int) string {
	return numbered(sequence, "."+strconv.Itoa(index)+".m4s")
}

// SegmentFile is the last element of a segment's path, "000000042.ts": the URI in the live playlist beside it.
func SegmentFile(sequence uint64) string { return numbered(sequence, ".ts") }

func numbered(sequence uint64, extension string) string {
	var b [48]byte
	i := len(b) - len(extension)
	copy(b[i:], extension)
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
	case IFramesFile:
		n.Kind = KindIFrames
		return n, true
	}
	if track, file, ok := strings.Cut(file, "/"); ok && (track == "v" || track == "a") {
		n.Track = Track(track[0])
		return n.parseTrack(file)
	}
	return parseMedia(n, file)
}

// parseMedia reads the name of a segment or a part.
func parseMedia(n Name, file string) (Name, bool) {
	ok := false
	if n.Sequence, ok = parseNumbered(file, ".ts"); ok {
		n.Kind = KindSegment
		return n, true
	}
	n.Kind = KindPart
	n.Sequence, n.Part, ok = parsePart(file, ".ts")
	return n, ok && PartFile(n.Sequence, n.Part) == file
}

// parsePart reads the numbers of a segment and of a part of it.
func parsePart(file, extension string) (sequence uint64, index int, ok bool) {
	digits, rest, _ := strings.Cut(file, ".")
	part, _ := strings.CutSuffix(rest, extension)
	p, err := strconv.ParseUint(part, 10, 31)
	sequence, ok = parseNumbered(digits+extension, extension)
	return sequence, int(p), ok && err == nil
}

// parseTrack reads the last element of the path of something of a track.
func (n Name) parseTrack(file string) (Name, bool) {
	ok := false
	if file == "live.m3u8" {
		n.Kind = KindTrackLive
		return n, true
	}
	if n.Track == VideoTrack {
		if file == IFramesFile {
			n.Kind = KindTrackIFrames
			return n, true
		}
		if id, isPictures := strings.CutSuffix(file, iframesSuffix); isPictures {
			n.Kind, n.Archive = KindTrackIFramesArchive, RecordingID(id)
			_, ok = n.Archive.Time()
			return n, ok
		}
	}
	if id, isPlaylist := strings.CutSuffix(file, ".m3u8"); isPlaylist {
		n.Kind, n.Archive = KindTrackArchive, RecordingID(id)
		_, ok = n.Archive.Time()
		return n, ok
	}
	if strings.HasPrefix(file, "init-") {
		digits, isInit := strings.CutSuffix(file[len("init-"):], ".mp4")
		crc, err := strconv.ParseUint(digits, 16, 32)
		n.Kind, n.CRC32C = KindInit, uint32(crc)
		return n, isInit && err == nil && InitFile(n.CRC32C) == file
	}
	n.Kind = KindFragment
	if n.Sequence, ok = parseNumbered(file, ".m4s"); ok {
		return n, true
	}
	n.Kind = KindFragmentPart
	n.Sequence, n.Part, ok = parsePart(file, ".m4s")
	return n, ok && FragmentPartFile(n.Sequence, n.Part) == file
}

// parseNumbered reads what numbered makes.
func parseNumbered(file, extension string) (sequence uint64, ok bool) {
	digits, ok := strings.CutSuffix(file, extension)
	if !ok || len(digits) < 9 {
		return 0, false
	}
	sequence, err := strconv.ParseUint(digits, 10, 63)
	return sequence, err == nil && numbered(sequence, extension) == file
}

func parsePlaylist(app, file string) (Name, bool) {
	if stem, ok := strings.CutSuffix(file, iframesSuffix); ok {
		if stream, id, ok := cutRecording(stem); ok {
			return Name{Kind: KindIFramesArchive, App: app, Stream: stream, Recording: id}, KnownStream(stream)
		}
	}
	entry, archive := KindEntry, KindArchive
	stem, ok := strings.CutSuffix(file, "_cmaf.m3u8")
	if ok {
		entry, archive = KindCMAFEntry, KindCMAFArchive
	} else if stem, ok = strings.CutSuffix(file, ".mpd"); ok {
		entry, archive = KindDASHEntry, KindDASHArchive
	} else if stem, ok = strings.CutSuffix(file, ".m3u8"); !ok {
		return Name{}, false
	}
	if stream, id, ok := cutRecording(stem); ok {
		return Name{Kind: archive, App: app, Stream: stream, Recording: id}, KnownStream(stream)
	}
	if stream, ok := strings.CutSuffix(stem, lowLatencySuffix); ok && entry == KindDASHEntry {
		return Name{Kind: KindLowLatencyDASH, App: app, Stream: stream}, KnownStream(stream)
	}
	if entry != KindEntry {
		return Name{Kind: entry, App: app, Stream: stem}, KnownStream(stem)
	}
	n := Name{Kind: KindEntry, App: app, Stream: stem}
	if stream, ok := strings.CutSuffix(stem, "_adaptive"); ok {
		n.Stream, n.Adaptive = stream, true
	} else if stream, ok := strings.CutSuffix(stem, lowLatencySuffix); ok {
		n.Stream, n.Kind = stream, KindLowLatencyEntry
	}
	return n, KnownStream(n.Stream)
}

// iframesSuffix ends the path of the I-frame playlist of a whole recording, and of that of its video track.
const iframesSuffix = "_iframes.m3u8"

// lowLatencySuffix makes a stream's name that of its low-latency entry, and of its low-latency manifest.
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
func ValidStream(s string) bool {
	for _, ours := range [...]string{lowLatencySuffix, "_cmaf", ".mpd"} {
		if strings.HasSuffix(s, ours) {
			return false
		}
	}
	if stem, ok := strings.CutSuffix(s+".m3u8", iframesSuffix); ok {
		if _, _, ok := cutRecording(stem); ok {
			return false
		}
	}
	return KnownStream(s)
}

// KnownStream tells whether s may name a stream that there are recordings of: a name that ValidStream allows, or did once.
func KnownStream(s string) bool {
	if !ValidName(s) {
		return false
	}
	for _, ours := range [...]string{".m3u8", ".ts", "_adaptive"} {
		if strings.HasSuffix(s, ours) {
			return false
		}
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

// ContentType is the MIME type of the object.
func (n Name) ContentType() string {
	if t := n.Kind.ContentType(); t != TypeVideo || n.Track == VideoTrack {
		return t
	}
	return TypeAudio
}

// Source is the name of the transport stream object that an object of CMAF or DASH is made of. An init segment is made of any
// segment of its recording.
func (n Name) Source() Name {
	source := Name{Kind: n.Kind.Source(), App: n.App, Stream: n.Stream, Recording: n.Recording, Sequence: n.Sequence, Part: n.Part, Adaptive: n.Adaptive}
	if n.Kind == KindTrackArchive || n.Kind == KindTrackIFramesArchive {
		source.Recording = n.Archive
	}
	return source
}
