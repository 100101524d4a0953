package rtsp

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// TestGStreamer pushes with rtspclientsink, which sends its first sender reports late, chooses LATM for AAC, and writes its addresses in a
// different form than FFmpeg.
func TestGStreamer(t *testing.T) {
	need(t, "gst-launch-1.0")
	if exec.Command("gst-inspect-1.0", "--exists", "rtspclientsink").Run() != nil {
		t.Skip("the GStreamer element rtspclientsink is not installed (Debian: gstreamer1.0-rtsp)")
	}
	length := scaled(60*time.Second, 6*time.Second)
	file := clip(t, length, x264BFrames, aac64)
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			r := newRecorder()
			r.authorize = onlyWith("cam", "se:cret")
			s := serve(t, r, patient)
			// At the end of its input gst-launch drops the connection without TEARDOWN; over UDP it may not end at all.
			ctx, cancel := context.WithTimeout(context.Background(), length+10*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, "gst-launch-1.0", "-q", "rtspclientsink", "name=s", "protocols="+transport,
				"user-id=cam", "user-pw=se:cret", "location=rtsp://"+s.addr+"/live/cam",
				"filesrc", "location="+file, "!", "qtdemux", "name=d",
				"d.video_0", "!", "queue", "!", "h264parse", "!", "s.",
				"d.audio_0", "!", "queue", "!", "aacparse", "!", "s.")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			cmd.WaitDelay = 5 * time.Second
			switch err := cmd.Run(); {
			case err == nil || ctx.Err() != nil:
			case spokeTooLate(out.Bytes()):
				t.Logf("%v\n%s", err, out.Bytes())
			default:
				t.Fatalf("%v\n%s", err, out.Bytes())
			}
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			if err := r.cause(t); err == nil {
				t.Error("no cause")
			}
			checkFrames(t, s, file, r.all(), 30*time.Millisecond)
		})
	}
}

// spokeTooLate reports whether gst-launch failed because it wanted to send something after it had dropped its connection itself, with all
// frames sent. A caller that accepts this as an end checks the frames.
func spokeTooLate(out []byte) bool { return bytes.Contains(out, []byte("Received end-of-file")) }

// allCame is what the server logs of an encoder of 20 frames. GStreamer may drop its connection before it says that it goes.
var allCame = regexp.MustCompile(`cause="(unpublished by the encoder|connection lost: EOF)" frames=20`)
