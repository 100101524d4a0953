package control

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// shelf is a bucket and its replica, with what the server knows of them.
type shelf struct {
	t      *testing.T
	stores []*storetest.Memory
	start  time.Time // of live/cam, whose segments are of 2 s
	rows   []segmenter.Row
	synced int
	sync   func() error // is called by each Sync
	Clips
}

func newShelf(t *testing.T, stores int) *shelf {
	s := &shelf{t: t, start: time.Now().Truncate(time.Second), sync: func() error { return nil }}
	for range stores {
		store := &storetest.Memory{}
		s.stores = append(s.stores, store)
		s.Libraries = append(s.Libraries, library.New(store, library.Options{}))
	}
	s.Registry = segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": {}}, Now: time.Now})
	s.Sync = func(context.Context) error { s.synced++; return s.sync() }
	s.InForce = func() configs.Config { return configs.Config{} }
	s.Made, s.Now = func(*library.Clip) {}, time.Now
	return s
}

// add gives the recording so many segments, which are in the stores named; its playlist there has those of them.
func (s *shelf) add(n int, stores ...*storetest.Memory) {
	for range n {
		seq := uint64(len(s.rows))
		s.rows = append(s.rows, segmenter.Row{Sequence: seq, Start: s.start.Add(time.Duration(seq) * 2 * time.Second), Duration: 2 * segmenter.Clock})
	}
	for _, store := range stores {
		s.send(store)
	}
}

// send brings a store up to date.
func (s *shelf) send(store *storetest.Memory) {
	id := segmenter.NewRecordingID(s.start)
	list := segmenter.List{Type: m3u8.Event, TargetDuration: 2, Dir: "cam/" + string(id) + "/"}
	for _, r := range s.rows {
		s.put(store, segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: r.Sequence}, []byte("segment"))
	}
	s.put(store, segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: "cam", Recording: id}, list.Append(nil, s.rows))
}

func (s *shelf) put(store *storetest.Memory, n segmenter.Name, body []byte) {
	if _, err := store.Put(s.t.Context(), n.String(), bytes.NewReader(body), storage.Attributes{}); err != nil {
		s.t.Fatal(err)
	}
}

// memory lets the registry have the recording as it is.
func (s *shelf) memory() {
	id := segmenter.NewRecordingID(s.start)
	err := s.Registry.Restore(segmenter.Recovered{Key: segmenter.Key{App: "live", Stream: "cam"}, Recording: id, TargetDuration: 2, Rows: s.rows, LastFrame: time.Now()})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) order(name string) api.ClipOrder {
	return api.ClipOrder{App: "live", Stream: "cam", Start: s.start, End: s.start.Add(time.Duration(len(s.rows)) * 2 * time.Second), Name: name}
}

// A store that has not all of it yet is asked again, the replica too.
func TestClipsAreMadeLater(t *testing.T) {
	for late := range 2 {
		synctest.Test(t, func(t *testing.T) {
			s := newShelf(t, 2)
			s.add(2, s.stores...)
			s.add(1, s.stores[1-late])
			s.memory()
			time.Sleep(10 * time.Second)
			s.sync = func() error { s.send(s.stores[late]); return nil }
			c, err := s.Make(t.Context(), s.order("goal"))
			if err != nil || c.Warning != "" || c.Segments != 3 || c.Gaps != 0 || s.synced != 1 {
				t.Errorf("%d: %+v, %v, asked %d times", late, c, err, s.synced)
			}
			for _, store := range s.stores {
				if len(storetest.Keys(t, store, c.Playlist)) != 1 || len(storetest.Keys(t, store, "live/clips/")) != 1 {
					t.Errorf("%d: %v", late, storetest.Keys(t, store, ""))
				}
			}
		})
	}
}

// What does not come is not asked for without end: not while the stores say that they have all, nor while they are behind.
func TestClipsThatNeverCome(t *testing.T) {
	for name, tc := range map[string]struct {
		says error
		asks int
	}{"they have all": {nil, clipSettled}, "they are behind": {context.DeadlineExceeded, clipTries - 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(t, 1)
				s.add(2, s.stores...)
				s.add(1)
				s.memory()
				time.Sleep(10 * time.Second)
				s.sync = func() error { return tc.says }
				var failure *api.Failure
				if _, err := s.Make(t.Context(), s.order("goal")); !errors.As(err, &failure) || failure.Kind != api.Unavailable || s.synced != tc.asks {
					t.Errorf("%v, asked %d times", err, s.synced)
				}
			})
		})
	}
}

