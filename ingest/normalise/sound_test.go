package normalise

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// adtsOf adds a header to a frame.
func adtsOf(t testing.TB, asc string, frame []byte) []byte {
	t.Helper()
	c, err := codec.ParseASC(unhex(t, asc))
	if err != nil {
		t.Fatal(err)
	}
	return append(codec.AppendADTS(nil, c.ADTS(), len(frame)), frame...)
}

// TestNotAFrame checks that what cannot be a frame never comes out: it would stop the decoders of browsers for good.
func TestNotAFrame(t *testing.T) {
	const long = "2b9208000000" // an AudioSpecificConfig as long as a frame may be
	for name, tc := range map[string]struct {
		header string
		frame  []byte
		reason ingest.Reason
	}{
		"the configuration":          {ascLC, unhex(t, ascLC), ingest.NotAFrame},
		"a longer configuration":     {long, unhex(t, long), ingest.NotAFrame},
		"too short":                  {ascLC, []byte{0x21, 0, 4}, ingest.NotAFrame},
		"too long":                   {ascLC, make([]byte, codec.MaxAACFrame+1), ingest.NotAFrame},
		"a configuration as ADTS":    {ascLC, adtsOf(t, ascLC, unhex(t, ascLC)), ingest.NotAFrame},
		"ADTS that is cut short":     {ascLC, adtsOf(t, ascLC, aac(1))[:10], ingest.Malformed},
		"ADTS with something behind": {ascLC, append(adtsOf(t, ascLC, aac(1)), 1, 2), ingest.Malformed},
		"ADTS of its own layout":     {ascLC, unhex(t, "fff1500001bffc2100049000"), ingest.Malformed},
	} {
		r := newRig(t, Options{})
		r.header(tc.header)
		r.sound(0, aac(0))
		r.sound(23, tc.frame)
		r.sound(46, aac(2))
		r.sound(69, nil) // ffmpeg ends a stream like this
		r.end()
		want := 2
		if name == "ADTS with something behind" {
			want = 3
		}
		if len(r.frames) != want || r.frames[0].Track != r.frames[want-1].Track {
			t.Errorf("%s: %d frames", name, len(r.frames))
		}
		r.dropped(&r.ledger.Audio, map[ingest.Reason]int64{tc.reason: 1})
		if n := r.ledger.Audio.Received.Load(); n != int64(want)+1 {
			t.Errorf("%s: %d received", name, n)
		}
	}
}

// TestADTS checks that ADTS headers in messages configure the track and are removed, with one frame or several to a message.
func TestADTS(t *testing.T) {
	for _, header := range []string{"", ascLC, "1190"} {
		r := newRig(t, Options{})
		if header != "" {
			r.header(header)
		}
		r.sound(0, adtsOf(t, ascLC, aac(0)))
		r.sound(23, append(adtsOf(t, ascLC, aac(1)), adtsOf(t, ascLC, aac(2))...))
		withCRC := adtsOf(t, ascLC, append([]byte{0xAB, 0xCD}, aac(3)...))
		withCRC[1] &^= 1
		r.sound(70, withCRC)
		if len(r.frames) != 4 {
			t.Fatalf("%q: %d frames", header, len(r.frames))
		}
		for n, f := range r.frames {
			if !bytes.Equal(f.Units[0], aac(n)) || f.Track.SampleRate != 44100 || f.Track.Channels != 2 || !bytes.Equal(f.Track.ASC, unhex(t, ascLC)) || f.Track != r.frames[0].Track {
				t.Errorf("%q: frame %d: %+v of %+v", header, n, f, f.Track)
			}
		}
		if got := r.frames[2].PTS - r.frames[1].PTS; got != 2089 {
			t.Errorf("%q: the second frame of a message comes %d ticks behind the first", header, got)
		}
	}
	// HE-AAC: the header says more than ADTS can, about the same core.
	r := newRig(t, Options{})
	r.header("2b920800")
	r.sound(0, adtsOf(t, "1390", aac(0)))
	if len(r.frames) != 1 || !bytes.Equal(r.frames[0].Track.ASC, unhex(t, "2b920800")) {
		t.Errorf("%+v", r.frames)
	}
}

