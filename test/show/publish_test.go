package show

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestPublish is the main path: what an encoder sends by any protocol comes out as HLS that keeps every promise, decodes without an error
// to the encoder's own pictures, and is in the bucket byte for byte.
func TestPublish(t *testing.T) {
	rig.Need(t, "ffmpeg")
	length := rig.Scaled(60*time.Second, 21*time.Second)
	dir := t.TempDir()
	p := rig.Serve(t, dir, "hls: {segment_duration: 2s, end_grace: 2s}\nrtsp: {udp_rtp: \"127.0.0.1:28000\", udp_rtcp: \"127.0.0.1:28001\"}\n")
	var wg sync.WaitGroup
	for _, s := range rig.Sources {
		file := s.Clip(t, length)
		urls := map[string]string{"rtmp": "rtmp://" + p.RTMP + "/live/rtmp_" + s.Name}
		if s.Name == "b_frames" || s.Name == "audio_only" || s.Name == "plain" {
			urls["rtsp_tcp"] = "rtsp://" + p.RTSP + "/live/rtsp_tcp_" + s.Name
		}
		if s.Name == "b_frames" {
			urls["rtsp_udp"] = "rtsp://" + p.RTSP + "/live/rtsp_udp_" + s.Name + "#udp"
		}
		for protocol, url := range urls {
			wg.Go(func() {
				t.Run(protocol+"/"+s.Name, func(t *testing.T) { publishAndCheck(t, p, s, file, url, protocol+"_"+s.Name, length) })
			})
		}
	}
	wg.Wait()
}

func publishAndCheck(t *testing.T, p *rig.Process, s rig.Source, file, url, stream string, length time.Duration) {
	lost := float64(0)
	udp := strings.HasSuffix(url, "#udp")
	if udp {
		lost = p.Metric("hlsorigin_ingest_rtp_lost_packets_total")
	}
	v, stop := rig.Watch(t, p.URL("live/streams/"+stream+".m3u8"))
	began, pressed := time.Now(), rig.StartPressure()
	encoder := rig.Push(t, file, url)
	// Playable within one keyframe interval and one segment, plus connecting and the machine's load.
	rig.Eventually(t, s.GOP+max(s.GOP, 2*time.Second)+5*time.Second, stream+" is playable", func() bool { return v.Count() > 0 })
	t.Logf("playable after %v", time.Since(began).Round(time.Millisecond))
	if err := encoder.Wait(length + 30*time.Second); err != nil {
		t.Errorf("the encoder ended with %v:\n%s", err, encoder.Out)
	}
	rig.Eventually(t, 20*time.Second, stream+" ends", func() bool {
		v.Mu.Lock()
		defer v.Mu.Unlock()
		return v.Ended
	})
	stop()
	v.Again()
	v.Good()
	if limit := time.Duration(v.Target)*1500*time.Millisecond + time.Second + rig.Slack(pressed.Share(), 4*time.Second); v.Cadence > limit {
		t.Errorf("waited %v for a segment, target duration %d s", v.Cadence, v.Target)
	}
	var segments [][]byte
	independent := true
	for _, uri := range v.Order {
		segments = append(segments, v.Body[uri])
		independent = independent && (s.Video == "" || bytesHaveIDR(v.Body[uri]))
	}
	if independent {
		rig.CheckStream(t, segments, true)
	} else if s.Name != "irregular" {
		t.Error("a segment does not begin with a keyframe")
	}
	out := filepath.Join(t.TempDir(), "all.ts")
	if err := os.WriteFile(out, v.All(), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Decodes(t, out)
	if udp && p.Metric("hlsorigin_ingest_rtp_lost_packets_total") > lost {
		t.Log("the machine lost RTP packets: the pictures are not compared")
	} else if s.Video != "" {
		want, got := rig.Frames(t, file), rig.Frames(t, out)
		if strings.Join(want, "\n") != strings.Join(got, "\n") {
			t.Errorf("%d pictures came out of %d, or others", len(got), len(want))
		}
	}
	inBucket(t, v, filepath.Join(p.Dir, "data", "bucket", "live", "streams", stream, v.Recording))
}

func bytesHaveIDR(segment []byte) bool { return rig.CheckUnits(segment, map[uint16]int64{}) == nil }

// inBucket compares what the viewer saw with the files of a bucket that is a directory.
func inBucket(t *testing.T, v *rig.Viewer, dir string) {
	t.Helper()
	for _, uri := range v.Order {
		got, err := os.ReadFile(filepath.Join(dir, uri))
		if err != nil || string(got) != string(v.Body[uri]) {
			t.Errorf("%s in the bucket: %d bytes, %v; %d were shown", uri, len(got), err, len(v.Body[uri]))
		}
	}
}
