package democlip

import (
	"bytes"
	"os/exec"
	"testing"
	"time"
)

func TestClipIsSmall(t *testing.T) {
	if n := len(FLV()); n > 1e6 {
		t.Errorf("%d bytes: it is embedded in every binary", n)
	}
}

// A round has whole seconds of both tracks, so that time stamps run on evenly where the next begins.
func TestRoundsFollowWithoutASeam(t *testing.T) {
	step := map[uint8][2]time.Duration{Video: {40 * time.Millisecond, 40 * time.Millisecond}, Audio: {21 * time.Millisecond, 22 * time.Millisecond}}
	last, count, configs := map[uint8]time.Duration{}, map[uint8]int{}, 0
	for tag := range Endless() {
		if tag.Time >= 3*Duration {
			break
		}
		if tag.configuration() {
			if configs++; tag.Time != 0 {
				t.Errorf("a configuration comes again at %v", tag.Time)
			}
			continue
		}
		if n := count[tag.Type]; n > 0 {
			if d := tag.Time - last[tag.Type]; d < step[tag.Type][0] || d > step[tag.Type][1] {
				t.Errorf("type %d: %v after %v", tag.Type, d, last[tag.Type])
			}
		} else if tag.Time != 0 {
			t.Errorf("type %d begins at %v", tag.Type, tag.Time)
		}
		if key := tag.Body[0]>>4 == 1; tag.Type == Video && key != (count[Video]%50 == 0) {
			t.Errorf("picture %d: keyframe is %v", count[Video], key)
		}
		last[tag.Type] = tag.Time
		count[tag.Type]++
	}
	if count[Video] != 3*600 || count[Audio] != 3*1125 || configs != 2 {
		t.Errorf("%d pictures, %d sounds, %d configurations", count[Video], count[Audio], configs)
	}
}

func TestParseSurvivesCutFiles(t *testing.T) {
	for n := range min(len(clip), 2000) {
		tags, err := parse([]byte(clip[:n]))
		if err == nil && len(tags) > 0 && len(tags[len(tags)-1].Body) > n {
			t.Errorf("%d bytes: a tag is longer than the file", n)
		}
		if err == nil && n < 13 {
			t.Errorf("%d bytes are accepted", n)
		}
	}
}

func TestFFmpegDecodesTheClip(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	cmd := exec.Command(ffmpeg, "-nostdin", "-v", "error", "-xerror", "-i", "pipe:0", "-f", "null", "-")
	cmd.Stdin = bytes.NewReader(FLV())
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
