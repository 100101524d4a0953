package mirror_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
)

// notices collects a mirror's notices.
type notices struct {
	mu  sync.Mutex
	all []mirror.Notice
}

func (n *notices) tell(x mirror.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, x)
}

// of returns those of a kind.
func (n *notices) of(kind mirror.NoticeKind) (out []mirror.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.all {
		if x.Kind == kind {
			out = append(out, x)
		}
	}
	return out
}

// kinds returns all kinds in order, without the segments.
func (n *notices) kinds() (out []mirror.NoticeKind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.all {
		if x.Kind != mirror.SegmentUploaded {
			out = append(out, x.Kind)
		}
	}
	return out
}

// There are notices when a recording begins, for each segment, and when all of it is stored, with its content.
func TestNoticesOfARecording(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		n := &notices{}
		r.o.Tell = n.tell
		r.start()
		e := r.publish("cam", 1000)
		e.run(20 * time.Second)
		if got := n.kinds(); !slices.Equal(got, []mirror.NoticeKind{mirror.RecordingStarted}) {
			t.Errorf("while it runs: %v", got)
		}
		e.end()
		time.Sleep(time.Minute)
		r.settled(time.Minute)
		if got := n.kinds(); !slices.Equal(got, []mirror.NoticeKind{mirror.RecordingStarted, mirror.RecordingCompleted}) {
			t.Errorf("at the end: %v", got)
		}
		list, keys := r.archives()
		up := n.of(mirror.SegmentUploaded)
		if len(up) != len(list[0].Segments) {
			t.Fatalf("%d segments told of, the archive has %d", len(up), len(list[0].Segments))
		}
		var bytes, ticks int64
		for i, x := range up {
			if x.Row.Sequence != uint64(i) || x.Target != "bucket" || x.Key.Stream != "cam" || x.Row.Size == 0 {
				t.Errorf("%d: %+v", i, x)
			}
			bytes += x.Row.Size
			ticks += x.Row.Duration
		}
		done := n.of(mirror.RecordingCompleted)[0]
		if done.Segments != int64(len(up)) || done.Gaps != 0 || done.Bytes != bytes || done.Duration != ticks {
			t.Errorf("%+v; %d segments, %d bytes, %d ticks", done, len(up), bytes, ticks)
		}
		if want := "live/streams/cam-" + string(done.Archive) + ".m3u8"; keys[0] != want {
			t.Errorf("it names %s, the archive is %s", want, keys[0])
		}
	})
}

// There is a notice for each finished timestamped playlist of a recording that goes on.
func TestNoticesOfSplits(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		n := &notices{}
		r.o.Tell, r.o.ArchiveSplit = n.tell, 20*time.Second
		r.start()
		e := r.publish("cam", 1000)
		e.run(70 * time.Second)
		r.settled(time.Minute)
		done := n.of(mirror.RecordingCompleted)
		if len(done) != 3 || len(n.of(mirror.RecordingStarted)) != 1 {
			t.Fatalf("%d playlists of 3", len(done))
		}
		for i, d := range done {
			if d.Segments != 10 || i > 0 && d.Archive == done[i-1].Archive {
				t.Errorf("%+v", d)
			}
		}
		e.end()
		time.Sleep(time.Minute)
		r.settled(time.Minute)
		if done = n.of(mirror.RecordingCompleted); len(done) != 4 {
			t.Errorf("%d playlists of 4", len(done))
		}
	})
}

// A recording with a replica is completed when both stores have it.
func TestNoticesWithAReplica(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		n := &notices{}
		slow := &fault{Putter: newLedger(t)}
		slow.set(errors.New("down"))
		r.o.Tell, r.o.Replica = n.tell, slow
		r.start()
		e := r.publish("cam", 1000)
		e.run(10 * time.Second)
		e.end()
		time.Sleep(5 * time.Minute)
		if got := n.of(mirror.RecordingCompleted); len(got) != 0 {
			t.Errorf("%+v, and the replica has nothing", got)
		}
		if got := n.of(mirror.UploadsFailing); len(got) != 1 || got[0].Target != "replica" || got[0].Permanent {
			t.Errorf("%+v", got)
		}
		slow.set(nil)
		r.settled(time.Minute)
		if got := n.of(mirror.RecordingCompleted); len(got) != 1 {
			t.Errorf("%+v", got)
		}
		if got := n.of(mirror.UploadsHealed); len(got) != 1 || got[0].Target != "replica" {
			t.Errorf("%+v", got)
		}
	})
}

