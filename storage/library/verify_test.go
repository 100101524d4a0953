package library_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// findings is a report in short: problem and sequence.
func findings(r *library.Report) []string {
	list := []string{}
	for _, f := range r.Findings {
		s := string(f.Problem)
		if f.Sequence != nil {
			s += fmt.Sprint(" ", *f.Sequence)
		}
		list = append(list, s)
	}
	return list
}

func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*shelf, *tape)
		want []string // by listing
		deep []string // by reading; nil: the same
	}{
		{"whole", func(s *shelf, tp *tape) {}, nil, nil},
		{"deleted", func(s *shelf, tp *tape) { s.remove(tp.name(3).String()) }, []string{"missing 3"}, nil},
		{"truncated", func(s *shelf, tp *tape) {
			key := tp.name(2).String()
			s.put(key, storetest.Read(s.t, s, key, 0, 188*20))
		}, []string{"size 2"}, nil},
		{"swapped", func(s *shelf, tp *tape) {
			a, b := tp.name(1).String(), tp.name(4).String()
			x, y := storetest.Read(s.t, s, a, 0, -1), storetest.Read(s.t, s, b, 0, -1)
			if len(x) != len(y) {
				s.t.Fatal("the two differ in size: the test shows nothing")
			}
			s.put(a, y)
			s.put(b, x)
		}, []string{}, []string{"checksum 1", "checksum 4"}},
		{"swapped, no checksums", func(s *shelf, tp *tape) {
			a, b := tp.name(1).String(), tp.name(4).String()
			x, y := storetest.Read(s.t, s, a, 0, -1), storetest.Read(s.t, s, b, 0, -1)
			s.put(a, y)
			s.put(b, x)
			for i := range tp.media.Segments {
				tp.media.Segments[i].Size = 0
			}
			tp.write(true)
		}, []string{}, []string{"media 1", "media 2", "media 4"}}, // 5 begins with a discontinuity
		{"one bit", func(s *shelf, tp *tape) {
			key := tp.name(2).String()
			body := storetest.Read(s.t, s, key, 0, -1)
			body[5000] ^= 1
			s.put(key, body)
		}, []string{}, []string{"checksum 2"}},
		{"no stream", func(s *shelf, tp *tape) {
			s.put(tp.name(0).String(), bytes.Repeat([]byte("x"), int(tp.media.Segments[0].Size)))
		}, []string{}, []string{"media 0"}},
		{"names too much", func(s *shelf, tp *tape) {
			seg := tp.media.Segments[6]
			seg.URI = tp.stream + "/" + string(tp.folder) + "/000000007.ts"
			tp.media.Segments = append(tp.media.Segments, seg)
			tp.write(true)
		}, []string{"missing 7"}, nil},
		{"unlisted", func(s *shelf, tp *tape) { tp.add(1) }, []string{"unlisted 7"}, nil},
		{"gap", func(s *shelf, tp *tape) {
			tp.media.Segments[3].Gap, tp.media.Segments[3].Size = true, 0
			tp.write(true)
			s.remove(tp.name(3).String())
		}, []string{"gap 3"}, nil},
		{"gap with object", func(s *shelf, tp *tape) {
			tp.media.Segments[3].Gap, tp.media.Segments[3].Size = true, 0
			tp.write(true)
		}, []string{"returned 3"}, nil},
		{"no end", func(s *shelf, tp *tape) { tp.write(false) }, []string{"open"}, nil},
		{"other stream's segment", func(s *shelf, tp *tape) {
			tp.media.Segments[6].URI = "other/2023-08-24_16-02-52.970/000000006.ts"
			s.put("live/streams/other/2023-08-24_16-02-52.970/000000006.ts", storetest.Read(s.t, s, tp.name(6).String(), 0, -1))
			s.remove(tp.name(6).String())
			tp.write(true)
		}, []string{"bad-playlist"}, nil},
		{"foreign URI", func(s *shelf, tp *tape) {
			tp.media.Segments[6].URI = "https://example.com/6.ts"
			s.remove(tp.name(6).String())
			tp.write(true)
		}, []string{"bad-playlist"}, nil},
		{"twice", func(s *shelf, tp *tape) {
			tp.media.Segments = append(tp.media.Segments, tp.media.Segments[6])
			tp.write(true)
		}, []string{"bad-playlist"}, nil},
		{"too long", func(s *shelf, tp *tape) {
			tp.media.TargetDuration = 1
			tp.media.Segments = tp.media.Segments[:1]
			tp.write(true)
			for i := range uint64(6) {
				s.remove(tp.name(i + 1).String())
			}
		}, []string{"bad-playlist 0"}, nil},
		{"no playlist at all", func(s *shelf, tp *tape) { s.put(tp.key(), []byte("502 Bad Gateway")) }, []string{"bad-playlist"}, nil},
		{"playlist deleted", func(s *shelf, tp *tape) { s.remove(tp.key()) }, []string{"no-playlist"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShelf(t)
			tp := s.tape("live", "cam", firstFrame).add(5).drop(time.Minute).add(2).write(true)
			c.do(s, tp)
			if c.want == nil {
				c.want = []string{}
			}
			for _, deep := range []bool{false, true} {
				want := c.want
				if deep && c.deep != nil {
					want = c.deep
				}
				r, err := s.lib.Verify(t.Context(), tp.ref(), library.VerifyOptions{Checksums: deep})
				if err != nil {
					t.Fatal(err)
				}
				if got := findings(r); !slices.Equal(got, want) {
					t.Errorf("deep %v: %q, want %q: %+v", deep, got, want, r.Findings)
				}
				notices := c.name == "whole" || c.name == "gap" || c.name == "gap with object" || c.name == "no end" || len(want) == 0
				if r.Sound != notices || r.Whole != (notices && c.name != "gap") {
					t.Errorf("sound: %v, whole: %v", r.Sound, r.Whole)
				}
				if c.name == "gap" && (r.Lost != library.Seconds(2*time.Second) || r.Findings[0].Detail == "") {
					t.Errorf("%v lost: %+v", r.Lost, r.Findings)
				}
				if b, err := json.Marshal(r); err != nil || !json.Valid(b) {
					t.Errorf("%s, %v", b, err)
				}
			}
		})
	}
}

