package rtsp

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// encoder is a synthetic encoder with a picture every 40 ms and audio every 1024 samples, which sends each track as configured. Its
// payloads are numbered, so that their true time is known when they come out.
type encoder struct {
	length       time.Duration
	video, audio sender
}

// sender is how one of its tracks is sent.
type sender struct {
	late    time.Duration // of each packet, after its time
	jitter  time.Duration // up to this much more; packets keep their order
	loss    int           // one packet of this many is lost, and holds up those behind it as the library's queue does; 0: none
	reports func(i int) (at time.Duration, ok bool)
	jumps   map[time.Duration]time.Duration // from when on, and by how much, its timestamps are off
}

// every sends reports from a time on, five seconds apart.
func every(from time.Duration) func(int) (time.Duration, bool) {
	return func(i int) (time.Duration, bool) { return from + time.Duration(i)*5*time.Second, true }
}

// never sends none.
func never(int) (time.Duration, bool) { return 0, false }

// held is how many packets the library holds back behind a lost one.
const held = 64

// coming is a packet on its way.
type coming struct {
	at time.Duration
	arrived
}

// packets returns the packets of one track, in order of arrival.
func (s *sender) packets(r *rand.Rand, tr *track, length time.Duration, frame func(n int) (at time.Duration, payload []byte)) (all []coming, sent int) {
	base, ssrc := r.Uint32(), r.Uint32()
	stamp := func(at time.Duration) uint32 {
		for from, by := range s.jumps {
			if at >= from {
				at += by
			}
		}
		return base + uint32(scale(int64(at), tr.clock.rate, int64(time.Second)))
	}
	var newest time.Duration
	var behind []coming // a lost packet
	for n := 0; ; n++ {
		at, payload := frame(n)
		if at >= length {
			break
		}
		newest = max(newest, at+s.late+time.Duration(r.Int64N(int64(s.jitter)+1)))
		c := coming{newest, arrived{track: tr, rtp: &rtp.Packet{
			Header: rtp.Header{Marker: true, SequenceNumber: uint16(n), SSRC: ssrc, Timestamp: stamp(at)}, Payload: payload,
		}}}
		switch {
		case s.loss > 0 && n%s.loss == s.loss/2:
			behind = make([]coming, 0, held)
			continue
		case behind != nil && len(behind) < held-1:
			behind = append(behind, c)
		case behind != nil:
			for _, b := range append(behind, c) {
				b.at = newest
				all = append(all, b)
			}
			behind = nil
		default:
			all = append(all, c)
		}
		sent++
	}
	for _, b := range behind { // at the end of the show
		b.at = newest
		all = append(all, b)
	}
	for i := 0; ; i++ {
		at, ok := s.reports(i)
		if !ok || at >= length {
			break
		}
		all = append(all, coming{at + s.late, arrived{track: tr, rtcp: &rtcp.SenderReport{
			SSRC: ssrc, NTPTime: uint64(4e9)<<32 + uint64(float64(at)/1e9*(1<<32)), RTPTime: stamp(at),
		}}})
	}
	return all, sent
}

// showing is the output: where each track's frames were placed, as the distance from their true times.
type showing struct {
	*bench
	video, audio []placed
	sent         [2]int
}

type placed struct {
	at  time.Duration // true time
	off int64         // 90 kHz ticks

	came, out time.Time // when it was passed on
}

// numbered appends a number without anything that looks like a start code.
func numbered(b []byte, n int) []byte {
	return append(b, byte(n>>21)|0x80, byte(n>>14)|0x80, byte(n>>7)|0x80, byte(n)|0x80)
}

func numberOf(b []byte) (n int) {
	for _, c := range b[:4] {
		n = n<<7 | int(c&0x7F)
	}
	return n
}

// show runs an encoder.
func (e encoder) show(t *testing.T, seed uint64) *showing {
	t.Helper()
	s := &showing{bench: newBench(t, nil)}
	r := rand.New(rand.NewPCG(seed, 1))
	video, sentVideo := e.video.packets(r, s.bench.video, e.length, func(n int) (time.Duration, []byte) {
		return time.Duration(n) * 40 * time.Millisecond, numbered([]byte{0x65, 0x88}, n)
	})
	const rate = 22050 // of the core coder that sdpFull announces
	audio, sentAudio := e.audio.packets(r, s.bench.audio, e.length, func(n int) (time.Duration, []byte) {
		return time.Duration(n) * 1024 * time.Second / rate, numbered([]byte{0, 16, 0, 6 << 3, 0x21, 0}, n)
	})
	s.sent = [2]int{sentVideo, sentAudio}
	all := append(video, audio...)
	slices.SortStableFunc(all, func(a, b coming) int { return cmp.Compare(a.at, b.at) })
	start, seen := s.now, 0
	note := func() {
		frames := s.r.all()
		for _, f := range frames[seen:] {
			n := numberOf(f.Units[0][2:])
			at := time.Duration(n) * 40 * time.Millisecond
			to := &s.video
			if !f.Track.Codec.IsVideo() {
				at, to = time.Duration(n)*1024*time.Second/rate, &s.audio
			}
			*to = append(*to, placed{at, f.PTS - ticks90(at), f.Arrival, s.now})
		}
		seen = len(frames)
	}
	for _, c := range all {
		s.now = start.Add(c.at)
		s.receive(c.arrived)
		note()
	}
	s.end(ingest.ErrUnpublished)
	note()
	if err := s.failure(); err != nil {
		t.Errorf("ended: %v", err)
	}
	return s
}

