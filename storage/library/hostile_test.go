package library_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// hostilePlaylists are what may lie under a recording's name; n is how long those are that are long.
func hostilePlaylists(tp *tape, n int) map[string]string {
	head := "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
	segment := func(uri string) string { return "#EXTINF:2.000,\n" + uri + "\n" }
	own := func(seq uint64) string { return "cam/" + string(tp.folder) + "/" + segmenter.SegmentFile(seq) }
	long := func(uri func(i int) string) string {
		var b strings.Builder
		b.WriteString(head)
		for i := range n {
			b.WriteString(segment(uri(i)))
		}
		return b.String()
	}
	return map[string]string{
		"nothing":            "",
		"an endless line":    head + segment(strings.Repeat("x", 2<<20)),
		"zeros":              strings.Repeat("\x00", 2<<20),
		"huge numbers":       strings.Replace(head, "SEQUENCE:0", "SEQUENCE:18446744073709551615", 1) + segment(own(0)),
		"the largest number": strings.Replace(head, "SEQUENCE:0", "SEQUENCE:9223372036854775807", 1) + segment(own(0)) + segment(own(1)),
		"no duration":        strings.Replace(head, "DURATION:2", "DURATION:-99999999999", 1) + segment(own(0)),
		"a huge size":        head + "#EXTINF:2.000,\n# bytes crc32c: 9223372036854775807 00000000\n" + own(0) + "\n",
		"one above all":      long(func(int) string { return "../../../../etc/passwd" }),
		"elsewhere":          long(func(int) string { return "http://127.0.0.1:1/x.ts" }),
		"one many times":     long(func(int) string { return own(1) }),
		"many recordings": long(func(i int) string {
			return "cam/" + string(segmenter.NewRecordingID(firstFrame.Add(time.Duration(i)*time.Second))) + "/000000000.ts"
		}),
		"other streams":        long(func(i int) string { return "dog/" + string(tp.folder) + "/" + segmenter.SegmentFile(uint64(i)) }),
		"holes of billions":    long(func(i int) string { return own(uint64(i) << 40) }),
		"holes as they may be": long(func(i int) string { return own(uint64(i) * 60000) }),
		"backwards":            long(func(i int) string { return own(uint64(n - i)) }),
		"none of them there":   long(func(i int) string { return own(uint64(i) + 100) }),
		"control characters":   head + segment("\x1b[2J\x1b]0;x\x07\u009b31m") + segment(own(0)+"\x00"),
		"a year of seconds":    head + "#EXTINF:999999.0,\n" + own(0) + "\n",
		"a group of itself":    "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ncam-" + string(tp.folder) + ".m3u8\n",
		"a group of groups":    "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ngrp-" + string(tp.folder) + ".m3u8\n",
		"a group of others'":   "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n../../other/streams/cam-" + string(tp.folder) + ".m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\ndog-2023-01-01_00-00-00.000.m3u8\n",
		"a group of many":      "#EXTM3U\n" + strings.Repeat("#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n", n),
		"endless attributes":   "#EXTM3U\n#EXT-X-STREAM-INF:" + strings.Repeat("A=1,", 1<<18) + "\nx.m3u8\n",
	}
}

