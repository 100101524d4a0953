package takeover

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

const id = segmenter.RecordingID("2024-05-01_11-00-00.000")

var (
	cam   = segmenter.Key{App: "live", Stream: "cam"}
	began = time.Date(2024, 5, 1, 11, 0, 0, 0, time.UTC)
)

// list is a playlist over numbers, 2 s each, with a discontinuity at the break.
func list(first, next, brk uint64, dir string) *m3u8.Media {
	m := &m3u8.Media{TargetDuration: 2, MediaSequence: first, IndependentSegments: true}
	if first > brk {
		m.DiscontinuitySequence = 1
	}
	for n := first; n < next; n++ {
		m.Segments = append(m.Segments, m3u8.Segment{
			URI: dir + segmenter.SegmentFile(n), Duration: 2 * segmenter.Clock, ProgramDateTime: began.Add(time.Duration(n) * 2 * time.Second), Discontinuity: n == brk,
		})
	}
	return m
}

// bucket is a store with a recording: what its timestamped playlist lists, what the live one lists, and how many segments there are.
type bucket struct {
	storetest.Memory
	t *testing.T
}

func (b *bucket) put(n segmenter.Name, body []byte, a storage.Attributes) {
	b.t.Helper()
	n.App, n.Stream = "live", "cam"
	if _, err := b.Put(b.t.Context(), n.String(), bytes.NewReader(body), a); err != nil {
		b.t.Fatal(err)
	}
}

func fill(t *testing.T, archived, first, listed, stored, brk uint64) *bucket {
	b := &bucket{t: t}
	if archived > 0 {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(list(0, archived, brk, "cam/"+string(id)+"/").Append(nil))
		_ = z.Close()
		b.put(segmenter.Name{Kind: segmenter.KindArchive, Recording: id}, packed.Bytes(), storage.Attributes{ContentEncoding: "gzip"})
	}
	b.put(segmenter.Name{Kind: segmenter.KindLive, Recording: id}, list(first, listed, brk, "").Append(nil), storage.Attributes{})
	b.put(segmenter.Name{Kind: segmenter.KindEntry}, segmenter.AppendEntry(nil, cam, id, variant.Variant{
		Bandwidth: 1000, Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 25, VideoCodec: "h264", AudioCodec: "aac",
	}, true, nil), storage.Attributes{})
	for n := range stored {
		b.put(segmenter.Name{Kind: segmenter.KindSegment, Recording: id, Sequence: n}, []byte("x"), storage.Attributes{})
	}
	return b
}

// However far the timestamped playlist lags behind the live one, the rows are without a hole, and at their times.
func TestGather(t *testing.T) {
	for _, c := range []struct {
		archived, first, listed, stored, brk uint64
		unknown                              int
	}{
		{archived: 20, first: 10, listed: 20, stored: 20, brk: 99},
		{archived: 20, first: 10, listed: 20, stored: 22, brk: 15, unknown: 2},
		{archived: 18, first: 10, listed: 20, stored: 20, brk: 3},
		{archived: 22, first: 10, listed: 20, stored: 22, brk: 3}, // its last live playlist was lost
		{archived: 5, first: 10, listed: 20, stored: 20, brk: 99},
		{archived: 5, first: 10, listed: 20, stored: 20, brk: 7},
		{archived: 0, first: 0, listed: 3, stored: 4, brk: 99, unknown: 1},
		{archived: 20, first: 10, listed: 20, stored: 35, brk: 99, unknown: 15},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			b := fill(t, c.archived, c.first, c.listed, c.stored, c.brk)
			now := began.Add(time.Hour)
			f, err := Gather(t.Context(), &b.Memory, cam, id, now)
			if err != nil {
				t.Fatal(err)
			}
			st, breaks, shown := &f.State, uint64(0), c.first
			if shown > 0 {
				shown++
			}
			if st.Base != 0 || st.Next != c.stored || uint64(len(st.Rows)) != c.stored || f.First != shown || st.Meta.TargetDuration != 2 || !st.LastFrame.Equal(now) {
				t.Fatalf("base %d, next %d, %d rows, first %d", st.Base, st.Next, len(st.Rows), f.First)
			}
			unknown := 0
			for i, r := range st.Rows {
				if r.Unknown {
					unknown++
				}
				if r.Sequence != uint64(i) || !r.Start.Equal(began.Add(time.Duration(i)*2*time.Second)) || r.Duration != 2*segmenter.Clock || r.DiscontinuitySequence != breaks || r.Gap {
					t.Errorf("%+v", r)
				}
				if r.Discontinuity {
					breaks++
				}
			}
			if want := uint64(0); unknown != c.unknown || c.brk < c.stored && breaks != want+1 || c.brk >= c.stored && breaks != want {
				t.Errorf("%d unknown, %d breaks", unknown, breaks)
			}
			if len(st.Splits) != 1 || st.Splits[0].Name != string(id) || st.Splits[0].Final != 0 || f.Split.First != c.stored || f.Split.Name != string(segmenter.NewRecordingID(now)) {
				t.Errorf("%+v, then %+v", st.Splits, f.Split)
			}
			if v := st.Meta; v.VideoCodec != "h264" || v.AudioCodec != "aac" || v.Width != 1280 || v.Bandwidth != 1000 || v.Window != int(c.listed-c.first) {
				t.Errorf("%+v", v)
			}
		})
	}
}

