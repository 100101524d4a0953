package rtsp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// planOf reads an SDP as the server does.
func planOf(body string) ([]*track, []string, error) {
	var s sdp.SessionDescription
	if err := s.Unmarshal([]byte(body)); err != nil {
		return nil, nil, err
	}
	var d description.Session
	if err := d.Unmarshal(&s); err != nil {
		return nil, nil, err
	}
	return plan(&d, []byte(body))
}

const sdpHead = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"

const sdpFull = sdpHead +
	"m=video 0 RTP/AVP 96\r\nb=AS:800\r\na=framerate:29.97\r\na=rtpmap:96 H264/90000\r\n" +
	"a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LAHtoCgL/lwEQAAAMABAAAAwDIPFi6gA==,aM4PyA==\r\na=control:streamid=0\r\n" +
	"m=audio 0 RTP/AVP 97\r\nb=TIAS:64000\r\na=rtpmap:97 MPEG4-GENERIC/44100/2\r\n" +
	"a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=2B920800\r\na=control:streamid=1\r\n"

func TestPlan(t *testing.T) {
	tracks, ignored, err := planOf(sdpFull)
	if err != nil || len(tracks) != 2 || len(ignored) != 0 {
		t.Fatalf("%d tracks, ignored %v, %v", len(tracks), ignored, err)
	}
	v := tracks[0].stream.(*video).track
	if v == nil || v.Bitrate != 800_000 || v.FrameRate != 25 || v.Width != 640 || v.Alone {
		t.Errorf("video %+v", v)
	}
	// HE-AAC: the core coder runs at half of what the SDP, and with it the RTP clock, says.
	a := tracks[1].stream.(*aac).track
	if a.SampleRate != 22050 || tracks[1].clock.rate != 44100 || a.Bitrate != 64_000 || a.Channels != 2 {
		t.Errorf("audio %+v, clock %d", a, tracks[1].clock.rate)
	}
}

func TestPlanRefuses(t *testing.T) {
	media := "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 opus/48000/2\r\na=control:x\r\n"
	for _, c := range []struct{ name, sdp, want string }{
		{"codec", sdpHead + media, "Opus"},
		{"too many media", sdpHead + strings.Repeat(media, maxMedias+1), "at most 8"},
		{"huge AU header", sdpHead +
			"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=fmtp:97 mode=AAC-hbr;sizelength=64;config=1190\r\na=control:x\r\n", "MPEG-4 Audio"},
		{"frames of 960 samples", sdpHead +
			"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1194\r\na=control:x\r\n", "MPEG-4 Audio"},
		{"rate of its own", sdpHead +
			"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/44612/2\r\na=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1780572210\r\na=control:x\r\n", "MPEG-4 Audio"},
	} {
		_, _, err := planOf(c.sdp)
		var r *ingest.Refusal
		if !errors.As(err, &r) || r.Kind != ingest.Unsupported || !strings.Contains(r.Reason, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestReadHintsIgnoresNonsense(t *testing.T) {
	for _, line := range []string{"b=AS:99999999999999", "b=X-AS:5", "a=framerate:NaN", "a=framerate:-1", "a=framerate:1e9", "a=rtpmap:96 H264/999999999999"} {
		var s sdp.SessionDescription
		if err := s.Unmarshal([]byte(sdpHead + "m=video 0 RTP/AVP 96\r\n" + line + "\r\n")); err != nil {
			continue
		}
		h := readHints(s.MediaDescriptions[0], 96)
		if h.bitrate != 0 || h.frameRate != 0 || h.clock != 0 {
			t.Errorf("%s gave %+v", line, h)
		}
	}
}

// FuzzPlan reads any SDP, and feeds what it announces with any packet.
func FuzzPlan(f *testing.F) {
	f.Add(sdpFull, []byte{0x65, 1, 2}, true)
	f.Add(sdpH264, []byte{0x7c, 0x85, 2}, false)
	f.Add(sdpHead+"m=audio 0 RTP/AVP 96\r\na=rtpmap:96 MP4A-LATM/44100\r\na=fmtp:96 cpresent=0;config=40002420adca00\r\n", []byte{1, 2, 3}, true)
	f.Add(sdpHead+"m=audio 0 RTP/AVP 14\r\n", []byte{0, 0, 0, 0, 0xff, 0xfb, 0x90, 0}, true)
	f.Add(sdpHead+"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n", []byte{0x40, 1, 2}, true)
	f.Fuzz(func(t *testing.T, body string, payload []byte, marker bool) {
		tracks, _, err := planOf(body)
		if err != nil {
			return
		}
		r := newRecorder()
		p := &publisher{opts: Options{Publisher: r, Authorizer: r}.withDefaults(), stats: &Stats{},
			announce: ingest.Announce{Cancel: func(error) {}}}
		p.setTracks(tracks)
		p.start(recorded{r: r}, false)
		for i, tr := range tracks {
			if tr.clock.rate <= 0 {
				t.Fatalf("clock of %d Hz", tr.clock.rate)
			}
			for n := range 3 {
				// Not through packet: what it contains there is to be found here.
				err := tr.stream.packet(&rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(n), Timestamp: uint32(n * 3000), Marker: marker, SSRC: uint32(i)},
					Payload: payload}, func(u unit) { p.unit(tr, u, time.Unix(int64(n), 0)) })
				_ = err // most are
			}
		}
		p.end(ingest.ErrUnpublished)
	})
}
