package origin

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

const (
	ms        = time.Millisecond
	edgeAge   = "public, max-age=1"
	partsLong = 480 * ms // what a part of 25 pictures a second lasts
)

// low makes the rig's app one with low latency, and publishes d of a stream.
func (r *rig) low(stream string, d time.Duration) *encoder {
	r.t.Helper()
	r.reg.Reconfigure(map[string]segmenter.AppOptions{"live": {Window: 24 * time.Second, LowLatency: true}})
	e := r.publish(stream)
	e.run(d)
	return e
}

// edges runs a test over the low-latency playlist of a transport stream, and over that of a track, by every way that a request can come in.
func edges(t *testing.T, opts Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	engines(t, opts, test)
	over(t, opts, func(t *testing.T, r *rig) {
		r.tracks = true
		t.Run("tracks", func(t *testing.T) { test(t, r) })
	}, pollers, http2)
}

// edges1 does the same by one way.
func edges1(t *testing.T, opts Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	for _, name := range []string{"transport stream", "tracks"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, opts)
			r.tracks = name == "tracks"
			r.serve()
			test(t, r)
		})
	}
}

// edge is the path of a stream's low-latency playlist.
func (r *rig) edge(stream string) string {
	dir := strings.TrimSuffix(r.live(stream), "live.m3u8")
	if r.tracks {
		return dir + "v/live.m3u8"
	}
	return dir + "ll.m3u8"
}

// partPath is that of a part.
func (r *rig) partPath(stream string, sequence uint64, index int) string {
	edge := r.edge(stream)
	return edge[:strings.LastIndexByte(edge, '/')+1] + r.partFile(sequence, index)
}

// partFile and segmentFile are how the playlist names a part and a segment.
func (r *rig) partFile(sequence uint64, index int) string {
	if r.tracks {
		return segmenter.FragmentPartFile(sequence, index)
	}
	return segmenter.PartFile(sequence, index)
}

func (r *rig) segmentFile(sequence uint64) string {
	if r.tracks {
		return segmenter.FragmentFile(sequence)
	}
	return segmenter.SegmentFile(sequence)
}

// later is an answer that is waited for.
type later struct{ got chan reply }

// ask sends a request and does not wait for the answer, but until it is held or answered.
func (r *rig) ask(path string) later {
	r.t.Helper()
	l := later{make(chan reply, 1)}
	before := r.origin.Stats().HeldTotal.Load()
	go func() {
		c := r.dial(r.t)
		defer c.Close()
		if r.mode == http2 {
			l.got <- r.get(path)
			return
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			r.t.Error(err)
			res = &http.Response{Header: http.Header{}}
			l.got <- reply{res, nil}
			return
		}
		body, _ := io.ReadAll(res.Body)
		l.got <- reply{res, body}
	}()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(ms) {
		if r.origin.Stats().HeldTotal.Load() > before || len(l.got) > 0 {
			return l
		}
	}
	r.t.Fatalf("%s is neither held nor answered", path)
	return l
}

// waits holds that there is no answer yet.
func (l later) waits(t *testing.T) {
	t.Helper()
	select {
	case a := <-l.got:
		t.Fatalf("answered with %d: %.200s", a.StatusCode, a.body)
	default:
	}
}

func (l later) answer(t *testing.T) reply {
	t.Helper()
	select {
	case a := <-l.got:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		return reply{}
	}
}

// newest is the number that is being written, and how many parts it has.
func (r *rig) newest(stream string) (uint64, int) {
	s := r.snapshot(stream)
	return s.Next(), s.Count(s.Next())
}

