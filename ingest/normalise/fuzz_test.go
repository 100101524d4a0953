package normalise

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// script interprets the bytes of a fuzz input as what an encoder does.
type script struct{ b []byte }

func (s *script) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

// checker is a sink that checks what must be true of every stream, whatever comes in.
type checker struct {
	t      *testing.T
	next   uint32 // serial number of the next slice or audio frame that may come out
	out    map[bool]int
	line   map[bool]int64
	begun  map[bool]bool
	slices map[uint32]bool
	last   map[bool]uint32
}

// serial returns the number that each of our slices and audio frames carries.
func serial(b []byte) uint32 { return binary.BigEndian.Uint32(b[len(b)-5:]) }

func (c *checker) WriteFrame(f *ingest.Frame) error {
	video := f.Track.Codec.IsVideo()
	if len(f.Units) == 0 || f.PTS < f.DTS || video && len(f.Track.SPS) == 0 || !video && (!f.Key || len(f.Units) != 1 || f.Track.SampleRate == 0) {
		c.t.Fatalf("frame %+v", f)
	}
	if c.begun[video] && f.DTS <= c.line[video] && c.line[video]-f.DTS <= backLimit {
		c.t.Fatalf("DTS %d behind %d", f.DTS, c.line[video])
	}
	c.begun[video], c.line[video] = true, f.DTS
	c.out[video]++
	for _, u := range f.Units {
		if video && f.Track.Codec.NAL(u) != codec.KindSlice {
			continue
		}
		n := serial(u)
		if c.slices[n] || n < c.last[video] {
			c.t.Fatalf("number %d came out twice, or behind %d", n, c.last[video])
		}
		c.slices[n], c.last[video] = true, n
	}
	return nil
}

// FuzzNormalise sends random messages of both kinds. DTS rises within a timeline, no PTS is before its DTS, slices and audio frames come
// out once and in order, and each message is counted as received or still waits.
func FuzzNormalise(f *testing.F) {
	f.Add([]byte("\x00\x10\x01\x20\x02\x30\x03\x40\x04\x50\x05\x60\x06\x70\x07\x80\x08\x90"))
	for _, seed := range []string{"\x01\x04\x04\x04\x01\x04\x04", "\x00\x01\x01\x02\x02\x12\x12\x01\x12\x12\x01", "\x05\x06\x05\x06\x07\x05\x06"} {
		f.Add(bytes.Repeat([]byte(seed), 20))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := script{b}
		all := syntaxes(t)
		s := all["H.264"]
		mode := in.byte()
		if mode&1 != 0 {
			s = all["H.265"]
		}
		ledger := new(ingest.Ledger)
		c := &checker{t: t, out: map[bool]int{}, line: map[bool]int64{}, begun: map[bool]bool{}, slices: map[uint32]bool{}, last: map[bool]uint32{}}
		st := New(c, Options{Ledger: ledger, Milliseconds: mode&2 != 0, Placed: mode&4 != 0, Retained: mode&8 != 0, Direct: mode&16 != 0})
		now := time.Unix(1_000_000, 0)
		number := uint32(1)
		slice := func(key, first bool) []byte {
			number++
			u := append(s.slice(key, first, 0), 0, 0, 0, 0, 0x55)
			binary.BigEndian.PutUint32(u[len(u)-5:], number)
			return u
		}
		dts, sound := int64(0), int64(0)
		slices, frames := 0, 0
		for len(in.b) > 0 {
			op := in.byte()
			arg := int64(int8(in.byte()))
			now = now.Add(time.Duration(arg&15) * 5 * time.Millisecond)
			var err error
			video := func(units ...[]byte) {
				for _, u := range units {
					if s.codec.NAL(u) == codec.KindSlice {
						slices++
					}
				}
				m := Video{Codec: s.codec, Units: units, DTS: dts, PTS: dts + arg*millisecond, Key: op&64 != 0, Arrival: now}
				err = st.Video(&m)
				if !st.o.Retained {
					for _, u := range units {
						clear(u)
					}
				}
			}
			switch op & 15 {
			case 0:
				err = st.VideoHeader(s.config())
			case 1, 2:
				dts += 40 * millisecond
				video(slice(op&64 != 0, true))
			case 3:
				dts += 40 * millisecond
				video(append(cloneAll(s.sets), slice(true, true), slice(true, false))...)
			case 4:
				video(slice(false, false))
			case 5:
				sound += 21 * millisecond
				number++
				frames++
				d := binary.BigEndian.AppendUint32([]byte{0x21, 0, 4}, number)
				err = st.Audio(&Audio{Codec: ingest.AAC, Data: append(d, 0x55), PTS: sound, Arrival: now})
			case 6:
				err = st.AudioHeader([]byte{0x12, byte(arg)}, now)
			case 7:
				dts += arg * ingest.Clock
			case 8:
				sound += arg * ingest.Clock
			case 9:
				video(bytes.Clone(s.delimiter))
			case 10:
				video(bytes.Clone(s.sei))
			case 11:
				video(bytes.Clone(s.suffix))
			case 12:
				video(cloneAll(s.sets)...)
			case 13:
				now = now.Add(time.Duration(uint8(arg)) * time.Second / 4)
			case 14:
				err = st.Flush()
			case 15:
				number += 256 // something that is no unit at all
				u := append(binary.BigEndian.AppendUint32([]byte{byte(arg), byte(op), 0x80}, number), 0x55)
				if s.codec.NAL(u) != codec.KindSlice {
					video(u)
				}
			}
			var refusal *ingest.Refusal
			if errors.As(err, &refusal) {
				return // its encoder is disconnected
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := st.Flush(); err != nil {
			t.Fatal(err)
		}
		_, lostVideo := ledger.Video.Cause()
		_, lostAudio := ledger.Audio.Cause()
		if in, out := ledger.Video.Received.Load(), int64(c.out[true])+lostVideo; in != out {
			t.Errorf("%d pictures received, %d written or dropped", in, out)
		}
		if in, out := ledger.Audio.Received.Load(), int64(c.out[false])+lostAudio; in != out || int64(c.out[false]) > int64(frames) {
			t.Errorf("%d frames of sound received, %d written or dropped", in, out)
		}
		if st.hold != nil || st.pictures.held.some {
			t.Error("something is held behind the end")
		}
		if lost := slices - (len(c.slices) - c.out[false]); lost > 0 && lostVideo == 0 || lost < 0 {
			t.Errorf("%d of %d slices have vanished", lost, slices)
		}
	})
}
