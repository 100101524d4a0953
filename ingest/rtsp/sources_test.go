package rtsp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// udpEncoder is a raw encoder over UDP with its own socket.
type udpEncoder struct {
	*raw
	socket *net.UDPConn
	server *net.UDPAddr
	seq    uint16
}

// clientSocket binds a port of 127.0.0.1; 0 is any.
func clientSocket(t *testing.T, port int) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func portOf(c *net.UDPConn) int { return c.LocalAddr().(*net.UDPAddr).Port }

// setUDP announces and sets up a stream from the ports of a socket.
func setUDP(t *testing.T, addr, stream, sdpLines string, socket *net.UDPConn) (*udpEncoder, reply) {
	t.Helper()
	e := &udpEncoder{raw: newRaw(t, addr), socket: socket}
	url := "rtsp://x/live/" + stream
	if a := e.announce(url, sdpHead+lineH264+mapH264+setsH264+controlV+sdpLines); a.status != 200 {
		t.Fatalf("%q", a.line)
	}
	n := portOf(socket)
	a := e.ask("SETUP", url+"/streamid=0", "", fmt.Sprintf("Transport: RTP/AVP;unicast;client_port=%d-%d;mode=record", n, n+1))
	if _, ports, ok := strings.Cut(a.header["transport"], "server_port="); ok {
		first, _, _ := strings.Cut(ports, "-")
		p, _ := strconv.Atoi(first)
		e.server = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p}
	}
	return e, a
}

func (e *udpEncoder) record(t *testing.T, stream string) {
	t.Helper()
	if a := e.ask("RECORD", "rtsp://x/live/"+stream, ""); a.status != 200 {
		t.Fatalf("%q", a.line)
	}
}

// picture sends a keyframe from a socket.
func (e *udpEncoder) picture(t *testing.T, from *net.UDPConn, ssrc uint32) {
	t.Helper()
	for _, unit := range [][]byte{idr} {
		b := []byte{0x80, 96 | 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(b[2:], e.seq)
		binary.BigEndian.PutUint32(b[4:], uint32(e.seq)*3600)
		binary.BigEndian.PutUint32(b[8:], ssrc)
		e.seq++
		if _, err := from.WriteToUDP(append(b, unit...), e.server); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSourceIsNeverLearnt sends a whole show from another port and another address than the session's: none of it counts.
func TestSourceIsNeverLearnt(t *testing.T) {
	r := newRecorder()
	r.want = 8
	s := serve(t, r, nil)
	e, _ := setUDP(t, s.addr, "cam", "", clientSocket(t, 0))
	e.record(t, "cam")
	strangers := []*net.UDPConn{clientSocket(t, 0)}
	if c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: portOf(e.socket)}); err == nil {
		t.Cleanup(func() { c.Close() })
		strangers = append(strangers, c)
	}
	for range 100 {
		for _, c := range strangers {
			e.picture(t, c, 666)
		}
	}
	for range 12 {
		e.picture(t, e.socket, 1)
	}
	r.wait(t)
	if n := s.Stats.DecodeErrors.Load(); n != 0 {
		t.Errorf("%d packets reached the session and could not be used", n)
	}
	if n := s.Stats.Bytes.Load(); n > 12*int64(len(idr)) {
		t.Errorf("%d bytes were taken", n)
	}
}

// TestFirstPacketIsHeldToTheSDP tests somebody who forges the encoder's packets, address and port included, before the encoder sends.
func TestFirstPacketIsHeldToTheSDP(t *testing.T) {
	r := newRecorder()
	s := serve(t, r, nil)
	e, _ := setUDP(t, s.addr, "cam", "a=ssrc:5 cname:x\r\na=ssrc:5 msid:y\r\na=ssrc:7\r\n", clientSocket(t, 0))
	e.record(t, "cam")
	e.picture(t, e.socket, 6)
	var refusal *ingest.Refusal
	if cause := r.cause(t); !errors.As(cause, &refusal) || !strings.Contains(refusal.Reason, "SSRC 6") {
		t.Errorf("ended with %v", cause)
	}
	if n := len(r.all()); n != 0 {
		t.Errorf("%d frames of a stranger", n)
	}
	e, _ = setUDP(t, s.addr, "cam", "a=ssrc:5 cname:x\r\na=ssrc:7\r\n", clientSocket(t, 0))
	e.record(t, "cam")
	for range 8 {
		e.picture(t, e.socket, 7)
	}
	r.wait(t)
}

// TestPortsAreOneSessions checks that nobody gets another session's packets by naming its ports. The same encoder, restarted, gets its own
// ports back at once.
func TestPortsAreOneSessions(t *testing.T) {
	r := newRecorder()
	sessions, second := 0, make(chan struct{})
	r.onSession = func(ingest.Announce) func(*ingest.Frame) error {
		if sessions++; sessions != 2 {
			return nil
		}
		return func(*ingest.Frame) error {
			select {
			case <-second:
			default:
				close(second)
			}
			return nil
		}
	}
	s := serve(t, r, nil)
	socket := clientSocket(t, 0)
	e, _ := setUDP(t, s.addr, "cam", "", socket)
	e.record(t, "cam")
	e.picture(t, socket, 1)
	if _, a := setUDP(t, s.addr, "thief", "", socket); a.status != 400 || !strings.Contains(a.line, "client_port") {
		t.Errorf("a thief is answered %q", a.line)
	}
	again, a := setUDP(t, s.addr, "cam", "", socket)
	if a.status != 200 {
		t.Fatalf("the encoder itself is answered %q", a.line)
	}
	if cause := r.cause(t); !errors.Is(cause, ingest.ErrReplaced) {
		t.Errorf("the old session ended with %v", cause)
	}
	again.record(t, "cam")
	for range 12 {
		again.picture(t, socket, 2)
	}
	select {
	case <-second:
	case <-time.After(10 * time.Second):
		t.Error("the new session gets no packets")
	}
	if a := again.ask("TEARDOWN", "rtsp://x/live/cam", ""); a.status != 200 {
		t.Errorf("%q", a.line)
	}
	_ = r.cause(t)
	if _, a := setUDP(t, s.addr, "next", "", socket); a.status != 200 {
		t.Errorf("after its end the port is not free: %q", a.line)
	}
}

func TestClientPorts(t *testing.T) {
	for in, want := range map[string]string{
		"RTP/AVP;unicast;client_port=4000-4001;mode=record":                                                   "[4000 4001]",
		"RTP/AVP/TCP;unicast;interleaved=0-1;mode=record":                                                     "[]",
		"RTP/AVP;unicast;client_port=4000-4001;mode=record,RTP/AVP;unicast;client_port=5000-5001;mode=record": "[4000 4001 5000 5001]",
		"nonsense": "[]",
	} {
		if got := fmt.Sprint(clientPorts(base.HeaderValue{in})); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
