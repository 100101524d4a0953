package normalise

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// send publishes pictures that each carry the given units, and returns their tracks.
func send(r *rig, s *syntax, from int, pictures ...[][]byte) (tracks []*ingest.Track) {
	r.t.Helper()
	before := len(r.frames)
	for i, sets := range pictures {
		r.must(s.codec, int64(40*(from+i)), true, append(slices.Clone(sets), s.slice(true, true, from+i))...)
	}
	r.end()
	for _, f := range r.frames[before:] {
		tracks = append(tracks, f.Track)
	}
	return tracks
}

// TestInBand checks that new parameter sets make a new track where they come, with or without a preceding header, and that repeated ones do
// not.
func TestInBand(t *testing.T) {
	s := syntaxes(t)["H.264"]
	large, small := s.sets, [][]byte{unhex(t, avcSmall), unhex(t, avcPPS)}
	for name, header := range map[string]bool{"with a header": true, "without": false} {
		r := newRig(t, Options{})
		if header {
			r.configure(s.config())
		}
		tr := send(r, &s, 0, large, large, nil, small, small, nil, large)
		if len(tr) != 7 {
			t.Fatalf("%s: %d frames", name, len(tr))
		}
		if tr[0] != tr[1] || tr[1] != tr[2] || tr[2] == tr[3] || tr[3] != tr[4] || tr[4] != tr[5] || tr[5] == tr[6] {
			t.Errorf("%s: tracks %v", name, tr)
		}
		if tr[0].Width != 320 || tr[3].Width != 160 || tr[3].Height != 90 || tr[6].Width != 320 || tr[3].FrameRate != 25 {
			t.Errorf("%s: %+v, %+v", name, tr[0], tr[3])
		}
	}
}

// TestInBandHEVC is the same for H.265, where the VPS counts too.
func TestInBandHEVC(t *testing.T) {
	s := syntaxes(t)["H.265"]
	vps := bytes.Clone(s.sets[0])
	vps[len(vps)-1] ^= 0x10
	other := [][]byte{vps, s.sets[1], s.sets[2]}
	r := newRig(t, Options{})
	tr := send(r, &s, 0, s.sets, nil, other, s.sets[:1], s.sets[1:])
	if len(tr) != 5 || tr[0] != tr[1] || tr[1] == tr[2] || tr[2] == tr[3] || tr[3] != tr[4] || tr[0].Width != 320 || len(tr[2].VPS) != 1 {
		t.Errorf("tracks %v", tr)
	}
}

// TestRepeatedHeader tests an encoder that sends other sets in band but keeps repeating its first header. Only a header that says something
// new counts.
func TestRepeatedHeader(t *testing.T) {
	s := syntaxes(t)["H.264"]
	small := [][]byte{unhex(t, avcSmall), unhex(t, avcPPS)}
	r := newRig(t, Options{})
	r.configure(s.config())
	tr := send(r, &s, 0, nil, small)
	for n := 2; n < 5; n++ {
		r.configure(s.config())
		tr = append(tr, send(r, &s, n, small)...)
	}
	for _, got := range tr[1:] {
		if got != tr[1] || got.Width != 160 {
			t.Errorf("track %+v", got)
		}
	}
	next := s.config()
	next.PPS = append(next.PPS, unhex(t, "68ef8fca"))
	r.configure(next)
	if tr := send(r, &s, 5, nil); tr[0].Width != 320 || len(tr[0].PPS) != 2 {
		t.Errorf("track %+v", tr[0])
	}
}

// TestWorseSets checks that unreadable sets, as a loss on the way makes them, leave the good ones in place.
func TestWorseSets(t *testing.T) {
	s := syntaxes(t)["H.264"]
	r := newRig(t, Options{})
	tr := send(r, &s, 0, s.sets, [][]byte{{0x67}}, [][]byte{unhex(t, "6764000cacd9")}, [][]byte{{0x68}})
	if len(tr) != 4 || tr[1] != tr[0] || tr[2] != tr[0] || tr[3].Width != 320 {
		t.Errorf("tracks %v", tr)
	}
	// If there are no others, they are kept: a decoder may understand more than we do.
	r = newRig(t, Options{})
	r.Hint(Hints{HasVideo: true, Width: 640, Height: 360, FrameRate: 50, VideoBitrate: 1000, KeyframeInterval: time.Second})
	tr = send(r, &s, 0, [][]byte{unhex(t, "6764000cacd9"), s.sets[1]})
	if len(tr) != 1 || tr[0].Width != 640 || tr[0].FrameRate != 50 || !tr[0].Alone || tr[0].Bitrate != 1000 || tr[0].KeyframeInterval != time.Second {
		t.Errorf("track %+v", tr[0])
	}
}

// TestSetsApart checks that picture parameter sets which come one by one are all kept, and that one with the same number replaces the
// other.
func TestSetsApart(t *testing.T) {
	for name, tc := range map[string]struct {
		codec   ingest.Codec
		sets    []string
		renewed string // the set of number 1
	}{
		"H.264": {ingest.H264, []string{avcSPS, "68ef", "6857", "686a", "6824", "682b"}, "685f"},
		"H.265": {ingest.H265, []string{hevcVPS, hevcSPS, "4401c1", "440152", "440162"}, "44015b"},
	} {
		var s sets
		s.use(tc.codec)
		number := 0
		for i, u := range tc.sets {
			s.learn([][]byte{unhex(t, u)})
			if tc.codec.NAL(unhex(t, u)) == codec.KindPPS {
				if number++; len(s.config.PPS) != number {
					t.Errorf("%s: after set %d there are %d", name, i, len(s.config.PPS))
				}
			}
		}
		s.learn([][]byte{unhex(t, tc.renewed)})
		if len(s.config.PPS) != number || !slices.ContainsFunc(s.config.PPS, func(u []byte) bool { return bytes.Equal(u, unhex(t, tc.renewed)) }) {
			t.Errorf("%s: %x", name, s.config.PPS)
		}
		for n := range 100 {
			s.learn([][]byte{append(unhex(t, tc.sets[2])[:len(tc.sets[2])/2-1], 0x04, byte(n)|1)}) // numbers too large to tell apart
		}
		if len(s.config.PPS) > maxSets {
			t.Errorf("%s: %d sets are kept", name, len(s.config.PPS))
		}
	}
}

// TestNoHeaderAtAll checks that pictures before any set are counted, and that the first with sets is used.
func TestNoHeaderAtAll(t *testing.T) {
	for name, s := range syntaxes(t) {
		r := newRig(t, Options{})
		tr := send(r, &s, 0, nil, nil, s.sets, nil)
		if len(tr) != 2 {
			t.Errorf("%s: %d frames", name, len(tr))
		}
		r.dropped(&r.ledger.Video, map[ingest.Reason]int64{ingest.NoHeader: 2})
	}
}

// TestSetsOfSDP checks that a header with some of the sets is completed in band.
func TestSetsOfSDP(t *testing.T) {
	for name, s := range syntaxes(t) {
		r := newRig(t, Options{})
		part := s.config()
		part.PPS = nil
		r.configure(part)
		tr := send(r, &s, 0, nil, s.sets[len(s.sets)-1:], nil)
		if len(tr) != 2 || tr[0] != tr[1] || tr[0].Width != 320 {
			t.Errorf("%s: tracks %v", name, tr)
		}
	}
}
