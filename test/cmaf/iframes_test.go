package cmaf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestPicturesOfIFramePlaylists holds each range of an I-frame playlist to one picture that ffprobe shows without any other, on the
// air and of the whole recording, and has ffmpeg play that.
func TestPicturesOfIFramePlaylists(t *testing.T) {
	rig.Need(t, "ffmpeg", "ffprobe")
	p := rig.Serve(t, t.TempDir(), strings.Replace(config, "segment_duration: 2s", "segment_duration: 1s, end_grace: 1s", 1))
	push := rig.Push(t, rig.SourceNamed("gop_1s").Clip(t, 8*time.Second), "rtmp://"+p.RTMP+"/live/cam")
	entry := p.URL("live/streams/cam.m3u8")
	rig.Eventually(t, time.Minute, "the stream is there", func() bool {
		return p.Status(entry) == 200 && strings.Count(p.Get(p.URL("live/streams/cam/"+p.RecordingOf("cam")+"/live.m3u8")), ".ts") >= 4
	})
	m, err := m3u8.ParseMaster([]byte(p.Get(entry)))
	if err != nil || len(m.IFrames) != 1 || m.IFrames[0].Width != 320 || !strings.HasPrefix(m.IFrames[0].Codecs, "avc1.") || strings.Contains(m.IFrames[0].Codecs, ",") {
		t.Fatalf("%+v, %v", m, err)
	}
	live := p.URL("live/streams/" + m.IFrames[0].URI)
	for i, s := range playlist(t, p, live) {
		if i == 0 {
			onePicture(t, live, &s)
		}
		if rate := (s.Range.Offset + s.Range.Length) * 8 * 90000 / s.Duration; rate > int64(m.IFrames[0].Bandwidth) {
			t.Errorf("%s: %d bits per second, and BANDWIDTH is %d", s.URI, rate, m.IFrames[0].Bandwidth)
		}
	}
	whole := p.URL("live/streams/cam-" + p.RecordingOf("cam") + "_iframes.m3u8")
	_ = push.Wait(time.Minute)
	rig.Eventually(t, time.Minute, "the recording is over", func() bool { return strings.Contains(p.Get(whole), "#EXT-X-ENDLIST") })
	list := playlist(t, p, whole)
	for _, s := range list {
		onePicture(t, whole, &s)
	}
	var said bytes.Buffer
	cmd := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", whole, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framecrc", "-")
	cmd.Stderr = &said
	out, err := cmd.Output()
	if n := bytes.Count(out, []byte("\n0,")); err != nil || n != len(list) || len(list) < 7 {
		t.Errorf("%v, ffmpeg plays %d pictures of %d: %s", err, n, len(list), said.Bytes())
	}
}

// playlist is the entries of an I-frame playlist without gaps.
func playlist(t *testing.T, p *rig.Process, url string) []m3u8.Segment {
	t.Helper()
	m, err := m3u8.ParseMedia([]byte(p.Get(url)))
	if err != nil || !m.IFramesOnly || len(m.Segments) == 0 {
		t.Fatalf("%s: %+v, %v", url, m, err)
	}
	for _, s := range m.Segments {
		if s.Gap || s.Range.Length == 0 || s.MapRange.Length == 0 {
			t.Fatalf("%s: %+v", url, s)
		}
	}
	return m.Segments
}

// onePicture has ffprobe decode the range of an entry with the tables before it.
func onePicture(t *testing.T, list string, s *m3u8.Segment) {
	t.Helper()
	at := strings.TrimSuffix(list, path.Base(list))
	file := filepath.Join(t.TempDir(), "picture.ts")
	if err := os.WriteFile(file, append(piece(t, at+s.Map, s.MapRange), piece(t, at+s.URI, s.Range)...), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", "error", "-show_frames", "-show_entries", "frame=media_type,key_frame,pict_type,width", "-of", "json", file)
	cmd.Stderr = &said
	out, err := cmd.Output()
	var seen struct {
		Frames []struct {
			Type    string `json:"media_type"`
			Key     int    `json:"key_frame"`
			Picture string `json:"pict_type"`
			Width   int
		}
	}
	if err == nil {
		err = json.Unmarshal(out, &seen)
	}
	if err != nil || len(seen.Frames) != 1 || seen.Frames[0].Type != "video" || seen.Frames[0].Key != 1 || seen.Frames[0].Picture != "I" || seen.Frames[0].Width != 320 {
		t.Errorf("%s, %+v: %v, %s, %s", s.URI, s.Range, err, out, said.Bytes())
	}
}

// piece fetches a range of bytes.
func piece(t *testing.T, url string, r m3u8.Range) []byte {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusPartialContent || int64(len(body)) != r.Length {
		t.Fatalf("%s: %s, %d bytes of %d, %v", url, res.Status, len(body), r.Length, err)
	}
	return body
}
