package attack

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// publishRTMP publishes over a port, up to the server's permission, and ends properly.
func publishRTMP(p port, key string) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	say := func(stream uint32, v ...amf.Value) {
		_, _ = c.Write(chunk.Append(nil, 3, chunk.DefaultSize, chunk.Message{Type: chunk.TypeCommandAMF0, StreamID: stream, Payload: amf.Append(nil, v...)}))
	}
	_, _ = c.Write(append([]byte{3}, make([]byte, 2*1536)...))
	r := bufio.NewReader(c)
	if _, err := r.Discard(1 + 2*1536); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	say(0, amf.Text("connect"), amf.Num(1), amf.Obj(amf.Field{Name: "app", Value: amf.Text("live")}, amf.Field{Name: "tcUrl", Value: amf.Text("rtmp://" + p.address + "/live")}))
	say(0, amf.Text("createStream"), amf.Num(2), amf.Value{})
	say(1, amf.Text("publish"), amf.Num(3), amf.Value{}, amf.Text(key), amf.Text("live"))
	chunks := chunk.NewReader(r, nil, chunk.Limits{MessageSize: 64 << 10})
	for {
		m, err := chunks.Next()
		if err != nil {
			return fmt.Errorf("waiting for leave: %w", err)
		}
		if m.Type != chunk.TypeCommandAMF0 {
			continue
		}
		v, err := amf.DecodeAll(m.Payload, amf.Limits{})
		if err != nil || len(v) < 4 || v[0].Text != "onStatus" {
			continue
		}
		if code := v[3].Get("code").Text; code != "NetStream.Publish.Start" {
			return fmt.Errorf("%s: %s", code, v[3].Get("description").Text)
		}
		say(0, amf.Text("FCUnpublish"), amf.Num(4), amf.Value{}, amf.Text(key))
		return nil
	}
}

// publishRTSP records over a port, up to the server's permission, and tears down.
func publishRTSP(p port, key string) error {
	return withRTSP(p, "newer", key, func(_ net.Conn, ask func(method string) error) error { return ask("TEARDOWN") })
}

// withRTSP records a stream over a port and calls then, which may request more.
func withRTSP(p port, stream, key string, then func(c net.Conn, ask func(method string) error) error) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	r := textproto.NewReader(bufio.NewReader(c))
	session, query := "", ""
	if key != "" {
		query = "?key=" + key
	}
	url := "rtsp://" + p.address + "/live/" + stream
	ask := func(method, url, headers, body string) error {
		if session != "" {
			headers += "Session: " + session + "\r\n"
		}
		_, _ = fmt.Fprintf(c, "%s %s RTSP/1.0\r\nCSeq: 1\r\n%sContent-Length: %d\r\n\r\n%s", method, url+query, headers, len(body), body)
		line, err := r.ReadLine()
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		h, err := r.ReadMIMEHeader()
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		n, _ := strconv.Atoi(h.Get("Content-Length"))
		if _, err := r.R.Discard(n); err != nil {
			return err
		}
		session, _, _ = strings.Cut(h.Get("Session"), ";")
		if !strings.Contains(line, " 200 ") {
			return fmt.Errorf("%s: %s", method, line)
		}
		return nil
	}
	const sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 0 RTP/AVP 97\r\na=control:trackID=0\r\n" +
		"a=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190\r\n"
	if err := ask("ANNOUNCE", url, "Content-Type: application/sdp\r\n", sdp); err != nil {
		return err
	}
	if err := ask("SETUP", url+"/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\r\n", ""); err != nil {
		return err
	}
	if err := ask("RECORD", url, "", ""); err != nil {
		return err
	}
	return then(c, func(method string) error { return ask(method, url, "", "") })
}

// view acts like a new viewer: the entry, the playlist, the newest segment.
func view(base string, trust *tls.Config) error {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: trust}
	client := &http.Client{Transport: transport, Timeout: patience}
	get := func(url string) ([]byte, error) {
		res, err := client.Get(url)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		b := make([]byte, 0, max(res.ContentLength, 0))
		for buf := make([]byte, 32<<10); ; {
			n, err := res.Body.Read(buf)
			b = append(b, buf[:n]...)
			if err != nil {
				break
			}
		}
		if res.StatusCode != http.StatusOK || int64(len(b)) != res.ContentLength {
			return nil, fmt.Errorf("%s: %s, %d bytes of %d", url, res.Status, len(b), res.ContentLength)
		}
		return b, nil
	}
	entry := base + "/live/streams/show.m3u8"
	b, err := get(entry)
	if err != nil {
		return err
	}
	master, err := m3u8.ParseMaster(b)
	if err != nil {
		return err
	}
	media := rig.Resolve(entry, master.Variants[0].URI)
	if b, err = get(media); err != nil {
		return err
	}
	list, err := m3u8.ParseMedia(b)
	if err != nil {
		return err
	}
	if len(list.Segments) == 0 {
		return fmt.Errorf("%s is empty", media)
	}
	_, err = get(rig.Resolve(media, list.Segments[len(list.Segments)-1].URI))
	return err
}

// healthy requests the health of a listener.
func healthy(address string) error {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.Contains(line, " 200 ") {
		err = fmt.Errorf("healthz: %s", strings.TrimSpace(line))
	}
	return err
}
