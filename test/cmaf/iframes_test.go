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

// TestPicturesOfIFramePlaylists holds each range of an I-frame playlist, of transport streams and of CMAF, to one picture that ffprobe shows
// without any other, on the air and of the whole recording, and has ffmpeg play that.
func TestPicturesOfIFramePlaylists(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "ffprobe")
	p := rig.Serve(t, t.TempDir(), strings.Replace(config, "segment_duration: 2s", "segment_duration: 1s, end_grace: 1s", 1))
	push := rig.Push(t, rig.SourceNamed("gop_1s").Clip(t, 8*time.Second), "rtmp://"+p.RTMP+"/live/cam")
	rig.Eventually(t, time.Minute, "the stream is there", func() bool {
		return p.Status(p.URL("live/streams/cam.m3u8")) == 200 && strings.Count(p.Get(p.URL("live/streams/cam/"+p.RecordingOf("cam")+"/live.m3u8")), ".ts") >= 4
	})
	id := p.RecordingOf("cam")
	named := func(entry string) (url string, bandwidth int64) {
		t.Helper()
		m, err := m3u8.ParseMaster([]byte(p.Get(p.URL("live/streams/" + entry))))
		if err != nil || len(m.IFrames) != 1 || m.IFrames[0].Width != 320 || !strings.HasPrefix(m.IFrames[0].Codecs, "avc1.") || strings.Contains(m.IFrames[0].Codecs, ",") {
			t.Fatalf("%s: %+v, %v", entry, m, err)
		}
		return p.URL("live/streams/" + m.IFrames[0].URI), int64(m.IFrames[0].Bandwidth)
	}
	hold := func(url string, bandwidth int64, shown int) (n int) {
		t.Helper()
		list := playlist(t, p, url)
		for i, s := range list {
			if i < shown {
				onePicture(t, url, &s)
			}
			if rate := s.Range.Length * 8 * 90000 / s.Duration; rate > bandwidth {
				t.Errorf("%s of %s: %d bits per second, and BANDWIDTH is %d", s.URI, url, rate, bandwidth)
			}
		}
		return len(list)
	}
	for _, entry := range []string{"cam.m3u8", "cam_cmaf.m3u8"} {
		url, bandwidth := named(entry)
		hold(url, bandwidth, 1)
	}
	whole := p.URL("live/streams/cam-" + id + "_iframes.m3u8")
	_ = push.Wait(time.Minute)
	rig.Eventually(t, time.Minute, "the recording is over", func() bool { return strings.Contains(p.Get(whole), "#EXT-X-ENDLIST") })
	tracks, bandwidth := named("cam-" + id + "_cmaf.m3u8")
	n := hold(whole, 1<<40, 1<<20)
	if of := hold(tracks, bandwidth, 3); of != n || n < 7 {
		t.Errorf("%d pictures in transport streams, and %d in fragments", n, of)
	}
	var said bytes.Buffer
	cmd := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", whole, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framecrc", "-")
	cmd.Stderr = &said
	out, err := cmd.Output()
	if shown := bytes.Count(out, []byte("\n0,")); err != nil || shown != n {
		t.Errorf("%v, ffmpeg plays %d pictures of %d: %s", err, shown, n, said.Bytes())
	}
}

// playlist is the entries of an I-frame playlist without gaps, each with what has to be read before it.
func playlist(t *testing.T, p *rig.Process, url string) []m3u8.Segment {
	t.Helper()
	m, err := m3u8.ParseMedia([]byte(p.Get(url)))
	if err != nil || !m.IFramesOnly || len(m.Segments) == 0 {
		t.Fatalf("%s: %+v, %v", url, m, err)
	}
	for i := range m.Segments {
		s := &m.Segments[i]
		if s.Map == "" && i > 0 {
			s.Map = m.Segments[i-1].Map
		}
		if s.Gap || s.Range.Length == 0 || s.Map == "" {
			t.Fatalf("%s: %+v", url, s)
		}
	}
	return m.Segments
}

// onePicture has ffprobe decode the range of an entry with the tables, or the init segment, before it.
func onePicture(t *testing.T, list string, s *m3u8.Segment) {
	t.Helper()
	at := strings.TrimSuffix(list, path.Base(list))
	file, loud := filepath.Join(t.TempDir(), "picture"+path.Ext(s.URI)), "error"
	if path.Ext(s.URI) == ".m4s" {
		loud = "fatal" // it says that the samples behind the first are missing
	}
	if err := os.WriteFile(file, append(piece(t, at+s.Map, s.MapRange), piece(t, at+s.URI, s.Range)...), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", loud, "-show_frames", "-show_entries", "frame=media_type,key_frame,pict_type,width", "-of", "json", file)
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

// piece fetches a range of bytes; the zero value: all.
func piece(t *testing.T, url string, r m3u8.Range) []byte {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := http.StatusOK
	if r.Length > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1))
		want = http.StatusPartialContent
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want || r.Length > 0 && int64(len(body)) != r.Length {
		t.Fatalf("%s: %s, %d bytes of %d, %v", url, res.Status, len(body), r.Length, err)
	}
	return body
}
