package rtmpclient

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// StatusError is the server's reason for refusing or ending the stream.
type StatusError struct {
	Code        string // "NetStream.Publish.BadName"
	Description string
}

func (e *StatusError) Error() string { return "server: " + e.Description + " (" + e.Code + ")" }

// Tag is one FLV tag.
type Tag struct {
	Type      uint8  // 8 audio, 9 video, 18 data
	Timestamp uint32 // milliseconds
	Data      []byte // the tag's body; it is only read
}

// Conn is a connection that publishes one stream. One goroutine calls Write, Flush and Close.
type Conn struct {
	net    net.Conn
	chunks *chunk.Reader
	name   string
	stream uint32
	out    []byte

	reader sync.WaitGroup
	mu     sync.Mutex
	status error // why the server ended the stream
}

// outChunk is our chunk size in bytes: a picture should fit into few chunks.
const outChunk = 64 << 10

// maxOut is how many bytes are gathered before they are sent.
const maxOut = 64 << 10

const chunkStream = 3

// Dial connects and begins to publish to rtmp://HOST[:PORT]/APP/STREAM[?key=…]; rtmps works too. If the server refuses, the error is a
// *StatusError. ctx bounds only the set-up.
func Dial(ctx context.Context, rawURL string) (*Conn, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	app, name, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !ok || app == "" || name == "" {
		return nil, fmt.Errorf("publish: %s is not of the form rtmp://HOST/APP/STREAM", u.Redacted())
	}
	if u.RawQuery != "" {
		name += "?" + u.RawQuery
	}
	n, err := dial(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	c := &Conn{net: n, chunks: chunk.NewReader(n, nil, chunk.Limits{MessageSize: 64 << 10}), name: name}
	stop := context.AfterFunc(ctx, func() { _ = n.SetDeadline(time.Unix(1, 0)) })
	err = c.setUp(u.Scheme+"://"+u.Host+"/"+app, app)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = n.Close()
		if cause := ctx.Err(); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("publish: %w", err)
	}
	c.reader.Go(c.read)
	return c, nil
}

func dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	host, port := u.Host, map[string]string{"rtmp": "1935", "rtmps": "1936"}[u.Scheme]
	if port == "" {
		return nil, fmt.Errorf("scheme %q is not rtmp or rtmps", u.Scheme)
	}
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), port)
	}
	if u.Scheme == "rtmps" {
		return (&tls.Dialer{}).DialContext(ctx, "tcp", host)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", host)
}

// setUp runs the handshake and the commands up to the server's permission to publish.
func (c *Conn) setUp(tcURL, app string) error {
	hello := make([]byte, 1+1536) // C0 and C1; zeros are as good as noise
	hello[0] = 3
	answer := make([]byte, 1+2*1536)
	if _, err := c.net.Write(hello); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.net, answer); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if answer[0] != 3 {
		return errors.New("handshake: the server does not speak RTMP version 3")
	}
	c.out = append(c.out, answer[1:1+1536]...) // C2 echoes S1
	c.message(2, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: binary.BigEndian.AppendUint32(nil, outChunk)}, chunk.DefaultSize)
	c.command(0, "connect", 1, amf.Obj(
		amf.Field{Name: "app", Value: amf.Text(app)},
		amf.Field{Name: "type", Value: amf.Text("nonprivate")},
		amf.Field{Name: "flashVer", Value: amf.Text("FMLE/3.0 (compatible; hlsorigin)")},
		amf.Field{Name: "tcUrl", Value: amf.Text(tcURL)}))
	if _, err := c.await("_result", 1); err != nil {
		return err
	}
	c.command(0, "releaseStream", 2, amf.Value{}, amf.Text(c.name))
	c.command(0, "FCPublish", 3, amf.Value{}, amf.Text(c.name))
	c.command(0, "createStream", 4, amf.Value{})
	result, err := c.await("_result", 4)
	if err != nil {
		return err
	}
	c.stream = uint32(result[3].Number)
	c.command(c.stream, "publish", 5, amf.Value{}, amf.Text(c.name), amf.Text("live"))
	_, err = c.await("onStatus", 0)
	return err
}