// There is one notice when a store fails, another when it turns out that it refuses permanently, and one when it has recovered.
func TestNoticesOfAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		n := &notices{}
		r.o.Tell = n.tell
		r.start()
		e := r.publish("cam", 1000)
		r.fault.set(errors.New("connection refused"))
		e.run(2 * time.Minute)
		if got := n.of(mirror.UploadsFailing); len(got) != 1 || got[0].Permanent || got[0].Reason == "" {
			t.Errorf("%+v", got)
		}
		r.fault.set(storage.ErrPermanent)
		e.run(2 * time.Minute)
		r.fault.set(nil)
		e.run(20 * time.Second)
		if got := n.of(mirror.UploadsFailing); len(got) > 2 {
			t.Errorf("%+v", got)
		}
		if got := n.of(mirror.UploadsHealed); len(got) != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// When the spool fills up while the store is away, there is a notice before segments are lost, and one for all when they are.
func TestNoticesOfAFullSpool(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		n := &notices{}
		r.o.Tell, r.so.MaxBytes, r.o.MemoryBytes = n.tell, 100<<10, 20<<10
		r.start()
		r.fault.set(errors.New("down"))
		e := r.publish("cam", 4<<10)
		low := time.Duration(0)
		for range 120 {
			e.run(2 * time.Second)
			synctest.Wait()
			if got := n.of(mirror.SpoolLow); len(got) > 0 && low == 0 {
				low++
				if lost := n.of(mirror.SegmentsLost); len(lost) > 0 || got[0].Bytes < 80<<10 || got[0].Reason == "" {
					t.Errorf("%+v; %d losses before it", got, len(lost))
				}
			}
		}
		lost, sum := n.of(mirror.SegmentsLost), 0
		for _, x := range lost {
			sum += x.Lost
		}
		if gaps := int(r.mirror.Stats().Gaps.Load()); len(lost) == 0 || sum > gaps || sum < gaps-6 || len(lost) > gaps/2 {
			t.Errorf("%d gaps, %d told of in %d notices", gaps, sum, len(lost))
		}
		if got := n.of(mirror.SpoolLow); len(got) != 1 {
			t.Errorf("%d times little room", len(got))
		}
		r.fault.set(nil)
		e.run(20 * time.Second)
		r.fault.set(errors.New("down"))
		e.run(4 * time.Minute)
		if got := n.of(mirror.SpoolLow); len(got) != 2 {
			t.Errorf("%d times little room, in two outages", len(got))
		}
		r.fault.set(nil)
		e.end()
		time.Sleep(time.Minute)
		r.settled(time.Minute)
		sum = 0
		for _, x := range n.of(mirror.SegmentsLost) {
			sum += x.Lost
		}
		if gaps := int(r.mirror.Stats().Gaps.Load()); sum != gaps {
			t.Errorf("%d gaps, %d told of when all is stored", gaps, sum)
		}
	})
}

// The content of a recording is reported once across a restart, and no segment that the journal has as stored is reported twice.
func TestNoticesOverARestart(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		n := &notices{}
		r.o.Tell = n.tell
		r.start()
		e := r.publish("cam", 1000)
		e.run(20 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.start()
		e = r.publish("cam", 1000)
		e.run(20 * time.Second)
		e.end()
		time.Sleep(time.Minute)
		r.settled(time.Minute)
		if got := n.of(mirror.RecordingStarted); len(got) != 1 {
			t.Errorf("started %d times", len(got))
		}
		if got := n.of(mirror.RecordingCompleted); len(got) != 1 {
			t.Errorf("completed %d times", len(got))
		}
		seen := map[uint64]int{}
		for _, x := range n.of(mirror.SegmentUploaded) {
			seen[x.Row.Sequence]++
		}
		for s, times := range seen {
			if times != 1 {
				t.Errorf("segment %d told of %d times", s, times)
			}
		}
	})
}
