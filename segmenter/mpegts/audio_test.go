package mpegts

import (
	"bytes"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

func TestAudioGathers(t *testing.T) {
	for name, c := range map[string]struct {
		config       Config
		step         int64
		size         int
		frames, want int // want: frames in each PES packet
	}{
		"128 kb/s at 48 kHz": {Config{Video: H264, Audio: AAC, ASC: ascLC48}, 1920, 341, 40, 4},
		"audio only":         {Config{Audio: AAC, ASC: ascLC48}, 1920, 341, 40, 4},
		"HE-AAC":             {Config{Audio: AAC, ASC: ascHE48}, 3840, 200, 40, 2},
		"limited by bytes":   {Config{Video: H264, Audio: AAC, ASC: ascLC48}, 1920, 1200, 40, 2},
		"one fills a packet": {Config{Video: H264, Audio: AAC, ASC: ascLC48}, 1920, 4000, 5, 1},
		"longest frame":      {Config{Video: H264, Audio: AAC, ASC: ascLC48}, 1920, codec.MaxAACFrame, 5, 1},
		"MP3":                {Config{Audio: MP3MPEG1}, 2351, 417, 30, 3},
	} {
		m, r, b := newMuxer(t, c.config), newSource(1), new(Pool).Buffer()
		m.Begin(b)
		for i := range c.frames {
			frame := r.bytes(c.size)
			if c.config.Audio != AAC {
				frame = r.mp3(c.size, false)
			}
			m.Audio(b, int64(i)*c.step, frame)
		}
		m.FlushAudio(b)
		m.FlushAudio(b) // nothing left
		in := inspect(t, bytesOf(b))
		if got := len(in.audio); got != c.frames/c.want {
			t.Errorf("%s: %d frames went into %d PES packets, want %d", name, c.frames, got, c.frames/c.want)
		}
	}
}

// TestAudioOverhead holds what gathering is for.
func TestAudioOverhead(t *testing.T) {
	for name, c := range map[string]Config{
		"beside video": {Video: H264, Audio: AAC, ASC: ascLC48},
		"audio only":   {Audio: AAC, ASC: ascLC48},
	} {
		m, r, b := newMuxer(t, c), newSource(1), new(Pool).Buffer()
		for i := range 470 {
			m.Audio(b, int64(i)*1920, r.bytes(341)) // 128 kb/s
		}
		m.FlushAudio(b)
		over := float64(b.Len())/(470*341) - 1
		t.Logf("%s: %.1f %% more than the frames", name, 100*over)
		if over > 0.12 {
			t.Errorf("%s: %.1f %% more than the frames, want at most 12 %%", name, 100*over)
		}
	}
}

func TestAudioGapStartsAnotherPacket(t *testing.T) {
	m, r, b := newMuxer(t, Config{Audio: AAC, ASC: ascLC48}), newSource(1), new(Pool).Buffer()
	var want []int64
	for _, c := range []struct {
		pts   int64
		opens bool
	}{
		{0, true}, {1920 + 90, false}, {3840 - 90, false}, // milliseconds
		{3*1920 + 1920, true}, {5 * 1920, false}, // one frame is missing
		{4 * 1920, true},     // back
		{1 << 40, true},      // far on
		{-1 << 63, true},     // as far as it goes
		{1<<63 - 1, true},    // and the other way
		{1<<63 - 1921, true}, // an end that overflows is met by nobody
		{900000, true}, {901920, false},
	} {
		if c.opens {
			want = append(want, int64(wire(c.pts)))
		}
		m.Audio(b, c.pts, r.bytes(50))
	}
	m.FlushAudio(b)
	var got []int64
	d := bytesOf(b)
	for ; len(d) > 0; d = d[PacketSize:] {
		if d[1]&0x40 != 0 {
			got = append(got, rawDTS(d[5+int(d[4]):]))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("PES packets at %d, want %d", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("PES packet %d at %d, want %d", i, got[i], want[i])
		}
	}
}

func TestAudioThatCannotBeCarried(t *testing.T) {
	b := new(Pool).Buffer()
	m := newMuxer(t, Config{Audio: AAC, ASC: ascLC48})
	m.Audio(b, 0, nil)
	m.Audio(b, 0, []byte{})
	m.Audio(b, 0, make([]byte, codec.MaxAACFrame+1))
	m.Audio(b, 0, make([]byte, 1<<20))
	if err := m.Reconfigure(Config{Audio: MP3MPEG1}); err != nil {
		t.Fatal(err)
	}
	m.Audio(b, 0, []byte{0xFF, 0xFB})
	m.Audio(b, 0, make([]byte, 400))
	m.Audio(b, 0, newSource(1).mp3(maxAudioFrame+1, false))
	m.FlushAudio(b)
	if b.Len() != 0 || m.Stats().AudioDropped.Load() != 7 {
		t.Errorf("%d bytes written, %d frames dropped, want 0 and 7", b.Len(), m.Stats().AudioDropped.Load())
	}
	m.Audio(b, 0, newSource(1).mp3(400, false))
	if err := m.Reconfigure(Config{Video: H264}); err != nil {
		t.Fatal(err)
	}
	m.FlushAudio(b)
	if b.Len() != 0 || m.Stats().AudioDropped.Load() != 8 {
		t.Error("a frame of before Reconfigure was not dropped and counted")
	}
}

// TestAudioDoesNotWaitForEver lets audio pause in the middle of a packet while video goes on.
func TestAudioDoesNotWaitForEver(t *testing.T) {
	m, r, b := newMuxer(t, Config{Video: H264, Audio: AAC, ASC: ascLC48}), newSource(1), new(Pool).Buffer()
	m.Begin(b)
	m.Audio(b, 90, r.bytes(100))
	for i := range int64(30) {
		m.Video(b, VideoUnit{PTS: i * 3000, DTS: i * 3000, Units: [][]byte{r.nal(H264, 100, false)}})
	}
	if in := inspect(t, bytesOf(b)); len(in.audio) != 1 { // it also finds audio behind the PCR
		t.Errorf("%d audio packets", len(in.audio))
	}
}

func TestAudioBehindThePCRIsCounted(t *testing.T) {
	for delay, want := range map[int64]uint64{200 * 90: 0, 350 * 90: 1} {
		s := newStage(t)
		s.Away(AudioTrack) // else the clock waits for it
		for dts := int64(0); dts <= 90000; dts += 3000 {
			s.picture(dts)
		}
		s.Audio(s.b, 90000-delay, s.r.bytes(100))
		s.FlushAudio(s.b)
		if n := s.Stats().AudioLate.Load(); n != want {
			t.Errorf("audio %d ticks behind video: %d counted, want %d", delay, n, want)
		}
	}
}

// TestAudioGoesWhereItIsSaid has the end of one segment come after the beginning of the next.
func TestAudioGoesWhereItIsSaid(t *testing.T) {
	m, r, pool := newMuxer(t, Config{Video: H264, Audio: AAC, ASC: ascLC48}), newSource(1), new(Pool)
	a, b := pool.Buffer(), pool.Buffer()
	picture := func(b *Buffer, dts int64) {
		m.Video(b, VideoUnit{PTS: dts, DTS: dts, IDR: true, Units: [][]byte{r.nal(H264, 100, true)}})
	}
	m.Begin(a)
	picture(a, 0)
	m.Audio(a, 0, r.bytes(100))
	m.Begin(b)
	picture(b, 30000) // audio of 0 still gathers, and belongs to a
	size := b.Len()
	m.Audio(a, 1920, r.bytes(100))
	m.FlushAudio(a)
	if b.Len() != size {
		t.Error("audio of the old segment went to the new one")
	}
	m.Audio(b, 3840, r.bytes(100))
	m.FlushAudio(b)
	in := inspect(t, bytes.Join([][]byte{bytesOf(a), bytesOf(b)}, nil))
	if len(in.audio) != 2 || len(in.video) != 2 {
		t.Errorf("%d audio packets and %d pictures", len(in.audio), len(in.video))
	}
}