// TestNoAACHeader checks what AAC without a header is taken for: by what the encoder says, or by its times.
func TestNoAACHeader(t *testing.T) {
	for name, tc := range map[string]struct {
		hints    Hints
		rate     int // at which frames come
		frame    func(int) []byte
		channels int
		core     int // rate of the track; 0: none
	}{
		"44100 Hz":                       {Hints{}, 44100, aac, 2, 44100},
		"48000 Hz, mono":                 {Hints{}, 48000, mono, 1, 48000},
		"32000 Hz":                       {Hints{}, 32000, aac, 2, 32000},
		"8000 Hz":                        {Hints{}, 8000, mono, 1, 8000},
		"96000 Hz":                       {Hints{}, 96000, aac, 2, 96000},
		"announced":                      {Hints{AudioRate: 44100, AudioChannels: 2}, 44100, aac, 2, 44100},
		"announced as stereo, but mono":  {Hints{AudioRate: 44100, AudioChannels: 2}, 44100, mono, 1, 44100},
		"announced as mono, but stereo":  {Hints{AudioRate: 44100, AudioChannels: 1}, 44100, aac, 2, 44100},
		"announced as 5.1":               {Hints{AudioRate: 48000, AudioChannels: 6}, 48000, mono, 6, 48000},
		"announced as 7.1":               {Hints{AudioRate: 48000, AudioChannels: 8}, 48000, mono, 8, 48000},
		"HE-AAC, announced as it plays":  {Hints{AudioRate: 44100, AudioChannels: 2}, 22050, aac, 2, 22050},
		"an announcement that is absurd": {Hints{AudioRate: 44}, 44100, aac, 2, 44100},
		"times without a rate":           {Hints{}, 130000, aac, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{Milliseconds: true})
			r.Hint(tc.hints)
			for n := range 40 {
				r.sound(int64(n*1024*1000/tc.rate), tc.frame(n))
				r.pass(1024 * time.Second / time.Duration(tc.rate))
			}
			r.end()
			if tc.core == 0 {
				if len(r.frames) != 0 || r.ledger.Audio.Dropped[ingest.NoHeader].Load() != 40 {
					t.Errorf("%d frames", len(r.frames))
				}
				return
			}
			if lost := 40 - len(r.frames); lost > 0 && tc.rate > 8000 || lost > guessFrames {
				t.Fatalf("%d frames, %s", len(r.frames), r.said.String())
			}
			for _, f := range r.frames {
				if f.Track.SampleRate != tc.core || f.Track.Channels != tc.channels || f.Track != r.frames[0].Track {
					t.Fatalf("track %+v", f.Track)
				}
				if c, err := codec.ParseASC(f.Track.ASC); err != nil || c.Rate != tc.core || c.Channels != tc.channels {
					t.Fatalf("the track shows %x: %+v, %v", f.Track.ASC, c, err)
				}
			}
			if n := strings.Count(r.said.String(), "no AAC header came"); n != 1 {
				t.Errorf("it was said %d times: %s", n, r.said.String())
			}
		})
	}
}

// TestLateAACHeader checks that a header in the first moments, or later, overrides any guess.
func TestLateAACHeader(t *testing.T) {
	r := newRig(t, Options{})
	for n := range 60 {
		if n == 5 || n == 40 {
			r.header(map[int]string{5: ascLC, 40: "1190"}[n])
		}
		r.sound(int64(n*23), aac(n))
		r.pass(23 * time.Millisecond)
		if want := n + 1; n >= 5 && len(r.frames) != want || n < 5 && len(r.frames) != 0 {
			t.Errorf("%d frames after %d", len(r.frames), want)
		}
	}
	for n, f := range r.frames {
		if !bytes.Equal(f.Units[0], aac(n)) {
			t.Errorf("frame %d is %x", n, f.Units[0])
		}
	}
	if len(r.frames) != 60 || r.frames[0].Track.SampleRate != 44100 || r.frames[59].Track.SampleRate != 48000 || r.said.Len() > 0 {
		t.Errorf("%d frames, %s", len(r.frames), r.said.String())
	}
	// An encoder that sends it in place of a frame.
	r = newRig(t, Options{})
	for n := range 60 {
		if n == 0 {
			r.sound(0, unhex(t, ascLC))
		}
		r.sound(int64(n*23), aac(n))
	}
	if len(r.frames) != 60 || r.frames[0].Track.SampleRate != 44100 || r.said.Len() > 0 {
		t.Errorf("%d frames, %s", len(r.frames), r.said.String())
	}
	r.dropped(&r.ledger.Audio, nil)
}

