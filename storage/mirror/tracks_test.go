package mirror_test

import (
	"context"
	"io"
	"log/slog"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// withCMAF makes a rig store CMAF, too.
func withCMAF(r *rig) {
	r.bucket.whole = true
	r.o.CMAF = func(string) bool { return true }
}

// cmafBubble is bubble for a rig that stores CMAF, too.
func cmafBubble(t *testing.T, fn func(t *testing.T, r *rig)) {
	bubble(t, func(t *testing.T, r *rig) {
		withCMAF(r)
		fn(t, r)
	})
}

// wholeAsCMAF holds the bucket to have of each segment what is made of it, and playlists of the tracks that have the same rows.
func (r *rig) wholeAsCMAF() {
	r.t.Helper()
	var render tracks.Renderer
	for _, key := range r.bucket.keys(".m3u8") {
		n, ok := segmenter.ParseName(key)
		if !ok || n.Kind != segmenter.KindArchive || r.bucket.isMaster(key) {
			continue
		}
		m := r.bucket.list(key)
		first, _ := segmenter.ParseName(path.Join(path.Dir(key), m.Segments[0].URI))
		track := segmenter.Name{Kind: segmenter.KindTrackArchive, App: n.App, Stream: n.Stream, Recording: first.Recording, Track: segmenter.VideoTrack, Archive: n.Recording}
		v := r.bucket.list(track.String())
		if v == nil || len(v.Segments) != len(m.Segments) || v.EndList != m.EndList || v.MediaSequence != m.MediaSequence || v.DiscontinuitySequence != m.DiscontinuitySequence {
			r.t.Errorf("%s is not as %s: %+v", track, key, v)
			continue
		}
		for i, s := range m.Segments {
			f := v.Segments[i]
			if f.Gap != s.Gap || f.Duration != s.Duration || f.Discontinuity != s.Discontinuity || !f.ProgramDateTime.Equal(s.ProgramDateTime) {
				r.t.Errorf("%s has %+v, %s %+v", track, f, key, s)
			}
			if s.Gap {
				continue
			}
			ts, _ := r.bucket.object(path.Join(path.Dir(key), s.URI))
			made, err := render.Segment([][]byte{ts.body}, &segmenter.Row{Sequence: m.MediaSequence + uint64(i), Start: s.ProgramDateTime, Duration: s.Duration})
			if err != nil {
				r.t.Error(err)
				continue
			}
			have, ok := r.bucket.object(path.Join(path.Dir(track.String()), f.URI))
			if want := made.Track(segmenter.VideoTrack); !ok || string(have.body) != string(want) {
				r.t.Errorf("%s names %s, which has %d bytes, not the %d that are made of the segment", track, f.URI, len(have.body), len(want))
			}
		}
		n.Kind = segmenter.KindDASHArchive
		gaps := 0
		for _, s := range v.Segments {
			if s.Gap {
				gaps++
			}
		}
		o, ok := r.bucket.object(n.String())
		if text := string(plain(r.t, o)); !ok || strings.Contains(text, "static") != m.EndList || strings.Contains(text, "UTCTiming") {
			r.t.Errorf("%s: %s", n, text)
		} else if all := manifested(r.t, n.String(), text); count(all, ".m4s") != len(v.Segments)-gaps || count(all, ".mp4") == 0 {
			r.t.Errorf("%s names %d of %d, %d of them gaps", n, count(all, ".m4s"), len(v.Segments), gaps)
		}
		n.Kind = segmenter.KindCMAFArchive
		if o, ok := r.bucket.object(n.String()); !ok || !strings.Contains(string(plain(r.t, o)), strings.TrimPrefix(track.String(), n.App+"/streams/")) {
			r.t.Errorf("%s does not lead to %s:\n%s", n, track, o.body)
		}
	}
	for _, u := range r.mirror.Uploaders() {
		if n := u.Stats().BacklogTracks.Load(); n != 0 {
			r.t.Errorf("%d segments are said to be missing as CMAF", n)
		}
	}
}

// manifested are the objects that a manifest names: once for each time that it does.
func manifested(t testing.TB, key, text string) (all []string) {
	t.Helper()
	m, err := mpd.ReadFromString(text)
	if err != nil {
		t.Errorf("%s: %v", key, err)
		return nil
	}
	for _, p := range m.Periods {
		for _, set := range p.AdaptationSets {
			for _, rep := range set.Representations {
				st := rep.SegmentTemplate
				all = append(all, path.Join(path.Dir(key), st.Initialization))
				number := uint64(*st.StartNumber)
				for _, s := range st.SegmentTimeline.S {
					for range s.R + 1 {
						all = append(all, path.Join(path.Dir(key), strings.Replace(st.Media, "$Number%09d$.m4s", segmenter.FragmentFile(number), 1)))
						number++
					}
				}
			}
		}
	}
	return all
}

// count is how many of some end in a suffix.
func count(all []string, suffix string) (n int) {
	for _, s := range all {
		if strings.HasSuffix(s, suffix) {
			n++
		}
	}
	return n
}

func (l *ledger) isMaster(key string) bool {
	o, _ := l.object(key)
	return strings.Contains(string(plain(l.t, o)), "#EXT-X-STREAM-INF")
}

func TestTracksComeToTheBucket(t *testing.T) {
	cmafBubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 4000)
		e.run(60 * time.Second)
		live := r.bucket.list(r.bucket.only("/v/live.m3u8"))
		if live.EndList || len(live.Segments) < 10 || live.Segments[0].Map == "" {
			t.Errorf("live: %+v", live)
		}
		manifest := func(kind string, segments int) {
			t.Helper()
			o, _ := r.bucket.object("live/streams/cam.mpd")
			if text := string(o.body); count(manifested(t, "live/streams/cam.mpd", text), ".m4s") != segments || !strings.Contains(text, ` type="`+kind+`"`) {
				t.Errorf("there are %d segments: %s", segments, text)
			}
		}
		manifest("dynamic", len(live.Segments))
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Second)
		r.complete(30, 0)
		r.wholeAsCMAF()
		manifest("static", len(r.bucket.list(r.bucket.only("/v/live.m3u8")).Segments))
		if n := len(r.bucket.keys(".m4s")); n != 30 {
			t.Errorf("%d fragments", n)
		}
		for suffix, want := range map[string][2]string{
			".m4s":          {"video/mp4", segmenter.AgeSegment},
			".mp4":          {"video/mp4", segmenter.AgeSegment},
			"/v/live.m3u8":  {segmenter.TypePlaylist, segmenter.AgeEnded},
			"cam_cmaf.m3u8": {segmenter.TypePlaylist, "public, max-age=1"},
			"cam.mpd":       {segmenter.TypeMPD, "public, max-age=1"},
			"0.mpd":         {segmenter.TypeMPD, segmenter.AgeSettled},
		} {
			for _, key := range r.bucket.keys(suffix) {
				if o, _ := r.bucket.object(key); o.a.ContentType != want[0] || o.a.CacheControl != want[1] || o.a.IfAbsent != strings.HasPrefix(want[0], "video") {
					t.Errorf("%s: %+v", key, o.a)
				}
			}
			if len(r.bucket.keys(suffix)) == 0 {
				t.Errorf("nothing ends in %s", suffix)
			}
		}
		s := r.mirror.Uploaders()[0].Stats()
		if s.Tracks.Load() != 30 || s.TrackBytes.Load() == 0 || s.Unrendered.Load() != 0 {
			t.Errorf("%d segments as CMAF, %d bytes, %d not rendered", s.Tracks.Load(), s.TrackBytes.Load(), s.Unrendered.Load())
		}
	})
}