// check checks what is true of every show: nothing is lost, DTS of each track rises, and the order is kept.
func (s *showing) check(t *testing.T) {
	t.Helper()
	if len(s.video) != s.sent[0] || len(s.audio) != s.sent[1] {
		t.Errorf("%d pictures of %d, %d sounds of %d", len(s.video), s.sent[0], len(s.audio), s.sent[1])
	}
	last := map[bool]int64{}
	for _, f := range s.r.all() {
		video := f.Track.Codec.IsVideo()
		if f.DTS <= last[video] || f.PTS < f.DTS {
			t.Fatalf("%v: DTS %d after %d, PTS %d", f.Track.Codec, f.DTS, last[video], f.PTS)
		}
		last[video] = f.DTS
	}
	for _, track := range [][]placed{s.video, s.audio} {
		if !slices.IsSortedFunc(track, func(a, b placed) int { return cmp.Compare(a.at, b.at) }) {
			t.Error("frames are out of order")
		}
	}
}

// steps returns where a track's distance from the true time changes by more than a millisecond from one frame to the next.
func steps(track []placed) (at []time.Duration) {
	for i := 1; i < len(track); i++ {
		if d := track[i].off - track[i-1].off; d > 90 || d < -90 {
			at = append(at, track[i].at)
		}
	}
	return at
}

// apartAt returns how much later audio is placed than video at a true time.
func (s *showing) apartAt(at time.Duration) time.Duration {
	find := func(track []placed) int64 {
		i, _ := slices.BinarySearchFunc(track, at, func(p placed, at time.Duration) int { return cmp.Compare(p.at, at) })
		return track[min(i, len(track)-1)].off
	}
	return time.Duration(find(s.audio)-find(s.video)) * time.Second / ingest.Clock
}

// TestSkewWithReports checks that tracks which are sent early or late are aligned by the sender reports, from the first frame to the last,
// without a step.
func TestSkewWithReports(t *testing.T) {
	for _, skew := range []time.Duration{-5000, -3500, -2000, -600, -200, 0, 200, 600, 2000, 3400, 3600, 5000} {
		for _, jitter := range []time.Duration{0, 80} {
			for _, loss := range []int{0, 150} {
				name := fmt.Sprintf("sound %d ms late, jitter %d ms, loss 1 of %d", skew, jitter, loss)
				skew, jitter := skew*time.Millisecond, jitter*time.Millisecond
				e := encoder{
					length: 25 * time.Second,
					video:  sender{late: max(0, -skew), jitter: jitter, loss: loss, reports: every(0)},
					audio:  sender{late: max(0, skew), jitter: jitter, loss: loss, reports: every(0)},
				}
				t.Run(name, func(t *testing.T) {
					s := e.show(t, uint64(skew)^uint64(jitter))
					s.check(t)
					if n := s.stats.Steps.Load(); n != 0 || len(steps(s.video))+len(steps(s.audio)) != 0 {
						t.Errorf("%d steps: %v, %v", n, steps(s.video), steps(s.audio))
					}
					// The early track waits for the late one, but no longer than configured: until the next packet after that.
					for _, track := range [][]placed{s.video, s.audio} {
						for _, p := range track {
							if wait := p.out.Sub(p.came); loss == 0 && p.at > DefaultSyncWait && wait > DefaultInterleaveWait+50*time.Millisecond+jitter {
								t.Fatalf("the frame of %v waited for %v", p.at, wait)
							}
						}
					}
					for at := time.Duration(0); at < e.length; at += time.Second {
						if d := s.apartAt(at); d > time.Millisecond || d < -time.Millisecond {
							t.Errorf("sound is %v after the picture at %v", d, at)
						}
					}
				})
			}
		}
	}
}

