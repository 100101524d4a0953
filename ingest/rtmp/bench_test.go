package rtmp

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	gortmp "github.com/yutopp/go-rtmp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// feed is a connection that sends prefix once, then body for a number of rounds, and accepts all answers.
type feed struct {
	prefix, body []byte
	rounds       int
	rest         []byte
	begun        bool
}

func (f *feed) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		switch {
		case !f.begun:
			f.begun, f.rest = true, f.prefix
		case f.rounds == 0:
			return 0, io.EOF
		default:
			f.rounds--
			f.rest = f.body
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *feed) Write(p []byte) (int, error)      { return len(p), nil }
func (f *feed) Close() error                     { return nil }
func (f *feed) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (f *feed) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (f *feed) SetDeadline(time.Time) error      { return nil }
func (f *feed) SetReadDeadline(time.Time) error  { return nil }
func (f *feed) SetWriteDeadline(time.Time) error { return nil }

// setUp returns what a publisher sends before its first frame, without waiting for answers.
func setUp(chunkSize uint32) []byte {
	b := append([]byte{3}, make([]byte, handshakeSize-1)...)
	b = chunk.Append(b, 2, 128, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: be32(chunkSize)})
	for _, c := range []struct {
		stream uint32
		v      []amf.Value
	}{
		{0, []amf.Value{amf.Text("connect"), amf.Num(1), amf.Obj(amf.Field{Name: "app", Value: amf.Text("live")})}},
		{0, []amf.Value{amf.Text("createStream"), amf.Num(4), {}}},
		{1, []amf.Value{amf.Text("publish"), amf.Num(5), {}, amf.Text("cam"), amf.Text("live")}},
	} {
		b = chunk.Append(b, 3, int(chunkSize), chunk.Message{Type: chunk.TypeCommandAMF0, StreamID: c.stream, Payload: amf.Append(nil, c.v...)})
	}
	b = chunk.Append(b, 4, int(chunkSize), chunk.Message{Type: chunk.TypeAudio, StreamID: 1, Payload: aacHeader})
	avc := append([]byte{0x17, 0, 0, 0, 0}, "\x01\x64\x00\x0c\xff\xe1\x00\x1agd\x00\x0c\xac\xd9AA\x9f\x9f\x01\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03 \xf1B\x99\x60\x01\x00\x04h\xef\x8f\xcb"...)
	return chunk.Append(b, 6, int(chunkSize), chunk.Message{Type: chunk.TypeVideo, StreamID: 1, Payload: avc})
}

// second is a second of 1080p30 at 6 Mb/s with audio: 30 pictures of 25 kB, 47 audio frames of 400 bytes. Its timestamps are deltas, so
// that they continue when it is sent again.
func second(chunkSize int) (b []byte, frames int) {
	const picture, sound = 25_000, 400
	video := append([]byte{0x27, 1, 0, 0, 80, 0, 0, (picture - 9) >> 8, (picture - 9) & 0xff, 0x41, 0x9a}, make([]byte, picture-11)...)
	audio := append([]byte{0xaf, 1}, make([]byte, sound-2)...)
	for i := range 47 {
		if i%3 < 2 && i*2/3 < 30 {
			b = appendLater(b, 6, chunkSize, 32, chunk.TypeVideo, video)
			frames++
		}
		b = appendLater(b, 4, chunkSize, 21, chunk.TypeAudio, audio)
		frames++
	}
	return b, frames
}

// appendLater appends a message that is not the first of its stream, some milliseconds after the one before.
func appendLater(b []byte, id byte, chunkSize int, ms byte, kind uint8, payload []byte) []byte {
	n := len(payload)
	b = append(b, 0x40|id, 0, 0, ms, byte(n>>16), byte(n>>8), byte(n), kind)
	for ; n > chunkSize; n = len(payload) {
		b = append(append(b, payload[:chunkSize]...), 0xc0|id)
		payload = payload[chunkSize:]
	}
	return append(b, payload...)
}

// counting is a publisher whose sessions count frames and drop them.
type counting struct{ frames int }

func (c *counting) Publish(context.Context, ingest.Announce) (ingest.Session, error) { return c, nil }
func (c *counting) WriteFrame(*ingest.Frame) error                                   { c.frames++; return nil }
func (c *counting) Close(error)                                                      {}

