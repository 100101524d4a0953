package rtsp

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Parameter sets of x264: 320x180 at 25/s with two reordered frames, and 640x360 at 25/s baseline.
var (
	spsB     = unhex("6764000cacd941419f9f011000000300100000030320f1429960")
	ppsB     = unhex("68ef8fcb")
	spsPlain = unhex("6742c01eda0280bfe5c044000003000400000300c83c58ba80")
	ppsPlain = unhex("68ce0fc8")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// pusher is an encoder made from gortsplib's own client.
type pusher struct {
	*gortsplib.Client
	video *description.Media
	h264  *format.H264
	audio *description.Media
	aac   *format.MPEG4Audio
	seq   uint16
}

func newPusher(tr gortsplib.Transport) *pusher {
	p := &pusher{
		Client: &gortsplib.Client{Transport: &tr, ReadTimeout: 5 * time.Second},
		h264:   &format.H264{PayloadTyp: 96, SPS: spsPlain, PPS: ppsPlain, PacketizationMode: 1},
		aac: &format.MPEG4Audio{PayloadTyp: 97, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3,
			Config: &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2}},
	}
	p.video = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{p.h264}}
	p.audio = &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{p.aac}}
	return p
}

func (p *pusher) record(address string, medias ...*description.Media) error {
	return p.StartRecording(address, &description.Session{Medias: medias})
}

// picture sends one picture with the given units, and the delimiter of the next one, which shows that it is complete.
func (p *pusher) picture(t *testing.T, ts uint32, units ...[]byte) {
	t.Helper()
	p.units(t, ts, units...)
	p.units(t, ts+1, delimiter)
}

func (p *pusher) units(t *testing.T, ts uint32, units ...[]byte) {
	t.Helper()
	enc := formatEncoder(t, p.h264)
	pkts, err := enc.Encode(units)
	if err != nil {
		t.Fatal(err)
	}
	for _, pkt := range pkts {
		pkt.Timestamp = ts
		pkt.SequenceNumber = p.seq
		pkt.SSRC = 1
		p.seq++
		if err := p.WritePacketRTP(p.video, pkt); err != nil {
			t.Fatal(err)
		}
	}
}

// packet sends one packet with one unit.
func (p *pusher) packet(t *testing.T, ts uint32, marker bool, unit []byte) {
	t.Helper()
	pkt := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Marker: marker, Timestamp: ts, SequenceNumber: p.seq, SSRC: 1}, Payload: unit}
	p.seq++
	if err := p.WritePacketRTP(p.video, pkt); err != nil {
		t.Fatal(err)
	}
}

func formatEncoder(t *testing.T, f *format.H264) interface {
	Encode([][]byte) ([]*rtp.Packet, error)
} {
	t.Helper()
	enc, err := f.CreateEncoder()
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

var idr, slice = []byte{0x65, 1, 2, 3}, []byte{0x41, 4, 5, 6}

func TestRecordAndTeardown(t *testing.T) {
	for _, tr := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		t.Run(tr.String(), func(t *testing.T) {
			r := newRecorder()
			r.want = 4
			s := serve(t, r, nil)
			p := newPusher(tr)
			if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
				t.Fatal(err)
			}
			p.picture(t, 0xfffffff0, idr)
			p.picture(t, 3600-16, slice) // wraps
			p.picture(t, 7200-16, spsPlain, ppsPlain, idr)
			p.picture(t, 10800-16, spsB, ppsB, idr)
			r.wait(t)
			p.Close()
			if err := r.cause(t); !errors.Is(err, ingest.ErrUnpublished) {
				t.Errorf("cause %v, want %v", err, ingest.ErrUnpublished)
			}
			frames := r.all()
			checkOrder(t, frames, 0)
			first := frames[0].Track
			if first.Width != 640 || first.Height != 360 || first.FrameRate != 25 || !first.Alone || first.Codec != ingest.H264 {
				t.Errorf("track %+v", first)
			}
			if !frames[0].Key || frames[1].Key || !frames[2].Key {
				t.Error("wrong frames are keys")
			}
			if frames[1].Track != first || frames[2].Track != first {
				t.Error("the same parameter sets made another track")
			}
			if last := frames[3].Track; last == first || last.Width != 320 {
				t.Errorf("other parameter sets gave %+v", last)
			}
			for i := 1; i < 4; i++ {
				if d := frames[i].PTS - frames[i-1].PTS; d != 3600 {
					t.Errorf("PTS moved by %d, want 3600", d)
				}
			}
			if a := r.announces[0]; a.App != "live" || a.Stream != "cam" || a.Protocol != "rtsp" || a.Identity != "test" || a.Cancel == nil {
				t.Errorf("announce %+v", a)
			}
			if got := s.Stats.Frames.Load(); got != 4 {
				t.Errorf("%d frames counted", got)
			}
		})
	}
}

