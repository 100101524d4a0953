package cluster

import (
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

var (
	rungs = []string{"show_high", "show_mid", "show_low"}
	// ladder is what makes them a ladder, with an audio-only variant.
	ladder = "apps: {live: {groups: {show: [" + strings.Join(rungs, ", ") + "]}, audio: true}}\n"
)

// part is a number in a stream's timestamped playlists.
type part struct {
	gap, breaks bool
	at          time.Time
	in          string // the timestamped playlist
}

// parts are those of all timestamped playlists of a stream's recording, which have to be finished, and to go on where the one before ends.
func parts(t *testing.T, v *rig.Vault, stream string) (all []part, target int, names []string) {
	t.Helper()
	ids, err := storage.Archives(t.Context(), v.Store, segmenter.Key{App: "live", Stream: stream})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		v.WaitFinished(stream, string(id), 60*time.Second)
		m := v.Media(rig.ArchiveKey(stream, string(id)))
		for len(names) == 0 && uint64(len(all)) < m.MediaSequence { // it came later than others
			all = append(all, part{gap: true})
		}
		names = append(names, string(id))
		if target = max(target, m.TargetDuration); m.MediaSequence != uint64(len(all)) || m.TargetDuration != target {
			t.Errorf("%s-%s begins with %d, want %d; TARGETDURATION %d, was %d", stream, id, m.MediaSequence, len(all), m.TargetDuration, target)
		}
		for _, s := range m.Segments {
			all = append(all, part{s.Gap, s.Discontinuity, s.ProgramDateTime, string(id)})
		}
	}
	return all, target, names
}

