package mpegts

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/asticode/go-astits"
)

// pesUnit is a PES packet as the independent demuxer saw it.
type pesUnit struct {
	pts, dts     int64 // as in the stream: 33 bits
	hasDTS       bool
	data         []byte
	randomAccess bool
	pcr          bool // its first packet has one
	length       int  // PES_packet_length
}

// inspection is what a transport stream holds, in its own order per stream.
type inspection struct {
	video, audio []pesUnit
	metadata     []pesUnit
	pcrs         []int64 // as in the stream
	pmt          []*astits.PMTData
	packets      int
	pcrOnly      int
}

// inspect reads a transport stream with a demuxer that is not ours, and checks what holds for every stream of ours:
// continuity counters of all PIDs, PCR on its PID only, PCR never past the PTS or DTS of what comes after.
func inspect(t testing.TB, stream []byte) inspection {
	t.Helper()
	if len(stream)%PacketSize != 0 {
		t.Fatalf("%d bytes are no whole packets", len(stream))
	}
	var in inspection
	counters := map[uint16]uint8{}
	flags := map[uint16][]*astits.PacketAdaptationField{}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(stream), astits.DemuxerOptPacketSize(PacketSize))
	for {
		p, err := d.NextPacket()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			t.Fatalf("packet %d: %v", in.packets, err)
		}
		pid, cc := p.Header.PID, p.Header.ContinuityCounter
		last, seen := counters[pid]
		switch {
		case !seen && p.Header.HasPayload:
			counters[pid] = cc
		case p.Header.HasPayload && cc != (last+1)&15, seen && !p.Header.HasPayload && cc != last:
			t.Fatalf("packet %d of PID %#x: continuity counter %d after %d", in.packets, pid, cc, last)
		case seen:
			counters[pid] = cc
		}
		if p.Header.HasAdaptationField && p.AdaptationField.HasPCR {
			in.pcrs = append(in.pcrs, p.AdaptationField.PCR.Base)
			if p.AdaptationField.PCR.Extension != 0 {
				t.Errorf("packet %d: PCR extension %d", in.packets, p.AdaptationField.PCR.Extension)
			}
			if !p.Header.HasPayload {
				in.pcrOnly++
			}
		}
		if p.Header.PayloadUnitStartIndicator {
			flags[pid] = append(flags[pid], p.AdaptationField)
		}
		if p.Header.PayloadUnitStartIndicator && pid != pidPAT && pid != pidPMT && len(in.pcrs) > 0 {
			dts := rawDTS(p.Payload)
			if ahead := int64(signed33(uint64(dts - in.pcrs[len(in.pcrs)-1]))); ahead < 0 {
				t.Errorf("packet %d of PID %#x: PCR is %d ticks past DTS %d", in.packets, pid, -ahead, dts)
			}
		}
		in.packets++
	}
	d = astits.NewDemuxer(context.Background(), bytes.NewReader(stream), astits.DemuxerOptPacketSize(PacketSize))
	for {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data.PMT != nil {
			in.pmt = append(in.pmt, data.PMT)
		}
		if data.PES == nil {
			continue
		}
		h := data.PES.Header.OptionalHeader
		u := pesUnit{pts: h.PTS.Base, dts: h.PTS.Base, data: data.PES.Data, length: int(data.PES.Header.PacketLength)}
		if h.DTS != nil {
			u.dts, u.hasDTS = h.DTS.Base, true
		}
		list := &in.video
		switch data.PID {
		case pidAudio:
			list = &in.audio
		case pidMetadata:
			list = &in.metadata
		}
		if f := flags[data.PID][len(*list)]; f != nil {
			u.randomAccess, u.pcr = f.RandomAccessIndicator, f.HasPCR
		}
		*list = append(*list, u)
	}
	return in
}

// rawDTS reads the DTS, or else the PTS, of a PES header at the front of p.
func rawDTS(p []byte) int64 {
	s := p[9:]
	if p[7]&0x40 != 0 {
		s = p[14:]
	}
	return int64(s[0]>>1&7)<<30 | int64(s[1])<<22 | int64(s[2]>>1)<<15 | int64(s[3])<<7 | int64(s[4]>>1)
}

// signed33 is the difference u of two 33-bit clocks, whichever is ahead.
func signed33(u uint64) int64 { return int64(u<<31) >> 31 }

// checkSpacing demands that the PCR rises and never by more than pcrLimit.
func checkSpacing(t testing.TB, pcrs []int64) {
	t.Helper()
	for i := 1; i < len(pcrs); i++ {
		if gap := signed33(uint64(pcrs[i] - pcrs[i-1])); gap <= 0 || gap > 9000 {
			t.Errorf("PCR %d comes %d ticks after the one before, want 1 to 9000", i, gap)
		}
	}
}

// bytesOf is the content of a buffer.
func bytesOf(b *Buffer) []byte {
	var out bytes.Buffer
	b.WriteTo(&out)
	runtime.KeepAlive(b) // its memory goes with it
	return out.Bytes()
}

// filePES is a PES packet in the order of the file.
type filePES struct {
	pesUnit
	isVideo bool
}

// readPES reads a stream that somebody else made. Packets are in the order in which they begin.
func readPES(t testing.TB, stream []byte) (list []filePES) {
	t.Helper()
	open := map[uint16]int{}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(stream), astits.DemuxerOptPacketSize(PacketSize))
	for {
		p, err := d.NextPacket()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		pid, data := p.Header.PID, p.Payload
		if p.Header.PayloadUnitStartIndicator && len(data) > 9 && data[0] == 0 && data[1] == 0 && data[2] == 1 {
			pts := rawDTS(append(append(bytes.Clone(data[:7]), 0x80), data[8:]...))
			open[pid] = len(list)
			u := filePES{isVideo: data[3]&0xF0 == 0xE0}
			u.pts, u.dts = pts, rawDTS(data)
			list = append(list, u)
			data = data[9+int(data[8]):]
		}
		if i, ok := open[pid]; ok {
			list[i].data = append(list[i].data, data...)
		}
	}
}