// status returns the answer that a client got.
func status(t *testing.T, err error) (base.StatusCode, string) {
	t.Helper()
	var bad liberrors.ErrClientBadStatusCode
	if !errors.As(err, &bad) {
		t.Fatalf("%v is no status", err)
	}
	return bad.Code, bad.Message
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		kind ingest.RefusalKind
		url  string
		want base.StatusCode
	}{
		{"bad name", ingest.BadName, "/live/cam", base.StatusBadRequest},
		{"taken", ingest.NameTaken, "/live/cam", base.StatusMethodNotValidInThisState},
		{"unauthorized", ingest.Unauthorized, "/live/cam?key=x", base.StatusForbidden},
		{"unknown app", ingest.UnknownApp, "/live/cam", base.StatusNotFound},
		{"unsupported", ingest.Unsupported, "/live/cam", base.StatusUnsupportedMediaType},
		{"overloaded", ingest.Overloaded, "/live/cam", base.StatusServiceUnavailable},
		{"not a refusal", 0, "/live/cam", base.StatusInternalServerError},
		{"no stream", 0, "/live", base.StatusBadRequest},
	} {
		for _, at := range []string{"announce", "record"} {
			if c.name == "no stream" && at == "record" {
				continue
			}
			t.Run(c.name+" at "+at, func(t *testing.T) {
				r := newRecorder()
				var refusal error = ingest.Refuse(c.kind, "because\r\nof the %s", c.name)
				if c.kind == 0 {
					refusal = errors.New("disk of the authorizer is full")
				}
				if at == "announce" {
					r.authorize = func(ingest.Request) (ingest.Grant, error) { return ingest.Grant{}, refusal }
				}
				r.refuse = refusal
				s := serve(t, r, nil)
				p := newPusher(gortsplib.TransportTCP)
				defer p.Close()
				code, message := status(t, p.record("rtsp://"+s.addr+c.url, p.video))
				if code != c.want {
					t.Errorf("status %d, want %d", code, c.want)
				}
				if c.kind != 0 && !strings.HasSuffix(message, "because  of the "+c.name) {
					t.Errorf("message %q does not say why", message)
				}
				if strings.Contains(message, "disk") {
					t.Errorf("message %q tells what is not the encoder's business", message)
				}
				if s.Stats.Refused.Load() != 1 {
					t.Errorf("%d refusals counted", s.Stats.Refused.Load())
				}
				if !strings.Contains(s.log.String(), "publisher refused") {
					t.Error("the log does not say why")
				}
			})
		}
	}
}

