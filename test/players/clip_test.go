package players

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// encoding is how a clip was made. All clips have the same pictures, with the same numbers at the same times.
type encoding struct {
	width, height int
	bitrate       int    // of the pictures, kb/s
	sound         string // "aac" or "mp3"
	rate          int    // of the audio, Hz
}

// gop is the distance between keyframes: a clip can be joined at each of them.
const gop = time.Second

// clip is an encoded show: 25 pictures a second, no B-frames, each with its number in its top row as package browser reads it.
type clip struct {
	headers      []rtmpclient.Tag // metadata and sequence headers
	video, audio []rtmpclient.Tag
}

// encode makes a clip with ffmpeg, or returns an earlier one that is at least as long.
func encode(t *testing.T, e encoding, length time.Duration) *clip {
	t.Helper()
	rig.Need(t, "ffmpeg")
	clips.Lock()
	defer clips.Unlock()
	key := fmt.Sprintf("%+v %v", e, length)
	if c := clips.made[key]; c != nil {
		return c
	}
	file := filepath.Join(t.TempDir(), "clip.flv")
	w, h := e.width, e.height
	args := []string{"-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=%dx%d:r=25", w, h),
		"-f", "lavfi", "-i", fmt.Sprintf("color=black:s=16x2:r=25,format=yuv420p,geq=lum='16+219*mod(floor(N/pow(2,X)),2)':cb=128:cr=128,scale=%d:%d:flags=neighbor", w, w/16),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=440:b=1:r=%d", e.rate), "-filter_complex", "[0][1]overlay=shortest=1,format=yuv420p[v]", "-map", "[v]", "-map", "2",
		"-t", fmt.Sprint(length.Seconds()), "-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0", "-bf", "0",
		"-b:v", fmt.Sprint(e.bitrate, "k"), "-maxrate", fmt.Sprint(e.bitrate, "k"), "-bufsize", fmt.Sprint(e.bitrate, "k"),
		"-c:a", map[string]string{"aac": "aac", "mp3": "libmp3lame"}[e.sound], "-b:a", "64k", "-ar", strconv.Itoa(e.rate), file}
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := rtmpclient.ParseFLV(raw)
	if err != nil {
		t.Fatal(err)
	}
	c := sorted(parsed.Tags())
	if len(c.video) == 0 || len(c.audio) == 0 {
		t.Fatalf("ffmpeg made %d pictures and %d frames of sound", len(c.video), len(c.audio))
	}
	if clips.made == nil {
		clips.made = map[string]*clip{}
	}
	clips.made[key] = c
	return c
}

// clips are those made so far.
var clips struct {
	sync.Mutex
	made map[string]*clip
}

// sorted parses the tags of an FLV file. Time begins with the first picture: what audio encoders put before that, more or less depending on
// the encoder, is left out, so that clips can be joined.
func sorted(tags []rtmpclient.Tag) *clip {
	c := &clip{}
	var base uint32
	if i := slices.IndexFunc(tags, key); i >= 0 {
		base = tags[i].Timestamp
	}
	for _, t := range tags {
		before := t.Timestamp < base
		t.Timestamp -= min(base, t.Timestamp)
		switch {
		case len(t.Data) < 2:
		case t.Type == 18, t.Type == 9 && t.Data[1] == 0, t.Type == 8 && t.Data[0]>>4 == 10 && t.Data[1] == 0:
			c.headers = append(c.headers, t)
		case t.Type == 9 && t.Data[1] == 1:
			c.video = append(c.video, t)
		case t.Type == 8 && !before:
			c.audio = append(c.audio, t)
		}
	}
	return c
}

// key reports whether a tag is a picture at which a clip can be joined.
func key(t rtmpclient.Tag) bool { return t.Type == 9 && t.Data[0]>>4 == 1 && t.Data[1] == 1 }

func TestSorted(t *testing.T) {
	c := sorted([]rtmpclient.Tag{
		{Type: 18, Data: []byte{2, 0, 0}},
		{Type: 9, Data: []byte{0x17, 0, 0}}, {Type: 8, Data: []byte{0xaf, 0, 0x12}},
		{Type: 8, Data: []byte{0xaf, 1, 9}}, {Type: 9, Timestamp: 21, Data: []byte{0x17, 1, 0}}, {Type: 8, Timestamp: 21, Data: []byte{0xaf, 1, 9}},
		{Type: 8, Timestamp: 43, Data: []byte{0x2f, 0xff, 9}}, {Type: 9, Timestamp: 61, Data: []byte{0x27, 1, 0}}, {Type: 9, Timestamp: 81, Data: []byte{0x17, 2, 0}},
	})
	if len(c.headers) != 3 || len(c.video) != 2 || len(c.audio) != 2 || !key(c.video[0]) || key(c.video[1]) || c.video[1].Timestamp != 40 || c.audio[1].Timestamp != 22 {
		t.Errorf("%+v", c)
	}
}

// A clip can be joined at each second, whatever its encoding, and all clips have pictures at the same times.
func TestEncode(t *testing.T) {
	const length = 4 * time.Second
	times := func(tags []rtmpclient.Tag, only func(rtmpclient.Tag) bool) (ms []uint32) {
		for _, tag := range tags {
			if only(tag) {
				ms = append(ms, tag.Timestamp)
			}
		}
		return ms
	}
	for _, e := range []encoding{rungs[0].encoding, rungs[2].encoding, {320, 180, 150, "mp3", 44100}} {
		c := encode(t, e, length)
		if got := times(c.video, key); !slices.Equal(got, []uint32{0, 1000, 2000, 3000}) {
			t.Errorf("%+v has keyframes at %v", e, got)
		}
		if n := len(times(c.video, func(rtmpclient.Tag) bool { return true })); n != 100 {
			t.Errorf("%+v has %d pictures", e, n)
		}
	}
}
