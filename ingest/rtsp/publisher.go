package rtsp

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
)

const (
	// silence is how long a track must be without packets before a packet of an unknown track is attributed to it.
	silence = time.Second
	// strangeEnds is the time without such packets after which they are reported again.
	strangeEnds = 10 * time.Second
)

// publisher is one session of the protocol. Until start it belongs to the session's goroutine. From then on mu orders two goroutines: the
// one that carries its packets, which is the connection's own over TCP and the queue's over UDP, and the session's, which ends it.
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
	queue    *queue          // of a UDP publisher; nil over TCP
	gone     chan struct{}   // closed when the session has ended
	quit     <-chan struct{} // closed when the server stops

	mu        sync.Mutex
	session   ingest.Session    // nil before start and after end
	stream    *normalise.Stream // from units to frames, which come back through WriteFrame
	held      []heldFrame
	heldBytes int
	queued    int       // bytes of the tracks' queues
	lent      int64     // from Options.Memory, for heldBytes and queued
	full      bool      // there was no room for more: nothing waits
	strangeAt time.Time // when an unusable packet last came
	flowing   bool      // frames are no longer held, except those of a track that came late
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
		Memory: p.opts.Memory, Undecoded: true, Placed: true, Retained: true, Direct: true,
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
		p.queue = newQueue(p.opts.MaxQueuedPackets, p.opts.Memory, p.take)
	}
}

// over ends the publisher if err is not nil.
func (p *publisher) over(err error) {
	if err != nil {
		p.announce.Cancel(err)
	}
}

// end closes the ingest session after what is still queued or held. It returns false if there was none to close. The last packet has been
// received.
func (p *publisher) end(cause error) bool {
	if p.queue != nil {
		p.queue.close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tracks {
		t.complete(p.opts.Memory)
	}
	if p.session == nil {
		return false
	}
	defer p.account()
	p.flush()
	p.release(func(*track) bool { return true })
	p.drain(p.opts.Now().Add(p.opts.InterleaveWait))
	p.session.Close(cause)
	p.session = nil
	p.discard()
	return true
}

// discard drops what waits: after a failure none of it was passed on.
func (p *publisher) discard() {
	p.held, p.heldBytes, p.queued = nil, 0, 0
	for _, t := range p.tracks {
		t.queue = nil
	}
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

// receive is called for every packet; those of one track come in order.
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
	case a.err != nil:
		p.strange(a.err, a.at)
	case a.track == nil:
		p.ignore(a.ignored, a.rtp, a.at)
	case a.rtp != nil:
		p.packet(a.track, a.rtp, a.at)
	default:
		p.control(a.track, a.rtcp, a.at)
	}
}

// ignore counts a packet of a format that is not recorded: once per picture, at its last packet, and once per audio packet.
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

// strange records a packet that the library could not use: its SSRC or payload type is unknown, as after a restart of the encoder's sender.
// It is attributed to a track from which nothing else comes.
func (p *publisher) strange(err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil || p.failure() != nil {
		return
	}
	if p.strangeAt.IsZero() || now.Sub(p.strangeAt) >= strangeEnds {
		p.opts.Log.Warn("rtsp: packets come of which nothing can be made", "stream", p.target, "remote", p.remote, "error", err)
	}
	p.strangeAt = now
	for _, t := range p.tracks {
		if now.Sub(t.came) >= silence {
			t.account.Explain(ingest.Malformed, "its packets cannot be read: "+err.Error()+"; restart the encoder")
			p.over(p.stream.Drop(t.stream.codec(), ingest.Malformed, now))
		}
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
	if !t.hasSSRC && p.queue != nil && len(t.announced) > 0 && !slices.Contains(t.announced, pkt.SSRC) {
		// Over UDP anybody can forge the sender. The library has accepted this one as the sender, and would refuse the announced one from
		// here on.
		p.over(ingest.Refuse(ingest.Unsupported, "the first packet has the SSRC %d, and the SDP announces others: somebody else sent it, or the encoder's a=ssrc is wrong", pkt.SSRC))
		return
	}
	if !t.hasSSRC {
		t.ssrc, t.hasSSRC = pkt.SSRC, true
		t.align.reported = t.align.reported && t.align.reportSSRC == t.ssrc
	}
	t.came = now
	if err := t.grow(p.opts.Memory, int64(len(pkt.Payload)), p.announce.Cancel, p.quit); err != nil {
		p.over(err)
		return
	}
	err := t.stream.packet(pkt, now, func(u unit) {
		t.complete(p.opts.Memory)
		p.unit(t, u)
	})
	if err != nil {
		t.complete(p.opts.Memory)
		p.unusable(t, pkt, err, now)
	}
	p.account()
	if p.flowing {
		p.drain(now)
		p.account()
	}
}

// account draws what waits from Options.Memory. If there is no room, nothing waits.
func (p *publisher) account() {
	switch want := int64(p.heldBytes + p.queued); {
	case want > p.lent:
		if p.full = !p.opts.Memory.Hold(want - p.lent); !p.full {
			p.lent = want
		}
	default:
		p.opts.Memory.Yield(p.lent - want)
		p.lent, p.full = want, false
	}
}

// unusable counts a packet that could not be unpacked: once per picture, at its last packet.
func (p *publisher) unusable(t *track, pkt *rtp.Packet, err error, now time.Time) {
	var uncarried *codec.Unsupported
	c := t.stream.codec()
	switch {
	case errors.Is(err, errTorn):
		p.over(p.stream.Drop(c, ingest.NoPicture, now))
		return
	case errors.As(err, &uncarried):
		p.over(p.stream.Uncarried(ingest.Refuse(ingest.Unsupported, "%v", uncarried), now))
	case pkt.Marker || !c.IsVideo():
		p.over(p.stream.Drop(c, ingest.Malformed, now))
	}
	p.stats.DecodeErrors.Add(1)
	p.opts.Episodes.Debug("unusable packets", p.target, "rtsp: packet not usable", "stream", p.target, "codec", c.String(), "error", err)
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
		p.release(func(*track) bool { return true })
	}
	if p.flowing {
		p.drain(now)
	}
	p.account()
}

// contain ends this publisher, and no other, when its bytes make a parser panic.
func (p *publisher) contain() {
	if r := recover(); r != nil {
		p.opts.Log.Error("rtsp: panic while reading a publisher", "stream", p.target, "remote", p.remote,
			"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		p.announce.Cancel(errors.New("its packets cannot be read"))
	}
}
