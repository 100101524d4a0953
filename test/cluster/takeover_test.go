package cluster

import (
	"encoding/json"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// listed is what a live playlist says.
func listed(t *testing.T, body string) *m3u8.Media {
	t.Helper()
	m, err := m3u8.ParseMedia([]byte(body))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return m
}

// goesOn is the line that a server writes when it takes a recording over.
var goesOn = regexp.MustCompile(`^(.*another server's recording goes on here.*)$`)

func next(m *m3u8.Media) uint64 { return m.MediaSequence + uint64(len(m.Segments)) }

// TestOwnerIsKilled kills the server that has a stream, or stops it in good order, again and again, while the encoder goes to another through a balancer: the recording
// goes on there with its numbers, one discontinuity for each death, and its archive is whole in the end.
func TestOwnerIsKilled(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	ownerIsKilled(t, rig.NewVault(t), max(2, int(100*rig.Scale())))
}

// TestOwnerIsKilledOnAnotherStore is TestOwnerIsKilled on another S3 server that keeps to conditional writes.
func TestOwnerIsKilledOnAnotherStore(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	ownerIsKilled(t, rig.VaultOn(t, storetest.GoFakeS3(t)), max(2, int(20*rig.Scale())))
}

func ownerIsKilled(t *testing.T, v *rig.Vault, rounds int) {
	all := serve(t, 3, v.YAML())
	b := balance(t)
	b.set(all[0].RTMP)
	c := rig.Shoot(t, all[0].Process, "cam", func(c *rig.Camera) { c.URL = "rtmp://" + b.l.Addr().String() + "/live/cam" })
	rig.Eventually(t, 60*time.Second, "the stream is in the bucket", func() bool { return v.Has(rig.EntryKey("cam")) })
	id := all[0].RecordingOf("cam")
	live := rig.LiveKey("cam", id)
	rig.Eventually(t, 60*time.Second, "it has a live playlist there", func() bool { return v.Has(live) })
	target, last := 0, uint64(0)
	look := func() uint64 {
		body, _, ok := v.Get(live)
		if !ok {
			t.Fatal("the live playlist is gone")
		}
		m := listed(t, string(body))
		if target == 0 {
			target = m.TargetDuration
		}
		if m.TargetDuration != target || m.EndList || next(m) < last {
			t.Fatalf("it goes back, or has another form:\n%s", body)
		}
		last = next(m)
		return last
	}
	var longest, gate time.Duration
	for round := range rounds {
		owner, heir := all[round%3], all[(round+1)%3]
		at := look()
		rig.Eventually(t, 30*time.Second, "it goes on", func() bool { return look() >= at+3 })
		b.set(heir.RTMP)
		if round%3 == 2 { // it is stopped in good order
			owner.Signal(syscall.SIGTERM, 30*time.Second)
		} else {
			owner.Kill()
		}
		killed, before := time.Now(), look()
		rig.Eventually(t, 30*time.Second, "the other server lists a new segment", func() bool {
			if heir.RecordingOf("cam") != id {
				return false
			}
			return next(listed(t, heir.Get(heir.URL(live)))) > before
		})
		longest = max(longest, time.Since(killed))
		rig.Eventually(t, 30*time.Second, "the bucket, too", func() bool { return look() > before })
		var took struct{ After time.Duration }
		if err := json.Unmarshal([]byte(heir.Log.Last(goesOn)), &took); err != nil {
			t.Fatal(err)
		}
		gate = max(gate, took.After)
		owner.Start()
	}
	t.Logf("%d deaths, a new segment at most %v later; taking over took at most %v", rounds, longest.Round(time.Millisecond), gate.Round(time.Millisecond))
	c.Stop()
	v.WaitSettled(all[rounds%3].Process, 60*time.Second)
	rig.Eventually(t, 60*time.Second, "the recording has ended", func() bool {
		body, _, _ := v.Get(live)
		return strings.Contains(string(body), m3u8.EndList)
	})
	key := segmenter.Key{App: "live", Stream: "cam"}
	ids, err := storage.Archives(t.Context(), v.Store, key)
	if err != nil || len(ids) != rounds+1 || string(ids[0]) != id {
		t.Fatalf("timestamped playlists %v, %v", ids, err)
	}
	number, breaks, gaps := uint64(0), 0, 0
	for _, name := range ids {
		v.WaitFinished("cam", string(name), 60*time.Second)
		m := v.Media(rig.ArchiveKey("cam", string(name)))
		if m.MediaSequence != number || m.TargetDuration != target {
			t.Errorf("%s begins with %d, want %d", name, m.MediaSequence, number)
		}
		number = next(m)
		gaps = 0
		for _, s := range m.Segments {
			if s.Discontinuity {
				breaks++
			}
			if s.Gap {
				gaps++
			}
		}
		if gaps > 0 {
			t.Errorf("%s has %d gaps", name, gaps)
		}
		if said, status := all[rounds%3].Command("recordings", "verify", "live/cam-"+string(name)); status != 0 {
			t.Errorf("verify: %s", said)
		}
	}
	if breaks != rounds {
		t.Errorf("%d discontinuities after %d deaths", breaks, rounds)
	}
}
