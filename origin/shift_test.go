package origin

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// media parses an answer as a media playlist.
func (a reply) media(t testing.TB) *m3u8.Media {
	t.Helper()
	m, err := m3u8.ParseMedia(a.body)
	if err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return m
}

// span returns "first-last" of the sequences in a playlist, and its type.
func (a reply) span(t testing.TB) string {
	t.Helper()
	m := a.media(t)
	s := fmt.Sprintf("%d-%d", m.MediaSequence, m.MediaSequence+uint64(len(m.Segments))-1)
	switch {
	case m.Type == m3u8.VOD && m.EndList:
		return s + " vod"
	case m.Type == m3u8.Event && !m.EndList:
		return s + " event"
	case m.Type == m3u8.Sliding && !m.EndList:
		return s + " sliding"
	case m.Type == m3u8.Sliding:
		return s + " ended"
	}
	return s + " strange"
}

func at(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func TestShiftStartAndEnd(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(61 * time.Second)
		s := r.snapshot("cam")
		begin, end := s.Rows[0].Start, s.Rows[len(s.Rows)-1].End()
		last := s.Next() - 1
		path := r.live("cam")
		for _, c := range []struct {
			query string
			span  string // or a status
			age   string
		}{
			{"start=" + at(begin.Add(9*time.Second)) + "&end=" + at(begin.Add(17*time.Second)), "2-4 vod", "public, max-age=3600"},
			{"start=" + at(s.Rows[2].Start) + "&end=" + at(s.Rows[4].Start), "2-3 vod", "public, max-age=3600"}, // whole segments
			{"start=" + at(s.Rows[2].Start.Add(time.Second)) + "&end=" + at(s.Rows[2].Start.Add(2*time.Second)), "2-2 vod", "public, max-age=3600"},
			{"start=" + at(begin) + "&end=" + at(end), fmt.Sprintf("0-%d vod", last), "public, max-age=3600"},
			{"start=" + at(begin.Add(9*time.Second)), fmt.Sprintf("2-%d event", last), "public, max-age=2"},
			{"start=" + fmt.Sprint(begin.Add(10*time.Second).Unix()), fmt.Sprintf("2-%d event", last), "public, max-age=2"},
			{"start=" + at(begin.Add(9*time.Second)) + "&end=" + at(time.Now().Add(time.Hour)), fmt.Sprintf("2-%d event", last), "public, max-age=2"},
			{"start=" + at(begin.Add(9*time.Second)) + "&end=" + at(end.Add(time.Second)), fmt.Sprintf("2-%d event", last), "public, max-age=2"},
			{"end=" + at(begin.Add(9*time.Second)), fmt.Sprintf("%d-%d sliding", s.Rows[s.First].Sequence, last), "public, max-age=2, stale-if-error=4"},
			{"start=" + at(begin.Add(-time.Second)), "404", "max-age=1"},
			{"start=" + at(end), "404", "max-age=1"},
			{"start=" + at(time.Now().Add(time.Hour)), "404", "max-age=1"},
			{"start=yesterday", "400", "no-store"},
			{"start=", "400", "no-store"},
			{"start=-5", "400", "no-store"},
			{"start=99999999999999", "400", "no-store"},
			{"start=" + at(begin) + "&start=" + at(begin), "400", "no-store"},
			{"start=" + at(end) + "&end=" + at(begin), "400", "no-store"},
			{"start=" + at(begin) + "&end=" + at(begin), "400", "no-store"},
			{"start=" + at(begin) + "&end=%zz", "400", "no-store"},
			{"start=" + at(begin) + "&time_delay=5", "400", "no-store"},
			{"time_delay=-1", "400", "no-store"},
			{"time_delay=1.5", "400", "no-store"},
			{"time_delay=99999999", "400", "no-store"},
			{"Expires=1&Policy=start&Signature=x&Key-Pair-Id=y&Start=no&starts=no", fmt.Sprintf("%d-%d sliding", s.Rows[s.First].Sequence, last), "public, max-age=2, stale-if-error=4"},
		} {
			a := r.get(path + "?" + c.query)
			switch c.span {
			case "400", "404":
				if fmt.Sprint(a.StatusCode) != c.span {
					t.Errorf("%s: %d %s", c.query, a.StatusCode, a.body)
				}
			default:
				if a.StatusCode != 200 || a.span(t) != c.span {
					t.Errorf("%s: %d %s, want %s", c.query, a.StatusCode, a.body, c.span)
				}
			}
			if got := a.Header.Get("Cache-Control"); got != c.age {
				t.Errorf("%s: Cache-Control %q, want %q", c.query, got, c.age)
			}
		}
		m := r.get(path + "?start=" + at(begin.Add(9*time.Second))).media(t)
		if m.Segments[0].URI != "000000002.ts" || !m.Segments[0].ProgramDateTime.Equal(s.Rows[2].Start) || m.TargetDuration != s.TargetDuration {
			t.Errorf("playlist %+v", m)
		}
		m = r.get(r.timestamped("cam") + "?start=" + at(begin.Add(9*time.Second))).media(t)
		if want := "cam/" + string(s.Recording) + "/000000002.ts"; m.Segments[0].URI != want {
			t.Errorf("URI %s, want %s", m.Segments[0].URI, want)
		}

		e.run(8 * time.Second) // it goes on growing, after what was there
		grown := r.get(path + "?start=" + at(begin.Add(9*time.Second)))
		if got, want := grown.span(t), fmt.Sprintf("2-%d event", last+2); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		e.end()
		a := r.get(path + "?start=" + at(begin.Add(9*time.Second)))
		if got := a.span(t); !strings.HasSuffix(got, " vod") {
			t.Errorf("after the end: %s", got)
		}
		a.want(t, 200, "Cache-Control", "public, max-age=3600")
	})
}

