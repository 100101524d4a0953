package show

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asticode/go-astits"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestTranscode publishes one stream to an app with a ladder by ffmpeg: three variants of the right sizes come out, cut at the same places
// with the same numbers, times and audio. Meanwhile ffmpeg is killed: the source goes on undisturbed, and the rungs have gaps and come
// back.
func TestTranscode(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	p := rig.Serve(t, t.TempDir(), `hls: {segment_duration: 2s, window: 10m, end_grace: 2s, reconnect_grace: 5s}
apps:
  live:
    ladder:
      - {name: 240p, height: 240, bitrate: 400k}
      - {name: 120p, height: 120, bitrate: 200k}
      - {name: 90p, height: 90, bitrate: 100k}
`)
	encoder := rig.Push(t, rig.SourceNamed("b_frames").Clip(t, 90*time.Second), "rtmp://"+p.RTMP+"/live/cam")
	cam := ladderOf(t, p, "cam", "avc1")
	rig.Eventually(t, 10*time.Second, "some segments", func() bool { return p.Metric("hlsorigin_segmenter_segments_total") >= 9 })
	child := processUnder(t, p.Cmd.Process.Pid, "ffmpeg")
	killed := time.Now()
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Another by another protocol, in H.265: its rungs are H.264.
	second := rig.Push(t, hevcClip(t), "rtsp://"+p.RTSP+"/live/second")
	other := ladderOf(t, p, "second", "hvc1")
	if err := second.Wait(40 * time.Second); err != nil {
		t.Errorf("the second encoder: %v\n%s", err, second.Out)
	}
	rig.Eventually(t, 40*time.Second, "the rungs are back", func() bool {
		for _, v := range cam.Variants[1:] {
			l, err := m3u8.ParseMedia([]byte(rig.TryGet(p.URL("live/streams/" + v.URI))))
			if err != nil {
				return false
			}
			n := len(l.Segments)
			if !slices.ContainsFunc(l.Segments, func(s m3u8.Segment) bool { return s.Gap }) || l.Segments[n-1].Gap || l.Segments[n-2].Gap {
				return false
			}
		}
		return true
	})
	_ = encoder.Cmd.Process.Signal(os.Interrupt) // it says goodbye, and ends with a status of its own
	_ = encoder.Wait(20 * time.Second)
	starts := published(t, p, "cam_120p")
	away := starts[len(starts)-1].Sub(killed)
	if gaps := compareRungs(t, p, "cam", cam); gaps < 2 || gaps > 2*(int(away/(2*time.Second))+2) {
		t.Errorf("%d gaps in two rungs, of which the process was killed once and was back after %v", gaps, away)
	}
	if gaps := compareRungs(t, p, "second", other); gaps != 0 {
		t.Errorf("%d gaps although nothing happened", gaps)
	}
	if p.Metric("hlsorigin_ladder_failures_total") != 1 || p.Metric("hlsorigin_ladder_starts_total") != 3 || p.Metric("hlsorigin_ladder_processes") != 0 {
		t.Error("the metrics do not tell of one failure, three starts, and no process")
	}
}

// ladderOf waits for the three variants of a stream and checks their attributes.
func ladderOf(t *testing.T, p *rig.Process, stream, codec string) (m *m3u8.Master) {
	t.Helper()
	rig.Eventually(t, 20*time.Second, "three variants are in "+stream, func() bool {
		var err error
		m, err = m3u8.ParseMaster([]byte(rig.TryGet(p.URL("live/streams/" + stream + ".m3u8"))))
		return err == nil && len(m.Variants) == 3
	})
	for i, want := range []struct{ size, rung, codec string }{{"320x180", "source", codec}, {"214x120", "120p", "avc1"}, {"160x90", "90p", "avc1"}} {
		v := m.Variants[i]
		if got := fmt.Sprintf("%dx%d", v.Width, v.Height); got != want.size || !strings.HasPrefix(v.URI, stream+"_"+want.rung+"/") ||
			!strings.Contains(v.Codecs, want.codec) || !strings.Contains(v.Codecs, "mp4a") || v.FrameRate != 25 {
			t.Errorf("variant %d is %+v; %+v is wanted", i, v, want)
		}
	}
	return m
}

func hevcClip(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hevc.mp4")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=440:b=1:r=44100", "-t", "10",
		"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=50:min-keyint=50:scenecut=0", "-c:a", "aac", file).CombinedOutput()
	if err != nil {
		t.Skipf("an ffmpeg with libx265 is needed: %v\n%s", err, out)
	}
	return file
}

