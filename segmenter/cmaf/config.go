// Package cmaf renders what HLS says of a recording that is served as CMAF: the playlists of its tracks, and the multivariant
// playlists over them. They are functions of the transport stream's own playlists and of the heads of some segments, whoever
// has these: so they are the same from memory, from a bucket, and after a restart. It does no I/O, keeps no state, and refuses to
// know a segment that no playlist names.
package cmaf

import (
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Config is how segments that follow each other are coded, by the head of one of them.
type Config struct {
	Head         fmp4.Head
	video, audio Init
}

// Init is an init segment.
type Init struct {
	Body   []byte // nil: there is none
	CRC32C uint32 // by which it is named
}

// NewConfig makes the init segments of a head.
func NewConfig(h *fmp4.Head) *Config {
	c := &Config{Head: *h}
	if h.Video != nil {
		c.video = newInit(fmp4.AppendVideoInit(nil, h.Video))
	}
	if h.Audio != nil {
		c.audio = newInit(fmp4.AppendAudioInit(nil, *h.Audio))
	}
	return c
}

// Fill returns c with the tracks that it lacks and o has. Either may be nil.
func (c *Config) Fill(o *Config) *Config {
	switch {
	case c == nil:
		return o
	case o == nil || !c.Head.Lacks:
		return c
	}
	f := *c
	if f.video.Body == nil {
		f.video, f.Head.Video = o.video, o.Head.Video
	}
	if f.audio.Body == nil {
		f.audio, f.Head.Audio = o.audio, o.Head.Audio
	}
	f.Head.Lacks = o.Head.Lacks
	return &f
}

func newInit(body []byte) Init { return Init{body, mpegts.Checksum(body)} }

// Init is the init segment of a track; its Body is nil where the track is not there, also of a nil Config.
func (c *Config) Init(t segmenter.Track) Init {
	switch {
	case c == nil:
		return Init{}
	case t == segmenter.VideoTrack:
		return c.video
	}
	return c.audio
}

// Changes reports whether next has another init segment than c for a track that both have.
func (c *Config) Changes(next *Config) bool {
	other := func(a, b Init) bool { return a.Body != nil && b.Body != nil && a.CRC32C != b.CRC32C }
	return other(c.video, next.video) || other(c.audio, next.audio)
}

// Codecs is the CODECS attribute of both tracks (RFC 6381). HE-AAC is not told from its core: segments do not say it.
func (c *Config) Codecs() string {
	var names []string
	if c.Head.Video != nil {
		names = append(names, c.Head.Video.Name())
	}
	if c.Head.Audio != nil {
		names = append(names, c.Head.Audio.Name())
	}
	return strings.Join(names, ",")
}

// FrameRate is that of the video, pictures per second; 0 where it is not known.
func (c *Config) FrameRate() float64 {
	if c.Head.Video == nil {
		return 0
	}
	return codec.PlausibleRate(c.Head.Video.FrameRate)
}

// Stretch is rows without a discontinuity or another init segment between them, with how they are coded; nil where nothing of them can
// be read, and they are listed as gaps then.
type Stretch struct {
	Rows   []segmenter.Row
	Config *Config
	Of     segmenter.Row // the row whose segment Config is of, one of Rows

	// Last is how the last of Rows is coded, which may lack a track that the others have; nil: it is not known.
	Last *Config

	// Since is the number of the segment that the stretch began with, where that was for another init segment; 0: it began at a
	// discontinuity.
	Since uint64
	// Begun is when the stretch began, and Before the ticks of its rows that are no longer among Rows; the zero values: it is not
	// known, and Rows[0] stands for it.
	Begun  time.Time
	Before int64
}

// Ends reports whether the last row has nothing of a track that the others have.
func (s *Stretch) Ends(t segmenter.Track) bool {
	return s.Last != nil && s.Last.Init(t).Body == nil && s.Config.Init(t).Body != nil
}

// Split divides rows at their discontinuities.
func Split(rows []segmenter.Row) (runs [][]segmenter.Row) {
	from := 0
	for i := range rows {
		if rows[i].Discontinuity && i > from {
			runs = append(runs, rows[from:i])
			from = i
		}
	}
	if from < len(rows) {
		runs = append(runs, rows[from:])
	}
	return runs
}
