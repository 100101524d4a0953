package rtsp

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// stream takes the packets of one format apart and tells what is in them. It belongs to one publisher.
type stream interface {
	codec() ingest.Codec
	rate() int // of the RTP clock, Hz
	// alone notes that no track of the other kind will come; before the first frame.
	alone(bool)
	// packet takes a packet apart, in the order of their sequence numbers, and emits the access units that it completes.
	// The units stay valid, and are never written again.
	packet(pkt *rtp.Packet, emit func(unit)) error
	// frame makes a frame of a unit: Track, Units, Key and DTS; PTS is set, on the track's own time line.
	frame(f *ingest.Frame) drop
	// jumped notes that PTS will not go on from where they were.
	jumped()
}

// unit is an access unit on its way from packets to frames.
type unit struct {
	rtp    uint32 // time stamp
	offset int64  // 90 kHz ticks after it
	data   [][]byte
}

// track is one recorded track of a publisher.
type track struct {
	media       int // its place in the SDP
	payloadType uint8
	stream      stream
	clock       rtpClock
	align       alignment
	queue       []ingest.Frame // placed, in order; waits for the other track

	ssrc    uint32
	hasSSRC bool
	warned  bool // about frames that cannot be used; once is enough
}

// heldFrame waits for the tracks to be aligned.
type heldFrame struct {
	track    *track
	f        ingest.Frame
	pts, dts int64 // on the track's own time line
	arrival  time.Time
}

// publisher is one session of the protocol. Until start it belongs to the session's goroutine; from then on mu orders the
// goroutine that carries its packets, the connection's own over TCP and that of the queue over UDP, and the session's, which
// ends it.
type publisher struct {
	opts     Options
	stats    *Stats
	remote   string
	target   string // app/stream, for the log
	announce ingest.Announce
	conn     *conn // the connection that recorded
	tracks   []*track
	aligner  aligner
	queue    *queue // of a UDP publisher; nil over TCP

	mu        sync.Mutex
	session   ingest.Session // nil before start and after end
	held      []heldFrame
	heldBytes int
	flowing   bool // frames are not held any more
	frames    int64

	failMu sync.Mutex // its own: Cancel may be called from within WriteFrame
	failed error
}

func (p *publisher) setTracks(tracks []*track) {
	p.tracks = tracks
	p.aligner = aligner{tracks: tracks, stats: p.stats}
}

func (p *publisher) codecs() (names []string) {
	for _, t := range p.tracks {
		names = append(names, t.stream.codec().String())
	}
	return names
}

// start lets packets through to s. end must follow.
func (p *publisher) start(s ingest.Session, udp bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session = s
	if udp {
		p.queue = newQueue(p.opts.MaxQueuedPackets, p.take)
	}
}

