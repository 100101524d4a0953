package rtsp

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// raw is an encoder that sends what a test wants, right or wrong.
type raw struct {
	t       *testing.T
	c       net.Conn
	r       *bufio.Reader
	cseq    int
	session string
}

// reply is an answer: its first line, headers in lower case, and body. It is empty if the connection was closed.
type reply struct {
	status int
	line   string
	header map[string]string
	body   string
}

func newRaw(t *testing.T, addr string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &raw{t: t, c: c, r: bufio.NewReader(c)}
}

// send writes bytes as they are.
func (e *raw) send(s string) {
	e.t.Helper()
	if _, err := io.WriteString(e.c, s); err != nil {
		e.t.Fatal(err)
	}
}

// ask sends a request with CSeq, Session and the length of its body, and reads the answer. Headers are lines.
func (e *raw) ask(method, url, body string, headers ...string) reply {
	e.t.Helper()
	e.cseq++
	s := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\n", method, url, e.cseq)
	if e.session != "" {
		headers = append(headers, "Session: "+e.session)
	}
	for _, h := range headers {
		s += h + "\r\n"
	}
	if body != "" {
		s += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	e.send(s + "\r\n" + body)
	return e.answer()
}

// announce sends an SDP with the right type.
func (e *raw) announce(url, body string) reply {
	e.t.Helper()
	return e.ask("ANNOUNCE", url, body, "Content-Type: application/sdp")
}

// setup requests a track over TCP.
func (e *raw) setup(url string, channel int) reply {
	e.t.Helper()
	return e.ask("SETUP", url, "", fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d;mode=record", channel, channel+1))
}

// answer reads an answer, skipping interleaved packets.
func (e *raw) answer() (a reply) {
	e.t.Helper()
	for {
		b, err := e.r.Peek(4)
		if err != nil || b[0] != '$' {
			break
		}
		_, _ = e.r.Discard(4 + int(binary.BigEndian.Uint16(b[2:])))
	}
	line, err := e.r.ReadString('\n')
	if err != nil {
		return a
	}
	a.line = strings.TrimSpace(line)
	if f := strings.Fields(a.line); len(f) > 1 {
		a.status, _ = strconv.Atoi(f[1])
	}
	a.header = map[string]string{}
	for {
		h, err := e.r.ReadString('\n')
		if h = strings.TrimSpace(h); err != nil || h == "" {
			break
		}
		k, v, _ := strings.Cut(h, ":")
		a.header[strings.ToLower(k)] = strings.TrimSpace(v)
	}
	n, _ := strconv.Atoi(a.header["content-length"])
	body := make([]byte, n)
	_, _ = io.ReadFull(e.r, body)
	a.body = string(body)
	if s, _, _ := strings.Cut(a.header["session"], ";"); s != "" {
		e.session = s
	}
	return a
}

// closed reports whether the server has closed the connection.
func (e *raw) closed() bool {
	_, err := e.r.ReadByte()
	return err == io.EOF
}

// rtp sends an RTP packet on a channel.
func (e *raw) rtp(channel, payloadType byte, seq uint16, ts uint32, marker bool, payload []byte) {
	e.t.Helper()
	b := []byte{0x80, payloadType, 0, 0, 0, 0, 0, 0, 0, 0, 0, channel}
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	b = append(b, payload...)
	e.send("$" + string([]byte{channel, byte(len(b) >> 8), byte(len(b))}) + string(b))
}
