package mpegts

import (
	"bytes"
	"testing"
)

// Tags come out as they went in, with their times and parts; a program without a stream for them is not read on.
func TestTags(t *testing.T) {
	for name, c := range map[string]Config{
		"pictures and sound": {Video: H264, Audio: AAC, ASC: ascLC48}, "sound alone": {Audio: AAC, ASC: ascLC48}, "pictures alone": {Video: H265},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := testTag(80), testTag(MaxMetadata)
			_, segments := tagged(t, c, one, two)
			if tags := Tags([][]byte{segments[0]}); tags != nil {
				t.Errorf("%d tags before they are announced", len(tags))
			}
			for n, want := range [][]byte{one, two} {
				s := segments[n+1]
				at := int64(n+1) * 25 * 3600
				half := len(s) / 2 / PacketSize * PacketSize
				for _, pieces := range [][][]byte{{s}, {s[:half], s[half:]}} {
					tags := Tags(pieces)
					if len(tags) != 2 {
						t.Fatalf("segment %d: %d tags", n+1, len(tags))
					}
					for i, late := range []int64{3600, 12*3600 - 1800} {
						if g := tags[i]; g.PTS < at+Offset || g.PTS > at+Offset+late+3600 || g.Part != 0 || !bytes.Equal(g.Data, want) {
							t.Errorf("segment %d, tag %d: part %d, PTS %d, want about %d, %d bytes", n+1, i, g.Part, g.PTS, at+Offset+late, len(g.Data))
						}
					}
				}
			}
		})
	}
}

// A tag of which a packet is missing is left out, and only that; so is what is no tag.
func TestTagsDamaged(t *testing.T) {
	_, segments := tagged(t, Config{Video: H264}, testTag(5000), testTag(5000))
	s := segments[1]
	pid := func(p []byte) int { return int(p[1]&0x1F)<<8 | int(p[2]) }
	var lost []byte
	seen := 0
	for at := 0; at < len(s); at += PacketSize {
		p := s[at : at+PacketSize]
		if pid(p) == pidMetadata {
			if seen++; seen == 5 {
				continue
			}
		}
		lost = append(lost, p...)
	}
	if tags := Tags([][]byte{lost}); len(tags) != 1 || tags[0].PTS < 90000+Offset+10*3600 {
		t.Errorf("%d tags where a packet of the first is lost", len(tags))
	}
	if tags := Tags([][]byte{bytes.ReplaceAll(s, []byte("ID3\x04"), []byte("ID9\x04"))}); len(tags) != 0 {
		t.Errorf("%d tags that are none", len(tags))
	}
	for _, n := range []int{0, 1, 187, 188, 400, len(s) - 1} {
		_ = Tags([][]byte{s[:n]})
	}
}

// FuzzTags holds that no input makes more of tags than it is.
func FuzzTags(f *testing.F) {
	m := newMuxer(f, Config{Video: H264, ID3: true})
	var pool Pool
	b := pool.Buffer()
	m.Begin(b)
	m.Video(b, VideoUnit{PTS: 1, DTS: 1, Units: [][]byte{newSource(1).nal(H264, 500, true)}, IDR: true, ParameterSets: [][]byte{sps264, pps264}})
	m.Metadata(b, 1, testTag(300))
	f.Add(bytesOf(b))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		for _, g := range Tags([][]byte{data}) {
			if n += len(g.Data); g.Part < 0 || len(g.Data) < 3 {
				t.Errorf("%+v", g)
			}
		}
		if n > len(data) {
			t.Errorf("%d bytes of tags of %d", n, len(data))
		}
	})
}
