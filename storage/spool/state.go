package spool

import (
	"time"
)

// ID names a recording.
type ID struct{ App, Stream, Recording string }

// Meta is what is known about a recording as a whole.
type Meta struct {
	TargetDuration   int     `json:"target_duration"` // seconds
	Bandwidth        int     `json:"bandwidth,omitempty"`
	AverageBandwidth int     `json:"average_bandwidth,omitempty"`
	Codecs           string  `json:"codecs,omitempty"`
	Width            int     `json:"width,omitempty"`
	Height           int     `json:"height,omitempty"`
	FrameRate        float64 `json:"frame_rate,omitempty"`
	VideoBitrate     int     `json:"video_bitrate,omitempty"`
	VideoCodec       string  `json:"video_codec,omitempty"`
	AudioCodec       string  `json:"audio_codec,omitempty"`
	Window           int     `json:"window,omitempty"` // segments in the live playlist
}

// Row is one segment of a recording.
type Row struct {
	Sequence              uint64
	Start                 time.Time
	Duration              int64 // 90 kHz ticks
	Size                  int64 // bytes
	CRC32C                uint32
	Discontinuity         bool
	Independent           bool
	Gap                   bool
	DiscontinuitySequence uint64

	Confirmed uint8 // bit t: target t holds it
	Dropped   bool  // the bytes are gone
	File      bool  // a file is in the folder; told by the folder, not by the journal
}

// Split is one timestamped playlist of a recording.
type Split struct {
	First uint64 // number of its first segment
	Name  string // recording id, or the instant of its first segment in the same form
	Final uint8  // bit t: target t holds the finished playlist
}

// State is all that a journal says.
type State struct {
	ID         ID
	Meta       Meta
	Base       uint64 // number of Rows[0]
	Rows       []Row  // without holes
	Splits     []Split
	Next       uint64 // the first number never opened
	LastFrame  time.Time
	Superseded bool
	Ended      bool
	// Journaled is how many of the rows stand in the journal. The rest are gaps for numbers that were opened and never
	// came that far.
	Journaled int

	boot   string // of the last session
	sync   Sync
	synced bool
	begun  bool
}

// fill makes a gap of every number that was opened and has no row, so that none of them is used again.
func (s *State) fill() {
	s.Journaled = len(s.Rows)
	if len(s.Rows) == 0 {
		return
	}
	for s.Base+uint64(len(s.Rows)) < s.Next {
		last := s.Rows[len(s.Rows)-1]
		gap := Row{
			Sequence: last.Sequence + 1,
			Start:    last.Start.Add(time.Duration(last.Duration) * time.Second / 90000),
			Duration: last.Duration, // nobody knows better; the next segment is a discontinuity anyway
			Gap:      true, Dropped: true,
			DiscontinuitySequence: last.DiscontinuitySequence,
		}
		if last.Discontinuity {
			gap.DiscontinuitySequence++
		}
		s.Rows = append(s.Rows, gap)
	}
}

// trusted tells whether the journal can be missing what was appended last: without syncing, after another boot.
func (s *State) trusted(boot string) bool {
	return s.sync != Never || s.synced || boot != "" && s.boot == boot
}
