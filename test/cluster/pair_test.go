package cluster

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/gate"
	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// even are settings with which two servers make the same.
const even = "hls: {segment_duration: 1s, window: 10s, end_grace: 2s, deterministic: true}\nrtsp: {listen: \"\"}\n"

// What the encoder does: it sends the clip as it is, or codes it anew, with pictures that are shown before those that they refer to.
const (
	asItIs = "-c copy -tag:v 7 -tag:a 10"
	anew   = "-c:v libx264 -preset superfast -bf 2 -g 50 -keyint_min 50 -sc_threshold 0 -b:v 1M -c:a aac"
)

// tee is an encoder that sends a clip to servers in real time, over one connection each that it makes again when it breaks.
func tee(t *testing.T, clip, stream, coding string, all ...*node) *rig.Tool {
	t.Helper()
	var legs []string
	for i, n := range all {
		leg := "[f=flv:onfail=ignore:use_fifo=1:fifo_options='attempt_recovery=1\\:recover_any_error=1\\:recovery_wait_time=0.3\\:restart_with_keyframe=1\\:max_recovery_attempts=0\\:drop_pkts_on_overflow=1\\:queue_size=500']rtmp://" + n.RTMP + "/live/" + stream
		if i > 0 {
			leg += "?backup=1"
		}
		legs = append(legs, leg)
	}
	args := append([]string{"-v", "warning", "-re", "-i", clip, "-map", "0"}, strings.Fields(coding)...)
	return rig.Launch(t, "ffmpeg", append(args, "-flags", "+global_header", "-f", "tee", strings.Join(legs, "|"))...)
}

