package rtsp

import (
	"crypto/md5"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	lineH264  = "m=video 0 RTP/AVP 96\r\n"
	mapH264   = "a=rtpmap:96 H264/90000\r\n"
	setsH264  = "a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LAHtoCgL/lwEQAAAMABAAAAwDIPFi6gA==,aM4PyA==\r\n"
	controlV  = "a=control:streamid=0\r\n"
	lineAAC   = "m=audio 0 RTP/AVP 97\r\n"
	mapAAC    = "a=rtpmap:97 MPEG4-GENERIC/48000/2\r\n"
	paramsAAC = "a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
	configAAC = paramsAAC + ";config=1190\r\n"
	controlA  = "a=control:streamid=1\r\n"
	tcp01     = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"
	typeLine  = "Content-Type: application/sdp"
)

// TestRefusalsSayWhy checks that every refusal gives its reason in the status line, in the body and in the log as a warning, including
// those of the protocol library itself. None shows a key.
func TestRefusalsSayWhy(t *testing.T) {
	const url = "rtsp://x/live/cam?key=hush"
	video := sdpHead + lineH264 + mapH264 + controlV
	announced := func(e *raw) {
		if a := e.announce(url, video); a.status != 200 {
			e.t.Fatalf("ANNOUNCE: %q", a.line)
		}
	}
	for _, c := range []struct {
		name   string
		talk   func(*raw) reply
		status int
		want   string
	}{
		// Refusals of ANNOUNCE.
		{"no SDP", func(e *raw) reply { return e.announce(url, "") }, 415, "brings no SDP"},
		{"no media", func(e *raw) reply { return e.announce(url, sdpHead) }, 415, "announces no media"},
		{"no rtpmap", func(e *raw) reply { return e.announce(url, sdpHead+lineH264+controlV) }, 415, "payload type 96 has no rtpmap"},
		{"unknown rtpmap", func(e *raw) reply {
			return e.announce(url, sdpHead+lineH264+"a=rtpmap:96 VP8/90000\r\n"+controlV)
		}, 415, "VP8"},
		{"no payload type", func(e *raw) reply { return e.announce(url, sdpHead+"m=video 0 RTP/AVP\r\n") }, 415, "no payload type"},
		{"packetization mode", func(e *raw) reply {
			return e.announce(url, sdpHead+lineH264+mapH264+"a=fmtp:96 packetization-mode=2\r\n")
		}, 415, "packetization-mode=2 (interleaved) is not supported: set the encoder to packetization-mode 1"},
		{"decoding order numbers", func(e *raw) reply {
			return e.announce(url, sdpHead+lineH264+"a=rtpmap:96 H265/90000\r\na=fmtp:96 sprop-max-don-diff=2\r\n")
		}, 415, "sprop-max-don-diff=2 (pictures out of decoding order) is not supported: set it to 0"},
		{"AAC of 960 samples", func(e *raw) reply { return e.announce(url, sdpHead+lineAAC+mapAAC+paramsAAC+";config=1194\r\n") },
			415, "AAC with frames of 960 samples is not supported: set the encoder to frames of 1024"},
		{"AAC-ELD", func(e *raw) reply { return e.announce(url, sdpHead+lineAAC+mapAAC+paramsAAC+";config=F8E64000\r\n") },
			415, "AAC-ELD is not supported: set the encoder to AAC-LC"},
		{"AAC-ELD in LATM", func(e *raw) reply {
			return e.announce(url, sdpHead+lineAAC+"a=rtpmap:97 MP4A-LATM/48000/2\r\na=fmtp:97 cpresent=0;config=4001f1cc8000\r\n")
		}, 415, "AAC-ELD is not supported"},
		// FFmpeg's own encoder with film's 5.1, whose surround channels are at the side: its program config element has no LFE.
		{"channels of its own", func(e *raw) reply {
			return e.announce(url, sdpHead+lineAAC+"a=rtpmap:97 MPEG4-GENERIC/48000/6\r\n"+paramsAAC+"; config=118004C844002000C40D4C61766335392E33372E31303056E500\r\n")
		}, 415, "set the encoder to mono, stereo or 5.1; with ffmpeg: -af aformat=channel_layouts=5.1"},
		{"AAC without a config or a rate", func(e *raw) reply { return e.announce(url, sdpHead+lineAAC+"a=rtpmap:97 MPEG4-GENERIC\r\n") },
			415, "no config that can be read"},
		{"AAC with more in its AU headers", func(e *raw) reply {
			return e.announce(url, sdpHead+lineAAC+mapAAC+paramsAAC+";CTSDeltaLength=22;config=1190\r\n")
		}, 415, "ctsdeltalength=22"},
		{"too many media", func(e *raw) reply { return e.announce(url, sdpHead+strings.Repeat(lineH264+mapH264, 9)) }, 415, "at most 8"},
		{"another type", func(e *raw) reply { return e.ask("ANNOUNCE", url, video, "Content-Type: text/html") }, 415, `Content-Type is "text/html": send ANNOUNCE with application/sdp`},
		{"no type, no SDP", func(e *raw) reply { return e.ask("ANNOUNCE", url, "<html>") }, 415, "send ANNOUNCE with application/sdp"},
		{"no stream", func(e *raw) reply { return e.announce("rtsp://x/live?key=hush", video) }, 400, "rtsp://host/{app}/{stream}"},
		{"no address", func(e *raw) reply { return e.announce("*", video) }, 400, "ANNOUNCE needs an address"},
		{"ANNOUNCE twice", func(e *raw) reply { announced(e); return e.announce(url, video) }, 400, "ANNOUNCE is out of turn"},
		// Unreadable requests.
		{"address of another kind", func(e *raw) reply { return e.announce("http://x/live/cam?key=hush", video) }, 400, "the address cannot be read"},
		{"address with a blank", func(e *raw) reply { return e.announce("rtsp://x/live/my cam?key=hush", video) }, 400, "a method, an address and RTSP/1.0"},
		{"address that is not encoded", func(e *raw) reply { return e.announce("rtsp://x/live/100%?key=hush", video) }, 400, "the address cannot be read"},
		{"another version", func(e *raw) reply { e.send("ANNOUNCE " + url + " RTSP/2.0\r\nCSeq: 1\r\n\r\n"); return e.answer() }, 400, "RTSP/1.0"},
		{"length that is none", func(e *raw) reply {
			e.send("ANNOUNCE " + url + " RTSP/1.0\r\nCSeq: 1\r\n" + typeLine + "\r\nContent-Length: many\r\n\r\n" + video)
			return e.answer()
		}, 400, `the Content-Length is "many"`},
		{"huge length", func(e *raw) reply {
			e.send("ANNOUNCE " + url + " RTSP/1.0\r\nCSeq: 1\r\n" + typeLine + "\r\nContent-Length: 99999999999\r\n\r\n" + video)
			return e.answer()
		}, 400, `the Content-Length is "99999999999": it must be the length of the SDP in bytes, at most 131072`},
		{"length too long", func(e *raw) reply {
			e.send(fmt.Sprintf("ANNOUNCE %s RTSP/1.0\r\nCSeq: 1\r\n%s\r\nContent-Length: %d\r\n\r\n%s", url, typeLine, len(video)+1, video))
			return e.answer()
		}, 400, "was not complete after 500ms: is its Content-Length the length of the SDP?"},
		{"length too short", func(e *raw) reply {
			e.send(fmt.Sprintf("ANNOUNCE %s RTSP/1.0\r\nCSeq: 1\r\n%s\r\nContent-Length: %d\r\n\r\n%s", url, typeLine, len(sdpHead), video))
			return e.answer()
		}, 415, "announces no media"},
		{"no length", func(e *raw) reply {
			e.send("ANNOUNCE " + url + " RTSP/1.0\r\nCSeq: 1\r\n" + typeLine + "\r\n\r\n")
			return e.answer()
		}, 415, "brings no SDP: it has no Content-Length"},
		{"a header too long", func(e *raw) reply { return e.ask("ANNOUNCE", url, video, "X: "+strings.Repeat("x", 4000)) }, 400, "a header is too long"},
		{"no CSeq", func(e *raw) reply { e.send("ANNOUNCE " + url + " RTSP/1.0\r\n\r\n"); return e.answer() }, 400, "no CSeq header"},
		// Requests out of order.
		{"SETUP before ANNOUNCE", func(e *raw) reply { return e.setup("rtsp://x/live/cam/streamid=0?key=hush", 0) }, 400, "send ANNOUNCE first"},
		{"SETUP before ANNOUNCE, as a player does", func(e *raw) reply { return e.setup("rtsp://x/live/cam/trackID=0", 0) }, 400, "send ANNOUNCE first"},
		{"RECORD before SETUP", func(e *raw) reply { announced(e); return e.ask("RECORD", url, "") }, 501, "send ANNOUNCE and SETUP first"},
		{"RECORD before SETUP, of a session of its own", func(e *raw) reply { return e.ask("RECORD", url, "", "Session: 1") }, 454, "send ANNOUNCE first"},
		{"RECORD before SETUP of all", func(e *raw) reply {
			e.announce(url, video+lineAAC+mapAAC+configAAC+controlA)
			e.setup(url+"/streamid=0", 0)
			return e.ask("RECORD", url, "")
		}, 400, "before SETUP of every announced track"},
		{"RECORD of another stream", func(e *raw) reply {
			announced(e)
			e.setup(url+"/streamid=0", 0)
			return e.ask("RECORD", "rtsp://x/live/other?key=hush", "")
		}, 400, "names another stream than ANNOUNCE"},
		{"another's session", func(e *raw) reply { announced(e); return e.ask("RECORD", url, "", "Session: 1") }, 400, "belongs to another connection"},
		{"SETUP of no track", func(e *raw) reply { announced(e); return e.setup(url+"/streamid=7", 0) }, 400, "a track that the SDP does not announce"},
		{"SETUP twice", func(e *raw) reply {
			announced(e)
			e.setup(url+"/streamid=0", 0)
			return e.setup(url+"/streamid=0", 2)
		}, 400, "set up already"},
		{"DESCRIBE", func(e *raw) reply { return e.ask("DESCRIBE", url, "") }, 501, "DESCRIBE is not answered: this server only records"},
		{"PLAY", func(e *raw) reply { return e.ask("PLAY", url, "", "Session: 1") }, 501, "PLAY is not answered: this server only records"},
		// Transports.
		{"no transport", func(e *raw) reply { announced(e); return e.ask("SETUP", url+"/streamid=0", "") }, 400, "the Transport header cannot be read"},
		{"transport of no kind", func(e *raw) reply { announced(e); return e.ask("SETUP", url+"/streamid=0", "", "Transport: x;y") }, 400, "the Transport header cannot be read"},
		{"multicast", func(e *raw) reply {
			announced(e)
			return e.ask("SETUP", url+"/streamid=0", "", "Transport: RTP/AVP;multicast;port=9000-9001;mode=record")
		}, 461, "no multicast"},
		{"SRTP", func(e *raw) reply {
			announced(e)
			return e.ask("SETUP", url+"/streamid=0", "", "Transport: RTP/SAVP/TCP;interleaved=0-1;mode=record")
		}, 461, "not offered"},
		{"no ports", func(e *raw) reply {
			announced(e)
			return e.ask("SETUP", url+"/streamid=0", "", "Transport: RTP/AVP;unicast;mode=record")
		}, 400, "names no client_port"},
		{"mode play", func(e *raw) reply {
			announced(e)
			return e.ask("SETUP", url+"/streamid=0", "", "Transport: RTP/AVP/TCP;interleaved=0-1;mode=play")
		}, 400, "must say mode=record"},
		{"channels apart", func(e *raw) reply {
			announced(e)
			return e.ask("SETUP", url+"/streamid=0", "", "Transport: RTP/AVP/TCP;interleaved=0-5;mode=record")
		}, 400, "two channels in a row"},
		{"channels in use", func(e *raw) reply {
			e.announce(url, video+lineAAC+mapAAC+configAAC+controlA)
			e.setup(url+"/streamid=0", 0)
			return e.setup(url+"/streamid=1", 0)
		}, 400, "channels that another track has"},
		{"two transports", func(e *raw) reply {
			e.announce(url, video+lineAAC+mapAAC+configAAC+controlA)
			e.setup(url+"/streamid=0", 0)
			return e.ask("SETUP", url+"/streamid=1", "", "Transport: RTP/AVP;unicast;client_port=9000-9001;mode=record")
		}, 400, "all tracks must have the same transport"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, newRecorder(), func(o *Options) { o.HandshakeTimeout = 500 * time.Millisecond })
			a := c.talk(newRaw(t, s.addr))
			if a.status != c.status || !strings.Contains(a.body, c.want) {
				t.Errorf("answer %q with %q, want %d with %q", a.line, a.body, c.status, c.want)
			}
			if _, reason, ok := strings.Cut(a.line, ": "); !ok || !strings.HasPrefix(a.body, reason) {
				t.Errorf("the status line %q does not say why: %q", a.line, a.body)
			}
			log := s.log.String()
			if !strings.Contains(log, "level=WARN") {
				t.Error("no warning in the log")
			}
			for line := range strings.SplitSeq(log, "\n") {
				if strings.Contains(line, "hush") && !strings.Contains(line, "level=DEBUG") {
					t.Errorf("the log shows the key: %s", line)
				}
			}
			if strings.Contains(a.line+a.body, "hush") {
				t.Errorf("the answer shows the key")
			}
			if s.Stats.Refused.Load() == 0 {
				t.Error("no refusal counted")
			}
		})
	}
}

