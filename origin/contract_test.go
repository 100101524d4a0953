package origin

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// The rows of the header table. Segments last 4 s here, so the target duration is 4 and half of it is 2.

func TestRowStableEntry(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(21 * time.Second)
		for _, path := range []string{"/live/streams/cam.m3u8", "/live/streams/cam_adaptive.m3u8"} {
			for range 2 { // the first answer fills a slot, the second comes from it
				a := r.get(path)
				a.want(t, 200, "Cache-Control", "public, max-age=2", "Content-Type", "application/vnd.apple.mpegurl",
					"Vary", "Accept-Encoding", "Accept-Ranges", "bytes")
				if !bytes.Equal(a.body, r.snapshot("cam").Entry.Body) {
					t.Errorf("body %q", a.body)
				}
				r.get(path, "If-None-Match", a.Header.Get("ETag")).want(t, 304, "Cache-Control", "public, max-age=2",
					"ETag", a.Header.Get("ETag"), "Vary", "Accept-Encoding")
			}
		}
		e.leave() // stalled: the same
		r.get("/live/streams/cam.m3u8").want(t, 200, "Cache-Control", "public, max-age=2")
		r.advance(time.Minute) // ended: still the same, so that a restarted show is not hidden
		r.get("/live/streams/cam.m3u8").want(t, 200, "Cache-Control", "public, max-age=2")
	})
}

func TestRowLiveMediaPlaylist(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		s := r.snapshot("cam")
		a := r.get(r.live("cam"))
		a.want(t, 200, "Cache-Control", "public, max-age=2, stale-if-error=4", "Content-Type", "application/vnd.apple.mpegurl",
			"X-HLS-Last-Sequence", fmt.Sprint(s.Next()-1), "X-HLS-Last-Updated", fmt.Sprint(s.Modified.UnixMilli()),
			"Last-Modified", httpDate(s.Live.Modified))
		if !bytes.Equal(a.body, s.Live.Body) {
			t.Errorf("body %q", a.body)
		}
		r.get(r.live("cam"), "If-None-Match", a.Header.Get("ETag")).want(t, 304,
			"Cache-Control", "public, max-age=2, stale-if-error=4", "ETag", s.Live.ETag, "Vary", "Accept-Encoding")
	})
}

func TestLivePlaylistFollowsTheTimeline(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(9 * time.Second)
		for range 5 {
			a := r.get(r.live("cam"))
			if s := r.snapshot("cam"); !bytes.Equal(a.body, s.Live.Body) || a.Header.Get("X-HLS-Last-Sequence") != fmt.Sprint(s.Next()-1) {
				t.Fatalf("an old playlist: %q", a.body)
			}
			e.run(4 * time.Second)
		}
	})
}

func TestRowEndedPlaylistUnderRecording(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(21 * time.Second)
		e.end()
		a := r.get(r.live("cam"))
		a.want(t, 200, "Cache-Control", "public, max-age=60")
		if !strings.Contains(string(a.body), "#EXT-X-ENDLIST") {
			t.Errorf("no ENDLIST: %s", a.body)
		}
		r.get(r.live("cam"), "If-None-Match", "*").want(t, 304, "Cache-Control", "public, max-age=60")
	})
}

func TestRowTimestampedPlaylist(t *testing.T) {
	settled := false
	opts := Options{Settled: func(app, stream string, id segmenter.RecordingID) bool { return settled }}
	engines(t, opts, func(t *testing.T, r *rig) {
		settled = false
		e := r.publish("cam")
		e.run(21 * time.Second)
		r.get(r.timestamped("cam")).want(t, 200, "Cache-Control", "public, max-age=2")
		e.end()
		r.get(r.timestamped("cam")).want(t, 200, "Cache-Control", "public, max-age=2")
		settled = true
		a := r.get(r.timestamped("cam"))
		a.want(t, 200, "Cache-Control", "public, max-age=3600", "Content-Type", "application/vnd.apple.mpegurl", "X-HLS-Last-Sequence", "-")
		r.get(r.timestamped("cam"), "If-None-Match", a.Header.Get("ETag")).want(t, 304, "Cache-Control", "public, max-age=3600")
	})
}

