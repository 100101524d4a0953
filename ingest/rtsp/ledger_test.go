package rtsp

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// TestNothingUsable checks that a publisher from whom nothing can be used is ended after ten seconds, with the reason for each track.
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

// TestStillTimeStamps checks that timestamps which do not advance end a publisher, with an explanation.
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

// TestUnusedTracksAreCounted checks that what is announced and not recorded is in the ledger, with the words of its refusal.
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

// TestMarkerOnEachSlice checks over real sockets that pictures come out complete.
func TestMarkerOnEachSlice(t *testing.T) {
	for _, tr := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		t.Run(tr.String(), func(t *testing.T) {
			r := newRecorder()
			r.want = 6
			s := serve(t, r, nil)
			p := newPusher(tr)
			if err := p.record("rtsp://"+s.addr+"/live/cam", p.video); err != nil {
				t.Fatal(err)
			}
			for i := range uint32(7) {
				for n := range byte(4) { // each in its own call, with its marker
					p.units(t, i*3600, []byte{map[bool]byte{true: 0x65, false: 0x41}[i == 0], map[bool]byte{true: 0x88, false: 0x40}[n == 0], n})
				}
			}
			r.wait(t)
			p.Close()
			_ = r.cause(t)
			frames := r.all()
			if len(frames) != 6 && len(frames) != 7 {
				t.Fatalf("%d frames, want 6 or 7", len(frames))
			}
			for i, f := range frames[:6] { // packets of the last one may still be in flight when the encoder ends the session
				if len(f.Units) != 4 {
					t.Errorf("picture %d has %d slices", i, len(f.Units))
				}
			}
		})
	}
}

// TestStrangePackets checks that packets which the library refuses are reported, and end a publisher from whom nothing else comes; beside a
// healthy track they are only a finding.
func TestStrangePackets(t *testing.T) {
	for _, well := range []bool{false, true} {
		log := &logBuffer{}
		b := newBench(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
		start := b.now
		for i := uint32(0); b.failure() == nil && b.now.Sub(start) < 30*time.Second; i++ {
			if well || i == 0 {
				b.send(b.video, i*40, []byte{0x65, 0x88, byte(i)})
			}
			if i == 0 {
				b.packetOf(b.audio, 0, aacPacket)
			}
			b.receive(arrived{err: errors.New("received packet with wrong SSRC 8, expected 7")})
			b.now = b.now.Add(40 * time.Millisecond)
		}
		if n := strings.Count(log.String(), "of which nothing can be made"); n != 1 {
			t.Errorf("said %d times", n)
		}
		if well {
			if err := b.failure(); err != nil || len(b.r.all()) < 700 || b.announce.Ledger.Video.Dropped[ingest.Malformed].Load() != 0 {
				t.Errorf("beside a good track: %v, %d frames", err, len(b.r.all()))
			}
			if n := strings.Count(log.String(), "frames arrive and none is used"); n != 1 || !strings.Contains(b.announce.Ledger.Problem(), "wrong SSRC") {
				t.Errorf("%d findings, problem %q", n, b.announce.Ledger.Problem())
			}
			continue
		}
		var r *ingest.Refusal
		if after := b.now.Sub(start); !errors.As(b.failure(), &r) || !strings.Contains(r.Reason, "wrong SSRC") || after > 14*time.Second {
			t.Errorf("%v after %v", b.failure(), after)
		}
	}
}

// TestUnknownPayloadType does the same over a real connection.
func TestUnknownPayloadType(t *testing.T) {
	r := newRecorder()
	s := serve(t, r, nil)
	e := newRaw(t, s.addr)
	e.announce("rtsp://x/live/cam", sdpHead+lineH264+mapH264+setsH264+controlV)
	e.setup("rtsp://x/live/cam/streamid=0", 0)
	if a := e.ask("RECORD", "rtsp://x/live/cam", ""); a.status != 200 {
		t.Fatalf("%q", a.line)
	}
	e.rtp(0, 99, 1, 0, true, idr)
	e.rtp(0, 99, 2, 3600, true, idr)
	e.ask("TEARDOWN", "rtsp://x/live/cam", "")
	_ = r.cause(t)
	if log := s.log.String(); strings.Count(log, "of which nothing can be made") != 1 || !strings.Contains(log, "payload type 99") && !strings.Contains(log, "payload type: 99") {
		t.Errorf("the log does not say it: %s", log)
	}
}

// TestPacketsThatCannotBeTakenApart checks that they are counted for their track, once for each picture.
func TestPacketsThatCannotBeTakenApart(t *testing.T) {
	b := newBench(t, nil)
	for i := uint32(0); i < 10; i++ {
		b.seq++
		for n := range 5 { // STAP-B, with decoding order numbers
			b.seq++
			b.receive(arrived{track: b.video, rtp: &rtp.Packet{
				Header: rtp.Header{Marker: n == 4, SequenceNumber: b.seq, SSRC: 7, Timestamp: i * 3600}, Payload: []byte{25, 0, 0, 0, 2, 0x65, 0x88},
			}})
		}
		b.packetOf(b.audio, i*40, []byte{0, 16, 1, 0, 1}) // longer than it is
	}
	for name, a := range map[string]*ingest.Account{"video": &b.announce.Ledger.Video, "audio": &b.announce.Ledger.Audio} {
		if n := a.Dropped[ingest.Malformed].Load(); n != 10 || a.Received.Load() != 10 {
			t.Errorf("%s: %d of %d", name, n, a.Received.Load())
		}
	}
}

// TestConfigurationInBandThatCannotBeCarried tests LATM that changes its configuration.
func TestConfigurationInBandThatCannotBeCarried(t *testing.T) {
	const latmInBand = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MP4A-LATM/90000/1\r\na=fmtp:97 cpresent=1\r\n"
	for _, c := range []struct {
		sdp  string
		ends bool
	}{{sdpHead + latmInBand, true}, {sdpHead + lineH264 + mapH264 + setsH264 + latmInBand, false}} {
		b := newBenchOf(t, c.sdp, nil)
		// useSameStreamMux 0, then a StreamMuxConfig of AAC-LC with frameLengthFlag 1, which is 960 samples.
		var bits bitWriter
		for _, f := range [][2]int{{0, 1}, {0, 1}, {1, 1}, {0, 6}, {0, 4}, {0, 3}, {2, 5}, {3, 4}, {2, 4}, {1, 1}, {0, 1}, {0, 1}, {0, 3}, {255, 8}, {0, 1}, {0, 1}, {4, 8}, {0x21, 8}, {0, 24}} {
			bits.write(f[0], f[1])
		}
		b.packetOf(b.audio, 0, bits.b)
		if n := b.announce.Ledger.Audio.Dropped[ingest.Uncarried].Load(); !c.ends && n != 1 {
			t.Errorf("%d dropped", n)
		}
		var r *ingest.Refusal
		if got := errors.As(b.failure(), &r) && strings.Contains(r.Reason, "960 samples"); got != c.ends {
			t.Errorf("ended: %v", b.failure())
		}
	}
}

// bitWriter writes numbers with a given number of bits.
type bitWriter struct {
	b    []byte
	bits int
}

func (w *bitWriter) write(v, n int) {
	for ; n > 0; n-- {
		if w.bits%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.bits/8] |= byte(v>>(n-1)&1) << (7 - w.bits%8)
		w.bits++
	}
}
