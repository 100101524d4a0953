// Package cmaf has players watch what the built program makes of its segments when it is asked: CMAF, DASH, and playlists of I-frames.
package cmaf

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
