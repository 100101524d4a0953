// Package pair is what two servers that are fed the same have to tell one another so that both make the same segments: where one of them
// began a segment, in which state, and what became of it; and where, in what the other is fed, that is. The package refuses to decide
// which of the two is shown to viewers, and to guess: bytes are matched with bytes.
package pair

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Report is what a server that has a stream tells one that stands by. All times are on the timeline of its own publisher, 90 kHz ticks.
type Report struct {
	Recording      string
	Fed            bool   // its publisher is there, and not silent
	Leaving        bool   // it is being drained: who stands by may go on at once
	Even           bool   // what it makes depends on what is published alone: AppOptions.Deterministic
	Settings       string // by which it cuts and packs: others make other segments
	TargetDuration int    // seconds
	PartTarget     int64  // ticks; 0: there are no parts
	Listed         uint64 // viewers are shown the numbers before it
	Boundaries     []Boundary
	Rows           []Row // the newest complete segments, oldest first
}

// Boundary is where a segment begins with a picture that a decoder can begin with.
type Boundary struct {
	Number   uint64
	At       int64  // decoding time of the picture
	Shown    int64  // how long after that it is shown
	Mark     string // of the picture: see Mark
	Program  string // of the tracks: see Program
	Metadata bool   // the program has timed metadata
	State    cut.State
	Muxer    mpegts.State
}

// Row is a complete segment.
type Row struct {
	Number        uint64
	Start         time.Time
	Duration      int64 // ticks
	Size          int64
	CRC32C        uint32
	Discontinuity bool
	Gap           bool
}

// Differs says why a segment is not the same on both servers; "" where it is.
func (r Row) Differs(own Row) string {
	switch {
	case r == own:
		return ""
	case r.Gap || own.Gap:
		return "one of the two is lost"
	case r.Discontinuity != own.Discontinuity:
		return "one of the two begins with a discontinuity"
	case r.Size != own.Size:
		return fmt.Sprintf("it has %d bytes there and %d here", r.Size, own.Size)
	case r.CRC32C != own.CRC32C:
		return fmt.Sprintf("its CRC-32C is %08x there and %08x here", r.CRC32C, own.CRC32C)
	case r.Duration != own.Duration:
		return fmt.Sprintf("it lasts %d ticks there and %d here", r.Duration, own.Duration)
	case !r.Start.Equal(own.Start):
		return fmt.Sprintf("it begins at %s there and at %s here", r.Start.UTC().Format(time.RFC3339Nano), own.Start.UTC().Format(time.RFC3339Nano))
	}
	return ""
}

// Mark identifies an access unit by its bytes.
func Mark(units [][]byte) string {
	h := sha256.New()
	var size [8]byte
	for _, u := range units {
		binary.BigEndian.PutUint64(size[:], uint64(len(u)))
		h.Write(size[:])
		h.Write(u)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Program identifies what tracks a decoder is set up for, those that are not nil.
func Program(video, audio *ingest.Track) string {
	h := sha256.New()
	for _, t := range []*ingest.Track{video, audio} {
		if t == nil {
			fmt.Fprint(h, "none;")
			continue
		}
		fmt.Fprintf(h, "%d %x %x %x %x %d %d;", t.Codec, t.VPS, t.SPS, t.PPS, t.ASC, t.SampleRate, t.Channels)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Limits of a Report: who stands by asks more often than segments begin.
const (
	maxBoundaries = 6  // the newest
	MaxRows       = 12 // the newest
)

// MaxBytes bounds a Report as JSON. Nothing in it grows with a window, a bit rate or a number of tracks.
const MaxBytes = maxBoundaries*maxBoundary + MaxRows*maxRow + maxRest

// Bytes of parts of a Report, with the longest numbers.
const (
	maxBoundary = 4 << 10
	maxRow      = 256
	maxRest     = 1 << 10 // names and settings
)

// Boundaries are the newest ones of a recording.
type Boundaries []Boundary

// Add notes a boundary.
func (b *Boundaries) Add(n Boundary) {
	if len(*b) >= maxBoundaries {
		*b = append((*b)[:0:0], (*b)[1:]...)
	}
	*b = append(*b, n)
}
