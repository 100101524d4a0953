package segmenter

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
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

// ccSEI is an SEI with captions, whose cc_data is given in hex.
func ccSEI(t *testing.T, data string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(data, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	user := append([]byte("\xB5\x00\x31GA94\x03"), b...)
	return append(append([]byte{6, 4, byte(len(user))}, user...), 0x80)
}

func (r *rig) entry() *m3u8.Master {
	r.t.Helper()
	m, err := m3u8.ParseMaster(r.snapshot().Entry.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func instreamIDs(m *m3u8.Master) (ids []string) {
	for _, c := range m.Captions {
		ids = append(ids, c.InstreamID)
	}
	return ids
}

// A stream has the captions that were seen in it, to its end and over a restart.
func TestCaptions(t *testing.T) {
	for name, c := range map[string]struct {
		data    string
		want    []string
		version string
	}{
		"none": {"", nil, "6"}, "CEA-608": {"42 ff fc 9420 fd 8080 ff", []string{"CC1"}, "6"}, "both fields": {"42 ff fc 9420 fd 1520 ff", []string{"CC1", "CC3"}, "6"},
		"CEA-708": {"42 ff ff 0221 fe 4100 ff", []string{"SERVICE1"}, "7"}, "nothing said yet": {"42 ff fc 8080 fd 8080 ff", []string{"CC1"}, "6"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, AppOptions{})
			e := r.mustPublish("cam")
			if c.data != "" {
				e.sei = ccSEI(t, c.data)
			}
			e.run(8 * time.Second)
			e.sei = nil
			e.run(8 * time.Second)
			hold := func(r *rig) {
				t.Helper()
				m, group := r.entry(), "cc"
				if c.want == nil {
					group = m3u8.NoCaptions
				}
				if !slices.Equal(instreamIDs(m), c.want) || len(m.Variants) != 1 || m.Variants[0].ClosedCaptions != group || !strings.Contains(string(r.snapshot().Entry.Body), "\n#EXT-X-VERSION:"+c.version+"\n") {
					t.Errorf("want %v:\n%s", c.want, r.snapshot().Entry.Body)
				}
			}
			hold(r)
			s, again := r.snapshot(), newRig(t, AppOptions{})
			again.now = r.now
			err := again.reg.Restore(Recovered{Key: s.Key, Recording: s.Recording, TargetDuration: s.TargetDuration, Base: s.Base, Rows: slices.Clone(s.Rows), Next: s.Next(), Variant: s.Variant, LastFrame: r.now})
			if err != nil {
				t.Fatal(err)
			}
			hold(again)
			e = again.mustPublish("cam")
			e.run(8 * time.Second)
			hold(again)
		})
	}
}

// Of a ladder those variants name captions that have them; none at all is said of all.
func TestCaptionsOfLadder(t *testing.T) {
	l := newLadderOf(t, AppOptions{Groups: map[string][]string{"show": ladderRungs}, Audio: true})
	l.run(12 * time.Second)
	for _, v := range l.master().Variants {
		if v.ClosedCaptions != m3u8.NoCaptions {
			t.Errorf("%s: %q", v.URI, v.ClosedCaptions)
		}
	}
	l.rungs["show_720p"].sei, l.rungs["show_480p"].sei = ccSEI(t, "42 ff fc 9420 fd 8080 ff"), ccSEI(t, "42 ff fc 8080 fd 1520 ff")
	l.run(12 * time.Second)
	for _, m := range []*m3u8.Master{l.master(), l.whole()} {
		if ids := instreamIDs(m); !slices.Equal(ids, []string{"CC1", "CC3"}) || len(m.Variants) != 4 {
			t.Errorf("%v", ids)
		}
		for _, v := range m.Variants {
			if has := strings.Contains(v.URI, "720p") || strings.Contains(v.URI, "480p"); has != (v.ClosedCaptions == "cc") || !has && v.ClosedCaptions != "" {
				t.Errorf("%s: %q", v.URI, v.ClosedCaptions)
			}
		}
	}
}

func (l *ladder) whole() *m3u8.Master {
	l.t.Helper()
	m, err := m3u8.ParseMaster(l.reg.Timeline("live", "show").Snapshot().Archive().Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

// VIDEO-RANGE is what the SPS says; SDR is not said.
func TestVideoRange(t *testing.T) {
	for name, c := range map[string]struct {
		codec         codec.Codec
		vps, sps, pps string
		want          string
	}{
		"SDR":        {codec.H264, "", hex.EncodeToString(testSPS), "68ee3c80", ""},
		"PQ, H.264":  {codec.H264, "", "676e1015a6cb82833f3e02d42440250000030001000003006404", "68ebe3cb22c0", "PQ"},
		"SDR, HEVC":  {codec.H265, "40010c01ffff01600000030090000003000003001e959409", "42010101600000030090000003000003001ea0182071f796565924caf0168080000003008000000c84", "4401c172b46240", ""},
		"HLG, HEVC":  {codec.H265, "40010c01ffff022000000300900000030000030078959809", "420101022000000300900000030000030078a00280802d1365959a4932bc05a84890482000007d20001d4c01", "4401c172b46240", "HLG"},
		"PQ, HEVC":   {codec.H265, "40010c01ffff022000000300900000030000030078959809", "420101222000000300900000030000030099a001e020021c4d965654a4c2f016a122012080000003008000001904", "4401c172b46240", "PQ"},
		"unreadable": {codec.H264, "", "676e1015a6cb82", "68ebe3cb22c0", ""},
	} {
		r := newRig(t, AppOptions{})
		e := r.mustPublish("cam")
		e.audio, e.video.Codec, e.video.Alone = nil, c.codec, true
		e.video.VPS, e.video.SPS, e.video.PPS = nil, sets(t, c.sps), sets(t, c.pps)
		if c.codec == codec.H265 {
			e.video.VPS, e.hevc = sets(t, c.vps), true
		}
		e.run(12 * time.Second)
		if m := r.entry(); m.Variants[0].VideoRange != c.want || strings.Contains(string(r.snapshot().Entry.Body), "VIDEO-RANGE") != (c.want != "") {
			t.Errorf("%s:\n%s", name, r.snapshot().Entry.Body)
		}
	}
}

func sets(t *testing.T, text string) [][]byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{b}
}
