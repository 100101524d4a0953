package origin

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

func TestManifestFilter(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		for query, status := range map[string]int{
			"video_bitrate:0-2500000;video_codec:h264": 200, "VIDEO_CODEC:H264": 200, "video_bitrate%3A0-2500000%3Bvideo_codec%3Ah264": 200,
			"video_height:720-720": 200, "video_height:0-719": 400, "video_framerate:24-26.5": 200, "video_framerate:30-60": 400,
			"video_codec:h265,h264": 200, "video_codec:h265": 400, "audio_codec:aacl": 200, // there is no audio to filter by
			"video_bitrate:0-1": 400, "": 400, "video_codec": 400, "video_codec:": 400, ":h264": 400, "video_codec:h264;": 400, "video_codec:av1": 400,
			"video_codec:h264,": 400, "video_bitrate:is:0-5": 400, "video_bitrate:5-0": 400, "video_bitrate:5": 400, "video_bitrate:-5": 400,
			"video_bitrate:0-2147483648": 400, "video_bitrate:0-1e5": 400, "video_bitrate:0-inf": 400, "donut_type:rhododendron": 400,
			"video_codec:h264;video_codec:h264": 400, "video_codec:h264&aws.manifestfilter=video_codec:h264": 400,
			"video_codec:" + strings.Repeat("h264,", 300) + "h264": 400, "%zz": 400,
		} {
			a := r.get("/live/streams/cam.m3u8?aws.manifestfilter=" + query)
			if a.StatusCode != status {
				t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
			}
			if status == 400 {
				a.want(t, 400, "Cache-Control", "no-store")
			} else {
				a.want(t, 200, "Cache-Control", "public, max-age=2")
				if _, err := m3u8.ParseMaster(a.body); err != nil {
					t.Error(err)
				}
			}
		}
		// The filter does not apply to a media playlist or a segment.
		r.get(r.live("cam")+"?aws.manifestfilter=video_codec:h265").want(t, 200)
		r.get(r.segment("cam", 1)+"?aws.manifestfilter=video_codec:h265").want(t, 200)
	})
}

func TestFilterPicksVariants(t *testing.T) {
	ladder := []m3u8.Variant{
		{URI: "1080", Bandwidth: 6_000_000, Codecs: "avc1.640028,mp4a.40.2", Width: 1920, Height: 1080, FrameRate: 60},
		{URI: "720", Bandwidth: 3_500_000, AverageBandwidth: 2_400_000, Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 30},
		{URI: "hevc", Bandwidth: 2_000_000, Codecs: "hvc1.1.6.L93.B0,mp4a.40.5", Width: 1280, Height: 720, FrameRate: 29.97},
		{URI: "audio", Bandwidth: 128_000, Codecs: "mp4a.40.2"},
	}
	for text, want := range map[string]string{
		"video_bitrate:0-2500000": "720 hevc audio", "video_codec:h264": "1080 720 audio", "video_codec:h264;video_height:0-720": "720 audio",
		"video_codec:h265": "hevc audio", "audio_codec:aach": "hevc", "audio_codec:aacl": "1080 720 audio", "video_framerate:0-30": "720 hevc audio",
		"video_height:1080-2160;video_bitrate:7000000-9000000": "audio",
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range ladder {
			if f.passes(&ladder[i], 0) {
				got = append(got, ladder[i].URI)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
	f, _ := parseFilter("video_bitrate:0-1000000")
	if !f.passes(&ladder[0], 900_000) {
		t.Error("what was measured of the video does not count")
	}
}

func TestFilterDropsRenditionsOfNobody(t *testing.T) {
	r := newRig(t, Options{})
	f, _ := parseFilter("video_codec:h265")
	m := &m3u8.Master{
		Variants: []m3u8.Variant{
			{URI: "a", Codecs: "avc1.640028", Width: 1, Audio: "lo"}, {URI: "b", Codecs: "hvc1.1", Width: 1, Audio: "hi"},
		},
		Renditions: []m3u8.Rendition{{GroupID: "lo", URI: "lo"}, {GroupID: "hi", URI: "hi"}},
	}
	r.origin.selectVariants(m, "live", f)
	if len(m.Variants) != 1 || m.Variants[0].URI != "b" || len(m.Renditions) != 1 || m.Renditions[0].URI != "hi" {
		t.Errorf("%+v", m)
	}
}

// So it is with captions and I-frame playlists, live and of whole recordings.
func TestFilterDropsCaptionsAndIFramesOfNobody(t *testing.T) {
	r := newRig(t, Options{})
	for filter, want := range map[string][]string{"video_codec:h264": {"a/1/iframes.m3u8", "a-1_iframes.m3u8"}, "video_codec:h265": {"ab/1/iframes.m3u8", "ab-1_iframes.m3u8"}} {
		f, _ := parseFilter(filter)
		m := &m3u8.Master{
			Variants: []m3u8.Variant{
				{URI: "a/1/live.m3u8", Codecs: "avc1.640028", Width: 1}, {URI: "ab/1/live.m3u8", Codecs: "hvc1.1", Width: 1, ClosedCaptions: "cc"},
				{URI: "a-1.m3u8", Codecs: "avc1.640028", Width: 1}, {URI: "ab-1.m3u8", Codecs: "hvc1.1", Width: 1, ClosedCaptions: "cc"},
			},
			Captions: []m3u8.Caption{{GroupID: "cc", InstreamID: "CC1"}},
			IFrames:  []m3u8.Variant{{URI: "a/1/iframes.m3u8"}, {URI: "ab/1/iframes.m3u8"}, {URI: "a-1_iframes.m3u8"}, {URI: "ab-1_iframes.m3u8"}},
		}
		r.origin.selectVariants(m, "live", f)
		var got []string
		for _, i := range m.IFrames {
			got = append(got, i.URI)
		}
		if !slices.Equal(got, want) || len(m.Captions) != strings.Count(filter, "h265") {
			t.Errorf("%s: %v, %v", filter, got, m.Captions)
		}
	}
}
