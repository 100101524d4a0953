package library_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// shelf is a bucket with recordings in it, and a clock that stands at a day after the first of them.
type shelf struct {
	*storetest.Memory
	t   *testing.T
	now time.Time
	lib *library.Library
}

var errFlaky = errors.New("flaky")

var firstFrame = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

func newShelf(t *testing.T) *shelf {
	s := &shelf{Memory: &storetest.Memory{}, t: t, now: firstFrame}
	s.Memory.Now = func() time.Time { return s.now }
	s.lib = library.New(s, library.Options{Now: func() time.Time { return s.now.Add(24 * time.Hour) }})
	return s
}

func (s *shelf) put(key string, body []byte) {
	s.t.Helper()
	if _, err := s.Put(s.t.Context(), key, bytes.NewReader(body), storage.Attributes{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) remove(key string) {
	s.t.Helper()
	if err := s.Remove(s.t.Context(), key); err != nil {
		s.t.Fatal(err)
	}
}

// tape is one recording: segments of 2 s, 25 pictures a second, one keyframe each, with sound.
type tape struct {
	s      *shelf
	app    string
	stream string
	folder segmenter.RecordingID
	mux    *mpegts.Muxer
	pool   *mpegts.Pool
	rand   *rand.Rand
	dts    int64
	clock  time.Time
	sps    []byte
	media  m3u8.Media
	starts map[uint64]time.Time
	breaks bool // the next segment is a discontinuity
}

const tapeSegment = 2 * 90000

func (s *shelf) tape(app, stream string, at time.Time) *tape {
	mux, err := mpegts.NewMuxer(mpegts.Config{Video: mpegts.H264, Audio: mpegts.AAC, ASC: []byte{0x11, 0x90}})
	if err != nil {
		s.t.Fatal(err)
	}
	return &tape{
		pool: new(mpegts.Pool), starts: make(map[uint64]time.Time), s: s, app: app, stream: stream, folder: segmenter.NewRecordingID(at), mux: mux, dts: 1<<33 - 5*90000, clock: at,
		rand: rand.New(rand.NewPCG(uint64(len(stream)), uint64(at.UnixNano()))),
		sps:  []byte{0x67, 0x42, 0xC0, 0x0D, 0xD9, 0x01, 0x41, 0xFB, 0x01, 0x10},
		media: m3u8.Media{
			Type: m3u8.Event, TargetDuration: 2, IndependentSegments: true,
		},
	}
}

func (t *tape) name(seq uint64) segmenter.Name {
	return segmenter.Name{Kind: segmenter.KindSegment, App: t.app, Stream: t.stream, Recording: t.folder, Sequence: seq}
}

func (t *tape) next() uint64 { return t.media.MediaSequence + uint64(len(t.media.Segments)) }

func (t *tape) noise(n int, head ...byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + t.rand.IntN(255))
	}
	copy(b, head)
	return b
}

// add makes so many segments and stores them.
func (t *tape) add(n int) *tape {
	for range n {
		b := t.pool.Buffer()
		if t.breaks {
			t.mux.Discontinuity()
		}
		t.mux.Begin(b)
		for f := range int64(50) {
			size, head := 300, byte(0x41)
			if f == 0 {
				size, head = 2000, 0x65
			}
			dts := t.dts + f*3600
			t.mux.Video(b, mpegts.VideoUnit{PTS: dts + 3600, DTS: dts, IDR: f == 0, Units: [][]byte{t.noise(size, head)},
				ParameterSets: [][]byte{t.sps, {0x68, 0xCB, 0x83, 0xCB, 0x20}}})
			t.mux.Audio(b, dts, t.noise(50))
		}
		t.mux.FlushAudio(b)
		body := bytes.Join(b.Slices(nil), nil)
		b.Release()
		seg := m3u8.Segment{
			URI: t.stream + "/" + string(t.folder) + "/" + segmenter.SegmentFile(t.next()), Duration: tapeSegment, Discontinuity: t.breaks,
			Size: int64(len(body)), CRC32C: crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)),
		}
		if t.breaks || len(t.media.Segments) == 0 {
			seg.ProgramDateTime = t.clock
		}
		t.starts[t.next()] = t.clock
		t.breaks = false
		t.clock = t.clock.Add(2 * time.Second)
		t.s.now = t.clock
		t.s.put(t.name(t.next()).String(), body)
		t.media.Segments = append(t.media.Segments, seg)
		t.dts += tapeSegment
	}
	return t
}