func TestShiftViewsThatSnapAlikeShareAPage(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.publish("cam").run(61 * time.Second)
	begin := r.snapshot("cam").Rows[0].Start
	path := r.live("cam") + "?end=" + at(begin.Add(30*time.Second)) + "&start="
	one := r.get(path + at(begin.Add(9*time.Second)))
	two := r.get(path+at(begin.Add(8*time.Second)), "If-None-Match", one.Header.Get("ETag"))
	two.want(t, 304, "Cache-Control", "public, max-age=3600")
	if n := r.origin.pages.order.Len(); n != 1 {
		t.Errorf("%d pages", n)
	}
}

func TestShiftTimeDelay(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(121 * time.Second)
		s := r.snapshot("cam")
		delay := func(instant time.Time) string {
			return fmt.Sprintf("?time_delay=%d", int(time.Since(instant).Seconds()+0.5))
		}
		mid := func(i int) time.Time { return s.Rows[i].Start.Add(2 * time.Second) }
		rows := len(s.Rows) - s.First

		a := r.get(r.live("cam") + delay(mid(20)))
		a.want(t, 200, "Cache-Control", "public, max-age=2")
		if got, want := a.span(t), fmt.Sprintf("%d-19 sliding", 20-rows); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := r.get(r.live("cam") + delay(mid(2))).span(t); got != "0-1 sliding" {
			t.Errorf("near the beginning: %s", got)
		}
		r.get(r.live("cam")+delay(s.Rows[0].Start)).want(t, 404, "Cache-Control", "max-age=1")
		if got := r.get(r.live("cam") + "?time_delay=0").span(t); got != fmt.Sprintf("%d-%d sliding", s.First, len(s.Rows)-1) {
			t.Errorf("no delay: %s", got)
		}
		entry := r.get("/live/streams/cam.m3u8" + delay(mid(20)))
		entry.want(t, 200, "Cache-Control", "public, max-age=2")
		if !strings.Contains(string(entry.body), "\ncam/"+string(s.Recording)+"/live.m3u8?time_delay=") {
			t.Errorf("entry %s", entry.body)
		}
		e.end()
		if got := r.get(r.live("cam") + "?time_delay=60").span(t); !strings.HasSuffix(got, " ended") {
			t.Errorf("after the end: %s", got)
		}
	})
}

