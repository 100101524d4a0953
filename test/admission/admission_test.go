package admission

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestAdmission admits real encoders in each possible way, and shows each refusal's words; no secret appears anywhere.
func TestAdmission(t *testing.T) {
	t.Parallel()
	g := newGatehouse(t)
	rtmp, rtsp := "rtmp://"+g.RTMP+"/", "rtsp://"+g.RTSP+"/"
	hashed := g.secrets[1]
	withUser := func(user, password, path string) string {
		return "rtsp://" + user + ":" + password + "@" + g.RTSP + "/" + path
	}
	for _, tc := range []struct {
		name, url string
		outcome   string // in the metric
		words     string // that the encoder is shown; empty: it is admitted
	}{
		{"plain key", rtmp + "keyed/plain-s3cret", "key", ""},
		{"hashed key", rtmp + "keyed/" + hashed, "key", ""},
		{"name and key", rtmp + "keyed/hashed?key=" + hashed, "key", ""},
		{"wrong key", rtmp + "keyed/wrong-s3cret", "wrong_key", "this key is not known here"},
		{"token as stream key", rtmp + "signed/" + g.token("cam", time.Hour), "token", ""},
		{"token in the query", rtmp + "signed/cam-1?token=" + g.token("cam-*", time.Hour), "token", ""},
		{"token by HS256", rtmp + "signed/cam?jwt=" + g.hmac("cam"), "token", ""},
		{"old token", rtmp + "signed/cam?token=" + g.token("cam", -time.Hour), "bad_token", "the token has expired"},
		{"token for another stream", rtmp + "signed/stage?token=" + g.token("cam", time.Hour), "bad_token", "for another stream"},
		{"token cut", rtmp + "signed/cam?token=" + g.token("cam", time.Hour)[:90], "wrong_key", "this key is not known here"},
		{"callback", rtmp + "called/back-end-s3cret", "callback", ""},
		{"callback with a reason", rtmp + "called/early", "denied", "the show begins at eight"},
		{"callback without", rtmp + "called/nobody", "denied", "this key is not known here"},
		{"address", rtmp + "ranges/cam", "wrong_address", "127.0.0.1 is none of them"},
		{"this machine", rtmp + "closed/cam", "open", ""},
		{"RTSP Digest", withUser("plain", "plain-s3cret", "keyed/plain"), "key", ""},
		{"RTSP query", rtsp + "keyed/hashed?key=" + hashed, "key", ""},
		{"RTSP token", rtsp + "signed/cam?token=" + g.token("cam", time.Hour), "token", ""},
		{"RTSP callback", withUser("u", "back-end-s3cret", "called/cam"), "callback", ""},
		{"RTSP wrong", withUser("u", "wrong-s3cret", "keyed/plain"), "wrong_key", "this key is not known here"},
		{"RTSP callback with a reason", rtsp + "called/early?key=x", "denied", "the show begins at eight"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			series := fmt.Sprintf(`hlsorigin_ingest_auth_total{granted="%v",outcome="%s"}`, tc.words == "", tc.outcome)
			before := g.Metric(series)
			out, err := g.publish(t, tc.url)
			if (err == nil) != (tc.words == "") || !strings.Contains(out, tc.words) {
				t.Errorf("%v\n%s", err, out)
			}
			if after := g.Metric(series); after != before+1 {
				t.Errorf("%s went from %v to %v", series, before, after)
			}
		})
	}
	t.Run("GStreamer", func(t *testing.T) { g.gstreamer(t) })
	if !strings.Contains(g.Get("http://"+g.Admin+"/api/streams"), `"mapped"`) {
		t.Error("the callback's name is not the stream's")
	}
	g.keepsSecrets(t)
}

// gstreamer sends a token as an RTSP password, which FFmpeg cuts, and keys over RTMP.
func (g *gatehouse) gstreamer(t *testing.T) {
	rig.Need(t, "gst-launch-1.0")
	const video = "-q videotestsrc num-buffers=20 ! video/x-raw,width=64,height=64,framerate=10/1 ! x264enc tune=zerolatency speed-preset=ultrafast ! h264parse ! "
	for name, sink := range map[string]string{
		"token":      "rtspclientsink protocols=tcp user-id=x user-pw=" + g.token("cam", time.Hour) + " location=rtsp://" + g.RTSP + "/signed/cam",
		"digest":     "rtspclientsink protocols=tcp user-id=plain user-pw=plain-s3cret location=rtsp://" + g.RTSP + "/keyed/plain",
		"rtmp key":   "flvmux streamable=true ! rtmp2sink location=rtmp://" + g.RTMP + "/keyed/" + g.secrets[1],
		"rtmp query": "flvmux streamable=true ! rtmp2sink location=rtmp://" + g.RTMP + "/signed/cam?token=" + g.token("cam", time.Hour),
	} {
		granted := func() float64 {
			return g.Metric(`hlsorigin_ingest_auth_total{granted="true",outcome="key"}`) + g.Metric(`hlsorigin_ingest_auth_total{granted="true",outcome="token"}`)
		}
		before := granted()
		if out, err := encode(t, "gst-launch-1.0", strings.Fields(video+sink)...); err != nil && !spokeTooLate(out) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if granted() != before+1 {
			t.Errorf("%s was not let in", name)
		}
	}
}

