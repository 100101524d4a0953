package chunk

import "errors"

// Limits bound the cost of one peer. A zero field means its default.
type Limits struct {
	MessageSize int // bytes of one message; default 8 MiB
	Held        int // bytes kept for unfinished messages, across all chunk streams; default 16 MiB
	Streams     int // chunk streams; default 32
}

func (l Limits) withDefaults() Limits {
	if l.MessageSize == 0 {
		l.MessageSize = 8 << 20
	}
	if l.Held == 0 {
		l.Held = 16 << 20
	}
	if l.Streams == 0 {
		l.Streams = 32
	}
	return l
}

// ErrLimit is wrapped by every error for a limit that a peer exceeded.
var ErrLimit = errors.New("rtmp: limit exceeded")