// TestNoRefusalOfWhatIsNoRequest checks that scanners and players that knock cause no warning.
func TestNoRefusalOfWhatIsNoRequest(t *testing.T) {
	s := serve(t, newRecorder(), func(o *Options) { o.HandshakeTimeout = 300 * time.Millisecond })
	for _, sent := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "ANNO", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"} {
		e := newRaw(t, s.addr)
		e.send(sent)
		if a := e.answer(); a.status >= 400 {
			t.Errorf("%q was answered with %q", sent, a.line)
		}
		for !e.closed() {
		}
	}
	if strings.Contains(s.log.String(), "level=WARN") {
		t.Errorf("a warning")
	}
}

// TestWarningsOfOneConnection checks that a connection that repeats the same request does not fill the log.
func TestWarningsOfOneConnection(t *testing.T) {
	s := serve(t, newRecorder(), nil)
	e := newRaw(t, s.addr)
	for range 15 {
		if a := e.ask("DESCRIBE", "rtsp://x/live/cam", ""); a.status != 501 {
			t.Fatalf("%q", a.line)
		}
	}
	if n := strings.Count(s.log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// TestConnectionGoesOnAfterRefusal tests an encoder that is refused one transport and requests another.
func TestConnectionGoesOnAfterRefusal(t *testing.T) {
	r := newRecorder()
	s := serve(t, r, func(o *Options) { o.UDPListen = "" })
	e := newRaw(t, s.addr)
	e.announce("rtsp://x/live/cam", sdpHead+lineH264+mapH264+setsH264+controlV)
	a := e.ask("SETUP", "rtsp://x/live/cam/streamid=0", "", "Transport: RTP/AVP;unicast;client_port=9000-9001;mode=record")
	if a.status != 461 || !strings.Contains(a.line, "use TCP") {
		t.Errorf("%q", a.line)
	}
	// Two requests at once: the first answer must not wait for more input.
	e.send("DESCRIBE rtsp://x/live/cam RTSP/1.0\r\nCSeq: 7\r\n\r\nOPTIONS rtsp://x/live/cam RTSP/1.0\r\nCSeq: 8\r\n\r\n")
	if a, b := e.answer(), e.answer(); a.status != 501 || b.status != 200 || a.header["cseq"] != "7" || b.header["cseq"] != "8" {
		t.Errorf("%q, %q", a.line, b.line)
	}
	e.setup("rtsp://x/live/cam/streamid=0", 0)
	if a := e.ask("RECORD", "rtsp://x/live/cam", ""); a.status != 200 {
		t.Fatalf("%q", a.line)
	}
	e.rtp(0, 96, 1, 0, true, idr)
	e.rtp(0, 96, 2, 3600, true, slice)
	r.wait(t)
	// The same while it records.
	if a := e.setup("rtsp://x/live/cam/streamid=0", 2); a.status != 400 || !strings.Contains(a.line, "out of turn") {
		t.Errorf("%q", a.line)
	}
	if err := r.cause(t); err == nil {
		t.Error("no cause")
	}
}

// TestAccepted tests what encoders say oddly, but mean well.
func TestAccepted(t *testing.T) {
	const plain = "rtsp://x/live/cam"
	video := sdpHead + lineH264 + mapH264 + setsH264 + controlV
	for _, c := range []struct {
		name                  string
		sdp                   string
		announce, setup, last string // addresses
		transport, kind       string
	}{
		{name: "plain"},
		{name: "slash", announce: plain + "/", setup: plain + "/streamid=0", last: plain + "/"},
		{name: "slash, as GStreamer", announce: plain + "/", setup: plain + "//streamid=0", last: plain + "/"},
		{name: "slash at RECORD only", last: plain + "/"},
		{name: "slash at ANNOUNCE only", announce: plain + "/"},
		{name: "query, as FFmpeg", announce: plain + "?a=b", setup: plain + "?a=b/streamid=0", last: plain + "?a=b"},
		{name: "query, as GStreamer", announce: plain + "?a=b", setup: plain + "/streamid=0?a=b", last: plain + "?a=b"},
		{name: "query at ANNOUNCE only", announce: plain + "?a=b"},
		{name: "slash behind the query", announce: plain + "?a=b/", setup: plain + "?a=b//streamid=0", last: plain + "?a=b/"},
		{name: "user in the address", announce: "rtsp://cam:p@x/live/cam", setup: "rtsp://cam:p@x/live/cam/streamid=0", last: "rtsp://cam:p@x/live/cam"},
		{name: "other name of the host", setup: "rtsp://10.0.0.1:554/live/cam/streamid=0", last: "rtsp://10.0.0.1/live/cam"},
		{name: "RECORD of everything", last: "*"},
		{name: "RECORD of the track", last: plain + "/streamid=0"},
		{name: "empty bandwidth", sdp: sdpHead + lineH264 + "b=AS:\r\n" + mapH264 + setsH264 + controlV},
		{name: "empty bandwidth of the session", sdp: "v=0\r\nb=AS:\r\n" + lineH264 + mapH264 + setsH264 + controlV},
		{name: "two payload types", sdp: sdpHead + "m=video 0 RTP/AVP 96 97\r\n" + mapH264 + setsH264 + controlV},
		{name: "two payload types, the other first", sdp: sdpHead + "m=video 0 RTP/AVP 97 96\r\n" + mapH264 + setsH264 + controlV},
		{name: "odd lines", sdp: "v=1\r\no=x\r\nt=now\r\nx\r\nk=\r\n" + lineH264 + "a=sendonly\r\na=mid:a b\r\ni=\r\nz=1\r\n" + mapH264 + setsH264 + controlV},
		{name: "no control", sdp: sdpHead + lineH264 + mapH264 + setsH264, setup: plain},
		{name: "control of everything", sdp: sdpHead + "a=control:*\r\n" + lineH264 + mapH264 + setsH264 + "a=control:*\r\n", setup: plain + "/"},
		{name: "absolute control", sdp: sdpHead + lineH264 + mapH264 + setsH264 + "a=control:rtsp://y:9/live/cam/one\r\n", setup: plain + "/one"},
		{name: "control with slashes", sdp: sdpHead + lineH264 + mapH264 + setsH264 + "a=control:/a/b/\r\n", setup: plain + "/a/b"},
		{name: "control with a query", sdp: sdpHead + lineH264 + mapH264 + setsH264 + "a=control:?track=1\r\n", setup: plain + "?track=1"},
		{name: "control with blanks", sdp: sdpHead + lineH264 + mapH264 + setsH264 + "a=control: track 1 \r\n", setup: plain + "/track%201"},
		{name: "no mode", transport: "RTP/AVP/TCP;unicast;interleaved=0-1"},
		{name: "mode in capitals", transport: `RTP/AVP/TCP;unicast;interleaved=0-1;mode="RECORD"`},
		{name: "places that nobody knows", transport: "RTP/AVP/TCP;source=nowhere.invalid;destination=x;interleaved=0-1;mode=record;"},
		{name: "several transports", transport: "RTP/SAVP;unicast;client_port=1-2,RTP/AVP/TCP;interleaved=0-1"},
		{name: "type with parameters", kind: "Content-Type: Application/SDP; charset=utf-8"},
		{name: "no type", kind: "X: y"},
		{name: "clock of its own", sdp: sdpHead + lineH264 + "a=rtpmap:96 h264\r\n" + setsH264 + controlV},
		{name: "sets without padding, with blanks and commas", sdp: sdpHead + lineH264 + mapH264 + controlV +
			"a=fmtp:96 sprop-parameter-sets= Z0LAHtoCgL/lwEQAAAMABAAAAwDIPFi6gA , aM4PyA ,,; packetization-mode=1\r\n"},
		{name: "sets in hex", sdp: sdpHead + lineH264 + mapH264 + controlV +
			"a=fmtp:96 sprop-parameter-sets=6742C01EDA0280BFE5C044000003000400000300C83C58BA80,68CE0FC8\r\n"},
		{name: "sets the other way round, with start codes", sdp: sdpHead + lineH264 + mapH264 + controlV +
			"a=fmtp:96 sprop-parameter-sets=AAAAAWjOD8g=,AAAAAWdCwB7aAoC/5cBEAAADAAQAAAMAyDxYuoA=\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			or := func(s, usual string) string {
				if s == "" {
					return usual
				}
				return s
			}
			r := newRecorder()
			r.authorize = func(q ingest.Request) (ingest.Grant, error) {
				if q.App != "live" || q.Name != "cam" {
					t.Errorf("asked for %q and %q", q.App, q.Name)
				}
				return ingest.Grant{Stream: q.Name, Identity: "test"}, nil
			}
			s := serve(t, r, nil)
			e := newRaw(t, s.addr)
			for _, a := range []reply{
				e.ask("ANNOUNCE", or(c.announce, plain), or(c.sdp, video), or(c.kind, typeLine)),
				e.ask("SETUP", or(c.setup, plain+"/streamid=0"), "", "Transport: "+or(c.transport, "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")),
				e.ask("RECORD", or(c.last, plain), ""),
			} {
				if a.status != 200 {
					t.Fatalf("%q\n%s", a.line, a.body)
				}
			}
			e.rtp(0, 96, 1, 0, true, idr)
			e.rtp(0, 96, 2, 3600, true, slice)
			r.wait(t)
			if got := r.all()[0].Track; got.Codec != ingest.H264 || got.Width != 640 || len(got.SPS) != 1 || len(got.PPS) != 1 {
				t.Errorf("track %+v", got)
			}
			e.ask("TEARDOWN", or(c.last, plain), "")
			if err := r.cause(t); err != ingest.ErrUnpublished {
				t.Errorf("cause %v", err)
			}
		})
	}
}

