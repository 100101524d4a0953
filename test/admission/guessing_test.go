package admission

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestGuessing sends hundreds of wrong credentials a second over both protocols, from one address and during a show: the show loses no
// frame, others get in at once, and the log, at debug level, has a few lines about it.
func TestGuessing(t *testing.T) {
	t.Parallel()
	g := newGatehouse(t)
	show := rig.SourceNamed("plain").Clip(t, 20*time.Second)
	rig.Push(t, show, "rtmp://"+g.RTMP+"/keyed/plain-s3cret")
	rig.Eventually(t, 10*time.Second, "the show runs", func() bool { return g.Metric("hlsorigin_segmenter_frames_total") > 10 })
	const from = "PROXY TCP4 203.0.113.66 127.0.0.1 4000 1935\r\n"
	rtmp, rtsp := rig.Tunnel(t, g.RTMP, from), rig.Tunnel(t, g.RTSP, from)
	before := len(g.Log.String())
	var tried, shown atomic.Int64
	guess := map[string]func(int){
		"rtmp": func(i int) {
			_, err := rtmpclient.Dial(t.Context(), fmt.Sprintf("rtmp://%s/keyed/guess%d", rtmp, i))
			var status *rtmpclient.StatusError
			if errors.As(err, &status) {
				shown.Add(1)
			}
		},
		"rtsp": func(i int) {
			c, err := net.Dial("tcp", rtsp)
			if err != nil {
				return
			}
			defer c.Close()
			fmt.Fprintf(c, "ANNOUNCE rtsp://x/keyed/plain?key=guess%d RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=0\r\nm=x\r\n", i)
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if line, _ := bufio.NewReader(c).ReadString('\n'); strings.Contains(line, "403") {
				shown.Add(1)
			}
		},
	}
	length := rig.Scaled(30*time.Second, 4*time.Second)
	stop := time.Now().Add(length)
	var all sync.WaitGroup
	for _, one := range guess {
		for range 8 {
			all.Go(func() {
				pace := time.NewTicker(16 * time.Millisecond) // eight of them: 500 a second
				defer pace.Stop()
				for ; time.Now().Before(stop); <-pace.C {
					one(int(tried.Add(1)))
				}
			})
		}
	}
	began, pressed := time.Now(), rig.StartPressure()
	if out, err := g.publish(t, "rtmp://"+g.RTMP+"/keyed/"+g.secrets[1]); err != nil {
		t.Errorf("a new publisher: %v\n%s", err, out)
	}
	took := time.Since(began)
	if took > 4*time.Second+rig.Slack(pressed.Share(), 6*time.Second) { // its own 2 s of media among it, as fast as they go
		t.Errorf("a new publisher took %v", took)
	}
	all.Wait()
	log := g.Log.String()[before:]
	t.Logf("%d tried, %d shown a refusal, a new publisher took %v, %d bytes of log", tried.Load(), shown.Load(), took, len(log))
	if judged := g.Metric(`hlsorigin_ingest_auth_total{granted="false",outcome="wrong_key"}`); judged > 20 {
		t.Errorf("%v guesses were judged", judged)
	}
	if len(log) > 8<<10 {
		t.Errorf("the log is\n%s", log)
	}
	if n := g.Metric(`hlsorigin_ingest_publishers{protocol="rtmp"}`); n != 1 {
		t.Errorf("%v publishers", n)
	}
	for _, reason := range []string{"late", "backwards"} {
		if n := g.Metric(`hlsorigin_ingest_frames_dropped_total{reason="` + reason + `"}`); n != 0 {
			t.Errorf("%v frames of the show were dropped: %s", n, reason)
		}
	}
}