func TestLowLatencyPlaylistStandsBesideTheOrdinaryOne(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.low("cam", 21*time.Second)
		entry := r.get("/live/streams/cam_ll.m3u8")
		entry.want(t, 200, "Cache-Control", "public, max-age=2", "Content-Type", "application/vnd.apple.mpegurl")
		if !strings.Contains(string(entry.body), "cam/"+string(r.snapshot("cam").Recording)+"/ll.m3u8\n") {
			t.Errorf("%s", entry.body)
		}
		if plain := r.get("/live/streams/cam.m3u8"); strings.Contains(string(plain.body), "ll.m3u8") {
			t.Errorf("%s", plain.body)
		}
		a := r.get(r.edge("cam"))
		a.want(t, 200, "Cache-Control", edgeAge, "Content-Type", "application/vnd.apple.mpegurl")
		msn, n := r.newest("cam")
		for _, want := range []string{
			"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500\n", "#EXT-X-PART-INF:PART-TARGET=0.500\n",
			`#EXT-X-PART:DURATION=0.440,URI="` + segmenter.PartFile(msn, n-1) + "\"\n",
			`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="` + segmenter.PartFile(msn, n) + "\"\n",
		} {
			if !strings.Contains(string(a.body), want) {
				t.Errorf("no %q in\n%s", want, a.body)
			}
		}
		if plain := string(r.get(r.live("cam")).body); strings.Contains(plain, "PART") || strings.Contains(plain, "SERVER-CONTROL") {
			t.Errorf("the ordinary playlist:\n%s", plain)
		}
	})
}

func TestWithoutLowLatencyThereIsNone(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.publish("cam").run(21 * time.Second)
	r.get("/live/streams/cam_ll.m3u8").want(t, 404, "Cache-Control", "max-age=3")
	r.get(r.edge("cam")).want(t, 404, "Cache-Control", "max-age=60")
	r.get(r.edge("cam")+"?_HLS_msn=3").want(t, 404, "Cache-Control", "max-age=60")
	r.get(r.partPath("cam", 3, 0)).want(t, 404, "Cache-Control", "max-age=60")
}

