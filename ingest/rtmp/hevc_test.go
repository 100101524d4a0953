package rtmp

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// TestHEVC publishes H.265 by enhanced RTMP. ffmpeg encodes into MP4, whose samples have the same form; the tags are made here, since not
// every ffmpeg can write them.
func TestHEVC(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	file := filepath.Join(t.TempDir(), "source.mp4")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields("-v error -y "+testVideo+
		" -t 2 -c:v libx265 -x265-params log-level=none:keyint=25:bframes=3 -pix_fmt yuv420p -tag:v hvc1 -video_track_timescale 1000 "+file)...).CombinedOutput()
	if err != nil {
		t.Skipf("ffmpeg has no libx265: %s", out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	box := bytes.Index(b, []byte("hvcC"))
	config := b[box+4 : box-4+int(b[box-2])<<8+int(b[box-1])]
	tags := []rtmpclient.Tag{{Type: 9, Data: append([]byte("\x90hvc1"), config...)}}
	packets := probe(t, file)
	at := positions(t, file)
	first := packets[0].DTS
	for i, p := range packets {
		size, _ := strconv.Atoi(p.Size)
		kind := byte(0xa1)
		if strings.Contains(p.Flags, "K") {
			kind = 0x91
		}
		offset := p.PTS - p.DTS
		head := []byte{kind, 'h', 'v', 'c', '1', byte(offset >> 16), byte(offset >> 8), byte(offset)}
		if offset == 0 { // the form without an offset
			head = append([]byte{kind + 2}, "hvc1"...)
		}
		tags = append(tags, rtmpclient.Tag{Type: 9, Timestamp: uint32(p.DTS - first), Data: append(head, b[at[i]:at[i]+size]...)})
	}
	ts := serve(t, Options{})
	c, err := rtmpclient.Dial(t.Context(), ts.url("live/hevc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if err := c.Write(tag); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	frames, _ := ts.session(t).wait(t)
	video, _ := compare(t, packets, frames)
	if video.Codec != ingest.H265 || video.Width != 320 || video.Height != 180 || len(video.VPS) != 1 || len(video.SPS) != 1 || len(video.PPS) != 1 {
		t.Errorf("track %+v", video)
	}
}

// positions returns the packets' places in the file.
func positions(t *testing.T, file string) (at []int) {
	t.Helper()
	for line := range strings.Lines(run(t, "ffprobe", "-v", "error", "-show_entries", "packet=pos", "-of", "csv=p=0", file)) {
		n, err := strconv.Atoi(strings.Trim(line, ", \r\n"))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, n)
	}
	return at
}
