// Package vod makes an adaptive package of a file: one file in, and out come segments, media playlists and a multivariant playlist, with
// the names that Ittybit gives them (master.m3u8, 720p/stream.m3u8, 720p/segment-0.ts). It reads the file in ranges where the container
// allows it, runs ffmpeg for what has to be coded anew, and cuts and writes all segments by itself.
//
// A package is listed only when it is whole: segments are put first, playlists behind them, and master.m3u8 last of all.
//
// The package refuses to know where files come from and where packages go, to write anything on a disk, to remove anything, to try again, and
// to keep anything between two calls.
package vod

import (
	"context"
	"io"
	"time"
)

// Input is the file. It is read in ranges, from several goroutines at a time. Errors of ReadAt other than io.EOF are taken for the
// store's fault, not for the file's.
type Input interface {
	io.ReaderAt
	Size() int64
	Name() string // for messages only: it never becomes part of a command line
}

// Output takes the objects of the package. Keys are relative to it, with slashes: "master.m3u8", "720p/segment-0.ts".
type Output interface {
	// Put stores an object whole, over one of that name that may be there. Its body is in consecutive slices, which are valid until Put returns.
	// It is called from several goroutines at a time.
	Put(ctx context.Context, key, contentType string, body [][]byte) error
}

// Kind is what is done with the file.
type Kind string

// The kinds.
const (
	AdaptiveVideo Kind = "adaptive_video" // a ladder, coded anew
	Remux         Kind = "remux"          // one rung with the file's own pictures
)

// Rung is one rendition of a ladder. Width and Height are the box that the picture is fitted into, pixels; one of them may be 0, which
// is no bound. Where the picture stands upright, they are exchanged. Bit rates are in bits per second; 0: by the height.
type Rung struct {
	Name          string
	Width, Height int
	VideoBitrate  int
	AudioBitrate  int
}

// Options say what the package is to be. The zero value is a good one.
type Options struct {
	Ladder          []Rung        // empty: DefaultLadder. Rungs above the source are left out
	SegmentDuration time.Duration // 6s; at least 1s, at most 60s
	CMAF            bool          // fragmented MP4 beside the transport stream, with master_cmaf.m3u8 and manifest.mpd
	Poster          bool          // poster.jpg
	Thumbnails      bool          // thumbnails.vtt with its sprites
}

// Request is one package to be made.
type Request struct {
	Input   Input
	Output  Output
	Kind    Kind
	Options Options

	FFmpeg, FFprobe string // commands; "ffmpeg" and "ffprobe"
	Threads         int    // that ffmpeg may use for coding; 0: as many as it likes

	// Done are the rungs that an earlier call has finished, by name: they are not made again. It must have been called with the same
	// file, output and options.
	Done map[string]RungDone
	// Checkpoint is told of each rung when all of its segments are put. nil: nobody. An error ends the package.
	Checkpoint func(rung string, d RungDone) error
	// Progress is told how far it is, a few times a second, from one goroutine at a time; it must not wait. May be nil.
	Progress func(Progress)
}

// Progress is how far a package is.
type Progress struct {
	Stage string  // "probing", "transcoding", "packaging", "finishing"
	Done  float64 // 0 to 1, of the whole; it never falls within one call
}

// RungDone is what is known of a rung whose segments are put. It can be written as JSON.
type RungDone struct {
	Playlist  string  `json:"playlist"`            // of stream.m3u8
	CMAF      string  `json:"cmaf,omitempty"`      // of stream_cmaf.m3u8
	Segments  int     `json:"segments"`            // segment-0.ts and so on
	Bytes     int64   `json:"bytes"`               // of the transport stream
	Peak      int     `json:"peak"`                // the highest bit rate of a segment, bits per second
	Average   int     `json:"average"`             // bits per second
	Video     string  `json:"video,omitempty"`     // CODECS of the pictures (RFC 6381)
	Audio     string  `json:"audio,omitempty"`     // the same of the sound
	Width     int     `json:"width,omitempty"`     // pixels
	Height    int     `json:"height,omitempty"`    // pixels
	FrameRate float64 `json:"frameRate,omitempty"` // pictures per second; 0: not constant, or not known
	Range     string  `json:"range,omitempty"`     // VIDEO-RANGE: "PQ" or "HLG"
	Rate      int     `json:"rate,omitempty"`      // of the sound, Hz
	Channels  int     `json:"channels,omitempty"`  // of the sound
	Language  string  `json:"language,omitempty"`  // of the sound, as the file names it
	Title     string  `json:"title,omitempty"`     // of the sound
	Ticks     int64   `json:"ticks"`               // its duration, 90 kHz
	Start     int64   `json:"start"`               // decoding time of the first fragment, 90 kHz
}

// Result is a package that stands.
type Result struct {
	Duration time.Duration
	Rungs    []Made   // in the order of master.m3u8
	Objects  int      // that this call has put
	Bytes    int64    // in them
	Poster   string   // key; "": none
	Notes    []string // what was decided and may surprise: "the picture is turned upright by 90 degrees"
}

// Made is a rung of a Result.
type Made struct {
	Name string
	RungDone
}

// Refusal is the error where the file or the request is at fault: another try would end the same way.
type Refusal struct {
	Code   string // of a fixed set, for programs: see the constants
	Reason string // for a person, with what to do
}

func (r *Refusal) Error() string { return r.Reason }

// The codes of a Refusal.
const (
	CodeEmpty      = "empty"       // 0 bytes
	CodeNotMedia   = "not_media"   // no container that is known
	CodeTruncated  = "truncated"   // the file ends before what its index says
	CodeDamaged    = "damaged"     // it contradicts itself, or cannot be decoded
	CodeEncrypted  = "encrypted"   // it needs a password or a key
	CodeNoTracks   = "no_tracks"   // neither pictures nor sound
	CodeCodec      = "codec"       // a coding that has no form in the package
	CodeBadRequest = "bad_request" // options that cannot be met
)
