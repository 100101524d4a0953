package crash

import (
	"fmt"
	"net/http"
	"strings"
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

// tries is how often a trouble is made before it counts as felt: a fault is felt each time, a moment in which the machine is busy is not.
const tries = 3

// TestOutages lets the bucket fail in every way, one after another. Viewers and publishers are not affected, compared with those of a server
// beside it that has no trouble; then everything drains at four times real time or faster; nothing is lost; and a client that reads the
// bucket meanwhile never finds a playlist that lists a missing object.
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
	bystander := rig.Stand(t, rig.WithBallast(2000))
	for _, x := range troubles {
		var faults []string
		for range tries {
			rig.Felt(viewers, cameras)
			bystander.Felt()
			after := x.make(t, p, v, len(streams))
			felt, calm := rig.Felt(viewers, cameras), bystander.Felt()
			faults = after.faults()
			if felt.Segment > calm.Segment+time.Second || felt.Frame > calm.Frame+500*time.Millisecond {
				faults = append(faults, fmt.Sprintf("it is felt: segments every %v at most, beside it %v; frames %v late, beside it %v",
					felt.Segment, calm.Segment, felt.Frame, calm.Frame))
			}
			t.Logf("%-30s segments every %v at most, frames %v late at most; %v", x.name, felt.Segment.Round(time.Millisecond),
				felt.Frame.Round(time.Millisecond), after)
			if len(faults) == 0 {
				break
			}
			t.Logf("%-30s %s", "", strings.Join(faults, "; "))
		}
		if len(faults) > 0 {
			t.Errorf("%s, %d times: %s", x.name, tries, strings.Join(faults, "; "))
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

// aftermath is what a trouble left, and how it was cleared away.
type aftermath struct {
	behind        float64       // seconds of each stream
	lasted, pause time.Duration // of the trouble; from its end to the first upload
	longest       time.Duration // that the pause may be
	drained       time.Duration // from there until nothing was left
	ready         string        // what /readyz said during it
}

// make makes a trouble for its time, and waits until what it held up is in the bucket.
func (x *trouble) make(t *testing.T, p *rig.Process, v *rig.Vault, streams int) aftermath {
	t.Helper()
	const backlog = `hlsorigin_upload_backlog_segments{target="bucket"}`
	const sent = `hlsorigin_upload_segments_total{target="bucket"}`
	v.Proxy.Set(x.set...)
	began := time.Now()
	time.Sleep(rig.Scaled(x.length, 4*time.Second))
	a := aftermath{longest: x.pause, ready: p.Get("http://" + p.Admin + "/readyz")}
	a.behind = p.Metric(backlog) / float64(streams) // each segment is a second
	before := p.Metric(sent)
	v.Proxy.Set()
	healed := time.Now()
	var first time.Time // the first segment after it: the uploader's pause is over
	rig.Eventually(t, 5*time.Minute, "the backlog drains after "+x.name, func() bool {
		if first.IsZero() && p.Metric(sent) > before {
			first = time.Now()
		}
		return p.Metric(backlog) <= float64(streams) && !first.IsZero()
	})
	a.lasted, a.pause, a.drained = healed.Sub(began), first.Sub(healed), time.Since(first)
	return a
}

func (a aftermath) faults() (all []string) {
	if limit := time.Duration(a.behind/4*float64(time.Second)) + time.Second; a.drained > limit {
		all = append(all, fmt.Sprintf("%.0f s drained in %v, slower than four times real time", a.behind, a.drained))
	}
	// A pause doubles with each failure: it is never longer than the trouble was, nor than its own limit.
	if a.pause > min(a.longest, 2*a.lasted)+2*time.Second {
		all = append(all, fmt.Sprintf("it is over for %v before uploads go on; /readyz: %s", a.pause, a.ready))
	}
	return all
}

func (a aftermath) String() string {
	rate := "at once"
	if a.drained > 50*time.Millisecond {
		rate = fmt.Sprintf("%.0f times real time", a.behind/a.drained.Seconds())
	}
	return fmt.Sprintf("%.0f s behind, noticed after %v, drained in %v: %s", a.behind, a.pause.Round(time.Millisecond),
		a.drained.Round(time.Millisecond), rate)
}
