package rtmp

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// peer is the other end, which may send anything.
type peer struct {
	net.Conn
	t      testing.TB
	chunks *chunk.Reader
}

// dialPeer connects and does the handshake.
func dialPeer(t testing.TB, ts *testServer) *peer {
	t.Helper()
	n, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	_ = n.SetDeadline(time.Now().Add(30 * time.Second))
	p := &peer{Conn: n, t: t, chunks: chunk.NewReader(n, nil, chunk.Limits{})}
	p.shake()
	return p
}

func (p *peer) shake() {
	p.t.Helper()
	p.send(append([]byte{3}, make([]byte, 1536)...))
	answer := make([]byte, handshakeSize)
	if _, err := io.ReadFull(p, answer); err != nil {
		p.t.Fatal(err)
	}
	p.send(answer[1 : 1+1536])
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) message(id int, m chunk.Message) {
	p.t.Helper()
	p.send(chunk.Append(nil, id, chunk.DefaultSize, m))
}

func (p *peer) command(stream uint32, v ...amf.Value) {
	p.t.Helper()
	p.message(3, chunk.Message{Type: chunk.TypeCommandAMF0, StreamID: stream, Payload: amf.Append(nil, v...)})
}

// expect reads up to the next command with that name.
func (p *peer) expect(name string) []amf.Value {
	p.t.Helper()
	for {
		m, err := p.chunks.Next()
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", name, err)
		}
		if m.Type != chunk.TypeCommandAMF0 {
			continue
		}
		v, err := amf.DecodeAll(m.Payload, amf.Limits{})
		if err != nil {
			p.t.Fatal(err)
		}
		if v[0].Text == name {
			return v
		}
	}
}

// refused reads up to an error status and the end of the connection after it.
func (p *peer) refused(code, words string) {
	p.t.Helper()
	v := p.expect("onStatus")
	if v[3].Get("level").Text != "error" || v[3].Get("code").Text != code || !strings.Contains(v[3].Get("description").Text, words) {
		p.t.Errorf("status %+v, want %s … %s", v[3], code, words)
	}
	p.gone()
}

// gone reads up to the end of the connection.
func (p *peer) gone() {
	p.t.Helper()
	var n net.Error
	if _, err := io.Copy(io.Discard, p.Conn); errors.As(err, &n) && n.Timeout() {
		p.t.Fatal("the server did not close the connection")
	}
	_ = p.Close()
}

func (p *peer) connect(app string) {
	p.t.Helper()
	p.command(0, amf.Text("connect"), amf.Num(1), amf.Obj(amf.Field{Name: "app", Value: amf.Text(app)}))
	if v := p.expect("_result"); v[3].Get("code").Text != "NetConnection.Connect.Success" {
		p.t.Fatalf("connect: %+v", v)
	}
}

func (p *peer) createStream() uint32 {
	p.t.Helper()
	p.command(0, amf.Text("createStream"), amf.Num(4), amf.Value{})
	v := p.expect("_result")
	return uint32(v[3].Number)
}

// publish does all that is needed, and returns the message stream.
func (p *peer) publish(name string) uint32 {
	p.t.Helper()
	p.connect("live")
	id := p.createStream()
	p.command(id, amf.Text("publish"), amf.Num(5), amf.Value{}, amf.Text(name), amf.Text("live"))
	if v := p.expect("onStatus"); v[3].Get("code").Text != "NetStream.Publish.Start" {
		p.t.Fatalf("publish: %+v", v)
	}
	return id
}

// Audio tags: a header and a frame.
var (
	aacHeader = []byte{0xaf, 0, 0x12, 0x10}
	aacFrame  = []byte{0xaf, 1, 0x21, 0x00, 0x49, 0x90}
)

func (p *peer) audio(ts uint32, body []byte) {
	p.t.Helper()
	p.message(4, chunk.Message{Type: chunk.TypeAudio, StreamID: 1, Timestamp: ts, Payload: body})
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func newChunks(r io.Reader) *chunk.Reader { return chunk.NewReader(r, nil, chunk.Limits{}) }

func publishCommand(name string) []amf.Value {
	return []amf.Value{amf.Text("publish"), amf.Num(5), {}, amf.Text(name), amf.Text("live")}
}