// drop is what a publisher leaves who is away for a while: another time line.
func (t *tape) drop(away time.Duration) *tape {
	t.dts, t.breaks, t.clock = 12345, true, t.clock.Add(away)
	return t
}

func (t *tape) ref() library.RecordingRef {
	return library.RecordingRef{App: t.app, Stream: t.stream, ID: segmenter.NewRecordingID(t.media.Segments[0].ProgramDateTime)}
}

func (t *tape) key() string {
	r := t.ref()
	return segmenter.Name{Kind: segmenter.KindArchive, App: r.App, Stream: r.Stream, Recording: r.ID}.String()
}

// write stores the timestamped playlist of what there is.
func (t *tape) write(ended bool) *tape {
	m := t.media
	if ended {
		m.Type, m.EndList = m3u8.VOD, true
	}
	t.s.put(t.key(), m.Append(nil))
	return t
}

// writeLive stores the rolling playlist of the last n segments.
func (t *tape) writeLive(n int) *tape {
	m := t.media
	first := max(0, len(m.Segments)-n)
	m.Type = m3u8.Sliding
	m.MediaSequence += uint64(first)
	for _, seg := range m.Segments[:first] {
		if seg.Discontinuity {
			m.DiscontinuitySequence++
		}
	}
	m.Segments = slices.Clone(m.Segments[first:])
	for i := range m.Segments {
		seg := &m.Segments[i]
		seg.URI, seg.Size = segmenter.SegmentFile(m.MediaSequence+uint64(i)), 0
	}
	m.Segments[0].ProgramDateTime = t.starts[m.MediaSequence]
	n2 := t.name(0)
	n2.Kind = segmenter.KindLive
	t.s.put(n2.String(), m.Append(nil))
	return t
}

// writeEntry stores the stable entry.
func (t *tape) writeEntry() *tape {
	m := m3u8.Master{Variants: []m3u8.Variant{{URI: t.stream + "/" + string(t.folder) + "/live.m3u8", Bandwidth: 1}}}
	for _, adaptive := range []bool{false, true} {
		t.s.put(segmenter.Name{Kind: segmenter.KindEntry, App: t.app, Stream: t.stream, Adaptive: adaptive}.String(), m.Append(nil))
	}
	return t
}

// split begins the next timestamped playlist of the same recording.
func (t *tape) split() *tape {
	next := *t
	next.media.MediaSequence = t.next()
	next.media.DiscontinuitySequence = t.media.DiscontinuitySequence
	next.media.Segments = nil
	return &next
}

