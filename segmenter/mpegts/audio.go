package mpegts

import "github.com/hlsorigin/hlsorigin/ingest/codec"

const (
	// audioSpan is the longest time, in 90 kHz ticks, that one audio PES packet covers, and audioBytes the most payload
	// of a packet that holds several frames. In an audio-only stream each PES packet carries a PCR, hence the limit.
	audioSpan  = pcrLimit
	audioBytes = 2800
	// audioHold is how far video may go on while audio gathers and no more of it comes.
	audioHold = 200 * 90
	// maxAudioFrame bounds a frame, for MP3 as well, whose longest is 1441 bytes.
	maxAudioFrame = codec.MaxAACFrame
)

// pending is the audio PES packet that is being gathered.
type pending struct {
	data    [max(audioBytes, maxAudioFrame+codec.ADTSSize)]byte
	size    int     // bytes used of data
	frames  int     // number of frames in it
	pts     int64   // of the first
	samples int     // in all frames
	rate    int     // samples per second
	buffer  *Buffer // given with the newest frame, only to compare
}

// end is the PTS at which the gathered audio ends. The rate is at least 7350 Hz, of AAC.
func (p *pending) end() int64 { return p.pts + int64(p.samples)*90000/int64(p.rate) }

func (p *pending) reset() { p.size, p.frames, p.samples, p.buffer = 0, 0, 0, nil }

// Audio takes one raw AAC or MP3 frame, copies it, and writes it to b together with its neighbours: when about 100 ms or
// 2800 bytes have come together, before a frame that does not continue them in time, or at FlushAudio. pts is in 90 kHz
// ticks on the time line of Video. A frame that cannot be carried is dropped and counted.
func (m *Muxer) Audio(b *Buffer, pts int64, frame []byte) {
	samples, rate, ok := codec.AACSamples, m.rate, m.config.Audio != 0
	if ok && m.config.Audio != AAC {
		var h codec.MP3Header
		h, ok = codec.ParseMP3(frame)
		samples, rate = h.Samples, h.Rate
	}
	if !ok || len(frame) == 0 || len(frame) > maxAudioFrame {
		m.stats.AudioDropped.Add(1)
		return
	}
	m.clock.came(&m.clock.audio, &m.clock.video, pts)
	p := &m.pending
	if p.frames > 0 {
		// Encoders round to milliseconds; half a frame tells that from a frame that is missing.
		drift, half := pts-p.end(), int64(samples)*45000/int64(rate)
		if drift > half || drift < -half || rate != p.rate || p.size+len(frame)+codec.ADTSSize > audioBytes {
			m.FlushAudio(b)
		}
	}
	if p.frames == 0 {
		p.pts, p.rate = pts, rate
	}
	if m.config.Audio == AAC {
		p.size = len(codec.AppendADTS(p.data[:p.size], m.adts, len(frame)))
	}
	p.size += copy(p.data[p.size:], frame)
	p.samples += samples
	p.frames++
	p.buffer = b
	if p.end()+int64(samples)*90000/int64(rate)-p.pts > audioSpan || p.size >= audioBytes {
		m.FlushAudio(b)
	}
}

// FlushAudio writes the audio that has been gathered, if any, to b. It comes before a segment is closed.
func (m *Muxer) FlushAudio(b *Buffer) {
	p := &m.pending
	if p.frames == 0 {
		return
	}
	var k tick
	var randomAccess bool
	if m.config.Video == 0 {
		randomAccess = m.opens(b)
		k = m.tick(b, &m.audio, p.pts, true)
	} else {
		m.tickAudio(b, p.pts)
	}
	m.out.start(b, &m.audio, randomAccess, k)
	var head [maxPESHeader]byte
	m.out.write(appendPESHeader(head[:0], 0xC0, p.size, p.pts, p.pts))
	m.out.write(p.data[:p.size])
	m.out.end()
	if k.rest {
		m.clock.catchUp(b, &m.audio, k.to)
	}
	p.reset()
}
