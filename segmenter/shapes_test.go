package segmenter

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// encoderShapes are encoders as there are, with a GOP of 2 s where nothing else is said. None of them does anything wrong.
func encoderShapes() []encoderShape {
	const h264, h265 = ingest.H264, ingest.H265
	list := []encoderShape{
		{name: "25", codec: h264, gop: 50, audio: "aac"},
		{name: "24", codec: h264, num: 24, den: 1, gop: 48, audio: "aac"},
		{name: "30", codec: h264, num: 30, den: 1, gop: 60, audio: "aac44"},
		{name: "60", codec: h265, num: 60, den: 1, gop: 120, audio: "aac"},
		{name: "29.97", codec: h264, num: 30000, den: 1001, gop: 60, audio: "aac"},
		{name: "29.97 H.265", codec: h265, num: 30000, den: 1001, gop: 60, audio: "aac"},
		{name: "variable", codec: h264, gop: 60, show: func(n int64) int64 { return n*3000 + n*5%4*700 }, audio: "aac"},
		{name: "variable H.265", codec: h265, gop: 60, show: func(n int64) int64 { return n*3000 + n*3%4*700 }, between: 1, audio: "aac"},
		{name: "milliseconds", codec: h264, num: 30, den: 1, gop: 60, ms: true, audio: "aac44"},
		{name: "one reordered", codec: h264, gop: 50, between: 1, audio: "aac"},
		{name: "pyramid of 3", codec: h264, gop: 50, between: 3, audio: "aac"},
		{name: "pyramid of 7", codec: h265, num: 30, den: 1, gop: 64, between: 7, audio: "aac"},
		{name: "open GOPs", codec: h264, gop: 48, num: 24, den: 1, between: 3, keys: keyRecoveryOpen, audio: "aac"},
		{name: "open GOPs H.265", codec: h265, gop: 48, num: 24, den: 1, between: 3, keys: keyCRASkipped, audio: "aac"},
		{name: "decodable leading pictures", codec: h265, gop: 48, num: 24, den: 1, between: 3, keys: keyCRADecodable, audio: "aac"},
		{name: "CRA", codec: h265, gop: 50, keys: keyCRA, audio: "aac"},
		{name: "recovery points", codec: h264, gop: 50, keys: keyRecovery, audio: "aac"},
		{name: "gradual refresh", codec: h264, gop: 50, keys: keyRecoverySlow, audio: "aac"},
		{name: "slices", codec: h264, gop: 50, slices: 4, audio: "aac"},
		{name: "slices H.265", codec: h265, gop: 50, slices: 3, between: 1, audio: "aac"},
		{name: "clumps", codec: h264, gop: 50, clump: time.Second, audio: "aac"},
		{name: "clumps H.265", codec: h265, num: 30, den: 1, gop: 60, between: 3, clump: time.Second, audio: "aac44"},
		{name: "MP3", codec: h264, gop: 50, audio: "mp3"},
		{name: "MP3 22050", codec: h265, gop: 50, audio: "mp3low"},
		{name: "HE-AAC", codec: h264, gop: 50, audio: "he"},
		{name: "sound alone", audio: "aac"},
		{name: "sound alone HE-AAC", audio: "he"},
		{name: "sound alone MP3", audio: "mp3"},
		{name: "sound alone in clumps", audio: "aac44", clump: time.Second},
		{name: "picture alone", codec: h264, gop: 50, between: 1},
		{name: "picture alone H.265", codec: h265, num: 24, den: 1, gop: 48, between: 3, keys: keyCRASkipped},
		{name: "GOP of 10 s", codec: h264, gop: 250, audio: "aac"},
		{name: "GOP of 10 s H.265", codec: h265, num: 30, den: 1, gop: 300, between: 3, audio: "aac"},
		{name: "GOP of 1 s", codec: h265, num: 24, den: 1, gop: 24, audio: "aac"},
		{name: "every picture", codec: h264, gop: 1, audio: "aac"},
		{name: "1 per second", codec: h264, num: 1, den: 1, gop: 2, audio: "aac"},
		{name: "1 in 2 s", codec: h265, num: 1, den: 2, gop: 1, audio: "aac44"},
		{name: "wraps", codec: h264, num: 30, den: 1, gop: 60, base: 1<<33 - 15*Clock, audio: "aac"},
		{name: "before zero", codec: h265, gop: 50, base: -5 * Clock, audio: "aac"},
	}
	for _, late := range []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second} {
		list = append(list,
			encoderShape{name: "sound late by " + late.String(), codec: h264, gop: 50, late: [2]time.Duration{0, late}, audio: "aac"},
			encoderShape{name: "picture late by " + late.String(), codec: h265, num: 30, den: 1, gop: 60, between: 1, late: [2]time.Duration{late, 0}, audio: "aac"})
	}
	return list
}

// longest is the longest distance between two frames of the track that leads, in ticks.
func (s *encoderShape) longest() int64 {
	if s.codec == 0 {
		t := audioTrack(s.audio)
		return samplesOf(t)*Clock/int64(t.SampleRate) + 1
	}
	frame := int64(0)
	for n := range int64(8) {
		frame = max(frame, s.shown(n+1)-s.shown(n))
	}
	if s.ms {
		frame += 90
	}
	return frame
}

