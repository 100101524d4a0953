package admission

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// studio sends what OBS 30 sends, in its order (librtmp, and obs-outputs/rtmp-stream.c).
type studio struct {
	t      *testing.T
	c      net.Conn
	chunks *chunk.Reader
}

func openStudio(t *testing.T, c net.Conn) *studio {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	s := &studio{t: t, c: c, chunks: chunk.NewReader(r, nil, chunk.Limits{MessageSize: 64 << 10})}
	_, _ = c.Write(append([]byte{3}, make([]byte, 1536)...)) // C0, C1
	if _, err := r.Discard(1); err != nil {                  // S0
		t.Fatal(err)
	}
	s1 := make([]byte, 1536)
	for n := 0; n < len(s1); {
		m, err := r.Read(s1[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	_, _ = c.Write(s1) // C2
	if _, err := r.Discard(1536); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *studio) say(stream uint32, v ...amf.Value) {
	s.t.Helper()
	if _, err := s.c.Write(chunk.Append(nil, 3, 4096, chunk.Message{Type: chunk.TypeCommandAMF0, StreamID: stream, Payload: amf.Append(nil, v...)})); err != nil {
		s.t.Fatal(err)
	}
}

// hear reads up to an answer with a name.
func (s *studio) hear(name string) []amf.Value {
	s.t.Helper()
	for {
		m, err := s.chunks.Next()
		if err != nil {
			s.t.Fatalf("waiting for %s: %v", name, err)
		}
		if m.Type != chunk.TypeCommandAMF0 {
			continue
		}
		if v, err := amf.DecodeAll(m.Payload, amf.Limits{}); err == nil && len(v) >= 4 && v[0].Text == name {
			return v
		}
	}
}

// start asks for leave to publish, and gives the status: code and description.
func (s *studio) start(server, app, key string) (code, description string) {
	s.t.Helper()
	_, _ = s.c.Write(chunk.Append(nil, 2, chunk.DefaultSize, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: []byte{0, 0, 16, 0}}))
	s.say(0, amf.Text("connect"), amf.Num(1), amf.Obj(
		amf.Field{Name: "app", Value: amf.Text(app)}, amf.Field{Name: "type", Value: amf.Text("nonprivate")},
		amf.Field{Name: "flashVer", Value: amf.Text("FMLE/3.0 (compatible; FMSc/1.0)")},
		amf.Field{Name: "swfUrl", Value: amf.Text(server)}, amf.Field{Name: "tcUrl", Value: amf.Text(server)}))
	if code := s.hear("_result")[3].Get("code").Text; code != "NetConnection.Connect.Success" {
		s.t.Fatalf("connect is answered %s", code)
	}
	s.say(0, amf.Text("releaseStream"), amf.Num(2), amf.Value{}, amf.Text(key))
	s.say(0, amf.Text("FCPublish"), amf.Num(3), amf.Value{}, amf.Text(key))
	s.say(0, amf.Text("createStream"), amf.Num(4), amf.Value{})
	stream := uint32(0)
	for {
		if v := s.hear("_result"); v[1].Number == 4 {
			stream = uint32(v[3].Number)
			break
		}
	}
	s.say(stream, amf.Text("publish"), amf.Num(5), amf.Value{}, amf.Text(key), amf.Text("live"))
	for {
		v := s.hear("onStatus")
		if v[3].Get("code").Text != "" {
			return v[3].Get("code").Text, v[3].Get("description").Text
		}
	}
}

// TestOBS starts as OBS does, over RTMP and RTMPS: with a key as its stream key, with a token, and with what is refused. OBS
// writes the description of a refusal to its log where it knows the code: Denied and Rejected among them.
func TestOBS(t *testing.T) {
	t.Parallel()
	g := newGatehouse(t)
	pem, err := os.ReadFile(filepath.Join(g.Dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	dial := map[string]func() (net.Conn, error){
		"rtmp": func() (net.Conn, error) { return net.Dial("tcp", g.RTMP) },
		"rtmps": func() (net.Conn, error) {
			return tls.Dial("tcp", g.rtmps, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
		},
	}
	for scheme, connect := range dial {
		for name, tc := range map[string]struct{ app, key, code, words string }{
			"key":         {"keyed", "plain-s3cret", "NetStream.Publish.Start", ""},
			"token":       {"signed", g.token("obs-"+scheme, time.Hour), "NetStream.Publish.Start", ""},
			"callback":    {"called", "back-end-s3cret", "NetStream.Publish.Start", ""},
			"wrong key":   {"keyed", "wrong-s3cret", "NetStream.Publish.Denied", "this key is not known here"},
			"old token":   {"signed", g.token("obs", -time.Hour), "NetStream.Publish.Denied", "the token has expired"},
			"denied":      {"called", "early", "NetStream.Publish.Denied", "the show begins at eight"},
			"no such app": {"nowhere", "plain-s3cret", "NetStream.Publish.Denied", "this app does not exist"},
			"back end":    {"called", "failing", "NetStream.Publish.Rejected", "cannot ask now"},
		} {
			t.Run(scheme+"/"+name, func(t *testing.T) {
				c, err := connect()
				if err != nil {
					t.Fatal(err)
				}
				s := openStudio(t, c)
				code, words := s.start(scheme+"://127.0.0.1/"+tc.app, tc.app, tc.key)
				if code != tc.code || !strings.Contains(words, tc.words) || strings.Contains(words, "s3cret") {
					t.Errorf("%s: %s", code, words)
				}
				if tc.words == "" { // and stop
					s.say(0, amf.Text("FCUnpublish"), amf.Num(6), amf.Value{}, amf.Text(tc.key))
					s.say(0, amf.Text("deleteStream"), amf.Num(7), amf.Value{}, amf.Num(1))
					rig.Eventually(t, 10*time.Second, "nobody publishes", func() bool {
						for _, s := range g.Streams() {
							if s.Protocol != "" {
								return false
							}
						}
						return true
					})
				}
			})
		}
	}
	g.keepsSecrets(t)
}