// pictures are the numbers of the pictures of some segments, as rig.CountedClip has written them.
func pictures(t *testing.T, ts []byte, width int) (numbers []int) {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-xerror", "-f", "mpegts", "-i", "-", "-map", "0:v", "-fps_mode", "passthrough",
		"-vf", fmt.Sprintf("crop=%d:%d:0:0,scale=16:1:flags=area,format=gray", width, width/16), "-f", "rawvideo", "-")
	cmd.Stdin = bytes.NewReader(ts)
	raw, err := cmd.Output()
	if err != nil {
		t.Errorf("ffmpeg: %v", err)
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

// inStep reports whether a server stands by for a stream, and has made the same as the one that has it.
func inStep(n *node, stream string) bool {
	b := n.Streams()[stream].Standby
	return b != nil && b.State == gate.StandbySteps && b.Same > 0
}

// pairOf is an encoder that feeds several servers the same clip.
type pairOf struct {
	v       *rig.Vault
	all     []*node
	length  time.Duration
	encoder *rig.Tool
	began   time.Time
	id      string
	moves   int // how often another server went on with the recording
}

// clipWidth is of the clip that is sent, pixels.
const clipWidth = 320

// feedAll begins to feed n servers, and waits until all but the first stand by.
func feedAll(t *testing.T, n int, coding string, length time.Duration) *pairOf {
	t.Helper()
	p := &pairOf{v: rig.NewVault(t), length: length}
	p.all = serveAs(t, n, even, p.v.YAML())
	clip := rig.CountedClip(t, clipWidth, 180, length)
	p.began = time.Now()
	p.encoder = tee(t, clip, "cam", coding, p.all...)
	rig.Eventually(t, 60*time.Second, "the stream is in the bucket", func() bool { return p.v.Has(rig.EntryKey("cam")) })
	p.id = p.all[0].RecordingOf("cam")
	for _, n := range p.all[1:] {
		rig.Eventually(t, 60*time.Second, n.name+" stands by", func() bool { return inStep(n, "cam") })
	}
	return p
}

// owner is the server that has the stream; nil: none is fed.
func (p *pairOf) owner() *node {
	for _, n := range p.all {
		if up(n) && n.Streams()["cam"].State == segmenter.Live.String() && n.Streams()["cam"].Remote != "" {
			return n
		}
	}
	return nil
}

// up reports whether a server runs.
func up(n *node) bool {
	select {
	case <-n.Done:
		return false
	default:
		return true
	}
}

// goOn waits until another server than the one that was stopped has the stream, and has listed something new.
func (p *pairOf) goOn(t *testing.T, stopped *node) *node {
	t.Helper()
	since, before := time.Now(), next(p.v.Media(rig.LiveKey("cam", p.id)))
	var heir *node
	rig.Eventually(t, 30*time.Second, "another server goes on", func() bool {
		heir = p.owner()
		return heir != nil && heir != stopped && next(p.v.Media(rig.LiveKey("cam", p.id))) > before
	})
	p.moves++
	t.Logf("%s went, and %s goes on: a new segment %v later", stopped.name, heir.name, time.Since(since).Round(time.Millisecond))
	return heir
}

// left is how long the encoder still sends.
func (p *pairOf) left() time.Duration { return p.length - time.Since(p.began) }

// TestRedundantPair feeds two servers by ffmpeg's tee, kills the one that has the stream, and when it is back and stands by, the other, and so
// on: no picture is missing or there twice, no viewer waits, and nothing tells of it but the log. At full length hls.js plays it through.
func TestRedundantPair(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	p := feedAll(t, 2, asItIs, max(3*time.Minute, time.Duration(600*rig.Scale())*time.Second))
	b := balance(t)
	b.set(p.all[0].HTTP, p.all[1].HTTP)
	entry := "http://" + b.l.Addr().String() + "/" + rig.EntryKey("cam")
	viewer, stop := rig.Watch(t, entry)
	var page *browser.Page
	if rig.Scale() >= 1 {
		var err error
		if page, err = browser.Start(t, "hls.js").Play("hls.js", entry, false); err != nil {
			t.Fatal(err)
		}
		rig.Eventually(t, 60*time.Second, "hls.js plays", func() bool {
			s, err := page.Seen()
			return err == nil && s.Time > 1
		})
	}
	for kills := 0; kills < 2 || rig.Scale() >= 1 && p.left() > 60*time.Second; kills++ {
		rig.Eventually(t, 30*time.Second, "there are segments to compare", func() bool { return next(p.v.Media(rig.LiveKey("cam", p.id))) > 4 })
		owner := p.owner()
		owner.Kill()
		heir := p.goOn(t, owner)
		alike(t, p, heir)
		owner.Start()
		rig.Eventually(t, 60*time.Second, owner.name+" is back and stands by", func() bool { return inStep(owner, "cam") })
		if rig.Scale() >= 1 {
			for until := time.Now().Add(20 * time.Second); time.Now().Before(until) && p.left() > 60*time.Second; {
				time.Sleep(time.Second)
			}
		}
	}
	viewer.Mu.Lock()
	longest := viewer.Cadence
	viewer.Mu.Unlock()
	t.Logf("the longest wait for a new segment was %v", longest.Round(time.Millisecond))
	if longest > 6*time.Second { // what players hold in advance: three segments, each of a GOP
		t.Errorf("viewers waited %v for a segment of two seconds", longest)
	}
	if page != nil {
		s, err := page.Seen()
		if err != nil || len(s.Fatal) > 0 || len(s.Jumps) > 0 {
			t.Errorf("hls.js: %v, gave up: %v, jumps %+v", err, s.Fatal, s.Jumps)
		}
		for _, x := range s.Stalls {
			if x.Ahead < .5 { // with more than that ahead the machine was too busy to show it
				t.Errorf("hls.js stalls for want of data: %+v", x)
			}
		}
		t.Logf("hls.js played %.0f s, with the stalls %+v", s.Played, s.Stalls)
	}
	stop()
	p.unbroken(t)
}

// TestRollingPair restarts three servers one after the other that are all fed the same: nothing tells of it.
func TestRollingPair(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	p := feedAll(t, 3, anew, max(3*time.Minute, time.Duration(600*rig.Scale())*time.Second))
	for rounds := 0; rounds < 1 || rig.Scale() >= 1 && p.left() > 2*time.Minute; rounds++ {
		for _, n := range p.all {
			owner := p.owner()
			took := n.Signal(syscall.SIGTERM, 60*time.Second)
			if n.Err != nil {
				t.Errorf("%s: %v", n.name, n.Err)
			}
			if n == owner {
				p.goOn(t, n)
			}
			n.Start()
			t.Logf("%s stopped in %v", n.name, took.Round(time.Millisecond))
			rig.Eventually(t, 60*time.Second, n.name+" is back and stands by", func() bool { return inStep(n, "cam") })
		}
	}
	p.unbroken(t)
}

// alike checks that what a server has made itself, while it stood by, is what the other has stored, byte for byte.
func alike(t *testing.T, p *pairOf, n *node) {
	t.Helper()
	compared := 0
	for _, key := range p.v.Keys("live/streams/cam/" + p.id + "/") {
		if path.Ext(key) != ".ts" {
			continue
		}
		stored, _, _ := p.v.Get(key)
		if own := n.Get(n.URL(key)); sha256.Sum256([]byte(own)) != sha256.Sum256(stored) {
			t.Errorf("%s: %s has %d bytes, and the bucket %d others", key, n.name, len(own), len(stored))
		}
		compared++
	}
	t.Logf("%d segments are the same by SHA-256", compared)
}

// unbroken waits for the end of it all, and checks the archive: every picture once, in its order, and nothing that tells of what became of servers.
func (p *pairOf) unbroken(t *testing.T) {
	t.Helper()
	v, sent, stream, id := p.v, int(p.length.Seconds())*25, "cam", p.id
	least := sent
	if rig.Scale() < 1 { // it is stopped, and flushes what it has
		least = int((time.Since(p.began) - 5*time.Second).Seconds()) * 25
		_ = p.encoder.Cmd.Process.Signal(os.Interrupt)
	}
	if err := p.encoder.Wait(p.left() + time.Minute); err != nil {
		t.Log(err)
	}
	n := p.all[0]
	rig.Eventually(t, 60*time.Second, "the recording has ended", func() bool { m := v.Media(rig.LiveKey("cam", id)); return m != nil && m.EndList })
	ids, err := storage.Archives(t.Context(), v.Store, segmenter.Key{App: "live", Stream: stream})
	if err != nil || len(ids) != p.moves+1 {
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
	got := pictures(t, ts, clipWidth)
	bad := 0
	for i, p := range got {
		if p != i {
			if bad++; bad < 5 {
				t.Errorf("picture %d is number %d", i, p)
			}
		}
	}
	if len(got) < least || len(got) > sent {
		t.Errorf("%d pictures, %d to %d were sent", len(got), least, sent)
	}
	t.Logf("%d segments in %d playlists, %d pictures of %d", number, len(ids), len(got), sent)
}
