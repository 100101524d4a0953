package crash

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/dir"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// shared is a bucket that two servers write to.
type shared struct {
	t          *testing.T
	store      storage.Store
	old, other string          // what the servers' configurations say of it
	cut        func(away bool) // cuts the old one off
}

// shares are the kinds of bucket.
var shares = map[string]func(t *testing.T) shared{
	"versitygw": func(t *testing.T) shared {
		v := rig.NewVault(t)
		second := *v // a way of its own
		second.Proxy = storetest.NewProxy(t, v.At.Endpoint)
		return shared{t, v.Store, v.YAML(), second.YAML(), func(away bool) {
			v.Proxy.Set()
			if away {
				v.Proxy.Set(storetest.Trouble{ResetRequest: 1})
			}
		}}
	},
	"directory": func(t *testing.T) shared {
		path := t.TempDir()
		store, err := dir.Open(dir.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		yaml := "storage: {url: \"file://" + path + "\"}\n"
		return shared{t, store, yaml, yaml, func(bool) {}}
	},
}

// get reads a playlist; "" if there is none.
func (s *shared) get(key string) string {
	r, _, err := s.store.Get(s.t.Context(), key, 0, -1)
	if storage.KindOf(err) == storage.Missing {
		return ""
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

// names reports whether the stable entry names a recording.
func (s *shared) names(id string) bool {
	return id != "" && strings.Contains(s.get(rig.EntryKey("cam")), "cam/"+id+"/")
}

// TestTwoServersOnOneBucket moves an encoder from one server to another that shares its bucket, while the first is cut off from it and then
// killed, and starts that one again when it can reach the bucket: the old recording has been ended there, the stable entry stays with the other,
// and the first says that it stands down.
func TestTwoServersOnOneBucket(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	for name, open := range shares {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			old, other := rig.Serve(t, t.TempDir(), rig.Brisk+s.old), rig.Serve(t, t.TempDir(), rig.Brisk+s.other)

			c := rig.Shoot(t, old, "cam")
			rig.Eventually(t, 60*time.Second, "the entry is there", func() bool { return s.names(old.RecordingOf("cam")) })
			first := old.RecordingOf("cam")
			s.cut(true)
			old.Kill()
			c.Stop()
			frozen := s.get(rig.LiveKey("cam", first))

			moved := rig.Shoot(t, other, "cam")
			rig.Eventually(t, 60*time.Second, "the entry names what the other server has", func() bool { return s.names(other.RecordingOf("cam")) })
			now := other.RecordingOf("cam")

			s.cut(false)
			old.Start()
			rig.Eventually(t, 60*time.Second, "the old server stands down", func() bool {
				return slices.ContainsFunc(old.Log.Messages("WARN"), func(s string) bool { return strings.HasPrefix(s, "another server has the stream") })
			})
			next := uint64(0)
			rig.Eventually(t, 60*time.Second, "the other server goes on", func() bool {
				m, err := m3u8.ParseMedia([]byte(s.get(rig.LiveKey("cam", now))))
				if err != nil {
					t.Fatal(err)
				}
				end := m.MediaSequence + uint64(len(m.Segments))
				if next == 0 {
					next = end + 3
				}
				return end >= next
			})
			if !s.names(now) {
				t.Error("the entry went back")
			}
			if body := s.get(rig.LiveKey("cam", first)); body != frozen+m3u8.EndList {
				t.Errorf("the old recording's playlist is\n%s\nbefore the encoder moved, with its end:\n%s", body, frozen)
			}
			for _, m := range []struct {
				p      *rig.Process
				series string
				want   float64
			}{
				{old, "hlsorigin_archive_stood_down_total", 1}, {other, "hlsorigin_archive_stood_down_total", 0},
				{old, `hlsorigin_upload_conditional{target="bucket"}`, 1}, {other, `hlsorigin_upload_conditional{target="bucket"}`, 1},
			} {
				if n := m.p.Metric(m.series); n != m.want {
					t.Errorf("%s is %v, want %v", m.series, n, m.want)
				}
			}
			if ready := old.Get("http://" + old.Admin + "/readyz"); !strings.Contains(ready, "another server") {
				t.Errorf("/readyz says %s", ready)
			}
			// Who comes back to the old server begins a new recording there, and has the stream.
			moved.Stop()
			rig.Shoot(t, old, "cam")
			rig.Eventually(t, 60*time.Second, "the entry names a new recording", func() bool {
				id := old.RecordingOf("cam")
				return id != first && s.names(id)
			})
		})
	}
}
