package fmp4

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Real encoders' pictures and sounds decode to the same from the transport stream and from what is made of it, with the same
// times.
func TestDecodesAlike(t *testing.T) {
	for name, args := range map[string]string{
		"H.264 with B-frames":      "-c:v libx264 -preset ultrafast -bf 3 -b_strategy 0 -g 25",
		"H.264 in four slices":     "-c:v libx264 -preset ultrafast -tune zerolatency -x264-params slices=4 -g 25",
		"H.264 with pulse and SEI": "-c:v libx264 -preset ultrafast -x264-params nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500:pic-struct=1:aud=1 -g 25",
		"H.265":                    "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:bframes=2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := "-v error -f lavfi -i testsrc2=size=192x108:rate=25 -f lavfi -i sine=frequency=440:sample_rate=48000 -t 2 -pix_fmt yuv420p " + args +
				" -c:a aac -ar 48000 -pat_period 60 -f mpegts -"
			ts := tool(t, nil, "ffmpeg", strings.Fields(all)...)
			video, audio, err := render(new(Remuxer), [][]byte{ts}, Segment{Start: wall()})
			if err != nil {
				t.Fatal(err)
			}
			vi, ai := inits(t, [][]byte{ts})
			dir := t.TempDir()
			files := map[string][]byte{"clip.ts": ts, "v.mp4": append(vi, video.Data...), "a.mp4": append(ai, audio.Data...)}
			for name, b := range files {
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			decoded := func(file, stream string) string {
				out := tool(t, nil, "ffmpeg", "-v", "error", "-i", filepath.Join(dir, file), "-map", "0:"+stream, "-f", "framemd5", "-")
				var sums []string
				for _, line := range bytes.Split(out, []byte("\n")) {
					if f := bytes.Split(line, []byte(",")); len(f) == 6 && line[0] != '#' {
						sums = append(sums, string(bytes.TrimSpace(f[5])))
					}
				}
				return strings.Join(sums, "\n")
			}
			if a, b := decoded("clip.ts", "v"), decoded("v.mp4", "v"); a != b || len(a) < 32*45 {
				t.Errorf("the pictures differ:\n%s\n\n%s", a, b)
			}
			if a, b := decoded("clip.ts", "a"), decoded("a.mp4", "a"); a != b || len(a) < 32*80 {
				t.Errorf("the sounds differ:\n%s\n\n%s", a, b)
			}
			times := func(file, stream string) string {
				out := tool(t, nil, "ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", "packet=pts,dts,flags", "-of", "csv=p=0", filepath.Join(dir, file))
				var first int64
				var all strings.Builder
				for i, line := range strings.Fields(string(out)) {
					var pts, dts int64
					var flags string
					if _, err := fmt.Sscanf(line, "%d,%d,%s", &pts, &dts, &flags); err != nil {
						t.Fatal(line, err)
					}
					if i == 0 {
						first = dts
					}
					fmt.Fprintln(&all, pts-first, dts-first, flags[:1])
				}
				return all.String()
			}
			if a, b := times("clip.ts", "v"), times("v.mp4", "v"); a != b {
				t.Errorf("the times differ:\n%s\n\n%s", a, b)
			}
		})
	}
}
