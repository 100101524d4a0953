package rtmp

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// bomb is a message of n times b, behind a command's name and transaction.
func bomb(n int, b ...byte) []byte {
	return append(amf.Append(nil, amf.Text("connect"), amf.Num(1)), bytes.Repeat(b, n)...)
}

// TestHostileCommands sends what would end the process if go-rtmp saw it. Each ends its own connection, and the server goes on.
func TestHostileCommands(t *testing.T) {
	ts := serve(t, Options{})
	object := []byte{3, 0, 1, 'a'}
	for _, tc := range []struct {
		name    string
		payload []byte
		publish bool // before, which raises the limits
	}{
		{"nested objects", bomb(15_000, object...), false},
		{"nested objects of a publisher", bomb(1_000_000, object...), true},
		{"nested arrays of a publisher", bomb(1_000_000, 10, 0, 0, 0, 1), true},
		{"array bomb", bomb(1, 10, 0x7f, 0xff, 0xff, 0xff), false},
		{"array bomb of a publisher", bomb(1, 10, 0x7f, 0xff, 0xff, 0xff), true},
		{"long string bomb", bomb(1, 12, 0xff, 0xff, 0xff, 0xff), false},
		{"unknown marker", bomb(1, 7, 0, 0), false},
		{"no name", amf.Append(nil, amf.Num(1), amf.Num(1)), false},
		{"empty", nil, false},
		{"message too large for a stranger", make([]byte, strangerMessage+1), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := ts.Stats.Malformed.Load()
			p := dialPeer(t, ts)
			if tc.publish {
				p.publish("cam")
			}
			_, _ = p.Write(chunk.Append(nil, 3, chunk.DefaultSize, chunk.Message{Type: chunk.TypeCommandAMF0, Payload: tc.payload}))
			p.gone()
			if n := ts.Stats.Malformed.Load() - before; n != 1 {
				t.Errorf("%d connections were counted", n)
			}
		})
	}
	p := dialPeer(t, ts)
	p.publish("still_here")
	if n := ts.Stats.Panics.Load(); n != 0 {
		t.Errorf("%d panics", n)
	}
}

// TestHostileData checks that metadata, which nobody needs, does not even harm its own stream.
func TestHostileData(t *testing.T) {
	ts := serve(t, Options{})
	p := dialPeer(t, ts)
	p.publish("cam")
	p.audio(0, aacHeader)
	for _, payload := range [][]byte{
		bytes.Repeat([]byte{3, 0, 1, 'a'}, 100_000), {10, 0x7f, 0xff, 0xff, 0xff}, {2, 0xff}, nil,
	} {
		p.message(5, chunk.Message{Type: chunk.TypeDataAMF0, StreamID: 1, Payload: payload})
	}
	p.audio(23, aacFrame)
	<-ts.session(t).first
	if n := ts.Stats.Frames.Dropped[ingest.Malformed].Load(); n != 3 {
		t.Errorf("%d malformed tags", n)
	}
}

// TestManyChunkStreams opens messages on many chunk streams and finishes none.
func TestManyChunkStreams(t *testing.T) {
	open := func(id, promised, sent int) []byte {
		m := chunk.Append(nil, id, promised, chunk.Message{Type: chunk.TypeVideo, StreamID: 1, Payload: make([]byte, promised)})
		return m[:len(m)-promised+sent]
	}
	for name, publish := range map[string]bool{"stranger": false, "publisher": true} {
		t.Run(name, func(t *testing.T) {
			ts := serve(t, Options{})
			p := dialPeer(t, ts)
			promised := strangerMessage
			if publish {
				p.publish("cam")
				promised = 8 << 20
			}
			p.message(2, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: be32(uint32(promised / 2))})
			for id := 3; id < 23; id++ {
				if _, err := p.Write(open(id, promised, promised/2)); err != nil {
					break
				}
			}
			p.gone()
			if ts.Stats.Malformed.Load() != 1 {
				t.Error("the limit was not noticed")
			}
			if n, most := ts.Stats.BytesIn.Load(), uint64(strangerHeld+64<<10); !publish && n > most {
				t.Errorf("%d bytes were read of a stranger", n)
			} else if most := uint64(ts.opts.MaxHeld + ts.opts.ReadBuffer + handshakeSize + 1<<10); publish && n > most {
				t.Errorf("%d bytes were read of a publisher", n)
			}
		})
	}
}

