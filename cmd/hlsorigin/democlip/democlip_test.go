package democlip

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

func TestClipIsSmall(t *testing.T) {
	if n := len(FLV()); n > 1e6 {
		t.Errorf("%d bytes: it is embedded in every binary", n)
	}
}

// A round has whole frames of both tracks, so that timestamps continue evenly in the next one.
func TestRoundsFollowWithoutASeam(t *testing.T) {
	const audio, video = 8, 9 // FLV tag types
	parsed, err := rtmpclient.ParseFLV(FLV())
	if err != nil {
		t.Fatal(err)
	}
	step := map[uint8][2]uint32{video: {40, 40}, audio: {20, 22}} // ms; those of AAC are rounded
	last, count := map[uint8]uint32{}, map[uint8]int{}
	for src := parsed.Loop(3); ; {
		tag, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if tag.Type != audio && tag.Type != video || tag.Data[1] == 0 {
			continue // metadata and configurations
		}
		if n := count[tag.Type]; n > 0 {
			if d := tag.Timestamp - last[tag.Type]; d < step[tag.Type][0] || d > step[tag.Type][1] {
				t.Errorf("type %d: %d ms after the one before", tag.Type, d)
			}
		}
		if key := tag.Data[0]>>4 == 1; tag.Type == video && key != (count[video]%50 == 0) {
			t.Errorf("picture %d: keyframe is %v", count[video], key)
		}
		last[tag.Type] = tag.Timestamp
		count[tag.Type]++
	}
	if count[video] != 3*600 || count[audio] != 3*1125 {
		t.Errorf("%d pictures, %d sounds", count[video], count[audio])
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