// await sends what is gathered and reads until the answer comes, with at least four values. An error status is an error.
func (c *Conn) await(name string, transaction float64) ([]amf.Value, error) {
	if err := c.Flush(); err != nil {
		return nil, err
	}
	for {
		m, err := c.chunks.Next()
		if err != nil {
			return nil, fmt.Errorf("the server closed the connection: %w", err)
		}
		v, err := readCommand(m)
		if err != nil {
			return nil, err
		}
		if v != nil && v[0].Text == name && (name == "onStatus" || v[1].Number == transaction) {
			return v, nil
		}
	}
}

// readCommand returns a command's values, or nil for another message. The error is a *StatusError if the message ends the stream.
func readCommand(m chunk.Message) ([]amf.Value, error) {
	if m.Type != chunk.TypeCommandAMF0 {
		return nil, nil
	}
	v, err := amf.DecodeAll(m.Payload, amf.Limits{})
	if err == nil && len(v) < 2 {
		err = amf.ErrMalformed
	}
	if err != nil {
		return nil, fmt.Errorf("the server sent a command that cannot be read: %w", err)
	}
	for len(v) < 4 {
		v = append(v, amf.Value{})
	}
	code := v[3].Get("code").Text
	if v[0].Text == "_error" || v[3].Get("level").Text == "error" || code == "NetConnection.Connect.Closed" {
		return nil, &StatusError{Code: code, Description: v[3].Get("description").Text}
	}
	return v, nil
}

// read reads what the server sends while we publish, and closes the connection when the server ends the stream.
func (c *Conn) read() {
	for {
		m, err := c.chunks.Next()
		if err == nil {
			_, err = readCommand(m)
		}
		if err != nil {
			c.mu.Lock()
			c.status = err
			c.mu.Unlock()
			_ = c.net.Close()
			return
		}
	}
}

// Write queues a tag, and sends the queue when it has grown.
func (c *Conn) Write(t Tag) error {
	c.message(chunkStream+1+int(t.Type&1), chunk.Message{Type: t.Type, StreamID: c.stream, Timestamp: t.Timestamp, Payload: t.Data}, outChunk)
	if len(c.out) < maxOut {
		return nil
	}
	return c.Flush()
}

// Flush sends the queue. If the server has ended the stream, the error is its reason. What a deadline cut off stays in the queue: whatever
// follows, such as the commands that end the stream, must not begin in the middle of a message.
func (c *Conn) Flush() error {
	n, err := c.net.Write(c.out)
	c.out = c.out[:copy(c.out, c.out[n:])]
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err // a deadline is our own: the connection is intact, and the reader must not close it
	}
	// The reader knows the reason better; if it does not know it yet, it soon will.
	_ = c.net.SetReadDeadline(time.Now().Add(time.Second))
	c.reader.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	var s *StatusError
	if errors.As(c.status, &s) {
		return s
	}
	return err
}

// Close ends the stream properly: the server sees an unpublish, not a drop.
func (c *Conn) Close() error {
	c.command(0, "FCUnpublish", 6, amf.Value{}, amf.Text(c.name))
	c.command(0, "deleteStream", 7, amf.Value{}, amf.Num(float64(c.stream)))
	_ = c.net.SetWriteDeadline(time.Now().Add(time.Second))
	err := c.Flush()
	c.Abort()
	return err
}

// Abort drops the connection without a word, like a broken uplink.
func (c *Conn) Abort() {
	_ = c.net.Close()
	c.reader.Wait()
}

func (c *Conn) command(stream uint32, name string, transaction float64, args ...amf.Value) {
	b := amf.Append(nil, amf.Text(name), amf.Num(transaction))
	c.message(chunkStream, chunk.Message{Type: chunk.TypeCommandAMF0, StreamID: stream, Payload: amf.Append(b, args...)}, outChunk)
}

func (c *Conn) message(id int, m chunk.Message, size int) {
	c.out = chunk.Append(c.out, id, size, m)
}
