package rtmp

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/auth"
)

// TestKeys publishes with ffmpeg in each form that a key can take, and checks that ffmpeg reports a wrong key.
func TestKeys(t *testing.T) {
	need(t, "ffmpeg")
	a, err := auth.New(auth.Options{Apps: map[string]auth.App{"live": {Keys: map[string]string{"cam": "s3cret"}}}})
	if err != nil {
		t.Fatal(err)
	}
	ts := serve(t, Options{Authorizer: a})
	publish := func(path string) ([]byte, error) {
		args := strings.Fields("-v error " + testTone + " -t 0.2 -c:a aac -f flv " + ts.url(path))
		return exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput()
	}
	for _, path := range []string{"live/s3cret", "live/cam?key=s3cret"} {
		if out, err := publish(path); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
		s := ts.session(t)
		if s.wait(t); s.Stream != "cam" || s.Identity != "cam" {
			t.Errorf("%s: %+v", path, s.Announce)
		}
	}
	for _, path := range []string{"live/cam", "live/cam?key=wrong"} {
		if out, err := publish(path); err == nil || !bytes.Contains(out, []byte("this key is not known here")) {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}
