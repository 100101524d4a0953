package segmenter

import (
	"fmt"
	"strings"
	"testing"
)

func TestNameRoundTrip(t *testing.T) {
	const id = RecordingID("2023-08-24_16-02-52.970")
	for want, n := range map[string]Name{
		"live/streams/cam.m3u8":                                   {Kind: KindEntry, App: "live", Stream: "cam"},
		"live/streams/cam_adaptive.m3u8":                          {Kind: KindEntry, App: "live", Stream: "cam", Adaptive: true},
		"live/streams/cam/2023-08-24_16-02-52.970/live.m3u8":      {Kind: KindLive, App: "live", Stream: "cam", Recording: id},
		"live/streams/cam-2023-08-24_16-02-52.970.m3u8":           {Kind: KindArchive, App: "live", Stream: "cam", Recording: id},
		"live/streams/cam/2023-08-24_16-02-52.970/000000042.ts":   {Kind: KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: 42},
		"live/streams/cam/2023-08-24_16-02-52.970/12345678901.ts": {Kind: KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: 12345678901},
		"live/streams/cam_cmaf.m3u8":                              {Kind: KindCMAFEntry, App: "live", Stream: "cam"},
		"live/streams/cam-2023-08-24_16-02-52.970_cmaf.m3u8":      {Kind: KindCMAFArchive, App: "live", Stream: "cam", Recording: id},
		"live/streams/cam/2023-08-24_16-02-52.970/iframes.m3u8":   {Kind: KindIFrames, App: "live", Stream: "cam", Recording: id},
		"live/streams/cam-2023-08-24_16-02-52.970_iframes.m3u8":   {Kind: KindIFramesArchive, App: "live", Stream: "cam", Recording: id},
		"live/streams/cam/2023-08-24_16-02-52.970/v/iframes.m3u8": {Kind: KindTrackIFrames, App: "live", Stream: "cam", Recording: id, Track: VideoTrack},
		"live/streams/cam/2023-08-24_16-02-52.970/v/2023-08-25_16-02-52.970_iframes.m3u8": {
			Kind: KindTrackIFramesArchive, App: "live", Stream: "cam", Recording: id, Track: VideoTrack, Archive: "2023-08-25_16-02-52.970",
		},
		"live/streams/cam_iframes.m3u8":                                {Kind: KindEntry, App: "live", Stream: "cam_iframes"},
		"live/streams/cam.mpd":                                         {Kind: KindDASHEntry, App: "live", Stream: "cam"},
		"live/streams/cam_ll.mpd":                                      {Kind: KindLowLatencyDASH, App: "live", Stream: "cam"},
		"live/streams/cam_ll-2023-08-24_16-02-52.970.mpd":              {Kind: KindDASHArchive, App: "live", Stream: "cam_ll", Recording: id},
		"live/streams/cam-2023-08-24_16-02-52.970.mpd":                 {Kind: KindDASHArchive, App: "live", Stream: "cam", Recording: id},
		"live/streams/cam/2023-08-24_16-02-52.970/v/live.m3u8":         {Kind: KindTrackLive, App: "live", Stream: "cam", Recording: id, Track: VideoTrack},
		"live/streams/cam/2023-08-24_16-02-52.970/a/000000042.m4s":     {Kind: KindFragment, App: "live", Stream: "cam", Recording: id, Track: AudioTrack, Sequence: 42},
		"live/streams/cam/2023-08-24_16-02-52.970/v/000000042.3.m4s":   {Kind: KindFragmentPart, App: "live", Stream: "cam", Recording: id, Track: VideoTrack, Sequence: 42, Part: 3},
		"live/streams/cam/2023-08-24_16-02-52.970/v/init-00a1b2c3.mp4": {Kind: KindInit, App: "live", Stream: "cam", Recording: id, Track: VideoTrack, CRC32C: 0xa1b2c3},
		"live/streams/cam/2023-08-24_16-02-52.970/a/2023-08-25_16-02-52.970.m3u8": {
			Kind: KindTrackArchive, App: "live", Stream: "cam", Recording: id, Track: AudioTrack, Archive: "2023-08-25_16-02-52.970",
		},
		"WebRTCAppEE/streams/a.b-c_d/2023-08-24_16-02-52.970/live.m3u8": {Kind: KindLive, App: "WebRTCAppEE", Stream: "a.b-c_d", Recording: id},
	} {
		if got := n.String(); got != want {
			t.Errorf("String: %q, want %q", got, want)
		}
		if got, ok := ParseName(want); !ok || got != n {
			t.Errorf("ParseName(%q) = %+v, %v", want, got, ok)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	for _, path := range []string{
		"", "/", "live", "live/streams/", "live/streams/.m3u8", "live/streams/cam", "live/streams/cam.ts", "/live/streams/cam.m3u8",
		"live/streams/../cam.m3u8", "live/streams/cam_adaptive_adaptive.m3u8", "live/streams/a/b/c.m3u8", "live/streams/cam.m3u8.m3u8",
		"live/streams/cam/2023-08-24_16-02-52.970/42.ts", "live/streams/cam/2023-08-24_16-02-52.970/0000000042.ts",
		"live/streams/cam/2023-08-24_16-02-52.970/-00000042.ts", "live/streams/cam/2023-08-24_16-02-52.970/000000042.TS",
		"live/streams/cam/2023-08-24_16-02-52.970/000000042.ts/", "live/streams/cam/2023-13-24_16-02-52.970/live.m3u8",
		"live/streams/cam/2023-08-24_16-02-52/live.m3u8", "a/streams/b/streams/c.m3u8", "-a/streams/c.m3u8",
		"live/streams/cam_adaptive_cmaf.m3u8", "live/streams/cam_adaptive_ll.mpd", "live/streams/_ll.mpd", "live/streams/cam.m4s",
		"live/streams/cam/2023-08-24_16-02-52.970/000000042.m4s", "live/streams/cam/2023-08-24_16-02-52.970/x/000000042.m4s",
		"live/streams/cam/2023-08-24_16-02-52.970/v/42.m4s", "live/streams/cam/2023-08-24_16-02-52.970/v/000000042.ts", "live/streams/cam/2023-08-24_16-02-52.970/v/",
		"live/streams/cam/2023-08-24_16-02-52.970/v/000000042.03.m4s", "live/streams/cam/2023-08-24_16-02-52.970/v/42.3.m4s", "live/streams/cam/2023-08-24_16-02-52.970/v/000000042..m4s",
		"live/streams/cam/2023-08-24_16-02-52.970/000000042.3.m4s", "live/streams/cam/2023-08-24_16-02-52.970/v/000000042.3.ts", "live/streams/cam/2023-08-24_16-02-52.970/v/init-1.mp4", "live/streams/cam/2023-08-24_16-02-52.970/v/init-0A1B2C3D.mp4",
		"live/streams/cam/2023-08-24_16-02-52.970/v/init-.mp4", "live/streams/cam/2023-08-24_16-02-52.970/v/cam.m3u8", "live/streams/cam/2023-08-24_16-02-52.970/v/a/live.m3u8",
		"live/streams/cam_adaptive-2023-08-24_16-02-52.970_iframes.m3u8", "live/streams/cam/2023-08-24_16-02-52.970/a/iframes.m3u8",
		"live/streams/cam/2023-08-24_16-02-52.970/v/_iframes.m3u8", "live/streams/cam/2023-08-24_16-02-52.970/v/cam_iframes.m3u8",
		"live/streams/cam/2023-08-24_16-02-52.970/a/2023-08-25_16-02-52.970_iframes.m3u8", "live/streams/cam/2023-08-24_16-02-52.970/v/iframes.mpd",
		"live/streams/2023-08-24_16-02-52.970.m3u8", "live/streams/-2023-08-24_16-02-52.970.m3u8",
	} {
		if n, ok := ParseName(path); ok {
			t.Errorf("%q is taken for %+v", path, n)
		}
	}
}

func TestSegmentFile(t *testing.T) {
	for _, n := range []uint64{0, 7, 999999999, 1000000000, 1<<63 - 1} {
		if got, want := SegmentFile(n), fmt.Sprintf("%09d.ts", n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// FuzzName holds that every path has at most one reading, and every object one path.
func FuzzName(f *testing.F) {
	f.Add("live/streams/cam.m3u8")
	f.Add("live/streams/cam_adaptive.m3u8")
	f.Add("live/streams/cam-2023-08-24_16-02-52.970.m3u8")
	f.Add("live/streams/cam/2023-08-24_16-02-52.970/000000042.ts")
	f.Add("live/streams/cam/2023-08-24_16-02-52.970/live.m3u8")
	f.Fuzz(func(t *testing.T, path string) {
		n, ok := ParseName(path)
		if !ok {
			return
		}
		if n.String() != path {
			t.Errorf("%q became %q", path, n.String())
		}
		if strings.Contains(path, "/..") || strings.ContainsAny(path, "\x00\\%") {
			t.Errorf("%q was taken", path)
		}
	})
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		kind      Kind
		settled   bool
		typ, want string
	}{
		{KindSegment, false, "video/mp2t", "public, max-age=31536000, immutable"},
		{KindFragment, false, "video/mp4", "public, max-age=31536000, immutable"},
		{KindPart, false, "video/mp2t", "public, max-age=31536000, immutable"},
		{KindFragmentPart, false, "video/mp4", "public, max-age=31536000, immutable"},
		{KindInit, false, "video/mp4", "public, max-age=31536000, immutable"},
		{KindDASHEntry, false, "application/dash+xml", "public, max-age=3"},
		{KindIFrames, false, "application/vnd.apple.mpegurl", "public, max-age=3, stale-if-error=6"},
		{KindIFramesArchive, true, "application/vnd.apple.mpegurl", "public, max-age=3600"},
		{KindTrackLive, true, "application/vnd.apple.mpegurl", "public, max-age=60"},
		{KindTrackArchive, true, "application/vnd.apple.mpegurl", "public, max-age=3600"},
		{KindCMAFEntry, true, "application/vnd.apple.mpegurl", "public, max-age=3"},
		{KindSegment, true, "video/mp2t", "public, max-age=31536000, immutable"},
		{KindLive, false, "application/vnd.apple.mpegurl", "public, max-age=3, stale-if-error=6"},
		{KindLive, true, "application/vnd.apple.mpegurl", "public, max-age=60"},
		{KindArchive, false, "application/vnd.apple.mpegurl", "public, max-age=3"},
		{KindArchive, true, "application/vnd.apple.mpegurl", "public, max-age=3600"},
		{KindEntry, false, "application/vnd.apple.mpegurl", "public, max-age=3"},
		{KindEntry, true, "application/vnd.apple.mpegurl", "public, max-age=3"}, // a restarted show is never hidden behind its past
	} {
		if got := c.kind.Age(6, c.settled); got != c.want || c.kind.ContentType() != c.typ {
			t.Errorf("kind %d, settled %v: %q, %q", c.kind, c.settled, got, c.kind.ContentType())
		}
	}
	if got := KindLive.Age(1, false); got != "public, max-age=1, stale-if-error=1" {
		t.Errorf("a target duration of 1 s: %q", got)
	}
}