func TestShiftEntryCarriesTheViewOn(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(61 * time.Second)
		s := r.snapshot("cam")
		from, to := s.Rows[2].Start.Truncate(time.Second).Add(time.Second), s.Rows[5].Start.Truncate(time.Second).Add(time.Second)
		for _, query := range []string{
			fmt.Sprintf("start=%d&end=%d", from.Unix(), to.Unix()),
			fmt.Sprintf("end=%s&Signature=abc&start=%s", at(to), at(from)),
			"start=" + strings.ReplaceAll(from.In(time.FixedZone("", 3600)).Format("2006-01-02T15:04:05-07:00"), ":", "%3A") + "&end=" + at(to),
		} {
			a := r.get("/live/streams/cam.m3u8?" + query)
			a.want(t, 200, "Cache-Control", "public, max-age=2", "Vary", "Accept-Encoding")
			want := "cam/" + string(s.Recording) + "/live.m3u8?start=" + from.UTC().Format("2006-01-02T15:04:05Z") + "&end=" + to.UTC().Format("2006-01-02T15:04:05Z")
			m, err := m3u8.ParseMaster(a.body)
			if err != nil || len(m.Variants) != 1 || m.Variants[0].URI != want {
				t.Fatalf("%s: %v %s", query, err, a.body)
			}
			if got := r.get("/live/streams/" + m.Variants[0].URI).span(t); got != "2-5 vod" {
				t.Errorf("%s: the child shows %s", query, got)
			}
		}
	})
}

// past finds recordings in a list, oldest first.
type past struct{ ids []segmenter.RecordingID }

func (p *past) Find(ctx context.Context, app, stream string, at time.Time) (segmenter.RecordingID, error) {
	for i := len(p.ids) - 1; i >= 0; i-- {
		if begun, _ := p.ids[i].Time(); !begun.After(at) {
			return p.ids[i], nil
		}
	}
	return "", fs.ErrNotExist
}

func TestShiftReachesPastRecordings(t *testing.T) {
	found := &past{}
	engines(t, Options{Recordings: found}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(61 * time.Second)
		e.end()
		old := r.snapshot("cam")
		found.ids = []segmenter.RecordingID{old.Recording}
		begin, end := old.Rows[0].Start, old.Rows[len(old.Rows)-1].End()
		window := "?start=" + at(begin.Add(9*time.Second)) + "&end=" + at(begin.Add(17*time.Second))
		stamped := r.timestamped("cam")
		r.publish("cam").run(21 * time.Second) // the next recording of the same stream
		if r.snapshot("cam").Recording == old.Recording {
			t.Fatal("the recording goes on")
		}
		found.ids = append(found.ids, r.snapshot("cam").Recording)

		// Still in memory, as the multivariant playlist of the older recording.
		a := r.get("/live/streams/cam.m3u8" + window)
		if a.want(t, 200); !strings.Contains(string(a.body), "cam/"+string(old.Recording)+"/live.m3u8?start=") {
			t.Errorf("entry %s", a.body)
		}
		// Between the two recordings there is nothing.
		r.get("/live/streams/cam.m3u8?start="+at(end.Add(time.Second))).want(t, 404, "Cache-Control", "max-age=1")
		r.get("/live/streams/cam.m3u8?start="+at(begin.Add(-time.Hour))).want(t, 404, "Cache-Control", "max-age=1")

		// From the archive, once memory has forgotten it.
		r.archive.put(t, stamped, r.get(stamped).body)
		r.forgetful.Store(true)
		a = r.get("/live/streams/cam.m3u8" + window)
		a.want(t, 200, "Cache-Control", "public, max-age=3600")
		if got := a.span(t); got != "2-4 vod" || a.media(t).Segments[0].URI != "cam/"+string(old.Recording)+"/000000002.ts" {
			t.Errorf("%s: %s", got, a.body)
		}
		live := "/live/streams/cam/" + string(old.Recording) + "/live.m3u8"
		a = r.get(live + window)
		if got := a.span(t); got != "2-4 vod" || a.media(t).Segments[0].URI != "000000002.ts" {
			t.Errorf("%s: %s", got, a.body)
		}
		r.get(live+"?start="+at(end.Add(time.Second))).want(t, 404, "Cache-Control", "max-age=1")
		r.get("/live/streams/cam/2021-01-01_00-00-00.000/live.m3u8"+window).want(t, 404, "Cache-Control", "max-age=1")
		delayed := r.get(fmt.Sprintf("%s?time_delay=%d", live, int(time.Since(old.Rows[9].Start).Seconds())-2))
		if got := delayed.span(t); got != "0-8 sliding" {
			t.Errorf("delayed: %s", got)
		}
		// A playlist that is not ours is an error of the archive, and harms nothing else.
		r.archive.put(t, "/live/streams/cam-2020-01-01_00-00-00.000.m3u8", []byte("#EXTM3U\n#EXTINF:4,\nelsewhere.ts\n"))
		r.get("/live/streams/cam/2020-01-01_00-00-00.000/live.m3u8"+window).want(t, 503)
	})
}

