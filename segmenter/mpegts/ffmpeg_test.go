package mpegts

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// clip is what an encoder made: access units in the order of the file.
type clip struct {
	config Config
	sets   [][]byte
	frames []benchFrame
}

// encode has ffmpeg make a clip of three seconds and takes it apart. The container is ffmpeg's own transport stream, with
// one access unit in each PES packet.
func encode(t *testing.T, config Config, args string) (c clip, file string) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	file = filepath.Join(t.TempDir(), "source.ts")
	inputs := "-f lavfi -i testsrc2=s=192x108:r=25 -f lavfi -i aevalsrc=sin(900*t)|sin(500*t):s=48000 "
	ffmpeg(t, strings.Fields(inputs+args+" -t 3 -pes_payload_size 0 "+file)...)
	stream, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c.config = config
	in := readPES(t, stream)
	for _, u := range in {
		if !u.isVideo {
			frame := u.data
			if config.Audio == AAC {
				if n := int(frame[3]&3)<<11 | int(frame[4])<<3 | int(frame[5]>>5); n != len(frame) {
					t.Fatalf("the source has an ADTS frame of %d bytes in a PES packet of %d", n, len(frame))
				}
				frame = frame[codec.ADTSSize:]
			}
			c.frames = append(c.frames, benchFrame{pts: u.pts, audio: frame})
			continue
		}
		f := benchFrame{pts: u.pts, dts: u.dts}
		for _, n := range splitAnnexB(u.data) {
			switch kind := config.codec().NAL(n); {
			case kind.Set() != 0: // ours to put back
				if f.idr = true; len(c.sets) < 3 && !slices.ContainsFunc(c.sets, func(s []byte) bool { return bytes.Equal(s, n) }) {
					c.sets = append(c.sets, n)
				}
			default:
				f.units = append(f.units, n)
			}
		}
		c.frames = append(c.frames, f)
	}
	return c, file
}

func splitAnnexB(data []byte) (units [][]byte) {
	for _, u := range bytes.Split(data, []byte{0, 0, 1}) {
		if u = bytes.TrimRight(u, "\x00"); len(u) > 0 {
			units = append(units, u)
		}
	}
	return units
}

// mux writes a clip in segments that begin at its IDRs, or each second where there is no video.
func (c clip) mux(t *testing.T) (segments [][]byte) {
	t.Helper()
	return c.muxWith(newMuxer(t, c.config), 0)
}

// muxWith writes it with a muxer, some ticks later than it is.
func (c clip) muxWith(m *Muxer, later int64) (segments [][]byte) {
	pool := new(Pool)
	b := pool.Buffer()
	m.Begin(b)
	begun := false
	last := c.frames[0].pts
	for _, f := range c.frames {
		cut := f.idr
		if c.config.Video == 0 && f.pts-last >= 90000 {
			cut, last = true, f.pts
		}
		if cut && begun {
			m.FlushAudio(b)
			segments = append(segments, bytesOf(b))
			b = pool.Buffer()
			m.Begin(b)
		}
		begun = begun || f.audio == nil || c.config.Video == 0 // audio before the first picture is no segment of its own
		if f.audio != nil {
			m.Audio(b, f.pts+later, f.audio)
		} else {
			m.Video(b, VideoUnit{PTS: f.pts + later, DTS: f.dts + later, Units: f.units, IDR: f.idr, ParameterSets: c.sets})
		}
	}
	m.FlushAudio(b)
	return append(segments, bytesOf(b))
}

func ffmpeg(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := tryFFmpeg(t, args...)
	if err != nil || stderr != "" {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout
}

func tryFFmpeg(t *testing.T, args ...string) (out, words string, err error) {
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-nostdin", "-hide_banner", "-v", "error", "-xerror", "-threads", "1"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// decode gives one line for each decoded frame: its stream, time and MD5. Frames of one stream are in order.
func decode(t *testing.T, file string) []string {
	t.Helper()
	out := ffmpeg(t, "-err_detect", "explode", "-i", file, "-map", "0:v?", "-map", "0:a?", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "#") })
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(a[:2], b[:2]) })
	return lines
}

