package mpegts

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The keyframe is the first picture, with all of its packets and none of the tables, wherever sound lies.
func TestFindKeyframe(t *testing.T) {
	recovery, refresh := []byte{6, 6, 1, 0xC4, 0x80}, []byte{6, 6, 2, 9, 0xC4, 0x80}
	cra := []byte{21 << 1, 1, 0x80}
	for name, c := range map[string]struct {
		video StreamType
		units func(s source) [][]byte
		want  bool
	}{
		"IDR":            {H264, func(s source) [][]byte { return [][]byte{s.nal(H264, 20000, true)} }, true},
		"small":          {H264, func(s source) [][]byte { return [][]byte{s.nal(H264, 20, true)} }, true},
		"IDR, HEVC":      {H265, func(s source) [][]byte { return [][]byte{s.nal(H265, 20000, true)} }, true},
		"CRA":            {H265, func(s source) [][]byte { return [][]byte{append(cra, s.bytes(9000)...)} }, true},
		"recovery point": {H264, func(s source) [][]byte { return [][]byte{recovery, s.nal(H264, 9000, false)} }, true},
		"refresh":        {H264, func(s source) [][]byte { return [][]byte{refresh, s.nal(H264, 9000, false)} }, false},
		"no keyframe":    {H264, func(s source) [][]byte { return [][]byte{s.nal(H264, 9000, false)} }, false},
		"behind a long SEI": {H264, func(s source) [][]byte {
			return [][]byte{append([]byte{6, 5, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 10}, s.bytes(8*255+10)...), s.nal(H264, 9000, true)}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(7)
			m := newMuxer(t, Config{Video: c.video, Audio: AAC, ASC: ascLC48})
			var pool Pool
			b := pool.Buffer()
			m.Begin(b)
			m.Audio(b, 90000, s.bytes(200))
			m.FlushAudio(b)
			from := int64(b.Len())
			m.Video(b, VideoUnit{PTS: 97200, DTS: 90000, Units: c.units(s), IDR: true, ParameterSets: [][]byte{sps264, pps264}})
			to := int64(b.Len())
			m.Audio(b, 92000, s.bytes(200))
			m.FlushAudio(b)
			m.Video(b, VideoUnit{PTS: 100800, DTS: 93600, Units: [][]byte{s.nal(c.video, 5000, false)}})
			m.BeginPart(b)
			m.Video(b, VideoUnit{PTS: 104400, DTS: 97200, Units: [][]byte{s.nal(c.video, 5000, true)}, IDR: true})
			want := Keyframe{Tables: 2 * PacketSize, Offset: from, Size: to - from}
			if !c.want {
				want = Keyframe{}
			}
			whole := bytesOf(b)
			for _, end := range []int{len(whole), int(to)} { // a segment may have no other picture
				if got, err := FindKeyframe(bytes.NewReader(whole[:end])); err != nil || got != want {
					t.Errorf("%+v, %v; want %+v", got, err, want)
				}
			}
			if !c.want {
				return
			}
			// It is all that is read, to a buffer's length, and with the tables it is that picture and nothing else.
			r := bytes.NewReader(append(bytes.Clone(whole), make([]byte, 1<<20)...))
			if _, err := FindKeyframe(r); err != nil || r.Len() < 900<<10 {
				t.Errorf("%d bytes are left unread, %v", r.Len(), err)
			}
			units := readPES(t, append(bytes.Clone(whole[:want.Tables]), whole[from:to]...))
			if len(units) != 1 || !units[0].isVideo || !bytes.Equal(units[0].data, readPES(t, whole)[1].data) {
				t.Errorf("%d PES packets, or another picture", len(units))
			}
		})
	}
}

