package sdp

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const head = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nb=AS:9\r\na=framerate:9\r\nt=0 0\r\n"

func TestParse(t *testing.T) {
	h264 := Format{PayloadType: 96, Encoding: "H264", Clock: 90000}
	video := func(change func(*Media)) []Media {
		m := Media{Kind: "video", Control: "streamid=0", Formats: []Format{h264}}
		if change != nil {
			change(&m)
		}
		return []Media{m}
	}
	const m, r, c = "m=video 0 RTP/AVP 96\r\n", "a=rtpmap:96 H264/90000\r\n", "a=control:streamid=0\r\n"
	for _, x := range []struct {
		name, body string
		want       []Media
	}{
		{"plain", head + m + r + c, video(nil)},
		{"nothing before the media", m + r + c, video(nil)},
		{"line feeds alone", strings.ReplaceAll(head+m+r+c, "\r\n", "\n"), video(nil)},
		{"carriage returns alone", strings.ReplaceAll(head+m+r+c, "\r\n", "\r"), video(nil)},
		{"no end of the last line", strings.TrimSuffix(m+r+c, "\r\n"), video(nil)},
		{"lines that are none", head + "nonsense\r\n\r\n=\r\n" + m + "\x00\r\nq=1\r\n" + r + c, video(nil)},
		{"upper case", "m=VIDEO 0 RTP/AVP 96\r\na=RTPMAP:96 H264/90000\r\na=Control:streamid=0\r\n", video(nil)},
		{"blanks", "m=video  0 RTP/AVP  96 \r\na=rtpmap: 96  H264/90000 \r\na=control: streamid=0 \r\n", video(nil)},
		{"empty bandwidth", m + "b=AS:\r\n" + r + c, video(nil)},
		{"bandwidth that is none", m + "b=AS\r\nb=\r\nb=AS:x\r\nb=AS:-5\r\nb=AS:99999999999999\r\nb=X-AS:5\r\nb=CT:5\r\n" + r + c, video(nil)},
		{"bandwidth", m + "b=TIAS:1\r\nb=AS:800\r\nb=TIAS:2\r\n" + r + c, video(func(m *Media) { m.Bitrate = 800_000 })},
		{"bandwidth in bits", m + "b=TIAS:64000\r\n" + r + c, video(func(m *Media) { m.Bitrate = 64_000 })},
		{"frame rate", m + "a=framerate:29.97\r\n" + r + c, video(func(m *Media) { m.FrameRate = 29.97 })},
		{"frame rate that is none", m + "a=framerate:NaN\r\na=framerate:-1\r\na=framerate:1e9\r\na=framerate:\r\n" + r + c, video(nil)},
		{"senders", m + "a=ssrc:5 cname:x\r\na=ssrc:5 msid:y\r\na=ssrc:4294967295\r\na=ssrc:4294967296\r\na=ssrc:x\r\na=ssrc\r\n" + r + c,
			video(func(m *Media) { m.SSRC = []uint32{5, math.MaxUint32} })},
		{"too many senders", m + senders(MaxSSRC+1) + r + c, video(nil)},
		{"other attributes", m + "a=sendonly\r\na=mid:0 0\r\na=key-mgmt:x\r\na=\r\n" + r + c, video(nil)},
		{"no control", m + r, video(func(m *Media) { m.Control = "" })},
		{"control with a colon", m + r + "a=control:rtsp://h:8554/live/cam/streamid=0\r\n",
			video(func(m *Media) { m.Control = "rtsp://h:8554/live/cam/streamid=0" })},
		{"no clock", m + "a=rtpmap:96 H264\r\n" + c, video(func(m *Media) { m.Formats[0].Clock = 0 })},
		{"absurd clock", m + "a=rtpmap:96 H264/999999999999\r\n" + c, video(func(m *Media) { m.Formats[0].Clock = 0 })},
		{"no rtpmap", m + c, video(func(m *Media) { m.Formats[0] = Format{PayloadType: 96} })},
		{"rtpmap of another", m + r + "a=rtpmap:97 x/1\r\n" + c, video(nil)},
		{"payload type of the rtpmap only", "m=video 0 RTP/AVP smart/1/90000\r\n" + r + c, video(nil)},
		{"two payload types", "m=video 0 RTP/AVP 96 97\r\n" + r + c,
			video(func(m *Media) { m.Formats = append(m.Formats, Format{PayloadType: 97}) })},
		{"payload types that are none", "m=video 0 RTP/AVP 96 96 x 128 300 -1\r\n" + r + c, video(nil)},
		{"parameters", m + r + c + "a=fmtp:96 Packetization-Mode=1 ;sprop-parameter-sets=Z0==,aM==; ; x; =y\r\n",
			video(func(m *Media) {
				m.Formats[0].Params = map[string]string{"packetization-mode": "1", "sprop-parameter-sets": "Z0==,aM==", "": "y"}
			})},
		{"audio", "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/44100/2\r\nm=audio 0 RTP/AVP 14\r\nm=audio 0 RTP/AVP 0\r\n", []Media{
			{Kind: "audio", Formats: []Format{{PayloadType: 97, Encoding: "MPEG4-GENERIC", Clock: 44100, Channels: 2}}},
			{Kind: "audio", Formats: []Format{{PayloadType: 14, Encoding: "MPA", Clock: 90000}}},
			{Kind: "audio", Formats: []Format{{PayloadType: 0, Encoding: "PCMU", Clock: 8000, Channels: 1}}},
		}},
		{"a media without a format", "m=\r\n" + m + r + c + "m=application 0 UDP x\r\n", append(video(nil), Media{Kind: "application"})},
	} {
		got, err := Parse([]byte(x.body))
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
		if d := cmp.Diff(x.want, got); d != "" {
			t.Errorf("%s: %s", x.name, d)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, body := range []string{"", "\r\n", " \n"} {
		if _, err := Parse([]byte(body)); !errors.Is(err, ErrEmpty) {
			t.Errorf("%q: %v", body, err)
		}
	}
	for _, body := range []string{head, "x", "m=\r\n", "a=rtpmap:96 H264/90000\r\n"} {
		if _, err := Parse([]byte(body)); !errors.Is(err, ErrNoMedia) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestLimits(t *testing.T) {
	const line = "m=audio 0 RTP/AVP 0\r\n"
	if got, err := Parse([]byte(strings.Repeat(line, MaxMedia))); err != nil || len(got) != MaxMedia {
		t.Errorf("%d media, %v", len(got), err)
	}
	if _, err := Parse([]byte(strings.Repeat(line, MaxMedia+1))); err == nil || !strings.Contains(err.Error(), "announces 9 media, at most 8") {
		t.Errorf("%v", err)
	}
	var types string
	for i := range MaxFormats + 1 {
		types += fmt.Sprintf(" %d", 96+i)
	}
	got, err := Parse([]byte("m=audio 0 RTP/AVP" + types + "\r\na=rtpmap:112 x/1\r\n"))
	if err != nil || len(got[0].Formats) != MaxFormats {
		t.Errorf("%v %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "m=video 0 RTP/AVP 96 97\r\nb=AS:\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 a=b;c\r\na=control:*\r\n"))
	f.Add([]byte("m=audio 0 RTP/AVP smart/1/90000\na=rtpmap:97 MPEG4-GENERIC/44100/2\na=framerate:25\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := Parse(body)
		if (err == nil) != (len(all) > 0) || len(all) > MaxMedia {
			t.Fatalf("%d media, %v", len(all), err)
		}
		for _, m := range all {
			if n := len(m.Formats); n > MaxFormats || m.Kind == "" {
				t.Errorf("%q with %d formats", m.Kind, n)
			}
			if strings.ContainsAny(m.Control, "\r\n") || m.Bitrate < 0 || !(m.FrameRate >= 0 && m.FrameRate <= maxFPS) {
				t.Errorf("%+v", m)
			}
			for _, f := range m.Formats {
				if f.PayloadType > 127 || f.Clock < 0 || f.Clock > maxClock {
					t.Errorf("%+v", f)
				}
			}
		}
	})
}

// senders names so many.
func senders(n int) (lines string) {
	for i := range n {
		lines += fmt.Sprintf("a=ssrc:%d\r\n", i)
	}
	return lines
}
