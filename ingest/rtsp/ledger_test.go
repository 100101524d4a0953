package rtsp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// TestNothingUsable: a publisher of whom nothing can be used is ended after ten seconds, with the reason of each track.
func TestNothingUsable(t *testing.T) {
	for _, c := range []struct {
		name, sdp string
		payload   []byte
		want      string
	}{
		{"no parameter sets", sdpH264, idr, "no usable sequence header or parameter sets"},
		{"AAC that is none", sdpHead + lineAAC + mapAAC + configAAC, []byte{0, 16, 0, 2 << 3, 0x11, 0x90}, "cannot be frames of the codec"},
		{"layer II", sdpHead + "m=audio 0 RTP/AVP 14\r\n", append([]byte{0, 0, 0, 0, 0xFF, 0xFD, 0x14, 0xC0}, make([]byte, 92)...), "do not add up"},
	} {
		b := newBenchOf(t, c.sdp, nil)
		start := b.now
		for i := uint32(0); b.failure() == nil && b.now.Sub(start) < time.Minute; i++ {
			b.send(b.video, i*40, c.payload)
			b.now = b.now.Add(40 * time.Millisecond)
		}
		var r *ingest.Refusal
		if after := b.now.Sub(start); !errors.As(b.failure(), &r) || !strings.Contains(r.Reason, c.want) || after < 10*time.Second || after > 13*time.Second {
			t.Errorf("%s: %v after %v, want %q", c.name, b.failure(), after, c.want)
		}
		if len(b.r.all()) != 0 {
			t.Errorf("%s: %d frames", c.name, len(b.r.all()))
		}
	}
}

// TestStillTimeStamps: time stamps that do not go on end a publisher, in words.
func TestStillTimeStamps(t *testing.T) {
	for _, kind := range []string{"video", "audio"} {
		b := newBench(t, nil)
		start := b.now
		for i := uint32(0); b.failure() == nil && b.now.Sub(start) < time.Minute; i++ {
			if kind == "video" {
				b.packetOf(b.video, 240, []byte{0x65, 0x88, byte(i)})
				b.packetOf(b.audio, i*40, aacPacket)
			} else {
				b.send(b.video, i*40, []byte{0x65, 0x88, byte(i)})
				b.packetOf(b.audio, 240, aacPacket)
			}
			b.now = b.now.Add(40 * time.Millisecond)
		}
		var r *ingest.Refusal
		if !errors.As(b.failure(), &r) || !strings.Contains(r.Reason, "the "+kind+"'s time stamps stand still") {
			t.Errorf("%s: %v after %v", kind, b.failure(), b.now.Sub(start))
		}
	}
}

// TestUnusedTracksAreCounted: what is announced and not recorded is in the ledger, with the words of its refusal.
func TestUnusedTracksAreCounted(t *testing.T) {
	r := newRecorder()
	r.want = 3
	s := serve(t, r, nil)
	e := newRaw(t, s.addr)
	bad := lineAAC + mapAAC + paramsAAC + ";config=1194\r\n" + controlA
	extra := "m=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\na=control:streamid=2\r\n"
	data := "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:streamid=3\r\n"
	e.announce("rtsp://x/live/cam", sdpHead+lineH264+mapH264+setsH264+controlV+bad+extra+data)
	for i := range 4 {
		if a := e.setup("rtsp://x/live/cam/streamid="+string(rune('0'+i)), 2*i); a.status != 200 {
			t.Fatalf("%q", a.line)
		}
	}
	if a := e.ask("RECORD", "rtsp://x/live/cam", ""); a.status != 200 {
		t.Fatalf("%q", a.line)
	}
	for i := range uint16(4) {
		e.rtp(2, 97, i, uint32(i)*1024, true, aacPacket)
		e.rtp(4, 98, 2*i, uint32(i)*3600, false, []byte{0x02, 1, 0x80})
		e.rtp(4, 98, 2*i+1, uint32(i)*3600, true, []byte{0x02, 1, 0x40})
		e.rtp(6, 107, i, uint32(i)*3600, true, []byte("<x/>"))
		e.rtp(0, 96, i, uint32(i)*3600, true, idr)
	}
	r.wait(t)
	e.ask("TEARDOWN", "rtsp://x/live/cam", "")
	_ = r.cause(t)
	l := r.announces[0].Ledger
	if v := &l.Video; v.Received.Load() != 8 || v.Dropped[ingest.ExtraTrack].Load() != 4 || v.Codec() != ingest.H264 {
		t.Errorf("video: %d received, %d of another track", v.Received.Load(), v.Dropped[ingest.ExtraTrack].Load())
	}
	if a := &l.Audio; a.Received.Load() != 4 || a.Dropped[ingest.Uncarried].Load() != 4 {
		t.Errorf("audio: %d received, %d dropped", a.Received.Load(), a.Dropped[ingest.Uncarried].Load())
	}
	if got := s.Stats.Ledger.Dropped[ingest.Uncarried].Load(); got != 4 {
		t.Errorf("%d in all", got)
	}
	log := s.log.String()
	if n := strings.Count(log, "tracks are ignored"); n != 1 || !strings.Contains(log, "960 samples") || !strings.Contains(log, "further track") {
		t.Errorf("said %d times: %s", n, log)
	}
	if !r.all()[0].Track.Alone {
		t.Error("the video is not known to be alone")
	}
}

// TestMarkerOnEachSlice over real sockets: pictures come out whole.
func TestMarkerOnEachSlice(t *testing.T) {
	for _, tr := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		t.Run(tr.String(), func(t *testing.T) {
			r := newRecorder()
			r.want = 5
			s := serve(t, r, nil)
			p := newPusher(tr)
			if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
				t.Fatal(err)
			}
			for i := range uint32(6) {
				for n := range byte(4) { // each a call of its own, with its marker
					p.units(t, i*3600, []byte{map[bool]byte{true: 0x65, false: 0x41}[i == 0], map[bool]byte{true: 0x88, false: 0x40}[n == 0], n})
				}
			}
			r.wait(t)
			p.Close()
			_ = r.cause(t)
			frames := r.all()
			if len(frames) != 6 {
				t.Fatalf("%d frames, want 6", len(frames))
			}
			for i, f := range frames {
				if len(f.Units) != 4 {
					t.Errorf("picture %d has %d slices", i, len(f.Units))
				}
			}
		})
	}
}
