package rtmp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

func dialTCP(t testing.TB, ts *testServer) net.Conn {
	t.Helper()
	n, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	_ = n.SetDeadline(time.Now().Add(30 * time.Second))
	return n
}

// TestRefusals checks the codes, with the reason as description, and that the peer can read both.
func TestRefusals(t *testing.T) {
	for code, refusal := range map[string]error{
		"NetStream.Publish.BadName":  ingest.Refuse(ingest.NameTaken, "somebody else is there"),
		"NetStream.Publish.Denied":   ingest.Refuse(ingest.Unauthorized, "wrong key"),
		"NetStream.Publish.Rejected": ingest.Refuse(ingest.Overloaded, "too many streams"),
	} {
		pub := newFakePublisher()
		pub.refuse = refusal
		ts := serve(t, Options{Publisher: pub})
		p := dialPeer(t, ts)
		p.connect("live/")
		id := p.createStream()
		// What a hasty encoder sends right after its publish must not cost it the answer.
		b := chunk.Append(nil, 3, 128, chunk.Message{Type: chunk.TypeCommandAMF0, StreamID: id,
			Payload: amf.Append(nil, amf.Text("publish"), amf.Num(5), amf.Value{}, amf.Text("cam"))})
		p.send(chunk.Append(b, 4, 128, chunk.Message{Type: chunk.TypeVideo, StreamID: id, Payload: make([]byte, 100_000)}))
		p.refused(code, refusal.Error())
		ts.stop()
		if ts.Stats.Refused.Load() != 1 || ts.Stats.Published.Load() != 0 {
			t.Errorf("%d refused", ts.Stats.Refused.Load())
		}
	}
}

func TestPlayIsRefused(t *testing.T) {
	ts := serve(t, Options{})
	p := dialPeer(t, ts)
	p.connect("live")
	id := p.createStream()
	p.command(id, amf.Text("play"), amf.Num(0), amf.Value{}, amf.Text("cam"))
	p.refused("NetStream.Play.Failed", "over HLS")
}

// TestTwoPublishes checks that a second publish on a connection is refused, and accepted after an unpublish.
func TestTwoPublishes(t *testing.T) {
	ts := serve(t, Options{})
	p := dialPeer(t, ts)
	id := p.publish("cam")
	p.command(0, amf.Text("FCUnpublish"), amf.Num(6), amf.Value{}, amf.Text("cam"))
	p.command(0, amf.Text("deleteStream"), amf.Num(7), amf.Value{}, amf.Num(float64(id)))
	ts.session(t).wait(t)
	p.audio(0, aacHeader) // stray, and harmless
	second := p.createStream()
	p.command(second, amf.Text("publish"), amf.Num(5), amf.Value{}, amf.Text("cam"))
	p.expect("onStatus")
	s := ts.session(t)
	third := p.createStream()
	p.command(third, amf.Text("publish"), amf.Num(5), amf.Value{}, amf.Text("cam2"))
	p.refused("NetStream.Publish.Denied", "already publishes")
	s.wait(t)
	if ts.Stats.Stray.Load() != 1 {
		t.Error("the stray message was not counted")
	}
}

// TestAnswers checks that releaseStream and FCPublish are answered, and that unknown commands and odd values are tolerated.
func TestAnswers(t *testing.T) {
	ts := serve(t, Options{})
	p := dialPeer(t, ts)
	// AMF3 in name only, with undefined, a long string and a strict array, none of which go-rtmp can read.
	connect := append([]byte{0}, amf.Append(nil, amf.Text("connect"), amf.Num(1), amf.Obj(
		amf.Field{Name: "app", Value: amf.Text("live")},
		amf.Field{Name: "fourCcList", Value: amf.Value{Kind: amf.Array, Items: []amf.Value{amf.Text("hvc1")}}},
		amf.Field{Name: "capabilities", Value: amf.Text("many")}))...)
	connect = append(connect, 6, 12, 0, 0, 0, 1, 'x')
	p.message(3, chunk.Message{Type: chunk.TypeCommandAMF3, Payload: connect})
	p.expect("_result")
	for _, name := range []string{"releaseStream", "FCPublish"} {
		p.command(0, amf.Text(name), amf.Num(2), amf.Value{}, amf.Text("cam"))
		if v := p.expect("_result"); v[1].Number != 2 {
			t.Errorf("%s: %+v", name, v)
		}
	}
	p.expect("onFCPublish")
	for _, name := range []string{"_checkbw", "getStreamLength", "_result", "_error", "onStatus", "nonsense", ""} {
		p.command(0, amf.Text(name), amf.Num(9), amf.Value{}, amf.Num(1))
	}
	p.message(2, chunk.Message{Type: chunk.TypeUserControl, Payload: []byte{0, 99}})
	p.message(2, chunk.Message{Type: 99, Payload: []byte{1}})
	id := p.createStream()
	p.command(id, amf.Text("publish"), amf.Num(5), amf.Value{}, amf.Text("cam")) // no type
	p.expect("onStatus")
}

// TestAggregate reads several tags from one message; their times are relative to the message's.
func TestAggregate(t *testing.T) {
	ts := serve(t, Options{})
	p := dialPeer(t, ts)
	p.publish("cam")
	var b []byte
	for i, body := range [][]byte{aacHeader, aacFrame, aacFrame} {
		b = append(b, chunk.TypeAudio, 0, 0, byte(len(body)), 0, 1, byte(20*i), 0, 0, 0, 0)
		b = append(b, body...)
		b = append(b, be32(uint32(11+len(body)))...)
	}
	p.message(4, chunk.Message{Type: chunk.TypeAggregate, StreamID: 1, Timestamp: 1000, Payload: b})
	p.message(4, chunk.Message{Type: chunk.TypeAggregate, StreamID: 1, Timestamp: 1000, Payload: b[:20]})
	p.gone()
	frames, _ := ts.session(t).wait(t)
	if len(frames) != 2 || frames[0].DTS != 1020*90 || frames[1].DTS != 1040*90 {
		t.Errorf("frames %+v", frames)
	}
}

