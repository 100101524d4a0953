package normalise

import (
	"bytes"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// sound is the configuration of the audio track.
type sound struct {
	header  []byte          // the newest readable AudioSpecificConfig, to recognise a repeated one
	config  codec.AACConfig // if ready
	asc     []byte          // of config, as frames show it
	ready   bool
	refusal *ingest.Refusal // why the newest configuration cannot be carried
	warned  bool            // and that was logged
	guess   guess           // without a header
	mp3     codec.MP3Header // of the newest MP3 frame
	made    *ingest.Track
	clock   samples
}

// known reports whether a header is the same as the previous one.
func (s *sound) known(asc []byte) bool {
	return len(asc) > 0 && bytes.Equal(s.header, asc)
}

// announce puts a configuration into use.
func (s *sound) announce(asc []byte, c codec.AACConfig) {
	s.header = bytes.Clone(asc)
	s.configure(s.header, c)
}

func (s *sound) configure(asc []byte, c codec.AACConfig) {
	if !bytes.Equal(s.asc, asc) {
		s.made = nil
	}
	s.asc, s.config, s.ready, s.refusal = asc, c, true, nil
}

// reject notes a valid configuration that cannot be carried; neither can its frames.
func (s *sound) reject(asc []byte, r *ingest.Refusal) {
	s.header, s.refusal, s.ready, s.made = bytes.Clone(asc), r, false, nil
}

// undecided reports whether more frames would help to find a configuration.
func (s *sound) undecided() bool {
	return !s.ready && s.refusal == nil && s.guess.frames > 0 && s.guess.frames < guessFrames
}

// headerless reports whether a frame is AAC that does not state its configuration, when nothing else has stated it yet.
func (s *sound) headerless(m *Audio) bool {
	if m.Codec != ingest.AAC || s.refusal != nil {
		return false
	}
	_, _, adts := codec.ParseADTS(m.Data)
	return !adts
}

// audible takes an audio message and passes on its frames.
func (s *Stream) audible(m *Audio) error {
	if m.Codec == ingest.MP3 {
		return s.mp3(m)
	}
	if s.sound.ordinary(m.Data) {
		return s.sounds(ingest.AAC, m.Data, m.PTS, m.Arrival, codec.AACSamples, s.sound.config.Rate)
	}
	a := s.audio.account
	switch {
	case len(m.Data) == 0: // ffmpeg ends a stream like this
		return nil
	case len(m.Data) >= 2 && m.Data[0] == 0xFF && m.Data[1]&0xF0 == 0xF0: // no raw frame begins like this
		return s.adts(m)
	case s.sound.refusal != nil:
		a.Refuse(ingest.Uncarried)
		return nil
	case !s.sound.ready && len(m.Data) < minHeaderless:
		// The encoder sent its configuration in place of a frame, and no other.
		if c, err := codec.ParseASC(m.Data); err == nil {
			s.sound.announce(m.Data, c)
			return nil
		}
	}
	if !codec.IsAACFrame(m.Data, s.sound.asc) || bytes.Equal(m.Data, s.sound.header) {
		a.Refuse(ingest.NotAFrame)
		return nil
	}
	if !s.sound.ready && !s.guessed() {
		a.Refuse(ingest.NoHeader)
		return nil
	}
	return s.sounds(ingest.AAC, m.Data, m.PTS, m.Arrival, codec.AACSamples, s.sound.config.Rate)
}

// ordinary reports whether a raw frame needs no closer look, as nearly all do not.
func (s *sound) ordinary(b []byte) bool {
	return s.ready && len(b) >= minHeaderless && len(b) <= codec.MaxAACFrame && b[0] != 0xFF && len(b) != len(s.header) && len(b) != len(s.asc)
}

// minHeaderless is the least length, in bytes, of a possible AAC frame without a header.
const minHeaderless = 4

// guessed configures AAC that came without a header.
func (s *Stream) guessed() bool {
	c, ok := s.sound.guess.config(&s.hints)
	if !ok {
		return false
	}
	s.sound.configure(c.ASC(), c)
	s.log.Warn("no AAC header came: the sound is taken for what it looks like", "rate", c.Rate, "channels", c.Channels)
	return true
}

// adts takes frames with their own headers.
func (s *Stream) adts(m *Audio) error {
	pts := m.PTS
	for b := m.Data; len(b) > 0; {
		c, frame, ok := codec.ParseADTS(b)
		if !ok {
			s.audio.account.Refuse(ingest.Malformed)
			return nil
		}
		header := codec.ADTSSize
		if b[1]&1 == 0 { // with a CRC
			header += 2
		}
		b = b[header+len(frame):]
		if o := &s.sound.config; !s.sound.ready || o.Object != c.Object || o.RateIndex != c.RateIndex || o.ChannelConfig != c.ChannelConfig {
			s.sound.configure(c.ASC(), c)
		}
		if !codec.IsAACFrame(frame, s.sound.asc) {
			s.audio.account.Refuse(ingest.NotAFrame)
			continue
		}
		if err := s.sounds(ingest.AAC, frame, pts, m.Arrival, codec.AACSamples, c.Rate); err != nil {
			return err
		}
		pts += c.FrameDuration()
	}
	return nil
}

// mp3 passes on each frame of a message, nearly always one. The second and later ones follow by their duration.
func (s *Stream) mp3(m *Audio) error {
	pts := m.PTS
	for b := m.Data; len(b) > 0; {
		h, ok := codec.ParseMP3(b)
		if h.Size == 0 { // the free format does not state it
			h.Size = len(b)
		}
		if !ok || h.Size > len(b) {
			s.audio.account.Refuse(ingest.Malformed)
			return nil
		}
		if o := &s.sound.mp3; o.Rate != h.Rate || o.Channels != h.Channels {
			s.sound.made = nil
		}
		s.sound.mp3 = h
		if err := s.sounds(ingest.MP3, b[:h.Size:h.Size], pts, m.Arrival, h.Samples, h.Rate); err != nil {
			return err
		}
		pts += int64(h.Samples) * ingest.Clock / int64(h.Rate)
		b = b[h.Size:]
	}
	return nil
}

// sounds passes on one frame with this many samples.
func (s *Stream) sounds(c ingest.Codec, frame []byte, pts int64, arrival time.Time, samples, rate int) error {
	s.audio.received++
	t := s.sound.made
	if t == nil || t.Codec != c {
		t = s.audioTrack(c)
	}
	pts += s.place(&s.audio, &s.video, pts, s.at)
	sent := int64(0)
	if s.o.Milliseconds {
		sent = pts
		pts = s.sound.clock.place(pts, int64(samples), int64(rate))
	}
	pts, dts, repaired := s.sounding.place(pts, pts)
	if repaired {
		s.audio.account.Repair()
	}
	s.one[0] = frame
	units := s.one[:]
	if s.o.Retained {
		units = [][]byte{frame}
	}
	f := &s.frame
	f.Track, f.PTS, f.DTS, f.Sent, f.Key, f.Units, f.Arrival = t, pts, dts, sent, true, units, arrival
	return s.sink.WriteFrame(f)
}

// audioTrack returns the Track of the configuration in use.
func (s *Stream) audioTrack(c ingest.Codec) *ingest.Track {
	t := s.sound.track(c, &s.hints, s.hints.company(s.hints.HasAudio, s.hints.HasVideo, s.sets.usable(), false))
	s.sound.made = t
	s.audio.account.SetCodec(c)
	return t
}

// track returns the Track of the configuration in use.
func (s *sound) track(c ingest.Codec, h *Hints, other company) *ingest.Track {
	t := &ingest.Track{Codec: c, Bitrate: h.AudioBitrate, Alone: other == alone, Both: other == expected}
	if c == ingest.MP3 {
		t.SampleRate, t.Channels = s.mp3.Rate, s.mp3.Channels
	} else {
		t.ASC, t.SampleRate, t.Channels = s.asc, s.config.Rate, s.config.Channels
	}
	return t
}
