package segmenter

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// clip is something that a decoder understands: a test picture and a tone, with a keyframe each second.
type clip struct{ frames []sentFrame }

// makeClip lets ffmpeg make a clip; the test is skipped where it cannot.
func makeClip(t *testing.T, c ingest.Codec, audio string, d time.Duration) clip {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	dir := t.TempDir()
	video, sound := filepath.Join(dir, "video"), filepath.Join(dir, "sound")
	length := fmt.Sprint(d.Seconds())
	args := []string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000"}
	switch c {
	case ingest.H264:
		args = append(args, "-map", "0", "-t", length, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "0",
			"-x264-params", "aud=1:scenecut=0", "-f", "h264", video)
	case ingest.H265:
		args = append(args, "-map", "0", "-t", length, "-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "ultrafast",
			"-x265-params", "aud=1:keyint=25:min-keyint=25:scenecut=0:bframes=0:open-gop=0:log-level=none:repeat-headers=1", "-f", "hevc", video)
	}
	switch audio {
	case "aac":
		args = append(args, "-map", "1", "-t", length, "-ac", "2", "-c:a", "aac", "-f", "adts", sound)
	case "mp3":
		args = append(args, "-map", "1", "-t", length, "-ac", "2", "-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3", sound)
	}
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("Unknown encoder")) {
			t.Skipf("this ffmpeg lacks an encoder: %s", out)
		}
		t.Fatalf("ffmpeg makes no clip: %v, %s", err, out)
	}
	var k clip
	if c != 0 {
		k.pictures(t, c, video)
	}
	if audio != "" {
		k.sound(t, audio, sound)
	}
	k.frames = together(k.frames)
	return k
}

func (k *clip) pictures(t *testing.T, c ingest.Codec, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	track := &ingest.Track{Codec: c, Width: 160, Height: 96, FrameRate: 25}
	n := int64(-1)
	for u := range codec.AnnexB(b) {
		switch kind := c.NAL(u); {
		case kind == codec.KindDelimiter:
			n++
			f := sentFrame{id: n, at: cut.Duration(n * 3600)}
			f.Track, f.PTS, f.DTS = track, n*3600, n*3600
			k.frames = append(k.frames, f)
			continue
		case n != 0:
		case kind == codec.KindVPS:
			track.VPS = append(track.VPS, u)
		case kind == codec.KindSPS:
			track.SPS = append(track.SPS, u)
		case kind == codec.KindPPS:
			track.PPS = append(track.PPS, u)
		}
		f := &k.frames[n]
		f.Units = append(f.Units, u)
		f.Key = c.Survey(f.Units).Access == codec.Clean
		f.begins = f.Key
	}
}

func (k *clip) sound(t *testing.T, kind, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var track *ingest.Track
	for n := int64(0); len(b) > 0; n++ {
		f := sentFrame{id: n}
		if kind == "aac" {
			c, raw, ok := codec.ParseADTS(b)
			if !ok {
				t.Fatal("no ADTS frame")
			}
			if track == nil {
				track = &ingest.Track{Codec: ingest.AAC, ASC: c.ASC(), SampleRate: c.Rate, Channels: c.Channels}
			}
			f.Units, b = [][]byte{raw}, b[codec.ADTSSize+len(raw):]
		} else {
			h, ok := codec.ParseMP3(b)
			if !ok || h.Size > len(b) {
				break
			}
			if track == nil {
				track = &ingest.Track{Codec: ingest.MP3, SampleRate: h.Rate, Channels: h.Channels}
			}
			f.Units, b = [][]byte{b[:h.Size]}, b[h.Size:]
		}
		f.PTS = n * samplesOf(track) * Clock / int64(track.SampleRate)
		f.Track, f.DTS, f.Key, f.begins, f.at = track, f.PTS, true, true, cut.Duration(f.PTS)
		k.frames = append(k.frames, f)
	}
}

// part is what arrives between two times.
func (k clip) part(from, to time.Duration) []sentFrame {
	return without(k.frames, func(f *sentFrame) bool { return f.at < from || f.at >= to })
}

