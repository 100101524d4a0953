package hooks

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/dir"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// every lists all types of event.
const every = "stream.*, segment.uploaded, recording.*, upload.*, disk.*"

// TestReceiverIsAway: a receiver is away for five minutes while three streams are live and the server is killed, again and again. It gets
// every event at least once, in order for each stream, and a receiver that was there all the time gets the same.
func TestReceiverIsAway(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	away := rig.Scaled(5*time.Minute, 15*time.Second)
	lost, there := newReceiver(t), newReceiver(t)
	there.come()
	p := rig.Serve(t, t.TempDir(), rig.Brisk+"webhooks:\n"+lost.yaml(every)+there.yaml(every))
	streams := []string{"one", "two", "three"}
	var cameras []*rig.Camera
	for _, s := range streams {
		cameras = append(cameras, rig.Shoot(t, p, s))
	}
	for _, s := range streams {
		rig.Eventually(t, 30*time.Second, s+" is told of", func() bool { return there.has(s, "segment.uploaded") })
	}
	kills := max(2, int(away/(30*time.Second)))
	for range kills {
		time.Sleep(away / time.Duration(kills+1))
		p.Kill()
		p.Start()
	}
	time.Sleep(away / time.Duration(kills+1))
	if n := len(lost.all()); n != 0 {
		t.Fatalf("%d events reached somebody who is away", n)
	}
	if pending := p.Metric(fmt.Sprintf("hlsorigin_webhook_pending{host=%q,index=\"0\"}", lost.address)); pending < float64(len(streams)*int(away/time.Second)/2) {
		t.Errorf("%v events wait", pending)
	}
	lost.shake(true)
	lost.come()
	for _, c := range cameras {
		c.Stop()
	}
	for _, s := range streams {
		rig.Eventually(t, 60*time.Second, s+" is complete for the one who was there", func() bool { return there.has(s, "recording.completed") && there.has(s, "stream.ended") })
	}
	if err := p.Cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, away+60*time.Second, "nothing waits any more", func() bool {
		return p.Metric(fmt.Sprintf("hlsorigin_webhook_pending{host=%q,index=\"0\"}", lost.address)) == 0
	})
	t.Logf("away for %v and %d kills: %d events, %d of them more than once; %d answers were errors", away, kills, len(lost.all()), lost.again, lost.failed)
	for _, s := range streams {
		same(t, s, lost.of(s), there.of(s))
		grammar(t, s, lost.of(s))
		whole(t, p, s, lost.of(s))
	}
	said := p.Log.String()
	for _, secret := range []string{"topsecret", "user:", "pass@", secret[6:20]} {
		if strings.Contains(said, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if n := len(p.Log.Matching(regexp.MustCompile("does not take an event"))); n > 2 {
		t.Errorf("%d lines for a receiver that is away", n)
	}
}

// same compares the events of a stream that two receivers got: the same events in the same order.
func same(t *testing.T, stream string, a, b []event) {
	t.Helper()
	ids := func(list []event) (out []string) {
		for _, e := range list {
			out = append(out, e.ID)
		}
		return out
	}
	x, y := ids(a), ids(b)
	for _, id := range y {
		if !slices.Contains(x, id) {
			t.Errorf("%s: %s never came", stream, id)
		}
	}
	if !slices.Equal(x, y) {
		t.Errorf("%s: %d events, and %d at the one who was there, or in another order", stream, len(x), len(y))
	}
	if !slices.IsSortedFunc(a, func(x, y event) int { return x.Timestamp.Compare(y.Timestamp) }) {
		t.Errorf("%s: events are out of order", stream)
	}
}

// grammar checks the order of a stream's events: each recording starts once, stalls and resumes alternately, and ends once.
func grammar(t *testing.T, stream string, list []event) {
	t.Helper()
	last := map[string]string{}
	for _, e := range list {
		r := e.Data.Recording
		before := last[r]
		ok := true
		switch e.Type {
		case "stream.started":
			ok = before == ""
		case "stream.stalled":
			ok = before != "" && before != "stream.ended" // twice if a restart finds it like this
		case "stream.resumed":
			ok = before == "stream.stalled"
		case "stream.ended":
			ok = before != "" && before != "stream.ended"
		default:
			continue
		}
		if !ok {
			t.Errorf("%s/%s: %s after %q", stream, r, e.Type, before)
		}
		last[r] = e.Type
	}
	for r, e := range last {
		if e != "stream.ended" {
			t.Errorf("%s/%s: the last is %s", stream, r, e)
		}
	}
}

// whole checks the events of a stream against the bucket: every segment of every playlist was reported.
func whole(t *testing.T, p *rig.Process, stream string, list []event) {
	t.Helper()
	store, err := dir.Open(dir.Options{Path: filepath.Join(p.Dir, "data", "bucket")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	told, completed := map[string]bool{}, 0
	for _, e := range list {
		switch e.Type {
		case "segment.uploaded":
			told[e.Data.Path] = true
		case "recording.completed":
			completed++
			body, _, err := store.Get(t.Context(), e.Data.Archive, 0, -1)
			if err != nil {
				t.Error(err)
				continue
			}
			raw, err := io.ReadAll(body)
			if err = errors.Join(err, body.Close()); err != nil {
				t.Error(err)
				continue
			}
			m, err := m3u8.ParseMedia(raw)
			if err != nil {
				t.Error(err)
				continue
			}
			gaps := 0
			for _, s := range m.Segments {
				switch path := "live/streams/" + s.URI; {
				case s.Gap:
					gaps++
				case !told[path]:
					t.Errorf("%s is in the bucket, and nobody was told", path)
				}
			}
			if len(m.Segments) != e.Data.Segments || gaps != e.Data.Gaps || !m.EndList {
				t.Errorf("%s: %d segments, %d gaps, ended %v; the event says %+v", e.Data.Archive, len(m.Segments), gaps, m.EndList, e.Data)
			}
		}
	}
	if completed == 0 {
		t.Errorf("%s: no recording was completed", stream)
	}
}
