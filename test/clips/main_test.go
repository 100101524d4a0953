// Package clips tests clips on the built program: a ladder's while it is on the air, from the origin and from the bucket, and what
// becomes of it when its recording is removed.
package clips

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
