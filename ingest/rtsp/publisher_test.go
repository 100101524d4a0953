package rtsp

import (
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// bench is a publisher without a server, on a clock that the test controls.
type bench struct {
	*publisher
	r            *recorder
	now          time.Time
	video, audio *track
	seq          uint16
}

func newBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	return newBenchOf(t, sdpFull, change)
}

// newBenchOf returns a bench of an encoder that announced an SDP, video first.
func newBenchOf(t *testing.T, sdp string, change func(*Options)) *bench {
	t.Helper()
	tracks, _, err := planOf(sdp)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{r: newRecorder(), now: time.Unix(1000, 0), video: tracks[0], audio: tracks[len(tracks)-1]}
	o := Options{Publisher: b.r, Authorizer: b.r, Now: func() time.Time { return b.now }}
	if change != nil {
		change(&o)
	}
	b.publisher = &publisher{opts: o.withDefaults(), stats: &Stats{}}
	b.announce.Cancel = func(err error) { b.fail(err) }
	b.setTracks(tracks)
	b.start(&recorded{r: b.r}, false)
	return b
}

// send delivers one packet, ms milliseconds into its track. A picture is followed by the delimiter of the next one, which shows that it is
// complete.
func (b *bench) send(tr *track, ms uint32, payload []byte) {
	b.packetOf(tr, ms, payload)
	if tr.stream.codec() == ingest.H264 {
		b.packetOf(tr, ms+1, delimiter)
	}
}

// delimiter is an access unit delimiter of H.264.
var delimiter = []byte{0x09, 0xF0}

func (b *bench) packetOf(tr *track, ms uint32, payload []byte) {
	b.seq++
	b.receive(arrived{track: tr, rtp: &rtp.Packet{
		Header:  rtp.Header{Marker: true, SequenceNumber: b.seq, SSRC: 7, Timestamp: ms * uint32(tr.clock.rate) / 1000},
		Payload: payload,
	}})
}

// report delivers a sender report.
func (b *bench) report(tr *track, sr *rtcp.SenderReport) { b.receive(arrived{track: tr, rtcp: sr}) }

var aacPacket = []byte{0, 16, 0, 4 << 3, 1, 2, 3, 4} // one AU of four bytes

func TestHoldsForReports(t *testing.T) {
	b := newBench(t, nil)
	b.send(b.video, 0, idr)
	b.report(b.video, &rtcp.SenderReport{SSRC: 7, NTPTime: ntp(0)})
	b.send(b.audio, 0, aacPacket)
	if n := len(b.r.all()); n != 0 {
		t.Fatalf("%d frames before the second report", n)
	}
	b.report(b.audio, &rtcp.SenderReport{SSRC: 8, NTPTime: ntp(0)}) // from another sender
	b.report(b.audio, &rtcp.SenderReport{SSRC: 7, NTPTime: ntp(30)})
	frames := b.r.all()
	if len(frames) == 0 || !frames[0].Track.Codec.IsVideo() {
		t.Fatalf("%d frames after it", len(frames))
	}
	b.end(ingest.ErrUnpublished)
	frames = b.r.all()
	if len(frames) != 2 || !near(frames[1].PTS-frames[0].PTS, ms(30)) {
		t.Errorf("%d frames", len(frames))
	}
}

func TestHoldsNoLongerThanSyncWait(t *testing.T) {
	b := newBench(t, nil)
	b.send(b.video, 0, idr)
	b.now = b.now.Add(DefaultSyncWait - time.Millisecond)
	b.send(b.video, 40, slice)
	if n := len(b.r.all()); n != 0 {
		t.Fatalf("%d frames too early", n)
	}
	b.now = b.now.Add(time.Millisecond)
	b.send(b.video, 80, slice)
	if n := len(b.r.all()); n == 0 {
		t.Error("no frame after the wait")
	}
}

func TestHoldsNoMoreThanMaxHeldBytes(t *testing.T) {
	b := newBench(t, func(o *Options) { o.MaxHeldBytes = 10 })
	b.send(b.video, 0, idr)
	b.send(b.video, 40, slice)
	if b.flowing {
		t.Fatal("8 bytes are not held")
	}
	b.send(b.video, 80, slice)
	if !b.flowing {
		t.Error("12 bytes are held")
	}
}

// TestInterleavesNoMoreThanMaxHeldBytes checks that a track that runs ahead of the other does not pile up.
func TestInterleavesNoMoreThanMaxHeldBytes(t *testing.T) {
	b := newBench(t, func(o *Options) { o.MaxHeldBytes = 100 })
	for _, tr := range b.tracks {
		b.report(tr, &rtcp.SenderReport{SSRC: 7, NTPTime: ntp(0)})
	}
	b.send(b.video, 0, idr)
	b.send(b.audio, 0, aacPacket)
	for ms := uint32(40); ms <= 4000; ms += 40 { // all at once
		b.send(b.video, ms, slice)
	}
	if n := len(b.r.all()); n < 101+1-100/4-1 || b.queued > 100+4 {
		t.Errorf("%d frames handed on, %d bytes wait", n, b.queued)
	}
	b.end(ingest.ErrUnpublished)
	checkOrder(t, b.r.all(), 0)
	if n := len(b.r.all()); n != 102 || b.queued != 0 {
		t.Errorf("%d frames, %d bytes wait in the end", n, b.queued)
	}
}

