package fmp4

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// talk is a clip of two seconds as one segment in parts of so many pictures, with a tag at every tenth picture where there are tags, and with
// pictures or without.
func talk(t *testing.T, parts int, tags, pictured bool) [][]byte {
	t.Helper()
	c := both()
	c.ID3 = tags
	if !pictured {
		c.Video = 0
	}
	m, err := mpegts.NewMuxer(c)
	if err != nil {
		t.Fatal(err)
	}
	b := new(mpegts.Pool).Buffer()
	n := 0
	for _, f := range clip(2, 1<<33-mpegts.Offset-90000) { // over the wrap
		if f.audio != nil {
			m.Audio(b, f.pts, f.audio)
			continue
		}
		if n%parts == 0 {
			m.FlushAudio(b)
			m.Begin(b)
		}
		if pictured {
			m.Video(b, mpegts.VideoUnit{PTS: f.pts, DTS: f.dts, Units: f.units, IDR: f.idr, ParameterSets: [][]byte{sps264, pps264}})
		}
		if n++; tags && n%10 == 1 {
			m.Metadata(b, f.pts, tag(n))
		}
	}
	m.FlushAudio(b)
	return pieces(b)
}

// tag is a tag that is longer than a packet.
func tag(n int) []byte {
	return append(fmt.Appendf(nil, "ID3 number %d ", n), bytes.Repeat([]byte("x"), 400)...)
}

// Timed metadata is in event messages before the fragments of the parts that it came in, of the pictures, or of sound alone, with its times on
// their time line; all else is as it is without, to the byte.
func TestRemuxMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		parts    int
		pictured bool
	}{"a segment": {1000, true}, "parts": {15, true}, "sound alone": {1000, false}, "parts of sound": {15, false}} {
		t.Run(name, func(t *testing.T) {
			at := Segment{Number: 3, Start: wall(), Duration: 180000}
			v1, a1, err := render(new(Remuxer), talk(t, c.parts, false, c.pictured), at)
			if err != nil {
				t.Fatal(err)
			}
			v2, a2, err := render(new(Remuxer), talk(t, c.parts, true, c.pictured), at)
			if err != nil {
				t.Fatal(err)
			}
			plain, track, other := v1, v2, [2]Track{a1, a2}
			if !c.pictured {
				plain, track, other = a1, a2, [2]Track{v1, v2}
			}
			if !bytes.Equal(other[0].Data, other[1].Data) || len(plain.Ends) != len(track.Ends) {
				t.Error("the other track changes")
			}
			video, audio := inits(t, talk(t, c.parts, true, c.pictured))
			init := video
			if !c.pictured {
				init = audio
			}
			f, err := mp4.DecodeFile(bytes.NewReader(append(bytes.Clone(init), track.Data...)))
			if err != nil {
				t.Fatal(err)
			}
			var first *mp4.MoofBox
			said, part := 0, 0
			var rest bytes.Buffer
			var at0 int64
			for _, box := range f.Children[2:] { // behind ftyp and moov
				e, ok := box.(*mp4.EmsgBox)
				if !ok {
					if m, isMoof := box.(*mp4.MoofBox); isMoof {
						if part++; first == nil {
							first = m
						}
					}
					if err := box.Encode(&rest); err != nil {
						t.Fatal(err)
					}
					continue
				}
				n := said*10 + 1
				if e.Version != 1 || e.SchemeIDURI != MetadataScheme || e.Value != "" || e.TimeScale != 90000 || e.EventDuration != unknown || !bytes.Equal(e.MessageData, tag(n)) || part != (n-1)/c.parts {
					t.Errorf("before fragment %d: %+v", part, e)
				}
				if said == 0 {
					at0 = int64(e.PresentationTime)
				} else if want := at0 + int64(n-1)*3000 + int64((n-1)%3)*3000; int64(e.PresentationTime) != want {
					t.Errorf("tag %d is shown at %d, want %d", n, e.PresentationTime, want)
				}
				said++
			}
			if said != 6 || !bytes.Equal(rest.Bytes(), plain.Data) {
				t.Errorf("%d events, and %d bytes beside them, without them %d", said, rest.Len(), len(plain.Data))
			}
			begin := int64(first.Traf.Tfdt.BaseMediaDecodeTime())
			if !c.pictured {
				begin = begin / 48000 * 90000
			}
			if at0-begin < 0 || at0-begin > 90000 {
				t.Errorf("the first is shown %d ticks after the fragment's begin", at0-begin)
			}
			for i, end := range track.Ends {
				if want := plain.Ends[i] + len(track.Data) - len(plain.Data); i == len(track.Ends)-1 && end != want {
					t.Errorf("the last part ends at %d of %d", end, len(track.Data))
				}
				if i > 0 {
					if kind := string(track.Data[track.Ends[i-1]+4:][:4]); kind != "emsg" && kind != "moof" {
						t.Errorf("part %d begins with %q", i, kind)
					}
				}
			}
			if !c.pictured {
				return
			}
			from, to := FirstPicture(track.Data, codec.H264)
			zero, end := FirstPicture(plain.Data, codec.H264)
			if zero != 0 || !bytes.Equal(track.Data[from:to], plain.Data[:end]) || from == 0 {
				t.Errorf("the first picture is at %d to %d, without events at %d to %d", from, to, zero, end)
			}
			for cut := range []int{1, 9, int(from) - 1} {
				if _, n := FirstPicture(track.Data[:cut], codec.H264); n != 0 {
					t.Errorf("of %d bytes %d", cut, n)
				}
			}
		})
	}
}
