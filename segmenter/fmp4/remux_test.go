package fmp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// wall is an instant in ticks.
func wall() int64 {
	return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixMilli() * 90
}

// Every access unit comes out as it went in, with its times, whatever laps of the 33 bits it was on.
func TestRemux(t *testing.T) {
	for name, from := range map[string]int64{"from zero": 0, "over the wrap": 1<<33 - mpegts.Offset - 3*90000, "late": 5<<33 + 12345} {
		t.Run(name, func(t *testing.T) {
			frames := clip(6, from)
			var r Remuxer
			var video, audio [][]byte
			segments := muxed(t, frames, both())
			for i, s := range segments {
				v, a, err := render(&r, pieces(s), Segment{Number: uint64(7 + i), Start: wall() + int64(i)*180000, Duration: 180000})
				if err != nil {
					t.Fatal(err)
				}
				if v.Ends != nil || a.Ends != nil {
					t.Error("a segment of one part has parts")
				}
				video, audio = append(video, v.Data), append(audio, a.Data)
			}
			vi, ai := inits(t, pieces(segments[0]))
			v, a := parse(t, vi, video...), parse(t, ai, audio...)
			nv, na := 0, 0
			var lap int64
			for _, f := range frames {
				if f.audio == nil {
					s := v.samples[nv]
					if nv == 0 {
						lap = int64(s.DecodeTime) - f.dts
						if (lap-mpegts.Offset)%(1<<33) != 0 {
							t.Fatalf("DTS %d for %d", s.DecodeTime, f.dts)
						}
						if d := int64(s.DecodeTime) - wall(); d > 1<<32 || d < -1<<32 {
							t.Errorf("%d ticks from the wall time", d)
						}
					}
					want := binary.BigEndian.AppendUint32(nil, uint32(len(f.units[0])))
					want = append(want, f.units[0]...)
					if int64(s.DecodeTime) != f.dts+lap || s.PresentationTime() != f.pts+lap || s.Dur != 3000 || s.IsSync() != f.idr || !bytes.Equal(s.Data, want) {
						t.Fatalf("picture %d: DTS %d, want %d; PTS %d, want %d; lasts %d; sync %v, %d bytes, want %d",
							nv, s.DecodeTime, f.dts+lap, s.PresentationTime(), f.pts+lap, s.Dur, s.IsSync(), len(s.Data), len(want))
					}
					nv++
					continue
				}
				s := a.samples[na]
				if at := int64(s.DecodeTime) * 90000 / 48000; at-f.pts-lap > 1 || at-f.pts-lap < -1 || s.Dur != 1024 || !bytes.Equal(s.Data, f.audio) {
					t.Fatalf("sound %d: at %d, want %d; lasts %d; %d bytes", na, at, f.pts+lap, s.Dur, len(s.Data))
				}
				na++
			}
			if nv != len(v.samples) || na != len(a.samples) {
				t.Errorf("%d pictures and %d sounds, want %d and %d", len(v.samples), len(a.samples), nv, na)
			}
			for _, p := range []parsed{v, a} {
				next := p.samples[0].DecodeTime
				for i, s := range p.samples {
					if d := int64(s.DecodeTime - next); d > 1 || d < -1 {
						t.Errorf("sample %d begins %d ticks after the end of the one before", i, d)
					}
					next = s.DecodeTime + uint64(s.Dur)
				}
			}
		})
	}
}

// The bytes are those of the segment, its number, wall time and duration, and of nothing else: of how it lies in memory, of what was
// rendered before.
func TestRemuxIsAFunction(t *testing.T) {
	segments := muxed(t, clip(4, 0), both())
	at := Segment{Number: 3, Start: wall(), Duration: 180000}
	var r, again Remuxer
	v1, a1, err := render(&r, pieces(segments[0]), at)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := render(&again, pieces(segments[1]), Segment{Number: 9}); err != nil {
		t.Fatal(err)
	}
	at.Start += 45 // what a playlist rounds off
	v2, a2, err := render(&again, [][]byte{bytes.Join(pieces(segments[0]), nil)}, at)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(v1.Data, v2.Data) || !bytes.Equal(a1.Data, a2.Data) {
		t.Error("the same segment gives other bytes")
	}
}