// The newest split counts, whether it has been finished or has only begun; clips and other recordings do not.
func TestSplits(t *testing.T) {
	b := fill(t, 0, 10, 20, 20, 99)
	second := segmenter.NewRecordingID(began.Add(16 * time.Second))
	archive := func(name segmenter.RecordingID, m *m3u8.Media) {
		b.put(segmenter.Name{Kind: segmenter.KindArchive, Recording: name}, m.Append(nil), storage.Attributes{})
	}
	dir := "cam/" + string(id) + "/"
	done := list(0, 8, 99, dir)
	done.Type, done.EndList = m3u8.VOD, true
	archive(id, done)
	archive(second, list(8, 19, 99, dir))
	clip := list(2, 4, 99, dir)
	clip.Clip, clip.EndList = "live/cam-"+string(id), true
	archive(segmenter.NewRecordingID(began.Add(time.Minute)), clip)
	archive(segmenter.NewRecordingID(began.Add(-time.Hour)), list(0, 3, 99, "cam/2024-05-01_10-00-00.000/"))
	f, err := Gather(t.Context(), &b.Memory, cam, id, began.Add(41*time.Second))
	if err != nil || f.State.Base != 8 || len(f.State.Splits) != 1 || f.State.Splits[0].Name != string(second) || f.State.Splits[0].Final != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	over := list(8, 15, 99, dir)
	over.Type, over.EndList = m3u8.VOD, true
	archive(second, over)
	f, err = Gather(t.Context(), &b.Memory, cam, id, began.Add(20*time.Second))
	if err != nil || len(f.State.Splits) != 2 || f.State.Splits[0].Final == 0 || f.State.Splits[1].First != 15 || f.State.Splits[1].Name != string(segmenter.NewRecordingID(began.Add(30*time.Second))) {
		t.Fatalf("%+v, %v", f, err)
	}
	if f.Split.Name != string(segmenter.NewRecordingID(began.Add(40*time.Second))) { // the clock is behind, the end of the last segment is not
		t.Errorf("%+v", f.Split)
	}
}

func TestNothingToGoOnWith(t *testing.T) {
	b := fill(t, 20, 10, 20, 20, 99)
	m := list(10, 20, 99, "")
	m.EndList = true
	b.put(segmenter.Name{Kind: segmenter.KindLive, Recording: id}, m.Append(nil), storage.Attributes{})
	if _, err := Gather(t.Context(), &b.Memory, cam, id, began); !errors.Is(err, ErrOver) {
		t.Error(err)
	}
	if _, err := Gather(t.Context(), &storetest.Memory{}, cam, id, began); !errors.Is(err, ErrOver) {
		t.Error(err)
	}
}

