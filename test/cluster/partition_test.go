package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// away are the ways in which a bucket is.
var away = map[string]storetest.Trouble{
	"resets":         {ResetRequest: 1},
	"hangs":          {Hang: true},
	"503":            {Status: 503},
	"loses answers":  {LoseResponse: true},
	"half of a body": {ResetResponse: 200},
}

// The parts of a server's network.
const (
	toBucket = 1 << iota
	toOthers
)

// fail cuts a server from the bucket, from the other servers, or from both; it returns what it has done, in words.
func (n *node) fail(rnd *rand.Rand, parts int) string {
	if n.host != nil {
		return n.sever(rnd, parts)
	}
	names := make([]string, 0, len(away))
	for name := range away {
		names = append(names, name)
	}
	slices.Sort(names)
	how, peers := names[rnd.IntN(len(names))], refused
	if rnd.IntN(2) == 0 {
		peers = silent
	}
	said := n.name + ":"
	if parts&toBucket != 0 {
		n.bucket.Set(away[how])
		said += " the bucket " + how
	}
	if parts&toOthers != 0 {
		n.door.set(peers)
		said += fmt.Sprintf(" the others %s", map[cut]string{refused: "are refused", silent: "hear nothing"}[peers])
	}
	return said
}

// heal ends all cuts of a server.
func (n *node) heal() {
	if n.host != nil {
		n.host.Heal()
		return
	}
	n.bucket.Set()
	n.door.set(whole)
}

// TestPartitions cuts two servers from their bucket and from each other, again and again, while each has an encoder of the same stream: what the
// bucket and the servers show never contradicts what they showed before, and when all is whole again, one has the stream, and all verifies.
func TestPartitions(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	if rig.HasNet() && rig.Scale() < 1 {
		t.Skip("TestPartitionsOfNamespaces cuts real networks here")
	}
	t.Parallel()
	v := rig.NewVault(t)
	partitions(t, v, apart(t, 2, v))
}

// partitions is what TestPartitions does with servers. Those beyond two have viewers only.
func partitions(t *testing.T, v *rig.Vault, all []*node) {
	cameras := []*rig.Camera{rig.Shoot(t, all[0].Process, "cam")}
	rig.Eventually(t, 60*time.Second, "the stream is in the bucket", func() bool { return v.Has(rig.EntryKey("cam")) })
	cameras = append(cameras, rig.Shoot(t, all[1].Process, "cam"))
	w := watch(t, v, "cam", all)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 15))
	t.Logf("seed %d", seed)
	rounds := max(3, int(200*rig.Scale()*rig.Scale()))
	for round := range rounds {
		var said []string
		if round%2 == 0 { // the other takes it over
			for _, n := range fed(all, "cam") {
				said = append(said, n.fail(rnd, toOthers|rnd.IntN(2)))
			}
		} else {
			for i, who := range rnd.Perm(len(all)) {
				if i == 0 || rnd.IntN(2) == 0 {
					said = append(said, all[who].fail(rnd, 1+rnd.IntN(3)))
				}
			}
		}
		time.Sleep(1500*time.Millisecond + rand.N(4*time.Second)) // the test's own rhythm: nothing is waited for
		for _, i := range rnd.Perm(len(all)) {
			all[i].heal()
			time.Sleep(rand.N(time.Second))
		}
		t.Log(time.Now().Format("04:05.000 "), strings.Join(said, "; "))
		time.Sleep(rand.N(3 * time.Second))
	}
	live := func() (string, *m3u8.Media) {
		body, _, _ := v.Get(rig.EntryKey("cam"))
		m, err := m3u8.ParseMaster(body)
		if err != nil {
			t.Fatal(err)
		}
		id := strings.Split(m.Variants[0].URI, "/")[1]
		return id, v.Media(rig.LiveKey("cam", id))
	}
	id, m := live()
	at := next(m)
	rig.Eventually(t, 60*time.Second, "it goes on", func() bool {
		now, m := live()
		if now != id {
			id, at = now, next(m)
		}
		return next(m) >= at+5
	})
	rig.Eventually(t, 60*time.Second, "one of them has it", func() bool { return len(fed(all, "cam")) == 1 })
	for _, c := range cameras {
		c.Stop()
	}
	rig.Eventually(t, 60*time.Second, "it has ended", func() bool { _, m := live(); return m.EndList })
	t.Log(time.Now().Format("04:05.000 "), "ended")
	for _, n := range all {
		v.WaitSettled(n.Process, 60*time.Second)
	}
	t.Log(time.Now().Format("04:05.000 "), "settled")
	w.good(t)
	takeovers, stood := 0.0, 0.0
	for _, n := range all {
		takeovers += n.Metric("hlsorigin_cluster_takeovers_total")
		stood += n.Metric("hlsorigin_archive_stood_down_total")
	}
	ids, gaps := verified(t, v, all, "cam")
	t.Logf("%d rounds: %v takeovers, %v times stood down, %d timestamped playlists, %d gaps", rounds, takeovers, stood, ids, gaps)
}

// fed are the servers that have a publisher of a stream.
func fed(all []*node, stream string) (some []*node) {
	for _, n := range all {
		if s := n.Streams()[stream]; s.Remote != "" && s.State == "live" {
			some = append(some, n)
		}
	}
	return some
}

// verified checks that all timestamped playlists of a stream have an end, follow one another within a recording, and are sound to the last byte.
func verified(t *testing.T, v *rig.Vault, all []*node, stream string) (lists, gaps int) {
	t.Helper()
	ids, err := storage.Archives(t.Context(), v.Store, segmenter.Key{App: "live", Stream: stream})
	if err != nil || len(ids) == 0 {
		t.Fatalf("timestamped playlists %v, %v", ids, err)
	}
	books := library.New(v.Store, library.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }}) // so late that nobody counts as still writing
	at := map[string]uint64{}                                                                                  // the number that comes next, by recording
	for _, id := range ids {
		v.WaitFinished(stream, string(id), 60*time.Second)
		m := v.Media(rig.ArchiveKey(stream, string(id)))
		if m == nil || len(m.Segments) == 0 {
			t.Errorf("%s has nothing", id)
			continue
		}
		recording := strings.Split(m.Segments[0].URI, "/")[1]
		if m.MediaSequence != at[recording] {
			t.Errorf("%s of %s begins with %d, want %d", id, recording, m.MediaSequence, at[recording])
		}
		at[recording] = next(m)
		own := 0
		for _, s := range m.Segments {
			if s.Gap {
				own++
			}
		}
		gaps += own
		r, err := books.Verify(t.Context(), library.RecordingRef{App: "live", Stream: stream, ID: id}, library.VerifyOptions{Checksums: true})
		if err != nil || !r.Sound || r.Recording.Gaps != own {
			t.Errorf("verify of %s: %v, sound %v, %d gaps, the playlist has %d: %+v", id, err, r.Sound, r.Recording.Gaps, own, r.Findings)
		}
	}
	return len(ids), gaps
}