// Tables in the middle of a segment begin a part, which is a fragment of its own in both tracks.
func TestRemuxParts(t *testing.T) {
	frames := clip(2, 0)
	m, err := mpegts.NewMuxer(both())
	if err != nil {
		t.Fatal(err)
	}
	b := new(mpegts.Pool).Buffer()
	n := 0
	for _, f := range frames {
		if f.audio == nil && n%15 == 0 {
			m.FlushAudio(b)
			m.Begin(b)
		}
		if f.audio != nil {
			m.Audio(b, f.pts, f.audio)
			continue
		}
		n++
		m.Video(b, mpegts.VideoUnit{PTS: f.pts, DTS: f.dts, Units: f.units, IDR: f.idr, ParameterSets: [][]byte{sps264, pps264}})
	}
	m.FlushAudio(b)
	m.Begin(b) // and one that is empty
	at := Segment{Number: 1, Start: wall(), Duration: 180000}
	v, a, err := render(new(Remuxer), pieces(b), at)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Ends) != 5 || len(a.Ends) != 5 || v.Ends[4] != len(v.Data) || a.Ends[4] != len(a.Data) {
		t.Fatalf("parts end at %v and %v of %d and %d", v.Ends, a.Ends, len(v.Data), len(a.Data))
	}
	vi, ai := inits(t, pieces(b))
	whole := parse(t, vi, v.Data)
	if len(whole.samples) != 60 {
		t.Errorf("%d pictures", len(whole.samples))
	}
	from := 0
	for i, end := range v.Ends {
		p := parse(t, vi, v.Data[from:end])
		if want := []int{15, 15, 15, 15, 0}[i]; len(p.samples) != want {
			t.Errorf("part %d has %d pictures, want %d", i, len(p.samples), want)
		}
		if moof := p.file.Segments[0].Fragments[0].Moof; moof.Mfhd.SequenceNumber != uint32(1<<8+i+1) {
			t.Errorf("part %d has sequence number %d", i, moof.Mfhd.SequenceNumber)
		}
		from = end
	}
	sounds := parse(t, ai, a.Data).samples
	for i, s := range sounds {
		if i > 0 && s.DecodeTime != sounds[i-1].DecodeTime+1024 {
			t.Errorf("sound %d begins %d after the one before", i, s.DecodeTime-sounds[i-1].DecodeTime)
		}
	}
}

func TestRemuxOneTrack(t *testing.T) {
	frames := clip(2, 0)
	only := func(video bool) (some []frame) {
		for _, f := range frames {
			if (f.audio == nil) == video {
				some = append(some, f)
			}
		}
		return some
	}
	at := Segment{Start: wall(), Duration: 180000}
	v, a, err := render(new(Remuxer), pieces(muxed(t, only(true), mpegts.Config{Video: mpegts.H264})[0]), at)
	if err != nil || len(v.Data) == 0 || len(a.Data) > 0 {
		t.Errorf("video alone: %d and %d bytes, %v", len(v.Data), len(a.Data), err)
	}
	s := pieces(muxed(t, only(false), mpegts.Config{Audio: mpegts.AAC, ASC: ascHE48})[0])
	v, a, err = render(new(Remuxer), s, at)
	if err != nil || len(v.Data) > 0 || len(a.Data) == 0 {
		t.Errorf("audio alone: %d and %d bytes, %v", len(v.Data), len(a.Data), err)
	}
	h, err := new(Remuxer).Head(s)
	if err != nil || h.Audio == nil || h.Audio.Rate != 24000 || h.Video != nil || h.PTS != mpegts.Offset {
		t.Errorf("head %+v, %v", h, err)
	}
	// MP3 has no form.
	m, _ := mpegts.NewMuxer(mpegts.Config{Video: mpegts.H264, Audio: mpegts.MP3MPEG1})
	b := new(mpegts.Pool).Buffer()
	m.Begin(b)
	f := only(true)[0]
	m.Video(b, mpegts.VideoUnit{PTS: f.pts, DTS: f.dts, Units: f.units, IDR: true, ParameterSets: [][]byte{sps264, pps264}})
	m.Audio(b, 0, append([]byte{0xFF, 0xFB, 0x90, 0}, make([]byte, 413)...))
	m.FlushAudio(b)
	if v, a, err = render(new(Remuxer), pieces(b), at); err != nil || len(v.Data) == 0 || len(a.Data) > 0 {
		t.Errorf("with MP3: %d and %d bytes, %v", len(v.Data), len(a.Data), err)
	}
	if h, err = new(Remuxer).Head(pieces(b)); err != nil || h.Unfit != "MP3" || h.Video == nil {
		t.Errorf("head %+v, %v", h, err)
	}
}