// pump runs one connection through a server to its end.
func pump(s *Server, n net.Conn) {
	l := &pipes{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- &closing{Conn: n, done: func() { _ = l.Close() }}
	_ = s.Serve(context.Background(), l)
}

// closing closes its listener with itself.
type closing struct {
	net.Conn
	done func()
}

func (c *closing) Close() error { c.done(); return c.Conn.Close() }

// BenchmarkIngest carries a second of media per operation, from bytes in memory to a session that drops them: what remains is the cost of
// the server itself. The same run measures go-rtmp alone, which gives its callbacks a reader for each message.
func BenchmarkIngest(b *testing.B) {
	for name, size := range map[string]int{"chunks of 4096": 4096, "chunks of 60000": 60_000, "chunks of 128": 128} {
		body, frames := second(size)
		b.Run(name+"/guarded", func(b *testing.B) {
			count := &counting{}
			s := New(Options{Publisher: count, Authorizer: allow{}})
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.ResetTimer()
			pump(s, &feed{prefix: setUp(uint32(size)), body: body, rounds: b.N})
			if count.frames != b.N*frames {
				b.Errorf("%d frames, want %d", count.frames, b.N*frames)
			}
		})
		b.Run(name+"/go-rtmp alone", func(b *testing.B) {
			h := &bare{done: make(chan struct{})}
			lib := gortmp.NewServer(&gortmp.ServerConfig{OnConnect: func(n net.Conn) (io.ReadWriteCloser, *gortmp.ConnConfig) {
				return n, &gortmp.ConnConfig{Handler: h, SkipHandshakeVerification: true}
			}})
			l := &pipes{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
			l.conns <- &feed{prefix: setUp(uint32(size)), body: body, rounds: b.N}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.ResetTimer()
			go func() { _ = lib.Serve(l) }()
			<-h.done
			_ = lib.Close()
			if h.frames != b.N*frames+2 {
				b.Errorf("%d frames, want %d", h.frames, b.N*frames)
			}
		})
	}
}

// bare is the least a handler of go-rtmp can do with media.
type bare struct {
	gortmp.DefaultHandler
	frames int
	buf    []byte
	done   chan struct{}
}

func (h *bare) take(r io.Reader) error {
	h.frames++
	if h.buf == nil {
		h.buf = make([]byte, 64<<10)
	}
	for {
		if _, err := r.Read(h.buf); err != nil {
			return nil
		}
	}
}

func (h *bare) OnAudio(_ uint32, r io.Reader) error { return h.take(r) }
func (h *bare) OnVideo(_ uint32, r io.Reader) error { return h.take(r) }
func (h *bare) OnClose()                            { close(h.done) }

// BenchmarkLoopback carries a second of media per operation over TCP, with the sender in the same process.
func BenchmarkLoopback(b *testing.B) {
	body, frames := second(4096)
	count := &counting{}
	ts := serve(b, Options{Publisher: count, Authorizer: allow{}})
	n, err := net.Dial("tcp", ts.addr)
	if err != nil {
		b.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(io.Discard, n) })
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	_, _ = n.Write(setUp(4096))
	b.ResetTimer()
	for range b.N {
		if _, err := n.Write(body); err != nil {
			b.Fatal(err)
		}
	}
	_ = n.(*net.TCPConn).CloseWrite()
	reader.Wait()
	b.StopTimer()
	_ = n.Close()
	ts.stop()
	if count.frames != b.N*frames {
		b.Errorf("%d frames, want %d", count.frames, b.N*frames)
	}
	b.ReportMetric(float64(ts.Stats.Reads.Load())/float64(b.N), "reads/op")
}

// TestNoAllocationsOnThePath checks that another second of media costs no allocation, through guard, go-rtmp and session.
func TestNoAllocationsOnThePath(t *testing.T) {
	if raceEnabled {
		t.Skip("a sync.Pool forgets at random under -race")
	}
	body, _ := second(4096)
	run := func(rounds int) float64 {
		return testing.AllocsPerRun(5, func() {
			pump(New(Options{Publisher: &counting{}, Authorizer: allow{}}), &feed{prefix: setUp(4096), body: body, rounds: rounds})
		})
	}
	short, long := run(10), run(200)
	if long > short+20 { // runtime noise; 190 seconds hold 14,630 frames
		t.Errorf("%v allocations for 200 seconds, %v for 10", long, short)
	}
}

// FuzzServer checks that no bytes after a handshake make a server panic, hang or leak.
func FuzzServer(f *testing.F) {
	full := setUp(4096)
	body, _ := second(4096)
	f.Add(full[handshakeSize:])
	f.Add(append(full[handshakeSize:], body[:30_000]...))
	f.Add(chunk.Append(full[handshakeSize:], 3, 4096, chunk.Message{Type: chunk.TypeCommandAMF0, Payload: bomb(40, 3, 0, 1, 'a')}))
	f.Add(chunk.Append(full[handshakeSize:], 3, 4096, chunk.Message{Type: chunk.TypeAggregate, StreamID: 1, Payload: []byte("\x08\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\xaf\x00\x12\x10\x00\x00\x00\x0f")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		pub := newFakePublisher()
		s := New(Options{Publisher: pub, Authorizer: allow{}})
		pump(s, &feed{prefix: append(make([]byte, 0, handshakeSize+len(b)), append(full[:handshakeSize:handshakeSize], b...)...)})
		if n := s.Stats.Panics.Load(); n != 0 {
			t.Errorf("%d panics", n)
		}
		if c, p := s.Stats.Connections.Load(), s.Stats.Publishers.Load(); c != 0 || p != 0 {
			t.Errorf("%d connections and %d publishers are left", c, p)
		}
		for len(pub.sessions) > 0 {
			(<-pub.sessions).wait(t)
		}
	})
}