// TestBadAACHeader checks that a bad or empty header replaces no good one, and that one which cannot be carried does.
func TestBadAACHeader(t *testing.T) {
	r := newRig(t, Options{})
	r.header(ascLC)
	r.sound(0, aac(0))
	for _, bad := range []string{"", "12", "1690"} {
		r.header(bad)
	}
	r.sound(23, aac(1))
	r.header("1194") // 960 samples
	r.sound(46, aac(2))
	r.header("1194")
	r.sound(70, aac(3))
	r.header(ascLC)
	r.sound(93, aac(4))
	if len(r.frames) != 3 || r.frames[1].Track != r.frames[0].Track {
		t.Errorf("%d frames", len(r.frames))
	}
	r.dropped(&r.ledger.Audio, map[ingest.Reason]int64{ingest.Malformed: 3, ingest.Uncarried: 2})
	if n := strings.Count(r.said.String(), "frames of 960 samples"); n != 1 {
		t.Errorf("it was said %d times: %s", n, r.said.String())
	}
}

// TestUncarried checks that audio which cannot be carried is a refusal if nothing else was announced, and left out if something was.
func TestUncarried(t *testing.T) {
	var refusal *ingest.Refusal
	for _, h := range []Hints{{HasAudio: true}, {HasAudio: true, HasVideo: true}, {}} {
		r := newRig(t, Options{})
		r.Hint(h)
		alone := h.HasAudio && !h.HasVideo
		if err := r.AudioHeader(unhex(t, "ba10"), r.now); errors.As(err, &refusal) != alone {
			t.Errorf("%+v: %v", h, err)
		}
		if err := r.Uncarried(ingest.Refuse(ingest.Unsupported, "Opus"), r.now); errors.As(err, &refusal) != alone {
			t.Errorf("%+v: %v", h, err)
		}
	}
}

// TestMP3 checks what MP3 frames say about themselves, and that those of the free format are passed on as they come.
func TestMP3(t *testing.T) {
	r := newRig(t, Options{Milliseconds: true})
	frame := func(header string, size int) []byte { return append(unhex(t, header), make([]byte, size-4)...) }
	mp3 := func(ms int64, b ...[]byte) {
		t.Helper()
		if err := r.Audio(&Audio{Codec: ingest.MP3, Data: bytes.Join(b, nil), PTS: ms * millisecond, Arrival: r.now}); err != nil {
			t.Fatal(err)
		}
	}
	mp3(0, frame("fffb9000", 417))
	mp3(26, frame("fffb9000", 417), frame("fffb9000", 417))
	mp3(100, frame("fffb00c0", 500)) // of the free format, mono
	mp3(126, []byte{0xFF, 0xFB})
	mp3(130, frame("fffb9000", 416))
	if len(r.frames) != 4 || r.frames[3].Track == r.frames[0].Track || r.frames[2].Track != r.frames[0].Track || r.frames[3].Track.Channels != 1 || len(r.frames[3].Units[0]) != 500 {
		t.Errorf("%d frames", len(r.frames))
	}
	if d := r.frames[2].PTS - r.frames[1].PTS; d < 2350 || d > 2352 {
		t.Errorf("the second frame of a message comes %d ticks behind the first", d)
	}
	r.dropped(&r.ledger.Audio, map[ingest.Reason]int64{ingest.Malformed: 2})
}