func TestRowSegment(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		path := r.segment("cam", 2)
		seg := r.snapshot("cam").Segment(2)
		want := bytes.Join(seg.Slices(nil), nil)
		check := func(shelf string) {
			t.Helper()
			a := r.get(path, "Accept-Encoding", "gzip")
			a.want(t, 200, "Cache-Control", "public, max-age=31536000, immutable", "Content-Type", "video/mp2t",
				"Content-Encoding", "-", "Vary", "-", "Content-Length", fmt.Sprint(len(want)))
			if !bytes.Equal(a.body, want) {
				t.Errorf("%s: %d bytes differ from %d", shelf, len(a.body), len(want))
			}
			tag := a.Header.Get("ETag")
			r.get(path, "If-None-Match", tag).want(t, 304, "Cache-Control", "public, max-age=31536000, immutable", "ETag", tag)
			part := r.get(path, "Range", "bytes=70000-140000", "If-Range", tag)
			part.want(t, 206, "Cache-Control", "public, max-age=31536000, immutable", "Content-Length", "70001",
				"Content-Range", fmt.Sprintf("bytes 70000-140000/%d", len(want)), "ETag", tag)
			if !bytes.Equal(part.body, want[70000:140001]) {
				t.Errorf("%s: the part differs", shelf)
			}
			h := r.do("HEAD", path)
			h.want(t, 200, "Content-Length", fmt.Sprint(len(want)), "ETag", tag)
		}
		check("memory")
		before := r.origin.Stats().FromMemory.Load()
		if before == 0 {
			t.Error("nothing came from memory")
		}
		r.archive.put(t, path, want)
		r.forgetful.Store(true)
		check("archive")
		if got := r.origin.Stats().FromMemory.Load(); got != before {
			t.Error("the archive was not used")
		}
	})
}

func TestSegmentKeepsItsValidatorOnEveryShelf(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		path := r.segment("cam", 1)
		a := r.get(path)
		r.archive.put(t, path, a.body)
		r.forgetful.Store(true)
		if b := r.get(path); b.Header.Get("ETag") != a.Header.Get("ETag") {
			t.Errorf("ETag %s from memory, %s from the archive", a.Header.Get("ETag"), b.Header.Get("ETag"))
		}
	})
}

func TestRow404NextSegment(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(21 * time.Second)
		next := r.segment("cam", r.snapshot("cam").Next())
		r.get(next).want(t, 404, "Cache-Control", "max-age=1")
		e.end()
		next = r.segment("cam", r.snapshot("cam").Next())
		r.get(next).want(t, 404, "Cache-Control", "max-age=60")
	})
}

func TestRow404StableEntry(t *testing.T) {
	engines(t, Options{TargetDuration: time.Millisecond}, func(t *testing.T, r *rig) {
		r.get("/live/streams/unknown.m3u8").want(t, 404, "Cache-Control", "max-age=3")
		r.get("/other/streams/unknown_adaptive.m3u8").want(t, 404, "Cache-Control", "max-age=3")
		e := r.publish("cam")
		e.run(time.Second) // not yet started: held for 3 ms, then given up
		r.get("/live/streams/cam.m3u8").want(t, 404, "Cache-Control", "max-age=3")
		e.run(20 * time.Second)
		r.get("/live/streams/cam.m3u8").want(t, 200)
		e.end()
		r.advance(time.Hour)
		r.get("/live/streams/cam.m3u8").want(t, 404, "Cache-Control", "max-age=3")
	})
}

func TestRow404ExpiredSegmentOrRemovedRecording(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(6 * time.Minute)
		s := r.snapshot("cam")
		if s.Segment(0) != nil && s.Segment(0).Retain() {
			t.Fatal("the first segment is still in memory")
		}
		r.get(r.segment("cam", 0)).want(t, 404, "Cache-Control", "max-age=60")
		for _, path := range []string{
			"/live/streams/cam/2020-01-01_00-00-00.000/000000001.ts",
			"/live/streams/cam/2020-01-01_00-00-00.000/live.m3u8",
			"/live/streams/cam-2020-01-01_00-00-00.000.m3u8",
		} {
			r.get(path).want(t, 404, "Cache-Control", "max-age=60")
		}
	})
}

