package segmenter

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// What an app says of its streams stands in their multivariant playlists and in those of ladders.
func TestSessionData(t *testing.T) {
	data := []m3u8.SessionData{{ID: "com.example.title", Value: "The evening show"}, {ID: "com.example.venue", Value: "Hall 3, left"}}
	r := newRig(t, AppOptions{SessionData: data})
	e := r.mustPublish("cam")
	e.run(12 * time.Second)
	if d := cmp.Diff(data, r.entry().SessionData); d != "" {
		t.Error(d)
	}
	l := newLadderOf(t, AppOptions{Groups: map[string][]string{"show": ladderRungs}, SessionData: data})
	l.run(12 * time.Second)
	for _, m := range []*m3u8.Master{l.master(), l.whole()} {
		if d := cmp.Diff(data, m.SessionData); d != "" {
			t.Error(d)
		}
	}
}

// A multivariant playlist names the I-frame playlist of each variant with keyframes, with a rate that no keyframe exceeds.
func TestIFramePlaylistsAreNamed(t *testing.T) {
	l := newLadderOf(t, AppOptions{Groups: map[string][]string{"show": ladderRungs}, Audio: true})
	l.run(20 * time.Second)
	for kind, m := range map[string]*m3u8.Master{"live": l.master(), "whole": l.whole()} {
		if len(m.Variants) != 4 || len(m.IFrames) != 3 {
			t.Fatalf("%s: %+v", kind, m)
		}
		for i, f := range m.IFrames {
			n, ok := ParseName("live/streams/" + f.URI)
			v, _ := ParseName("live/streams/" + m.Variants[i].URI)
			if n.Source() != v || !ok || n.Kind == v.Kind || f.Codecs != "avc1.64001f" || f.Width != 1280 || f.Height != 720 || f.FrameRate != 0 {
				t.Errorf("%s: %+v of %+v", kind, f, m.Variants[i])
			}
			// Tables, and 2000 bytes with their sets in packets of 184, each two seconds at first.
			if f.Bandwidth < 14*188*8/4 || f.Bandwidth > 16*188*8 {
				t.Errorf("%s: %d bits per second", kind, f.Bandwidth)
			}
		}
	}
}

// The rate of an I-frame playlist rises with the keyframes, never falls, and is kept over a restart; without keyframes there is none.
func TestIFrameBandwidth(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.run(12 * time.Second)
	small := r.entry().IFrames[0].Bandwidth
	e.sei = []byte("\x06\x05" + strings.Repeat("\xFF", 40) + "\x00" + strings.Repeat("x", 40*255) + "\x80")
	e.run(8 * time.Second)
	large := r.entry().IFrames[0].Bandwidth
	e.sei = nil
	e.run(8 * time.Second)
	if got := r.entry().IFrames[0].Bandwidth; large < small*3/2 || got != large {
		t.Errorf("%d, then %d with larger keyframes, then %d", small, large, got)
	}
	s, again := r.snapshot(), newRig(t, AppOptions{})
	again.now = r.now
	err := again.reg.Restore(Recovered{Key: s.Key, Recording: s.Recording, TargetDuration: s.TargetDuration, Base: s.Base, Rows: slices.Clone(s.Rows), Next: s.Next(), Variant: s.Variant, LastFrame: r.now})
	if err != nil {
		t.Fatal(err)
	}
	if m := again.entry(); len(m.IFrames) != 1 || m.IFrames[0].Bandwidth != large {
		t.Errorf("%+v", m)
	}

	r = newRig(t, AppOptions{})
	e = r.mustPublish("cam")
	e.video = nil
	e.run(12 * time.Second)
	if m := r.entry(); len(m.IFrames) != 0 {
		t.Errorf("sound alone: %+v", m)
	}
}
