package players

import (
	"regexp"
	"testing"
)

// own is a player's own fault that interferes with a show: each was also seen with ffmpeg's segments from a plain file server.
type own struct {
	shows  string // pattern of the scenario's name
	where  string // pattern of "live" or "archive"
	player string
	faults string // pattern of the excused faults
	why    string
}

// owns are the known ones, for the versions that .ci/run installs. Faults that a newer version fixes are removed from here.
var owns = []own{
	{
		"^publisher back", "^live$", "shaka", "^(stood still|showed no new picture|had no new sound) for",
		"Shaka 5.2.12 takes the time away out of its time line at the discontinuity, and goes on to count what is available by the wall clock: " +
			"with each reload it drops more segments than come in, has none left after some 10 s (TypeError, reading 'next'), and stands still for good",
	},
	{
		"^(publisher back|all rungs back)", "^live$", "vlc", "^stood still for",
		"VLC 3.0.24 does not fill its buffer again after the break: it waits about 1 s for each segment, 20 s of 40 s where the machine is slow",
	},
	{
		"^audio AAC to MP3$", "", "hls.js", "^gave up: (bufferAppendError|mediaSourceRequiresReset)$|^(stood still|showed no new picture|had no new sound) for|^did not come",
		"hls.js 1.7.4 appends MP3 to the source buffer that it made for AAC, without changeType: bufferAppendError",
	},
	{
		"^audio AAC to MP3$", "", "shaka", "^gave up: shaka 301[45]$|^(stood still|showed no new picture|had no new sound) for|^did not come",
		"Shaka 5.2.12 appends MP3 to the source buffer that it made for AAC: 3014, 3015",
	},
	{
		"^audio AAC to MP3$", "", "video.js", "^(stood still|showed no new picture|had no new sound) for|^did not come",
		"video.js 8.24.1 reads no MP3 from a transport stream: it is silent, and live it waits for sound",
	},
	{
		"^audio AAC to MP3$", "^live$", "hlsdemux2", "^had no new sound for",
		"playbin3 of GStreamer 1.22 does not change its decoder of sound in a live show: silent to the end, where it does from the archive",
	},
	{
		"^(audio|video) away$", "", "hls.js", "^(stood still|showed no new picture|had no new sound) for|^did not come",
		"hls.js 1.7.4 stands still for good where one of two tracks has nothing for 6 s, with and without discontinuities; it does jump over EXT-X-GAP",
	},
	{
		"^video away$", "", "video.js", "^gave up: video.js 3 |^(stood still|showed no new picture|had no new sound) for|^did not come",
		"video.js 8.24.1 gives a variant up whose segment has no picture, though others have: 3, no supported playlists",
	},
}

// excuse returns why a player's fault in a show is its own, or "".
func excuse(show, where, player, fault string) string {
	for _, o := range owns {
		if o.player == player && regexp.MustCompile(o.shows).MatchString(show) && regexp.MustCompile(o.where).MatchString(where) && regexp.MustCompile(o.faults).MatchString(fault) {
			return o.why
		}
	}
	return ""
}

func TestExcuse(t *testing.T) {
	for _, x := range []struct {
		show, where, player, fault string
		want                       bool
	}{
		{"publisher back, time anew", "live", "shaka", "stood still for 12.0 s", true},
		{"publisher back, time anew", "archive", "shaka", "stood still for 12.0 s", false},
		{"publisher back, time anew", "live", "hls.js", "stood still for 12.0 s", false},
		{"publisher back, time anew", "live", "shaka", "gave up: shaka 3016", false},
		{"audio AAC to MP3", "archive", "hls.js", "gave up: bufferAppendError", true},
		{"audio 44.1 to 48 kHz", "archive", "hls.js", "gave up: bufferAppendError", false},
		{"video away", "live", "video.js", "gave up: video.js 3 Playback cannot continue.", true},
		{"audio away", "live", "video.js", "gave up: video.js 3 Playback cannot continue.", false},
	} {
		if got := excuse(x.show, x.where, x.player, x.fault); (got != "") != x.want {
			t.Errorf("%+v: %q", x, got)
		}
	}
}

// Every excuse is for an existing show and player.
func TestOwns(t *testing.T) {
	for _, o := range owns {
		shows, found := 0, false
		for _, sc := range scenarios {
			if regexp.MustCompile(o.shows).MatchString(sc.name) {
				shows++
			}
		}
		for _, p := range players {
			found = found || p.name == o.player
		}
		if shows == 0 || !found {
			t.Errorf("%+v is for nothing", o)
		}
	}
}
