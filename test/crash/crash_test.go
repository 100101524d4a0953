package crash

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// startLimit is the longest that a start may take, from exec to the recovered playlists.
const startLimit = time.Second

// TestKilled kills the server again and again, at random moments and sometimes while it starts, with encoders that return at once. At the
// end nothing that a viewer was shown is missing except what no disk had yet, which is declared; no name ever had two contents; nothing
// ever went back; and the recordings play from end to end.
func TestKilled(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	rounds := int(max(8, 200*rig.Scale()))
	v := rig.NewVault(t)
	p := rig.Serve(t, t.TempDir(), strings.Replace(rig.Brisk, "segment_duration: 1s", "segment_duration: 2s", 1)+v.YAML())
	streams := []string{"onward", "anew", "shaky"}
	cameras := []*rig.Camera{rig.Shoot(t, p, "onward"), rig.Shoot(t, p, "anew", rig.BeginningAnew), rig.Shoot(t, p, "shaky", rig.Dropping(5*time.Second))}
	viewers := make([]*rig.Viewer, len(streams))
	for i, s := range streams {
		viewers[i], _ = rig.Watch(t, p.URL("live/streams/"+s+".m3u8"))
	}
	reader := v.PeekAt(streams...)
	for i, s := range streams {
		rig.Eventually(t, 20*time.Second, s+" is on", func() bool { return viewers[i].Count() > 0 })
	}

	var deaths []time.Time
	var starts []time.Duration
	early, counted := 0, float64(0)
	die := func() {
		deaths = append(deaths, time.Now())
		_ = p.Cmd.Process.Kill()
		<-p.Done
		if strings.Contains(p.Log.String(), "panic") {
			t.Errorf("it panicked:\n%s", p.Log)
		}
	}
	for round := range rounds {
		time.Sleep(200*time.Millisecond + rand.N(2800*time.Millisecond))
		die()
		if round%5 == 4 {
			p.Spawn()
			time.Sleep(rand.N(60 * time.Millisecond)) // in the middle of recovery
			die()
			early++
		}
		began := time.Now()
		p.Start()
		for i, s := range streams {
			rig.Eventually(t, 10*time.Second, s+" is served again", func() bool { return p.Status(viewers[i].Media) == http.StatusOK })
		}
		starts = append(starts, p.Took(began, startLimit))
		counted += p.Metric("hlsorigin_archive_gaps_total")
	}
	slices.Sort(starts)
	t.Logf("%d deaths, %d of them while starting; from exec to serving: median %v, longest %v", len(deaths), early,
		starts[len(starts)/2].Round(time.Millisecond), starts[len(starts)-1].Round(time.Millisecond))
	if starts[len(starts)/2] > startLimit {
		t.Errorf("a start takes %v", starts[len(starts)/2])
	}

	for _, c := range cameras {
		c.Hold()
	}
	time.Sleep(3 * time.Second)
	for _, c := range cameras {
		c.Stop()
	}
	total := 0
	var missing []time.Duration // media before each death that is in no archive
	for i, s := range streams {
		w := viewers[i]
		rig.Eventually(t, 30*time.Second, s+" ends for viewers", func() bool { w.Mu.Lock(); defer w.Mu.Unlock(); return w.Ended })
		v.WaitFinished(s, w.Recording, 60*time.Second)
		w.Good()
		lost, gaps := v.Finished(w, s)
		total += gaps
		perLife := map[int]int{}
		for _, uri := range lost {
			n, _ := slices.BinarySearchFunc(deaths, w.Named[uri], time.Time.Compare)
			perLife[n]++
		}
		for life, n := range perLife {
			if n > 1 {
				t.Errorf("%s: life %d lost %d segments that were shown: %v", s, life, n, lost)
			}
		}
		if gaps > 0 {
			t.Errorf("%s: %d gaps after %d deaths", s, gaps, len(deaths))
		}
		if s != "shaky" { // its own interruptions are not our losses
			missing = append(missing, lostBefore(v.Media(rig.ArchiveKey(s, w.Recording)), deaths)...)
		}
		ids := map[string]bool{}
		for _, key := range v.Keys("live/streams/" + s + "/") {
			ids[path.Base(path.Dir(key))] = true
		}
		if len(ids) != 1 {
			t.Errorf("%s fell into %d recordings", s, len(ids))
		}
		t.Logf("%s: %d segments shown, %d of them lost, %d gaps, %d connections", s, len(w.Named), len(lost), gaps, cameras[i].Connects)
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		p99 := missing[(len(missing)*99-1)/100]
		t.Logf("media lost at a death, %d of them: median %v, p99 %v, most %v", len(missing), missing[len(missing)/2].Round(time.Millisecond),
			p99.Round(time.Millisecond), missing[len(missing)-1].Round(time.Millisecond))
		if p99 > lossLimit {
			t.Errorf("a death costs %v of media", p99)
		}
	}
	if counted < float64(total-len(streams)*early) {
		t.Errorf("%d gaps, of which the metrics counted %v", total, counted)
	}
	if n := p.Metric("hlsorigin_upload_conflicts_total{target=\"bucket\"}"); n != 0 {
		t.Errorf("%v names with two contents", n)
	}
	reader.Good()
}