// restarted is the stage after a crash of the server: what was in hand is lost.
func (s *stage) restarted(o AppOptions, streams ...string) *stage {
	s.t.Helper()
	after := newStage(s.t, o)
	after.now = s.now.Add(time.Second)
	for _, name := range streams {
		snap := s.snap(name)
		rows := slices.Clone(snap.Rows)
		// What was listed once is in storage's table, also where a restart held it back: see log.hold.
		for s.witness != nil {
			row, listed := s.witness.rows[fmt.Sprintf("%s/%s/%d", snap.Key, snap.Recording, snap.Base+uint64(len(rows)))]
			if !listed {
				break
			}
			rows = append(rows, row)
		}
		if err := after.reg.Restore(Recovered{
			Key: snap.Key, Recording: snap.Recording, TargetDuration: snap.TargetDuration, Base: snap.Base, Rows: rows,
			Next: snap.Opened + 1, Variant: snap.Variant, LastFrame: snap.LastFrame,
		}); err != nil {
			s.t.Fatal(err)
		}
		after.tapes[name] = &tape{recordings: []RecordingID{snap.Recording}, next: map[RecordingID]uint64{snap.Recording: snap.Opened + 1}}
	}
	return after
}

// joined is the bytes of all segments of a stream, one after the other.
func joined(stream string, stages ...*stage) (all []byte) {
	for _, s := range stages {
		for _, row := range s.tapes[stream].rows {
			all = append(all, row.bytes...)
		}
	}
	return all
}

// plays lets ffmpeg read and decode a transport stream, and holds that it has nothing to say.
func plays(t *testing.T, stream []byte) {
	t.Helper()
	if len(stream) == 0 {
		t.Fatal("nothing to play")
	}
	name := filepath.Join(t.TempDir(), "joined.ts")
	if err := os.WriteFile(name, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-xerror", "-i", name, "-f", "null", "-")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || out.Len() > 0 {
		t.Errorf("ffmpeg: %v\n%s", err, head(out.String(), 4))
	}
}

func head(s string, lines int) string {
	all := strings.SplitAfter(s, "\n")
	return strings.Join(all[:min(lines, len(all))], "")
}

// TestSegmentsJoinOverARestart holds that segments from before and after a restart of the server can be put into one file.
func TestSegmentsJoinOverARestart(t *testing.T) {
	o := AppOptions{SegmentDuration: 2 * time.Second}
	const d = 14 * time.Second
	full := makeClip(t, ingest.H264, "aac", d)
	t.Run("H.264 and AAC", func(t *testing.T) {
		before := newStage(t, o)
		before.play(on("cam", full.part(0, 4500*time.Millisecond)))
		t.Run("the encoder goes on, twice", func(t *testing.T) {
			after := before.restarted(o, "cam")
			after.play(on("cam", full.part(6*time.Second, 9500*time.Millisecond)))
			again := after.restarted(o, "cam")
			again.play(on("cam", full.part(11*time.Second, d)))
			again.finish()
			plays(t, joined("cam", before, after, again))
		})
		t.Run("the encoder begins anew", func(t *testing.T) {
			after := before.restarted(o, "cam")
			after.play(on("cam", later(full.part(0, 5*time.Second), 7*time.Second)))
			after.finish()
			plays(t, joined("cam", before, after))
		})
	})
	t.Run("H.265 and MP3", func(t *testing.T) {
		k := makeClip(t, ingest.H265, "mp3", d)
		before := newStage(t, o)
		before.play(on("cam", k.part(0, 4500*time.Millisecond)))
		after := before.restarted(o, "cam")
		after.play(on("cam", k.part(6*time.Second, 9500*time.Millisecond)))
		after.finish()
		plays(t, joined("cam", before, after))
	})
	t.Run("a connection that breaks", func(t *testing.T) {
		s := newStage(t, o)
		s.play(on("cam", full.part(0, 4500*time.Millisecond)))
		s.disconnect("cam", errReset)
		s.play(on("cam", full.part(6*time.Second, 9500*time.Millisecond)))
		s.finish()
		plays(t, joined("cam", s))
	})
	t.Run("a ladder", func(t *testing.T) {
		o := ladderOptions()
		o.SegmentDuration, o.Audio = 2*time.Second, true
		before := newStage(t, o)
		before.play(rungs(full.part(0, 4500*time.Millisecond)))
		after := before.restarted(o, append([]string{"show_audio"}, ladderRungs...)...)
		after.play(rungs(full.part(6*time.Second, d)))
		after.finish()
		for _, name := range []string{"show_audio", "show_480p"} {
			t.Run(name, func(t *testing.T) { plays(t, joined(name, before, after)) })
		}
	})
}

