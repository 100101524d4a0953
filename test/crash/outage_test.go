package crash

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// trouble is one kind of outage.
type trouble struct {
	name   string
	length time.Duration // at full scale
	set    []storetest.Trouble
	pause  time.Duration // in which the uploader may still be waiting when the store has recovered
}

// uploads matches requests that carry segments and playlists to the bucket.
var uploads = storetest.Method(http.MethodPut)

// longestPause is the uploader's, whatever the store did.
const longestPause = 4 * time.Second

var troubles = []trouble{
	{"away", 3 * time.Minute, []storetest.Trouble{{ResetRequest: 1}}, longestPause},
	{"503 storms", time.Minute, []storetest.Trouble{{Status: http.StatusServiceUnavailable, Every: 2}}, longestPause},
	{"503", time.Minute, []storetest.Trouble{{Status: http.StatusServiceUnavailable}}, longestPause},
	{"hangs", 30 * time.Second, []storetest.Trouble{{Hang: true}}, longestPause},
	{"500", 30 * time.Second, []storetest.Trouble{{Status: http.StatusInternalServerError}}, longestPause},
	{"resets in the request's body", time.Minute, []storetest.Trouble{{Match: uploads, ResetRequest: 20_000}}, longestPause},
	{"lost responses", time.Minute, []storetest.Trouble{{Match: uploads, LoseResponse: true, Every: 2}}, longestPause},
	{"every response lost", 30 * time.Second, []storetest.Trouble{{Match: uploads, LoseResponse: true}}, longestPause},
	{"50 kB/s", time.Minute, []storetest.Trouble{{BytesPerSecond: 50_000}}, 0},
	{"403", 30 * time.Second, []storetest.Trouble{{Status: http.StatusForbidden}}, longestPause},
}

// TestOutages lets the bucket fail in every way, one after another. Viewers and publishers are not affected, compared with a time without
// faults; then everything drains at four times real time or faster; nothing is lost; and a client that reads the bucket meanwhile never
// finds a playlist that lists a missing object.
func TestOutages(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	v := rig.NewVault(t)
	p := rig.Serve(t, t.TempDir(), rig.Brisk+v.YAML())
	streams := []string{"one", "two", "three"}
	var viewers []*rig.Viewer
	var cameras []*rig.Camera
	for _, s := range streams {
		w, stop := rig.Watch(t, p.URL("live/streams/"+s+".m3u8"))
		defer stop()
		viewers, cameras = append(viewers, w), append(cameras, rig.Shoot(t, p, s, rig.WithBallast(2000)))
	}
	reader := v.PeekAt(streams...)
	for i, s := range streams {
		rig.Eventually(t, 20*time.Second, s+" is on", func() bool { return viewers[i].Count() > 0 })
	}
	// felt returns what viewers and publishers experienced since its last call: the longest waits for a segment and for a frame to be
	// accepted.
	felt := func() (cadence, late time.Duration) {
		for i := range streams {
			w, c := viewers[i], cameras[i]
			w.Mu.Lock()
			cadence = max(cadence, w.Cadence)
			w.Cadence = 0
			w.Mu.Unlock()
			c.Mu.Lock()
			late = max(late, c.Late)
			c.Late = 0
			c.Mu.Unlock()
		}
		return cadence, late
	}
	felt()
	time.Sleep(rig.Scaled(time.Minute, 6*time.Second))
	calm, calmLate := felt()
	t.Logf("%-30s segments every %v at most, frames %v late at most", "no trouble", calm.Round(time.Millisecond), calmLate.Round(time.Millisecond))

	const backlog = `hlsorigin_upload_backlog_segments{target="bucket"}`
	const sent = `hlsorigin_upload_segments_total{target="bucket"}`
	for _, x := range troubles {
		v.Proxy.Set(x.set...)
		began := time.Now()
		time.Sleep(rig.Scaled(x.length, 4*time.Second))
		ready := p.Get("http://" + p.Admin + "/readyz")
		cadence, late := felt()
		behind := p.Metric(backlog)
		before := p.Metric(sent)
		v.Proxy.Set()
		healed := time.Now()
		var first time.Time // the first segment after it: the uploader's pause is over
		rig.Eventually(t, 5*time.Minute, "the backlog drains after "+x.name, func() bool {
			if first.IsZero() && p.Metric(sent) > before {
				first = time.Now()
			}
			return p.Metric(backlog) <= float64(len(streams)) && !first.IsZero()
		})
		drained := time.Since(first)
		seconds := behind / float64(len(streams)) // each segment is a second
		rate := "at once"
		if drained > 50*time.Millisecond {
			rate = fmt.Sprintf("%.0f times real time", seconds/drained.Seconds())
		}
		t.Logf("%-30s segments every %v at most, frames %v late at most; %.0f s behind, noticed after %v, drained in %v: %s", x.name,
			cadence.Round(time.Millisecond), late.Round(time.Millisecond), seconds, first.Sub(healed).Round(time.Millisecond),
			drained.Round(time.Millisecond), rate)
		if cadence > calm+time.Second || late > calmLate+500*time.Millisecond {
			t.Errorf("%s is felt: segments every %v, without trouble %v; frames %v late, without %v", x.name, cadence, calm, late, calmLate)
		}
		if limit := time.Duration(seconds/4*float64(time.Second)) + time.Second; drained > limit {
			t.Errorf("%s: %.0f s drained in %v, slower than four times real time", x.name, seconds, drained)
		}
		// A pause doubles with each failure: it is never longer than the trouble was, nor than its own limit.
		if wait := first.Sub(healed); wait > min(x.pause, 2*healed.Sub(began))+2*time.Second {
			t.Errorf("%s is over for %v before uploads go on; /readyz: %s", x.name, wait, ready)
		}
	}
	if n := int(20_000 * min(1, rig.Scale())); reader.Count() < n {
		for began := time.Now(); reader.Count() < n && time.Since(began) < 5*time.Minute; {
			time.Sleep(100 * time.Millisecond)
		}
	}
	for i, s := range streams {
		cameras[i].Stop()
		v.WaitFinished(s, viewers[i].Recording, time.Minute)
		viewers[i].Good()
		if cameras[i].Connects > 1 {
			t.Errorf("%s was cut off: %v", s, cameras[i].Refused)
		}
		if lost, gaps := v.Finished(viewers[i], s); len(lost) > 0 || gaps > 0 {
			t.Errorf("%s: lost %v, %d gaps", s, lost, gaps)
		}
	}
	for _, series := range []string{"hlsorigin_archive_gaps_total", `hlsorigin_upload_conflicts_total{target="bucket"}`} {
		if n := p.Metric(series); n != 0 {
			t.Errorf("%s is %v", series, n)
		}
	}
	reader.Good()
}