func TestCredentials(t *testing.T) {
	const password = "p:w/ö?"
	for _, c := range []struct {
		name, user, query string
		password          string
		digest            bool
		want              base.StatusCode // 0: may record
	}{
		{"basic", "cam", "", "secret", false, 0},
		{"digest", "cam", "", "secret", true, 0},
		{"wrong password", "cam", "", "wrong", false, base.StatusForbidden},
		{"wrong digest", "cam", "", "wrong", true, base.StatusForbidden},
		{"in the query", "", "?user=cam&key=secret", "", false, 0},
		{"wrong in the query", "", "?user=cam&key=wrong", "", false, base.StatusForbidden},
		{"none", "", "", "", false, base.StatusUnauthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder()
			r.authorize = onlyWith("cam", "secret")
			s := serve(t, r, func(o *Options) {
				if c.digest {
					o.Password = func(app, name string) (string, bool, bool) { return "secret", name == "cam", app == "live" }
				}
			})
			at := &url.URL{Scheme: "rtsp", Host: s.addr, Path: "/live/cam"}
			if c.user != "" {
				at.User = url.UserPassword(c.user, c.password)
			}
			p := newPusher(gortsplib.TransportTCP)
			defer p.Close()
			err := p.record(at.String()+c.query, p.video)
			if c.want == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if code, message := status(t, err); code != c.want || !strings.Contains(message, "publish key") && !strings.Contains(message, "password") {
				t.Errorf("%d %q, want %d", code, message, c.want)
			}
			if strings.Contains(s.log.String(), "wrong&") || strings.Contains(s.log.String(), "key=wrong") {
				t.Error("the log shows a secret")
			}
		})
	}
	// A colon in the password, which the library's own header parser refuses.
	r := newRecorder()
	r.authorize = onlyWith("cam", password)
	s := serve(t, r, nil)
	answer := talk(t, s.addr, "ANNOUNCE rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\nAuthorization: Basic "+
		base64.StdEncoding.EncodeToString([]byte("cam:"+password))+"\r\nContent-Type: application/sdp\r\nContent-Length: "+
		fmt.Sprint(len(sdpH264))+"\r\n\r\n"+sdpH264)
	if !strings.HasPrefix(answer, "RTSP/1.0 200") {
		t.Errorf("answer %q", answer)
	}
}

const sdpH264 = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
	"m=video 0 RTP/AVP 96\r\nb=AS:800\r\na=rtpmap:96 H264/90000\r\na=control:streamid=0\r\n"

// talk sends a request and returns the first line of the answer.
func talk(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line)
}

func TestUnsupported(t *testing.T) {
	r := newRecorder()
	s := serve(t, r, nil)
	opus := &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{&format.Opus{PayloadTyp: 98, ChannelCount: 2}}}
	p := newPusher(gortsplib.TransportTCP)
	code, message := status(t, p.record("rtsp://"+s.addr+"/live/cam", opus))
	if code != base.StatusUnsupportedMediaType || !strings.Contains(message, "Opus") {
		t.Errorf("%d %q", code, message)
	}
	p = newPusher(gortsplib.TransportTCP)
	defer p.Close()
	if err := p.record("rtsp://"+s.addr+"/live/cam", p.video, opus); err != nil {
		t.Fatal(err)
	}
	p.picture(t, 0, idr)
	r.wait(t)
	if !r.all()[0].Track.Alone {
		t.Error("the video is not known to be alone")
	}
	if !strings.Contains(s.log.String(), "Opus") {
		t.Error("the log does not name what is ignored")
	}
}

func TestEnds(t *testing.T) {
	lost := errors.New("the stream is over")
	for _, c := range []struct {
		name      string
		transport gortsplib.Transport
		end       func(*running, *recorder, *pusher)
		want      string
	}{
		{"cancel", gortsplib.TransportTCP, func(_ *running, r *recorder, _ *pusher) {
			r.announces[0].Cancel(lost)
			r.announces[0].Cancel(errors.New("again"))
		}, lost.Error()},
		{"cancel UDP", gortsplib.TransportUDP, func(_ *running, r *recorder, _ *pusher) { r.announces[0].Cancel(lost) }, lost.Error()},
		{"shutdown", gortsplib.TransportTCP, func(s *running, _ *recorder, _ *pusher) { _ = s.stop() }, ingest.ErrShutdown.Error()},
		{"silent UDP", gortsplib.TransportUDP, func(*running, *recorder, *pusher) {}, "nothing received for 1s"},
		{"silent TCP", gortsplib.TransportTCP, func(*running, *recorder, *pusher) {}, "nothing received for 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder()
			s := serve(t, r, func(o *Options) { o.ReadTimeout = time.Second })
			p := newPusher(c.transport)
			defer p.Close()
			if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
				t.Fatal(err)
			}
			p.picture(t, 0, idr)
			r.wait(t)
			c.end(s, r, p)
			if err := r.cause(t); err.Error() != c.want {
				t.Errorf("cause %q, want %q", err, c.want)
			}
		})
	}
}

func TestWriteFrameError(t *testing.T) {
	r := newRecorder()
	over := errors.New("over")
	r.onFrame = func(*ingest.Frame) error { return over }
	s := serve(t, r, nil)
	p := newPusher(gortsplib.TransportTCP)
	defer p.Close()
	if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
		t.Fatal(err)
	}
	p.picture(t, 0, idr)
	if err := r.cause(t); !errors.Is(err, over) {
		t.Errorf("cause %v", err)
	}
}

