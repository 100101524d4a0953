//go:build linux

package publish

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"strings"
	"time"
)

// setUpTime bounds the time from connecting to permission to publish.
const setUpTime = 15 * time.Second

// dial connects, and returns when the server lets us publish, with the message stream to publish on.
func dial(ctx context.Context, rawURL string, chunk int) (*net.TCPConn, uint32, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, 0, fmt.Errorf("publish: %w", err)
	}
	app, name, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !ok {
		return nil, 0, fmt.Errorf("publish: %s is not rtmp://HOST:PORT/APP/STREAM", rawURL)
	}
	d := net.Dialer{Timeout: setUpTime}
	n, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, 0, fmt.Errorf("publish: %w", err)
	}
	_ = n.SetDeadline(time.Now().Add(setUpTime))
	s := &setUp{conn: n, in: bufio.NewReader(n), chunk: chunk, size: 128, last: map[byte]*message{}}
	stream, err := s.run(app, name, "rtmp://"+u.Host+"/"+app)
	if err != nil {
		_ = n.Close()
		return nil, 0, fmt.Errorf("publish %s: %w", rawURL, err)
	}
	_ = n.SetDeadline(time.Time{})
	return n.(*net.TCPConn), stream, nil
}

// setUp is a connection before its first frame.
type setUp struct {
	conn  net.Conn
	in    *bufio.Reader
	chunk int // our chunk size
	size  int // the server's
	last  map[byte]*message
}

func (s *setUp) run(app, name, tcURL string) (uint32, error) {
	hello := make([]byte, 1+1536)
	hello[0] = 3
	if _, err := s.conn.Write(hello); err != nil {
		return 0, err
	}
	answer := make([]byte, 1+2*1536)
	if _, err := io.ReadFull(s.in, answer); err != nil {
		return 0, fmt.Errorf("handshake: %w", err)
	}
	b := append([]byte(nil), answer[1:1+1536]...)
	b = appendMessage(b, 2, 128, 1, 0, binary.BigEndian.AppendUint32(nil, uint32(s.chunk)))
	connect := appendNumber(appendString(nil, "connect"), 1)
	connect = append(connect, 3)
	for _, f := range [][2]string{{"app", app}, {"type", "nonprivate"}, {"flashVer", "FMLE/3.0 (compatible; bench)"}, {"tcUrl", tcURL}} {
		connect = append(append(connect, 0, byte(len(f[0]))), f[0]...)
		connect = appendString(connect, f[1])
	}
	connect = append(connect, 0, 0, 9)
	if _, err := s.conn.Write(appendMessage(b, 3, s.chunk, 20, 0, connect)); err != nil {
		return 0, err
	}
	if _, err := s.await("_result", 1); err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	command := func(name string, transaction float64) []byte {
		return append(appendNumber(appendString(nil, name), transaction), 5)
	}
	b = appendMessage(nil, 3, s.chunk, 20, 0, appendString(command("releaseStream", 2), name))
	b = appendMessage(b, 3, s.chunk, 20, 0, appendString(command("FCPublish", 3), name))
	b = appendMessage(b, 3, s.chunk, 20, 0, command("createStream", 4))
	if _, err := s.conn.Write(b); err != nil {
		return 0, err
	}
	result, err := s.await("_result", 4)
	if err != nil {
		return 0, fmt.Errorf("createStream: %w", err)
	}
	if len(result) < 9 {
		return 0, errors.New("createStream: no stream in the answer")
	}
	stream := uint32(math.Float64frombits(binary.BigEndian.Uint64(result[len(result)-8:])))
	publish := appendString(appendString(command("publish", 5), name), "live")
	if _, err := s.conn.Write(appendMessage(nil, 3, s.chunk, 20, stream, publish)); err != nil {
		return 0, err
	}
	status, err := s.await("onStatus", -1)
	if err == nil && !strings.Contains(string(status), "NetStream.Publish.Start") {
		err = fmt.Errorf("refused: %q", status)
	}
	return stream, err
}

// await reads until the command comes; a negative transaction means any. Its values are returned without name and transaction.
func (s *setUp) await(name string, transaction float64) ([]byte, error) {
	for {
		m, err := s.read()
		if err != nil {
			return nil, err
		}
		want := appendString(nil, name)
		switch b := m.body; {
		case m.kind == 1 && len(b) >= 4:
			s.size = max(int(binary.BigEndian.Uint32(b)&0x7fffffff), 1)
		case m.kind != 20 || len(b) < len(want)+9:
		case strings.HasPrefix(string(b), string(appendString(nil, "_error"))):
			return nil, fmt.Errorf("refused: %q", b)
		case strings.HasPrefix(string(b), string(want)):
			if transaction < 0 || math.Float64frombits(binary.BigEndian.Uint64(b[len(want)+1:])) == transaction {
				return b[len(want)+9:], nil
			}
		}
	}
}

// message is what a chunk stream carries; its body grows chunk by chunk.
type message struct {
	kind   uint8
	length int
	body   []byte
	whole  bool // the next chunk begins a new one
}

// maxAnswer bounds what a server sends before we publish, in bytes.
const maxAnswer = 1 << 20

func (s *setUp) read() (*message, error) {
	for {
		first, err := s.in.ReadByte()
		if err != nil {
			return nil, err
		}
		m := s.last[first&0x3f]
		if m == nil {
			m = &message{}
			s.last[first&0x3f] = m
		}
		header := make([]byte, []int{11, 7, 3, 0}[first>>6])
		if _, err := io.ReadFull(s.in, header); err != nil {
			return nil, err
		}
		if len(header) >= 7 {
			m.length, m.kind = int(header[3])<<16|int(header[4])<<8|int(header[5]), header[6]
		}
		if m.length > maxAnswer {
			return nil, fmt.Errorf("the server sent a message of %d bytes", m.length)
		}
		if m.whole {
			m.body, m.whole = m.body[:0], false
		}
		n := min(m.length-len(m.body), s.size)
		at := len(m.body)
		m.body = append(m.body, make([]byte, n)...)
		if _, err := io.ReadFull(s.in, m.body[at:]); err != nil {
			return nil, err
		}
		if m.whole = len(m.body) == m.length; m.whole {
			return m, nil
		}
	}
}

// appendString appends an AMF0 string, appendNumber a number.
func appendString(b []byte, s string) []byte {
	return append(append(b, 2, byte(len(s)>>8), byte(len(s))), s...)
}

func appendNumber(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0), math.Float64bits(f))
}