// TestChunkQuirks sends what go-rtmp's own reader fails on, and expects each frame with its time.
func TestChunkQuirks(t *testing.T) {
	const late = 0x1000000 + 77 // past 4 h 39 m
	ts := serve(t, Options{})
	p := dialPeer(t, ts)
	p.publish("cam")
	p.audio(0, aacHeader)
	long := append([]byte{0xaf, 1}, make([]byte, 298)...)
	want := []int64{}
	add := func(ms int64, b ...[]byte) {
		t.Helper()
		p.send(bytes.Join(b, nil))
		want = append(want, ms*90)
	}
	head := []byte{4, 0xff, 0xff, 0xff, 0, 1, 44, chunk.TypeAudio, 1, 0, 0, 0}
	add(late, head, be32(late), long[:128], []byte{0xc4}, be32(late), long[128:256], []byte{0xc4}, be32(late), long[256:])
	add(late+20, head, be32(late+20), long[:128], []byte{0xc4}, long[128:256], []byte{0xc4}, long[256:])
	p.message(4, chunk.Message{Type: chunk.TypeAudio, StreamID: 1, Timestamp: late}) // empty
	p.send(bytes.Join([][]byte{head, be32(late + 1), long[:128]}, nil))              // given up …
	p.message(2, chunk.Message{Type: chunk.TypeAbort, Payload: be32(4)})             // … here
	for _, id := range []int{64, 319, 320, 65_599} {
		add(late+int64(id), chunk.Append(nil, id, 128, chunk.Message{Type: chunk.TypeAudio, StreamID: 1, Timestamp: uint32(late + id), Payload: long}))
	}
	p.command(0, amf.Text("FCUnpublish"), amf.Num(6), amf.Value{}, amf.Text("cam"))
	frames, cause := ts.session(t).wait(t)
	if !errors.Is(cause, ingest.ErrUnpublished) || len(frames) != len(want) {
		t.Fatalf("%d frames, want %d, cause %v", len(frames), len(want), cause)
	}
	for i, f := range frames {
		if f.DTS != want[i] || !bytes.Equal(f.Units[0], long[2:]) {
			t.Errorf("frame %d at %d, want %d", i, f.DTS, want[i])
		}
	}
}

// TestCommandFlood checks that a stranger cannot keep the server busy with cheap commands.
func TestCommandFlood(t *testing.T) {
	ts := serve(t, Options{})
	p := dialPeer(t, ts)
	p.connect("live")
	var b []byte
	for range 3000 {
		b = chunk.Append(b, 3, chunk.DefaultSize, chunk.Message{Type: chunk.TypeCommandAMF0,
			Payload: amf.Append(nil, amf.Text("createStream"), amf.Num(9), amf.Value{})})
	}
	_, _ = p.Write(b)
	p.gone()
	if ts.Stats.Malformed.Load() != 1 {
		t.Error("the flood was not noticed")
	}
}

// TestMaxStreams checks that a connection can create only a few message streams, and that a request for more is answered.
func TestMaxStreams(t *testing.T) {
	ts := serve(t, Options{})
	p := dialPeer(t, ts)
	p.connect("live")
	for range ts.opts.MaxStreams - 1 { // one is the connection's own
		p.createStream()
	}
	p.command(0, amf.Text("createStream"), amf.Num(4), amf.Value{})
	p.expect("_error")
}

// TestNotRTMP checks that other protocols are ended at the first byte.
func TestNotRTMP(t *testing.T) {
	ts := serve(t, Options{})
	for _, hello := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "\x06" + string(make([]byte, 1536))} {
		n := &peer{Conn: dialTCP(t, ts), t: t}
		n.send([]byte(hello))
		n.gone()
	}
	if n := ts.Stats.Malformed.Load(); n != 3 {
		t.Errorf("%d connections were counted", n)
	}
}

// TestPanic checks that a bug triggered by one stream's bytes ends only that stream.
func TestPanic(t *testing.T) {
	pub := &panicker{newFakePublisher()}
	ts := serve(t, Options{Publisher: pub})
	p, other := dialPeer(t, ts), dialPeer(t, ts)
	p.publish("cam")
	p.audio(0, aacHeader)
	p.audio(0, aacFrame)
	p.gone()
	if n := ts.Stats.Panics.Load(); n != 2 { // in WriteFrame, and in Close
		t.Errorf("%d panics", n)
	}
	other.publish("cam2")
}

type panicker struct{ *fakePublisher }

func (p *panicker) Publish(_ context.Context, _ ingest.Announce) (ingest.Session, error) {
	return panicSession{}, nil
}

type panicSession struct{}

func (panicSession) WriteFrame(*ingest.Frame) error { panic("a bug") }
func (panicSession) Close(error)                    { panic("another") }
