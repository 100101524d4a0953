package rtsp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// TestWhoHasToGoIsToldWhy lets two connections stay half way through something large, for which there is memory once: the older one goes, with a
// reason, and the log has one line.
func TestWhoHasToGoIsToldWhy(t *testing.T) {
	const limit = 100 << 10
	half := func(e *raw) { // an SDP of which most is still to come
		e.send("ANNOUNCE rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 65535\r\n\r\nv=0\r\n")
	}
	until := func(t *testing.T, memory *ingest.Memory, used int64) {
		t.Helper()
		for deadline := time.Now().Add(15 * time.Second); memory.Used() < used; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d bytes are claimed", memory.Used())
			}
		}
	}
	for name, recording := range map[string]bool{"before it records": false, "while it records": true} {
		t.Run(name, func(t *testing.T) {
			r, memory := newRecorder(), ingest.NewMemory(limit)
			s := serve(t, r, func(o *Options) { o.UDPListen, o.Memory = "", memory })
			old, late := newRaw(t, s.addr), newRaw(t, s.addr)
			if recording {
				old.announce("rtsp://x/live/cam", sdpHead+lineH264+mapH264+setsH264+controlV)
				old.setup("rtsp://x/live/cam/streamid=0", 0)
				if a := old.ask("RECORD", "rtsp://x/live/cam", ""); a.status != 200 {
					t.Fatalf("%q", a.line)
				}
				old.send("$\x00\xff\xff")
			} else {
				half(old)
			}
			until(t, memory, 60_000)
			half(late)
			if recording {
				if err := r.cause(t); !errors.Is(err, ingest.ErrMemory) {
					t.Errorf("it ended with %v", err)
				}
			} else if a := old.answer(); a.status != 503 || !strings.Contains(a.line, "short of memory") {
				t.Errorf("it was told %q", a.line)
			}
			if !old.closed() {
				t.Error("it is still connected")
			}
			_ = late.c.Close()
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			if n := strings.Count(s.log.String(), "there is no memory left for them"); n != 1 {
				t.Errorf("%d lines say so", n)
			}
			if n := s.Stats.Refused.Load(); n < 1 || memory.Used() != 0 {
				t.Errorf("%d are counted, %d bytes are left", n, memory.Used())
			}
		})
	}
}
