package mpegts

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// skewed is a publisher that sends one track later than the other, by a constant time.
type skewed struct {
	config   Config
	interval float64 // ticks between pictures
	gop      int     // pictures per segment; of audio alone a second is one
	reorder  int     // pictures by which a picture is shown later than it is decoded, at most
	frame    int64   // ticks of an audio frame
	late     int64   // ticks by which audio is sent later than video of its time; negative: earlier
	length   int64   // ticks
	seed     uint64

	silent     Track // of this track nothing comes
	from, upTo int64 // in this span of its time stamps
	queued     bool  // it comes late, all at once; else it is lost
	say        int64 // ticks of arrival after which Away is said; 0: never
}

// arrival is an access unit on its way in.
type arrival struct {
	when  int64
	track Track
	n     int
	dts   int64
	pts   int64
}

func (s *skewed) arrivals() (list []arrival) {
	r := newSource(s.seed)
	add := func(a arrival, late int64) {
		a.when = a.dts + late
		if a.track == s.silent && s.from <= a.dts && a.dts < s.upTo {
			if !s.queued {
				return
			}
			a.when = s.upTo + late
		}
		list = append(list, a)
	}
	for n := 0; s.config.Video != 0; n++ {
		dts := int64(float64(n) * s.interval)
		if dts >= s.length {
			break
		}
		a := arrival{track: VideoTrack, n: n, dts: dts, pts: dts}
		if s.reorder > 0 {
			a.pts += int64(float64(1+n%s.reorder) * s.interval)
		}
		add(a, max(-s.late, 0))
	}
	for n := 0; s.config.Audio != 0; n++ {
		pts := int64(n)*s.frame + int64(r.IntN(181)) - 90 // milliseconds
		if pts >= s.length {
			break
		}
		if n > 0 || s.config.Video == 0 { // none comes before the first picture
			add(arrival{track: AudioTrack, n: n, dts: max(pts, 0), pts: max(pts, 0)}, max(s.late, 0))
		}
	}
	slices.SortStableFunc(list, func(a, b arrival) int { return int(a.when - b.when) })
	return list
}

// play muxes it as a segmenter does: cut at keyframes, sound from before a cut that comes within 50 ms goes to the segment
// before it.
func (s *skewed) play(t *testing.T) (segments [][]byte, m *Muxer) {
	m, pool, r := newMuxer(t, s.config), new(Pool), newSource(s.seed)
	var b, old *Buffer
	var cut, cutAt int64
	newest := [2]int64{-1, -1}
	closeOld := func() {
		if old != nil {
			m.FlushAudio(old)
			segments = append(segments, bytesOf(old))
			old = nil
		}
	}
	for _, a := range s.arrivals() {
		if old != nil && a.when > cut+50*90 {
			closeOld()
		}
		key := a.track == VideoTrack && a.n%s.gop == 0 || s.config.Video == 0 && (b == nil || a.dts-cutAt >= 90000)
		if key {
			closeOld()
			if b != nil {
				old = b
			}
			b, cut, cutAt = pool.Buffer(), a.when, a.dts
			m.Begin(b)
			if s.config.Audio == 0 || s.config.Video == 0 {
				closeOld()
			}
		}
		if b == nil {
			continue // sound from before the first picture
		}
		newest[a.track] = a.when
		for _, track := range []Track{VideoTrack, AudioTrack} {
			if s.say > 0 && newest[track] >= 0 && a.when-newest[track] > s.say {
				m.Away(track)
			}
		}
		if a.track == VideoTrack {
			m.Video(b, VideoUnit{PTS: a.pts, DTS: a.dts, IDR: key, Units: [][]byte{r.nal(s.config.Video, 50+r.IntN(300), key)}})
			continue
		}
		frame := r.mp3(50+r.IntN(200), false)
		if old != nil && a.pts < cutAt {
			m.Audio(old, a.pts, frame)
			continue
		}
		closeOld()
		m.Audio(b, a.pts, frame)
	}
	closeOld()
	m.FlushAudio(b)
	return append(segments, bytesOf(b)), m
}

// carriesPCR reports whether any packet has a PCR.
func carriesPCR(stream []byte) bool {
	for ; len(stream) > 0; stream = stream[PacketSize:] {
		if stream[3]&adaptation != 0 && stream[4] > 0 && stream[5]&hasPCR != 0 {
			return true
		}
	}
	return false
}

