package flv

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
)

func meta(set bool, fields ...amf.Field) []byte {
	var b []byte
	if set {
		b = amf.Append(b, amf.Text("@setDataFrame"))
	}
	return amf.Append(b, amf.Text("onMetaData"), amf.Obj(fields...))
}

func num(name string, v float64) amf.Field { return amf.Field{Name: name, Value: amf.Num(v)} }

func text(name, v string) amf.Field { return amf.Field{Name: name, Value: amf.Text(v)} }

func TestParseMetadata(t *testing.T) {
	for _, tc := range []struct {
		name string
		body []byte
		want Metadata
		ok   bool
	}{
		{"OBS", meta(true, num("width", 1920), num("height", 1080), text("videocodecid", "avc1"), num("videodatarate", 6000), num("framerate", 30),
			text("audiocodecid", "mp4a"), num("audiodatarate", 160), text("encoder", "obs-output module")),
			Metadata{Encoder: "obs-output module", HasVideo: true, HasAudio: true, Width: 1920, Height: 1080, FrameRate: 30, VideoBitrate: 6e6, AudioBitrate: 160e3}, true},
		{"ffmpeg, sound only", meta(false, num("audiocodecid", 10), num("audiodatarate", 125), text("encoder", "Lavf59.27.100"), num("duration", 0)),
			Metadata{Encoder: "Lavf59.27.100", HasAudio: true, AudioBitrate: 128000}, true},
		{"keyframe interval", meta(true, num("videocodecid", 7), num("videokeyframe_frequency", 2)),
			Metadata{HasVideo: true, KeyframeInterval: 2 * time.Second}, true},
		{"absurd", meta(true, num("width", -5), num("height", 1e12), num("framerate", 1e9), num("videodatarate", 1e300), num("videokeyframe_frequency", 250)),
			Metadata{HasVideo: true}, true},
		{"another message", amf.Append(nil, amf.Text("onCuePoint"), amf.Obj()), Metadata{}, false},
		{"no object", amf.Append(nil, amf.Text("onMetaData"), amf.Num(1)), Metadata{}, false},
		{"nothing", nil, Metadata{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok, err := ParseMetadata(tc.body)
			if err != nil || ok != tc.ok {
				t.Errorf("%t, %v", ok, err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestTrackFromMetadata checks what a track takes from metadata, and that metadata alone never makes a new one.
func TestTrackFromMetadata(t *testing.T) {
	d, s, stats := newTest(t)
	d.feed(t, TagVideo, 0, "17 00 000000"+avcC) // some encoders send the header before the metadata
	if err := d.Tag(TagData, 0, meta(true, num("videocodecid", 7), num("videodatarate", 2500), num("videokeyframe_frequency", 4)), time.Time{}); err != nil {
		t.Fatal(err)
	}
	d.feed(t, TagVideo, 10, "17 01 000000 00000002 6581")
	if err := d.Tag(TagData, 0, meta(true, num("videocodecid", 7), num("videodatarate", 5000)), time.Time{}); err != nil {
		t.Fatal(err)
	}
	d.feed(t, TagVideo, 50, "27 01 000000 00000002 4181")
	tr := s.frames[0].Track
	if tr.Bitrate != 2.5e6 || tr.KeyframeInterval != 4*time.Second || !tr.Alone || s.frames[1].Track != tr {
		t.Errorf("track %+v", tr)
	}
	if err := d.Tag(TagData, 0, []byte{0x0a, 0x7f, 0xff, 0xff, 0xff}, time.Time{}); err != nil || stats.dropped(ingest.Malformed) != 1 {
		t.Errorf("hostile metadata: %v, %d malformed", err, stats.dropped(ingest.Malformed))
	}
}