// TestRefusedWhileRecording checks that the reason is in the log as a warning: the encoder only sees its connection closed.
func TestRefusedWhileRecording(t *testing.T) {
	r := newRecorder()
	r.onFrame = func(*ingest.Frame) error { return ingest.Refuse(ingest.Unsupported, "because of this") }
	s := serve(t, r, nil)
	p := newPusher(gortsplib.TransportTCP)
	defer p.Close()
	if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
		t.Fatal(err)
	}
	p.picture(t, 0, idr)
	_ = r.cause(t)
	_ = s.stop()
	for line := range strings.SplitSeq(s.log.String(), "\n") {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "because of this") {
			return
		}
	}
	t.Error("no warning says why")
}

func TestPanicEndsOnlyItsPublisher(t *testing.T) {
	r := newRecorder()
	r.onFrame = func(*ingest.Frame) error { panic("as a parser might") }
	s := serve(t, r, nil)
	p := newPusher(gortsplib.TransportTCP)
	defer p.Close()
	if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
		t.Fatal(err)
	}
	p.picture(t, 0, idr)
	if err := r.cause(t); err == nil || !strings.Contains(s.log.String(), "as a parser might") {
		t.Errorf("cause %v", err)
	}
}

// TestHandshakeTimeout checks that a connection that never records is closed, whatever it sends.
func TestHandshakeTimeout(t *testing.T) {
	r := newRecorder()
	s := serve(t, r, func(o *Options) { o.HandshakeTimeout = 300 * time.Millisecond })
	for _, send := range []string{"", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", strings.Repeat("\x00garbage", 100), "$\x00\x00\x04abcd", "ANNOUNCE",
		"PLAY rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n", "DESCRIBE rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n"} {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, send)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err = io.Copy(io.Discard, c)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("a connection that sent %.20q is still open", send)
		}
		c.Close()
	}
}

func TestGarbageHarmsItsConnectionOnly(t *testing.T) {
	r := newRecorder()
	r.want = 2
	s := serve(t, r, nil)
	p := newPusher(gortsplib.TransportTCP)
	defer p.Close()
	if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
		t.Fatal(err)
	}
	p.picture(t, 0, idr)
	for _, garbage := range []string{
		"ANNOUNCE rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999999\r\n\r\n",
		"ANNOUNCE \x00 RTSP/1.0\r\n\r\n", "\xff\xff\xff\xff", "GET / HTTP/1.1\r\n\r\n", "RTSP/1.0 200 OK\r\n\r\n",
		"SETUP rtsp://x/live/cam/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
		"ANNOUNCE rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n",
		"RECORD rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\nSession: 1\r\n\r\n", "PLAY rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n",
	} {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, garbage)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	}
	p.picture(t, 3600, slice)
	r.wait(t)
}

func TestListenUDP(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).Port &^ 1
	for _, c := range []struct{ listen, log string }{
		{"", "UDP is off"},
		{fmt.Sprintf("127.0.0.1:%d", port), "UDP is not available"},
		{"127.0.0.1:8001", "must be even"},
		{"nonsense", "UDP is not available"},
	} {
		r := newRecorder()
		s := serve(t, r, func(o *Options) { o.UDPListen = c.listen })
		p := newPusher(gortsplib.TransportUDP)
		code, _ := status(t, p.record("rtsp://"+s.addr+"/live/cam", p.video))
		if code != base.StatusUnsupportedTransport || !strings.Contains(s.log.String(), c.log) {
			t.Errorf("%q: status %d, log %s", c.listen, code, s.log)
		}
	}
	// A request for more than the kernel grants is logged.
	r := newRecorder()
	s := serve(t, r, func(o *Options) { o.UDPReadBuffer = 1 << 30 })
	p := newPusher(gortsplib.TransportUDP)
	defer p.Close()
	if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
		t.Error(err)
	}
	if !strings.Contains(s.log.String(), "smaller UDP read buffer") {
		t.Error("nothing said about the read buffer")
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	s := New(Options{Publisher: r, Authorizer: r})
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), l) }()
	l.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}
