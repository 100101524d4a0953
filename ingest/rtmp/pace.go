package rtmp

import "time"

// pace says when the socket of a publisher is read whose bytes gather in the kernel. Instants are durations since the server's epoch.
//
// Viewers of a low-latency stream wait for the frame that ends a part, which is one in fifteen: it alone has to be read at once. When it is
// due follows from the decoding times of the stream and from how early its frames come.
type pace struct {
	usual  time.Duration // bytes gather for so long; 0: they are read as soon as there are some
	urgent time.Duration // the same while a frame that is waited for is due; at most usual

	begun  bool
	video  bool          // pictures have come: they alone count
	frames uint          // that count, so far
	stamp  uint32        // of the newest of them, milliseconds
	media  time.Duration // since the first
	early  time.Duration // when the earliest frames arrive, as if they were the first
	looked time.Duration // when the socket was last seen to be empty: what was read since has come since
}

const (
	maxStep = 10 * time.Second       // a longer one between two time stamps is a jump
	maxLate = 250 * time.Millisecond // frames that come later come from a pace that is new
	maxWait = 100 * time.Millisecond // a frame that is due is waited for so long: what comes later may gather again
)

// saw takes a frame into account.
func (p *pace) saw(video bool, stamp uint32, arrival time.Duration) {
	if p.urgent >= p.usual || p.video && !video {
		return
	}
	step := time.Duration(int32(stamp-p.stamp)) * time.Millisecond
	p.stamp = stamp
	if !p.begun || video && !p.video || step > maxStep || step < -maxStep {
		p.begun, p.video, p.media, p.early = true, video, 0, arrival
		return
	}
	p.frames++
	p.media += step
	// It came at some time since the socket was looked at, which may be long before it was read.
	if late := arrival - p.media - p.early; late < 0 {
		p.early += late
	} else if late = p.looked - p.media - p.early; late > maxLate {
		p.early += late
	} else if late > 0 {
		p.early += late / 256 // clocks drift
	}
}

// next is the next instant to read at, of a socket that is empty now. A frame that is waited for comes so much later than the newest one; 0:
// none is.
func (p *pace) next(now, awaited time.Duration) time.Duration {
	p.looked = now
	next := following(now, p.usual)
	if awaited <= 0 || !p.begun || p.urgent >= p.usual {
		return next
	}
	due := p.early + p.media + awaited - p.urgent/2
	if p.frames/32%4 == 0 {
		due -= p.urgent // what was read at a time may always have been there before: now and then it is looked for earlier
	}
	if now > due+maxWait {
		return next
	}
	return min(next, following(max(now, due), max(p.urgent, time.Millisecond)))
}

// following is the first multiple of step after an instant.
func following(at, step time.Duration) time.Duration { return at - at%step + step }
