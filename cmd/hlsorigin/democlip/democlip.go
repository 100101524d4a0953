// Package democlip contains the clip that the demo publishes: 24 s of a clock, a pendulum and a beep, H.264 and AAC in FLV, our own work
// made by make.sh. It refuses to know how the file is read or sent.
package democlip

import (
	_ "embed"
	"time"
)

//go:embed clip.flv
var clip string

// Duration is the length of one round: 600 pictures, 1125 AAC frames.
const Duration = 24 * time.Second

// FLV returns the clip as a file.
func FLV() []byte { return []byte(clip) }
