package rtsp

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// duo returns a video and an audio track under an aligner; both count in 90 kHz from RTP 0.
func duo() (a *aligner, video, audio *track, at func(time.Duration) time.Time) {
	video = &track{stream: &fakeVideo{}, clock: rtpClock{rate: ingest.Clock}}
	audio = &track{stream: &fakeAudio{}, clock: rtpClock{rate: ingest.Clock}}
	start := time.Unix(1000, 0)
	return &aligner{tracks: []*track{video, audio}, stats: &Stats{}}, video, audio,
		func(d time.Duration) time.Time { return start.Add(d) }
}

type (
	fakeVideo struct{ video }
	fakeAudio struct{ audio }
)

func (*fakeVideo) codec() ingest.Codec                             { return ingest.H264 }
func (*fakeAudio) codec() ingest.Codec                             { return ingest.AAC }
func (*fakeAudio) packet(*rtp.Packet, time.Time, func(unit)) error { return nil }

// ms converts milliseconds to 90 kHz ticks.
func ms(n int64) int64 { return n * 90 }

// ntp returns the NTP timestamp n milliseconds after some epoch.
func ntp(n uint64) uint64 { return (5000+n/1000)<<32 | (n%1000)<<32/1000 + 1 }

// seen gives a track a frame at own milliseconds that came at arrival.
func seen(t *track, own int64, arrival time.Time) heldFrame {
	pts, _ := t.clock.local(uint32(ms(own)), arrival)
	return heldFrame{track: t, pts: pts, dts: pts, arrival: arrival}
}

// apart returns how much later audio is placed than video, for frames of the same own time.
func apart(video, audio *track) int64 { return audio.align.base - video.align.base }

func near(got, want int64) bool { return got-want <= 1 && want-got <= 1 }

func TestAlignByReports(t *testing.T) {
	a, video, audio, at := duo()
	a.report(video, 1, ntp(0), 0) // before its first packet
	held := []heldFrame{seen(video, 0, at(0)), seen(audio, 0, at(300*time.Millisecond))}
	a.placeReport(video)
	a.report(audio, 2, ntp(140), uint32(ms(100))) // the audio of 0 was made at 40
	if !a.ready() {
		t.Fatal("not ready")
	}
	a.begin(held)
	if got := apart(video, audio); !near(got, ms(40)) {
		t.Errorf("%d ticks apart, want %d", got, ms(40))
	}
	if first := min(video.align.base, audio.align.base); first != timelineStart {
		t.Errorf("begins at %d", first)
	}
}

func TestAlignByArrivalThenStep(t *testing.T) {
	a, video, audio, at := duo()
	held := []heldFrame{
		seen(video, 0, at(0)), seen(audio, 0, at(300*time.Millisecond)),
		seen(audio, 100, at(320*time.Millisecond)), // the least delayed
	}
	a.begin(held)
	if got := apart(video, audio); got != ms(220) {
		t.Errorf("%d ticks apart, want %d", got, ms(220))
	}
	before := [2]int64{video.align.base, audio.align.base}
	a.report(video, 1, ntp(0), 0)
	a.report(audio, 2, ntp(0), 0) // they belong together: video is 220 ms early
	if got := apart(video, audio); !near(got, 0) || a.stats.Steps.Load() != 1 {
		t.Errorf("%d ticks apart after %d steps", got, a.stats.Steps.Load())
	}
	if video.align.base < before[0] || audio.align.base < before[1] {
		t.Error("a track went back in time")
	}
}

func TestAlignSlews(t *testing.T) {
	a, video, audio, at := duo()
	a.begin([]heldFrame{seen(video, 0, at(0)), seen(audio, 0, at(0))})
	a.report(video, 1, ntp(0), 0)
	a.report(audio, 2, ntp(50), 0) // 50 ms: no step
	last := int64(0)
	for own := int64(20); own <= 60_000; own += 20 {
		h := seen(audio, own, at(time.Duration(own)*time.Millisecond))
		placed := audio.align.place(h.pts)
		if d := placed - last; last != 0 && (d < ms(19) || d > ms(21)) {
			t.Fatalf("audio moved by %d ticks in 20 ms", d)
		}
		last = placed
		if own == 10_000 && (apart(video, audio) < ms(8) || apart(video, audio) > ms(11)) {
			t.Errorf("%d ticks worked off in 10 s, want about %d", apart(video, audio), ms(10))
		}
	}
	if got := apart(video, audio); !near(got, ms(50)) || a.stats.Steps.Load() != 0 {
		t.Errorf("%d ticks apart in the end, %d steps", got, a.stats.Steps.Load())
	}
	// Within the deadband nothing moves.
	a.report(audio, 2, ntp(60_055), uint32(ms(60_000)))
	if audio.align.slewActive {
		t.Error("5 ms are worked off")
	}
}

func TestAlignIgnoresNonsense(t *testing.T) {
	a, video, audio, at := duo()
	a.begin([]heldFrame{seen(video, 0, at(0)), seen(audio, 0, at(0))})
	a.report(video, 1, 0, 0) // no clock
	a.report(video, 1, ntp(0), 0)
	a.report(audio, 2, ntp(20_000), 0) // 20 s off
	if apart(video, audio) != 0 || a.stats.SenderReportsIgnored.Load() == 0 {
		t.Errorf("%d ticks apart, %d ignored", apart(video, audio), a.stats.SenderReportsIgnored.Load())
	}
}

func TestAlignLateTrack(t *testing.T) {
	a, video, audio, at := duo()
	a.begin([]heldFrame{seen(video, 0, at(0))})
	video.align.lastOut, video.align.lastArrival = timelineStart+ms(7000), at(7*time.Second)
	h := seen(audio, 500, at(8*time.Second))
	a.join(audio, h.pts, h.arrival)
	if got := audio.align.place(h.pts); got != timelineStart+ms(8000) {
		t.Errorf("placed at %d, want %d", got-timelineStart, ms(8000))
	}
}
