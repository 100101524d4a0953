package cut

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

func TestKeysAdmit(t *testing.T) {
	var k keys
	if !k.admits(codec.Recovery, 0, 4*codec.Clock) || !k.admits(codec.Open, 0, 4*codec.Clock) || k.admits(codec.NoAccess, 0, 4*codec.Clock) {
		t.Error("what a recording may begin with")
	}
	k.note(codec.Clean, 0)
	k.note(codec.Clean, 8*codec.Clock)
	for at, want := range map[int64]bool{9 * codec.Clock: false, 13 * codec.Clock: false, 18 * codec.Clock: true} {
		if got := k.admits(codec.Recovery, at, 4*codec.Clock); got != want {
			t.Errorf("a recovery point %d s after an IDR, which come every 8 s: %v", at/codec.Clock-8, got)
		}
	}
}