func TestWindowIsACutOfTheWhole(t *testing.T) {
	r := newRig(t, Options{})
	e := r.publish("cam")
	e.run(25 * time.Second)
	e.leave()
	r.advance(3 * time.Second)
	e = r.publish("cam") // back within its grace: a discontinuity
	e.run(25 * time.Second)
	snap := r.snapshot("cam")
	table := tableOf(snap)
	back, err := parseTable(segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: "cam", Recording: snap.Recording}, snap.Archive().Body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range table.entries {
		a, b := table.entries[i], back.entries[i]
		if a.Sequence != b.Sequence || a.Start.Sub(b.Start).Abs() > time.Millisecond || a.Duration/90 != b.Duration/90 || a.Size != b.Size ||
			a.Discontinuity != b.Discontinuity || a.DiscontinuitySequence != b.DiscontinuitySequence {
			t.Errorf("row %d: %+v read back as %+v", i, a, b)
		}
	}
	if back.dir != table.dir || back.id != table.id {
		t.Errorf("%q %q", back.dir, back.id)
	}
	for first := range table.entries {
		for last := first + 1; last <= len(table.entries); last++ {
			p, err := table.render(cutout{first: first, last: last, kind: m3u8.VOD, final: true}, "")
			if err != nil {
				t.Fatal(err)
			}
			m, err := m3u8.ParseMedia(p.Body)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Segments) != last-first || m.DiscontinuitySequence != table.entries[first].DiscontinuitySequence || !m.EndList ||
				m.Segments[0].ProgramDateTime.IsZero() {
				t.Fatalf("%d-%d: %s", first, last, p.Body)
			}
		}
	}
}

func FuzzParseView(f *testing.F) {
	f.Add("start=2023-08-24T16:02:52Z&end=1700000000&time_delay=5")
	f.Add("aws.manifestfilter=video_bitrate:0-2500000;video_codec:h264,h265")
	f.Fuzz(func(t *testing.T, query string) {
		v, err := parseView(query)
		if err != nil {
			return
		}
		// What is passed on to the children means the same there, to the millisecond.
		again, err := parseView(strings.TrimPrefix(v.carried(), "?"))
		if err != nil || again.delay != v.delay || !again.start.Equal(v.start.Truncate(time.Millisecond)) {
			if v.shifted() && v.end.Sub(v.start) > time.Millisecond {
				t.Errorf("%q carries on %q: %v", query, v.carried(), err)
			}
		}
	})
}

func FuzzParseTable(f *testing.F) {
	r := newRig(f, Options{})
	r.publish("cam").run(21 * time.Second)
	f.Add(bytes.Clone(r.snapshot("cam").Archive().Body))
	f.Fuzz(func(t *testing.T, body []byte) {
		table, err := parseTable(segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: "cam"}, body)
		if err != nil {
			return
		}
		for _, v := range []view{{start: table.begin()}, {start: table.begin(), end: table.end()}, {delay: time.Second}} {
			v.instant = v.from(table.end())
			if !table.holds(&v) {
				continue
			}
			if c := table.cut(&v); c.first >= c.last || c.first < 0 || c.last > len(table.entries) {
				t.Errorf("cut %+v of %d", c, len(table.entries))
			}
		}
	})
}
