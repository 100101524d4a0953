package library_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func (s *shelf) repair(tp *tape, o library.RepairOptions) *library.Repaired {
	s.t.Helper()
	out, err := s.lib.Repair(s.t.Context(), tp.ref(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *shelf) playlist(key string) *m3u8.Media {
	s.t.Helper()
	m, err := m3u8.ParseMedia(storetest.Read(s.t, s, key, 0, -1))
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// verified fails unless a deep look finds exactly these.
func (s *shelf) verified(tp *tape, want ...string) {
	s.t.Helper()
	r, err := s.lib.Verify(s.t.Context(), tp.ref(), library.VerifyOptions{Checksums: true})
	if err != nil || !r.Sound || !slices.Equal(findings(r), append([]string{}, want...)) {
		s.t.Errorf("verify: %+v, %v, want %q", r, err, want)
	}
}

// settled fails unless a second repair has nothing to do.
func (s *shelf) settled(tp *tape) {
	s.t.Helper()
	if out := s.repair(tp, library.RepairOptions{Checksums: true}); len(out.Written) != 0 || out.Gaps+out.Added+out.Returned != 0 || out.Ended {
		s.t.Errorf("a second repair: %+v", out)
	}
}

// From segments alone comes the playlist that the server would have written.
func TestRepairWithoutPlaylist(t *testing.T) {
	for _, damaged := range []bool{false, true} { // or with one that nobody can read
		s := newShelf(t)
		tp := s.tape("live", "cam", firstFrame).add(5).drop(time.Minute).add(3).write(true)
		want := storetest.Read(t, s, tp.key(), 0, -1)
		if s.remove(tp.key()); damaged {
			s.put(tp.key(), []byte("<html>"))
		}
		out := s.repair(tp, library.RepairOptions{})
		if out.Scanned != 8 || out.Added != 8 || out.Gaps != 0 || !out.Ended || out.Recording.Segments != 8 {
			t.Errorf("%+v", out)
		}
		if got := storetest.Read(t, s, tp.key(), 0, -1); !bytes.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		s.verified(tp)
		s.settled(tp)
	}
}

func TestRepairMissing(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(8).write(true)
	s.remove(tp.name(2).String())
	s.remove(tp.name(7).String())
	s.put(tp.name(5).String(), storetest.Read(t, s, tp.name(5).String(), 0, 188*7))
	body := storetest.Read(t, s, tp.name(6).String(), 0, -1)
	body[1000] ^= 1
	s.put(tp.name(6).String(), body)
	before := storetest.Read(t, s, tp.key(), 0, -1)
	dry := s.repair(tp, library.RepairOptions{DryRun: true, Checksums: true})
	if !slices.Equal(dry.Written, []string{tp.key()}) || dry.Gaps != 4 || !bytes.Equal(before, storetest.Read(t, s, tp.key(), 0, -1)) {
		t.Errorf("dry run: %+v", dry)
	}
	if out := s.repair(tp, library.RepairOptions{}); out.Gaps != 3 || out.Ended || out.Added != 0 {
		t.Errorf("by size: %+v", out)
	}
	if out := s.repair(tp, library.RepairOptions{Checksums: true}); out.Gaps != 1 {
		t.Errorf("by checksum: %+v", out)
	}
	m := s.playlist(tp.key())
	if len(m.Segments) != 8 || m.MediaSequence != 0 || !m.EndList || m.Type != m3u8.VOD {
		t.Errorf("%+v", m)
	}
	for i, seg := range m.Segments {
		gap := i == 2 || i >= 5
		if seg.Gap != gap || seg.Duration != tapeSegment || seg.CRC32C != tp.media.Segments[i].CRC32C {
			t.Errorf("segment %d: %+v", i, seg)
		}
	}
	s.settled(tp)
	// Whoever finds the segment again may put it back.
	s.put(tp.name(6).String(), func() []byte { body[1000] ^= 1; return body }())
	if out := s.repair(tp, library.RepairOptions{}); out.Returned != 1 || out.Gaps != 0 {
		t.Errorf("returned: %+v", out)
	}
	if got, want := s.playlist(tp.key()).Segments[6], tp.media.Segments[6]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A machine never returned: the growing playlist is behind, the live one is open, and one upload is missing.
func TestRepairAfterALoss(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(4).write(false).add(3).drop(30 * time.Second).add(2).writeLive(4).writeEntry()
	tp.add(3) // not in any playlist
	s.remove(tp.name(10).String())
	young := library.New(s, library.Options{Now: func() time.Time { return s.now.Add(time.Minute) }})
	if _, err := young.Repair(t.Context(), tp.ref(), library.RepairOptions{}); !errors.Is(err, library.ErrAlive) {
		t.Errorf("a minute later: %v", err)
	}
	out := s.repair(tp, library.RepairOptions{Checksums: true})
	live := tp.name(0)
	live.Kind = segmenter.KindLive
	if !slices.Equal(out.Written, []string{tp.key(), live.String()}) || out.Added != 7 || out.Gaps != 1 || !out.Ended {
		t.Errorf("%+v", out)
	}
	m := s.playlist(tp.key())
	if len(m.Segments) != 12 || m.TargetDuration != 2 || !m.EndList {
		t.Fatalf("%+v", m)
	}
	for i, seg := range m.Segments {
		want := tp.media.Segments[i]
		if seg.Duration != want.Duration || seg.Discontinuity != want.Discontinuity || seg.URI != want.URI || seg.Gap != (i == 10) {
			t.Errorf("segment %d: %+v, want %+v", i, seg, want)
		}
	}
	// The dates of the second part are those that live.m3u8 had.
	if got, want := m.Segments[7].ProgramDateTime, tp.media.Segments[7].ProgramDateTime; !got.Equal(want) {
		t.Errorf("date %v, want %v", got, want)
	}
	l := s.playlist(live.String())
	if !l.EndList || l.MediaSequence != 5 || len(l.Segments) != 7 || l.DiscontinuitySequence != 0 || l.Segments[0].URI != "000000005.ts" ||
		!l.Segments[0].ProgramDateTime.Equal(firstFrame.Add(10*time.Second)) || !l.Segments[5].Gap {
		t.Errorf("%+v", l)
	}
	r, err := s.lib.Verify(t.Context(), tp.ref(), library.VerifyOptions{Checksums: true})
	if err != nil || !r.Sound || r.Whole || r.Lost == 0 || !slices.Equal(findings(r), []string{"gap 10"}) {
		t.Errorf("%+v, %v", r, err)
	}
	s.settled(tp)
}

func TestRepairSplits(t *testing.T) {
	s := newShelf(t)
	one := s.tape("live", "cam", firstFrame).add(3).write(true)
	two := one.split().drop(time.Minute).add(4).write(true)
	three := two.split()
	three.media.DiscontinuitySequence = 1
	three.add(2).write(true)
	want := storetest.Read(t, s, two.key(), 0, -1)
	s.remove(two.key())
	out := s.repair(two, library.RepairOptions{})
	if out.Added != 4 || out.Recording.Segments != 4 {
		t.Errorf("%+v", out)
	}
	// What the playlist before knew of discontinuities is in no segment of this one.
	got := storetest.Read(t, s, two.key(), 0, -1)
	if a, b := s.playlist(two.key()), two.media; a.MediaSequence != 3 || len(a.Segments) != 4 || !a.Segments[0].ProgramDateTime.Equal(b.Segments[0].ProgramDateTime) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s.verified(one)
	s.verified(two)
	s.verified(three)
	s.settled(three)
}

func TestRepairFromSource(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(6).write(true)
	spool := make(map[segmenter.Name][]byte)
	for _, seq := range []uint64{1, 2, 3} {
		spool[tp.name(seq)] = storetest.Read(t, s, tp.name(seq).String(), 0, -1)
		s.remove(tp.name(seq).String())
	}
	s.remove(tp.name(4).String())
	spool[tp.name(3)][700] ^= 1 // and the spool is not what it was either
	o := library.RepairOptions{Source: func(_ context.Context, n segmenter.Name) (io.ReadSeekCloser, error) {
		if b, ok := spool[n]; ok {
			return struct {
				*bytes.Reader
				io.Closer
			}{bytes.NewReader(b), io.NopCloser(nil)}, nil
		}
		return nil, fs.ErrNotExist
	}}
	if out := s.repair(tp, o); out.Uploaded != 2 || out.Gaps != 2 {
		t.Errorf("%+v", out)
	}
	s.verified(tp, "gap 3", "gap 4")
	if st, err := s.Stat(t.Context(), tp.name(1).String()); err != nil || st.ContentType != "video/mp2t" {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestRepairRefuses(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(2).write(true)
	for i := range uint64(2) {
		s.remove(tp.name(i).String())
	}
	if _, err := s.lib.Repair(t.Context(), tp.ref(), library.RepairOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing left: %v", err)
	}
	ref := library.RecordingRef{App: "live", Stream: "none", ID: "2023-08-24_16-02-52.970"}
	if _, err := s.lib.Repair(t.Context(), ref, library.RepairOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	s.put("live/streams/show-2023-08-24_16-02-52.970.m3u8", (&m3u8.Master{Variants: []m3u8.Variant{{URI: "x.m3u8", Bandwidth: 1}}}).Append(nil))
	ref.Stream = "show"
	if _, err := s.lib.Repair(t.Context(), ref, library.RepairOptions{}); err == nil {
		t.Error("a group is repaired")
	}
	// A failing store leaves everything as it is.
	tp.add(1)
	before := storetest.Read(t, s, tp.key(), 0, -1)
	f := storetest.NewFaulty(s)
	f.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpGet}, Match: func(_ storetest.Op, key string) bool { return key == tp.name(2).String() }, Err: errFlaky})
	if _, err := library.New(f, library.Options{}).Repair(t.Context(), tp.ref(), library.RepairOptions{Force: true}); !errors.Is(err, errFlaky) {
		t.Errorf("store away: %v", err)
	}
	if !bytes.Equal(before, storetest.Read(t, s, tp.key(), 0, -1)) {
		t.Error("the playlist has changed")
	}
}

// A group is repaired with all of its recordings; one of which nothing is left is not named any more.
func TestRepairGroup(t *testing.T) {
	s := newShelf(t)
	high := s.tape("live", "show_720p", firstFrame).add(4).write(true)
	low := s.tape("live", "show_480p", firstFrame).add(4).write(true)
	lost := s.tape("live", "show_360p", firstFrame).add(1).write(true)
	group := s.group("show", high, low, lost)
	s.remove(low.name(2).String())
	s.remove(lost.name(0).String())
	s.remove(lost.ref().App + "/streams/" + lost.stream + "-" + string(lost.ref().ID) + ".m3u8")
	dry, err := s.lib.Repair(t.Context(), group, library.RepairOptions{DryRun: true})
	if err != nil || len(dry.Written) != 2 || dry.Gaps != 1 {
		t.Fatalf("%+v, %v", dry, err)
	}
	out, err := s.lib.Repair(t.Context(), group, library.RepairOptions{})
	if err != nil || out.Gaps != 1 || len(out.Written) != 2 || len(out.Recording.Group) != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	if again, err := s.lib.Repair(t.Context(), group, library.RepairOptions{}); err != nil || len(again.Written) != 0 {
		t.Errorf("%+v, %v", again, err)
	}
	for _, ref := range []library.RecordingRef{group, high.ref(), low.ref()} {
		if rep, err := s.lib.Verify(t.Context(), ref, library.VerifyOptions{Checksums: true}); err != nil || !rep.Sound || rep.Whole != (ref == high.ref()) {
			t.Errorf("%s: %+v, %v", ref, rep, err)
		}
	}
}
