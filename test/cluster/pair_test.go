package cluster

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// even are settings with which two servers make the same.
const even = "hls: {segment_duration: 1s, window: 10s, end_grace: 2s, deterministic: true}\nrtsp: {listen: \"\"}\n"

// tee is an encoder that sends a clip to servers in real time, over one connection each that it makes again when it breaks.
func tee(t *testing.T, clip, stream string, all ...*node) *rig.Tool {
	t.Helper()
	var legs []string
	for i, n := range all {
		leg := "[f=flv:onfail=ignore:use_fifo=1:fifo_options='attempt_recovery=1\\:recover_any_error=1\\:recovery_wait_time=0.3\\:restart_with_keyframe=1\\:max_recovery_attempts=0\\:drop_pkts_on_overflow=1\\:queue_size=500']rtmp://" + n.RTMP + "/live/" + stream
		if i > 0 {
			leg += "?backup=1"
		}
		legs = append(legs, leg)
	}
	return rig.Launch(t, "ffmpeg", "-v", "warning", "-re", "-i", clip, "-map", "0", "-c", "copy", "-tag:v", "7", "-tag:a", "10", "-flags", "+global_header", "-f", "tee", strings.Join(legs, "|"))
}

// pictures are the numbers of the pictures of some segments, as rig.CountedClip has written them.
func pictures(t *testing.T, ts []byte, width int) (numbers []int) {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "mpegts", "-i", "-", "-map", "0:v", "-fps_mode", "passthrough",
		"-vf", fmt.Sprintf("crop=%d:%d:0:0,scale=16:1:flags=area,format=gray", width, width/16), "-f", "rawvideo", "-")
	cmd.Stdin = bytes.NewReader(ts)
	var said bytes.Buffer
	cmd.Stderr = &said
	raw, err := cmd.Output()
	if err != nil || said.Len() > 0 {
		t.Errorf("ffmpeg: %v %s", err, said.String())
	}
	for ; len(raw) >= 16; raw = raw[16:] {
		n := 0
		for bit := range 16 {
			if raw[bit] > 128 {
				n |= 1 << bit
			}
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// standing is the state of who stands by on a server, or has stood by.
func standing(n *node) string { return n.Get("http://" + n.Admin + "/metrics") }

func inStep(n *node) bool {
	return strings.Contains(standing(n), "\nhlsorigin_cluster_standbys 1\n") && !strings.Contains(standing(n), "hlsorigin_cluster_standby_segments_total{same=\"true\"} 0\n") &&
		!strings.Contains(standing(n), "hlsorigin_cluster_standby_joins_total 0\n")
}

// TestRedundantPair feeds two servers by ffmpeg's tee, kills the one that has the stream, and when it is back as the one that stands by, the other, and so on:
// no picture is missing or there twice, no viewer waits, and nothing tells of it but the log.
func TestRedundantPair(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	v := rig.NewVault(t)
	all := serveAs(t, 2, even, v.YAML())
	length := time.Duration(max(30, 600*rig.Scale())) * time.Second
	const width = 320
	clip := rig.CountedClip(t, width, 180, length)
	encoder := tee(t, clip, "cam", all...)
	rig.Eventually(t, 60*time.Second, "the stream is in the bucket", func() bool { return v.Has(rig.EntryKey("cam")) })
	id := all[0].RecordingOf("cam")
	rig.Eventually(t, 60*time.Second, "the other server stands by", func() bool { return inStep(all[1]) })
	began := time.Now()
	viewer, stop := rig.Watch(t, all[1].URL(rig.EntryKey("cam")))
	rig.Eventually(t, 20*time.Second, "both have completed some", func() bool { return len(v.Keys("live/streams/cam/"+id+"/")) > 6 })
	kills := 0
	kill := func(owner, heir *node) {
		owner.Kill()
		killed, before := time.Now(), viewerNext(viewer)
		rig.Eventually(t, 30*time.Second, "it goes on at the other", func() bool { return heir.RecordingOf("cam") == id && viewerNext(viewer) > before })
		t.Logf("%s was killed; a new segment %v later", owner.name, time.Since(killed).Round(time.Millisecond))
		kills++
		alike(t, v, heir, id)
		owner.Start()
	}
	kill(all[0], all[1])
	if rig.Scale() >= 1 {
		rig.Eventually(t, 60*time.Second, "who was killed stands by", func() bool { return inStep(all[0]) })
		for time.Since(began) < length-60*time.Second {
			time.Sleep(time.Second)
		}
	}
	if err := encoder.Wait(length + time.Minute); err != nil {
		t.Log(err)
	}
	owner := all[1]
	rig.Eventually(t, 60*time.Second, "the recording has ended", func() bool { m := v.Media(rig.LiveKey("cam", id)); return m != nil && m.EndList })
	v.WaitSettled(owner.Process, 60*time.Second)
	stop()
	unbroken(t, v, owner, "cam", id, int(length.Seconds())*25, width, kills)
	viewer.Mu.Lock()
	defer viewer.Mu.Unlock()
	t.Logf("the longest wait for a new segment was %v", viewer.Cadence.Round(time.Millisecond))
	if viewer.Cadence > 3*time.Second {
		t.Errorf("viewers waited %v for a segment of a second", viewer.Cadence)
	}
}

func viewerNext(v *rig.Viewer) int {
	v.Mu.Lock()
	defer v.Mu.Unlock()
	return len(v.Order)
}

// alike checks that what a server has made itself, while it stood by, is what the other has stored, byte for byte.
func alike(t *testing.T, v *rig.Vault, n *node, id string) {
	t.Helper()
	compared := 0
	for _, key := range v.Keys("live/streams/cam/" + id + "/") {
		if path.Ext(key) != ".ts" {
			continue
		}
		stored, _, _ := v.Get(key)
		if own := n.Get(n.URL(key)); sha256.Sum256([]byte(own)) != sha256.Sum256(stored) {
			t.Errorf("%s: %s has %d bytes, and the bucket %d others", key, n.name, len(own), len(stored))
		}
		compared++
	}
	t.Logf("%d segments are the same by SHA-256", compared)
}

// unbroken checks the archive of a recording: every picture once, in its order, and nothing that tells of what became of servers.
func unbroken(t *testing.T, v *rig.Vault, n *node, stream, id string, sent, width, takeovers int) {
	t.Helper()
	ids, err := storage.Archives(t.Context(), v.Store, segmenter.Key{App: "live", Stream: stream})
	if err != nil || len(ids) != takeovers+1 {
		t.Errorf("timestamped playlists %v, %v", ids, err)
	}
	var ts []byte
	var end time.Time
	number := uint64(0)
	for _, name := range ids {
		v.WaitFinished(stream, string(name), 60*time.Second)
		m := v.Media(rig.ArchiveKey(stream, string(name)))
		if m.MediaSequence != number {
			t.Errorf("%s begins with %d, want %d", name, m.MediaSequence, number)
		}
		number = next(m)
		for _, s := range m.Segments {
			if s.Discontinuity || s.Gap || !strings.Contains(s.URI, id) {
				t.Errorf("%s: %+v", name, s)
			}
			if off := s.ProgramDateTime.Sub(end); !end.IsZero() && off.Abs() > 40*time.Millisecond {
				t.Errorf("%s begins %v after the one before it ends", s.URI, off)
			}
			end = s.ProgramDateTime.Add(time.Duration(s.Duration) * 100000 / 9)
			body, _, _ := v.Get(path.Join(path.Dir(rig.ArchiveKey(stream, string(name))), s.URI))
			ts = append(ts, body...)
		}
		if said, status := n.Command("recordings", "verify", "live/"+stream+"-"+string(name)); status != 0 {
			t.Errorf("verify: %s", said)
		}
	}
	got := pictures(t, ts, width)
	bad := 0
	for i, p := range got {
		if p != i {
			if bad++; bad < 5 {
				t.Errorf("picture %d is number %d", i, p)
			}
		}
	}
	if len(got) != sent {
		t.Errorf("%d pictures, %d were sent", len(got), sent)
	}
	t.Logf("%d segments in %d playlists, %d pictures of %d", number, len(ids), len(got), sent)
}
