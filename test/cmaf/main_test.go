// Package cmaf has players watch what the built program serves as CMAF and DASH.
package cmaf

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