func TestRowNoStore(t *testing.T) {
	opts := Options{Secret: Secret{Header: "x-cdn", Values: []string{"new", "old"}}}
	engines(t, opts, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		path := r.segment("cam", 1)
		r.get(path).want(t, 403, "Cache-Control", "no-store")
		r.get(path, "X-CDN", "wrong").want(t, 403, "Cache-Control", "no-store")
		r.get(path, "X-CDN", "old", "X-CDN", "old").want(t, 403)
		r.get(path, "X-CDN", "").want(t, 403)
		r.get(path, "X-CDN", "old").want(t, 200)
		r.get(path, "X-CDN", "new").want(t, 200)
		r.get("/healthz").want(t, 200, "Cache-Control", "no-store")
		for _, m := range []string{"POST", "PUT", "DELETE", "PATCH", "PROPFIND"} {
			r.do(m, path, "X-CDN", "new").want(t, 405, "Cache-Control", "no-store", "Allow", "GET, HEAD, OPTIONS")
		}
		size := len(r.get(path, "X-CDN", "new").body)
		r.get(path, "X-CDN", "new", "Range", fmt.Sprintf("bytes=%d-", size)).want(t, 416, "Cache-Control", "no-store",
			"Content-Range", fmt.Sprintf("bytes */%d", size))
		r.get(path, "X-CDN", "new", "If-Match", `"other"`).want(t, 412, "Cache-Control", "no-store")
	})
}

func TestSecretWithoutValuesAdmitsNobody(t *testing.T) {
	r := newRig(t, Options{Secret: Secret{Header: "X-CDN", Values: []string{""}}})
	r.serve()
	r.get("/live/streams/cam.m3u8", "X-CDN", "").want(t, 403)
}

func TestRow503OnOverload(t *testing.T) {
	engines(t, Options{MaxArchiveReads: 1}, func(t *testing.T, r *rig) {
		const path = "/live/streams/cam/2020-01-01_00-00-00.000/000000001.ts"
		r.archive.put(t, path, []byte("bytes"))
		r.origin.gate.enter("another") // somebody is opening it
		r.get(path).want(t, 503, "Cache-Control", "no-store", "Retry-After", "1")
		if r.origin.Stats().Overloads.Load() != 1 {
			t.Error("not counted")
		}
		r.origin.gate.leave("another")
		for _, c := range []struct {
			method, field, value string
			status               int
		}{{"GET", "X", "x", 200}, {"HEAD", "X", "x", 200}, {"GET", "If-None-Match", "*", 304}, {"GET", "Range", "bytes=9-", 416}} {
			r.do(c.method, path, c.field, c.value).want(t, c.status)
			await(t, "the gate to be free", func() bool { return r.origin.gate.enter("another") })
			r.origin.gate.leave("another")
		}
		broken := errors.New("bucket is away")
		r.archive.fail.Store(&broken)
		r.get(path).want(t, 503, "Cache-Control", "no-store", "Retry-After", "1")
		if r.origin.Stats().ArchiveErrs.Load() != 1 {
			t.Error("the failure is not counted")
		}
	})
}

func TestArchivedPlaylists(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		growing := r.snapshot("cam").Archive().Body
		ended := append(bytes.Clone(growing), "#EXT-X-ENDLIST\n"...)
		const dir = "/live/streams/old/2020-01-01_00-00-00.000/live.m3u8"
		const stamped = "/live/streams/old-2020-01-01_00-00-00.000.m3u8"
		r.archive.put(t, dir, ended)
		r.archive.put(t, stamped, growing)
		r.get(dir).want(t, 200, "Cache-Control", "public, max-age=60", "Content-Type", "application/vnd.apple.mpegurl")
		a := r.get(stamped)
		a.want(t, 200, "Cache-Control", "public, max-age=2", "Vary", "Accept-Encoding")
		if !bytes.Equal(a.body, growing) {
			t.Errorf("body %q", a.body)
		}
		r.get(stamped, "If-None-Match", a.Header.Get("ETag")).want(t, 304)
		r.archive.put(t, "/live/streams/fin-2020-01-01_00-00-00.000.m3u8", ended)
		r.get("/live/streams/fin-2020-01-01_00-00-00.000.m3u8").want(t, 200, "Cache-Control", "public, max-age=3600")
	})
}

