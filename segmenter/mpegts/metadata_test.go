package mpegts

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testTag is a whole ID3v2.4 tag of some bytes, with one private frame.
func testTag(size int) []byte {
	n := size - 20
	tag := []byte{'I', 'D', '3', 4, 0, 0, 0, byte((size - 10) >> 14 & 127), byte((size - 10) >> 7 & 127), byte((size - 10) & 127),
		'P', 'R', 'I', 'V', 0, byte(n >> 14 & 127), byte(n >> 7 & 127), byte(n & 127), 0, 0}
	for i := range n {
		tag = append(tag, byte(i*7))
	}
	return tag
}

// tagged writes three segments of a second, the first of a program without metadata, with a tag in each of the others.
func tagged(t *testing.T, c Config, tags ...[]byte) (m *Muxer, segments [][]byte) {
	m = newMuxer(t, c)
	src, pool := newSource(3), new(Pool)
	for n := range int64(3) {
		if n == 1 {
			c.ID3 = true
			if err := m.Reconfigure(c); err != nil {
				t.Fatal(err)
			}
		}
		b := pool.Buffer()
		m.Begin(b)
		for i := range int64(25) {
			at := (n*25 + i) * 3600
			if n > 0 && i == 12 {
				m.Metadata(b, at-1800, tags[n-1])
			}
			if c.Video != 0 {
				m.Video(b, VideoUnit{PTS: at + 3600, DTS: at, IDR: i == 0, Units: [][]byte{src.nal(c.Video, 900, i == 0)}})
			}
			if c.Audio != 0 {
				m.Audio(b, at, src.bytes(200))
			}
			if n > 0 && i == 0 {
				m.Metadata(b, at+3600, tags[n-1])
			}
		}
		m.FlushAudio(b)
		segments = append(segments, bytesOf(b))
	}
	return m, segments
}

// A program that never announces metadata has the tables that it always had; one that does names it in both loops, and carries
// each tag whole at its time, behind no PCR.
func TestMetadata(t *testing.T) {
	tags := [][]byte{testTag(60), testTag(MaxMetadata)}
	for name, c := range map[string]Config{"both": {Video: H264, Audio: AAC, ASC: ascLC48}, "picture": {Video: H265}, "sound": {Audio: AAC, ASC: ascLC48}} {
		t.Run(name, func(t *testing.T) {
			m, segments := tagged(t, c, tags...)
			in := inspect(t, slices.Concat(segments...))
			checkSpacing(t, in.pcrs)
			if len(in.pmt) != 3 || len(in.pmt[0].ProgramDescriptors) != 0 || len(in.pmt[0].ElementaryStreams) == len(in.pmt[1].ElementaryStreams) {
				t.Fatalf("%d maps: %+v", len(in.pmt), in.pmt)
			}
			for _, p := range in.pmt[1:] {
				own := p.ElementaryStreams[len(p.ElementaryStreams)-1]
				if len(p.ProgramDescriptors) != 1 || p.ProgramDescriptors[0].Tag != 37 || p.ProgramDescriptors[0].Length != 15 ||
					own.StreamType != 0x15 || own.ElementaryPID != pidMetadata || len(own.ElementaryStreamDescriptors) != 1 || own.ElementaryStreamDescriptors[0].Tag != 38 {
					t.Errorf("%+v, %+v", p.ProgramDescriptors, own)
				}
			}
			want := []struct {
				pts int64
				tag []byte
			}{{26 * 3600, tags[0]}, {37*3600 - 1800, tags[0]}, {51 * 3600, tags[1]}, {62*3600 - 1800, tags[1]}}
			if len(in.metadata) != len(want) {
				t.Fatalf("%d tags", len(in.metadata))
			}
			for i, u := range in.metadata {
				if u.pts != want[i].pts+Offset || u.hasDTS || !bytes.Equal(u.data, want[i].tag) || u.length != 8+len(want[i].tag) {
					t.Errorf("tag %d: at %d of %d bytes, wanted %d of %d", i, u.pts-Offset, len(u.data), want[i].pts, len(want[i].tag))
				}
			}
			for i, s := range segments {
				if first := s[2*PacketSize : 3*PacketSize]; first[3]&adaptation == 0 || first[5]&hasPCR == 0 {
					t.Errorf("segment %d does not begin with an access unit that carries the PCR", i)
				}
			}
			if n := m.Stats().TagsDropped.Load(); n != 0 {
				t.Errorf("%d dropped", n)
			}
		})
	}
}

