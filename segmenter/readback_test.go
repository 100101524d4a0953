package segmenter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/asticode/go-astits"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// tsSegment is what a segment holds, as a demuxer finds it that is not ours.
type tsSegment struct {
	units        [2][]tsUnit // pictures and sound frames, in their order in the file
	firstIsVideo bool        // the first PES packet is of a picture
	tables       bool        // it begins with PAT and PMT
	codecs       [2]ingest.Codec
	sounds       map[string]bool // configurations of the sound frames, as their headers have them
	tags         []tsTag         // timed metadata
	silence      int             // frames of sound that the publisher did not send: see silent
}

// tsUnit is a coded picture or a sound frame.
type tsUnit struct {
	id       int64
	pts, dts int64 // 33 bits; of sound that is not the first frame of its PES packet, -1
	units    [][]byte
	access   bool // random_access_indicator
}

// tsTag is an ID3 tag.
type tsTag struct {
	pts  int64 // 33 bits
	data string
}

// pesStart is the first packet of a PES packet.
type pesStart struct {
	access bool
	pcr    int64 // the newest PCR up to this packet; -1: there was none
}

// tsReader reads the segments of one recording one after the other.
type tsReader struct {
	t        testing.TB
	name     string
	counters map[uint16]uint8
	pcr      int64 // the newest; -1: none since the time line broke
	dts      int64 // of the newest picture; -1: none
	said     map[string]int
	lenient  bool // of publishers that do what none should, the clock is not looked at
}

// twice is Errorf, of the same format only twice.
func (r *tsReader) twice(format string, args ...any) {
	r.t.Helper()
	if r.said[format]++; r.said[format] <= 2 {
		r.t.Errorf(r.name+": "+format, args...)
	}
}

const (
	astPAT, astPMT     = 0, 0x1000
	astVideo, astAudio = 0, 1 // kinds, as in encoderShape
	astTag             = 2
)

// readBack reads the rows of a tape that were not read yet, in their order, and holds what is true of every transport
// stream of ours: continuity counters run on, the PCR rises by at most 100 ms and is never past a DTS that follows, the DTS
// of pictures rises, and no PTS is before its DTS.
func (t *tape) readBack(tb testing.TB, stream string) {
	tb.Helper()
	for ; t.read < len(t.rows); t.read++ {
		row := &t.rows[t.read]
		if t.reader == nil || t.reading != row.recording {
			t.reader, t.reading = &tsReader{t: tb, counters: map[uint16]uint8{}, pcr: -1, dts: -1, said: map[string]int{}}, row.recording
		}
		t.reader.name = fmt.Sprintf("%s/%s/%d", stream, row.recording, row.Sequence)
		if row.Discontinuity || row.Gap {
			t.reader.pcr, t.reader.dts = -1, -1
		}
		switch {
		case row.Gap:
			if len(row.bytes) > 2*mpegts.PacketSize {
				t.reader.segment(row.bytes) // what stands in for it goes on where the segment before ends
			}
			t.reader.pcr, t.reader.dts = -1, -1
			clear(t.reader.counters) // who reads on behind a loss expects a jump
			row.segment = &tsSegment{}
		case row.bytes == nil:
			tb.Fatalf("%s was never in memory", t.reader.name)
		default:
			row.segment = t.reader.segment(row.bytes)
		}
	}
}

func (r *tsReader) segment(stream []byte) *tsSegment {
	r.t.Helper()
	s := &tsSegment{sounds: map[string]bool{}}
	starts := r.packets(s, stream)
	var seen [3]int
	kinds := map[uint16]int{}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(stream), astits.DemuxerOptPacketSize(mpegts.PacketSize))
	for {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			r.t.Fatalf("%s: %v", r.name, err)
		}
		if data.PMT != nil {
			for _, es := range data.PMT.ElementaryStreams {
				if es.StreamType == astits.StreamTypeMetadata {
					kinds[es.ElementaryPID] = astTag
					continue
				}
				kind, c := astVideo, ingest.H264
				switch es.StreamType {
				case astits.StreamTypeH264Video:
				case astits.StreamTypeH265Video:
					c = ingest.H265
				case astits.StreamTypeAACAudio:
					kind, c = astAudio, ingest.AAC
				default:
					kind, c = astAudio, ingest.MP3
				}
				kinds[es.ElementaryPID], s.codecs[kind] = kind, c
			}
		}
		if data.PES == nil {
			continue
		}
		kind, ok := kinds[data.PID]
		if !ok {
			r.t.Fatalf("%s: a PES packet on PID %#x, which is not in the program map", r.name, data.PID)
		}
		h := data.PES.Header.OptionalHeader
		u := tsUnit{pts: h.PTS.Base, dts: h.PTS.Base}
		if h.DTS != nil {
			u.dts = h.DTS.Base
		}
		if seen[kind] >= len(starts[data.PID]) {
			r.t.Fatalf("%s: more PES packets than starts", r.name)
		}
		p := starts[data.PID][seen[kind]]
		seen[kind]++
		u.access = p.access
		if p.pcr >= 0 && !r.lenient && after33(p.pcr, u.dts) > 0 {
			r.twice("PCR is %v past the DTS of a PES packet of PID %#x", cut.Duration(after33(p.pcr, u.dts)), data.PID)
		}
		switch kind {
		case astVideo:
			r.picture(s, u, data.PES.Data)
		case astAudio:
			r.sound(s, u, data.PES.Data)
		case astTag:
			s.tags = append(s.tags, tsTag{u.pts, string(data.PES.Data)})
		}
	}
	return s
}