func TestArchivedPlaylistStoredCompressed(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-ENDLIST\n")
	z.Close()
	r.archive.gzip = true
	r.archive.put(t, "/live/streams/a-2020-01-01_00-00-00.000.m3u8", b.Bytes())
	if a := r.get("/live/streams/a-2020-01-01_00-00-00.000.m3u8"); !bytes.HasPrefix(a.body, []byte("#EXTM3U\n")) {
		t.Errorf("body %q", a.body)
	}
	r.archive.put(t, "/live/streams/b-2020-01-01_00-00-00.000.m3u8", []byte("not gzip"))
	r.get("/live/streams/b-2020-01-01_00-00-00.000.m3u8").want(t, 503)
}

func TestPlaylistFromArchiveIsBounded(t *testing.T) {
	r := newRig(t, Options{MaxPlaylist: 100})
	r.serve()
	r.archive.put(t, "/live/streams/a-2020-01-01_00-00-00.000.m3u8", make([]byte, 101))
	r.get("/live/streams/a-2020-01-01_00-00-00.000.m3u8").want(t, 503)
	r.archive.put(t, "/live/streams/b-2020-01-01_00-00-00.000.m3u8", make([]byte, 100))
	r.get("/live/streams/b-2020-01-01_00-00-00.000.m3u8").want(t, 200)
}

func TestPathsThatNameNothing(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		for _, path := range []string{
			"/", "//", "/live", "/live/streams", "/live/streams/", "/live//streams/cam.m3u8", "/live/streams/../streams/cam.m3u8",
			"/live/streams/cam.m3u8/", "/favicon.ico", "/healthz/", "/live/./streams/cam.m3u8", "//live/streams/cam.m3u8",
			"/live/streams/cam.M3U8", "/live/streams/cam.m3u8%00", "/live/streams/..%2fcam.m3u8",
			"/live/streams/c%61m.m3u8", "/%6cive/streams/cam.m3u8", "/%68ealthz", // one object has only one spelling
		} {
			a := r.get(path)
			a.want(t, 404, "Location", "-", "Cache-Control", "max-age=60")
		}
		r.get("/live/streams/cam.m3u8?any=thing&_HLS_msn=7").want(t, 200)
	})
}

func TestHeadHasTheFieldsOfGet(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		for _, path := range []string{
			"/live/streams/cam.m3u8", r.live("cam"), r.timestamped("cam"), r.segment("cam", 1), r.segment("cam", 99), "/healthz", "/nothing",
		} {
			g, h := r.get(path), r.do("HEAD", path)
			if len(h.body) > 0 {
				t.Errorf("%s: HEAD has a body", path)
			}
			g.Header.Del("Date")
			h.Header.Del("Date")
			if fmt.Sprint(g.StatusCode, g.Header) != fmt.Sprint(h.StatusCode, h.Header) {
				t.Errorf("%s:\nGET  %d %v\nHEAD %d %v", path, g.StatusCode, g.Header, h.StatusCode, h.Header)
			}
		}
	})
}

func TestGzip(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		path := r.live("cam")
		plain, packed := r.get(path), r.get(path, "Accept-Encoding", "br;q=1, gzip;q=0.8, *;q=0.1")
		packed.want(t, 200, "Content-Encoding", "gzip", "Vary", "Accept-Encoding", "Content-Length", fmt.Sprint(len(packed.body)))
		z, err := gzip.NewReader(bytes.NewReader(packed.body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, plain.body) {
			t.Errorf("unpacked: %v %q", err, got)
		}
		if plain.Header.Get("ETag") == packed.Header.Get("ETag") {
			t.Error("one ETag for two encodings")
		}
		r.get(path, "Accept-Encoding", "gzip", "If-None-Match", packed.Header.Get("ETag")).want(t, 304, "ETag", packed.Header.Get("ETag"))
		r.get(path, "Accept-Encoding", "gzip", "If-None-Match", plain.Header.Get("ETag")).want(t, 200)
		r.get(path, "Accept-Encoding", "identity;q=0").want(t, 200, "Content-Encoding", "-")
		r.get(path, "Accept-Encoding", "gzip, identity;q=0").want(t, 200, "Content-Encoding", "gzip")
	})
}