func TestRecordingRef(t *testing.T) {
	want := library.RecordingRef{App: "live", Stream: "cam-2", ID: "2023-08-24_16-02-52.970"}
	for _, s := range []string{"live/cam-2-2023-08-24_16-02-52.970", "live/streams/cam-2-2023-08-24_16-02-52.970.m3u8", "live/cam-2-2023-08-24_16-02-52.970.m3u8"} {
		if got, err := library.ParseRecordingRef(s); got != want || err != nil {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	if want.String() != "live/cam-2-2023-08-24_16-02-52.970" {
		t.Error(want.String())
	}
	for _, s := range []string{"", "live", "live/cam", "cam-2023-08-24_16-02-52.970", "live/cam-2023-08-24", "live/../cam-2023-08-24_16-02-52.970", "live/cam/2023-08-24_16-02-52.970/000000001.ts"} {
		if got, err := library.ParseRecordingRef(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestListRecordings(t *testing.T) {
	s := newShelf(t)
	one := s.tape("live", "cam", firstFrame).add(3).drop(time.Minute).add(2).write(true)
	two := s.tape("live", "cam", firstFrame.Add(time.Hour)).add(2) // no playlist
	ten := s.tape("live", "cam10", firstFrame).add(1).write(false)
	s.tape("other", "cam", firstFrame).add(1).write(true)
	s.put("live/streams/group-2023-08-24_16-02-52.970.m3u8", (&m3u8.Master{Variants: []m3u8.Variant{
		{URI: "cam-2023-08-24_16-02-52.970.m3u8", Bandwidth: 2}, {URI: "cam10-2023-08-24_16-02-52.970.m3u8", Bandwidth: 1}}}).Append(nil))
	s.put("live/streams/bad-2023-08-24_16-02-52.970.m3u8", []byte("<html>"))
	s.put("stray/file", nil)
	s.put("live/streams/stray.txt", nil)

	list, err := listed(s.lib.List(t.Context(), "", ""))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list {
		got = append(got, fmt.Sprintf("%s ended=%v playlist=%v segments=%d gaps=%d %v group=%d damaged=%v", r.RecordingRef, r.Ended, r.Playlist != "",
			r.Segments, r.Gaps, time.Duration(r.Duration), len(r.Group), r.Damage != ""))
	}
	want := []string{
		"live/bad-2023-08-24_16-02-52.970 ended=false playlist=true segments=0 gaps=0 0s group=0 damaged=true",
		one.ref().String() + " ended=true playlist=true segments=5 gaps=0 10s group=0 damaged=false",
		two.ref().String() + " ended=false playlist=false segments=2 gaps=0 0s group=0 damaged=false",
		ten.ref().String() + " ended=false playlist=true segments=1 gaps=0 2s group=0 damaged=false",
		"live/group-2023-08-24_16-02-52.970 ended=true playlist=true segments=0 gaps=0 10s group=2 damaged=false",
		"other/cam-2023-08-24_16-02-52.970 ended=true playlist=true segments=1 gaps=0 2s group=0 damaged=false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s.tape("live", "cam", firstFrame).add(3).write(false) // the ladder's first rung is growing
	list, err = listed(s.lib.List(t.Context(), "live", "group"))
	if shown, _, showErr := s.lib.Show(t.Context(), list[0].RecordingRef); err != nil || showErr != nil || list[0].Ended || shown.Ended || time.Duration(list[0].Duration) != 6*time.Second || shown.Duration != list[0].Duration || !shown.Start.Equal(firstFrame) {
		t.Errorf("a ladder: %+v, %v; %+v, %v", list[0], err, shown, showErr)
	}
	one.write(true)
	list, err = listed(s.lib.List(t.Context(), "live", "cam"))
	if err != nil || len(list) != 2 || list[0].RecordingRef != one.ref() {
		t.Errorf("one stream: %v, %v", list, err)
	}
	var sizes int64
	for _, seg := range one.media.Segments {
		sizes += seg.Size
	}
	if list[0].Bytes != sizes || !list[0].Start.Equal(firstFrame) {
		t.Errorf("%+v", list[0])
	}
	if _, _, err := s.lib.Show(t.Context(), library.RecordingRef{App: "live", Stream: "none", ID: "2023-08-24_16-02-52.970"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("show of nothing: %v", err)
	}
	if r, m, err := s.lib.Show(t.Context(), one.ref()); err != nil || len(m.Segments) != 5 || r.Segments != 5 {
		t.Errorf("show: %+v, %v", r, err)
	}
	if r, m, err := s.lib.Show(t.Context(), two.ref()); err != nil || m != nil || r.Segments != 2 {
		t.Errorf("show of a folder: %+v, %v", r, err)
	}
}

// listed collects what is listed.
func listed(seq iter.Seq2[library.Recording, error]) (list []library.Recording, err error) {
	for r, e := range seq {
		if e != nil {
			return list, e
		}
		list = append(list, r)
	}
	return list, nil
}

// A listing hands each recording on when it is known, holds few playlists at a time, and ends when nobody wants more.
func TestListStreams(t *testing.T) {
	s := newShelf(t)
	for day := range 200 {
		s.tape("live", "cam", firstFrame.AddDate(0, 0, day)).add(1).write(true)
	}
	s.tape("live", "zoo", firstFrame).add(1) // no playlist
	n := 0
	for r, err := range s.lib.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
		_ = r
	}
	if n != 3 {
		t.Errorf("%d recordings", n)
	}
	list, err := listed(s.lib.List(t.Context(), "", ""))
	if err != nil || len(list) != 201 || !slices.IsSortedFunc(list, func(a, b library.Recording) int {
		return strings.Compare(a.RecordingRef.String(), b.RecordingRef.String())
	}) {
		t.Errorf("%d recordings, %v", len(list), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, failed := 0, 0
	for _, err := range s.lib.List(ctx, "", "") {
		if err != nil {
			failed++
			continue
		}
		seen++
		cancel()
	}
	if failed != 1 || seen == 0 || seen > 100 {
		t.Errorf("%d recordings after the end, %d errors", seen, failed)
	}
}