// TestAdmissionOutage takes the back ends away from a running publisher: it stays, and newcomers are refused with an explanation.
func TestAdmissionOutage(t *testing.T) {
	t.Parallel()
	g := newGatehouse(t)
	clip := rig.SourceNamed("plain").Clip(t, 20*time.Second)
	rig.Push(t, clip, "rtmp://"+g.RTMP+"/called/back-end-s3cret")
	rig.Push(t, clip, "rtmp://"+g.RTMP+"/signed/"+g.token("cam", time.Hour))
	publishers := `hlsorigin_ingest_publishers{protocol="rtmp"}`
	rig.Eventually(t, 10*time.Second, "both publish", func() bool { return g.Metric(publishers) == 2 })
	g.down.Store(true)
	out, err := g.publish(t, "rtmp://"+g.RTMP+"/called/other")
	if err == nil || !strings.Contains(out, "cannot ask now") {
		t.Errorf("without the back end: %v\n%s", err, out)
	}
	if out, err := g.publish(t, "rtmp://"+g.RTMP+"/signed/two?token="+g.token("two", time.Hour)); err != nil {
		t.Errorf("with the last good keys: %v\n%s", err, out)
	}
	frames := g.Metric("hlsorigin_segmenter_frames_total")
	rig.Eventually(t, 5*time.Second, "frames go on", func() bool { return g.Metric("hlsorigin_segmenter_frames_total") > frames+50 })
	if n := g.Metric(publishers); n != 2 {
		t.Errorf("%v publishers", n)
	}
	if n := strings.Count(g.Log.String(), "auth.callback does not answer"); n != 1 {
		t.Errorf("the outage is logged %d times", n)
	}
}

// TestBehindProxy checks that nobody behind a local proxy is taken for this machine, over any protocol, and that an address claimed by a
// stranger is not believed.
func TestBehindProxy(t *testing.T) {
	t.Parallel()
	g := newGatehouse(t)
	const far, near, member = "PROXY TCP4 203.0.113.9 127.0.0.1 4000 1935\r\n", "PROXY TCP4 127.0.0.1 127.0.0.1 4000 1935\r\n", "PROXY TCP4 127.0.0.5 127.0.0.1 4000 1935\r\n"
	for name, tc := range map[string]struct {
		header, path string
		let          bool
	}{
		"from afar": {far, "/closed/cam", false}, "unknown": {"PROXY UNKNOWN\r\n", "/closed/cam2", false}, "none": {"", "/closed/cam3", false},
		"from here": {near, "/closed/cam4", true}, "in the ranges": {member, "/ranges/cam", true},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := g.publish(t, "rtmp://"+rig.Tunnel(t, g.RTMP, tc.header)+tc.path); (err == nil) != tc.let {
				t.Errorf("RTMP: %v\n%s", err, out)
			}
			if out, err := g.publish(t, "rtsp://"+rig.Tunnel(t, g.RTSP, tc.header)+tc.path); (err == nil) != tc.let {
				t.Errorf("RTSP: %v\n%s", err, out)
			}
			if out, err := g.publish(t, "rtmps://"+rig.Tunnel(t, g.rtmps, tc.header)+tc.path+"_s"); (err == nil) != tc.let {
				t.Errorf("RTMPS: %v\n%s", err, out)
			}
			if out, err := g.publish(t, "rtsps://"+rig.Tunnel(t, g.rtsps, tc.header)+tc.path+"_t"); (err == nil) != tc.let {
				t.Errorf("RTSPS: %v\n%s", err, out)
			}
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
			for scheme, to := range map[string]string{"http": g.HTTP, "https": g.https} {
				res, err := client.Get(scheme + "://" + rig.Tunnel(t, to, tc.header) + "/healthz")
				if err == nil {
					_ = res.Body.Close()
				}
				if (err == nil) != (tc.header != "") {
					t.Errorf("%s: %v", scheme, err)
				}
			}
		})
	}
	c, err := net.Dial("tcp", g.RTMP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, near)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a stranger's header is answered")
	}
	if !strings.Contains(g.Log.String(), "203.0.113.9") {
		t.Error("the log does not say who was refused")
	}
}
