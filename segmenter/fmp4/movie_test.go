package fmp4

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
)

// film is segments as one file.
func film(t *testing.T, fragmented bool, segments [][]byte, jumps ...int) []byte {
	t.Helper()
	m := NewMovie(fragmented)
	var b []byte
	var err error
	for i, s := range segments {
		jump := false
		for _, n := range jumps {
			jump = jump || n == i
		}
		if b, err = m.Append(b, [][]byte{s}, Segment{Number: uint64(i), Start: wall() + int64(i)*90000, Duration: 90000}, jump); err != nil {
			t.Fatal(err)
		}
	}
	b, patch, at := m.Finish(b)
	copy(b[at:], patch)
	if _, err := mp4.DecodeFile(bytes.NewReader(b)); err != nil {
		t.Errorf("by another parser: %v", err)
	}
	return b
}

// encode is what a real encoder makes of moving pictures and a tone, as segments of a second.
func encode(t *testing.T, args string) (segments [][]byte) {
	t.Helper()
	dir := t.TempDir()
	all := "-v error -f lavfi -i testsrc2=size=192x108:rate=25 -f lavfi -i sine=frequency=440:sample_rate=48000 -t 3 -pix_fmt yuv420p " + args +
		" -f segment -segment_time 1 -segment_format mpegts " + filepath.Join(dir, "%d.ts")
	tool(t, nil, "ffmpeg", strings.Fields(all)...)
	for i := range 3 {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.ts", i)))
		if err != nil {
			t.Fatal(err)
		}
		segments = append(segments, b)
	}
	return segments
}

// onDisk is a file that may be read from its end.
func onDisk(t *testing.T, file []byte, name string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// starts is when the tracks of a file begin, in seconds.
func starts(t *testing.T, path string) (all []float64) {
	t.Helper()
	for _, line := range strings.Fields(string(tool(t, nil, "ffprobe", "-v", "error", "-show_entries", "stream=start_time", "-of", "csv=p=0", path))) {
		at, err := strconv.ParseFloat(strings.Trim(line, ","), 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, at)
	}
	return all
}

// sums are those of the decoded frames of a stream.
func sums(t *testing.T, file []byte, name, stream string) (sums []string) {
	t.Helper()
	out := tool(t, nil, "ffmpeg", "-v", "error", "-i", onDisk(t, file, name), "-map", "0:"+stream, "-f", "framemd5", "-")
	for _, line := range bytes.Split(out, []byte("\n")) {
		if f := strings.Split(string(line), ","); len(f) == 6 && line[0] != '#' {
			sums = append(sums, strings.TrimSpace(f[5]))
		}
	}
	return sums
}

// A file has every picture and sound of the stream, in both forms, from zero on.
func TestMovie(t *testing.T) {
	for name, args := range map[string]string{
		"H.264 with B-frames": "-c:v libx264 -preset ultrafast -bf 3 -b_strategy 0 -g 25 -c:a aac -ar 48000",
		"H.265":               "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:bframes=2 -c:a aac -ar 44100",
		"video alone":         "-c:v libx264 -preset ultrafast -g 25 -an",
		"audio alone":         "-vn -c:a aac",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			segments := encode(t, args)
			ts := bytes.Join(segments, nil)
			for _, fragmented := range []bool{false, true} {
				file := film(t, fragmented, segments)
				for _, stream := range []string{"v", "a"} {
					if name == "video alone" && stream == "a" || name == "audio alone" && stream == "v" {
						continue
					}
					want := sums(t, ts, "a.ts", stream)
					got := sums(t, file, "a.mp4", stream)
					if len(want) < 75 || strings.Join(got, "\n") != strings.Join(want, "\n") {
						t.Errorf("fragmented %v, %s: %d frames of %d, or others", fragmented, stream, len(got), len(want))
					}
				}
				want, got := starts(t, onDisk(t, ts, "a.ts")), starts(t, onDisk(t, file, "a.mp4"))
				want = want[:len(want)/2] // it tells those of its program, and again all
				if len(got) != len(want) || slices.Min(got) > .1 || !fragmented && slices.Min(got) > 0 ||
					len(got) == 2 && math.Abs(got[0]-got[1]-want[0]+want[1]) > .002 {
					t.Errorf("fragmented %v: tracks begin at %v, in the stream at %v", fragmented, got, want)
				}
				probe := tool(t, nil, "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", onDisk(t, file, "a.mp4"))
				var lasts float64
				if _, _ = fmt.Sscan(string(probe), &lasts); lasts < 2.9 || lasts > 3.2 {
					t.Errorf("fragmented %v: it lasts %v s", fragmented, lasts)
				}
			}
		})
	}
}