// A request with _HLS_msn waits until the segment is complete, one with _HLS_part until the part is.
func TestBlockingReload(t *testing.T) {
	edges(t, Options{}, func(t *testing.T, r *rig) {
		e := r.low("cam", 21*time.Second)
		r.get(r.edge("cam"))
		msn, n := r.newest("cam")
		segment, part := r.ask(fmt.Sprintf("%s?_HLS_msn=%d", r.edge("cam"), msn)), r.ask(fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", r.edge("cam"), msn, n))
		segment.waits(t)
		part.waits(t)
		e.run(partsLong)
		a := part.answer(t)
		a.want(t, 200, "Cache-Control", edgeAge)
		if !strings.Contains(string(a.body), r.partFile(msn, n)+`"`) {
			t.Errorf("part %d of %d is not in\n%s", n, msn, a.body)
		}
		segment.waits(t)
		e.run(4 * time.Second)
		if a = segment.answer(t); !strings.Contains(string(a.body), "\n"+r.segmentFile(msn)+"\n") {
			t.Errorf("%d is not in\n%s", msn, a.body)
		}
		a.want(t, 200, "Cache-Control", edgeAge)
	})
}

// Whatever was asked for, the playlist is the newest that there is, and nobody keeps it for longer than a second: not what has just come, since
// video.js asks for the last part of a segment until it sees something new, and not what has been there for a while, which is old in a moment.
func TestReloadIsKeptForASecond(t *testing.T) {
	edges1(t, Options{}, func(t *testing.T, r *rig) {
		e := r.low("cam", 42*time.Second+40*ms) // a segment has just begun
		ask := func(query string) {
			t.Helper()
			a := r.get(r.edge("cam") + "?" + query)
			a.want(t, 200, "Cache-Control", edgeAge)
			if now := r.get(r.edge("cam")); !bytes.Equal(a.body, now.body) {
				t.Errorf("%s is answered by\n%s\nand this is newest:\n%s", query, a.body, now.body)
			}
		}
		msn, n := r.newest("cam")
		last := r.snapshot("cam").Count(msn - 1)
		if n != 0 {
			t.Fatalf("%d has %d parts", msn, n)
		}
		for _, query := range []string{"_HLS_msn=%d", "_HLS_msn=%d&_HLS_part=0", fmt.Sprintf("_HLS_msn=%%d&_HLS_part=%d", last-1)} {
			ask(fmt.Sprintf(query, msn-1))
		}
		e.run(partsLong)
		ask(fmt.Sprintf("_HLS_msn=%d&_HLS_part=0", msn))
		ask(fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", msn-1, last))
		e.run(2 * partsLong)
		if _, n = r.newest("cam"); n < 3 {
			t.Fatalf("%d has %d parts", msn, n)
		}
		for _, query := range []string{"_HLS_msn=0", "_HLS_msn=2&_HLS_part=3", "_HLS_msn=0&_HLS_part=999", "_HLS_part=1&_HLS_msn=5", fmt.Sprintf("_HLS_msn=%d", msn-1),
			fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", msn, n-2), fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", msn, n-1)} {
			ask(query)
		}
	})
}

func TestPartBehindTheLastIsTheFirstOfTheNext(t *testing.T) {
	edges1(t, Options{}, func(t *testing.T, r *rig) {
		e := r.low("cam", 22*time.Second+40*ms) // a segment has just begun
		msn, n := r.newest("cam")
		if n != 0 {
			t.Fatalf("%d has %d parts", msn, n)
		}
		last := r.snapshot("cam").Count(msn - 1)
		behind := r.ask(fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", r.edge("cam"), msn-1, last))
		behind.waits(t)
		e.run(partsLong)
		a := behind.answer(t)
		a.want(t, 200, "Cache-Control", edgeAge)
		if !strings.Contains(string(a.body), r.partFile(msn, 0)+`"`) {
			t.Errorf("%s", a.body)
		}
	})
}

// What is refused is refused at once, and not kept: the same request may be due next.
func TestRefusedReloads(t *testing.T) {
	edges(t, Options{}, func(t *testing.T, r *rig) {
		e := r.low("cam", 21*time.Second)
		msn, n := r.newest("cam")
		for name, query := range map[string]string{
			"_HLS_part without _HLS_msn":        "_HLS_part=0",
			"msn more than 2 ahead":             fmt.Sprintf("_HLS_msn=%d", msn+2),
			"msn far ahead":                     "_HLS_msn=2000000000",
			"part more than 3 seconds ahead":    fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", msn, n+6),
			"part ahead in the next":            fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", msn+1, 6),
			"msn not a number":                  "_HLS_msn=x",
			"msn below zero":                    "_HLS_msn=-1",
			"msn empty":                         "_HLS_msn=",
			"msn too large":                     "_HLS_msn=99999999999999999999",
			"part not a number":                 fmt.Sprintf("_HLS_msn=%d&_HLS_part=1.5", msn),
			"msn twice":                         fmt.Sprintf("_HLS_msn=%d&_HLS_msn=%d", msn, msn),
			"part twice":                        fmt.Sprintf("_HLS_msn=%d&_HLS_part=0&_HLS_part=0", msn),
			"skip twice":                        "_HLS_skip=YES&_HLS_skip=YES",
			"skip is something else":            "_HLS_skip=yes",
			"percent encoding is not looked at": "_HLS_msn=%31",
		} {
			a := r.get(r.edge("cam") + "?" + query)
			if a.want(t, 400, "Cache-Control", "no-store"); a.StatusCode != 400 {
				t.Errorf("%s", name)
			}
		}
		early := fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=0", r.edge("cam"), msn+2)
		r.get(early).want(t, 400, "Cache-Control", "no-store")
		for r.snapshot("cam").Count(msn+2) == 0 {
			e.run(40 * ms)
		}
		r.get(early).want(t, 200, "Cache-Control", edgeAge)
	})
}

// The farthest that may be asked for waits.
func TestFarthestReloadsWait(t *testing.T) {
	edges1(t, Options{}, func(t *testing.T, r *rig) {
		e := r.low("cam", 21*time.Second)
		msn, n := r.newest("cam")
		far := []later{
			r.ask(fmt.Sprintf("%s?_HLS_msn=%d", r.edge("cam"), msn+1)),
			r.ask(fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", r.edge("cam"), msn, n+5)),
			r.ask(fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", r.edge("cam"), msn+1, 5)),
		}
		for _, l := range far {
			l.waits(t)
		}
		e.run(9 * time.Second)
		for _, l := range far {
			l.answer(t).want(t, 200, "Cache-Control", edgeAge)
		}
	})
}

func TestUnknownDirectivesChangeNothing(t *testing.T) {
	edges1(t, Options{}, func(t *testing.T, r *rig) {
		r.low("cam", 21*time.Second)
		r.get(r.edge("cam")+"?_HLS_push=1&_HLS_new=2&session=4").want(t, 200, "Cache-Control", edgeAge)
		r.get(r.live("cam")+"?_HLS_msn=999").want(t, 200, "Cache-Control", "public, max-age=2, stale-if-error=4")
		if a := r.get(r.edge("cam") + "?_HLS_skip=YES"); strings.Contains(string(a.body), "SKIP") {
			t.Errorf("a delta update of a short window:\n%s", a.body)
		}
	})
}

// What does not come within the time of a hold is answered with 503, which no cache keeps.
func TestHeldReloadsAreAnsweredInTheEnd(t *testing.T) {
	edges(t, Options{MaxHold: 60 * ms}, func(t *testing.T, r *rig) {
		r.low("cam", 21*time.Second)
		msn, n := r.newest("cam")
		for _, path := range []string{fmt.Sprintf("%s?_HLS_msn=%d", r.edge("cam"), msn), r.partPath("cam", msn, n)} {
			r.get(r.edge("cam"))
			r.ask(path).answer(t).want(t, 503, "Cache-Control", "no-store", "Retry-After", "1")
		}
		if n := r.origin.Stats().Held.Load(); n != 0 {
			t.Errorf("%d requests are still held", n)
		}
	})
}

func TestDirectivesDoNothingAfterTheEnd(t *testing.T) {
	edges1(t, Options{}, func(t *testing.T, r *rig) {
		e := r.low("cam", 21*time.Second)
		msn, _ := r.newest("cam")
		waits := r.ask(fmt.Sprintf("%s?_HLS_msn=%d", r.edge("cam"), msn+1))
		e.end()
		waits.answer(t).want(t, 200, "Cache-Control", "public, max-age=60")
		a := r.get(r.edge("cam") + "?_HLS_msn=12345&_HLS_part=7")
		a.want(t, 200, "Cache-Control", "public, max-age=60")
		if body := string(a.body); !strings.HasSuffix(body, "#EXT-X-ENDLIST\n") || strings.Contains(body, "HINT") {
			t.Errorf("%s", body)
		}
	})
}

func TestHEADNeverWaits(t *testing.T) {
	edges1(t, Options{}, func(t *testing.T, r *rig) {
		r.low("cam", 21*time.Second)
		msn, n := r.newest("cam")
		r.do("HEAD", fmt.Sprintf("%s?_HLS_msn=%d", r.edge("cam"), msn)).want(t, 200)
		r.do("HEAD", r.partPath("cam", msn, n)).want(t, 404, "Cache-Control", "max-age=1")
		r.do("HEAD", r.partPath("cam", msn, n-1)).want(t, 200)
	})
}

// A part is served as a segment is, before its segment is there and after, with the same bytes.
func TestPartIsServedAsSegmentsAre(t *testing.T) {
	edges(t, Options{}, func(t *testing.T, r *rig) {
		e := r.low("cam", 21*time.Second)
		msn, n := r.newest("cam")
		path, typ, segment := r.partPath("cam", msn, n-1), "video/mp2t", r.segment("cam", msn)
		if r.tracks {
			typ, segment = "video/mp4", path[:strings.LastIndexByte(path, '/')+1]+segmenter.FragmentFile(msn)
		}
		before := r.get(path)
		before.want(t, 200, "Cache-Control", "public, max-age=31536000, immutable", "Content-Type", typ, "Accept-Ranges", "bytes")
		r.get(path, "Range", "bytes=0-187").want(t, 206, "Content-Length", "188")
		r.get(path, "If-None-Match", before.Header.Get("ETag")).want(t, 304)
		e.run(5 * time.Second)
		after := r.get(path)
		after.want(t, 200, "ETag", before.Header.Get("ETag"), "Last-Modified", before.Header.Get("Last-Modified"))
		if string(after.body) != string(before.body) {
			t.Error("the bytes are others")
		}
		var all []byte
		for i := range r.snapshot("cam").Count(msn) {
			all = append(all, r.get(r.partPath("cam", msn, i)).body...)
		}
		if string(all) != string(r.get(segment).body) {
			t.Error("the parts are not the segment")
		}
	})
}

// The part that is hinted at is waited for; where the hint proves wrong it is 404 for a second.
func TestHintedPartIsWaitedFor(t *testing.T) {
	edges(t, Options{}, func(t *testing.T, r *rig) {
		e := r.low("cam", 41*time.Second)
		msn, n := r.newest("cam")
		r.get(r.partPath("cam", msn, n+1)).want(t, 404, "Cache-Control", "max-age=1") // nobody hinted at it
		l := r.ask(r.partPath("cam", msn, n))
		l.waits(t)
		e.run(partsLong)
		l.answer(t).want(t, 200, "Cache-Control", "public, max-age=31536000, immutable")
		for _, n := r.newest("cam"); n < 8; _, n = r.newest("cam") {
			e.run(40 * ms)
		}
		_, n = r.newest("cam")
		for ; n < 20; n++ { // one of them is hinted at, and never comes: the segment ends before
			l = r.ask(r.partPath("cam", msn, n))
			e.run(partsLong)
			if r.snapshot("cam").Next() > msn {
				break
			}
			l.answer(t)
		}
		a := l.answer(t)
		if a.StatusCode == 200 { // it was the last, which is short: the next is the one
			a = r.get(r.partPath("cam", msn, n+1))
		}
		a.want(t, 404, "Cache-Control", "max-age=1")
		r.get(r.partPath("cam", 0, 0)).want(t, 404, "Cache-Control", "max-age=60") // long gone
	})
}

// A view of another time has no parts.
func TestShiftedLowLatencyIsOrdinary(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.low("cam", 41*time.Second)
	at := r.snapshot("cam").Rows[2].Start.UTC().Format(time.RFC3339Nano)
	for _, path := range []string{r.edge("cam"), "/live/streams/cam_ll.m3u8"} {
		a := r.get(path + "?start=" + at)
		a.want(t, 200)
		if strings.Contains(string(a.body), "PART") || strings.Contains(string(a.body), "ll.m3u8") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

// Who leaves while a request of his is held is forgotten.
func TestHeldRequestGoesWithItsViewer(t *testing.T) {
	r := newRigOver(t, Options{}, pollers)
	r.serve()
	r.low("cam", 21*time.Second)
	r.get(r.edge("cam"))
	msn, _ := r.newest("cam")
	c := r.dial(t)
	fmt.Fprintf(c, "GET %s?_HLS_msn=%d HTTP/1.1\r\nHost: x\r\n\r\n", r.edge("cam"), msn)
	eventually(t, func() bool { return r.origin.Stats().Held.Load() == 1 })
	c.(*net.TCPConn).Close()
	eventually(t, func() bool { return r.origin.Stats().Held.Load() == 0 && r.origin.Stats().Connections.Load() == 0 })
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(ms) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}