// A running recording, its playlist stored compressed and behind, has nothing wrong with it.
func TestVerifyGrowing(t *testing.T) {
	s := newShelf(t)
	s.lib = library.New(s, library.Options{Now: func() time.Time { return s.now.Add(time.Minute) }})
	tp := s.tape("live", "cam", firstFrame).add(5)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(tp.media.Append(nil))
	z.Close()
	if _, err := s.Put(t.Context(), tp.key(), bytes.NewReader(b.Bytes()), storage.Attributes{ContentEncoding: "gzip"}); err != nil {
		t.Fatal(err)
	}
	tp.add(3)
	r, err := s.lib.Verify(t.Context(), tp.ref(), library.VerifyOptions{Checksums: true})
	if err != nil || !r.Whole || len(r.Findings) != 0 || r.Checked != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestVerifySplitsAndGroups(t *testing.T) {
	s := newShelf(t)
	one := s.tape("live", "cam", firstFrame).add(3).write(true)
	two := one.split().add(4).write(true)
	three := two.split().add(2).write(true)
	s.tape("live", "cam", firstFrame.Add(time.Hour)).add(2).write(true)
	s.remove(two.name(4).String())
	for i, c := range []struct {
		tp   *tape
		want []string
	}{{one, []string{}}, {two, []string{"missing 4"}}, {three, []string{}}} {
		r, err := s.lib.Verify(t.Context(), c.tp.ref(), library.VerifyOptions{Checksums: true})
		if err != nil || !slices.Equal(findings(r), c.want) {
			t.Errorf("split %d: %+v, %v", i, r, err)
		}
	}
	s.remove(two.key()) // now its segments are unlisted, between those of its neighbours
	r, err := s.lib.Verify(t.Context(), one.ref(), library.VerifyOptions{})
	if err != nil || !slices.Equal(findings(r), []string{"unlisted 3", "unlisted 5", "unlisted 6"}) {
		t.Errorf("%+v, %v", r, err)
	}

	group := library.RecordingRef{App: "live", Stream: "show", ID: one.ref().ID}
	s.put("live/streams/show-"+string(group.ID)+".m3u8", (&m3u8.Master{Variants: []m3u8.Variant{
		{URI: "cam-" + string(group.ID) + ".m3u8", Bandwidth: 2}, {URI: "low-" + string(group.ID) + ".m3u8", Bandwidth: 1}}}).Append(nil))
	for apart, want := range map[bool][]string{true: {"missing"}, false: {"missing 1", "unlisted 3", "unlisted 5", "unlisted 6", "missing"}} {
		s.remove(one.name(1).String())
		r, err = s.lib.Verify(t.Context(), group, library.VerifyOptions{Apart: apart})
		if err != nil || !slices.Equal(findings(r), want) || r.Whole || apart != (r.Checked == 0) || apart != (r.Lost == 0) || time.Duration(r.Recording.Duration) != 6*time.Second {
			t.Errorf("apart %v: %+v, %v", apart, r, err)
		}
	}
	if _, err := s.lib.Verify(t.Context(), library.RecordingRef{App: "live", Stream: "x", ID: group.ID}, library.VerifyOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A store that fails is no damage of the recording.
func TestVerifyStoreAway(t *testing.T) {
	s := newShelf(t)
	tp := s.tape("live", "cam", firstFrame).add(2).write(true)
	f := storetest.NewFaulty(s)
	lib := library.New(f, library.Options{})
	for _, op := range []storetest.Op{storetest.OpGet, storetest.OpList} {
		f.Set(storetest.Fault{Ops: []storetest.Op{op}, Err: errFlaky})
		if _, err := lib.Verify(t.Context(), tp.ref(), library.VerifyOptions{Checksums: true}); !errors.Is(err, errFlaky) {
			t.Errorf("%s: %v", op, err)
		}
	}
}
