package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// source is a clip that ffmpeg makes once for all tests.
type source struct {
	name  string
	video string // ffmpeg's video options; empty: none
	audio string // ffmpeg's audio options; empty: none
	gop   time.Duration
}

var sources = []source{
	{"plain", "-c:v libx264 -preset ultrafast -g 50 -keyint_min 50 -sc_threshold 0 -bf 0", "-c:a aac -b:a 96k", 2 * time.Second},
	{"b_frames", "-c:v libx264 -preset veryfast -g 50 -keyint_min 50 -sc_threshold 0 -bf 3", "-c:a aac -b:a 96k", 2 * time.Second},
	{"gop_1s", "-c:v libx264 -preset veryfast -g 25 -keyint_min 25 -sc_threshold 0 -bf 2", "-c:a aac -b:a 96k", time.Second},
	{"gop_8s", "-c:v libx264 -preset veryfast -g 200 -keyint_min 200 -sc_threshold 0 -bf 2", "-c:a aac -b:a 96k", 8 * time.Second},
	{"irregular", "-c:v libx264 -preset veryfast -g 250 -bf 2 -force_key_frames expr:not(mod(n,37))*not(mod(n,3))+not(mod(n,100))", "-c:a aac -b:a 96k", 5 * time.Second},
	{"video_only", "-c:v libx264 -preset veryfast -g 50 -keyint_min 50 -sc_threshold 0 -bf 2", "", 2 * time.Second},
	{"audio_only", "", "-c:a aac -b:a 96k", 0},
	{"mp3", "-c:v libx264 -preset veryfast -g 50 -keyint_min 50 -sc_threshold 0 -bf 2", "-c:a libmp3lame -b:a 96k", 2 * time.Second},
}

func sourceNamed(name string) source {
	for _, s := range sources {
		if s.name == name {
			return s
		}
	}
	panic("no source " + name)
}

var (
	clipsMu sync.Mutex
	clips   = map[string]string{}
)

// clip is the path of a source's FLV file of some length.
func (s source) clip(t *testing.T, length time.Duration) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	clipsMu.Lock()
	defer clipsMu.Unlock()
	key := fmt.Sprintf("%s-%d", s.name, int(length.Seconds()))
	if file := clips[key]; file != "" {
		return file
	}
	file := filepath.Join(filepath.Dir(path), key+".flv")
	args := []string{"-v", "error", "-y"}
	if s.video != "" {
		args = append(args, "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25")
	}
	if s.audio != "" {
		args = append(args, "-f", "lavfi", "-i", "sine=440:b=1:r=44100")
	}
	args = append(args, "-t", fmt.Sprint(length.Seconds()))
	args = append(args, strings.Fields(s.video+" "+s.audio)...)
	args = append(args, "-f", "flv", file)
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
	clips[key] = file
	return file
}

// push publishes a file in real time and gives the running encoder.
func push(t *testing.T, file, url string) *tool {
	t.Helper()
	args := []string{"-v", "warning", "-re", "-i", file, "-c", "copy"}
	switch {
	case strings.HasPrefix(url, "rtmp://"):
		args = append(args, "-f", "flv", url)
	case strings.HasSuffix(url, "#udp"):
		args = append(args, "-f", "rtsp", "-rtsp_transport", "udp", strings.TrimSuffix(url, "#udp"))
	default:
		args = append(args, "-f", "rtsp", "-rtsp_transport", "tcp", url)
	}
	return launch(t, "ffmpeg", args...)
}

// frames are the checksums of a file's decoded pictures, one a line, and how many audio frames it has.
func frames(t *testing.T, file string) (pictures []string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", file, "-map", "0:v", "-f", "framemd5", "-").Output()
	if err != nil {
		t.Fatalf("ffmpeg cannot decode %s: %v", file, err)
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if f := strings.Split(line, ","); len(f) == 6 && !strings.HasPrefix(line, "#") {
			pictures = append(pictures, strings.TrimSpace(f[5]))
		}
	}
	return pictures
}

// decodes fails the test where ffmpeg finds any error in a file.
func decodes(t *testing.T, file string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", file, "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("ffmpeg -xerror %s: %v\n%s", file, err, out)
	}
}

