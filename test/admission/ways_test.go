package admission

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// way is a protocol that an encoder speaks.
type way struct {
	scheme  string
	encoder string // program
	args    string // with what it publishes to %s
}

const (
	// filmed is a second of pictures.
	filmed = "-q videotestsrc num-buffers=10 ! video/x-raw,width=64,height=64,framerate=10/1 ! x264enc tune=zerolatency speed-preset=ultrafast ! h264parse ! "
	played = "-v verbose -i CLIP -c copy "
)

var ways = []way{
	{"rtmp", "ffmpeg", played + "-f flv %s"}, {"rtmps", "ffmpeg", played + "-f flv %s"},
	{"rtsp", "ffmpeg", played + "-f rtsp -rtsp_transport tcp %s"}, {"rtsps", "ffmpeg", played + "-f rtsp -rtsp_transport tcp %s"},
	{"rtmp", "gst-launch-1.0", filmed + "flvmux streamable=true ! rtmp2sink location=%s"},
	{"rtmps", "gst-launch-1.0", filmed + "flvmux streamable=true ! rtmp2sink tls-validation-flags=0 location=%s"},
	{"rtsp", "gst-launch-1.0", filmed + "rtspclientsink protocols=tcp location=%s"},
	{"rtsps", "gst-launch-1.0", filmed + "rtspclientsink protocols=tcp tls-validation-flags=0 location=%s"},
}

// run publishes to a path, to the end.
func (w way) run(t *testing.T, g *gatehouse, path string) (string, error) {
	t.Helper()
	host := map[string]string{"rtmp": g.RTMP, "rtmps": g.rtmps, "rtsp": g.RTSP, "rtsps": g.rtsps}[w.scheme]
	args := strings.Fields(fmt.Sprintf(strings.ReplaceAll(w.args, "CLIP", g.clip), w.scheme+"://"+host+"/"+path))
	out, err := encode(t, w.encoder, args...)
	if strings.Contains(out, "TLS support is not available") {
		t.Skip("GStreamer's TLS is not installed (Debian: glib-networking)")
	}
	return out, err
}

// waitsForItself is added to what gst-launch said when it did not end: its rtspclientsink sometimes waits for a message of its own for ever.
const waitsForItself = "gst-launch does not end"

// encode runs an encoder, which has half a minute for a second or two of media.
func encode(t *testing.T, encoder string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, encoder, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil && encoder != "ffmpeg" {
		return string(out) + waitsForItself, err
	}
	return string(out), err
}

// spokeTooLate reports whether gst-launch failed because of what it wanted to send after it had dropped its connection itself, or did not end: it had been
// admitted, and had sent everything. The server's own count, too, shows that it was admitted.
func spokeTooLate(out string) bool {
	return strings.Contains(out, "Received end-of-file") || strings.HasSuffix(out, waitsForItself)
}

// TestEveryWay admits both encoders over each protocol with each kind of credential, and refuses them in words that FFmpeg shows.
func TestEveryWay(t *testing.T) {
	t.Parallel()
	var g *gatehouse // one for each encoder: an address has ten wrong credentials, and no more
	for i, w := range ways {
		rig.Need(t, w.encoder)
		if i == 0 || ways[i-1].encoder != w.encoder {
			g = newGatehouse(t)
			defer g.keepsSecrets(t)
		}
		for name, c := range map[string]struct{ path, outcome, words string }{
			"key":       {"keyed/hashed?key=" + g.secrets[1], "key", ""},
			"token":     {fmt.Sprintf("signed/cam%d?token=%s", i, g.token("cam*", time.Hour)), "token", ""},
			"callback":  {fmt.Sprintf("called/cam%d?key=back-end-s3cret", i), "callback", ""},
			"wrong":     {"keyed/plain?key=wrong-s3cret", "wrong_key", "this key is not known here"},
			"too early": {"called/early?key=x", "denied", "the show begins at eight"},
		} {
			t.Run(w.encoder+"/"+w.scheme+"/"+name, func(t *testing.T) {
				granted := c.words == ""
				series := fmt.Sprintf(`hlsorigin_ingest_auth_total{granted="%v",outcome="%s"}`, granted, c.outcome)
				before := g.Metric(series)
				out, err := w.run(t, g, c.path)
				if granted && w.encoder != "ffmpeg" && spokeTooLate(out) {
					err = nil
				}
				if (err == nil) != granted {
					t.Errorf("%v\n%s", err, out)
				}
				if after := g.Metric(series); after != before+1 {
					t.Errorf("%s went from %v to %v", series, before, after)
				}
				if !strings.Contains(out, c.words) && w.encoder == "ffmpeg" {
					t.Errorf("%q is not shown:\n%s", c.words, out)
				}
			})
		}
	}
}

