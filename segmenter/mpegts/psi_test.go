package mpegts

import "testing"

func TestCRC32(t *testing.T) {
	if got := SectionCRC([]byte("123456789")); got != 0x0376E6E7 { // the check value of CRC-32/MPEG-2
		t.Errorf("%#x", got)
	}
}

func TestConfigRefusals(t *testing.T) {
	for name, c := range map[string]Config{
		"nothing":       {},
		"unknown video": {Video: 0x02},
		"audio type as video": {
			Video: AAC, Audio: AAC, ASC: ascLC48,
		},
		"unknown audio":   {Audio: 0x81},
		"AAC without ASC": {Video: H264, Audio: AAC},
	} {
		if m, err := NewMuxer(c); err == nil || m != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTables(t *testing.T) {
	m, err := NewMuxer(Config{Video: H264, Audio: AAC, ASC: ascLC48})
	if err != nil {
		t.Fatal(err)
	}
	b := new(Pool).Buffer()
	steps := []struct {
		config  Config
		version uint8
		streams map[uint16]StreamType
		pcr     uint16
	}{
		{Config{Video: H264, Audio: AAC, ASC: ascLC48}, 0, map[uint16]StreamType{pidVideo: H264, pidAudio: AAC}, pidVideo},
		{Config{Video: H264, Audio: AAC, ASC: ascLC44}, 0, map[uint16]StreamType{pidVideo: H264, pidAudio: AAC}, pidVideo}, // the map is the same
		{Config{Video: H265, Audio: AAC, ASC: ascLC48}, 1, map[uint16]StreamType{pidVideo: H265, pidAudio: AAC}, pidVideo},
		{Config{Video: H265}, 2, map[uint16]StreamType{pidVideo: H265}, pidVideo},
		{Config{Audio: MP3MPEG1}, 3, map[uint16]StreamType{pidAudio: MP3MPEG1}, pidAudio},
		{Config{Video: H264, Audio: MP3MPEG2}, 4, map[uint16]StreamType{pidVideo: H264, pidAudio: MP3MPEG2}, pidVideo},
	}
	for _, s := range steps {
		if err := m.Reconfigure(s.config); err != nil {
			t.Fatal(err)
		}
		m.Begin(b)
	}
	if err := m.Reconfigure(Config{}); err == nil {
		t.Error("an empty configuration is accepted")
	}
	m.Begin(b) // as before the refusal
	steps = append(steps, steps[len(steps)-1])

	in := inspect(t, bytesOf(b))
	if len(in.pmt) != len(steps) {
		t.Fatalf("%d maps, want %d", len(in.pmt), len(steps))
	}
	for i, s := range steps {
		got := in.pmt[i]
		if got.PCRPID != s.pcr || got.ProgramNumber != program {
			t.Errorf("map %d: PCR PID %#x, program %d", i, got.PCRPID, got.ProgramNumber)
		}
		if len(got.ElementaryStreams) != len(s.streams) {
			t.Errorf("map %d: %d streams", i, len(got.ElementaryStreams))
		}
		for _, e := range got.ElementaryStreams {
			if StreamType(e.StreamType) != s.streams[e.ElementaryPID] {
				t.Errorf("map %d: PID %#x is %#x", i, e.ElementaryPID, e.StreamType)
			}
		}
		packet := bytesOf(b)[(2*i+1)*PacketSize:]
		if v := packet[10] >> 1 & 31; v != s.version {
			t.Errorf("map %d: version %d, want %d", i, v, s.version)
		}
	}
}