// only is the only key that ends in a suffix.
func (l *ledger) only(suffix string) string {
	keys := l.keys(suffix)
	if len(keys) != 1 {
		l.t.Fatalf("%v end in %s", keys, suffix)
	}
	return keys[0]
}

// Nothing of CMAF is stored where nobody asked for it.
func TestTracksAreNotStoredUnasked(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.o.CMAF = func(app string) bool { return app != "live" }
		r.start()
		e := r.publish("cam", 4000)
		e.run(20 * time.Second)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Second)
		for _, key := range r.bucket.keys("") {
			if n, _ := segmenter.ParseName(key); n.Kind.Source() != n.Kind {
				t.Errorf("%s", key)
			}
		}
	})
}

func TestTracksAreKilledAtAnyMoment(t *testing.T) {
	for seed := range uint64(max(2, 10*scale())) {
		crashes(t, seed, 10, seed%2 == 1, spool.Segment, func(r *rig) {
			withCMAF(r)
			if seed%3 == 1 {
				r.o.ArchiveSplit = 20 * time.Second
			}
		})
	}
}

// A restart knows what the store has, and renders nothing twice.
func TestTracksAreNotRenderedAgain(t *testing.T) {
	cmafBubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 4000)
		e.run(60 * time.Second)
		e.s.Close(ingest.ErrShutdown)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		before := len(r.bucket.keys(".m4s"))
		r.start()
		e = r.publish("cam", 4000)
		e.run(10 * time.Second)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		r.wholeAsCMAF()
		all := len(r.bucket.keys(".m4s"))
		if n := int(r.mirror.Uploaders()[0].Stats().Tracks.Load()); n > all-before+1 || all < 34 {
			t.Errorf("%d of %d fragments were there, and %d were sent", before, all, n)
		}
	})
}