// A frame of audio that is missing is a pause, and moves nothing behind it.
func TestRemuxPause(t *testing.T) {
	var frames []frame
	for i, f := range clip(2, 0) {
		if f.audio == nil || i < 40 || i > 46 {
			frames = append(frames, f)
		}
	}
	s := pieces(muxed(t, frames, both())[0])
	_, a, err := render(new(Remuxer), s, Segment{Start: wall(), Duration: 180000})
	if err != nil {
		t.Fatal(err)
	}
	_, init := inits(t, s)
	samples := parse(t, init, a.Data).samples
	paused := 0
	for i, s := range samples {
		if s.Dur != 1024 {
			paused++
		}
		if i > 0 && s.DecodeTime != samples[i-1].DecodeTime+uint64(samples[i-1].Dur) {
			t.Errorf("sound %d does not follow", i)
		}
	}
	if first, last := samples[0].DecodeTime, samples[len(samples)-1].DecodeTime; paused != 1 || last-first < 48000*2-3*1024 {
		t.Errorf("%d pauses, and from first to last %d samples", paused, last-first)
	}
}

// What is damaged is an error: one of the two, and nothing is rendered.
func TestRemuxDamaged(t *testing.T) {
	good := bytes.Join(pieces(muxed(t, clip(2, 0), both())[0]), nil)
	change := func(edit func(b []byte) []byte) []byte { return edit(bytes.Clone(good)) }
	for name, b := range map[string][]byte{
		"nothing":               nil,
		"text":                  bytes.Repeat([]byte("no transport stream "), 188),
		"cut within a packet":   good[:188*100+5],
		"a packet too few":      change(func(b []byte) []byte { return append(b[:188*50], b[188*51:]...) }),
		"no sync byte":          change(func(b []byte) []byte { b[188*50] = 0; return b }),
		"marked as erroneous":   change(func(b []byte) []byte { b[188*50+1] |= 0x80; return b }),
		"without tables":        good[188*2:],
		"without a PES header":  change(func(b []byte) []byte { b[188*2+12+2] = 0; return b }),
		"without a PTS":         change(func(b []byte) []byte { b[188*2+12+7] = 0; return b }),
		"long adaptation field": change(func(b []byte) []byte { b[188*2+4] = 255; return b }),
		"the end of another":    append(bytes.Clone(good[:376]), good[188*40:]...),
		"the same twice":        append(bytes.Clone(good), good...),
		"an unreadable map":     change(func(b []byte) []byte { b[188+5] = 9; return b }),
		"no start code":         change(func(b []byte) []byte { copy(b[188*2+12+19:], "garbage"); return b }),
	} {
		v, a, err := render(new(Remuxer), [][]byte{b}, Segment{Start: wall()})
		if !errors.Is(err, mpegts.ErrDamaged) && !errors.Is(err, mpegts.ErrNotTS) || len(v.Data) > 0 || len(a.Data) > 0 {
			t.Errorf("%s: %d and %d bytes, %v", name, len(v.Data), len(a.Data), err)
		}
	}
	if _, _, err := render(new(Remuxer), [][]byte{good}, Segment{Start: wall()}); err != nil {
		t.Error(err)
	}
}

func FuzzRemux(f *testing.F) {
	good := bytes.Join(pieces(muxed(f, clip(1, 0)[:8], both())[0]), nil)
	f.Add(good)
	f.Add(good[:188*9])
	f.Add([]byte("G"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Remuxer
		at := Segment{Number: 1, Start: wall(), Duration: 180000}
		v, a, err := render(&r, [][]byte{b}, at)
		if n := cap(v.Data) + cap(a.Data); n > 4*len(b)+32<<10 {
			t.Errorf("%d bytes of %d", n, len(b))
		}
		if _, headErr := r.Head([][]byte{b}); err == nil && headErr != nil {
			t.Error("a segment without a head:", headErr)
		}
		if err == nil {
			if v2, a2, _ := render(&r, [][]byte{b}, at); !bytes.Equal(v.Data, v2.Data) || !bytes.Equal(a.Data, a2.Data) {
				t.Error("twice the same gives other bytes")
			}
		}
	})
}