// TestLadderOwnerIsKilled kills the server that has a ladder of three rungs and an audio-only variant, again and again, while the rungs come back
// each for itself through a balancer that sends them to any server: the ladder goes on at one server as a whole.
func TestLadderOwnerIsKilled(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	v := rig.NewVault(t)
	all := serveAs(t, 3, rig.Brisk+ladder, v.YAML())
	b := balance(t)
	b.spread = true
	b.set(all[0].RTMP, all[1].RTMP, all[2].RTMP)
	begun := time.Now()
	var cameras []*rig.Camera
	for i, rung := range rungs {
		cameras = append(cameras, rig.Shoot(t, all[0].Process, rung, rig.InStep(begun), rig.WithBallast(1000*(3-i)), func(c *rig.Camera) { c.URL = "rtmp://" + b.l.Addr().String() + "/live/" + rung }))
	}
	streams := append(slices.Clone(rungs), "show_audio")
	entry := func() (names []string, id string) {
		body, _, ok := v.Get(rig.EntryKey("show"))
		if !ok {
			return nil, ""
		}
		m, err := m3u8.ParseMaster(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range m.Variants {
			names, id = append(names, path.Dir(path.Dir(x.URI))), path.Base(path.Dir(x.URI))
		}
		return names, id
	}
	owner := func() *node {
		c, _, err := claim.Read(t.Context(), v.Store, claim.Key("live", "show"))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(n *node) bool { return n.name == c.Node })
		if i < 0 {
			return nil
		}
		return all[i]
	}
	reach := func(stream, id string) uint64 {
		body, _, ok := v.Get(rig.LiveKey(stream, id))
		if !ok {
			return 0
		}
		m := listed(t, string(body))
		if m.EndList {
			t.Fatalf("%s has an end:\n%s", stream, body)
		}
		return next(m)
	}
	rig.Eventually(t, 90*time.Second, "all rungs are in the bucket's entry", func() bool {
		names, _ := entry()
		return len(names) == len(streams)
	})
	_, id := entry()
	rounds := max(2, int(60*rig.Scale()))
	var first, whole time.Duration // the longest until a rung has a new segment, and until all have
	smaller := 0
	for round := range rounds {
		was := owner()
		at := map[string]uint64{}
		for _, stream := range streams {
			at[stream] = reach(stream, id)
		}
		rig.Eventually(t, 60*time.Second, "all rungs go on", func() bool {
			return !slices.ContainsFunc(streams, func(stream string) bool { return reach(stream, id) < at[stream]+3 })
		})
		if round%3 == 2 { // it is stopped in good order
			was.Signal(syscall.SIGTERM, 30*time.Second)
		} else {
			was.Kill()
		}
		killed := time.Now()
		for _, stream := range streams {
			at[stream] = reach(stream, id)
		}
		one, everyone := time.Duration(0), time.Duration(0)
		rig.Eventually(t, 60*time.Second, "all rungs go on at another server", func() bool {
			n := 0
			for _, stream := range streams {
				if reach(stream, id) > at[stream] {
					n++
				}
			}
			if n > 0 && one == 0 {
				one = time.Since(killed)
			}
			names, now := entry()
			if now != id {
				t.Fatalf("the entry names %s, and named %s", now, id)
			}
			if len(names) < len(streams) {
				smaller++
			}
			everyone = time.Since(killed)
			has := owner()
			if n < len(streams) || has == was || len(names) < len(streams) {
				return false
			}
			up := has.Streams()
			return !slices.ContainsFunc(rungs, func(rung string) bool { return up[rung].State != "live" })
		})
		first, whole = max(first, one), max(whole, everyone)
		was.Start()
	}
	last := owner()
	for _, c := range cameras {
		c.Stop()
	}
	v.WaitSettled(last.Process, 60*time.Second)
	var like []part
	for _, stream := range streams {
		list, target, names := parts(t, v, stream)
		if like == nil {
			like = list
		}
		if len(names) != rounds+1 || target != 1 || len(list) != len(like) {
			t.Errorf("%s: %d timestamped playlists, TARGETDURATION %d, %d numbers, others have %d", stream, len(names), target, len(list), len(like))
		}
		breaks, gaps := 0, 0
		for n, p := range list[:min(len(list), len(like))] {
			if p.breaks {
				breaks++
			}
			if p.gap {
				gaps++
			}
			if p.breaks != like[n].breaks && n > 0 {
				t.Errorf("%s: the discontinuity before %d is not in all rungs", stream, n)
			}
			if d := p.at.Sub(like[n].at); !p.gap && !like[n].gap && d.Abs() > 100*time.Millisecond {
				t.Errorf("%s: %d is %v from that of %s", stream, n, d, streams[0])
			}
		}
		if breaks != rounds {
			t.Errorf("%s: %d discontinuities after %d deaths", stream, breaks, rounds)
		}
		for _, name := range names {
			// A rung that comes back later than others has gaps where they have segments: they, and nothing else, are found.
			lost := 0
			for _, p := range list {
				if p.gap && p.in == name {
					lost++
				}
			}
			said, status := last.Command("recordings", "verify", "live/"+stream+"-"+name)
			if found := strings.Count(said, "\n  gap "); found != lost || (status == 0) != (lost == 0) || strings.Count(strings.TrimSpace(said), "\n") != lost+min(lost, 1) {
				t.Errorf("of %d gaps verify says %d: %s", lost, found, said)
			}
		}
		t.Logf("%s: %d numbers, %d gaps", stream, len(list), gaps)
	}
	_, _, names := parts(t, v, rungs[0])
	if ids, err := storage.Archives(t.Context(), v.Store, segmenter.Key{App: "live", Stream: "show"}); err != nil || len(ids) != len(names) {
		t.Errorf("the ladder has the timestamped playlists %v, %v, its rungs have %v", ids, err, names)
	}
	for _, name := range names { // the ladder itself has one for each, and all that its rungs have
		said, _ := last.Command("recordings", "verify", "live/show-"+name)
		body, _, ok := v.Get(rig.ArchiveKey("show", name))
		m, err := m3u8.ParseMaster(body)
		if !ok || err != nil || len(m.Variants) != len(streams) || strings.Contains(said, "\n  missing ") {
			t.Errorf("the ladder's %s: %v, %s\n%s", name, err, body, said)
		}
	}
	for _, n := range all {
		if bad := n.Metric("hlsorigin_upload_conflicts_total{target=\"bucket\"}"); bad != 0 {
			t.Errorf("%s met %v segments of another's", n.name, bad)
		}
	}
	elsewhere := 0
	for _, c := range cameras {
		if told(c, "is a rung of the ladder show") {
			elsewhere++
		}
	}
	if elsewhere == 0 {
		t.Error("no rung was sent to the server that has its ladder: this tests less than it says")
	}
	t.Logf("%d deaths; a rung had a new segment at most %v later, all rungs had at most %v later; the entry had fewer rungs at %d looks", rounds, first.Round(time.Millisecond), whole.Round(time.Millisecond), smaller)
}
