// Package m3u8 renders and parses HLS playlists (RFC 8216, draft-pantos-hls-rfc8216bis-22): plain values in, bytes out. It knows the subset
// that this server publishes, keeps no state, does no I/O, and refuses to guess: for a playlist it cannot read it returns an error with the
// line.
package m3u8

import "time"

// Type is EXT-X-PLAYLIST-TYPE.
type Type uint8

// The playlist types; a sliding live playlist has none.
const (
	Sliding Type = iota
	Event
	VOD
)

// Segment is one media segment of a media playlist.
type Segment struct {
	URI             string
	Duration        int64     // 90 kHz ticks
	ProgramDateTime time.Time // zero: no tag
	Discontinuity   bool
	Gap             bool
	Map             string // URI of the init segment that holds from here on, EXT-X-MAP; "": that of the segment before
	// Size and CRC32C are written as a comment line before the URI if Size > 0, so that an archive can be verified using only its playlist.
	// Players skip comments (RFC 8216 4.1).
	Size   int64
	CRC32C uint32
	// Range is EXT-X-BYTERANGE, and MapRange the BYTERANGE of Map; the zero values: the whole.
	Range, MapRange Range
	// Ranges are the EXT-X-DATERANGE lines before the segment, each with its line end.
	Ranges string
}

// Range is a range of bytes.
type Range struct{ Offset, Length int64 }

// Media is a media playlist.
type Media struct {
	Type                  Type
	TargetDuration        int // seconds
	MediaSequence         uint64
	DiscontinuitySequence uint64
	IndependentSegments   bool
	IFramesOnly           bool // EXT-X-I-FRAMES-ONLY: each segment is one picture (RFC 8216 4.3.3.6)
	EndList               bool
	Running               string // date ranges that began before the first segment and go on, as Segment.Ranges; read, they are the first segment's
	Clip                  string // the recording that it is a clip of, in a comment; empty: it is none
	Segments              []Segment
	LowLatency            *Control // nil: it is an ordinary playlist, and has nothing of what follows

	Parts   [][]Part // of the last segments, one list for each
	Skipped int      // segments that a delta update leaves out: Segments are those behind them
	Edge    Segment  // what is known of the segment that is not complete
	AtEdge  []Part   // its parts; none: it does not show
	Hint    string   // URI of the part that comes next; empty: none does
	Reports []Report // of the other renditions
}

// Variant is one EXT-X-STREAM-INF of a multivariant playlist.
type Variant struct {
	URI              string
	Bandwidth        int // bits per second
	AverageBandwidth int // bits per second; 0: no attribute
	Codecs           string
	Width, Height    int     // 0: no RESOLUTION
	FrameRate        float64 // 0: no attribute
	VideoRange       string  // "PQ" or "HLG"; "": no attribute, which means SDR
	Audio            string  // GROUP-ID of a rendition; "": none
	ClosedCaptions   string  // GROUP-ID of captions, or NoCaptions; "": no attribute
}

// NoCaptions is the ClosedCaptions of a variant in a playlist of which no variant has any.
const NoCaptions = "NONE"

// Caption is one EXT-X-MEDIA of TYPE=CLOSED-CAPTIONS: captions that are in the video of the variants that name their group.
type Caption struct {
	GroupID, Name, Language string
	InstreamID              string // "CC1" to "CC4" of CEA-608, "SERVICE1" to "SERVICE63" of CEA-708
	Default, AutoSelect     bool
}

// Rendition is one EXT-X-MEDIA of TYPE=AUDIO.
type Rendition struct {
	GroupID, Name, Language string
	Default, AutoSelect     bool
	URI                     string // "": carried in the variant itself
}

// SessionData is one EXT-X-SESSION-DATA with a value (rfc8216bis 4.4.6.4).
type SessionData struct {
	ID, Value string
	Language  string // "": not said
}

// Master is a multivariant playlist.
type Master struct {
	IndependentSegments bool
	Clip                string // the recording that it is a clip of, in a comment; empty: it is none
	SessionData         []SessionData
	Renditions          []Rendition
	Captions            []Caption
	Variants            []Variant
	IFrames             []Variant // the EXT-X-I-FRAME-STREAM-INF, which have neither FRAME-RATE nor groups
}

// clipPrefix begins the comment that says of which recording a playlist is a clip.
const clipPrefix = "# clip of: "

func appendClip(b []byte, of string) []byte {
	if of == "" {
		return b
	}
	b = append(b, clipPrefix...)
	b = append(b, of...)
	return append(b, '\n')
}