func TestFFmpegDecodesWhatTheEncoderMade(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		args   string
	}{
		"H.264 with B-frames, AAC": {Config{Video: H264, Audio: AAC, ASC: ascLC48}, "-c:v libx264 -preset fast -bf 3 -g 25 -sc_threshold 0 -c:a aac"},
		"H.264 in slices, MP3":     {Config{Video: H264, Audio: MP3MPEG1}, "-c:v libx264 -preset ultrafast -x264-params slices=4:keyint=50:scenecut=0 -c:a libmp3lame"},
		"H.265, AAC":               {Config{Video: H265, Audio: AAC, ASC: ascLC48}, "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:scenecut=0:open-gop=0 -c:a aac"},
		"H.264 at 5 a second":      {Config{Video: H264, Audio: AAC, ASC: ascLC48}, "-r 5 -c:v libx264 -preset ultrafast -g 5 -c:a aac"},
		"H.264 alone":              {Config{Video: H264}, "-an -c:v libx264 -preset ultrafast -g 25"},
		"AAC alone":                {Config{Audio: AAC, ASC: ascLC48}, "-vn -c:a aac -b:a 128k"},
		"AAC 5.1 by a PCE, alone":  {Config{Audio: AAC, ASC: ascPCE51}, "-vn -ac 6 -c:a aac"},
		"MP3 at 22 kHz alone":      {Config{Audio: MP3MPEG2}, "-vn -ar 22050 -c:a libmp3lame"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clip, source := encode(t, c.config, c.args)
			segments := clip.mux(t)
			if len(segments) < 2 {
				t.Fatalf("%d segments", len(segments))
			}
			all := bytes.Join(segments, nil)
			checkSpacing(t, inspect(t, all).pcrs)
			file := filepath.Join(t.TempDir(), "ours.ts")
			if err := os.WriteFile(file, all, 0o644); err != nil {
				t.Fatal(err)
			}
			want, got := decode(t, source), decode(t, file)
			if !slices.Equal(want, got) {
				for i := range min(len(want), len(got)) {
					if want[i] != got[i] {
						t.Errorf("decoded frame %d:\n got %s\nwant %s", i, got[i], want[i])
						break
					}
				}
				t.Errorf("%d frames decoded, want %d", len(got), len(want))
			}
			t.Logf("%d frames equal, in %d segments", len(got), len(segments))
			for i, s := range segments { // each can be joined at
				file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.ts", i))
				if err := os.WriteFile(file, s, 0o644); err != nil {
					t.Fatal(err)
				}
				if len(decode(t, file)) == 0 {
					t.Errorf("segment %d alone gives no frame", i)
				}
			}
		})
	}
}

// TestFFmpegReadsWhatTwoMuxersWrote joins segments of before and after a restart of the server, and of before and after a
// break of the time line.
func TestFFmpegReadsWhatTwoMuxersWrote(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		args   string
	}{
		"H.264, AAC": {Config{Video: H264, Audio: AAC, ASC: ascLC48}, "-c:v libx264 -preset fast -bf 3 -g 25 -sc_threshold 0 -c:a aac"},
		"H.265, AAC": {Config{Video: H265, Audio: AAC, ASC: ascLC48}, "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:scenecut=0:open-gop=0 -c:a aac"},
		"H.264, MP3": {Config{Video: H264, Audio: MP3MPEG1}, "-c:v libx264 -preset ultrafast -g 25 -c:a libmp3lame"},
		"AAC alone":  {Config{Audio: AAC, ASC: ascLC48}, "-vn -c:a aac"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clip, _ := encode(t, c.config, c.args)
			for after, later := range map[string]int64{"begins anew": 0, "goes on": 3 * 90000, "is hours on": 5 * 3600 * 90000} {
				join := func(second *Muxer) string {
					segments := clip.mux(t)
					segments = append(segments[:2], clip.muxWith(second, later)...)
					file := filepath.Join(t.TempDir(), "joined.ts")
					if err := os.WriteFile(file, bytes.Join(segments, nil), 0o644); err != nil {
						t.Fatal(err)
					}
					return file
				}
				t.Logf("the second %s", after)
				fresh := newMuxer(t, c.config)
				fresh.Discontinuity()
				ffmpeg(t, "-i", join(fresh), "-f", "null", "-")
				if later > 0 || c.config.Video == 0 {
					continue
				}
				if _, words, err := tryFFmpeg(t, "-i", join(newMuxer(t, c.config)), "-f", "null", "-"); err == nil && words == "" {
					t.Error("ffmpeg does not mind counters that begin anew unannounced: this test shows nothing")
				}
			}
		})
	}
}

// TestFFmpegDecodesTracksThatAreFarApart has one track come two seconds after the other.
func TestFFmpegDecodesTracksThatAreFarApart(t *testing.T) {
	for name, late := range map[string]struct{ video, audio int64 }{"audio late": {0, 2 * 90000}, "video late": {2 * 90000, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clip, source := encode(t, Config{Video: H264, Audio: AAC, ASC: ascLC48}, "-c:v libx264 -preset fast -bf 3 -g 25 -sc_threshold 0 -c:a aac")
			slices.SortStableFunc(clip.frames, func(a, b benchFrame) int {
				when := func(f benchFrame) int64 {
					if f.audio != nil {
						return f.pts + late.audio
					}
					return f.dts + late.video
				}
				return int(when(a) - when(b))
			})
			if first := slices.IndexFunc(clip.frames, func(f benchFrame) bool { return f.audio == nil }); first > 0 {
				// A segmenter has a segment for sound only once there is a picture.
				clip.frames = slices.Concat(clip.frames[first:first+1], clip.frames[:first], clip.frames[first+1:])
			}
			stream := bytes.Join(clip.mux(t), nil)
			in := inspect(t, stream)
			checkSpacing(t, in.pcrs)
			file := filepath.Join(t.TempDir(), "ours.ts")
			if err := os.WriteFile(file, stream, 0o644); err != nil {
				t.Fatal(err)
			}
			if want, got := decode(t, source), decode(t, file); !slices.Equal(want, got) {
				t.Errorf("%d frames decoded, want %d; or they differ", len(got), len(want))
			}
		})
	}
}