// compareRungs compares the playlists of a ladder's rungs with its source's, and the first pictures of each segment. It returns the number
// of gaps in the rungs. A rung may lack the first segments if ffmpeg took long to begin: what came of them was late by more than a segment.
func compareRungs(t *testing.T, p *rig.Process, ladder string, m *m3u8.Master) (all int) {
	t.Helper()
	lists := make([]*m3u8.Media, len(m.Variants))
	rig.Eventually(t, 20*time.Second, "all rungs have ended", func() bool {
		for i, v := range m.Variants {
			var err error
			if lists[i], err = m3u8.ParseMedia([]byte(rig.TryGet(p.URL("live/streams/" + v.URI)))); err != nil || !lists[i].EndList {
				return false
			}
		}
		return true
	})
	source := lists[0]
	base := path.Dir("live/streams/" + m.Variants[0].URI)
	for i, l := range lists[1:] {
		late, most := int(l.MediaSequence-source.MediaSequence), 0
		delay := published(t, p, path.Dir(path.Dir(m.Variants[i+1].URI)))[0].Sub(published(t, p, ladder+"_source")[0])
		if delay > time.Second {
			most = 1 + int(delay/(2*time.Second))
		}
		if l.TargetDuration != source.TargetDuration || late < 0 || late > most {
			t.Errorf("rung %d: target duration %d and media sequence %d, its source %d and %d; ffmpeg began %v later", i+1, l.TargetDuration, l.MediaSequence, source.TargetDuration, source.MediaSequence, delay)
		}
		gaps, filled := 0, 0
		for n, s := range l.Segments {
			want := source.Segments[n+late]
			if d := s.ProgramDateTime.Sub(want.ProgramDateTime); d < -time.Millisecond || d > time.Millisecond || s.Discontinuity != want.Discontinuity {
				t.Errorf("rung %d, segment %d: %v, in the source %v", i+1, n, s, want)
			}
			if s.Gap {
				gaps++
				continue
			}
			filled++
			// The segment in which ffmpeg was killed is cut short, and so is the last.
			if d := s.Duration - want.Duration; (d < -90 || d > 90) && n+1 < len(l.Segments) && !l.Segments[n+1].Gap {
				t.Errorf("rung %d, segment %d: %d ticks, in the source %d", i+1, n, s.Duration, want.Duration)
			}
			dir := path.Dir("live/streams/" + m.Variants[i+1].URI)
			ours, theirs := []byte(p.Get(p.URL(dir+"/"+s.URI))), []byte(p.Get(p.URL(base+"/"+want.URI)))
			if err := rig.CheckUnits(ours, map[uint16]int64{}); err != nil {
				t.Errorf("rung %d, segment %d: %v", i+1, n, err)
			}
			a, b := firstPicture(t, ours), firstPicture(t, theirs)
			if d := a - b; d < -90 || d > 90 {
				t.Errorf("rung %d, segment %d begins at %d, in the source at %d", i+1, n, a, b)
			}
		}
		if filled+late < 3 || l.Segments[len(l.Segments)-1].Gap || len(l.Segments)+late != len(source.Segments) {
			t.Errorf("rung %d: %d gaps in %d segments, the source has %d", i+1, gaps, len(l.Segments), len(source.Segments))
		}
		all += gaps
	}
	for n, s := range source.Segments {
		if s.Gap || s.Discontinuity {
			t.Errorf("segment %d of the source: %+v", n, s)
		}
	}
	return all
}

// published returns when a stream's publishers each had their first frame.
func published(t *testing.T, p *rig.Process, stream string) (all []time.Time) {
	t.Helper()
	lines := p.Log.Matching(regexp.MustCompile(`"publishing","stream":"live/` + stream + `"`))
	for _, l := range lines {
		var line struct{ Time time.Time }
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line.Time)
	}
	if len(all) == 0 {
		t.Fatalf("the log does not say when %s began", stream)
	}
	return all
}

// firstPicture returns the PTS of a segment's first picture.
func firstPicture(t *testing.T, segment []byte) int64 {
	t.Helper()
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(segment))
	for {
		data, err := d.NextData()
		if err != nil {
			t.Fatal(err)
		}
		if data.PES != nil && data.PES.Header.IsVideoStream() {
			return data.PES.Header.OptionalHeader.PTS.Base
		}
	}
}

// processUnder returns the child of a process that runs a program.
func processUnder(t *testing.T, parent int, program string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("/proc is needed to find ffmpeg")
	}
	for _, e := range entries {
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if f := strings.Fields(string(stat)); err == nil && len(f) > 3 && f[1] == "("+program+")" && f[3] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(e.Name())
			return pid
		}
	}
	t.Fatalf("no %s runs under process %d", program, parent)
	return 0
}
