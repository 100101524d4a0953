package attack

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// Keys that the server knows.
const (
	showKey, newKey, newerKey = "show-0123456789", "new-0123456789", "newer-0123456789"
)

// fortress is a server with all its ports, and a show on it.
type fortress struct {
	*rig.Process
	ports map[string]port // by name
	trust *tls.Config

	clip    string
	encoder *rig.Tool
	length  time.Duration // of the show
}

// port is a listener as a stranger can reach it.
type port struct {
	address string
	tls     *tls.Config // nil for plain
}

// dial connects, with TLS if the port uses it.
func (p port) dial() (net.Conn, error) {
	c, err := net.DialTimeout("tcp", p.address, patience)
	if err != nil || p.tls == nil {
		return c, err
	}
	s := tls.Client(c, p.tls)
	_ = s.SetDeadline(time.Now().Add(patience))
	if err := s.Handshake(); err != nil {
		_ = c.Close()
		return nil, err
	}
	_ = s.SetDeadline(time.Time{})
	return s, nil
}

// build starts a server whose tables have that many places, fewer than there are hostile connections, and begins a show.
func build(t *testing.T, places int, length time.Duration) *fortress {
	t.Helper()
	rig.Need(t, "ffmpeg")
	dir := t.TempDir()
	f := &fortress{trust: rig.Certify(t, dir), clip: rig.SourceNamed("plain").Clip(t, length), length: length}
	https, rtmps, rtsps := rig.FreeAddress(t), rig.FreeAddress(t), rig.FreeAddress(t)
	f.Process = rig.Serve(t, dir, fmt.Sprintf(`
trusted_proxies: [%s]
hls: {segment_duration: 2s, window: 20s, end_grace: 2s}
log: {level: debug}
http: {tls: {listen: "%s", cert: cert.pem, key: key.pem}}
rtmp: {max_connections: %[5]d, tls: {listen: "%[3]s", cert: cert.pem, key: key.pem}}
rtsp: {max_connections: %[5]d, udp_rtp: "", udp_rtcp: "", tls: {listen: "%[4]s", cert: cert.pem, key: key.pem}}
apps: {live: {keys: {show: %[6]s, new: %[7]s, newer: %[8]s}}}
`, rig.Proxy, https, rtmps, rtsps, places, showKey, newKey, newerKey))
	f.ports = map[string]port{
		"http": {f.HTTP, nil}, "https": {https, f.trust}, "admin": {f.Admin, nil},
		"rtmp": {f.RTMP, nil}, "rtmps": {rtmps, f.trust}, "rtsp": {f.RTSP, nil}, "rtsps": {rtsps, f.trust},
	}
	f.encoder = rig.Push(t, f.clip, "rtmp://"+f.RTMP+"/live/"+showKey)
	rig.Eventually(t, 20*time.Second, "the show is on", func() bool { return rig.TryGet(f.URL("live/streams/show.m3u8")) != "" })
	return f
}

// whole checks that the show is in the bucket with every picture of the clip, as sent.
func (f *fortress) whole(t *testing.T) {
	t.Helper()
	if err := f.encoder.Wait(f.length + 30*time.Second); err != nil {
		t.Errorf("the show's encoder ended with %v:\n%s", err, f.encoder.Out)
	}
	recording := f.RecordingOf("show")
	if recording == "" {
		t.Fatal("the show has no entry")
	}
	streams := filepath.Join(f.Dir, "data", "bucket", "live", "streams")
	var list *m3u8.Media
	rig.Eventually(t, 20*time.Second, "the show is complete in the bucket", func() bool {
		raw, err := os.ReadFile(filepath.Join(streams, "show-"+recording+".m3u8"))
		if err != nil {
			return false
		}
		list, err = m3u8.ParseMedia(raw)
		return err == nil && list.EndList
	})
	var all []byte
	for _, s := range list.Segments {
		b, err := os.ReadFile(filepath.Join(streams, s.URI))
		if err != nil || s.Gap {
			t.Errorf("%s: %v, gap %v", s.URI, err, s.Gap)
		}
		all = append(all, b...)
	}
	out := filepath.Join(t.TempDir(), "all.ts")
	if err := os.WriteFile(out, all, 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Decodes(t, out)
	want, got := rig.Frames(t, f.clip), rig.Frames(t, out)
	if strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Errorf("%d pictures of %d are in the bucket, or others", len(got), len(want))
	}
}
