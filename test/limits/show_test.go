package limits

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// An SPS for 1280x720, High profile, and a PPS.
var (
	sps = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}
	pps = []byte{0x68, 0xee, 0x3c, 0x80}
)

// fps and gop are the same for all rungs.
const (
	fps = 25
	gop = 50
)

// rung is one rendition of a show that is being published.
type rung struct {
	name     string
	bytes    int // of a picture; a keyframe has five times as many
	pictures atomic.Int64
	late     time.Duration // the longest that the sender itself was late, for lack of CPU time
	err      error
}

// show is a ladder that is published until it is ended.
type show struct {
	rungs []*rung
	stop  context.CancelFunc
	wait  sync.WaitGroup
}

// publish begins a show of three rungs, some 6 Mb/s in total, with matching timestamps and keyframes.
func publish(t *testing.T, s *server) *show {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	x := &show{stop: stop, rungs: []*rung{{name: "show_high", bytes: 15_000}, {name: "show_mid", bytes: 7_000}, {name: "show_low", bytes: 3_000}}}
	var conns []*rtmpclient.Conn
	for _, r := range x.rungs {
		c, err := rtmpclient.Dial(t.Context(), "rtmp://"+s.rtmp+"/live/"+r.name)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	began := time.Now()
	for i, r := range x.rungs {
		x.wait.Go(func() { r.err = r.run(ctx, conns[i], began) })
	}
	t.Cleanup(x.end)
	return x
}

// end ends the show properly, and returns when everything is sent.
func (x *show) end() {
	x.stop()
	x.wait.Wait()
}

func (r *rung) run(ctx context.Context, c *rtmpclient.Conn, began time.Time) error {
	record := append([]byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1}, binary.BigEndian.AppendUint16(nil, uint16(len(sps)))...)
	record = append(append(record, sps...), 1, 0, byte(len(pps)))
	record = append(record, pps...)
	tags := []rtmpclient.Tag{
		{Type: 9, Data: append([]byte{0x17, 0, 0, 0, 0}, record...)},
		{Type: 8, Data: []byte{0xaf, 0, 0x11, 0x90}},
	}
	for _, tag := range tags {
		if err := c.Write(tag); err != nil {
			return err
		}
	}
	sound := append([]byte{0xaf, 1, 0x21}, make([]byte, 170)...)
	heard, woken := int64(0), time.Now()
	for n := int64(0); ; n++ {
		at := n * 1000 / fps
		for ; heard*1024*1000/48000 <= at; heard++ {
			if err := c.Write(rtmpclient.Tag{Type: 8, Timestamp: uint32(heard * 1024 * 1000 / 48000), Data: sound}); err != nil {
				return err
			}
		}
		size, head, unit := r.bytes, byte(0x27), byte(0x41)
		if n%gop == 0 {
			size, head, unit = 5*r.bytes, 0x17, 0x65
		}
		picture := append([]byte{head, 1, 0, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(size))...)
		picture = append(picture, unit, 0x88)
		for len(picture) < 9+size {
			picture = append(picture, byte(n)|1)
		}
		if err := c.Write(rtmpclient.Tag{Type: 9, Timestamp: uint32(at), Data: picture}); err != nil {
			return err
		}
		r.late = max(r.late, time.Since(woken))
		if err := c.Flush(); err != nil {
			return err
		}
		r.pictures.Store(n + 1)
		woken = time.Now()
		if wait := time.Until(began.Add(time.Duration(n+1) * time.Second / fps)); wait > 0 {
			select {
			case <-time.After(wait):
				woken = woken.Add(wait)
			case <-ctx.Done():
				return c.Close()
			}
		} else if ctx.Err() != nil {
			return c.Close()
		}
	}
}
