package intake

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

func soundUnit(t *ingest.Track, pts int64) *cut.Unit {
	return &cut.Unit{Frame: &ingest.Frame{Track: t, PTS: pts, DTS: pts, Units: [][]byte{{0x21}}}}
}

// TestLobbyIsDue checks with which picture what waits takes effect.
func TestLobbyIsDue(t *testing.T) {
	track := audioTrack()
	var b Lobby
	if b.Due(true) || b.HasSound() {
		t.Error("nothing waits")
	}
	for n := range 3 {
		if b.Due(false) || n > 0 && !b.Due(true) {
			t.Errorf("after %d frames: at a picture %v, at a keyframe %v", n, b.Due(false), b.Due(true))
		}
		if !b.Add(soundUnit(track, int64(n)*1920), track) {
			t.Fatal("there is room")
		}
	}
	if !b.Due(false) || b.Track() != track {
		t.Error("a change that lasts takes effect with any picture")
	}
	if n := len(b.Take()); n != 3 || b.HasSound() || b.Due(true) {
		t.Errorf("%d frames", n)
	}
	b.Return()
	if b.Due(false) || !b.Due(true) {
		t.Error("a track that came back waits for a keyframe")
	}
	b.Resume()
	if b.Due(true) {
		t.Error("it was begun")
	}
}

// TestLobbyIsBounded reaches each of its limits.
func TestLobbyIsBounded(t *testing.T) {
	track := audioTrack()
	fill := func(u *cut.Unit, of *ingest.Track, step int64) (n int) {
		var b Lobby
		for ; n < 10000 && b.Add(u, of); n++ {
			u.Frame.PTS += step
		}
		return n
	}
	if n := fill(soundUnit(track, 0), track, 1); n != lobbyFrames {
		t.Errorf("%d frames", n)
	}
	large := soundUnit(track, 0)
	large.Frame.Units[0] = make([]byte, 64<<10)
	if n := fill(large, track, 1); n != lobbyBytes/(64<<10)+1 {
		t.Errorf("%d frames of 64 KiB", n)
	}
	if n := fill(soundUnit(track, 0), nil, codec.Clock/10); n != 11 {
		t.Errorf("%d strays of a tenth of a second", n)
	}
	var b Lobby
	for n := range lobbyUnits + 1 {
		if ok := b.AddPicture(soundUnit(track, int64(n))); ok != (n < lobbyUnits) {
			t.Errorf("picture %d: %v", n, ok)
		}
	}
	for n := range lobbyUnits {
		if p := b.Picture(); p == nil || p.Frame.PTS != int64(n) {
			t.Fatalf("picture %d: %+v", n, p)
		}
		b.NextPicture()
	}
	if b.Picture() != nil {
		t.Error("all pictures were taken")
	}
}
