package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/asticode/go-astits"
)

// mask is the range of PTS and DTS.
const mask = 1<<33 - 1

// CheckStream checks consecutive segments against the rules of our transport streams, with an independent demuxer. whole means that no
// bytes are missing between them; independent names the segments that must begin with a keyframe.
func CheckStream(t *testing.T, segments [][]byte, whole bool) {
	t.Helper()
	counters := map[uint16]uint8{}
	lastDTS := map[uint16]int64{}
	lastPCR := int64(-1)
	for n, body := range segments {
		if len(body)%188 != 0 {
			t.Errorf("segment %d: %d bytes are no whole number of packets", n, len(body))
			continue
		}
		if !whole {
			clear(counters)
			clear(lastDTS)
			lastPCR = -1
		}
		if err := checkPackets(body, counters, &lastPCR); err != nil {
			t.Errorf("segment %d: %v", n, err)
		}
		if err := CheckUnits(body, lastDTS); err != nil {
			t.Errorf("segment %d: %v", n, err)
		}
	}
}

// checkPackets reads packet headers: PAT and PMT first, continuous counters, a PCR at least every 100 ms.
func checkPackets(body []byte, counters map[uint16]uint8, lastPCR *int64) error {
	for i := 0; i < len(body); i += 188 {
		p := body[i : i+188]
		if p[0] != 0x47 {
			return fmt.Errorf("packet %d has no sync byte", i/188)
		}
		pid := uint16(p[1]&0x1f)<<8 | uint16(p[2])
		if i == 0 && pid != 0 {
			return fmt.Errorf("does not begin with PAT but with PID %d", pid)
		}
		cc, payload, adaptation := p[3]&0x0f, p[3]&0x10 != 0, p[3]&0x20 != 0
		if last, ok := counters[pid]; ok && payload && cc != (last+1)&0x0f {
			return fmt.Errorf("packet %d of PID %d: continuity counter %d after %d", i/188, pid, cc, last)
		}
		if payload {
			counters[pid] = cc
		}
		if adaptation && p[4] > 0 && p[5]&0x10 != 0 {
			base := int64(p[6])<<25 | int64(p[7])<<17 | int64(p[8])<<9 | int64(p[9])<<1 | int64(p[10])>>7
			if *lastPCR >= 0 {
				if d := (base - *lastPCR) & mask; d > 9000+90 {
					return fmt.Errorf("packet %d: PCR after %d ms", i/188, d/90)
				}
			}
			*lastPCR = base
		}
	}
	return nil
}

// CheckUnits reads PES packets: DTS rises, PTS is not before it, the first picture is an IDR after its parameter sets.
func CheckUnits(body []byte, lastDTS map[uint16]int64) error {
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(body))
	types := map[uint16]astits.StreamType{}
	first := map[uint16]bool{}
	for {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return nil
		}
		if err != nil {
			return err
		}
		if data.PMT != nil {
			for _, s := range data.PMT.ElementaryStreams {
				types[s.ElementaryPID] = s.StreamType
			}
		}
		if data.PES == nil || data.PES.Header.OptionalHeader == nil || data.PES.Header.OptionalHeader.PTS == nil {
			continue
		}
		h := data.PES.Header.OptionalHeader
		pts := h.PTS.Base
		dts := pts
		if h.DTS != nil {
			dts = h.DTS.Base
		}
		if (pts-dts)&mask > mask/2 {
			return fmt.Errorf("PTS %d before DTS %d", pts, dts)
		}
		if last, ok := lastDTS[data.PID]; ok && (dts-last)&mask == 0 || ok && (dts-last)&mask > mask/2 {
			return fmt.Errorf("PID %d: DTS %d after %d", data.PID, dts, last)
		}
		lastDTS[data.PID] = dts
		if types[data.PID] == astits.StreamTypeH264Video && !first[data.PID] {
			first[data.PID] = true
			kinds := nalTypes(data.PES.Data)
			if len(kinds) == 0 || kinds[0] != 9 {
				return fmt.Errorf("the first access unit does not begin with an AUD: %v", kinds)
			}
			if !bytes.Contains(kinds, []byte{7, 8}) || !bytes.Contains(kinds, []byte{5}) {
				return fmt.Errorf("the first access unit has no SPS, PPS and IDR: %v", kinds)
			}
		}
	}
}

// nalTypes returns the types of the NAL units of an access unit in Annex B form.
func nalTypes(b []byte) (kinds []byte) {
	for i := 0; i+3 < len(b); i++ {
		if b[i] == 0 && b[i+1] == 0 && b[i+2] == 1 {
			kinds = append(kinds, b[i+3]&0x1f)
		}
	}
	return kinds
}