// A clip goes from wherever it is, and its name removes no recording.
func TestClipsRemove(t *testing.T) {
	for only := range 2 {
		synctest.Test(t, func(t *testing.T) {
			s := newShelf(t, 2)
			s.add(2, s.stores...)
			time.Sleep(time.Hour)
			c, err := s.Make(t.Context(), s.order("goal"))
			if err != nil || c.Warning != "" {
				t.Fatalf("%+v, %v", c, err)
			}
			if _, err := s.Libraries[1-only].Remove(t.Context(), []library.RecordingRef{{App: "live", Stream: "goal", ID: segmenter.RecordingID(c.Recording)}}, library.RemoveOptions{Really: true}); err != nil {
				t.Fatal(err)
			}
			if out, err := s.Remove(t.Context(), "live", c.Name, true); err != nil || !out.Removed || out.Warning != "" || len(out.Playlists) != 1 {
				t.Errorf("%d: %+v, %v", only, out, err)
			}
			for _, name := range []string{c.Name, "cam-" + c.Recording, "none-" + c.Recording} {
				var failure *api.Failure
				if _, err := s.Remove(t.Context(), "live", name, true); !errors.As(err, &failure) || failure.Kind != api.NotFound {
					t.Errorf("%d: %s: %v", only, name, err)
				}
			}
			for _, store := range s.stores {
				if left := storetest.Keys(t, store, ""); len(left) != 3 {
					t.Errorf("%d: %v", only, left)
				}
			}
		})
	}
}

// A clip gets no name that a stream has or would get.
func TestClipsNames(t *testing.T) {
	s := newShelf(t, 1)
	s.InForce = func() configs.Config {
		return configs.Config{Apps: map[string]configs.App{"live": {Keys: map[string]configs.Secret{"keyed": "k"}}, "made": {Ladder: []configs.Rung{{Name: "720p"}}}}}
	}
	s.Registry.Reconfigure(map[string]segmenter.AppOptions{
		"live": {Groups: map[string][]string{"show": {"show_hi", "show_lo"}, segmenter.Wildcard: {"*_1080p"}}},
		"made": {Groups: map[string][]string{segmenter.Wildcard: {"*_source", "*_720p"}}}, // as of the ladder
	})
	for _, tc := range []struct{ app, name, setting string }{
		{"live", "keyed", "apps.live.keys"}, {"live", "show", "apps.live.groups"}, {"live", "show_lo", "apps.live.groups"}, {"live", "goal_1080p", "apps.live.groups"},
		{"made", "goal_720p", "apps.made.ladder"}, {"made", "goal_source", "apps.made.ladder"},
		{"live", "goal_720p", ""}, {"made", "keyed", ""},
	} {
		o := s.order(tc.name)
		o.App, o.End = tc.app, s.start.Add(time.Nanosecond)
		var failure *api.Failure
		if _, err := s.Make(t.Context(), o); !errors.As(err, &failure) || tc.setting != "" && (failure.Kind != api.Invalid || !strings.Contains(failure.Reason, tc.setting)) || tc.setting == "" && failure.Kind != api.NotFound {
			t.Errorf("%s/%s: %v", tc.app, tc.name, err)
		}
	}
}

// What another server of the cluster records is awaited in the bucket.
func TestClipsOfAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t, 1)
		s.stores[0].Now = time.Now
		time.Sleep(7 * time.Second)
		s.add(2, s.stores...)
		s.live(s.stores[0])
		o := s.order("goal")
		o.End = time.Now()
		go func() {
			time.Sleep(2500 * time.Millisecond)
			s.add(2)
			s.live(s.stores[0])
		}()
		if c, err := s.Make(t.Context(), o); err != nil || c.Segments != 4 || c.Gaps != 0 || c.End.Before(o.End) || time.Since(o.End) > 4*time.Second {
			t.Errorf("%+v, %v after %v", c, err, time.Since(o.End))
		}
		time.Sleep(10 * time.Second) // it has stalled: nothing is awaited
		o.Name, o.End = "late", time.Now()
		if c, err := s.Make(t.Context(), o); err != nil || c.Segments != 4 || time.Since(o.End) > 0 {
			t.Errorf("%+v, %v after %v", c, err, time.Since(o.End))
		}
	})
}

// live puts the live playlist with all segments, and those themselves, into a store.
func (s *shelf) live(store *storetest.Memory) {
	id := segmenter.NewRecordingID(s.start)
	for _, r := range s.rows {
		s.put(store, segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: r.Sequence}, []byte("segment"))
	}
	list := segmenter.List{TargetDuration: 2}
	s.put(store, segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: "cam", Recording: id}, list.Append(nil, s.rows))
}