// Whatever lies under a recording's name, each act ends, writes no more than there is, and touches nothing of others.
func TestHostilePlaylists(t *testing.T) {
	probe := newShelf(t).tape("live", "cam", firstFrame)
	rows := 5_000
	if storetest.Full() {
		rows = 20_000
	}
	for name, text := range hostilePlaylists(probe, rows) {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			tp := s.tape("live", "cam", firstFrame).add(3).write(true)
			dog := s.tape("live", "dog", firstFrame.Add(-time.Hour)).add(2).write(true)
			other := s.tape("other", "cam", firstFrame).add(2).write(true)
			s.put("live/streams/dog-2023-01-01_00-00-00.000.m3u8", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n"))
			s.put("live/streams/grp-"+string(tp.folder)+".m3u8", []byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ncam-"+string(tp.folder)+".m3u8\n"))
			whole := int64(0)
			for seq := range uint64(3) {
				whole += int64(len(storetest.Read(t, s, tp.name(seq).String(), 0, -1)))
			}
			theirs := map[string][]byte{}
			for _, key := range storetest.Keys(t, s, "") {
				if !strings.Contains(key, "cam-") || strings.HasPrefix(key, "other/") {
					theirs[key] = storetest.Read(t, s, key, 0, -1)
				}
			}
			s.put(tp.key(), []byte(text))
			ctx := t.Context()
			act := func(name string, fn func() error) {
				t.Helper()
				began := time.Now()
				err := fn()
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("%s took %v", name, took)
				}
				if err != nil && len(err.Error()) > 2000 {
					t.Errorf("%s: an error of %d bytes: %.200s", name, len(err.Error()), err)
				}
			}
			act("list", func() error {
				for r, err := range s.lib.List(ctx, "", "") {
					if err != nil {
						return err
					}
					if len(r.Damage) > 2000 || r.Duration < 0 || r.Bytes < 0 {
						t.Errorf("%.500v", r)
					}
				}
				return nil
			})
			act("show", func() error { _, _, err := s.lib.Show(ctx, tp.ref()); return err })
			act("verify", func() error {
				_, err := s.lib.Verify(ctx, tp.ref(), library.VerifyOptions{Checksums: true})
				return err
			})
			act("export", func() error {
				var n counter
				_, err := s.lib.Export(ctx, tp.ref(), &n)
				if int64(n) > whole {
					t.Errorf("%d bytes of %d were written", n, whole)
				}
				return err
			})
			act("export a folder", func() error {
				to := &storetest.Memory{}
				_, err := s.lib.ExportFolder(ctx, tp.ref(), to, false)
				for _, key := range storetest.Keys(t, to, "") {
					if strings.HasSuffix(key, ".m3u8") {
						body := storetest.Read(t, to, key, 0, -1)
						if len(body) > 2*len(text)+1000 || bytes.ContainsAny(body, "\x1b\x00") || bytes.Contains(body, []byte("..")) || bytes.Contains(body, []byte("http:")) {
							t.Errorf("the exported playlist: %.500q", body)
						}
					} else if !strings.HasPrefix(key, "cam/"+string(tp.folder)+"/") {
						t.Errorf("%s was exported", key)
					}
				}
				return err
			})
			act("what a removal would do", func() error {
				out, err := s.lib.Remove(ctx, []library.RecordingRef{tp.ref()}, library.RemoveOptions{Force: true})
				if err != nil {
					return err
				}
				for _, key := range slices.Concat(out.Playlists, out.Segments) {
					if !strings.HasPrefix(key, "live/streams/cam") {
						t.Errorf("%s would be removed", key)
					}
				}
				return nil
			})
			act("repair", func() error {
				_, err := s.lib.Repair(ctx, tp.ref(), library.RepairOptions{Force: true, Checksums: true})
				return err
			})
			if body := storetest.Read(t, s, tp.key(), 0, -1); len(body) > 200*m3u8.MaxSegments {
				t.Errorf("repair has written %d bytes", len(body))
			}
			for key, body := range theirs {
				if !bytes.Equal(storetest.Read(t, s, key, 0, -1), body) {
					t.Errorf("%s was changed", key)
				}
			}
			for seq := range uint64(3) {
				storetest.Read(t, s, tp.name(seq).String(), 0, -1)
			}
			_, _ = dog, other
		})
	}
}

// counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Objects with numbers far from all others are no part of a recording: repair leaves them alone, and makes no playlist that leads
// there.
func TestRepairLeavesStrayNumbersAlone(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(5).write(true)
	want := storetest.Read(t, s, tp.key(), 0, -1)
	s.remove(tp.key())
	strays := []uint64{1 << 17, 5_000_000, 1<<63 - 1}
	for _, seq := range strays {
		s.put(tp.name(seq).String(), storetest.Read(t, s, tp.name(0).String(), 0, -1))
	}
	if out := s.repair(tp, library.RepairOptions{}); out.Added != 5 || out.Gaps != 0 {
		t.Errorf("%+v", out)
	}
	if got := storetest.Read(t, s, tp.key(), 0, -1); !bytes.Equal(got, want) {
		t.Errorf("got\n%.1000s\nwant\n%s", got, want)
	}
	for _, seq := range strays {
		storetest.Read(t, s, tp.name(seq).String(), 0, -1)
	}
}

// A segment that says that it has 4 GB is not read.
func TestExportReadsNoHugeSegment(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(3).write(true)
	lib := library.New(&huge{s.Memory, tp.name(1).String(), t}, library.Options{})
	out, err := lib.Export(t.Context(), tp.ref(), io.Discard)
	if err != nil || out.Segments != 2 || len(out.Damaged) != 1 || out.Damaged[0].Problem != library.ProblemSize {
		t.Errorf("%+v, %v", out, err)
	}
	text := fmt.Sprintf("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:2.0,\n# bytes crc32c: %d 00000000\ncam/%s/000000001.ts\n#EXT-X-ENDLIST\n", int64(4<<30), tp.folder)
	s.put(tp.key(), []byte(text))
	if out, err = lib.Export(t.Context(), tp.ref(), io.Discard); err != nil || out.Segments != 0 || len(out.Damaged) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if r, err := lib.Verify(t.Context(), tp.ref(), library.VerifyOptions{Checksums: true}); err != nil || r.Sound {
		t.Errorf("%+v, %v", r, err)
	}
}

// huge says of one object that it has 4 GB, and gives none of them.
type huge struct {
	*storetest.Memory
	key string
	t   *testing.T
}

func (h *huge) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	body, o, err := h.Memory.Get(ctx, key, off, n)
	if key == h.key && err == nil {
		body.Close()
		o.Size, body = 4<<30, io.NopCloser(unread{h.t})
	}
	return body, o, err
}

func (h *huge) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return h.Memory.List(ctx, prefix, func(o storage.Object) error {
		if o.Key == h.key {
			o.Size = 4 << 30
		}
		return fn(o)
	})
}

// unread fails a test that reads.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("it was read")
	return 0, io.EOF
}