// TestAcknowledgements checks that bytes are acknowledged though go-rtmp never sees them, and that a peer asking for an absurd window costs
// nothing.
func TestAcknowledgements(t *testing.T) {
	ts := serve(t, Options{AckWindow: 200_000})
	p := dialPeer(t, ts)
	p.publish("cam")
	p.message(2, chunk.Message{Type: chunk.TypeWindowAck, Payload: be32(1)})
	p.audio(0, aacHeader)
	body := append([]byte{0xaf, 1}, make([]byte, 5000)...)
	go func() {
		for i := range 60 {
			_, _ = p.Write(chunk.Append(nil, 4, 128, chunk.Message{Type: chunk.TypeAudio, StreamID: 1, Timestamp: uint32(i), Payload: body}))
		}
	}()
	var last uint32
	for range 3 { // of some 300 kB, at minAck
		for {
			m, err := p.chunks.Next()
			if err != nil {
				t.Fatal(err)
			}
			if m.Type == chunk.TypeAck {
				n := binary.BigEndian.Uint32(m.Payload)
				if n-last < minAck {
					t.Errorf("acknowledged %d after %d", n, last)
				}
				last = n
				break
			}
		}
	}
}

// TestClient checks that our own client is understood, and reads the server's messages.
func TestClient(t *testing.T) {
	ts := serve(t, Options{})
	c, err := rtmpclient.Dial(t.Context(), ts.url("live/cam?key=x"))
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range [][]byte{aacHeader, aacFrame, aacFrame} {
		if err := c.Write(rtmpclient.Tag{Type: 8, Timestamp: uint32(23 * i), Data: body}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if frames, cause := ts.session(t).wait(t); len(frames) != 2 || !errors.Is(cause, ingest.ErrUnpublished) {
		t.Errorf("%d frames, cause %v", len(frames), cause)
	}

	var s *rtmpclient.StatusError
	if _, err := rtmpclient.Dial(t.Context(), ts.url("nope/cam")); !errors.As(err, &s) || s.Code != "NetStream.Publish.Denied" || s.Description != "this app does not exist: use live" {
		t.Errorf("refused with %v", err)
	}

	c, err = rtmpclient.Dial(t.Context(), ts.url("live/cam"))
	if err != nil {
		t.Fatal(err)
	}
	ts.session(t).Cancel(ingest.ErrReplaced)
	for err == nil {
		_ = c.Write(rtmpclient.Tag{Type: 8, Data: aacFrame})
		err = c.Flush()
	}
	c.Abort()
	if !errors.As(err, &s) || s.Description != ingest.ErrReplaced.Error() {
		t.Errorf("ended with %v", err)
	}
}

// TestPublishPaced checks that Publish keeps to the clip's times and ends with its context.
func TestPublishPaced(t *testing.T) {
	ts := serve(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- rtmpclient.Publish(ctx, ts.url("live/cam"), &tone{}) }()
	s := ts.session(t)
	<-s.tenth
	if age := time.Since(start); age < 90*time.Millisecond {
		t.Errorf("ten frames of 10 ms after %v", age)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if _, cause := s.wait(t); !errors.Is(cause, ingest.ErrUnpublished) {
		t.Errorf("cause %v", cause)
	}
}

// tone is an endless source.
type tone struct{ n uint32 }

func (s *tone) Next() (rtmpclient.Tag, error) {
	s.n++
	if s.n == 1 {
		return rtmpclient.Tag{Type: 8, Data: aacHeader}, nil
	}
	return rtmpclient.Tag{Type: 8, Timestamp: (s.n - 2) * 10, Data: aacFrame}, nil
}

// TestListenerFails checks that Serve returns an error when its listener is closed under it.
func TestListenerFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- New(Options{Publisher: newFakePublisher(), Authorizer: allow{}}).Serve(context.Background(), l)
	}()
	_ = l.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// TestServeCancelled tests a context that is done before Serve begins.
func TestServeCancelled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := New(Options{}).Serve(ctx, l); err != nil {
		t.Errorf("got %v", err)
	}
}

// refusing refuses with the kind that the app is called by.
type refusing map[string]ingest.RefusalKind

func (r refusing) Authorize(_ context.Context, q ingest.Request) (ingest.Grant, error) {
	return ingest.Grant{}, ingest.Refuse(r[q.App], "no %s", q.App)
}

// RTMP has one code for several kinds of refusal. The log has each of them once for an address.
func TestRefusalsAreLoggedByKind(t *testing.T) {
	var said bytes.Buffer
	ts := serve(t, Options{Authorizer: refusing{"key": ingest.Unauthorized, "app": ingest.UnknownApp}, Log: slog.New(slog.NewTextHandler(&said, nil))})
	for _, app := range []string{"key", "key", "app", "app"} {
		if _, err := rtmpclient.Dial(t.Context(), ts.url(app+"/cam")); err == nil {
			t.Fatalf("%s: admitted", app)
		}
	}
	ts.stop()
	for _, reason := range []string{"no key", "no app"} {
		if n := strings.Count(said.String(), reason); n != 1 {
			t.Errorf("%q is %d times in the log: %s", reason, n, said.String())
		}
	}
}