// end closes the ingest session after what is still queued or held; false where there was none to close. The last packet
// has been received.
func (p *publisher) end(cause error) bool {
	if p.queue != nil {
		p.queue.close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil {
		return false
	}
	p.release()
	p.drain(p.opts.Now().Add(p.opts.InterleaveWait))
	p.session.Close(cause)
	p.session = nil
	return true
}

// fail keeps the first reason for which the session must end.
func (p *publisher) fail(cause error) {
	p.failMu.Lock()
	defer p.failMu.Unlock()
	if p.failed == nil {
		p.failed = cause
	}
}

func (p *publisher) failure() error {
	p.failMu.Lock()
	defer p.failMu.Unlock()
	return p.failed
}

// receive is called for every packet, those of one track in order.
func (p *publisher) receive(a arrived) {
	a.at = p.opts.Now()
	if p.queue == nil {
		p.take(a)
		return
	}
	ok, first := p.queue.put(a)
	if !ok {
		p.stats.OverflowPackets.Add(1)
	}
	if first {
		p.opts.Log.Warn("rtsp: packets are dropped: the publisher's stream is worked off more slowly than it comes",
			"stream", p.target, "remote", p.remote, "queued", p.opts.MaxQueuedPackets)
	}
}

func (p *publisher) take(a arrived) {
	if a.rtp != nil {
		p.packet(a.track, a.rtp, a.at)
	} else {
		p.control(a.track, a.rtcp, a.at)
	}
}

// packet takes an RTP packet of a track that came at now.
func (p *publisher) packet(t *track, pkt *rtp.Packet, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil || p.failure() != nil {
		return
	}
	defer p.contain()
	p.stats.Bytes.Add(int64(len(pkt.Payload)))
	if !t.hasSSRC {
		t.ssrc, t.hasSSRC = pkt.SSRC, true
		t.align.reported = t.align.reported && t.align.reportSSRC == t.ssrc
	}
	err := t.stream.packet(pkt, func(u unit) { p.unit(t, u, now) })
	if err != nil {
		p.stats.DecodeErrors.Add(1)
		p.opts.Log.Debug("rtsp: packet not usable", "stream", p.target, "codec", t.stream.codec().String(), "error", err)
	}
	if p.flowing {
		p.drain(now)
	}
}

// control takes an RTCP packet of a track's media.
func (p *publisher) control(t *track, pkt rtcp.Packet, now time.Time) {
	sr, ok := pkt.(*rtcp.SenderReport)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil || p.failure() != nil || t.hasSSRC && sr.SSRC != t.ssrc {
		return
	}
	defer p.contain()
	p.aligner.report(t, sr.SSRC, sr.NTPTime, sr.RTPTime)
	if p.aligner.ready() {
		p.release()
	}
	if p.flowing {
		p.drain(now)
	}
}

// contain ends this publisher, and only this one, when bytes of its making bring down a parser.
func (p *publisher) contain() {
	if r := recover(); r != nil {
		p.opts.Log.Error("rtsp: panic while reading a publisher", "stream", p.target, "remote", p.remote,
			"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		p.announce.Cancel(errors.New("its packets cannot be read"))
	}
}

// unit makes a frame of an access unit, and holds it or hands it on.
func (p *publisher) unit(t *track, u unit, now time.Time) {
	local, jumped := t.clock.local(u.rtp, now)
	if jumped {
		// The report is of the time line that broke off.
		t.align.reported, t.align.slewActive = false, false
		t.stream.jumped()
		p.stats.Jumps.Add(1)
		p.opts.Log.Warn("rtsp: the encoder's time stamps jumped", "stream", p.target, "codec", t.stream.codec().String())
	}
	if t.align.reported && t.align.reportPending {
		p.aligner.placeReport(t)
	}
	f := ingest.Frame{PTS: local + u.offset, Units: u.data, Arrival: now}
	if d := t.stream.frame(&f); d != 0 {
		p.stats.dropped(d)
		if !t.warned {
			t.warned = true
			p.opts.Log.Warn("rtsp: frames are dropped", "stream", p.target, "codec", t.stream.codec().String(), "reason", d.String())
		}
		return
	}
	h := heldFrame{track: t, f: f, pts: f.PTS, dts: f.DTS, arrival: now}
	if p.flowing {
		p.place(h)
		return
	}
	p.held = append(p.held, h)
	for _, b := range u.data {
		p.heldBytes += len(b)
	}
	if len(p.tracks) == 1 || p.aligner.ready() || p.heldBytes > p.opts.MaxHeldBytes ||
		now.Sub(p.held[0].arrival) >= p.opts.SyncWait {
		p.release()
	}
}

// release aligns the tracks and lets the held frames go.
func (p *publisher) release() {
	if p.flowing || len(p.held) == 0 {
		return
	}
	p.flowing = true
	p.aligner.begin(p.held)
	for _, h := range p.held {
		p.place(h)
	}
	p.held, p.heldBytes = nil, 0
}

// place gives a frame its time, and queues it for the interleaving.
func (p *publisher) place(h heldFrame) {
	al := &h.track.align
	p.aligner.join(h.track, h.pts, h.arrival)
	h.f.DTS = al.place(h.dts)
	h.f.PTS = h.pts + al.base
	if h.f.DTS <= al.lastOut {
		p.stats.dropped(dropBackwards)
		return
	}
	al.lastOut, al.lastArrival = h.f.DTS, h.arrival
	h.track.queue = append(h.track.queue, h.f)
}

// drain hands on what need not wait: in the order of decoding, a frame waits for the other track to come as far, but
// not longer than InterleaveWait. Encoders send each track when it is ready, and pictures take longer than sound.
func (p *publisher) drain(now time.Time) {
	for p.failure() == nil {
		next := p.tracks[0]
		for _, t := range p.tracks[1:] {
			if len(next.queue) == 0 || len(t.queue) > 0 && t.queue[0].DTS < next.queue[0].DTS {
				next = t
			}
		}
		if len(next.queue) == 0 {
			return
		}
		f := &next.queue[0]
		for _, t := range p.tracks {
			if t != next && len(t.queue) == 0 && t.align.lastOut < f.DTS && now.Sub(f.Arrival) < p.opts.InterleaveWait {
				return
			}
		}
		err := p.session.WriteFrame(f)
		next.pop()
		if err != nil {
			p.announce.Cancel(err)
			return
		}
		p.frames++
		p.stats.Frames.Add(1)
	}
}

// pop takes the first frame off the queue and lets go of its bytes.
func (t *track) pop() {
	t.queue[0] = ingest.Frame{}
	t.queue = t.queue[1:]
}
