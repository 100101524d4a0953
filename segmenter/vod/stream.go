package vod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// streamShift is what ffmpeg adds to the times of all that it writes, so that what begins before 0 has a time stamp.
const streamShift = 10 * codec.Clock

// stream takes apart the transport stream that ffmpeg writes, and gives a rung its access units in the order of their decoding times: ffmpeg
// sends sound later than the pictures beside it.
type stream struct {
	to    *rung
	moved func(ticks int64) // told how far it is; may be nil

	in      mpegts.Demuxer
	codec   codec.Codec
	sounds  bool // the program has sound
	asc     *codec.AACConfig
	sets    [][]byte
	current [2]pes
	queue   [2][]pes // pictures and frames that wait for the other track
	free    [][]byte
	ready   bool // the rung is configured
	units   [][]byte
	base    int64 // a newest time, unwrapped
	based   bool
}

// pes is a PES packet that is being gathered, or one unit that waits.
type pes struct {
	pts, dts int64
	data     []byte
}

// patience is by how much one track may be ahead of the other before it goes on alone, ticks.
const patience = 3 * codec.Clock

// read reads the stream to its end.
func (s *stream) read(ctx context.Context, r io.Reader) error {
	s.in.Open(&feeding{s, ctx})
	buf := make([]byte, 512*mpegts.PacketSize)
	for {
		n, err := io.ReadFull(r, buf)
		whole := n - n%mpegts.PacketSize
		if whole > 0 {
			if err := s.in.Feed(buf[:whole]); err != nil {
				return streamError(err)
			}
			if err := s.flow(ctx, false); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && n == whole:
			if _, err := s.in.Close(); err != nil {
				return streamError(err)
			}
			return s.flow(ctx, true)
		case err != nil:
			return err
		}
	}
}

// streamError is an error of the stream as one of the process that wrote it.
func streamError(err error) error {
	if errors.Is(err, mpegts.ErrDamaged) || errors.Is(err, mpegts.ErrNotTS) {
		return fmt.Errorf("%w (%w)", err, io.ErrUnexpectedEOF)
	}
	return err
}

// feeding is a stream as the demuxer sees it.
type feeding struct {
	*stream
	ctx context.Context
}

// Read implements io.Reader, which nobody calls: it says that the value lives as long as one reading.
func (f *feeding) Read([]byte) (int, error) { return 0, io.EOF }

// Program implements mpegts.Handler.
func (f *feeding) Program(v, a mpegts.StreamType) error {
	switch v {
	case mpegts.H264:
		f.codec = codec.H264
	case mpegts.H265:
		f.codec = codec.H265
	}
	f.sounds = a == mpegts.AAC
	return nil
}

// Begin implements mpegts.Handler.
func (f *feeding) Begin(u *mpegts.Unit) error {
	c := &f.current[u.Track]
	if c.data == nil {
		if n := len(f.free); n > 0 {
			c.data, f.free = f.free[n-1], f.free[:n-1]
		}
	}
	c.data = c.data[:0]
	c.dts = f.unwrap(u.DTS)
	c.pts = c.dts + mpegts.Distance(u.DTS, u.PTS)
	return nil
}

// unwrap is a time stamp on a time line that does not wrap, without the shift.
func (s *stream) unwrap(stamp int64) int64 {
	if !s.based {
		s.base, s.based = streamShift, true
	}
	t := s.base + mpegts.Distance(s.base&(1<<33-1), stamp)
	s.base = t
	return t - streamShift
}

// Bytes implements mpegts.Handler.
func (f *feeding) Bytes(t mpegts.Track, p []byte) {
	f.current[t].data = append(f.current[t].data, p...)
}

// Packets implements mpegts.Handler.
func (f *feeding) Packets(t mpegts.Track, r *mpegts.Run) {
	p := slices.Grow(f.current[t].data, r.Bound())
	for n := -1; n != 0; p = p[:len(p)+n] {
		n, _ = r.Copy(p[len(p):cap(p)])
	}
	f.current[t].data = p
}

// End implements mpegts.Handler.
func (f *feeding) End(t mpegts.Track) error {
	c := &f.current[t]
	if t == mpegts.VideoTrack {
		f.queue[t] = append(f.queue[t], *c)
		*c = pes{}
		return nil
	}
	at := c.pts
	data := c.data
	for n := int64(0); len(data) > 0; n++ {
		config, frame, ok := codec.ParseADTS(data)
		if !ok {
			return fmt.Errorf("a frame of sound cannot be read (%w)", io.ErrUnexpectedEOF)
		}
		if f.asc == nil {
			f.asc = &config
		}
		pts := at + n*codec.AACSamples*codec.Clock/int64(config.Rate)
		f.queue[t] = append(f.queue[t], pes{pts, pts, slices.Clone(frame)})
		header := codec.ADTSSize
		if data[1]&1 == 0 { // with a checksum
			header += 2
		}
		data = data[header+len(frame):]
	}
	return nil
}

// flow gives the rung what is due. Everything is at the end.
func (s *stream) flow(ctx context.Context, end bool) error {
	v, a := &s.queue[mpegts.VideoTrack], &s.queue[mpegts.AudioTrack]
	ahead := func(q *[]pes) bool { return len(*q) > 1 && (*q)[len(*q)-1].dts-(*q)[0].dts > patience }
	for {
		var picture bool
		switch {
		case len(*v) > 0 && len(*a) > 0:
			picture = (*v)[0].dts <= (*a)[0].dts
		case len(*v) > 0 && (end || !s.sounds || ahead(v)):
			picture = true
		case len(*a) > 0 && (end || s.codec == 0 || ahead(a)):
		default:
			return nil
		}
		if !s.ready {
			if err := s.to.configure(s.codec, s.asc); err != nil {
				return err
			}
			s.ready = true
		}
		q := a
		if picture {
			q = v
		}
		u := (*q)[0]
		*q = (*q)[1:]
		if s.moved != nil {
			s.moved(u.dts)
		}
		if err := s.give(ctx, picture, &u); err != nil {
			return err
		}
	}
}

func (s *stream) give(ctx context.Context, picture bool, u *pes) error {
	if !picture {
		rate := int64(codec.Clock)
		if s.asc != nil {
			rate = int64(s.asc.Rate)
		}
		return s.to.sound(ctx, &tone{pts: u.pts, lasts: codec.AACSamples * codec.Clock / rate, frame: u.data})
	}
	s.units = s.units[:0]
	for n := range codec.AnnexB(u.data) {
		s.units = append(s.units, n)
	}
	p := pictureOf(s.codec, u.pts, u.dts, s.units)
	err := s.to.video(ctx, &p)
	if len(s.free) < 64 {
		s.free = append(s.free, u.data)
	}
	return err
}

// pictureOf is a picture by what its NAL units say.
func pictureOf(c codec.Codec, pts, dts int64, units [][]byte) picture {
	s := c.Survey(units)
	p := picture{pts: pts, dts: dts, units: units, survey: s, key: s.Access >= codec.Open}
	if p.key {
		p.sps = spsOf(c, units)
	}
	return p
}

// spsOf is the first sequence parameter set among NAL units; nil: there is none.
func spsOf(c codec.Codec, units [][]byte) []byte {
	for _, u := range units {
		if c.NAL(u) == codec.KindSPS {
			return u
		}
	}
	return nil
}