// TestCountersOverARestart holds what makes them fit: continuity counters of all packets go on, or the first packet of each
// PID says that they do not.
func TestCountersOverARestart(t *testing.T) {
	for _, shape := range []encoderShape{
		{name: "H.264", codec: ingest.H264, gop: 50, audio: "aac"}, {name: "H.265", codec: ingest.H265, gop: 50, between: 3, audio: "mp3"},
		{name: "picture alone", codec: ingest.H264, gop: 50}, {name: "sound alone", audio: "aac"}, {name: "MP3 alone", audio: "mp3"},
	} {
		streams, o := []string{"cam"}, AppOptions{}
		for range 2 {
			t.Run(fmt.Sprintf("%s/%d streams", shape.name, len(streams)), func(t *testing.T) {
				frames := shape.frames(44 * time.Second)
				all := on("cam", frames)
				if len(streams) > 1 {
					all = rungs(frames)
				}
				during := func(from, to time.Duration) []sentFrame {
					return without(all, func(f *sentFrame) bool { return f.at < from || f.at >= to })
				}
				first := newStage(t, o)
				first.play(during(0, 14500*time.Millisecond))
				second := first.restarted(o, streams...)
				second.play(during(20*time.Second, 27*time.Second))
				third := second.restarted(o, streams...)
				third.play(during(30*time.Second, 44*time.Second))
				third.finish()
				for _, name := range streams {
					whole := &tape{}
					for _, s := range []*stage{first, second, third} {
						whole.rows = append(whole.rows, s.tapes[name].rows...)
					}
					if n := len(whole.breaks()); n < 2 {
						t.Errorf("%s: %d discontinuities", name, n)
					}
					whole.readBack(t, name)
				}
			})
			streams, o = ladderRungs, ladderOptions()
			if shape.codec == 0 {
				break
			}
		}
	}
}

// TestRungOutsideOverARestart holds that a number of a recording never means two things: a rung that stood outside its
// ladder and had ended is not known any more after a restart, when it comes back and fits.
func TestRungOutsideOverARestart(t *testing.T) {
	plain := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	odd := plain
	odd.isKey = func(n int64) bool { return n < 400 && n%50 == 0 || n > 400 && n%67 == 0 }
	const d = 140 * time.Second
	frames := func(shape encoderShape, name string, from, to time.Duration) []sentFrame {
		return without(shape.stream(name, to), func(f *sentFrame) bool { return f.at < from })
	}
	before := newStage(t, ladderOptions())
	before.play(together(frames(plain, ladderRungs[0], 0, 80*time.Second), frames(plain, ladderRungs[1], 0, 80*time.Second), frames(odd, ladderRungs[2], 0, 80*time.Second)))
	before.disconnect(ladderRungs[2], ingest.ErrUnpublished)
	before.play(together(frames(plain, ladderRungs[0], 80*time.Second, 96*time.Second), frames(plain, ladderRungs[1], 80*time.Second, 96*time.Second)))
	if got := before.snap(ladderRungs[2]).State; got != Ended {
		t.Fatalf("the rung outside is %v", got)
	}
	after := before.restarted(ladderOptions(), ladderRungs[:2]...)
	after.witness = before.witness
	clear(after.witness.last)
	after.play(without(rungs(plain.frames(d)), func(f *sentFrame) bool { return f.at < 100*time.Second }))
	if n := len((&ladder{rig: after.rig}).master().Variants); n != 2 {
		t.Errorf("%d variants: the numbers that the third has used are not known any more", n)
	}
}