// TestSkewWithoutReports checks that without reports the times of arrival decide, once; nothing is lost, and nothing steps.
func TestSkewWithoutReports(t *testing.T) {
	reports := map[string][2]func(int) (time.Duration, bool){
		"none": {never, never}, "of the picture": {every(0), never}, "of the sound, late": {never, every(12 * time.Second)},
	}
	for name, r := range reports {
		for _, skew := range []time.Duration{-5000, -2000, -600, 0, 600, 2000, 3600, 5000} {
			for _, loss := range []int{0, 150} {
				skew := skew * time.Millisecond
				e := encoder{
					length: 20 * time.Second,
					video:  sender{late: max(0, -skew), jitter: 50 * time.Millisecond, loss: loss, reports: r[0]},
					audio:  sender{late: max(0, skew), jitter: 50 * time.Millisecond, loss: loss, reports: r[1]},
				}
				t.Run(fmt.Sprintf("reports: %s, sound %v late, loss 1 of %d", name, skew, loss), func(t *testing.T) {
					s := e.show(t, uint64(skew))
					s.check(t)
					if n := s.stats.Steps.Load(); n != 0 || len(steps(s.video))+len(steps(s.audio)) != 0 {
						t.Errorf("%d steps: %v, %v", n, steps(s.video), steps(s.audio))
					}
					if d := s.apartAt(10*time.Second) - skew; d > 60*time.Millisecond || d < -60*time.Millisecond {
						t.Errorf("sound is %v from where its arrival puts it", d)
					}
				})
			}
		}
	}
}

// TestSkewWithLateReports checks that late reports align the tracks by one step of the track that is early, and that nothing is lost.
func TestSkewWithLateReports(t *testing.T) {
	for _, from := range [][2]time.Duration{{8, 8}, {4, 12}, {12, 4}, {0, 9}, {9, 0}} {
		for _, skew := range []time.Duration{-5000, -2000, -600, -150, 0, 150, 600, 2000, 5000} {
			skew := skew * time.Millisecond
			e := encoder{
				length: 60 * time.Second,
				video:  sender{late: max(0, -skew), jitter: 20 * time.Millisecond, reports: every(from[0] * time.Second)},
				audio:  sender{late: max(0, skew), jitter: 20 * time.Millisecond, reports: every(from[1] * time.Second)},
			}
			t.Run(fmt.Sprintf("reports of the picture from %d s, of the sound from %d s, sound %v late", from[0], from[1], skew), func(t *testing.T) {
				s := e.show(t, uint64(skew))
				s.check(t)
				most := 1
				if skew == 0 {
					most = 0
				}
				if n := len(steps(s.video)) + len(steps(s.audio)); n > most {
					t.Errorf("%d steps: %v, %v", n, steps(s.video), steps(s.audio))
				}
				if d := s.apartAt(55 * time.Second); d > 11*time.Millisecond || d < -11*time.Millisecond { // the deadband is 10 ms
					t.Errorf("sound is %v after the picture in the end", d)
				}
			})
		}
	}
}

// TestJumpsOfTimeStamps checks that an encoder whose timestamps jump, on both tracks or on one, loses nothing, and that its tracks are
// aligned again with the next reports.
func TestJumpsOfTimeStamps(t *testing.T) {
	const at = 20 * time.Second
	for _, by := range []time.Duration{-3600 * time.Second, -20 * time.Second, -3 * time.Second, -1 * time.Second, -300 * time.Millisecond,
		300 * time.Millisecond, 3 * time.Second, 9 * time.Second, 20 * time.Second, 3600 * time.Second} {
		for _, which := range []string{"both", "picture", "sound"} {
			for _, reports := range []bool{true, false} {
				e := encoder{
					length: 60 * time.Second,
					video:  sender{jitter: 20 * time.Millisecond, reports: never},
					audio:  sender{jitter: 20 * time.Millisecond, reports: never},
				}
				if reports {
					e.video.reports, e.audio.reports = every(0), every(0)
				}
				if which != "sound" {
					e.video.jumps = map[time.Duration]time.Duration{at: by}
				}
				if which != "picture" {
					e.audio.jumps = map[time.Duration]time.Duration{at: by}
				}
				t.Run(fmt.Sprintf("%s by %v, reports %v", which, by, reports), func(t *testing.T) {
					s := e.show(t, uint64(by))
					s.check(t)
					within := 60 * time.Millisecond
					if reports {
						within = 11 * time.Millisecond
					} else if which == "picture" && by > -680*time.Millisecond && by < 10*time.Second || which == "sound" && by > -500*time.Millisecond && by < 10*time.Second {
						return // it cannot be told from a pause of one track, or from reordering
					}
					if d := s.apartAt(55 * time.Second); d > within || d < -within {
						t.Errorf("sound is %v after the picture in the end", d)
					}
				})
			}
		}
	}
}

// FuzzSkew runs encoders of every kind.
func FuzzSkew(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 2))
		span := func(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) }
		track := func() sender {
			s := sender{late: span(5 * time.Second), jitter: span(300 * time.Millisecond), reports: never}
			if r.IntN(2) == 0 {
				s.loss = 70 + r.IntN(200)
			}
			if r.IntN(3) > 0 {
				s.reports = every(span(12 * time.Second))
			}
			if r.IntN(3) == 0 {
				s.jumps = map[time.Duration]time.Duration{span(20 * time.Second): span(40*time.Second) - 20*time.Second}
			}
			return s
		}
		encoder{length: 20 * time.Second, video: track(), audio: track()}.show(t, seed).check(t)
	})
}
