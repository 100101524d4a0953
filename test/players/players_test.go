package players

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Times of a show. Viewers see what is sent some 8 s later.
const (
	patience  = 40 * time.Second // the longest to wait for players to begin
	calm      = 4 * time.Second  // between their beginning and the event
	shortTail = 22 * time.Second // of the show after the event
	fullTail  = 30 * time.Second
)

// TestPlayers lets each player watch each show, live and then from the archive, and compares the result with what the show is to blame for.
// HLSORIGIN_TEST_PLAYERS selects some of the players, HLSORIGIN_TEST_REPORT names a file for the results.
func TestPlayers(t *testing.T) {
	full := rig.Scale() >= 1
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			if !full && !sc.quick {
				t.Skip("tried by `make soak`")
			}
			tail := shortTail
			if full {
				tail = fullTail
			}
			watchShow(t, sc, tail, full || sc.kept)
		})
	}
}

// watchShow publishes one show and lets all players watch it.
func watchShow(t *testing.T, sc scenario, tail time.Duration, archive bool) {
	order := rand.Perm(len(rungs))
	show := sc.show(t, unknown(order))
	s := serve(t, sc.config)
	screens := &screens{t: t}
	audience := prepare(t, screens)
	studio := publish(t, s.rtmp, show)
	recordings := followRecordings(t, s, sc.entry)
	joined := joinable(s, studio, sc.entry)
	audience.watch(s.entry(sc.entry))
	begun := audience.begin(patience - joined)
	plan := at((studio.now() + calm).Truncate(gop), tail, order)
	studio.revise(sc.show(t, plan))
	t.Logf("players join at %.1f s, all began: %v, event at %v, rungs in the order %v", joined.Seconds(), begun, plan.event, order)
	if sc.act != nil {
		studio.until(plan.event)
		sc.act(t, s)
	}
	studio.until(plan.length - time.Second)
	listing := s.listing(sc.entry)
	audience.leave(t, "live", sc, 0)
	if t.Failed() {
		t.Logf("at last the server listed\n%s", listing)
	}
	studio.wg.Wait()
	all := recordings()
	t.Logf("recordings %v, encoders cut off %q", all, studio.refusals())
	if len(all) > 1 {
		t.Errorf("the show is in pieces: %v", all)
	}
	if !archive || len(all) == 0 {
		return
	}
	var url string
	var kept []*m3u8.Media
	rig.Eventually(t, 20*time.Second, "the recording is finished", func() bool {
		url, kept = s.archive(sc.entry, all[0])
		for _, m := range kept {
			if !m.EndList {
				return false
			}
		}
		return len(kept) > 0
	})
	whole := length(kept[0])
	for _, m := range kept {
		whole = min(whole, length(m))
	}
	audience = prepare(t, screens)
	audience.watch(url)
	audience.wait(whole + whole/4 + sc.away + beginning)
	audience.leave(t, "archive", sc, whole)
	if !sc.bucket {
		return
	}
	bucket := *s
	bucket.http = s.bucketURL(t)
	var missing []string
	rig.Eventually(t, 30*time.Second, "the bucket has all that its playlists name, and what stands in for gaps", func() bool {
		url, kept = bucket.archive(sc.entry, all[0])
		missing = lacks(bucket.http, kept)
		return len(kept) > 0 && kept[0].EndList && len(missing) == 0
	})
	audience = prepare(t, screens)
	audience.watch(url)
	audience.wait(whole + whole/4 + sc.away + beginning)
	audience.leave(t, "bucket", sc, whole)
}

// joinable waits until there are three segments to begin with, if there ever are, and returns the time of the show.
func joinable(s *server, studio *studio, entry string) time.Duration {
	for ; studio.now() < patience/3; time.Sleep(100 * time.Millisecond) {
		if all := s.live(entry); len(all) > 0 && len(all[0].Segments) >= 3 {
			break
		}
	}
	return studio.now()
}

