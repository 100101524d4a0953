package gate_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// One of two servers has a clock that is wrong by an hour, in either direction, and the stream goes from one to the other and back: the recording
// goes on, its wall times never go back, and its timestamped playlists come in order.
func TestWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		for _, wrong := range []string{"the former", "the taker"} {
			t.Run(fmt.Sprint(wrong, " ", ahead), func(t *testing.T) {
				bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
					at := map[string]time.Duration{"a": ahead, "b": 0}
					if wrong == "the taker" {
						at["a"], at["b"] = 0, ahead
					}
					a, b := beginAt(t, store, "a", p, at["a"]), beginAt(t, store, "b", p, at["b"])
					defer b.end()
					a.admitted().run(20 * time.Second)
					id := a.reg.Timeline("live", "cam").Recording()
					a.die(p)
					e := b.admitted()
					e.run(20 * time.Second)
					if got := b.reg.Timeline("live", "cam").Recording(); got != id {
						t.Errorf("%s goes on, want %s", got, id)
					}
					e.s.Close(errReset)
					delete(p, "http://b")
					again := beginAt(t, store, "c", p, at["a"])
					defer again.end()
					f := again.admitted()
					f.run(20 * time.Second)
					f.end(again)
					if n := whole(t, store, 2); n < 26 || n > 30 {
						t.Errorf("%d segments", n)
					}
					if _, names := archives(t, store); len(names) != 3 {
						t.Errorf("timestamped playlists %v", names)
					}
				})
			})
		}
	}
}

// A recording that begins by a clock which is an hour behind, after another by the right one, is the one that viewers are led to all the same.
func TestRecordingOfASlowClock(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), beginAt(t, store, "b", p, -time.Hour)
		defer b.end()
		e := a.admitted()
		e.run(20 * time.Second)
		e.end(a)
		first := a.reg.Timeline("live", "cam").Recording()
		a.end()
		e = b.admitted()
		e.run(20 * time.Second)
		second := b.reg.Timeline("live", "cam").Recording()
		if second == first {
			t.Fatal("an ended recording goes on")
		}
		entry := segmenter.Name{Kind: segmenter.KindEntry, App: "live", Stream: "cam"}
		m, err := m3u8.ParseMaster(storetest.Read(t, store, entry.String(), 0, -1))
		if err != nil {
			t.Fatal(err)
		}
		if c := held(t, store); c.Node != "b" || c.Recording != string(second) || c.State != claim.Live {
			t.Errorf("%+v, want the recording %s of b", c, second)
		}
		if want := "cam/" + string(second) + "/live.m3u8"; m.Variants[0].URI != want {
			t.Errorf("the entry leads to %s, want %s", m.Variants[0].URI, want)
		}
		e.end(b)
	})
}
