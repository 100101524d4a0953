package reload

import (
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestKeyTakenAway removes a key, and then an app, from the file while their encoders publish. No signal is sent: the change of the file is
// enough. Each is told why, and the others do not notice.
func TestKeyTakenAway(t *testing.T) {
	rig.Need(t, "ffmpeg")
	const head = "hls: {segment_duration: 1s, end_grace: 2s}\nrtmp: {idle_timeout: 30s}\nrtsp: {udp_rtp: \"\", udp_rtcp: \"\"}\napps:\n"
	const live = "  live: {keys: {stays: stays-key"
	p := rig.Serve(t, t.TempDir(), head+live+", goes: goes-key, rtsp: rtsp-key}}\n  other: {keys: {cam: other-key}}\n")
	stays := rig.Shoot(t, p, "stays-key")
	goes := rig.Shoot(t, p, "goes-key")
	other := rig.Shoot(t, p, "", func(c *rig.Camera) { c.URL = "rtmp://" + p.RTMP + "/other/other-key" })
	camera := rig.Push(t, rig.SourceNamed("plain").Clip(t, 60*time.Second), "rtsp://"+p.RTSP+"/live/rtsp?key=rtsp-key")
	rig.Eventually(t, 30*time.Second, "all publish", func() bool { return len(p.Streams()) == 4 })
	said := func(c *rig.Camera) string {
		c.Mu.Lock()
		defer c.Mu.Unlock()
		return strings.Join(c.Refused, "\n")
	}
	write(t, p, head+live+", new: new-key}}\n  other: {keys: {cam: other-key}}\n")
	rig.Eventually(t, 20*time.Second, "the encoder is told", func() bool {
		return strings.Contains(said(goes), "the right to publish this stream was taken away") && strings.Contains(said(goes), "this key is not known here")
	})
	goes.Stop() // before its guesses make all wait who come from its address
	select {
	case <-camera.Done:
	case <-time.After(20 * time.Second):
		t.Error("the publisher over RTSP goes on")
	}
	if s := said(other); s != "" {
		t.Errorf("the other app's encoder was told %s", s)
	}
	write(t, p, head+live+"}}\n")
	rig.Eventually(t, 20*time.Second, "the encoder is told", func() bool {
		return strings.Contains(said(other), `app "other" was taken out of the server's configuration`) && strings.Contains(said(other), "this app does not exist")
	})
	stays.Mu.Lock()
	if stays.Connects != 0 {
		t.Errorf("who has his key still was dropped %d times: %v", stays.Connects, stays.Refused)
	}
	stays.Mu.Unlock()
	late := rig.Shoot(t, p, "new-key")
	rig.Eventually(t, 20*time.Second, "a key that went again is refused", func() bool { return strings.Contains(said(late), "not known here") })
	if n := p.Metric(done); n != 2 {
		t.Errorf("%v reloads for two changes of the file", n)
	}
	for _, secret := range []string{"goes-key", "stays-key", "other-key", "rtsp-key", "new-key"} {
		if strings.Contains(p.Log.String(), secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
}