// TestUserInTheAddress tests encoders that put user and password into the request line.
func TestUserInTheAddress(t *testing.T) {
	r := newRecorder()
	r.authorize = onlyWith("cam", "secret")
	s := serve(t, r, nil)
	for _, c := range []struct {
		url    string
		status int
	}{
		{"rtsp://cam:secret@x/live/cam", 200},
		{"rtsp://cam:wrong@x/live/cam", 403},
		{"rtsp://cam:wrong@x/live/cam?user=cam&key=secret", 200}, // our own form takes precedence
	} {
		if a := newRaw(t, s.addr).announce(c.url, sdpH264); a.status != c.status {
			t.Errorf("%s: %q", c.url, a.line)
		}
	}
	if strings.Contains(s.log.String(), "wrong@") {
		t.Error("the log shows a password")
	}
}

// TestDigestOfTheAddressAsSent checks that a Digest also covers the address, which must not be repaired for that.
func TestDigestOfTheAddressAsSent(t *testing.T) {
	for _, tail := range []string{"", "/", "?a=b", "?a=b/"} {
		r := newRecorder()
		r.authorize = onlyWith("cam", "secret")
		s := serve(t, r, func(o *Options) {
			o.Password = func(string, string) (string, bool, bool) { return "secret", true, true }
		})
		e := newRaw(t, s.addr)
		url := "rtsp://x/live/cam" + tail
		first := e.announce(url, sdpH264)
		if first.status != 401 {
			t.Fatalf("%q", first.line)
		}
		if a := e.ask("ANNOUNCE", url, sdpH264, typeLine, digest(first.header["www-authenticate"], "ANNOUNCE", url)); a.status != 200 {
			t.Errorf("%s: %q", url, a.line)
		}
	}
}

// digest returns the Authorization header for a challenge (RFC 2617 3.2.2), for user cam with the password secret.
func digest(challenge, method, url string) string {
	value := func(key string) string {
		_, v, _ := strings.Cut(challenge, key+`="`)
		v, _, _ = strings.Cut(v, `"`)
		return v
	}
	sum := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	realm, nonce := value("realm"), value("nonce")
	return fmt.Sprintf(`Authorization: Digest username="cam", realm="%s", nonce="%s", uri="%s", response="%s"`,
		realm, nonce, url, sum(sum("cam:"+realm+":secret")+":"+nonce+":"+sum(method+":"+url)))
}