// TestRungOutsideHasItsOwnTargetDuration holds that a rung which stands outside its ladder, and learned another target
// duration, changes nobody's when the server restarts.
func TestRungOutsideHasItsOwnTargetDuration(t *testing.T) {
	o := ladderOptions()
	o.SegmentDuration = 2 * time.Second
	plain := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	odd := encoderShape{codec: ingest.H264, gop: 175, audio: "aac"}
	for i := range ladderRungs {
		t.Run(ladderRungs[i], func(t *testing.T) {
			var all [][]sentFrame
			for k, name := range ladderRungs {
				if k == i {
					all = append(all, odd.stream(name, 60*time.Second))
				} else {
					all = append(all, plain.stream(name, 60*time.Second))
				}
			}
			frames := together(all...)
			before := newStage(t, o)
			before.play(without(frames, func(f *sentFrame) bool { return f.at >= 30*time.Second }))
			after := before.restarted(o, ladderRungs...)
			after.witness = before.witness
			clear(after.witness.last)
			after.play(without(frames, func(f *sentFrame) bool { return f.at < 34*time.Second }))
			if n := len((&ladder{rig: after.rig}).master().Variants); n != 2 {
				t.Errorf("%d variants", n)
			}
		})
	}
}

// TestCountersWhereASegmentIsGivenUp holds the same of segments that were begun and never listed: of a rung that sends a
// number anew, and of sound with holes that are longer than a segment.
func TestCountersWhereASegmentIsGivenUp(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	t.Run("a rung sends a number anew", func(t *testing.T) {
		s := newStage(t, ladderOptions())
		all := rungs(shape.frames(30 * time.Second))
		s.play(without(all, func(f *sentFrame) bool { return f.at >= 13*time.Second }))
		s.disconnect(ladderRungs[1], errReset)
		again := without(all, func(f *sentFrame) bool {
			return f.at < 12*time.Second || f.at < 13*time.Second && f.stream != ladderRungs[1]
		})
		for i := range again {
			again[i].at = max(again[i].at, 13*time.Second)
		}
		s.play(again)
		for _, name := range ladderRungs {
			if n := s.tape(name).gaps(); n != 0 {
				t.Errorf("%s has %d gaps", name, n)
			}
		}
	})
	t.Run("a rung is lost in a number", func(t *testing.T) {
		s := newStage(t, ladderOptions())
		all := rungs(shape.frames(40 * time.Second))
		away := func(f *sentFrame) bool {
			return f.stream == ladderRungs[1] && f.at >= 13*time.Second && f.at < 19*time.Second
		}
		s.play(without(all, func(f *sentFrame) bool { return f.at >= 13*time.Second }))
		s.disconnect(ladderRungs[1], errReset)
		s.play(without(all, func(f *sentFrame) bool { return f.at < 13*time.Second || away(f) }))
		for _, row := range s.tape(ladderRungs[1]).rows {
			if row.Gap && row.Start.After(start.Add(24*time.Second)) {
				t.Errorf("%d is a gap", row.Sequence)
			}
		}
	})
	for _, codec := range []ingest.Codec{ingest.H264, 0} {
		t.Run(fmt.Sprintf("sound with holes beside %v", codec), func(t *testing.T) {
			shape := encoderShape{codec: codec, gop: 50, audio: "he"}
			s := newStage(t, AppOptions{SegmentDuration: time.Second, Window: 10 * time.Minute})
			s.play(on("cam", without(shape.frames(90*time.Second), func(f *sentFrame) bool {
				return f.video() && f.at > 10*time.Second || f.at > 20*time.Second && f.at%(5*time.Second) > 1700*time.Millisecond
			})))
			s.finish()
			fits(t, s.snap("cam"))
			s.tape("cam")
		})
	}
}
