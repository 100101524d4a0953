package normalise

import (
	"bytes"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Limits of what is held at the beginning of a connection, to learn how it sends.
const (
	learnPictures = 8                      // pictures to learn from
	learnTime     = 500 * time.Millisecond // of arrival, or of media if that comes faster

	// It goes on while composition offsets still reach new lows.
	learnOffsets     = 32 // pictures
	learnOffsetsTime = 1500 * time.Millisecond

	learnBytes    = 4 << 20
	learnMessages = 512
)

// hold keeps copies of the first messages of a connection, in order of arrival. It learns from them whether a message is a picture, and by
// how much DTS must be lowered.
type hold struct {
	retained bool
	memory   *ingest.Memory
	full     bool // there was no room for more
	items    []held
	bytes    int
	first    [2]int64 // first timestamp of video, audio
	any      [2]bool
	span     int64 // ticks, the longer of both tracks

	pictures int
	dts      int64 // of the newest picture
	split    bool  // a picture came in several messages
	lowest   int64 // composition offset, at most 0
	lowestAt int   // the picture with that offset
}

type held struct {
	isVideo bool
	video   Video
	audio   Audio
}

func (h *hold) video(m *Video) {
	v := *m
	if !h.retained {
		v.Units = make([][]byte, len(m.Units))
		for i, u := range m.Units {
			v.Units[i] = bytes.Clone(u)
		}
	}
	n := 0
	for _, u := range m.Units {
		n += len(u)
	}
	h.take(n)
	h.items = append(h.items, held{isVideo: true, video: v})
	h.extend(0, m.DTS)

	s := m.Codec.Survey(m.Units)
	switch role(s, h.pictures > 0, m.DTS-h.dts) {
	case continuation, suffix:
		h.split = true
	case picture:
		h.pictures++
		h.dts = m.DTS
		if offset := m.PTS - m.DTS; offset < h.lowest && offset >= -maxLower {
			h.lowest, h.lowestAt = offset, h.pictures
		}
	}
}

func (h *hold) audio(m *Audio) {
	a := *m
	if !h.retained {
		a.Data = bytes.Clone(m.Data)
	}
	h.take(len(m.Data))
	h.items = append(h.items, held{audio: a})
	h.extend(1, m.PTS)
}

// take accounts for n held bytes, for a moment even if there is no room for them.
func (h *hold) take(n int) {
	if h.full = !h.memory.Hold(int64(n)); !h.full {
		h.bytes += n
	}
}

func (h *hold) extend(kind int, at int64) {
	if !h.any[kind] {
		h.any[kind], h.first[kind] = true, at
	}
	h.span = max(h.span, at-h.first[kind])
}

// done reports whether enough has been seen, or too much is held. undecided says that the audio needs more.
func (h *hold) done(arrival time.Time, undecided bool) bool {
	if h.full || h.bytes >= learnBytes || len(h.items) >= learnMessages {
		return true
	}
	begun := h.items[0].video.Arrival
	if !h.items[0].isVideo {
		begun = h.items[0].audio.Arrival
	}
	waited := max(arrival.Sub(begun), time.Duration(h.span)*time.Second/ingest.Clock)
	if h.lowest < 0 && h.pictures-h.lowestAt < learnPictures && h.pictures < learnOffsets {
		return waited >= learnOffsetsTime
	}
	return waited >= learnTime || !undecided && (h.pictures >= learnPictures || !h.any[0])
}
