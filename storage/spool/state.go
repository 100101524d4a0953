package spool

import (
	"crypto/sha256"
	"math"
	"strings"
	"time"
)

// ID identifies a recording.
type ID struct{ App, Stream, Recording string }

// Meta is what is known about a recording as a whole.
type Meta struct {
	TargetDuration   int     `json:"target_duration"`       // seconds
	PartTarget       int     `json:"part_target,omitempty"` // 90 kHz ticks; 0: it has no parts
	Bandwidth        int     `json:"bandwidth,omitempty"`
	AverageBandwidth int     `json:"average_bandwidth,omitempty"`
	Codecs           string  `json:"codecs,omitempty"`
	Width            int     `json:"width,omitempty"`
	Height           int     `json:"height,omitempty"`
	FrameRate        float64 `json:"frame_rate,omitempty"`
	VideoBitrate     int     `json:"video_bitrate,omitempty"`
	VideoCodec       string  `json:"video_codec,omitempty"`
	AudioCodec       string  `json:"audio_codec,omitempty"`
	VideoRange       string  `json:"video_range,omitempty"` // "PQ", "HLG"; empty: SDR
	CaptionsSent     bool    `json:"captions_sent,omitempty"`
	IFrameBandwidth  int     `json:"iframe_bandwidth,omitempty"`
	CaptionChannels  uint32  `json:"caption_channels,omitempty"` // as bits
	Window           int     `json:"window,omitempty"`           // segments in the live playlist
	Base             *uint64 `json:"base,omitempty"`             // number of the first row; nil: that of the first existing one
	Handed           bool    `json:"handed,omitempty"`           // another server is in step with it, and finishes the segment that is being written
	Node             string  `json:"node,omitempty"`             // under which name the server claimed the stream; empty: it claimed none
}

// valid reports whether it can be what an encoder sent. Its texts appear in playlists unchanged.
func (m *Meta) valid() bool {
	for _, n := range []int{m.TargetDuration, m.PartTarget, m.Bandwidth, m.AverageBandwidth, m.Width, m.Height, m.VideoBitrate, m.IFrameBandwidth, m.Window} {
		if n < 0 || n > math.MaxInt32 {
			return false
		}
	}
	for _, text := range []string{m.Codecs, m.VideoCodec, m.AudioCodec, m.VideoRange, m.Node} {
		if len(text) > 256 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
			return false
		}
	}
	return m.FrameRate >= 0 && m.FrameRate <= 1e6
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
	Cues, Running         string // lines of its playlist, as segmenter.Row has them

	// Unknown means that only the number is known: the journal's record is damaged, or was never written. Start and Duration are then
	// estimates.
	Unknown bool

	Confirmed uint8 // bit t: target t holds it
	Tracks    uint8 // bit t: target t holds it as CMAF, or nothing can be made of it
	Coding    Coding
	Dropped   bool // the bytes are lost
	File      bool // there is a file in the folder; from the folder, not the journal
}

// Coding is how a segment is coded as CMAF, by the CRC-32C of the init segments of its tracks; 0: there is no such track.
type Coding struct{ Video, Audio uint32 }

// Split is one timestamped playlist of a recording.
type Split struct {
	First uint64 // number of its first segment
	Name  string // recording ID, or the instant of its first segment in the same form
	Final uint8  // bit t: target t holds the finished playlist
}

// Ladder is what a journal says about a ladder: its newest multivariant playlists. Its rungs are recordings with their own journals.
type Ladder struct {
	TargetDuration int      `json:"target_duration"`       // seconds
	Entry          string   `json:"entry"`                 // the stable entry
	Archive        string   `json:"archive"`               // the timestamped playlist
	Names          []string `json:"names,omitempty"`       // of the timestamped playlists, one for each split
	LowLatency     bool     `json:"low_latency,omitempty"` // the stable entry has a low-latency one beside it
	Node           string   `json:"node,omitempty"`        // as in Meta
}

// Doubt is a write of a playlist that got no answer.
type Doubt struct {
	Target int
	Key    string
	Body   [sha256.Size]byte // of the written body
}

