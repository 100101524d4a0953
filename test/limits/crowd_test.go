package limits

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// slowReader requests a path, reads a few bytes a second of the answer, and then the next.
func slowReader(ctx context.Context, address string, path func() string) {
	for ctx.Err() == nil {
		slowly(ctx, address, path())
		pause(ctx, 200*time.Millisecond)
	}
}

func slowly(ctx context.Context, address, path string) {
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		return
	}
	b := make([]byte, 512)
	for ctx.Err() == nil {
		if _, err := c.Read(b); err != nil {
			return
		}
		pause(ctx, time.Second)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// storm requests one path after another, all different, until that many bytes have come in total.
func storm(ctx context.Context, address string, path func(n int64) string, sent, bytes *atomic.Int64, enough int64) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil && bytes.Load() < enough {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path(sent.Add(1)), nil)
		if err != nil {
			return
		}
		res, err := client.Do(req)
		if err != nil {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		n, _ := io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		bytes.Add(n + 400) // including its head
	}
}

// halfPublisher publishes a stream, sends half of one message, and stays; when it is disconnected, it comes again.
func halfPublisher(ctx context.Context, address, name string, message int, sentAway *atomic.Int64) {
	for ctx.Err() == nil {
		if half(ctx, address, name, message) {
			sentAway.Add(1)
		}
		pause(ctx, 10*time.Second)
	}
}

// half reports whether the server ended it.
func half(ctx context.Context, address, name string, message int) bool {
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	defer c.Close()
	if err := greet(c, name); err != nil {
		return true
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	w := bufio.NewWriterSize(c, 64<<10)
	// One chunk is as large as the message: its second half never comes.
	_, _ = w.Write([]byte{2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff})
	_, _ = w.Write([]byte{6, 0, 0, 0, byte(message >> 16), byte(message >> 8), byte(message), 9, 1, 0, 0, 0})
	_, _ = w.Write(make([]byte, message/2))
	_ = w.Flush()
	_, err = io.Copy(io.Discard, c)
	return ctx.Err() == nil
}

// greet does the handshake and publishes; it reads the answers as they come, and looks only for a refusal.
func greet(c net.Conn, name string) error {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(append([]byte{3}, make([]byte, 1536)...)); err != nil {
		return err
	}
	answer := make([]byte, 1+2*1536)
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if _, err := c.Write(answer[1 : 1+1536]); err != nil {
		return err
	}
	text := func(s string) string { return "\x02" + string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }
	number := func(n byte) string {
		return "\x00" + map[byte]string{1: "\x3f\xf0", 2: "\x40\x00", 3: "\x40\x08"}[n] + "\x00\x00\x00\x00\x00\x00"
	}
	command := func(stream byte, body string) string {
		head := []byte{3, 0, 0, 0, 0, byte(len(body) >> 8), byte(len(body)), 20, stream, 0, 0, 0}
		return string(head) + body
	}
	all := command(0, text("connect")+number(1)+"\x03\x00\x03app"+text("live")+"\x00\x00\x09")
	all += command(0, text("createStream")+number(2)+"\x05")
	all += command(1, text("publish")+number(3)+"\x05"+text(name)+text("live"))
	if _, err := io.WriteString(c, all); err != nil {
		return err
	}
	var seen strings.Builder
	b := make([]byte, 4096)
	for !strings.Contains(seen.String(), "NetStream.Publish.Start") {
		n, err := c.Read(b)
		if err != nil {
			return err
		}
		seen.Write(b[:n])
	}
	return nil
}

// crowd is everybody who is not the show.
type crowd struct {
	stop context.CancelFunc
	ctx  context.Context
	wait sync.WaitGroup
}

func newCrowd() *crowd {
	x := &crowd{}
	x.ctx, x.stop = context.WithCancel(context.Background())
	return x
}

func (x *crowd) add(n int, each func(ctx context.Context, i int)) {
	for i := range n {
		x.wait.Go(func() { each(x.ctx, i) })
	}
}

func (x *crowd) end() {
	x.stop()
	x.wait.Wait()
}
