package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestLogOfHostileMinutes lets publishers with valid keys do their worst, and viewers request a broken recording repeatedly: the log, at
// debug level, has the beginning of each episode and the number of the rest.
func TestLogOfHostileMinutes(t *testing.T) {
	rig.Need(t, "ffmpeg")
	dir := t.TempDir()
	f := &fortress{}
	f.Process = rig.Serve(t, dir, `
hls: {segment_duration: 1s, window: 6s, end_grace: 1s, reconnect_grace: 1s, ended_ttl: 1s}
log: {level: debug}
rtsp: {udp_rtp: "", udp_rtcp: ""}
apps: {live: {publish: open}}
`)
	raw, err := os.ReadFile(rig.SourceNamed("gop_1s").Clip(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	clip, err := rtmpclient.ParseFLV(raw)
	if err != nil {
		t.Fatal(err)
	}
	broken := f.breakRecording(t)

	length := rig.Scaled(5*time.Minute, 30*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var m mob
	rtmp, rtsp := port{address: f.RTMP}, port{address: f.RTSP}
	m.every(ctx, 100*time.Millisecond, 2, func() { _ = publishRTMP(rtmp, fmt.Sprint("churn", rand.IntN(3))) })
	m.every(ctx, 100*time.Millisecond, 2, func() { _ = publishRTMP(rtmp, fmt.Sprint("name", rand.Uint32())) })
	m.every(ctx, 200*time.Millisecond, 1, func() { _ = publishRTSP(rtsp, "") })
	url := "rtmp://" + f.RTMP + "/live/"
	m.every(ctx, 50*time.Millisecond, 1, func() { misbehave(ctx, url+"jumper", clip, jumps) })
	m.every(ctx, 50*time.Millisecond, 1, func() { misbehave(ctx, url+"torn", clip, tears) })
	m.every(ctx, 50*time.Millisecond, 1, func() { misbehave(ctx, url+"changing", clip, changes) })
	m.every(ctx, 20*time.Millisecond, 2, func() { badPackets(ctx, rtsp) })
	m.every(ctx, 10*time.Millisecond, 2, func() {
		for _, u := range broken {
			if res, err := http.Get(u); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		}
	})

	half := time.After(length / 2)
	<-half
	before := len(f.Log.String())
	<-ctx.Done()
	m.all.Wait()
	log := f.Log.String()
	hourly := float64(len(log)-before) / (length / 2).Hours()
	t.Logf("%d bytes of log, %d of them in the second half: %.0f an hour", len(log), len(log)-before, hourly)
	if hourly > 1<<20 || len(log) > 256<<10 {
		t.Errorf("the log is\n%s", log[max(0, len(log)-64<<10):])
	}
}

// breakRecording publishes a short show to its end, removes some of its segments and replaces others, and returns what a viewer may request
// of it.
func (f *fortress) breakRecording(t *testing.T) (urls []string) {
	t.Helper()
	rig.Push(t, rig.SourceNamed("gop_1s").Clip(t, 10*time.Second), "rtmp://"+f.RTMP+"/live/show")
	rig.Eventually(t, 30*time.Second, "the show is on", func() bool { return rig.TryGet(f.URL("live/streams/show.m3u8")) != "" })
	recording := f.RecordingOf("show")
	streams := filepath.Join(f.Dir, "data", "bucket", "live", "streams")
	rig.Eventually(t, 60*time.Second, "the show is complete in the bucket", func() bool {
		raw, _ := os.ReadFile(filepath.Join(streams, "show-"+recording+".m3u8"))
		return bytes.Contains(raw, []byte("#EXT-X-ENDLIST"))
	})
	for n := range 6 {
		name := filepath.Join(streams, "show", recording, fmt.Sprintf("%09d.ts", n))
		urls = append(urls, f.URL(fmt.Sprintf("live/streams/show/%s/%09d.ts", recording, n)))
		_ = os.Remove(name)
		var err error
		switch n % 3 {
		case 0: // gone
		case 1:
			err = os.Mkdir(name, 0o700)
		case 2:
			err = os.WriteFile(name, []byte("no transport stream"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	playlist := filepath.Join(streams, "show-"+recording+".m3u8")
	if err := os.WriteFile(playlist, []byte("#EXTM3U\nbroken"), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(urls, f.URL("live/streams/show-"+recording+".m3u8"), f.URL("live/streams/show-"+recording+".m3u8?start=1"), f.URL("live/streams/show.m3u8?time_delay=5"))
}

// misbehave publishes a clip with each tag spoilt, for two seconds.
func misbehave(ctx context.Context, url string, clip *rtmpclient.Clip, spoil func(n int, tag rtmpclient.Tag) rtmpclient.Tag) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := rtmpclient.Dial(ctx, url)
	if err != nil {
		return
	}
	defer c.Close()
	for n, tag := range clip.Tags() {
		if ctx.Err() != nil || c.Write(spoil(n, tag)) != nil || c.Flush() != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// jumps makes timestamps jump anywhere.
func jumps(n int, tag rtmpclient.Tag) rtmpclient.Tag {
	tag.Timestamp += uint32(n%7) * 100_000
	return tag
}

// tears makes pictures and audio that cannot be used.
func tears(n int, tag rtmpclient.Tag) rtmpclient.Tag {
	if n%5 != 0 || n < 5 {
		return tag
	}
	tag.Data = bytes.Clone(tag.Data)
	for i := range tag.Data {
		if i > 1 {
			tag.Data[i] = byte(rand.Uint32())
		}
	}
	return tag
}

// changes starts over with other headers, repeatedly.
func changes(n int, tag rtmpclient.Tag) rtmpclient.Tag {
	if n%10 != 3 {
		return tag
	}
	return rtmpclient.Tag{Type: 8, Timestamp: tag.Timestamp, Data: []byte{0xaf, 0, []byte{0x12, 0x11, 0x14}[n%3], []byte{0x10, 0x90, 0x08}[n%3]}}
}

// badPackets records over RTSP and sends unusable packets: of no format, from ever new senders, with gaps.
func badPackets(ctx context.Context, p port) {
	_ = withRTSP(p, "bad", "", func(c net.Conn, _ func(string) error) error {
		for n := range 200 {
			b := []byte{0x80, []byte{97, 98, 97}[n%3], 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(n % 5), byte(n), byte(n), 0xff}
			binary.BigEndian.PutUint16(b[2:], uint16(n*n))
			if _, err := c.Write(append([]byte{'$', 0, 0, byte(len(b))}, b...)); err != nil || ctx.Err() != nil {
				return err
			}
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	})
}