// TestRotation changes the keys that tokens are signed with: the new one is fetched when a token names it, the old one is refused when it
// is gone, and a publisher that came with it stays.
func TestRotation(t *testing.T) {
	t.Parallel()
	g := newGatehouse(t)
	try := func(token string) (string, error) {
		return g.publish(t, "rtmp://"+g.RTMP+"/signed/cam?token="+token)
	}
	old := g.token("cam*", time.Hour)
	if out, err := try(old); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rig.Push(t, rig.SourceNamed("plain").Clip(t, 60*time.Second), "rtmp://"+g.RTMP+"/signed/camera?token="+old)
	publishers := `hlsorigin_ingest_publishers{protocol="rtmp"}`
	rig.Eventually(t, 10*time.Second, "it publishes", func() bool { return g.Metric(publishers) == 1 })
	first := (*g.signing.Load())[0]
	g.signing.Store(&[]signer{first, newSigner(t, "k2")})
	fresh := g.token("cam*", time.Hour)
	// Public keys are fetched every ten seconds at most.
	rig.Eventually(t, 30*time.Second, "a token of the new key is let in", func() bool { _, err := try(fresh); return err == nil })
	if out, err := try(old); err != nil {
		t.Errorf("with both keys there, the old: %v\n%s", err, out)
	}
	g.signing.Store(&[]signer{newSigner(t, "k3")}) // in a hurry, as after a theft
	third := g.token("cam*", time.Hour)
	rig.Eventually(t, 30*time.Second, "a token of the third key is let in", func() bool { _, err := try(third); return err == nil })
	if out, err := try(old); err == nil || !strings.Contains(out, "this key is not known here") && !strings.Contains(out, "token") {
		t.Errorf("with a key that is gone: %v\n%s", err, out)
	}
	if n := g.Metric(publishers); n != 1 {
		t.Errorf("%v publishers", n)
	}
	g.keepsSecrets(t)
}

// TestLies uses a back end that is slow, down or lying: newcomers are refused within its timeout, in words that contain no secret.
func TestLies(t *testing.T) {
	t.Parallel()
	g := newGatehouse(t)
	const later = "cannot ask now"
	for how, words := range map[string]string{
		"slow": later, "redirect": later, "long": later, "broken": later, "failing": later,
		"outside": "a name that it cannot publish under", "echo": "no … no", "endless": "no no no",
	} {
		t.Run(how, func(t *testing.T) {
			began := time.Now()
			out, err := g.publish(t, "rtsp://"+g.RTSP+"/called/"+how+"?key=mine-s3cret")
			if err == nil || !strings.Contains(out, words) {
				t.Errorf("%v\n%s", err, out)
			}
			if took := time.Since(began); took > 12*time.Second {
				t.Errorf("the refusal took %v", took)
			}
			if out = out[strings.Index(out, "called/"+how)+1:]; strings.Contains(out, "endpoint-s3cret") || strings.Contains(out, "\x1b[2J") {
				t.Errorf("the encoder is shown what it should not be:\n%s", out)
			}
		})
	}
	g.keepsSecrets(t)
}
