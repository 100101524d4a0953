package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// most is how many bytes one connection sends at most: a mob must cost the server more than itself.
const most = 16 << 20

// wait reads until the connection ends.
func wait(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// flood sends b repeatedly, up to most bytes, while reading the answers.
func flood(c net.Conn, b []byte) {
	go wait(c)
	for sent := 0; sent < most; sent += len(b) {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// halfOpen sends nothing.
var halfOpen = kind{name: "half-open", act: func(_ context.Context, c net.Conn) { wait(c) }}

// drip sends its text one byte at a time.
func drip(what []byte) kind {
	return kind{name: "drip", act: func(gone context.Context, c net.Conn) {
		go wait(c)
		for _, b := range what {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			select {
			case <-gone.Done():
				return
			case <-time.After(400 * time.Millisecond):
			}
		}
	}}
}

var garbage = kind{name: "garbage", act: func(_ context.Context, c net.Conn) {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	_, _ = c.Write(b)
	wait(c)
}}

// resets connects, sends half of something and resets, a few times for each connection of a mob.
func resets(half []byte) kind {
	return kind{name: "RST storm", bare: true, act: func(_ context.Context, c net.Conn) {
		_, _ = c.Write(half)
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
	}}
}

// once sends something and waits for the end.
func once(name string, what []byte) kind {
	return kind{name: name, act: func(_ context.Context, c net.Conn) {
		_, _ = c.Write(what)
		wait(c)
	}}
}

// again sends something repeatedly.
func again(name string, what []byte) kind {
	return kind{name: name, act: func(_ context.Context, c net.Conn) { flood(c, what) }}
}

// deaf requests and does not read.
func deaf(name string, what []byte) kind {
	return kind{name: name, act: func(gone context.Context, c net.Conn) {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(4 << 10)
		}
		_, _ = c.Write(what)
		for i := 0; ; i++ { // a byte now and then
			select {
			case <-gone.Done():
				return
			case <-time.After(time.Second):
			}
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				return
			}
		}
	}}
}

// helloStall begins a TLS handshake and stops in its middle.
var helloStall = kind{name: "TLS hello stall", bare: true, act: func(_ context.Context, c net.Conn) {
	hello := clientHello()
	_, _ = c.Write(hello[:len(hello)*2/3])
	wait(c)
}}

// clientHello returns the first message of a TLS client.
func clientHello() []byte {
	var b bytes.Buffer
	_ = tls.Client(recorder{to: &b}, &tls.Config{InsecureSkipVerify: true}).Handshake()
	return b.Bytes()
}

type recorder struct {
	net.Conn
	to *bytes.Buffer
}

func (r recorder) Write(b []byte) (int, error)      { return r.to.Write(b) }
func (r recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r recorder) Close() error                     { return nil }
func (r recorder) SetDeadline(time.Time) error      { return nil }
func (r recorder) SetWriteDeadline(time.Time) error { return nil }

// rtmpKinds returns twelve ways to be a nuisance to RTMP.
func rtmpKinds() []kind {
	hello := append([]byte{3}, make([]byte, 1536+1536)...) // C0, C1 and a C2 that nobody looks at
	command := func(v ...amf.Value) []byte {
		return chunk.Append(nil, 3, chunk.DefaultSize, chunk.Message{Type: chunk.TypeCommandAMF0, Payload: amf.Append(nil, v...)})
	}
	then := func(b ...[]byte) []byte { return bytes.Join(append([][]byte{hello}, b...), nil) }
	connect := command(amf.Text("connect"), amf.Num(1), amf.Obj(amf.Field{Name: "app", Value: amf.Text("live")}, amf.Field{Name: "tcUrl", Value: amf.Text("rtmp://x/live")}))
	deep := chunk.Append(nil, 3, chunk.DefaultSize, chunk.Message{Type: chunk.TypeCommandAMF0,
		Payload: append(amf.Append(nil, amf.Text("connect"), amf.Num(1)), bytes.Repeat([]byte{3, 0, 1, 'a'}, 10_000)...)})
	array := chunk.Append(nil, 3, chunk.DefaultSize, chunk.Message{Type: chunk.TypeCommandAMF0,
		Payload: append(amf.Append(nil, amf.Text("connect"), amf.Num(1)), 10, 0x7f, 0xff, 0xff, 0xff)})
	huge := []byte{3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0} // a message of 16 MiB
	var streams []byte                                           // the beginning of a message on each of 60 chunk streams
	for id := byte(4); id < 64; id++ {
		streams = append(streams, id, 0, 0, 0, 0, 0xff, 0xff, 9, 1, 0, 0, 0)
		streams = append(streams, make([]byte, chunk.DefaultSize)...)
	}
	video := chunk.Append(nil, 6, chunk.DefaultSize, chunk.Message{Type: chunk.TypeVideo, StreamID: 1, Payload: make([]byte, 8<<10)})
	size := chunk.Append(nil, 2, chunk.DefaultSize, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: []byte{0, 0, 0, 1}})
	return []kind{
		halfOpen, drip(hello), garbage, resets(hello[:700]),
		once("AMF bomb, deep", then(deep)), once("AMF bomb, long", then(array)),
		{name: "endless chunk", act: func(_ context.Context, c net.Conn) {
			_, _ = c.Write(then(huge))
			flood(c, append(make([]byte, chunk.DefaultSize), 0xc3))
		}},
		once("many chunk streams", then(streams)),
		{name: "command flood", act: func(_ context.Context, c net.Conn) {
			_, _ = c.Write(then(connect))
			flood(c, command(amf.Text("createStream"), amf.Num(2), amf.Value{}))
		}},
		{name: "media before publish", act: func(_ context.Context, c net.Conn) {
			_, _ = c.Write(then(connect))
			flood(c, video)
		}},
		{name: "chunk size flood", act: func(_ context.Context, c net.Conn) {
			_, _ = c.Write(hello)
			flood(c, bytes.Repeat(size, 100))
		}},
		deaf("play, and silence", then(connect, command(amf.Text("createStream"), amf.Num(2), amf.Value{}))),
	}
}