// TestPublish is the main way: what an encoder sends by any protocol comes out as HLS that holds every promise, decodes
// without an error to the encoder's own pictures, and lies in the bucket byte for byte.
func TestPublish(t *testing.T) {
	need(t, "ffmpeg")
	length := scaled(60*time.Second, 21*time.Second)
	dir := t.TempDir()
	p := serve(t, dir, "hls: {segment_duration: 2s, end_grace: 2s}\nrtsp: {udp_rtp: \"127.0.0.1:28000\", udp_rtcp: \"127.0.0.1:28001\"}\n")
	var wg sync.WaitGroup
	for _, s := range sources {
		file := s.clip(t, length)
		urls := map[string]string{"rtmp": "rtmp://" + p.rtmp + "/live/rtmp_" + s.name}
		if s.name == "b_frames" || s.name == "audio_only" || s.name == "plain" {
			urls["rtsp_tcp"] = "rtsp://" + p.rtsp + "/live/rtsp_tcp_" + s.name
		}
		if s.name == "b_frames" {
			urls["rtsp_udp"] = "rtsp://" + p.rtsp + "/live/rtsp_udp_" + s.name + "#udp"
		}
		for protocol, url := range urls {
			wg.Go(func() {
				t.Run(protocol+"/"+s.name, func(t *testing.T) { publishAndCheck(t, p, s, file, url, protocol+"_"+s.name, length) })
			})
		}
	}
	wg.Wait()
}

func publishAndCheck(t *testing.T, p *process, s source, file, url, stream string, length time.Duration) {
	lost := float64(0)
	udp := strings.HasSuffix(url, "#udp")
	if udp {
		lost = p.metric("hlsorigin_ingest_rtp_lost_packets_total")
	}
	v, stop := watch(t, p.url("live/streams/"+stream+".m3u8"))
	began := time.Now()
	encoder := push(t, file, url)
	// Playable within one keyframe interval and one segment; connecting and the machine's load come on top.
	eventually(t, s.gop+max(s.gop, 2*time.Second)+5*time.Second, stream+" is playable", func() bool { return v.count() > 0 })
	t.Logf("playable after %v", time.Since(began).Round(time.Millisecond))
	if err := encoder.wait(length + 30*time.Second); err != nil {
		t.Errorf("the encoder ended with %v:\n%s", err, encoder.out)
	}
	eventually(t, 20*time.Second, stream+" ends", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.ended
	})
	stop()
	v.again()
	v.good()
	if limit := time.Duration(v.target)*1500*time.Millisecond + time.Second; v.cadence > limit {
		t.Errorf("waited %v for a segment, target duration %d s", v.cadence, v.target)
	}
	var segments [][]byte
	independent := true
	for _, uri := range v.order {
		segments = append(segments, v.body[uri])
		independent = independent && (s.video == "" || bytesHaveIDR(v.body[uri]))
	}
	if independent {
		checkStream(t, segments, true)
	} else if s.name != "irregular" {
		t.Error("a segment does not begin with a keyframe")
	}
	out := filepath.Join(t.TempDir(), "all.ts")
	if err := os.WriteFile(out, v.all(), 0o600); err != nil {
		t.Fatal(err)
	}
	decodes(t, out)
	if udp && p.metric("hlsorigin_ingest_rtp_lost_packets_total") > lost {
		t.Log("the machine lost RTP packets: the pictures are not compared")
	} else if s.video != "" {
		want, got := frames(t, file), frames(t, out)
		if strings.Join(want, "\n") != strings.Join(got, "\n") {
			t.Errorf("%d pictures came out of %d, or others", len(got), len(want))
		}
	}
	inBucket(t, v, filepath.Join(p.dir, "data", "bucket", "live", "streams", stream, v.recording))
}

func bytesHaveIDR(segment []byte) bool { return checkUnits(segment, map[uint16]int64{}) == nil }

// inBucket compares what the viewer saw with the files of a bucket that is a directory.
func inBucket(t *testing.T, v *viewer, dir string) {
	t.Helper()
	for _, uri := range v.order {
		got, err := os.ReadFile(filepath.Join(dir, uri))
		if err != nil || string(got) != string(v.body[uri]) {
			t.Errorf("%s in the bucket: %d bytes, %v; %d were shown", uri, len(got), err, len(v.body[uri]))
		}
	}
}