// verify holds that the PCR rises by at most 100 ms and is never past what follows, which inspect finds; that it is in every
// segment; and that it is not far behind the slower track either.
func (s *skewed) verify(t *testing.T) {
	t.Helper()
	segments, m := s.play(t)
	for i, b := range segments {
		if !carriesPCR(b) {
			t.Errorf("segment %d of %d has no PCR", i, len(segments))
		}
	}
	in := inspect(t, bytes.Join(segments, nil))
	checkSpacing(t, in.pcrs)
	if m.Stats().PCRReset.Load() != 0 || m.Stats().AudioLate.Load() != 0 {
		t.Errorf("%d resets, %d late audio packets", m.Stats().PCRReset.Load(), m.Stats().AudioLate.Load())
	}
	want := 0
	for _, a := range s.arrivals() {
		if a.track == VideoTrack {
			want++
		}
	}
	if len(in.video) != want || s.config.Audio != 0 && len(in.audio) == 0 {
		t.Errorf("%d pictures of %d, %d audio packets", len(in.video), want, len(in.audio))
	}
	last := int64(1 << 62)
	for _, list := range [][]pesUnit{in.video, in.audio} {
		if len(list) > 0 {
			last = min(last, list[len(list)-1].dts)
		}
	}
	if pcr := in.pcrs[len(in.pcrs)-1]; last-pcr > 300*90+audioSpan+audioHold+int64(s.interval) {
		t.Errorf("the PCR ends %d ticks behind the slower track", last-pcr)
	}
}

// TestPCRFollowsTheSlowerTrack sends audio and video up to five seconds apart.
func TestPCRFollowsTheSlowerTrack(t *testing.T) {
	audio := map[string]Config{"AAC": {Audio: AAC, ASC: ascLC48}, "AAC at 96 kHz": {Audio: AAC, ASC: []byte{0x10, 0x10}}, "MP3": {Audio: MP3MPEG1}}
	frames := map[string]int64{"AAC": 1920, "AAC at 96 kHz": 960, "MP3": 2351}
	seed := uint64(0)
	for fps, gop := range map[float64]int{24: 48, 25: 50, 30000. / 1001: 60, 60: 120, 10: 20, 5: 10, 1: 2, 0.2: 1} {
		for _, late := range []float64{-5, -2, -0.6, -0.35, -0.1, 0, 0.04, 0.1, 0.2, 0.35, 0.6, 1, 2, 3, 5} {
			for sound, c := range audio {
				seed++
				s := skewed{
					config: c, interval: 90000 / fps, gop: gop, reorder: 3 * int(seed&1), frame: frames[sound],
					late: int64(late * 90000), length: 9 * 90000, seed: seed,
				}
				s.config.Video = []StreamType{H264, H265}[seed>>1&1]
				if fps < 1 {
					s.length = 30 * 90000
				}
				t.Run(fmt.Sprintf("%.4g fps, %s %v s late", fps, sound, late), s.verify)
			}
		}
	}
	for sound, c := range audio {
		s := skewed{config: c, frame: frames[sound], length: 10 * 90000, gop: 1}
		t.Run(sound+" alone", s.verify)
	}
	s := skewed{config: Config{Video: H264}, interval: 3600, gop: 50, length: 10 * 90000}
	t.Run("video alone", s.verify)
}

// TestPCRCostsNothingWhereAudioIsEarly: pictures that come often carry the PCR themselves, however early the audio is.
func TestPCRCostsNothingWhereAudioIsEarly(t *testing.T) {
	for _, late := range []int64{-5, -1, 0} {
		s := skewed{config: Config{Video: H264, Audio: AAC, ASC: ascLC48}, interval: 3600, gop: 50, frame: 1920, late: late * 90000, length: 12 * 90000}
		segments, _ := s.play(t)
		if in := inspect(t, bytes.Join(segments, nil)); in.pcrOnly > 0 {
			t.Errorf("audio %d s early: %d packets for the PCR alone", -late, in.pcrOnly)
		}
	}
}

// TestPCROverStalls lets one track pause while the other goes on: what is lost then, or comes afterwards, finds no PCR past
// it, however far the tracks are apart.
func TestPCROverStalls(t *testing.T) {
	for _, track := range []Track{VideoTrack, AudioTrack} {
		for _, late := range []int64{-5, -1, 0, 1, 5} {
			for _, silence := range []int64{300, 900, 2000, 4000} { // ms
				for _, queued := range []bool{false, true} {
					for _, say := range []int64{0, 500, 4500} { // ms
						if queued && say > 0 && silence > say {
							continue // then it is impossible: see TestPCRAfterVideoFellBehind
						}
						s := skewed{
							config: Config{Video: H264, Audio: AAC, ASC: ascLC48}, interval: 3600, gop: 25, reorder: 2, frame: 1920, late: late * 90000, length: 14 * 90000,
							silent: track, from: 4 * 90000, upTo: 4*90000 + silence*90, queued: queued, say: say * 90,
						}
						t.Run(fmt.Sprintf("track %d, %d s late, silent for %d ms, queued %v, said after %d", track, late, silence, queued, say), s.verify)
					}
				}
			}
		}
	}
}