// While the store takes nothing of CMAF, the transport stream goes on as if there were none of it; afterwards it is made of what the store has.
func TestTracksHoldUpNothing(t *testing.T) {
	for _, err := range []error{errAway, storage.ErrPermanent, storage.ErrThrottled} {
		cmafBubble(t, func(t *testing.T, r *rig) {
			var log said
			r.o.Log = slog.New(slog.NewTextHandler(&log, nil))
			r.start()
			e := r.publish("cam", 4000)
			e.run(10 * time.Second)
			r.fault.mu.Lock()
			r.fault.err, r.fault.only = err, ".m4s"
			r.fault.mu.Unlock()
			late := 0
			for range 60 {
				e.frame()
				time.Sleep(time.Second)
				s := r.reg.Timeline("live", "cam").Snapshot()
				live := r.bucket.list(segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: "cam", Recording: s.Recording}.String())
				if live.MediaSequence+uint64(len(live.Segments)) != s.Next() {
					late++
				}
			}
			most := 0 // a store that asks to slow down is heeded
			if err != storage.ErrPermanent {
				most = 30
			}
			if late > most {
				t.Errorf("%v: the bucket was behind %d times of 60", err, late)
			}
			v := r.bucket.list(r.bucket.only("/v/live.m3u8"))
			if next := v.MediaSequence + uint64(len(v.Segments)); next > 6 {
				t.Errorf("%v: the track's playlist names %d segments", err, next)
			}
			refusals := r.fault.refusals()
			if refusals > 100 {
				t.Errorf("%v: %d attempts in a minute", err, refusals)
			}
			r.fault.set(nil)
			e.run(60 * time.Second)
			e.end()
			time.Sleep(20 * time.Second)
			r.settled(time.Minute)
			r.complete(65, 0)
			r.wholeAsCMAF()
		})
	}
}

// After an outage in which memory and spool kept nothing for CMAF, it is made of what the store has.
func TestTracksAreMadeOfTheStoresSegments(t *testing.T) {
	cmafBubble(t, func(t *testing.T, r *rig) {
		r.so.Dir, r.o.MemoryBytes = "", 20000
		r.start()
		r.fault.only, r.fault.err = ".m4s", errAway
		e := r.publish("cam", 4000)
		e.run(60 * time.Second)
		if n := r.mirror.Stats().Gaps.Load(); n > 0 || r.mirror.HeldBytes() > 30000 {
			t.Fatalf("%d gaps, %d bytes held", n, r.mirror.HeldBytes())
		}
		r.fault.set(nil)
		e.end()
		time.Sleep(time.Minute)
		r.settled(time.Minute)
		r.complete(30, 0)
		r.wholeAsCMAF()
	})
}

// What nothing can be made of is counted and logged once, and its transport stream is stored as ever.
func TestTracksOfMP3(t *testing.T) {
	cmafBubble(t, func(t *testing.T, r *rig) {
		var log said
		r.o.Log = slog.New(slog.NewTextHandler(&log, nil))
		r.start()
		e := r.publish("cam", 4000)
		e.track.Alone = false
		sound := &ingest.Track{Codec: ingest.MP3, SampleRate: 48000, Channels: 2}
		for range 40 {
			e.frame()
			e.mp3(sound)
			time.Sleep(time.Second)
		}
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		r.complete(20, 0)
		for _, key := range r.bucket.keys("") {
			if n, _ := segmenter.ParseName(key); n.Kind.Source() != n.Kind {
				t.Errorf("%s", key)
			}
		}
		s := r.mirror.Uploaders()[0].Stats()
		if s.Unrendered.Load() != 20 || s.BacklogTracks.Load() != 0 || strings.Count(log.String(), "cannot be stored as CMAF") != 1 {
			t.Errorf("%d not rendered, %d missing, logged %d times", s.Unrendered.Load(), s.BacklogTracks.Load(), strings.Count(log.String(), "cannot be stored as CMAF"))
		}
		if n := r.mirror.Stats().Recordings.Load(); n != 0 {
			t.Errorf("%d recordings are still at work", n)
		}
	})
}