// usual is the duration of a segment, seconds, that the shape and 4 s of segment_duration lead to, to within a GOP.
func (s *encoderShape) usual(t *testing.T, row *tapeRow) {
	t.Helper()
	if d := cut.Duration(row.Duration); d < 2*time.Second || d > 10100*time.Millisecond {
		t.Errorf("%d lasts %v", row.Sequence, d)
	}
}

// TestShapes feeds what encoders of many shapes send to a stream on its own: all of it comes out, cut where a decoder may
// begin, with its own time stamps.
func TestShapes(t *testing.T) {
	for _, shape := range encoderShapes() {
		t.Run(shape.name, func(t *testing.T) {
			s := newStage(t, AppOptions{})
			s.every = func() { s.playlists("cam") }
			s.play(on("cam", shape.frames(30*time.Second)))
			s.finish()
			s.laws("cam", shape.longest())
			s.whole("cam", shape.mayMiss(s.sent["cam"]))
			s.noForced()
			rows := s.tape("cam").rows
			for i := 1; i+1 < len(rows); i++ {
				shape.usual(t, &rows[i])
			}
			if n := len(s.tape("cam").breaks()); n != 0 || len(s.tapes["cam"].recordings) != 1 || len(rows) < 3 {
				t.Errorf("%d discontinuities, %d recordings, %d segments", n, len(s.tapes["cam"].recordings), len(rows))
			}
			if shape.clump == 0 && shape.late == [2]time.Duration{} {
				s.soundSpans("cam")
			}
			s.end()
		})
	}
}

// mayMiss is what need not be in a segment: sound of a time before the first picture.
func (s *encoderShape) mayMiss(frames []sentFrame) func(f *sentFrame) bool {
	if s.codec == 0 {
		return nil
	}
	for i := range frames {
		if first := &frames[i]; first.video() {
			return func(f *sentFrame) bool { return !f.video() && f.PTS < first.DTS }
		}
	}
	return nil
}

// soundSpans holds that the sound of a segment is what comes beside its pictures, to within 50 ms and a frame or two.
func (s *stage) soundSpans(stream string) {
	s.t.Helper()
	rows := s.tape(stream).rows
	for i := range rows {
		seg := rows[i].segment
		next := follower(rows, i)
		if len(seg.units[astVideo]) == 0 || len(seg.units[astAudio]) == 0 || next == nil {
			continue
		}
		track := s.soundTrack(stream)
		frame := samplesOf(track) * Clock / int64(track.SampleRate)
		first, last := seg.units[astAudio][0], seg.units[astAudio][len(seg.units[astAudio])-1]
		length := (last.id - first.id + 1) * frame
		pictures := seg.units[astVideo]
		if len(next.segment.units[astVideo]) > 0 {
			want := after33(next.segment.units[astVideo][0].dts, pictures[0].dts)
			if off := length - want; off > 2*frame || off < -2*frame {
				s.twice(stream, "%d has pictures for %v and sound for %v", rows[i].Sequence, cut.Duration(want), cut.Duration(length))
			}
		}
		if off := after33(first.pts, pictures[0].dts); off > 2*frame+Clock/20 || off < -2*frame-Clock/20 {
			s.twice(stream, "the sound of %d begins %v after its picture", rows[i].Sequence, cut.Duration(off))
		}
	}
}

func (s *stage) soundTrack(stream string) *ingest.Track {
	for i := range s.sent[stream] {
		if f := &s.sent[stream][i]; !f.video() {
			return f.Track
		}
	}
	return nil
}

// TestShapesInALadder feeds the same to the three rungs of a ladder, each a little later than the one before: all are cut
// at the same places, nothing is lost, and none stands outside.
func TestShapesInALadder(t *testing.T) {
	for _, shape := range encoderShapes() {
		if shape.codec == 0 {
			continue // who cuts sound can cut it anywhere
		}
		t.Run(shape.name, func(t *testing.T) {
			s := newStage(t, ladderOptions())
			s.every = func() { s.playlists(ladderRungs[1]) }
			length := max(14*time.Second, cut.Duration(shape.frameTicks()*shape.gop*5/2))
			s.play(rungsApart(shape.frames(length), 7*time.Millisecond))
			l := &ladder{rig: s.rig}
			l.aligned()
			l.equal()
			if n := len(l.master().Variants); n != len(ladderRungs) {
				t.Errorf("%d variants", n)
			}
			s.finish()
			s.noForced()
			for _, name := range ladderRungs {
				s.laws(name, shape.longest())
				s.whole(name, shape.mayMiss(s.sent[name]))
				if b, g := len(s.tapes[name].breaks()), s.tapes[name].gaps(); b+g != 0 {
					t.Errorf("%s: %d discontinuities, %d gaps", name, b, g)
				}
			}
			s.end()
		})
	}
}

// rungsApart is rungs, each of which arrives so much later than the one before.
func rungsApart(frames []sentFrame, d time.Duration) []sentFrame {
	all := rungs(frames)
	for i := range all {
		for k, name := range ladderRungs {
			if all[i].stream == name {
				all[i].at += time.Duration(k) * d
			}
		}
	}
	return together(all)
}
