package transcode

import (
	"errors"
	"io"
	"log/slog"
	"os/exec"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/flv"
)

// TestFFmpeg has the real program make two rungs at double speed, one process after another: every picture of the source comes back with
// its own timestamp, keyframes are where the source has them, and nothing shows where an old process was replaced by the next. After a hole
// in the source the rungs start over, with decoding times that do not include the hole.
func TestFFmpeg(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is needed")
	}
	h := newHall(t)
	p := h.publisher("", func(o *Options) {
		*o = Options{
			Publisher: h, Apps: map[string][]Rung{"live": {{"720p", 180, 300_000}, {"480p", 90, 100_000}}},
			Log: slog.New(slog.NewTextHandler(h, nil)), MaxAge: 2 * time.Second, MinBackoff: time.Millisecond, MaxLag: time.Minute, FlushTimeout: time.Minute,
		}
	})
	c := connect(t, p, "cam")
	play(t, &holey{Session: c.session}, "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30000/1001", "-f", "lavfi", "-i", "sine", "-t", "6.5",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-bf", "2", "-c:a", "aac", "-f", "flv", "-")
	c.session.Close(ingest.ErrUnpublished)
	h.until("the rungs have ended", func() bool {
		return h.last("cam_720p") != nil && h.last("cam_720p").ended && h.last("cam_480p") != nil && h.last("cam_480p").ended
	})
	source := map[int64]bool{}
	for _, f := range h.last("cam_source").video() {
		source[f.pts] = f.key
	}
	for _, name := range []string{"cam_720p", "cam_480p"} {
		if len(h.sessions[name]) != 2 {
			t.Fatalf("%s has %d sessions", name, len(h.sessions[name]))
		}
		video := append(h.sessions[name][0].video(), h.sessions[name][1].video()...)
		if len(video) != len(source) {
			t.Errorf("%s: %d pictures of %d", name, len(video), len(source))
		}
		for i, f := range video {
			key, ok := source[f.pts]
			if !ok || key != f.key || f.dts > f.pts || f.pts-f.dts > ingest.Clock/2 || i > 0 && f.dts <= video[i-1].dts {
				t.Fatalf("%s, picture %d: PTS %d, DTS %d, key %v; in the source: %v, key %v", name, i, f.pts, f.dts, f.key, ok, key)
			}
			if string(f.track.SPS[0]) != string(video[0].track.SPS[0]) || f.track.FrameRate < 29.9 {
				t.Fatalf("%s, picture %d has the track %+v", name, i, f.track)
			}
		}
	}
	if st := p.Stats(); st.Turnovers.Load() < 2 || st.Restarts.Load() != 0 || st.DroppedGOPs.Load() != 0 {
		t.Errorf("%d turnovers, %d restarts, %d groups dropped\n%s", st.Turnovers.Load(), st.Restarts.Load(), st.DroppedGOPs.Load(), h.log.String())
	}
}

// holey loses the fourth GOP.
type holey struct {
	ingest.Session
	groups int
}

func (s *holey) WriteFrame(f *ingest.Frame) error {
	if f.Track.Codec.IsVideo() && f.Key {
		s.groups++
	}
	if f.Track.Codec.IsVideo() && s.groups == 4 {
		return nil
	}
	return s.Session.WriteFrame(f)
}

// play gives a session what ffmpeg makes, at double speed.
func play(t *testing.T, s ingest.Session, args ...string) {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-readrate", "2"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var stats flv.Stats
	r, d := newTags(out), flv.NewDemuxer(s, &stats)
	for {
		kind, ms, body, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = d.Tag(kind, ms, body, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}
