package mirror_test

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

func TestMirrorBringsARecordingToTheBucket(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 4000)
		e.run(60 * time.Second)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Second)
		r.complete(30, 0)

		for key, want := range map[string]string{
			"live/streams/cam.m3u8":          "public, max-age=1",
			"live/streams/cam_adaptive.m3u8": "public, max-age=1",
		} {
			o, ok := r.bucket.object(key)
			if !ok || o.a.CacheControl != want || o.a.ContentType != "application/vnd.apple.mpegurl" {
				t.Errorf("%s: %v %+v", key, ok, o.a)
			}
		}
		for _, key := range r.bucket.keys(".ts") {
			if o, _ := r.bucket.object(key); o.a.CacheControl != "public, max-age=31536000, immutable" || o.a.ContentType != "video/mp2t" || !o.a.IfAbsent {
				t.Errorf("%s: %+v", key, o.a)
			}
		}
		for _, key := range r.bucket.keys("live.m3u8") {
			if o, _ := r.bucket.object(key); o.a.CacheControl != "public, max-age=60" {
				t.Errorf("ended live playlist: %+v", o.a)
			}
		}
		_, archives := r.archives()
		if o, _ := r.bucket.object(archives[0]); o.a.CacheControl != "public, max-age=3600" || o.a.ContentEncoding != "" {
			t.Errorf("finished timestamped playlist: %+v", o.a)
		}
		if n := r.mirror.Stats().Recordings.Load(); n != 0 {
			t.Errorf("%d recordings are still at work", n)
		}
		if got := r.mirror.HeldBytes(); got != 0 {
			t.Errorf("%d bytes are still held", got)
		}
	})
}

func TestMirrorCopiesTheLivePlaylistByteForByte(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 4000)
		for range 30 {
			e.run(2 * time.Second)
			s := r.reg.Timeline("live", "cam").Snapshot()
			if s.Live == nil {
				continue
			}
			n := segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: "cam", Recording: s.Recording}
			if o, ok := r.bucket.object(n.String()); !ok || string(o.body) != string(s.Live.Body) {
				t.Fatalf("bucket has\n%s\norigin has\n%s", o.body, s.Live.Body)
			}
			want := m3u8.WithoutIFrames(s.Entry.Body) // a bucket has no playlist of I-frames
			if o, _ := r.bucket.object("live/streams/cam.m3u8"); string(o.body) != string(want) || len(want) == len(s.Entry.Body) {
				t.Fatalf("bucket has\n%s\norigin has\n%s", o.body, s.Entry.Body)
			}
		}
		e.end()
	})
}

// A segment is in the bucket, and listed there, within 2 s of being listed here.
func TestMirrorIsQuick(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.fault.Putter = &slowStore{Putter: r.bucket, pause: 150 * time.Millisecond}
		r.start()
		e := r.publish("cam", 4000)
		for range 60 {
			e.frame()
			time.Sleep(time.Second)
			tl := r.reg.Timeline("live", "cam")
			if tl == nil || tl.Snapshot().Live == nil {
				continue
			}
			s := tl.Snapshot()
			live := r.bucket.list(segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: "cam", Recording: s.Recording}.String())
			if live == nil || live.MediaSequence+uint64(len(live.Segments)) != s.Next() {
				t.Fatalf("1 s after segment %d was listed the bucket does not name it", s.Next()-1)
			}
		}
		e.end()
	})
}