// Where the stream's time breaks, where a segment is missing, and where the coding changes, pictures and sounds stay together.
func TestMovieOverBreaks(t *testing.T) {
	one := encode(t, "-c:v libx264 -preset ultrafast -g 25 -c:a aac -ar 48000")
	two := encode(t, "-c:v libx264 -preset ultrafast -g 25 -c:a aac -ar 48000 -s 96x54")
	for name, c := range map[string]struct {
		segments [][]byte
		jump     int
		lasts    float64
	}{
		"the stream begins anew": {[][]byte{one[0], one[1], one[0]}, 2, 3},
		"without a word":         {[][]byte{one[0], one[1], one[0]}, -1, 3},
		"a segment is missing":   {[][]byte{one[0], one[2]}, -1, 3},
		"the coding changes":     {[][]byte{one[0], two[0], one[1]}, 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			path := onDisk(t, film(t, false, c.segments, c.jump, c.jump+1), "a.mp4")
			for _, stream := range []string{"v", "a"} {
				probe := tool(t, nil, "ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", "stream=duration,nb_frames", "-of", "csv=p=0", path)
				var lasts float64
				var frames int
				if _, err := fmt.Sscanf(string(probe), "%f,%d", &lasts, &frames); err != nil || lasts < c.lasts-.2 || lasts > c.lasts+.2 {
					t.Errorf("%s: %s", stream, probe)
				}
				if want := 25 * len(c.segments); stream == "v" && frames != want {
					t.Errorf("%d pictures of %d", frames, want)
				}
			}
			if out := tool(t, nil, "ffmpeg", "-v", "warning", "-i", path, "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-"); len(out) > 0 {
				t.Errorf("%s", out)
			}
		})
	}
	m := NewMovie(true)
	_, err := m.Append(nil, [][]byte{one[0]}, Segment{}, false)
	if _, again := m.Append(nil, [][]byte{two[0]}, Segment{Number: 1}, true); err != nil || !errors.Is(again, ErrChanges) {
		t.Errorf("%v, then %v", err, again)
	}
}

// What cannot be in the file is an error, and the file goes on without it.
func TestMovieRefuses(t *testing.T) {
	one := encode(t, "-c:v libx264 -preset ultrafast -g 25 -c:a aac")
	mp3 := encode(t, "-c:v libx264 -preset ultrafast -g 25 -c:a mp3")
	m := NewMovie(false)
	b, err := m.Append(nil, [][]byte{one[0]}, Segment{}, false)
	if err != nil {
		t.Fatal(err)
	}
	n := len(b)
	if b, err = m.Append(b, [][]byte{mp3[1]}, Segment{Number: 1}, false); !errors.Is(err, ErrNoForm) || len(b) != n {
		t.Errorf("MP3: %v, %d bytes", err, len(b)-n)
	}
	if b, err = m.Append(b, [][]byte{bytes.Repeat([]byte{0x47, 0x1f, 0xff, 0x10}, 47)}, Segment{Number: 1}, false); err == nil || len(b) != n {
		t.Errorf("nothing: %v, %d bytes", err, len(b)-n)
	}
	if b, err = m.Append(b, [][]byte{one[2]}, Segment{Number: 2}, false); err != nil || len(b) == n {
		t.Error(err)
	}
}
