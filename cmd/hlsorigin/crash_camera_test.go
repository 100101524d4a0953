package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// camera is an encoder that never gives up: it plays a clip in real time, and when the connection breaks it connects
// again at once. Every group of pictures carries a text of its own, so that no two segments ever are the same bytes.
type camera struct {
	t       *testing.T
	url     string
	tags    []rtmpclient.Tag
	period  uint32 // of the clip, milliseconds
	anew    bool   // time stamps begin at nought with each connection, else they go on
	ballast int    // bytes added to each picture
	drop    time.Duration

	begun  time.Time
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	late     time.Duration // the longest that a frame was held up by the server
	connects int
	steady   bool     // it drops no more
	refused  []string // what the server said
}

// shoot begins to publish; opts are applied before.
func shoot(t *testing.T, p *process, stream string, opts ...func(*camera)) *camera {
	t.Helper()
	raw, err := os.ReadFile(sourceNamed("gop_1s").clip(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	clip, err := rtmpclient.ParseFLV(raw)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &camera{
		t: t, url: "rtmp://" + p.rtmp + "/live/" + stream, tags: clip.Tags(), period: 10_000,
		begun: time.Now(), cancel: cancel, done: make(chan struct{}),
	}
	for _, o := range opts {
		o(c)
	}
	go c.run(ctx)
	t.Cleanup(c.stop)
	return c
}

func beginningAnew(c *camera) { c.anew = true }

// withBallast makes pictures so many bytes larger.
func withBallast(n int) func(*camera) { return func(c *camera) { c.ballast = n } }

// dropping breaks the connection now and then, by itself.
func dropping(every time.Duration) func(*camera) { return func(c *camera) { c.drop = every } }

// hold ends the dropping. A camera that is stopped while its uplink is away could take leave of nobody.
func (c *camera) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steady = true
}

// stop takes leave as an encoder does that is switched off.
func (c *camera) stop() {
	c.cancel()
	<-c.done
}

func (c *camera) run(ctx context.Context) {
	defer close(c.done)
	for ctx.Err() == nil {
		err := c.connection(ctx)
		var said *rtmpclient.StatusError
		c.mu.Lock()
		c.connects++
		if errors.As(err, &said) && len(c.refused) < 50 {
			c.refused = append(c.refused, said.Error())
		}
		c.mu.Unlock()
		select {
		case <-time.After(50*time.Millisecond + rand.N(200*time.Millisecond)):
		case <-ctx.Done():
		}
	}
}

// connection publishes until something breaks.
func (c *camera) connection(ctx context.Context) error {
	f := &feed{c: c}
	if c.drop > 0 {
		f.until = time.Now().Add(c.drop/2 + rand.N(c.drop))
	}
	if !c.anew {
		f.base = uint32(time.Since(c.begun).Milliseconds())
	}
	return rtmpclient.Publish(ctx, c.url, f)
}

// feed is what the camera sends over one connection: the headers, then the clip from any of its keyframes on, for ever.
type feed struct {
	c     *camera
	base  uint32 // the first time stamp
	until time.Time

	next    int
	headers []rtmpclient.Tag
	shift   uint32
	begun   time.Time
	last    uint32
}

var errDropped = errors.New("the uplink broke")

func (f *feed) Next() (rtmpclient.Tag, error) {
	now := time.Now()
	if f.begun.IsZero() {
		f.begin(now)
	}
	f.c.mu.Lock()
	f.c.late = max(f.c.late, now.Sub(f.begun)-time.Duration(f.last-f.base)*time.Millisecond)
	steady := f.c.steady
	f.c.mu.Unlock()
	if !steady && !f.until.IsZero() && now.After(f.until) {
		return rtmpclient.Tag{}, errDropped
	}
	if len(f.headers) > 0 {
		t := f.headers[0]
		f.headers = f.headers[1:]
		t.Timestamp = f.base
		return t, nil
	}
	for {
		if f.next == len(f.c.tags) {
			f.next = 0
			f.shift += f.c.period
		}
		t := f.c.tags[f.next]
		f.next++
		if isHeader(t) {
			continue
		}
		if t.Type == 9 {
			t.Data = f.mark(t.Data)
		}
		t.Timestamp += f.shift
		f.last = t.Timestamp
		return t, nil
	}
}

func (f *feed) begin(now time.Time) {
	f.begun = now
	var keys []int
	for i, t := range f.c.tags {
		switch {
		case isHeader(t):
			f.headers = append(f.headers, t)
		case t.Type == 9 && t.Data[0]>>4 == 1:
			keys = append(keys, i)
		}
	}
	f.next = keys[rand.IntN(len(keys))]
	f.shift = f.base - f.c.tags[f.next].Timestamp
	f.last = f.base
}

func isHeader(t rtmpclient.Tag) bool { return t.Type == 18 || t.Data[1] == 0 }

// mark puts a NAL unit of user data in front of a picture.
func (f *feed) mark(picture []byte) []byte {
	key := picture[0]>>4 == 1
	if !key && f.c.ballast == 0 {
		return picture
	}
	text := fmt.Sprintf("hlsorigin tests.%016x", rand.Uint64())
	text += strings.Repeat("ballast ", f.c.ballast/8)
	unit := []byte{6, 5} // SEI, user data: the size, 16 bytes that name the kind, the data
	for n := len(text); ; n -= 255 {
		unit = append(unit, byte(min(n, 255)))
		if n < 255 {
			break
		}
	}
	unit = append(append(unit, text...), 0x80)
	out := slices.Clone(picture[:5])
	out = binary.BigEndian.AppendUint32(out, uint32(len(unit)))
	return append(append(out, unit...), picture[5:]...)
}
