package rtmpclient

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// Clip is an FLV file in memory. Any number of sources may play it at the same time.
type Clip struct {
	tags   []Tag
	period float64 // milliseconds from one round to the next
}

var errNotFLV = errors.New("not an FLV file, or cut short")

// ParseFLV reads a whole FLV file; the clip refers to b.
func ParseFLV(b []byte) (*Clip, error) {
	if len(b) < 9 || string(b[:3]) != "FLV" {
		return nil, errNotFLV
	}
	offset := int(binary.BigEndian.Uint32(b[5:])) + 4
	if offset > len(b) || offset < 13 {
		return nil, errNotFLV
	}
	c := &Clip{}
	for b = b[offset:]; len(b) > 0; {
		if len(b) < 11 {
			return nil, errNotFLV
		}
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if len(b) < 11+size+4 {
			return nil, errNotFLV
		}
		c.tags = append(c.tags, Tag{
			Type:      b[0] & 0x1f,
			Timestamp: uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]),
			Data:      b[11 : 11+size],
		})
		b = b[11+size+4:]
	}
	audio, video := c.length(8), c.length(9)
	if c.period = max(audio, video); video > 0 && math.Abs(audio-video) < 1 {
		// Both are the same except for rounding to milliseconds, which affects AAC's frames more than pictures.
		c.period = video
	}
	if c.period == 0 {
		return nil, errors.New("the FLV file has no frames")
	}
	return c, nil
}

// length returns the duration of one kind of frame in milliseconds: as many average intervals as there are frames.
func (c *Clip) length(kind uint8) float64 {
	var first, last uint32
	n := 0
	for _, t := range c.tags {
		if t.Type != kind || t.header() {
			continue
		}
		if n++; n == 1 {
			first = t.Timestamp
		}
		last = t.Timestamp
	}
	if n < 2 {
		return 0
	}
	return float64(last-first) / float64(n-1) * float64(n)
}

// header reports whether t is a sequence header, an end of sequence, or metadata, which is sent only in the first round.
func (t Tag) header() bool {
	switch {
	case len(t.Data) < 2:
		return true
	case t.Type == 9 && t.Data[0]&0x80 != 0:
		return t.Data[0]&0x0f == 0 || t.Data[0]&0x0f == 2
	case t.Type == 9:
		return t.Data[1] != 1
	case t.Type == 8:
		return t.Data[0]>>4 == 10 && t.Data[1] == 0
	}
	return true
}

// Tags returns the tags of one round.
func (c *Clip) Tags() []Tag { return c.tags }

// Loop returns a source that plays the clip for a number of rounds, or forever if rounds is 0, with continuous times.
func (c *Clip) Loop(rounds int) Source { return &loop{clip: c, rounds: rounds} }

type loop struct {
	clip          *Clip
	rounds, round int
	next          int
}

func (l *loop) Next() (Tag, error) {
	for {
		if l.next == len(l.clip.tags) {
			l.next = 0
			if l.round++; l.round == l.rounds {
				return Tag{}, io.EOF
			}
		}
		t := l.clip.tags[l.next]
		l.next++
		if l.round > 0 && t.header() {
			continue
		}
		t.Timestamp += uint32(uint64(math.Round(float64(l.round) * l.clip.period)))
		return t, nil
	}
}
