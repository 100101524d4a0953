package rtsp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// bench is a publisher without a server, under a clock of the test's.
type bench struct {
	*publisher
	r            *recorder
	now          time.Time
	video, audio *track
	seq          uint16
}

func newBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	tracks, _, err := planOf(sdpFull)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{r: newRecorder(), now: time.Unix(1000, 0), video: tracks[0], audio: tracks[1]}
	o := Options{Publisher: b.r, Authorizer: b.r, Now: func() time.Time { return b.now }}
	if change != nil {
		change(&o)
	}
	b.publisher = &publisher{opts: o.withDefaults(), stats: &Stats{}}
	b.announce.Cancel = func(err error) { b.fail(err) }
	b.setTracks(tracks)
	b.start(recorded{r: b.r}, false)
	return b
}

// send has one packet come in, ms milliseconds into its track.
func (b *bench) send(tr *track, ms uint32, payload []byte) {
	b.seq++
	b.receive(arrived{track: tr, rtp: &rtp.Packet{
		Header:  rtp.Header{Marker: true, SequenceNumber: b.seq, SSRC: 7, Timestamp: ms * uint32(tr.clock.rate) / 1000},
		Payload: payload,
	}})
}

// report has a sender report come in.
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
	b.report(b.audio, &rtcp.SenderReport{SSRC: 8, NTPTime: ntp(0)}) // another's
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

func TestInterleaves(t *testing.T) {
	b := newBench(t, nil)
	for _, tr := range b.tracks {
		b.report(tr, &rtcp.SenderReport{SSRC: 7, NTPTime: ntp(0)})
	}
	b.send(b.video, 0, idr)
	for ms := uint32(0); ms <= 200; ms += 20 { // sound is ahead
		b.send(b.audio, ms, aacPacket)
	}
	for ms := uint32(40); ms <= 400; ms += 40 {
		b.send(b.video, ms, slice)
	}
	checkOrder(t, b.r.all(), 0)
	before := len(b.r.all())
	b.now = b.now.Add(DefaultInterleaveWait) // sound stays away: pictures go on without it
	b.send(b.video, 440, slice)
	if after := len(b.r.all()); after-before != 5 {
		t.Errorf("%d frames after the wait, want the 5 that waited", after-before)
	}
}

func TestJumpGoesOn(t *testing.T) {
	b := newBench(t, func(o *Options) { o.SyncWait = time.Nanosecond })
	b.send(b.video, 3_600_000, idr)
	b.now = b.now.Add(40 * time.Millisecond)
	b.send(b.video, 3_600_040, slice)
	b.now = b.now.Add(40 * time.Millisecond)
	b.send(b.video, 0, idr) // the encoder began anew
	b.now = b.now.Add(time.Second)
	b.send(b.video, 40, slice)
	b.end(ingest.ErrUnpublished)
	frames := b.r.all()
	checkOrder(t, frames, 0)
	if len(frames) != 4 || frames[3].PTS-frames[0].PTS != 3*3600 || b.stats.Jumps.Load() != 1 {
		t.Errorf("%d frames over %d ticks, %d jumps", len(frames), frames[len(frames)-1].PTS-frames[0].PTS, b.stats.Jumps.Load())
	}
}

func TestDropsBeforeParameters(t *testing.T) {
	tracks, _, err := planOf(sdpH264)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, nil)
	b.setTracks(tracks)
	b.send(tracks[0], 0, idr)
	b.send(tracks[0], 40, spsPlain)
	if b.stats.DroppedNoParameters.Load() != 2 || len(b.r.all()) != 0 {
		t.Errorf("%d dropped", b.stats.DroppedNoParameters.Load())
	}
	b.send(tracks[0], 80, ppsPlain)
	if b.stats.DroppedUnusable.Load() != 1 {
		t.Error("a unit without a picture is a frame")
	}
	b.send(tracks[0], 120, idr)
	if frames := b.r.all(); len(frames) != 1 || frames[0].Track.Bitrate != 800_000 {
		t.Errorf("%d frames", len(frames))
	}
}

func TestAssembler(t *testing.T) {
	var a assembler
	var got []unit
	emit := func(u unit) { got = append(got, u) }
	// Without markers, a unit keeps its own time stamp.
	_ = a.add(1, false, [][]byte{{1}, {}}, emit)
	_ = a.add(1, false, [][]byte{{2}}, emit)
	_ = a.add(2, false, nil, emit)
	if len(got) != 1 || got[0].rtp != 1 || len(got[0].data) != 2 {
		t.Errorf("%+v", got)
	}
	if err := a.add(3, false, [][]byte{bytes.Repeat([]byte{1}, maxUnitBytes+1)}, emit); !errors.Is(err, errUnitTooBig) {
		t.Errorf("%v", err)
	}
	many := make([][]byte, maxUnitNALs+1)
	for i := range many {
		many[i] = []byte{1}
	}
	if err := a.add(3, true, many, emit); !errors.Is(err, errUnitTooMany) {
		t.Errorf("%v", err)
	}
	if err := a.add(3, true, many[1:], emit); err != nil || len(got) != 2 {
		t.Errorf("%v, %d units", err, len(got))
	}
}

func TestReasonPhrase(t *testing.T) {
	if got := reasonPhrase(strings.Repeat("ä", maxReason)); len(got) != maxReason || !strings.HasSuffix(got, "ä") {
		t.Errorf("%d bytes", len(got))
	}
}

// TestPictureParameterSetsOneByOne: each comes in a picture of its own, and joins or replaces the others.
func TestPictureParameterSetsOneByOne(t *testing.T) {
	b := newBench(t, nil)
	v := b.video.stream.(*video)
	first := v.track
	second := []byte{0x68, 0x5f, 1} // number 1
	v.learn([][]byte{second})
	if len(v.pps) != 2 || v.track == first {
		t.Fatalf("%d sets", len(v.pps))
	}
	kept := v.track
	v.learn([][]byte{second})
	v.learn([][]byte{ppsPlain})
	if v.track != kept {
		t.Error("sets sent again made another track")
	}
	v.learn([][]byte{{0x68, 0x5f, 2}})
	if len(v.pps) != 2 || v.track == kept {
		t.Errorf("%d sets", len(v.pps))
	}
}