// followRecordings records which recordings the entry leads to, one after another, until it is asked.
func followRecordings(t *testing.T, s *server, entry string) func() []string {
	quit, done := make(chan struct{}), make(chan struct{})
	var all []string
	go func() {
		defer close(done)
		for {
			if r := s.recording(entry); r != "" && (len(all) == 0 || all[len(all)-1] != r) {
				all = append(all, r)
			}
			select {
			case <-quit:
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
	var once sync.Once
	stop := func() []string {
		once.Do(func() { close(quit) })
		<-done
		return all
	}
	t.Cleanup(func() { stop() })
	return stop
}

// audience are the players that watch one address.
type audience struct {
	began    rig.Pressure
	missing  map[string]string
	ready    map[string]func(src string) watcher
	watchers map[string]watcher
}

// prepare gets all available players ready to watch.
func prepare(t *testing.T, s *screens) *audience {
	t.Helper()
	a := &audience{rig.Pressure{}, map[string]string{}, map[string]func(string) watcher{}, map[string]watcher{}}
	only := regexp.MustCompile(os.Getenv("HLSORIGIN_TEST_PLAYERS"))
	for _, p := range players {
		switch missing := p.needs(); {
		case missing != "":
			a.missing[p.name] = missing
		case !only.MatchString(p.name):
			a.missing[p.name] = "not asked for"
		default:
			a.ready[p.name] = p.ready(t, s)
		}
	}
	return a
}

// watch starts them.
func (a *audience) watch(src string) {
	a.began = rig.StartPressure()
	for _, p := range players {
		if begin := a.ready[p.name]; begin != nil {
			a.watchers[p.name] = begin(src)
		}
	}
}

// begin waits until all have begun, or a time has passed, and reports which.
func (a *audience) begin(within time.Duration) bool {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		waits := false
		for _, w := range a.watchers {
			r := w.look()
			waits = waits || r.Begin == 0 && len(r.Fatal) == 0
		}
		if !waits {
			return true
		}
	}
	return false
}

// hopeless is how long a player may have stood still before its end is no longer awaited.
const hopeless = 30 * time.Second

// wait waits until all have ended or failed, or a time has passed.
func (a *audience) wait(within time.Duration) {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		busy := false
		for _, w := range a.watchers {
			r := w.look()
			busy = busy || !r.Ended && len(r.Fatal) == 0 && r.still() < hopeless
		}
		if !busy {
			return
		}
	}
}

// leave collects everybody's result, and fails the test for what the show is not to blame for. whole is the length of a show that was
// played to its end, 0 for a live one.
func (a *audience) leave(t *testing.T, where string, sc scenario, whole time.Duration) {
	t.Helper()
	share := a.began.Share()
	results := map[string]result{}
	for name, w := range a.watchers {
		results[name] = w.look()
	}
	for _, w := range a.watchers {
		w.stop()
	}
	for _, p := range players {
		t.Run(where+" "+p.name, func(t *testing.T) {
			if missing := a.missing[p.name]; missing != "" {
				t.Skip(missing)
			}
			r := results[p.name]
			t.Log(r)
			var faults []string
			for _, f := range r.faults(sc.away+rig.Slack(share, busy), whole) {
				if why := excuse(sc.name, where, p.name, f); why != "" {
					faults = append(faults, f+" (its own)")
					t.Logf("%s: its own fault: %s", f, why)
					continue
				}
				faults = append(faults, f)
				t.Errorf("%s; the machine was busy for %.0f %% of the time", f, 100*share)
			}
			note(t, fmt.Sprintf("%s\t%s\t%s\t%v\t%s\t%.2f", sc.name, where, p.name, r, strings.Join(faults, "; "), share))
		})
	}
}

// note adds a line to the file named by HLSORIGIN_TEST_REPORT.
func note(t *testing.T, line string) {
	t.Helper()
	file := os.Getenv("HLSORIGIN_TEST_REPORT")
	if file == "" {
		return
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, line)
}
