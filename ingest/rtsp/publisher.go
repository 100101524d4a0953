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
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
)

// stream takes the packets of one format apart. It belongs to one publisher.
type stream interface {
	codec() ingest.Codec
	rate() int // of the RTP clock, Hz
	// hint and announce tell what the SDP says.
	hint(*normalise.Hints)
	announce(*normalise.Stream, time.Time) error
	// packet takes a packet apart, in the order of their sequence numbers, and emits the units that it completes. They stay
	// valid, and are never written again.
	packet(pkt *rtp.Packet, arrival time.Time, emit func(unit)) error
	// flush emits what is not complete and will not be.
	flush(emit func(unit))
}

// unit is what has one time stamp, on its way from packets to frames: the NAL units of a picture, or one audio frame.
type unit struct {
	rtp     uint32 // time stamp
	offset  int64  // 90 kHz ticks after it
	arrival time.Time
	data    [][]byte
	config  []byte // AudioSpecificConfig that came with it; nil: none did
}

// track is one recorded track of a publisher.
type track struct {
	media       int // its place in the SDP
	payloadType uint8
	stream      stream
	clock       rtpClock
	decoding    decoding // of video
	account     *ingest.Account
	align       alignment
	queue       []ingest.Frame // placed, in order; waits for the other track

	ssrc    uint32
	hasSSRC bool
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
	ignored  []ignoredFormat
	queue    *queue // of a UDP publisher; nil over TCP

	mu        sync.Mutex
	session   ingest.Session    // nil before start and after end
	stream    *normalise.Stream // from units to frames, which come back by WriteFrame
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
	p.announce.Ledger = ingest.NewLedger(&p.stats.Ledger)
	for _, t := range tracks {
		t.account = p.announce.Ledger.Of(t.stream.codec())
		t.decoding.lifted = t.account.Repair
	}
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
	p.stream = normalise.New(sink{p}, normalise.Options{
		Ledger: p.announce.Ledger, Log: p.opts.Log.With("stream", p.target, "remote", p.remote),
		Undecoded: true, Placed: true, Retained: true, Direct: true,
	})
	var h normalise.Hints
	for _, t := range p.tracks {
		t.stream.hint(&h)
	}
	p.stream.Hint(h)
	now := p.opts.Now()
	for _, t := range p.tracks {
		p.over(t.stream.announce(p.stream, now))
	}
	for _, i := range p.ignored {
		p.announce.Ledger.Of(i.codec).Explain(i.reason, i.why.Error())
	}
	if udp {
		p.queue = newQueue(p.opts.MaxQueuedPackets, p.take)
	}
}

// over ends the publisher where err is not nil.
func (p *publisher) over(err error) {
	if err != nil {
		p.announce.Cancel(err)
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
	p.flush()
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
	switch {
	case a.track == nil:
		p.ignore(a.ignored, a.rtp, a.at)
	case a.rtp != nil:
		p.packet(a.track, a.rtp, a.at)
	default:
		p.control(a.track, a.rtcp, a.at)
	}
}

// ignore accounts for a packet of a format that is not recorded: a picture by its last one, sound by each.
func (p *publisher) ignore(i *ignoredFormat, pkt *rtp.Packet, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil || p.failure() != nil {
		return
	}
	p.stats.Bytes.Add(int64(len(pkt.Payload)))
	if pkt.Marker || !i.codec.IsVideo() {
		p.over(p.stream.Drop(i.codec, i.reason, now))
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
	err := t.stream.packet(pkt, now, func(u unit) { p.unit(t, u) })
	if errors.Is(err, errTorn) {
		p.over(p.stream.Drop(t.stream.codec(), ingest.NoPicture, now))
	} else if err != nil {
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

// unit gives a unit its place on its track's time line, and hands it to the normaliser.
func (p *publisher) unit(t *track, u unit) {
	local, jumped := t.clock.local(u.rtp, u.arrival)
	if jumped {
		// The report is of the time line that broke off, and so is what waits.
		t.align.reported, t.align.slewActive = false, false
		p.over(p.stream.Flush())
		t.decoding.jumped(func(f ingest.Frame) { p.timed(t, f) })
		p.stats.Jumps.Add(1)
		p.opts.Log.Warn("rtsp: the encoder's time stamps jumped", "stream", p.target, "codec", t.stream.codec().String())
	}
	if t.align.reported && t.align.reportPending {
		p.aligner.placeReport(t)
	}
	pts, c := local+u.offset, t.stream.codec()
	if c.IsVideo() {
		p.over(p.stream.Video(&normalise.Video{Codec: c, Units: u.data, PTS: pts, DTS: pts, Arrival: u.arrival}))
		return
	}
	if u.config != nil {
		p.over(p.stream.AudioHeader(u.config, u.arrival))
	}
	p.over(p.stream.Audio(&normalise.Audio{Codec: c, Data: u.data[0], PTS: pts, Arrival: u.arrival}))
}

// flush lets go of what the streams and the normaliser hold.
func (p *publisher) flush() {
	for _, t := range p.tracks {
		t.stream.flush(func(u unit) { p.unit(t, u) })
	}
	p.over(p.stream.Flush())
	for _, t := range p.tracks {
		t.decoding.flush(func(f ingest.Frame) { p.timed(t, f) })
	}
}

// sink takes the normaliser's frames. Their units are not written again.
type sink struct{ p *publisher }

func (s sink) WriteFrame(f *ingest.Frame) error {
	for _, t := range s.p.tracks {
		switch video := f.Track.Codec.IsVideo(); {
		case video != t.stream.codec().IsVideo():
		case video:
			f.Key = f.Track.Codec.Survey(f.Units).Access != codec.NoAccess // RTP has no flag
			t.decoding.add(*f, func(f ingest.Frame) { s.p.timed(t, f) })
		default:
			s.p.timed(t, *f)
		}
	}
	return nil
}

// timed takes a frame with all its times, on its track's own time line, and holds it or hands it on.
func (p *publisher) timed(t *track, f ingest.Frame) {
	h := heldFrame{track: t, f: f, pts: f.PTS, dts: f.DTS, arrival: f.Arrival}
	if p.flowing {
		p.place(h)
		return
	}
	p.held = append(p.held, h)
	for _, b := range f.Units {
		p.heldBytes += len(b)
	}
	if len(p.tracks) == 1 || p.aligner.ready() || p.heldBytes > p.opts.MaxHeldBytes ||
		f.Arrival.Sub(p.held[0].arrival) >= p.opts.SyncWait {
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
		h.track.account.Drop(ingest.Backwards)
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