// mp3 sends a second of sound.
func (e *encoder) mp3(track *ingest.Track) {
	e.r.t.Helper()
	frame := make([]byte, 384) // MPEG-1 layer III, 128 kb/s, 48 kHz
	copy(frame, []byte{0xff, 0xfb, 0x94, 0x04})
	for i := range int64(41) {
		pts := (e.n-1)*ingest.Clock + i*2160
		if err := e.s.WriteFrame(&ingest.Frame{Track: track, PTS: pts, DTS: pts, Key: true, Units: [][]byte{frame}, Arrival: time.Now()}); err != nil {
			e.r.t.Fatal(err)
		}
	}
}

func TestTracksOfALadder(t *testing.T) {
	cmafBubble(t, func(t *testing.T, r *rig) {
		r.groups = map[string][]string{"show": {"high", "low"}}
		r.start()
		stop := r.ladders()
		high, low := r.publish("high", 4000), r.publish("low", 2000)
		for range 40 {
			high.frame()
			low.frame()
			time.Sleep(time.Second)
		}
		high.end()
		low.end()
		time.Sleep(2 * time.Minute)
		r.settled(time.Minute)
		time.Sleep(2 * time.Second)
		stop()
		r.wholeAsCMAF()
		found := 0
		for _, key := range r.bucket.keys("_cmaf.m3u8") {
			if !strings.HasPrefix(key, "live/streams/show") {
				continue
			}
			found++
			o, _ := r.bucket.object(key)
			m, err := m3u8.ParseMaster(o.body)
			if err != nil || len(m.Variants) != 2 || !strings.Contains(m.Variants[0].URI, "/v/") {
				t.Errorf("%s: %v\n%s", key, err, o.body)
			}
			if want := segmenter.AgeSettled; strings.HasPrefix(key, "live/streams/show-") && o.a.CacheControl != want {
				t.Errorf("%s has the age %q", key, o.a.CacheControl)
			}
		}
		manifests := 0
		for _, key := range r.bucket.keys(".mpd") {
			if !strings.HasPrefix(key, "live/streams/show") {
				continue
			}
			manifests++
			o, _ := r.bucket.object(key)
			if text := string(plain(t, o)); strings.Count(text, "<Representation ") != 2 || !strings.Contains(text, ` type="static"`) || count(manifested(t, key, text), ".m4s") < 20 {
				t.Errorf("%s: %s", key, text)
			}
		}
		if manifests != 2 {
			t.Errorf("%d manifests: %v", manifests, r.bucket.keys(".mpd"))
		}
		if found != 2 {
			t.Errorf("%d multivariant playlists: %v", found, r.bucket.keys("_cmaf.m3u8"))
		}
	})
}

// Of a split that begins later, the playlists lie in the recording's folder, beside the fragments.
func TestTracksOfSplits(t *testing.T) {
	cmafBubble(t, func(t *testing.T, r *rig) {
		r.o.ArchiveSplit = time.Minute
		b := newLedger(t)
		b.whole = true
		r.o.Replica = b
		r.start()
		e := r.publish("cam", 4000)
		e.run(150 * time.Second)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		r.wholeAsCMAF()
		if a, b := r.bucket.keys(""), b.keys(""); len(r.bucket.keys("_cmaf.m3u8")) != 4 || strings.Join(a, "\n") != strings.Join(b, "\n") {
			t.Errorf("bucket:\n%s\nreplica:\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
		if n := r.mirror.Stats().Recordings.Load(); n != 0 {
			t.Errorf("%d recordings are still at work", n)
		}
	})
}

// slowTracks takes long for fragments.
type slowTracks struct {
	storage.Putter
	pause time.Duration
}

func (s *slowTracks) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if strings.HasSuffix(key, ".m4s") {
		time.Sleep(s.pause)
	}
	return s.Putter.Put(ctx, key, body, a)
}

// However slow CMAF is, a segment is there at once.
func TestTracksWaitForTheTransportStream(t *testing.T) {
	cmafBubble(t, func(t *testing.T, r *rig) {
		r.fault.Putter = &slowTracks{Putter: r.bucket, pause: 10 * time.Second}
		r.o.Workers = 2
		r.start()
		e := r.publish("cam", 4000)
		for range 60 {
			e.frame()
			time.Sleep(time.Second)
			if tl := r.reg.Timeline("live", "cam"); tl != nil && tl.Snapshot().Live != nil {
				s := tl.Snapshot()
				if _, ok := r.bucket.object(segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: s.Recording, Sequence: s.Next() - 1}.String()); !ok {
					t.Fatalf("segment %d is not there after a second", s.Next()-1)
				}
			}
		}
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(10 * time.Minute)
		r.wholeAsCMAF()
	})
}