func TestRangeOnPlaylist(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		path := r.live("cam")
		whole := r.get(path)
		part := r.get(path, "Range", "bytes=0-6")
		part.want(t, 206, "Content-Range", fmt.Sprintf("bytes 0-6/%d", len(whole.body)), "Content-Length", "7")
		if string(part.body) != "#EXTM3U" {
			t.Errorf("part %q", part.body)
		}
		r.get(path, "Range", "bytes=0-1,3-4").want(t, 200)
		r.get(path, "Range", "bytes=0-1", "If-Range", `"other"`).want(t, 200)
		r.get(path, "Range", "bytes=0-1", "If-Range", whole.Header.Get("ETag")).want(t, 206)
		// A playlist may change twice in a second: its date is not a strong validator.
		r.get(path, "Range", "bytes=0-1", "If-Range", whole.Header.Get("Last-Modified")).want(t, 200)
		r.do("HEAD", path, "Range", "bytes=0-1").want(t, 200)
	})
}

func TestConditionsByDate(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		path := r.segment("cam", 1)
		date := r.get(path).Header.Get("Last-Modified")
		when, err := time.Parse(time.RFC1123, date)
		if err != nil {
			t.Fatal(err)
		}
		r.get(path, "If-Modified-Since", date).want(t, 304)
		r.get(path, "If-Modified-Since", httpDate(when.Add(-time.Second))).want(t, 200)
		r.get(path, "If-Modified-Since", "yesterday").want(t, 200)
		r.get(path, "If-Modified-Since", date, "If-None-Match", `"other"`).want(t, 200) // the tag takes precedence
		r.get(path, "If-Unmodified-Since", httpDate(when.Add(-time.Second))).want(t, 412)
		r.get(path, "Range", "bytes=0-9", "If-Range", date).want(t, 206)
		r.get(path, "Range", "bytes=0-9", "If-Range", httpDate(when.Add(time.Second))).want(t, 200)
	})
}

func TestCORSWithoutConditions(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		for _, path := range []string{"/live/streams/cam.m3u8", r.segment("cam", 1), "/nothing", "/live/streams/x.m3u8"} {
			for _, fields := range [][]string{nil, {"Origin", "https://player.example"}} {
				a := r.get(path, fields...)
				a.want(t, a.StatusCode, "Access-Control-Allow-Origin", "*", "Timing-Allow-Origin", "*",
					"Access-Control-Expose-Headers", "Content-Length, Content-Range, Date, Age, ETag",
					"Access-Control-Allow-Credentials", "-")
				if strings.Contains(a.Header.Get("Vary"), "Origin") {
					t.Error("varies by origin for nothing")
				}
			}
		}
		r.do("OPTIONS", "/live/streams/cam.m3u8", "Origin", "https://player.example", "Access-Control-Request-Method", "GET").want(t, 204,
			"Access-Control-Allow-Origin", "*", "Access-Control-Max-Age", "86400", "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	})
}

func TestCORSWithAllowList(t *testing.T) {
	engines(t, Options{CORSOrigins: []string{"https://player.example/"}}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		for path, vary := range map[string]string{
			"/live/streams/cam.m3u8": "Accept-Encoding, Origin", r.segment("cam", 1): "Origin", "/nothing": "Origin",
		} {
			for _, f := range []struct{ origin, allowed string }{
				{"https://player.example", "https://player.example"}, {"https://evil.example", "-"}, {"", "-"}, {"null", "-"},
			} {
				var fields []string
				if f.origin != "" {
					fields = []string{"Origin", f.origin}
				}
				a := r.get(path, fields...)
				a.want(t, a.StatusCode, "Access-Control-Allow-Origin", f.allowed, "Timing-Allow-Origin", f.allowed, "Vary", vary)
			}
		}
		r.get(r.segment("cam", 1), "If-None-Match", "*").want(t, 304, "Vary", "Origin")
		r.do("OPTIONS", "/x", "Origin", "https://player.example").want(t, 204, "Access-Control-Allow-Origin", "https://player.example", "Vary", "Origin")
		r.do("OPTIONS", "/x", "Origin", "https://evil.example").want(t, 204, "Access-Control-Allow-Origin", "-", "Access-Control-Allow-Methods", "-")
	})
}

func TestLimitURL(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.get("/"+strings.Repeat("a", 8191)).want(t, 404)
		r.get("/"+strings.Repeat("a", 8192)).want(t, 414, "Cache-Control", "no-store")
		r.get("/x?"+strings.Repeat("a", 20000)).want(t, 414, "Cache-Control", "no-store")
	})
}