// Playlists that contradict each other, as a damaged one does, are not gone on with, and take no memory.
func TestContradiction(t *testing.T) {
	for name, first := range map[string]uint64{"far ahead": 1 << 40, "as far as numbers go": 1<<62 - 20} {
		b := fill(t, 20, first, first+10, 20, 99)
		if _, err := Gather(t.Context(), &b.Memory, cam, id, began); !errors.Is(err, ErrOver) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := fill(t, 0, 0, 10, 10, 99)
	b.put(segmenter.Name{Kind: segmenter.KindArchive, Recording: id}, list(100, 110, 99, "cam/"+string(id)+"/").Append(nil), storage.Attributes{})
	if _, err := Gather(t.Context(), &b.Memory, cam, id, began); !errors.Is(err, ErrOver) {
		t.Errorf("behind: %v", err)
	}
}

// A store that does not answer leaves nothing half known.
func TestStoreFails(t *testing.T) {
	b := fill(t, 20, 10, 20, 20, 99)
	away := errors.New("away")
	for _, op := range []storetest.Op{storetest.OpGet, storetest.OpStat, storetest.OpList} {
		s := storetest.NewFaulty(&b.Memory)
		s.Set(storetest.Fault{Ops: []storetest.Op{op}, Err: away})
		if _, err := Gather(t.Context(), s, cam, id, began); !errors.Is(err, away) {
			t.Errorf("%s: %v", op, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Gather(ctx, &b.Memory, cam, id, began); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Of what no playlist lists any more, that which the store does not have was a gap. Finding that out takes a few requests, however much it is.
func TestGapsThatNoPlaylistLists(t *testing.T) {
	for _, c := range []struct{ archived, first, next uint64 }{{5, 10, 20}, {1, 99, 110}, {95, 230, 240}, {1, 4321, 4330}} {
		b := fill(t, c.archived, c.first, c.next, c.next, 1<<40)
		lost := map[uint64]bool{}
		for n := c.archived; n < c.first; n += 1 + n%7 {
			lost[n] = true
			name := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: n}
			if err := b.Remove(t.Context(), name.String()); err != nil {
				t.Fatal(err)
			}
		}
		lists := 0
		store := storetest.NewFaulty(&b.Memory)
		store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpList}, Match: func(op storetest.Op, _ string) bool {
			if op == storetest.OpList {
				lists++
			}
			return false
		}})
		f, err := Gather(t.Context(), store, cam, id, began.Add(time.Hour))
		if err != nil || f.State.Next != c.next || lists > 1+3 {
			t.Fatalf("%+v: %v, %d lists", c, err, lists)
		}
		for _, r := range f.State.Rows {
			if r.Gap != lost[r.Sequence] {
				t.Errorf("%+v: %+v", c, r)
			}
		}
	}
}

// What is found of the rungs of a ladder goes on at one number, in timestamped playlists of one name.
func TestAlign(t *testing.T) {
	a, b := &Found{}, &Found{}
	a.State.Next, a.Split.Name = 7, "2024-05-01_11-00-14.000"
	b.State.Next, b.Split.Name = 9, "2024-05-01_11-00-13.000"
	Align([]*Found{a, b})
	for _, f := range []*Found{a, b} {
		if f.State.Next != 9 || f.Split.First != 9 || f.Split.Name != "2024-05-01_11-00-14.000" {
			t.Errorf("%+v", f)
		}
	}
}

// A ladder consists of what its multivariant playlists of that recording name.
func TestRungs(t *testing.T) {
	store := &storetest.Memory{}
	show := segmenter.Key{App: "live", Stream: "show"}
	put := func(n segmenter.Name, uris ...string) {
		m := m3u8.Master{}
		for _, uri := range uris {
			m.Variants = append(m.Variants, m3u8.Variant{URI: uri, Bandwidth: 1000, Codecs: "avc1.64001f"})
		}
		n.App, n.Stream = show.App, show.Stream
		if _, err := store.Put(t.Context(), n.String(), bytes.NewReader(m.Append(nil)), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Rungs(t.Context(), store, show, id); err != nil || len(got) != 0 {
		t.Errorf("of nothing %v, %v", got, err)
	}
	later := string(segmenter.NewRecordingID(began.Add(time.Minute)))
	put(segmenter.Name{Kind: segmenter.KindArchive, Recording: "2024-05-01_10-00-00.000"}, "before-2024-05-01_10-00-00.000.m3u8")
	if got, err := Rungs(t.Context(), store, show, id); err != nil || len(got) != 0 {
		t.Errorf("of another recording %v, %v", got, err)
	}
	put(segmenter.Name{Kind: segmenter.KindArchive, Recording: id}, "high-"+string(id)+".m3u8", "outside-"+string(id)+".m3u8")
	put(segmenter.Name{Kind: segmenter.KindArchive, Recording: segmenter.RecordingID(later)}, "high-"+later+".m3u8", "low-"+later+".m3u8")
	put(segmenter.Name{Kind: segmenter.KindEntry}, "mid/"+string(id)+"/live.m3u8", "old/2024-05-01_10-00-00.000/live.m3u8", "../../elsewhere.m3u8")
	if got, err := Rungs(t.Context(), store, show, id); err != nil || fmt.Sprint(got) != "[mid high low]" {
		t.Errorf("%v, %v", got, err)
	}
}