// What has no picture has no keyframe, and what is no segment is an error.
func TestFindKeyframeRefuses(t *testing.T) {
	m := newMuxer(t, Config{Audio: AAC, ASC: ascLC48})
	var pool Pool
	b := pool.Buffer()
	m.Begin(b)
	m.Audio(b, 90000, newSource(1).bytes(200))
	m.FlushAudio(b)
	sound := bytesOf(b)
	failing := errors.New("the disk is gone")
	for name, c := range map[string]struct {
		r    io.Reader
		want error
	}{
		"sound alone": {bytes.NewReader(sound), nil}, "tables alone": {bytes.NewReader(sound[:2*PacketSize]), nil},
		"nothing": {bytes.NewReader(nil), ErrDamaged}, "half a packet": {bytes.NewReader(sound[:PacketSize+9]), ErrDamaged},
		"no transport stream": {bytes.NewReader(make([]byte, 4000)), ErrNotTS}, "an error": {io.MultiReader(bytes.NewReader(sound[:PacketSize]), broken{failing}), failing},
	} {
		if got, err := FindKeyframe(c.r); !errors.Is(err, c.want) || got != (Keyframe{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Of sound alone no more is read than says so.
func TestFindKeyframeOfSound(t *testing.T) {
	m := newMuxer(t, Config{Audio: AAC, ASC: ascLC48})
	var pool Pool
	b := pool.Buffer()
	m.Begin(b)
	for i := range 2000 {
		m.Audio(b, 90000+int64(i)*1920, newSource(1).bytes(400))
	}
	m.FlushAudio(b)
	r := bytes.NewReader(bytesOf(b))
	if k, err := FindKeyframe(r); err != nil || k != (Keyframe{}) || r.Len() < 500<<10 {
		t.Errorf("%+v, %v, %d bytes are left unread", k, err, r.Len())
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// FuzzFindKeyframe holds that a keyframe lies within what was read.
func FuzzFindKeyframe(f *testing.F) {
	m := newMuxer(f, Config{Video: H264})
	var pool Pool
	b := pool.Buffer()
	m.Begin(b)
	m.Video(b, VideoUnit{PTS: 1, DTS: 1, Units: [][]byte{newSource(1).nal(H264, 500, true)}, IDR: true, ParameterSets: [][]byte{sps264, pps264}})
	f.Add(bytesOf(b))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := FindKeyframe(bytes.NewReader(data))
		if k.Offset+k.Size > int64(len(data)) || k.Size > 0 && (k.Offset < k.Tables || k.Tables < 2*PacketSize || k.Offset%PacketSize != 0) || err != nil && k != (Keyframe{}) {
			t.Errorf("%+v, %v", k, err)
		}
	})
}

// Each keyframe that is found, with the tables before it, decodes to one picture, with every codec and in open groups of pictures too.
func TestFFmpegDecodesKeyframesAlone(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		args   string
	}{
		"H.264 with B-frames": {Config{Video: H264, Audio: AAC, ASC: ascLC48}, "-c:v libx264 -preset fast -bf 3 -g 25 -sc_threshold 0 -c:a aac"},
		"H.264, open groups":  {Config{Video: H264}, "-an -c:v libx264 -preset fast -x264-params open-gop=1:bframes=3:keyint=25:scenecut=0"},
		"H.264 in slices":     {Config{Video: H264}, "-an -c:v libx264 -preset ultrafast -x264-params slices=4:keyint=25:scenecut=0"},
		"H.265":               {Config{Video: H265, Audio: AAC, ASC: ascLC48}, "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:scenecut=0:open-gop=0 -c:a aac"},
		"H.265, open groups":  {Config{Video: H265}, "-an -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:scenecut=0:open-gop=1:bframes=3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clip, _ := encode(t, c.config, c.args)
			segments := clip.mux(t)
			if len(segments) < 3 {
				t.Fatalf("%d segments", len(segments))
			}
			for i, s := range segments {
				k, err := FindKeyframe(bytes.NewReader(s))
				if err != nil || k.Size == 0 {
					t.Fatalf("segment %d: %+v, %v", i, k, err)
				}
				file := filepath.Join(t.TempDir(), "picture.ts")
				if err := os.WriteFile(file, append(bytes.Clone(s[:k.Tables]), s[k.Offset:k.Offset+k.Size]...), 0o644); err != nil {
					t.Fatal(err)
				}
				out := ffmpeg(t, "-i", file, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
				if n := strings.Count(out, "\n0,"); n != 1 {
					t.Errorf("the keyframe of segment %d is %d pictures", i, n)
				}
			}
		})
	}
}
