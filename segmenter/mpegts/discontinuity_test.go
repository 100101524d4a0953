package mpegts

import (
	"bytes"
	"maps"
	"slices"
	"testing"
)

// announced counts the packets of each PID with a discontinuity_indicator, and checks that each is the first of its PID.
func announced(t *testing.T, stream []byte) map[uint16]int {
	t.Helper()
	found, seen := map[uint16]int{}, map[uint16]bool{}
	for i := 0; len(stream) > 0; i++ {
		p := stream[:PacketSize]
		stream = stream[PacketSize:]
		pid := uint16(p[1]&0x1F)<<8 | uint16(p[2])
		if p[3]&adaptation != 0 && p[4] > 0 && p[5]&discontinuity != 0 {
			found[pid]++
			if seen[pid] {
				t.Errorf("packet %d of PID %#x has the indicator, and is not the first", i, pid)
			}
		}
		seen[pid] = true
	}
	return found
}

// TestDiscontinuityIsAnnouncedOnEveryPID: by a muxer that follows another, and where the time line breaks.
func TestDiscontinuityIsAnnouncedOnEveryPID(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		pids   []uint16
	}{
		"video and audio": {Config{Video: H264, Audio: AAC, ASC: ascLC48}, []uint16{pidPAT, pidPMT, pidVideo, pidAudio}},
		"video alone":     {Config{Video: H265}, []uint16{pidPAT, pidPMT, pidVideo}},
		"audio alone":     {Config{Audio: MP3MPEG1}, []uint16{pidPAT, pidPMT, pidAudio}},
	} {
		m, r, pool := newMuxer(t, c.config), newSource(1), new(Pool)
		var segments [][]byte
		segment := func(at int64) {
			b := pool.Buffer()
			m.Begin(b)
			for i := range int64(25) {
				dts := at + i*3600
				if c.config.Video != 0 {
					m.Video(b, VideoUnit{PTS: dts, DTS: dts, IDR: i == 0, Units: [][]byte{r.nal(c.config.Video, 300, i == 0)}})
				}
				if c.config.Audio != 0 {
					m.Audio(b, dts, r.mp3(300, false))
				}
			}
			m.FlushAudio(b)
			segments = append(segments, bytesOf(b))
		}
		segment(0)
		segment(90000)
		m.Discontinuity()
		segment(10 * 90000)
		segment(11 * 90000)
		for i, s := range segments {
			want := map[uint16]int{}
			if i == 2 {
				for _, pid := range c.pids {
					want[pid] = 1
				}
			}
			if got := announced(t, s); !maps.Equal(got, want) {
				t.Errorf("%s, segment %d: announced on %v, want %v", name, i, got, want)
			}
		}
		in := inspect(t, bytes.Join(segments, nil)) // counters run on
		if len(in.pmt) != 4 || len(in.pmt[2].ElementaryStreams) != len(c.pids)-2 {
			t.Errorf("%s: %d program maps", name, len(in.pmt))
		}
		m = newMuxer(t, c.config)
		m.Discontinuity()
		segment(0)
		if got := slices.Sorted(maps.Keys(announced(t, segments[4]))); !slices.Equal(got, slices.Sorted(slices.Values(c.pids))) {
			t.Errorf("%s: another muxer announces on %v", name, got)
		}
		if plain := inspect(t, segments[4]); len(plain.video) != len(in.video)/4 || len(plain.audio) != len(in.audio)/4 {
			t.Errorf("%s: %d pictures and %d audio packets", name, len(plain.video), len(plain.audio))
		}
	}
}

// TestDiscontinuityIsAnnouncedLate: a PID whose packets come later has the indicator then, and a PCR of its own may come first.
func TestDiscontinuityIsAnnouncedLate(t *testing.T) {
	s := newStage(t)
	s.picture(0)
	s.Discontinuity()
	s.b = new(Pool).Buffer()
	s.Begin(s.b)
	s.picture(0)
	first := bytesOf(s.b)
	if got := announced(t, first); got[pidVideo] != 1 || got[pidAudio] != 0 {
		t.Errorf("announced on %v", got)
	}
	s.b = new(Pool).Buffer()
	s.Begin(s.b)
	s.picture(3600)
	s.sound(0, 9600)
	s.FlushAudio(s.b)
	if got := announced(t, bytesOf(s.b)); !maps.Equal(got, map[uint16]int{pidAudio: 1}) {
		t.Errorf("the sound comes later, announced on %v", got)
	}

	b := new(Pool).Buffer()
	video := stream{pid: pidVideo, broken: true}
	pcrOnly(b, &video, 0)
	pcrOnly(b, &video, 90)
	if got := announced(t, bytesOf(b)); got[pidVideo] != 1 {
		t.Errorf("of two packets for the PCR %d announce", got[pidVideo])
	}
}

// TestDiscontinuityInEveryLength: the indicator takes room, wherever the PES packet ends.
func TestDiscontinuityInEveryLength(t *testing.T) {
	for n := range 400 {
		s := newStage(t)
		s.Discontinuity()
		s.b = new(Pool).Buffer()
		s.Begin(s.b)
		u := s.r.nal(H264, n+2, false)
		s.Video(s.b, VideoUnit{Units: [][]byte{u}})
		frame := s.r.bytes(n + 1)
		s.Audio(s.b, 0, frame)
		s.FlushAudio(s.b)
		in := inspect(t, bytesOf(s.b))
		if len(in.video) != 1 || len(in.audio) != 1 || !bytes.HasSuffix(in.video[0].data, u) || !bytes.HasSuffix(in.audio[0].data, frame) {
			t.Fatalf("a unit of %d bytes comes back as another", n)
		}
		checkPackets(t, bytesOf(s.b))
	}
}

// TestJumpsOfThePCRAreAnnounced: where it has to jump back, and where a leap is not filled in.
func TestJumpsOfThePCRAreAnnounced(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(s stage)
		resets uint64
	}{
		"DTS falls":         {func(s stage) { s.Away(AudioTrack); s.picture(90000); s.picture(0) }, 1},
		"video falls back":  {func(s stage) { s.Away(VideoTrack); s.sound(0, 5*90000); s.picture(7200) }, 1},
		"audio falls back":  {func(s stage) { s.Away(AudioTrack); s.picture(90000); s.sound(0, 9600); s.FlushAudio(s.b) }, 1},
		"a leap":            {func(s stage) { s.picture(pcrLeap + 90000) }, 0},
		"a leap of audio":   {func(s stage) { s.Away(VideoTrack); s.sound(0, 9600); s.sound(pcrLeap+90000, pcrLeap+2*90000) }, 0},
		"no leap (control)": {func(s stage) { s.picture(90000) }, 0},
	} {
		s := newStage(t)
		s.picture(0)
		s.picture(3600)
		before := s.b.Len()
		c.do(s)
		flags := 0
		for b := bytesOf(s.b)[before:]; len(b) > 0; b = b[PacketSize:] {
			if b[3]&adaptation != 0 && b[4] > 0 && b[5]&discontinuity != 0 {
				flags++
				if pid := uint16(b[1]&0x1F)<<8 | uint16(b[2]); pid != pidVideo || b[5]&hasPCR == 0 {
					t.Errorf("%s: announced on PID %#x, flags %02x", name, pid, b[5])
				}
			}
		}
		want := 1
		if name == "no leap (control)" {
			want = 0
		}
		if flags != want || s.Stats().PCRReset.Load() != c.resets {
			t.Errorf("%s: %d jumps announced, %d resets counted, want %d and %d", name, flags, s.Stats().PCRReset.Load(), want, c.resets)
		}
	}
}