// packets goes through the packets in their order.
func (r *tsReader) packets(s *tsSegment, stream []byte) map[uint16][]pesStart {
	r.t.Helper()
	starts := map[uint16][]pesStart{}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(stream), astits.DemuxerOptPacketSize(mpegts.PacketSize))
	first, sawPES := []uint16(nil), false
	for n := 0; ; n++ {
		p, err := d.NextPacket()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			r.t.Fatalf("%s: packet %d: %v", r.name, n, err)
		}
		pid, cc := p.Header.PID, p.Header.ContinuityCounter
		if n < 2 {
			first = append(first, pid)
		}
		announced := p.Header.HasAdaptationField && p.AdaptationField.DiscontinuityIndicator
		last, seen := r.counters[pid]
		if seen && !announced && (p.Header.HasPayload && cc != (last+1)&15 || !p.Header.HasPayload && cc != last) {
			r.twice("packet %d of PID %#x has continuity counter %d after %d", n, pid, cc, last)
		}
		if seen || p.Header.HasPayload {
			r.counters[pid] = cc
		}
		if p.Header.HasAdaptationField && p.AdaptationField.HasPCR {
			pcr := p.AdaptationField.PCR.Base
			if step := after33(pcr, r.pcr); r.pcr >= 0 && !r.lenient && !announced && (step <= 0 || step > Clock/10) {
				r.twice("PCR goes on by %v", cut.Duration(step))
			}
			r.pcr = pcr
		}
		if !p.Header.PayloadUnitStartIndicator || pid == astPAT || pid == astPMT {
			continue
		}
		if !sawPES {
			s.firstIsVideo, sawPES = len(p.Payload) > 3 && p.Payload[3]&0xF0 == 0xE0, true
		}
		starts[pid] = append(starts[pid], pesStart{p.Header.HasAdaptationField && p.AdaptationField.RandomAccessIndicator, r.pcr})
	}
	s.tables = len(first) == 2 && first[0] == astPAT && first[1] == astPMT
	return starts
}

// after33 is by how much the 33-bit time a is after b.
func after33(a, b int64) int64 { return (a - b) << 31 >> 31 }

func (r *tsReader) picture(s *tsSegment, u tsUnit, data []byte) {
	c := s.codecs[astVideo]
	if after33(u.pts, u.dts) < 0 {
		r.twice("PTS %d is before DTS %d", u.pts, u.dts)
	}
	if r.dts >= 0 && after33(u.dts, r.dts) <= 0 {
		r.twice("DTS %d follows %d", u.dts, r.dts)
	}
	r.dts = u.dts
	u.id = -1
	for unit := range codec.AnnexB(data) {
		u.units = append(u.units, unit)
		if at := numberAt(c, unit); at > 0 && u.id < 0 {
			u.id = getNumber(unit[at:])
		}
	}
	if len(u.units) == 0 || c.NAL(u.units[0]) != codec.KindDelimiter {
		r.twice("picture %d does not begin with an access unit delimiter", u.id)
	}
	s.units[astVideo] = append(s.units[astVideo], u)
}

func (r *tsReader) sound(s *tsSegment, u tsUnit, data []byte) {
	for first := true; len(data) > 0; first = false {
		frame, at, silence := []byte(nil), 4, []byte(nil)
		if s.codecs[astAudio] == ingest.AAC {
			c, raw, ok := codec.ParseADTS(data)
			if !ok {
				r.t.Fatalf("%s: no ADTS frame in a PES packet", r.name)
			}
			s.sounds[fmt.Sprintf("%d Hz, %d channels", c.Rate, c.Channels)] = true
			frame, data, silence = raw, data[codec.ADTSSize+len(raw):], c.Silence()
		} else {
			h, ok := codec.ParseMP3(data)
			if !ok || h.Size > len(data) {
				r.t.Fatalf("%s: no MP3 frame in a PES packet", r.name)
			}
			silence = codec.MP3Silence(data)
			frame, data = data[:h.Size], data[h.Size:]
			s.sounds[fmt.Sprintf("%d Hz, %d channels", h.Rate, h.Channels)] = true
		}
		if !first {
			u.pts, u.dts = -1, -1
		}
		if bytes.Equal(frame, silence) {
			s.silence++
			continue
		}
		u.id = -1
		if len(frame) >= at+4 {
			u.id = getNumber(frame[at:])
		}
		s.units[astAudio] = append(s.units[astAudio], u)
	}
}
