package rtsp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtsp/sdp"
)

// planOf reads an SDP as the server does.
func planOf(body string) ([]*track, []ignoredFormat, error) {
	media, err := sdp.Parse([]byte(body))
	if err != nil {
		return nil, nil, ingest.Refuse(ingest.Unsupported, "%v", err)
	}
	return plan(media)
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
	got := tracksOf(t, sdpFull)
	v := got[0]
	if v == nil || v.Bitrate != 800_000 || v.FrameRate != 25 || v.Width != 640 || v.Alone {
		t.Errorf("video %+v", v)
	}
	// HE-AAC: the core coder runs at half the rate of the SDP, and so of the RTP clock.
	a := got[1]
	if a.SampleRate != 22050 || tracks[1].clock.rate != 44100 || a.Bitrate != 64_000 || a.Channels != 2 {
		t.Errorf("audio %+v, clock %d", a, tracks[1].clock.rate)
	}
}

// tracksOf returns the tracks of the frames of a publisher with an SDP, in order.
func tracksOf(t *testing.T, sdp string) (tracks []*ingest.Track) {
	t.Helper()
	b := newBenchOf(t, sdp, nil)
	for _, tr := range b.tracks {
		if tr.stream.codec().IsVideo() {
			b.send(tr, 0, idr)
		} else if _, ok := tr.stream.(*latm); ok {
			b.send(tr, 0, []byte{4, 0x21, 2, 3, 4})
		} else {
			b.send(tr, 0, []byte{0, 16, 0, 4 << 3, 0x21, 2, 3, 4}) // a pair
		}
	}
	b.end(ingest.ErrUnpublished)
	for _, f := range b.r.all() {
		tracks = append(tracks, f.Track)
	}
	if len(tracks) != len(b.tracks) {
		t.Fatalf("%d frames of %d tracks: %+v", len(tracks), len(b.tracks), b.announce.Ledger.Problem())
	}
	return tracks
}

// TestPlanAudio checks that the track says what the SDP says about AAC and MP3, in all its forms.
func TestPlanAudio(t *testing.T) {
	for _, c := range []struct {
		name, sdp      string
		rate, channels int
		clock          int64
	}{
		{"plain", lineAAC + mapAAC + configAAC, 48000, 2, 48000},
		{"other case", lineAAC + "a=rtpmap:97 Mpeg4-Generic/48000/6\r\n" + paramsAAC + ";CONFIG=11B0\r\n", 48000, 6, 48000},
		{"5.1 by PCE", lineAAC + "a=rtpmap:97 MPEG4-GENERIC/48000/6\r\n" + paramsAAC + "; config=118004C8050001088000\r\n", 48000, 6, 48000},
		{"5.1 by PCE, LATM", lineAAC + "a=rtpmap:97 MP4A-LATM/48000/6\r\na=fmtp:97 cpresent=0;config=4000230009900a0002110000\r\n", 48000, 6, 48000},
		{"LATM", lineAAC + "a=rtpmap:97 MP4A-LATM/44100/2\r\na=fmtp:97 cpresent=0; config=40002420adca00\r\n", 44100, 2, 44100},
		{"HE-AAC, no clock", lineAAC + "a=rtpmap:97 MPEG4-GENERIC\r\n" + paramsAAC + ";config=2B920800\r\n", 22050, 2, 44100},
		{"no config", lineAAC + mapAAC + paramsAAC + "\r\n", 48000, 2, 48000},
		{"no parameters", lineAAC + mapAAC, 48000, 2, 48000},
		{"config that is none", lineAAC + mapAAC + paramsAAC + ";config=11 90\r\n", 48000, 2, 48000},
		{"no config, no channels", lineAAC + "a=rtpmap:97 MPEG4-GENERIC/44100\r\n", 44100, 2, 44100},
		{"config that is cut short", lineAAC + mapAAC + paramsAAC + ";config=11\r\n", 48000, 2, 48000},
	} {
		tracks, ignored, err := planOf(sdpHead + c.sdp)
		if err != nil || len(tracks) != 1 || len(ignored) != 0 {
			t.Errorf("%s: %d tracks, ignored %v, %v", c.name, len(tracks), ignored, err)
			continue
		}
		got := tracksOf(t, sdpHead+c.sdp)[0]
		if got.SampleRate != c.rate || got.Channels != c.channels || tracks[0].clock.rate != c.clock {
			t.Errorf("%s: %d Hz, %d channels, clock %d", c.name, got.SampleRate, got.Channels, tracks[0].clock.rate)
		}
	}
}

// TestPlanIgnores checks that the first usable track of each kind is recorded, and that the others are named with the reason.
func TestPlanIgnores(t *testing.T) {
	video, audio := lineH264+mapH264+setsH264, lineAAC+mapAAC+configAAC
	bad := lineAAC + mapAAC + paramsAAC + ";config=1194\r\n"
	for _, c := range []struct {
		name, sdp string
		tracks    int
		ignored   []string
	}{
		{"a second video", video + "m=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\n" + audio, 2, []string{`"video H265": it is a further track`}},
		{"a second audio", video + audio + audio, 2, []string{`"audio MPEG-4 Audio": it is a further track`}},
		{"unusable audio", video + bad, 1, []string{"960 samples"}},
		{"unusable audio first", video + bad + audio, 2, []string{"960 samples"}},
		{"unusable video", "m=video 0 RTP/AVP 98\r\na=rtpmap:98 VP9/90000\r\n" + audio, 1, []string{`"video VP9": this coding is not supported: send H.264`}},
		{"ONVIF metadata", video + "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n", 1, []string{"neither video nor audio"}},
		{"a payload type without rtpmap", "m=video 0 RTP/AVP 97 96\r\n" + mapH264 + setsH264, 1, []string{`"video payload type 97": payload type 97 has no rtpmap`}},
		{"retransmission", "m=video 0 RTP/AVP 96 97\r\n" + mapH264 + "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n", 1, []string{"rtx"}},
	} {
		tracks, ignored, err := planOf(sdpHead + c.sdp)
		if err != nil || len(tracks) != c.tracks || len(ignored) != len(c.ignored) {
			t.Errorf("%s: %d tracks, ignored %v, %v", c.name, len(tracks), ignored, err)
			continue
		}
		for i, want := range c.ignored {
			if !strings.Contains(ignored[i].String(), want) {
				t.Errorf("%s: ignored %v, want %s", c.name, ignored[i], want)
			}
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	media := "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 opus/48000/2\r\na=control:x\r\n"
	for _, c := range []struct{ name, sdp, want string }{
		{"codec", sdpHead + media, "Opus"},
		{"too many media", sdpHead + strings.Repeat(media, sdp.MaxMedia+1), "at most 8"},
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

// FuzzPlan reads arbitrary SDPs, and feeds what they announce with arbitrary packets.
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
		p.start(&recorded{r: r}, false)
		for i, tr := range tracks {
			if tr.clock.rate <= 0 {
				t.Fatalf("clock of %d Hz", tr.clock.rate)
			}
			for n := range 3 {
				// Not through packet: it would contain the panics that this looks for.
				err := tr.stream.packet(&rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(n), Timestamp: uint32(n * 3000), Marker: marker, SSRC: uint32(i)},
					Payload: payload}, time.Unix(int64(n), 0), func(u unit) { p.unit(tr, u) })
				_ = err // most of them fail
			}
		}
		p.end(ingest.ErrUnpublished)
	})
}
