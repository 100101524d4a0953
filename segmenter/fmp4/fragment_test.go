package fmp4

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// The range of the first picture ends where another's reader says that its sample does, of a segment of one fragment and of several.
func TestFirstPicture(t *testing.T) {
	for name, parts := range map[string]int{"one fragment": 1000, "parts": 15, "parts of one picture": 1} {
		t.Run(name, func(t *testing.T) {
			segment, _, _ := parted(t, both(), parts)
			v, _, err := render(new(Remuxer), [][]byte{segment}, Segment{Number: 1, Start: wall(), Duration: 180000})
			if err != nil {
				t.Fatal(err)
			}
			_, end := FirstPicture(v.Data, codec.H264)
			f, err := mp4.DecodeFile(bytes.NewReader(v.Data))
			if err != nil {
				t.Fatal(err)
			}
			first := f.Segments[0].Fragments[0]
			if want := int64(first.Moof.Size()) + 8 + int64(first.Moof.Traf.Trun.Samples[0].Size); end != want {
				t.Errorf("%d bytes, want %d", end, want)
			}
			for _, cut := range []int{0, 1, 79, 80, 88, 103, int(end) - 1} { // of what is not whole nothing is said
				if _, n := FirstPicture(v.Data[:cut], codec.H264); n != 0 {
					t.Errorf("of %d bytes %d", cut, n)
				}
			}
			if _, n := FirstPicture(v.Data[:end-1], codec.H264); n != 0 {
				t.Errorf("of all but a byte %d", n)
			}
			other := bytes.Clone(v.Data)
			other[end-int64(first.Moof.Traf.Trun.Samples[0].Size)+4] = 0x41 // no longer an IDR
			if _, n := FirstPicture(other, codec.H264); n != 0 {
				t.Errorf("of a picture that needs others %d", n)
			}
			binary.BigEndian.PutUint32(other[countAt:], 1<<31)
			if _, n := FirstPicture(other, codec.H264); n != 0 {
				t.Errorf("of a count that cannot be %d", n)
			}
		})
	}
	empty := appendHead(nil, trackID, true, 1, 0, nil)
	if _, n := FirstPicture(empty, codec.H264); n != 0 {
		t.Errorf("of a fragment without samples %d", n)
	}
}

// The range with its init segment decodes to exactly one picture, with every codec, in open groups of pictures, and in slices.
func TestFFmpegDecodesFirstPictures(t *testing.T) {
	for name, args := range map[string]string{
		"H.264 with B-frames":          "-c:v libx264 -preset ultrafast -bf 3 -b_strategy 0 -g 25 -sc_threshold 0 -c:a aac",
		"H.264, open groups in slices": "-an -c:v libx264 -preset ultrafast -x264-params open-gop=1:bframes=3:slices=4:keyint=25:scenecut=0",
		"H.265, open groups in slices": "-an -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:scenecut=0:open-gop=1:bframes=3:slices=4",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := codec.H264
			if strings.HasPrefix(name, "H.265") {
				c = codec.H265
			}
			var r Remuxer
			var init []byte
			for i, s := range encode(t, args) {
				v, _, err := render(&r, [][]byte{s}, Segment{Number: uint64(i), Start: wall(), Duration: 90000})
				if err != nil {
					t.Fatal(err)
				}
				_, end := FirstPicture(v.Data, c)
				if end == 0 {
					t.Fatalf("segment %d begins with no keyframe", i)
				}
				if i == 0 { // ffmpeg repeats parameter sets where it likes
					init, _ = inits(t, [][]byte{s})
				}
				// With the samples that are said to follow missing, ffmpeg says that the file is partial: what it shows counts.
				out := tool(t, nil, "ffmpeg", "-v", "fatal", "-i", onDisk(t, append(bytes.Clone(init), v.Data[:end]...), "picture.mp4"), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
				if n := bytes.Count(out, []byte("\n0,")); n != 1 {
					t.Errorf("the keyframe of segment %d is %d pictures", i, n)
				}
			}
		})
	}
}