// State is everything that a journal says.
type State struct {
	ID         ID
	Meta       Meta
	Base       uint64 // number of Rows[0]
	Guessed    bool   // Base is the lowest known number; there may have been lower ones
	Rows       []Row  // without holes
	Splits     []Split
	Next       uint64 // the first number never opened
	LastFrame  time.Time
	Superseded bool
	StoodDown  uint8 // bit t: another server has the stream in target t
	Ended      bool
	Damage     []Damage // stretches that could not be read
	Ladder     *Ladder  // the folder is a ladder's; nil: a recording's
	Doubts     []Doubt
	Later      []byte // records of kinds that only a later version knows

	boot   string // of the last session
	sync   Sync
	synced bool
	begun  bool
	first  uint64 // the first number opened

	unknown, spans, searched int // cost of reading so far, see maxUnknown, maxSpans, maxSearch
}

// fill adds a row for every number that was opened and has none, so that it is never used again. Nothing else is known about it.
func (s *State) fill() {
	if len(s.Rows) == 0 {
		if !s.hasBase() || s.Next <= s.Base || s.Next-s.Base > maxSkip {
			return
		}
	}
	for s.Base+uint64(len(s.Rows)) < s.Next {
		s.Rows = append(s.Rows, Row{Sequence: s.Base + uint64(len(s.Rows)), Unknown: true})
	}
	s.mend()
}

func (s *State) hasBase() bool { return s.Meta.Base != nil }

// mend adds missing rows at the beginning, and estimates the times and durations of unknown rows: they share what lies between their
// neighbours.
func (s *State) mend() {
	if s.hasBase() && *s.Meta.Base < s.Base && s.Base-*s.Meta.Base <= maxSkip && len(s.Rows) > 0 {
		var first []Row
		for seq := *s.Meta.Base; seq < s.Base; seq++ {
			first = append(first, Row{Sequence: seq, Unknown: true})
		}
		s.Rows, s.Base = append(first, s.Rows...), *s.Meta.Base
	} else if s.hasBase() && len(s.Rows) == 0 {
		s.Base = *s.Meta.Base
	}
	for i := 0; i < len(s.Rows); {
		n := i
		for n < len(s.Rows) && s.Rows[n].Unknown {
			n++
		}
		if n > i {
			s.estimate(i, n)
		}
		i = n + 1
	}
}

// usualDuration is the assumed duration of a segment if no other is known, in 90 kHz ticks.
const usualDuration = 2 * 90000

// estimate dates the unknown rows from i to n.
func (s *State) estimate(i, n int) {
	d, start := int64(usualDuration), time.Time{}
	if i > 0 {
		before := &s.Rows[i-1]
		d, start = before.Duration, before.end()
		if before.Discontinuity {
			s.Rows[i].DiscontinuitySequence = before.DiscontinuitySequence + 1
		} else {
			s.Rows[i].DiscontinuitySequence = before.DiscontinuitySequence
		}
	}
	breaks := uint64(0) // among them
	if n < len(s.Rows) {
		after := &s.Rows[n]
		if i == 0 {
			d, start = after.Duration, after.Start.Add(-ticks(after.Duration*int64(n)))
			s.Rows[i].DiscontinuitySequence = after.DiscontinuitySequence
		} else if between := after.Start.Sub(start); between > 0 {
			if share := int64(between) * 9 / 100000 / int64(n-i); share < 2*d {
				d = max(share, 1)
			}
		}
		if was := s.Rows[i].DiscontinuitySequence; after.DiscontinuitySequence > was {
			breaks = after.DiscontinuitySequence - was
		}
	}
	if start.IsZero() {
		start, _ = time.Parse("2006-01-02_15-04-05.000", s.ID.Recording)
	}
	for k := i; k < n; k++ {
		r := &s.Rows[k]
		if k > i {
			r.DiscontinuitySequence = s.Rows[k-1].DiscontinuitySequence
			if s.Rows[k-1].Discontinuity {
				r.DiscontinuitySequence++
			}
		}
		r.Discontinuity = breaks > 0
		if breaks > 0 {
			breaks--
		}
		r.Start, r.Duration = start, d
		start = r.end()
	}
}

func (r *Row) end() time.Time { return r.Start.Add(ticks(r.Duration)) }

// ticks converts 90 kHz ticks to a duration.
func ticks(n int64) time.Duration { return time.Duration(n) * 100000 / 9 }

// trusted reports whether the journal is complete. It may lack what was appended last, if it was not synced and the machine was rebooted.
func (s *State) trusted(boot string) bool {
	return s.sync == Always || s.sync == Segment || s.synced || boot != "" && s.boot == boot
}
