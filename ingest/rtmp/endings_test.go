package rtmp

import (
	"errors"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// TestEndings checks the cause with which a session is closed, whoever ends it.
func TestEndings(t *testing.T) {
	kicked := errors.New("ended by an operator")
	for _, tc := range []struct {
		name string
		end  func(p *peer, id uint32, s *fakeSession, ts *testServer)
		want func(error) bool
	}{
		{"FCUnpublish", func(p *peer, _ uint32, _ *fakeSession, _ *testServer) {
			p.command(0, amf.Text("FCUnpublish"), amf.Num(6), amf.Value{}, amf.Text("cam"))
		}, isCause(ingest.ErrUnpublished)},
		{"deleteStream", func(p *peer, id uint32, _ *fakeSession, _ *testServer) {
			p.command(0, amf.Text("deleteStream"), amf.Num(7), amf.Value{}, amf.Num(float64(id)))
		}, isCause(ingest.ErrUnpublished)},
		{"deleteStream of another", func(p *peer, _ uint32, _ *fakeSession, _ *testServer) {
			p.command(0, amf.Text("deleteStream"), amf.Num(7), amf.Value{}, amf.Num(0))
		}, isCause(ingest.ErrUnpublished)},
		{"closeStream", func(p *peer, id uint32, _ *fakeSession, _ *testServer) {
			p.command(id, amf.Text("closeStream"), amf.Num(0), amf.Value{})
		}, isCause(ingest.ErrUnpublished)},
		{"drop", func(p *peer, _ uint32, _ *fakeSession, _ *testServer) { _ = p.Close() },
			func(err error) bool { return err != nil && !errors.Is(err, ingest.ErrUnpublished) }},
		{"cancel", func(p *peer, _ uint32, s *fakeSession, _ *testServer) {
			s.Cancel(kicked)
			s.Cancel(errors.New("too late"))
			if v := p.expect("onStatus"); v[3].Get("code").Text != "NetConnection.Connect.Closed" || v[3].Get("description").Text != kicked.Error() {
				p.t.Errorf("status %+v", v[3])
			}
			p.gone()
		}, isCause(kicked)},
		{"shutdown", func(p *peer, _ uint32, _ *fakeSession, ts *testServer) {
			go ts.stop()
			p.expect("onStatus")
			p.gone()
		}, isCause(ingest.ErrShutdown)},
		{"refused codec", func(p *peer, _ uint32, _ *fakeSession, _ *testServer) {
			p.message(6, chunk.Message{Type: chunk.TypeVideo, StreamID: 1, Payload: []byte("\x90av01\x81")})
			p.refused("NetStream.Publish.Rejected", "AV1 video is not supported")
		}, func(err error) bool { var r *ingest.Refusal; return errors.As(err, &r) && r.Kind == ingest.Unsupported }},
		{"session over", func(p *peer, _ uint32, s *fakeSession, _ *testServer) {
			s.mu.Lock()
			s.fail = kicked
			s.mu.Unlock()
			p.audio(0, aacHeader)
			p.audio(0, aacFrame)
			p.refused("NetStream.Publish.Rejected", "the server ended the stream")
		}, isCause(kicked)},
	} {
		for _, coalesce := range []time.Duration{0, 5 * time.Millisecond} {
			t.Run(tc.name+"/"+coalesce.String(), func(t *testing.T) {
				ts := serve(t, Options{Coalesce: every(coalesce)})
				p := dialPeer(t, ts)
				id := p.publish("cam")
				s := ts.session(t)
				tc.end(p, id, s, ts)
				if _, cause := s.wait(t); !tc.want(cause) {
					t.Errorf("cause %v", cause)
				}
				_ = p.Close()
				ts.stop()
				if n, m := ts.Stats.Connections.Load(), ts.Stats.Publishers.Load(); n != 0 || m != 0 {
					t.Errorf("%d connections and %d publishers are left", n, m)
				}
			})
		}
	}
}

// TestCoalesce checks that gathering makes fewer reads, loses nothing, and lets a burst through at once.
func TestCoalesce(t *testing.T) {
	ts := serve(t, Options{Coalesce: every(20 * time.Millisecond), IdleTimeout: 300 * time.Millisecond})
	c, err := rtmpclient.Dial(t.Context(), ts.url("live/cam"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	s := ts.session(t)
	_ = c.Write(rtmpclient.Tag{Type: 8, Data: aacHeader})
	burst := append([]byte{0xaf, 1}, make([]byte, 8000)...)
	start := time.Now()
	for i := range 2000 { // 16 MB
		if err := c.Write(rtmpclient.Tag{Type: 8, Timestamp: uint32(i), Data: burst}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if frames, _ := s.wait(t); len(frames) != 2000 || ts.Stats.TimedOut.Load() != 1 { // it goes silent then
		t.Errorf("%d frames", len(frames))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("16 MB took %v", took)
	}
}

// A connection that publishes one stream after another gathers as each of them wants it.
func TestCoalesceOfTheNextPublish(t *testing.T) {
	grids := make(chan time.Duration, 4)
	ts := serve(t, Options{Coalesce: func() (usual, urgent time.Duration) { usual = <-grids; return usual, usual }})
	p := dialPeer(t, ts)
	for i, grid := range []time.Duration{5 * time.Millisecond, 0, time.Millisecond, 0} {
		grids <- grid
		if i == 0 {
			p.connect("live")
		}
		id := p.createStream()
		p.command(id, amf.Text("publish"), amf.Num(5), amf.Value{}, amf.Text("cam"), amf.Text("live"))
		p.expect("onStatus")
		s := ts.session(t)
		p.message(4, chunk.Message{Type: chunk.TypeAudio, StreamID: id, Payload: aacHeader})
		p.message(4, chunk.Message{Type: chunk.TypeAudio, StreamID: id, Payload: aacFrame})
		p.command(0, amf.Text("deleteStream"), amf.Num(7), amf.Value{}, amf.Num(float64(id)))
		if frames, cause := s.wait(t); len(frames) != 1 || !errors.Is(cause, ingest.ErrUnpublished) {
			t.Fatalf("with %v: %d frames, %v", grid, len(frames), cause)
		}
	}
}

// every is an Options.Coalesce that is always the same.
func every(d time.Duration) func() (usual, urgent time.Duration) {
	return func() (usual, urgent time.Duration) { return d, d }
}

func isCause(want error) func(error) bool {
	return func(err error) bool { return errors.Is(err, want) }
}
