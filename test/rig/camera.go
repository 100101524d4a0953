package rig

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// Camera is an encoder that never gives up: it plays a clip in real time, and when the connection breaks it reconnects at once. Every GOP
// carries its own text, so that no two segments ever have the same bytes.
type Camera struct {
	t       *testing.T
	URL     string
	tags    []rtmpclient.Tag
	period  uint32 // of the clip, milliseconds
	step    bool   // it sends what all cameras send at an instant
	anew    bool   // timestamps begin at zero with each connection, otherwise they go on
	ballast int    // bytes added to each picture
	drop    time.Duration

	begun  time.Time
	cancel context.CancelFunc
	done   chan struct{}

	Mu       sync.Mutex    // guards what follows
	Late     time.Duration // the longest that the server held up a frame
	Connects int
	steady   bool     // it no longer drops its connection
	Refused  []string // what the server said, each answer once
}

// Shoot begins to publish; opts are applied before.
func Shoot(t *testing.T, p *Process, stream string, opts ...func(*Camera)) *Camera {
	t.Helper()
	raw, err := os.ReadFile(SourceNamed("gop_1s").Clip(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	clip, err := rtmpclient.ParseFLV(raw)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Camera{
		t: t, URL: "rtmp://" + p.RTMP + "/live/" + stream, tags: clip.Tags(), period: 10_000,
		begun: time.Now(), cancel: cancel, done: make(chan struct{}),
	}
	for _, o := range opts {
		o(c)
	}
	go c.run(ctx)
	t.Cleanup(c.Stop)
	return c
}

// BeginningAnew makes timestamps begin at zero with each connection.
func BeginningAnew(c *Camera) { c.anew = true }

// Since makes timestamps count from an instant, so that those of several cameras belong together.
func Since(begun time.Time) func(*Camera) { return func(c *Camera) { c.begun = begun } }

// InStep makes cameras send the same pictures with the same timestamps at an instant, counted from one: they are the rungs of one encoder. The
// clip has a keyframe each second, at which they begin.
func InStep(begun time.Time) func(*Camera) {
	return func(c *Camera) { c.begun, c.step = begun, true }
}

// WithBallast makes pictures n bytes larger.
func WithBallast(n int) func(*Camera) { return func(c *Camera) { c.ballast = n } }

// Dropping breaks the connection now and then.
func Dropping(every time.Duration) func(*Camera) { return func(c *Camera) { c.drop = every } }

// Hold stops Dropping. A camera that is stopped while its uplink is away could not end its stream properly.
func (c *Camera) Hold() {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	c.steady = true
}

// Stop ends the stream like an encoder that is switched off.
func (c *Camera) Stop() {
	c.cancel()
	<-c.done
}

func (c *Camera) run(ctx context.Context) {
	defer close(c.done)
	for ctx.Err() == nil {
		err := c.connection(ctx)
		var said *rtmpclient.StatusError
		c.Mu.Lock()
		c.Connects++
		if errors.As(err, &said) && !slices.Contains(c.Refused, said.Error()) && len(c.Refused) < 50 {
			c.Refused = append(c.Refused, said.Error())
		}
		c.Mu.Unlock()
		select {
		case <-time.After(50*time.Millisecond + rand.N(200*time.Millisecond)):
		case <-ctx.Done():
		}
	}
}

// connection publishes until something breaks.
func (c *Camera) connection(ctx context.Context) error {
	f := &feed{c: c}
	if c.drop > 0 {
		f.until = time.Now().Add(c.drop/2 + rand.N(c.drop))
	}
	if c.step {
		at := (time.Since(c.begun) + time.Second).Truncate(time.Second)
		select {
		case <-time.After(at - time.Since(c.begun)):
		case <-ctx.Done():
			return ctx.Err()
		}
		f.base = uint32(at.Milliseconds())
	} else if !c.anew {
		f.base = uint32(time.Since(c.begun).Milliseconds())
	}
	return rtmpclient.Publish(ctx, c.URL, f)
}

var errDropped = errors.New("the uplink broke")
