//go:build linux

package load

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Playlist is the part of a media playlist that a player needs.
type Playlist struct {
	Sequence int64 // of the first segment
	Target   time.Duration
	Segments []Segment
	Ended    bool
}

// Segment is one entry.
type Segment struct {
	URI      string
	Duration time.Duration
}

// Next returns the sequence number after the last one listed.
func (p *Playlist) Next() int64 { return p.Sequence + int64(len(p.Segments)) }

var errNotHLS = errors.New("not a media playlist")

// ParsePlaylist parses a media playlist.
func ParsePlaylist(b []byte) (*Playlist, error) {
	p := &Playlist{}
	var duration time.Duration
	first := true
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if first && line != "#EXTM3U" {
			return nil, errNotHLS
		}
		first = false
		tag, value, _ := strings.Cut(line, ":")
		switch {
		case line == "":
		case tag == "#EXT-X-TARGETDURATION":
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, errNotHLS
			}
			p.Target = time.Duration(n * float64(time.Second))
		case tag == "#EXT-X-MEDIA-SEQUENCE":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, errNotHLS
			}
			p.Sequence = n
		case tag == "#EXTINF":
			value, _, _ = strings.Cut(value, ",")
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, errNotHLS
			}
			duration = time.Duration(n * float64(time.Second))
		case tag == "#EXT-X-ENDLIST":
			p.Ended = true
		case line[0] != '#':
			p.Segments = append(p.Segments, Segment{line, duration})
		}
	}
	if first {
		return nil, errNotHLS
	}
	return p, nil
}

// firstVariant returns the URI of a multivariant playlist's first variant, or "" for a media playlist.
func firstVariant(b []byte) string {
	variant := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#EXT-X-STREAM-INF"):
			variant = true
		case variant && line != "" && line[0] != '#':
			return line
		}
	}
	return ""
}
