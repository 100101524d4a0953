package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asticode/go-astits"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// TestTranscode publishes one stream to an app with a ladder by ffmpeg: three variants of the right sizes come out, cut at
// the same places with the same numbers, times and audio. ffmpeg is killed meanwhile: the source goes on as if nothing had
// been, and the rungs leave gaps and are back.
func TestTranscode(t *testing.T) {
	need(t, "ffmpeg")
	const length = 24 * time.Second
	p := serve(t, t.TempDir(), `hls: {segment_duration: 2s, end_grace: 2s, reconnect_grace: 5s}
apps:
  live:
    ladder:
      - {name: 240p, height: 240, bitrate: 400k}
      - {name: 120p, height: 120, bitrate: 200k}
      - {name: 90p, height: 90, bitrate: 100k}
`)
	encoder := push(t, sourceNamed("b_frames").clip(t, length), "rtmp://"+p.rtmp+"/live/cam")
	entry := p.url("live/streams/cam.m3u8")
	var m *m3u8.Master
	eventually(t, 20*time.Second, "three variants are in the ladder", func() bool {
		var err error
		m, err = m3u8.ParseMaster([]byte(tryGet(entry)))
		return err == nil && len(m.Variants) == 3
	})
	streams := []string{"cam_source", "cam_120p", "cam_90p"}
	for i, want := range []string{"320x180", "214x120", "160x90"} {
		v := m.Variants[i]
		if got := fmt.Sprintf("%dx%d", v.Width, v.Height); got != want || !strings.HasPrefix(v.URI, streams[i]+"/") || !strings.Contains(v.Codecs, "mp4a") || v.FrameRate != 25 {
			t.Errorf("variant %d is %+v; %s of %s is wanted", i, v, want, streams[i])
		}
	}
	eventually(t, 10*time.Second, "some segments", func() bool { return p.metric("hlsorigin_segmenter_segments_total") >= 9 })
	child := processUnder(t, p.cmd.Process.Pid, "ffmpeg")
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := encoder.wait(length + 20*time.Second); err != nil {
		t.Errorf("the encoder: %v\n%s", err, encoder.out)
	}
	lists := make([]*m3u8.Media, 3)
	eventually(t, 20*time.Second, "all rungs have ended", func() bool {
		for i, v := range m.Variants {
			var err error
			if lists[i], err = m3u8.ParseMedia([]byte(tryGet(p.url("live/streams/" + v.URI)))); err != nil || !lists[i].EndList {
				return false
			}
		}
		return true
	})
	compareRungs(t, p, m, lists)
	if p.metric("hlsorigin_ladder_failures_total") != 1 || p.metric("hlsorigin_ladder_starts_total") != 2 || p.metric("hlsorigin_ladder_processes") != 0 {
		t.Error("the metrics do not tell of one failure, two starts, and no process")
	}
}

// compareRungs holds the playlists of a ladder's rungs against that of its source, and the first pictures of each segment.
func compareRungs(t *testing.T, p *process, m *m3u8.Master, lists []*m3u8.Media) {
	source := lists[0]
	base := path.Dir("live/streams/" + m.Variants[0].URI)
	for i, l := range lists[1:] {
		if l.TargetDuration != source.TargetDuration || l.MediaSequence != source.MediaSequence {
			t.Errorf("rung %d: target duration %d and media sequence %d, its source %d and %d", i+1, l.TargetDuration, l.MediaSequence, source.TargetDuration, source.MediaSequence)
		}
		gaps, filled, back := 0, 0, false
		for n, s := range l.Segments {
			want := source.Segments[n]
			if d := s.ProgramDateTime.Sub(want.ProgramDateTime); d < -time.Millisecond || d > time.Millisecond || s.Discontinuity != want.Discontinuity {
				t.Errorf("rung %d, segment %d: %v, in the source %v", i+1, n, s, want)
			}
			if s.Gap {
				gaps++
				back = false
				continue
			}
			back = back || gaps > 0
			filled++
			// What ffmpeg was killed in is cut short, and so is the last.
			if d := s.Duration - want.Duration; (d < -90 || d > 90) && n+1 < len(l.Segments) && !l.Segments[n+1].Gap {
				t.Errorf("rung %d, segment %d: %d ticks, in the source %d", i+1, n, s.Duration, want.Duration)
			}
			dir := path.Dir("live/streams/" + m.Variants[i+1].URI)
			ours, theirs := []byte(p.get(p.url(dir+"/"+s.URI))), []byte(p.get(p.url(base+"/"+want.URI)))
			if err := checkUnits(ours, map[uint16]int64{}); err != nil {
				t.Errorf("rung %d, segment %d: %v", i+1, n, err)
			}
			a, b := firstPicture(t, ours), firstPicture(t, theirs)
			if d := a - b; d < -90 || d > 90 {
				t.Errorf("rung %d, segment %d begins at %d, in the source at %d", i+1, n, a, b)
			}
		}
		if gaps == 0 || gaps > 4 || !back || filled < 5 {
			t.Errorf("rung %d: %d gaps in %d segments, back: %v", i+1, gaps, len(l.Segments), back)
		}
	}
	for n, s := range source.Segments {
		if s.Gap || s.Discontinuity {
			t.Errorf("segment %d of the source: %+v", n, s)
		}
	}
}

// firstPicture is the PTS of a segment's first picture.
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

// processUnder is the child of a process that runs a program.
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