// rtspKinds returns twelve ways to be a nuisance to RTSP.
func rtspKinds() []kind {
	request := func(method, headers, body string) []byte {
		return fmt.Appendf(nil, "%s rtsp://127.0.0.1/live/x RTSP/1.0\r\nCSeq: 1\r\n%s\r\n%s", method, headers, body)
	}
	const announce = "Content-Type: application/sdp\r\nContent-Length: "
	return []kind{
		halfOpen, drip(request("ANNOUNCE", announce+"100\r\n", strings.Repeat("v", 100))), garbage, resets([]byte("ANNOUNCE rtsp://")),
		again("OPTIONS flood", request("OPTIONS", "", "")), again("PLAY flood", request("PLAY", "", "")),
		once("huge length", request("ANNOUNCE", announce+"9999999999\r\n", "v=0\r\n")),
		once("long SDP", request("ANNOUNCE", announce+"120000\r\n", strings.Repeat("m=video 0 RTP/AVP 96\r\n", 120000/22+1)[:120000])),
		again("endless header", bytes.Repeat([]byte("X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), 100)),
		again("packets first", append([]byte{'$', 0, 4, 0}, make([]byte, 1024)...)),
		once("SETUP first", request("SETUP", "Transport: RTP/AVP/TCP;interleaved=0-1;mode=record\r\n", "")),
		deaf("DESCRIBE, and silence", bytes.Repeat(request("DESCRIBE", "", ""), 20)),
	}
}

// httpKinds returns twelve ways to be a nuisance to HTTP.
func httpKinds(path string) []kind {
	get := func(path, headers string) []byte {
		return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, headers)
	}
	return []kind{
		halfOpen, drip(get(path, "X-Slow: "+strings.Repeat("s", 100)+"\r\n")), garbage, resets([]byte("GET / HTTP/1.1\r\nHost:")),
		again("pipelined flood", bytes.Repeat(get("/nothing", ""), 50)),
		again("endless header", bytes.Repeat([]byte("X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), 100)),
		once("huge path", get("/"+strings.Repeat("a", 60<<10), "")),
		once("body that never comes", []byte("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")),
		once("two lengths", []byte("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n")),
		again("ranges", bytes.Repeat(get(path, "Range: bytes="+strings.Repeat("0-0,", 500)+"0-0\r\n"), 5)),
		again("idle between", get(path, "")),
		deaf("slow reader", bytes.Repeat(get(path, ""), 40)),
	}
}
