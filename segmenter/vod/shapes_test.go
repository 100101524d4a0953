package vod

import (
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// seen is what ffprobe says of a playlist.
type seen struct {
	width, height   int
	rate            string
	video, audio    string
	pictures        int
	start, duration float64
}

// look asks ffprobe, and lets ffmpeg decode all of it.
func look(t *testing.T, path string) (s seen) {
	t.Helper()
	var p struct {
		Streams []struct {
			Type    string `json:"codec_type"`
			Codec   string `json:"codec_name"`
			Width   int    `json:"width"`
			Height  int    `json:"height"`
			Rate    string `json:"r_frame_rate"`
			Start   string `json:"start_time"`
			Packets string `json:"nb_read_packets"`
		} `json:"streams"`
		Format struct {
			Duration string `json:"duration"`
		} `json:"format"`
	}
	out := run(t, "ffprobe", "-v", "warning", "-count_packets", "-show_streams", "-show_format", "-of", "json", path)
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	for _, x := range p.Streams {
		switch x.Type {
		case "video":
			s.width, s.height, s.rate, s.video = x.Width, x.Height, x.Rate, x.Codec
			s.pictures, _ = strconv.Atoi(x.Packets)
			s.start = number(x.Start)
		case "audio":
			s.audio = x.Codec
		}
	}
	s.duration = number(p.Format.Duration)
	run(t, "ffmpeg", "-v", "error", "-nostdin", "-i", path, "-fps_mode", "passthrough", "-enc_time_base:v", "1/90000", "-f", "null", "-")
	return s
}

// master reads master.m3u8.
func master(t *testing.T, s *shelf) *m3u8.Master {
	t.Helper()
	m, err := m3u8.ParseMaster(s.bodies[masterName])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func noted(t *testing.T, res Result, want string) {
	t.Helper()
	if !strings.Contains(strings.Join(res.Notes, "\n"), want) {
		t.Errorf("no note has %q: %q", want, res.Notes)
	}
}

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

func TestRotatedPhoneVideo(t *testing.T) {
	flat := create(t, "flat.mp4", join(pictures("640x360", "30", "5"), tones("5"), h264, []string{"-c:a", "aac", "-shortest"})...)
	path := filepath.Join(t.TempDir(), "phone.mov")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-i", flat, "-c", "copy", "-metadata:s:v", "rotate=270", path).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	refused(t, open(t, path), Remux, CodeCodec, "turned by 90", "adaptive_video")
	out, res := pack(t, path, AdaptiveVideo, Options{Poster: true})
	noted(t, res, "upright by 90")
	dir := out.save(t)
	if s := look(t, filepath.Join(dir, "360p/stream.m3u8")); s.width != 360 || s.height != 640 {
		t.Errorf("%+v", s)
	}
	if s := look(t, filepath.Join(dir, "poster.jpg")); s.width != 360 || s.height != 640 {
		t.Errorf("the poster: %+v", s)
	}
}

func TestVariableFrameRate(t *testing.T) {
	path := create(t, "vfr.mp4", join(pictures("320x180", "30", "10"), []string{"-vf", "select='not(mod(n,3))+gt(n,150)'", "-fps_mode", "vfr"}, h264)...)
	out, res := pack(t, path, AdaptiveVideo, Options{SegmentDuration: 2e9})
	noted(t, res, "frame rate varies")
	s := look(t, filepath.Join(out.save(t), "180p/stream.m3u8"))
	if !near(s.duration, 10, 0.2) || s.pictures < 195 {
		t.Errorf("%+v of %q", s, res.Notes)
	}
	// A remux keeps the times as they are.
	out, _ = pack(t, path, Remux, Options{})
	if s := look(t, filepath.Join(out.save(t), "180p/stream.m3u8")); !near(s.duration, 10, 0.2) {
		t.Errorf("the remux: %+v", s)
	}
}

func TestHDR(t *testing.T) {
	path := create(t, "hdr.mp4", join(pictures("320x180", "25", "4"), []string{"-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1",
		"-x265-params", "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc", "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"})...)
	out, res := pack(t, path, AdaptiveVideo, Options{Poster: true, Thumbnails: true})
	noted(t, res, "HDR (PQ)")
	noted(t, res, "tone-mapped")
	if s := look(t, filepath.Join(out.save(t), "180p/stream.m3u8")); s.video != "h264" || s.pictures != 100 {
		t.Errorf("%+v", s)
	}
	if v := master(t, out).Variants[0]; v.VideoRange != "" || !strings.HasPrefix(v.Codecs, "avc1.64") {
		t.Errorf("%+v", v)
	}
	out, _ = pack(t, path, Remux, Options{CMAF: true})
	if v := master(t, out).Variants[0]; v.VideoRange != "PQ" || !strings.HasPrefix(v.Codecs, "hvc1.2") {
		t.Errorf("the remux: %+v", v)
	}
	dir := out.save(t)
	for _, p := range []string{"180p/stream.m3u8", "180p/stream_cmaf.m3u8"} {
		if s := look(t, filepath.Join(dir, p)); s.video != "hevc" || s.pictures != 100 {
			t.Errorf("%s: %+v", p, s)
		}
	}
}

func TestFortyFourSoundTracks(t *testing.T) {
	args := join(pictures("320x180", "25", "5"), tones("5"), h264, []string{"-c:a", "aac", "-b:a", "32k", "-map", "0:v"})
	for i := range 44 {
		args = append(args, "-map", "1:a", fmt.Sprintf("-metadata:s:a:%d", i), "language="+[]string{"eng", "deu", "fra"}[i%3], fmt.Sprintf("-disposition:a:%d", i), map[bool]string{true: "default", false: "0"}[i == 20])
	}
	path := create(t, "film.mkv", append(args, "-shortest")...)
	for _, name := range []string{"film.mkv", "film.mp4"} {
		path := path
		if name == "film.mp4" {
			from := path
			path = filepath.Join(t.TempDir(), name)
			if out, err := exec.Command("ffmpeg", "-v", "error", "-i", from, "-map", "0", "-c", "copy", path).CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
		}
		both(t, func(t *testing.T, kind Kind) {
			out, res := pack(t, path, kind, Options{CMAF: true})
			noted(t, res, "44 sound tracks")
			m := master(t, out)
			if len(m.Renditions) != maxAudio || !m.Renditions[0].Default || m.Renditions[0].Language != "fra" || m.Renditions[1].Default {
				t.Errorf("%+v", m.Renditions)
			}
			if len(m.Variants) != 1 || m.Variants[0].Audio != groupName || !strings.HasSuffix(m.Variants[0].Codecs, ",mp4a.40.2") {
				t.Errorf("%+v", m.Variants)
			}
			dir := out.save(t)
			if s := look(t, filepath.Join(dir, m.Variants[0].URI)); s.audio != "" || s.pictures < 125 || s.pictures > 126 {
				t.Errorf("%+v", s)
			}
			if s := look(t, filepath.Join(dir, m.Renditions[3].URI)); s.audio != "aac" || !near(s.duration, 5, 0.1) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestOddDimensions(t *testing.T) {
	path := create(t, "odd.mkv", []string{"-f", "lavfi", "-t", "3", "-i", "testsrc=size=321x181", "-c:v", "ffv1"}...)
	out, res := pack(t, path, AdaptiveVideo, Options{})
	noted(t, res, "odd")
	if s := look(t, filepath.Join(out.save(t), "181p/stream.m3u8")); s.width != 320 || s.height != 180 || s.pictures != 75 {
		t.Errorf("%+v", s)
	}
}

func TestSoundAlone(t *testing.T) {
	type song struct {
		name string
		args []string
	}
	songs := []song{{"song.m4a", []string{"-c:a", "aac"}}, {"song.mp3", []string{"-c:a", "libmp3lame"}}, {"song.wav", nil}, {"song.ogg", []string{"-c:a", "libopus"}}, {"song.flac", nil}}
	if scale() < 1 {
		songs = songs[:2]
	}
	for _, c := range songs {
		path := create(t, c.name, append(tones("20"), c.args...)...)
		both(t, func(t *testing.T, kind Kind) {
			out, _ := pack(t, path, kind, Options{CMAF: true, Poster: true})
			m := master(t, out)
			if len(m.Variants) != 1 || m.Variants[0].Codecs != "mp4a.40.2" || m.Variants[0].URI != "audio/stream.m3u8" || len(m.Renditions) > 0 {
				t.Errorf("%s: %s", c.name, out.bodies[masterName])
			}
			dir := out.save(t)
			for _, p := range []string{"master.m3u8", "master_cmaf.m3u8", "manifest.mpd"} {
				if s := look(t, filepath.Join(dir, p)); s.audio != "aac" || !near(s.duration, 20, 0.15) {
					t.Errorf("%s of %s: %+v", p, c.name, s)
				}
			}
		})
	}
}

// Names never become part of a command line: those that would be options, protocols or shell code are only names.
func TestNames(t *testing.T) {
	path := create(t, "x.mkv", join(pictures("320x180", "25", "2"), h264)...)
	in := open(t, path)
	for _, name := range []string{"Ferien am Meer – Übersicht 2024 (1).mov", "日本語.mp4", "-i", "$(touch /tmp/x); rm -rf /", "http://127.0.0.1/x", "concat:a|b", "%d.mp4", "../../etc/passwd"} {
		out := newShelf()
		if _, err := Package(t.Context(), Request{Input: named{in, name}, Output: out, Kind: Remux}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

type named struct {
	Input
	name string
}

func (n named) Name() string { return n.name }

// Containers and codings of which only ffmpeg knows all; the remux of those that HLS carries.
func TestContainers(t *testing.T) {
	av := join(pictures("320x180", "25", "4"), tones("4"))
	for _, c := range []struct {
		name   string
		remux  bool
		args   []string
		opaque bool
	}{
		{"film.ts", true, append(h264, "-c:a", "aac"), false},
		{"film.flv", true, append(h264, "-c:a", "aac"), false},
		{"ac3.mkv", true, append(h264, "-c:a", "ac3"), false},
		{"opus.mp4", true, append(h264, "-c:a", "libopus"), false},
		{"mp3.mp4", true, append(h264, "-c:a", "libmp3lame"), false},
		{"pcm.mov", true, append(h264, "-c:a", "pcm_s16le"), false},
		{"surround.mp4", true, append(h264, "-c:a", "aac", "-ac", "6"), false},
		{"hevc.mkv", true, []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p", "-c:a", "aac"}, false},
		{"hev1.mp4", true, []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p", "-tag:v", "hev1", "-c:a", "aac"}, false},
		{"fragments.mp4", true, append(h264, "-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov+default_base_moof"), false},
		{"separate.mp4", true, append(h264, "-c:a", "aac", "-movflags", "+dash+frag_keyframe+empty_moov", "-frag_duration", "1000000"), false},
		{"web.webm", false, []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"}, false},
		{"old.avi", false, []string{"-c:v", "mpeg4", "-c:a", "libmp3lame"}, false},
		{"dvd.mpg", false, []string{"-c:v", "mpeg2video", "-c:a", "mp2"}, false},
		{"edit.mov", false, []string{"-c:v", "prores_ks", "-c:a", "pcm_s24le"}, false},
		{"tape.mxf", false, []string{"-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-ar", "48000"}, false},
		{"windows.wmv", false, []string{"-c:v", "wmv2", "-c:a", "wmav2"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := create(t, c.name, join(av, c.args, []string{"-shortest"})...)
			kinds := []Kind{AdaptiveVideo}
			if c.remux {
				kinds = []Kind{Remux}
			}
			for _, kind := range kinds {
				out, res := pack(t, path, kind, Options{})
				m := master(t, out)
				if len(m.Variants) != 2 || !strings.HasSuffix(m.Variants[0].Codecs, ",mp4a.40.2") {
					t.Errorf("%s", out.bodies[masterName])
				}
				s := look(t, filepath.Join(out.save(t), m.Variants[0].URI))
				if s.pictures < 99 || s.pictures > 101 || !near(s.duration, 4, 0.15) || s.audio != "aac" {
					t.Errorf("%s: %+v %q", kind, s, res.Notes)
				}
			}
		})
	}
}

// A multiplex has the sound of other pictures: it is left out.
func TestProgrammes(t *testing.T) {
	path := create(t, "mux.ts", join(pictures("320x180", "25", "6"), pictures("160x90", "25", "6"), tones("6"), tones("6"), h264, []string{"-c:a", "aac", "-map", "0:v", "-map", "1:v", "-map", "2:a", "-map", "3:a",
		"-program", "title=one:st=0:st=2", "-program", "title=two:st=1:st=3"})...)
	out, res := pack(t, path, Remux, Options{})
	noted(t, res, "other programmes")
	if m := master(t, out); len(m.Variants) != 2 || len(m.Renditions) != 0 {
		t.Errorf("%s", out.bodies[masterName])
	}
}

// A file that says that it lasts for ever, or is larger than any screen, is refused before anything is coded.
func TestWhatIsNotBelieved(t *testing.T) {
	o := Options{}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*source{
		"length": {seconds: 1e9, video: &videoTrack{width: 640, height: 360, rate: 25}},
		"size":   {seconds: 10, video: &videoTrack{width: 60000, height: 60000, rate: 25}},
	} {
		if _, err := newPlan(s, &o, AdaptiveVideo, true); err == nil {
			t.Errorf("%s is believed", name)
		}
	}
}

// Rungs by the source: never above it, in its shape, with one of its own where there is none for it.
func TestRungsFit(t *testing.T) {
	o := Options{}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		width, height int
		want          string
	}{
		{1920, 1080, "1080p 1920x1080, 720p 1280x720, 480p 854x480, 360p 640x360"},
		{3840, 2160, "1080p 1920x1080, 720p 1280x720, 480p 854x480, 360p 640x360"},
		{1080, 1920, "1080p 1080x1920, 720p 720x1280, 480p 480x854, 360p 360x640"},
		{1280, 720, "720p 1280x720, 480p 854x480, 360p 640x360"},
		{1920, 800, "1080p 1920x800, 720p 1280x534, 480p 854x356, 360p 640x266"},
		{1920, 1072, "1080p 1920x1072, 720p 1280x714, 480p 854x476, 360p 640x358"},
		{1024, 576, "480p 854x480, 360p 640x360"},
		{1100, 620, "620p 1100x620, 480p 852x480, 360p 638x360"},
		{320, 240, "240p 320x240"},
		{321, 181, "181p 320x180"},
		{2, 2, "2p 2x2"},
	} {
		p, err := newPlan(&source{seconds: 10, video: &videoTrack{width: c.width, height: c.height, rate: 25, rational: "25/1"}}, &o, AdaptiveVideo, true)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range p.outputs {
			got = append(got, fmt.Sprintf("%s %dx%d", r.name, r.width, r.height))
			if r.width > c.width || r.height > c.height || r.width%2 != 0 || r.height%2 != 0 || r.bitrate < 10_000 {
				t.Errorf("%dx%d: %+v", c.width, c.height, r)
			}
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%dx%d: %s, want %s", c.width, c.height, s, c.want)
		}
	}
}
