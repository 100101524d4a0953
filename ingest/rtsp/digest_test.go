package rtsp

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// digestRig serves live/cam with the password secret, for Digest or plain checks.
func digestRig(t *testing.T) *running {
	t.Helper()
	r := newRecorder()
	r.authorize = onlyWith("cam", "secret")
	return serve(t, r, func(o *Options) {
		o.Password = func(app, name string) (string, bool, bool) { return "secret", name == "cam", app == "live" }
	})
}

func TestChallenge(t *testing.T) {
	got := strings.Join(challengeOf(true, "n"), "\n")
	sha, md := strings.Index(got, "SHA-256"), strings.Index(got, "MD5")
	if sha < 0 || md < sha || !strings.Contains(got, `Basic realm="hlsorigin"`) || !strings.Contains(got, `nonce="n"`) {
		t.Errorf("the challenge is\n%s", got)
	}
	if got := challengeOf(false, ""); len(got) != 1 || !strings.HasPrefix(got[0], "Basic") {
		t.Errorf("without Digest: %v", got)
	}
}

// TestDigestSHA256 answers according to RFC 7616, correctly, incorrectly, and with another connection's nonce.
func TestDigestSHA256(t *testing.T) {
	const url = "rtsp://x/live/cam"
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	answer := func(challenge, password string) string {
		_, nonce, _ := strings.Cut(challenge, `nonce="`)
		nonce, _, _ = strings.Cut(nonce, `"`)
		return fmt.Sprintf(`Authorization: Digest username="cam", realm="hlsorigin", nonce="%s", uri="%s", algorithm=SHA-256, response="%s"`,
			nonce, url, sum(sum("cam:hlsorigin:"+password)+":"+nonce+":"+sum("ANNOUNCE:"+url)))
	}
	s := digestRig(t)
	other := newRaw(t, s.addr).announce(url, sdpH264).header["www-authenticate"]
	for name, tc := range map[string]struct {
		password, challenge string
		status              int
	}{
		"right": {"secret", "", 200}, "wrong": {"guess", "", 403}, "replayed": {"secret", other, 403},
	} {
		e := newRaw(t, s.addr)
		first := e.announce(url, sdpH264)
		if first.status != 401 {
			t.Fatalf("%s: %q", name, first.line)
		}
		if tc.challenge == "" {
			tc.challenge = first.header["www-authenticate"]
		}
		if a := e.ask("ANNOUNCE", url, sdpH264, typeLine, answer(tc.challenge, tc.password)); a.status != tc.status {
			t.Errorf("%s: %q, want %d", name, a.line, tc.status)
		}
	}
}

// TestDigestWithEncoders lets real encoders choose which challenge to answer.
func TestDigestWithEncoders(t *testing.T) {
	for name, args := range map[string]func(addr, password string) []string{
		"ffmpeg": func(addr, password string) []string {
			return []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-f", "rtsp", "-rtsp_transport", "tcp",
				"rtsp://cam:" + password + "@" + addr + "/live/cam"}
		},
		"gst-launch-1.0": func(addr, password string) []string {
			return strings.Fields("-q videotestsrc num-buffers=20 ! video/x-raw,width=64,height=64,framerate=10/1 ! x264enc tune=zerolatency speed-preset=ultrafast ! h264parse ! " +
				"rtspclientsink protocols=tcp user-id=cam user-pw=" + password + " location=rtsp://" + addr + "/live/cam")
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("%s is not installed", name)
			}
			s := digestRig(t)
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second) // gst-launch sometimes waits for a message of its own for ever
			defer cancel()
			if out, err := exec.CommandContext(ctx, name, args(s.addr, "wrong")...).CombinedOutput(); err == nil && name == "ffmpeg" {
				t.Errorf("a wrong password is let in\n%s", out)
			}
			if n := s.Stats.Sessions.Load(); n != 0 {
				t.Fatal("a wrong password is let in")
			}
			out, err := exec.CommandContext(ctx, name, args(s.addr, "secret")...).CombinedOutput()
			if name != "ffmpeg" && spokeTooLate(out) && allCame.MatchString(s.log.String()) {
				err = nil
			}
			if name != "ffmpeg" && ctx.Err() != nil {
				err = nil
			}
			if err != nil || s.Stats.Sessions.Load() != 1 {
				t.Fatalf("%v\n%s\n%s", err, out, s.log.String())
			}
		})
	}
}