// lossLimit is the most of the input that a death may cost, beyond the time the server was away: half a second between two looks, and what
// an encoder and a busy machine add.
const lossLimit = 600 * time.Millisecond

// lostBefore returns, for each death of a life of which the archive has anything, how much time lies between the end of that and the death.
// A life too short for a connection to be understood had accepted nothing.
func lostBefore(m *m3u8.Media, deaths []time.Time) (lost []time.Duration) {
	if m == nil {
		return nil
	}
	var born time.Time
	for _, died := range deaths {
		var end time.Time
		for _, s := range m.Segments {
			if at := s.ProgramDateTime; !s.Gap && at.Before(died) && at.After(born) {
				end = at.Add(time.Duration(s.Duration) * time.Second / 90000)
			}
		}
		born = died
		if !end.IsZero() {
			lost = append(lost, max(died.Sub(end), 0))
		}
	}
	return lost
}

// TestStopAndStart checks that SIGTERM leaves a recording to the next start, which continues it; that SIGINT ends it; that an encoder that
// comes too late begins a new one; and that a recording whose encoder never comes is finished without it.
func TestStopAndStart(t *testing.T) {
	rig.Need(t, "ffmpeg")
	for _, c := range []struct {
		name string
		stop func(p *rig.Process)
		away time.Duration // from the stop to the next start
		back bool          // the encoder returns
		same bool          // in the same recording
	}{
		{"SIGTERM", func(p *rig.Process) { p.Signal(syscall.SIGTERM, 20*time.Second) }, 0, true, true},
		{"SIGINT", func(p *rig.Process) { p.Signal(syscall.SIGINT, 20*time.Second) }, 0, true, false},
		{"too late", func(p *rig.Process) { p.Signal(syscall.SIGTERM, 20*time.Second) }, 8 * time.Second, true, false},
		{"too late after kill", func(p *rig.Process) { p.Kill() }, 8 * time.Second, true, false},
		{"never again", func(p *rig.Process) { p.Signal(syscall.SIGTERM, 20*time.Second) }, 0, false, true},
		{"never again after kill", func(p *rig.Process) { p.Kill() }, 0, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := rig.NewVault(t)
			p := rig.Serve(t, t.TempDir(), strings.Replace(rig.Brisk, "hls: {", "hls: {restart_grace: 6s, ", 1)+v.YAML())
			reader := v.PeekAt("cam")
			w, stop := rig.Watch(t, p.URL("live/streams/cam.m3u8"))
			cam := rig.Shoot(t, p, "cam")
			rig.Eventually(t, 20*time.Second, "it is on", func() bool { return w.Count() >= 4 })
			if !c.back {
				cam.Stop()
			}
			c.stop(p)
			if c.away > 0 {
				cam.Stop()
				time.Sleep(c.away)
			}
			p.Start()
			if c.away > 0 {
				cam = rig.Shoot(t, p, "cam")
			}
			first := w.Recording
			last := first
			if c.back && !c.same {
				rig.Eventually(t, 20*time.Second, "a new recording begins", func() bool { last = p.RecordingOf("cam"); return last != "" && last != first })
			}
			if c.back {
				shown := w.Count()
				rig.Eventually(t, 20*time.Second, "it goes on", func() bool {
					if !c.same {
						return p.Status(p.URL(rig.LiveKey("cam", last))) == http.StatusOK
					}
					return w.Count() >= shown+3
				})
			}
			cam.Stop()
			v.WaitFinished("cam", first, 30*time.Second)
			v.WaitFinished("cam", last, 30*time.Second)
			rig.Eventually(t, 20*time.Second, "it ends for viewers", func() bool { w.Mu.Lock(); defer w.Mu.Unlock(); return w.Ended })
			stop()
			w.Good()
			lost, gaps := v.Finished(w, "cam")
			killed := strings.Contains(c.name, "kill")
			if !killed && (len(lost) > 0 || gaps > 0) || len(lost) > 1 || gaps > 2 {
				t.Errorf("lost %v, %d gaps", lost, gaps)
			}
			breaks := uint64(0)
			for i, s := range v.Media(rig.ArchiveKey("cam", first)).Segments {
				if s.Discontinuity && i > 0 {
					breaks++
				}
			}
			if want := map[bool]uint64{true: 1}[c.same && c.back]; breaks < want || !killed && breaks > want {
				t.Errorf("%d discontinuities, want %d", breaks, want)
			}
			for _, r := range []string{first, last} {
				if m := v.Media(rig.LiveKey("cam", r)); m == nil || !m.EndList {
					t.Errorf("the live playlist of %s has no end in the bucket", r)
				}
			}
			reader.Good()
			t.Log(fmt.Sprintf("recordings %s, %s; %d gaps", first, last, gaps))
		})
	}
}
