package rtsp

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"

	"github.com/hlsorigin/hlsorigin/ingest"
)

func TestQueue(t *testing.T) {
	gate, entered := make(chan struct{}), make(chan struct{}, 1)
	taken := 0
	q := newQueue(2, nil, func(arrived) {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-gate
		taken++
	})
	start := time.Unix(1000, 0)
	put := func(after time.Duration, want, wantFirst bool) {
		t.Helper()
		if ok, first := q.put(arrived{at: start.Add(after)}); ok != want || first != wantFirst {
			t.Errorf("put after %v: %v, first of an episode: %v, want %v, %v", after, ok, first, want, wantFirst)
		}
	}
	put(0, true, false)
	<-entered // it has left the queue
	put(0, true, false)
	put(0, true, false)
	put(0, false, true)
	put(overflowEnds-1, false, false)
	put(2*overflowEnds-2, false, false)
	put(3*overflowEnds-2, false, true)
	close(gate)
	q.close()
	if taken != 3 {
		t.Errorf("%d packets taken, want 3", taken)
	}
}

// blocking is a Publisher whose streams named "stuck" wait for a gate in WriteFrame.
func blocking(r *recorder) (gate, waiting chan struct{}) {
	gate, waiting = make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.onSession = func(a ingest.Announce) func(*ingest.Frame) error {
		if a.Stream != "stuck" {
			return nil
		}
		return func(*ingest.Frame) error {
			once.Do(func() { close(waiting) })
			<-gate
			return nil
		}
	}
	return gate, waiting
}

// TestPublishersDoNotWaitForOneAnother checks that while one publisher's stream is stuck, another's flows, whatever their transports.
func TestPublishersDoNotWaitForOneAnother(t *testing.T) {
	for _, stuck := range []gortsplib.Transport{gortsplib.TransportUDP, gortsplib.TransportTCP} {
		t.Run(stuck.String(), func(t *testing.T) {
			r := newRecorder()
			r.want = 3
			gate, waiting := blocking(r)
			s := serve(t, r, nil)
			a, b := newPusher(stuck), newPusher(gortsplib.TransportUDP)
			for _, p := range []struct {
				*pusher
				name string
			}{{a, "stuck"}, {b, "free"}} {
				if err := p.record("rtsp://"+s.addr+"/live/"+p.name, p.video); err != nil {
					t.Fatal(err)
				}
				defer p.Close()
			}
			a.picture(t, 0, idr)
			<-waiting
			b.picture(t, 0, idr)
			b.picture(t, 3600, slice)
			b.picture(t, 7200, slice)
			r.wait(t) // with one goroutine for both, none would come
			close(gate)
		})
	}
}

// TestQueueOverflows checks that what a stuck publisher sends is limited, and reported once.
func TestQueueOverflows(t *testing.T) {
	r := newRecorder()
	gate, waiting := blocking(r)
	s := serve(t, r, func(o *Options) { o.MaxQueuedPackets = 8 })
	p := newPusher(gortsplib.TransportUDP)
	if err := p.record("rtsp://"+s.addr+"/live/stuck", p.video); err != nil {
		t.Fatal(err)
	}
	p.picture(t, 0, idr)
	<-waiting
	for i := range uint32(40) {
		p.units(t, (i+1)*3600, slice)
	}
	for s.Stats.OverflowPackets.Load() < 5 {
		runtime.Gosched()
	}
	close(gate)
	p.Close()
	_ = r.cause(t)
	if n := len(r.all()); n < 9 {
		t.Errorf("%d frames came through, want the first one and the 8 queued ones", n)
	}
	if n := strings.Count(s.log.String(), "packets are dropped"); n != 1 {
		t.Errorf("said %d times", n)
	}
}