// What has no place is dropped and counted; a tag whose time is over comes at once.
func TestMetadataWithoutAPlace(t *testing.T) {
	pool := new(Pool)
	m, b := newMuxer(t, Config{Video: H264}), pool.Buffer()
	m.Begin(b)
	before := b.Len()
	m.Metadata(b, 0, testTag(60))
	if err := m.Reconfigure(Config{Video: H264, ID3: true}); err != nil {
		t.Fatal(err)
	}
	m.Metadata(b, 0, nil)
	m.Metadata(b, 0, make([]byte, MaxMetadata+1))
	if n := m.Stats().TagsDropped.Load(); n != 3 || b.Len() != before {
		t.Errorf("%d dropped, %d bytes written", n, b.Len()-before)
	}
	b = pool.Buffer()
	m.Begin(b)
	m.Video(b, VideoUnit{PTS: 90000, DTS: 90000, IDR: true, Units: [][]byte{{0x65, 1}}})
	m.Metadata(b, 0, testTag(60))
	if in := inspect(t, bytesOf(b)); len(in.metadata) != 1 || in.metadata[0].pts != in.pcrs[0] {
		t.Errorf("%+v, PCR %v", in.metadata, in.pcrs)
	}
}

// What stands in for a lost segment of a program with metadata has the tables and tracks of that, and no metadata.
func TestStillOfMetadata(t *testing.T) {
	_, segments := tagged(t, Config{Video: H264, Audio: AAC, ASC: ascLC48}, testTag(60), testTag(300))
	pool := new(Pool)
	from, still := pool.Buffer(), pool.Buffer()
	from.Append(segments[2])
	if !Still(still, from, 90000) {
		t.Fatal("there is none")
	}
	in := inspect(t, bytesOf(still))
	if len(in.metadata) != 0 || len(in.video) != 1 || len(in.audio) != 1 || len(in.pmt) == 0 || len(in.pmt[0].ElementaryStreams) != 3 {
		t.Errorf("%d tags, %d pictures, %d of sound, %d maps", len(in.metadata), len(in.video), len(in.audio), len(in.pmt))
	}
}

// A reader of segments takes metadata for no track, whether it comes beside sound or not, and what follows an announcement
// still follows.
func TestScanMetadata(t *testing.T) {
	for name, c := range map[string]Config{"both": {Video: H264, Audio: AAC, ASC: ascLC48}, "picture": {Video: H264}, "sound": {Audio: AAC, ASC: ascLC48}} {
		_, segments := tagged(t, c, testTag(60), testTag(300))
		var last *Scanned
		for i, s := range segments {
			got, err := Scan(bytes.NewReader(s))
			if err != nil {
				t.Fatal(err)
			}
			if got.Video.Type != c.Video || got.Audio.Type != c.Audio || got.Lost != 0 {
				t.Errorf("%s, segment %d: %+v", name, i, got)
			}
			if last != nil {
				if distance, ok := last.Follows(&got); !ok || distance != 90000 {
					t.Errorf("%s, segment %d: follows after %d: %v", name, i, distance, ok)
				}
			}
			last = &got
		}
	}
}

// ffmpeg finds timed ID3 from the segment on that announces it, with the times and the bytes of the tags.
func TestFFmpegFindsMetadata(t *testing.T) {
	c, _ := encode(t, Config{Video: H264, Audio: AAC, ASC: ascLC48}, "-c:v libx264 -preset ultrafast -g 25 -bf 2 -c:a aac")
	m, pool := newMuxer(t, c.config), new(Pool)
	var stream, want, less []byte // less: ffmpeg before 6 takes five bytes for an access unit header, which ID3 has not
	var times []string
	b, n := pool.Buffer(), 0
	m.Begin(b)
	for _, f := range c.frames {
		if f.audio != nil {
			m.Audio(b, f.pts, f.audio)
			continue
		}
		if f.idr && n > 0 {
			m.FlushAudio(b)
			stream = append(stream, bytesOf(b)...)
			with := c.config
			with.ID3 = true
			if err := m.Reconfigure(with); err != nil {
				t.Fatal(err)
			}
			b = pool.Buffer()
			m.Begin(b)
		}
		m.Video(b, VideoUnit{PTS: f.pts, DTS: f.dts, Units: f.units, IDR: f.idr, ParameterSets: c.sets})
		if n++; n > 25 && n%10 == 0 {
			tag := testTag(40 * n)
			m.Metadata(b, f.pts, tag)
			want, less, times = append(want, tag...), append(less, tag[5:]...), append(times, strconv.FormatInt(f.pts+Offset, 10))
		}
	}
	m.FlushAudio(b)
	file := filepath.Join(t.TempDir(), "tagged.ts")
	if err := os.WriteFile(file, append(stream, bytesOf(b)...), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "d", "-show_entries", "stream=codec_name:packet=pts", "-of", "csv=p=0", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := string(out)
	var pts []string
	for _, line := range strings.Fields(seen) {
		if line = strings.Trim(line, ","); line != "timed_id3" {
			pts = append(pts, line)
		}
	}
	if !strings.Contains(seen, "timed_id3") || !slices.Equal(pts, times) {
		t.Errorf("ffprobe sees\n%s\nwanted %v", seen, times)
	}
	if got := ffmpeg(t, "-i", file, "-map", "0:d", "-c", "copy", "-f", "data", "-"); got != string(want) && got != string(less) {
		t.Errorf("%d bytes of metadata, wanted %d", len(got), len(want))
	}
}