func TestInterleaves(t *testing.T) {
	b := newBench(t, nil)
	for _, tr := range b.tracks {
		b.report(tr, &rtcp.SenderReport{SSRC: 7, NTPTime: ntp(0)})
	}
	b.send(b.video, 0, idr)
	for ms := uint32(0); ms <= 200; ms += 20 { // audio is ahead
		b.send(b.audio, ms, aacPacket)
	}
	for ms := uint32(40); ms <= 400; ms += 40 {
		b.send(b.video, ms, slice)
	}
	checkOrder(t, b.r.all(), 0)
	before := len(b.r.all())
	b.now = b.now.Add(DefaultInterleaveWait) // audio stays away: pictures go on without it
	b.send(b.video, 440, slice)
	if after := len(b.r.all()); after-before != 5 {
		t.Errorf("%d frames after the wait, want the 5 that waited", after-before)
	}
}

// TestEndGivesMemoryBack checks that a publisher that is gone has released its memory, however it ended and wherever its frames waited.
func TestEndGivesMemoryBack(t *testing.T) {
	for _, cause := range []error{ingest.ErrUnpublished, ingest.ErrReplaced} {
		for _, reported := range []bool{false, true} {
			memory := ingest.NewMemory(1 << 20)
			b := newBench(t, func(o *Options) { o.Memory = memory })
			if reported { // what waits does so for the other track
				b.report(b.video, &rtcp.SenderReport{SSRC: 7, NTPTime: ntp(0)})
				b.report(b.audio, &rtcp.SenderReport{SSRC: 7, NTPTime: ntp(0)})
			}
			b.send(b.video, 0, idr)
			b.send(b.video, 40, slice)
			b.send(b.video, 80, slice)
			if memory.Used() == 0 {
				t.Fatal("nothing waits")
			}
			if cause != ingest.ErrUnpublished {
				b.announce.Cancel(cause)
			}
			b.end(cause)
			if n := memory.Used(); n != 0 {
				t.Errorf("%v, reported %v: %d bytes are never given back", cause, reported, n)
			}
		}
	}
}

func TestJumpGoesOn(t *testing.T) {
	b := newBench(t, func(o *Options) { o.SyncWait = time.Nanosecond })
	b.packetOf(b.video, 3_600_000, idr)
	b.now = b.now.Add(40 * time.Millisecond)
	b.packetOf(b.video, 3_600_040, slice)
	b.now = b.now.Add(40 * time.Millisecond)
	b.packetOf(b.video, 0, idr) // the encoder restarted
	b.now = b.now.Add(time.Second)
	b.packetOf(b.video, 40, slice)
	b.end(ingest.ErrUnpublished)
	frames := b.r.all()
	checkOrder(t, frames, 0)
	if len(frames) != 4 || frames[3].PTS-frames[0].PTS != 3*3600 || b.stats.Jumps.Load() != 1 {
		t.Errorf("%d frames over %d ticks, %d jumps", len(frames), frames[len(frames)-1].PTS-frames[0].PTS, b.stats.Jumps.Load())
	}
}

// TestDropsBeforeParameters checks that a picture without parameter sets is lost, and that sets in their own packets join the picture that
// follows.
func TestDropsBeforeParameters(t *testing.T) {
	b := newBenchOf(t, sdpH264, nil)
	b.send(b.video, 0, idr)
	b.send(b.video, 40, spsPlain)
	if n := b.stats.Ledger.Dropped[ingest.NoHeader].Load(); n != 1 || len(b.r.all()) != 0 {
		t.Errorf("%d dropped", n)
	}
	b.send(b.video, 80, ppsPlain)
	b.send(b.video, 120, idr)
	if frames := b.r.all(); len(frames) != 1 || frames[0].Track.Bitrate != 800_000 || len(frames[0].Units) != 3 {
		t.Errorf("%d frames", len(frames))
	}
	b.end(ingest.ErrUnpublished)
	if in := b.announce.Ledger.Video.Received.Load(); in != 2 {
		t.Errorf("%d received", in)
	}
}

func TestReasonPhrase(t *testing.T) {
	if got := reasonPhrase(strings.Repeat("ä", maxReason)); len(got) != maxReason || !strings.HasSuffix(got, "ä") {
		t.Errorf("%d bytes", len(got))
	}
}

// TestPictureParameterSetsOneByOne checks that each comes in its own picture, and joins or replaces the others.
func TestPictureParameterSetsOneByOne(t *testing.T) {
	b := newBenchOf(t, sdpHead+lineH264+mapH264+setsH264, nil)
	second, other := []byte{0x68, 0x5f, 1}, []byte{0x68, 0x5f, 2} // number 1
	for i, set := range [][]byte{nil, second, second, ppsPlain, other} {
		if set != nil {
			b.packetOf(b.video, uint32(i*40), set)
		}
		b.packetOf(b.video, uint32(i*40), idr)
	}
	b.end(ingest.ErrUnpublished)
	frames := b.r.all()
	if len(frames) != 5 {
		t.Fatalf("%d frames", len(frames))
	}
	if frames[1].Track == frames[0].Track || len(frames[1].Track.PPS) != 2 {
		t.Errorf("%d sets", len(frames[1].Track.PPS))
	}
	if frames[2].Track != frames[1].Track || frames[3].Track != frames[1].Track {
		t.Error("sets sent again made another track")
	}
	if frames[4].Track == frames[3].Track || len(frames[4].Track.PPS) != 2 {
		t.Errorf("%d sets", len(frames[4].Track.PPS))
	}
}
