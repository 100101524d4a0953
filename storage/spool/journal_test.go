package spool

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files anew")

var began = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

var testID = ID{App: "live", Stream: "cam", Recording: "2023-08-24_16-02-52.970"}

// sample returns a journal with every kind of record, and the state it describes.
func sample() ([]byte, State) {
	b := Batch{buf: []byte(magic)}
	b.begin(testID)
	b.session("boot-1", Segment)
	meta := Meta{TargetDuration: 4, Bandwidth: 3_000_000, Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 25, Window: 15, Base: new(uint64)}
	b.Opened(0, began)
	b.Meta(meta)
	var rows []Row
	for i := range 5 {
		r := Row{
			Sequence: uint64(i), Start: began.Add(time.Duration(i) * 4 * time.Second), Duration: 360000 + int64(i), Size: 1_000_000 + int64(i)*188,
			CRC32C: 0xdeadbeef + uint32(i), Discontinuity: i == 3, Independent: i != 4, DiscontinuitySequence: uint64(i / 4),
		}
		b.Row(r)
		b.Opened(uint64(i+1), r.Start.Add(4*time.Second))
		rows = append(rows, r)
	}
	b.Split(Split{First: 0, Name: testID.Recording})
	b.Confirmed(0, 0, 3)
	b.Confirmed(1, 2, 1)
	b.Dropped(3, 1)
	b.Split(Split{First: 4, Name: "2023-08-24_16-03-08.970"})
	b.Final(0, 0)
	b.Seen(began.Add(time.Minute))
	b.Superseded()
	b.Ended()
	for i := range 3 {
		rows[i].Confirmed |= 1
	}
	rows[2].Confirmed |= 2
	rows[3].Dropped = true
	return b.buf, State{
		ID: testID, Meta: meta, Rows: rows, Next: 6, LastFrame: began.Add(time.Minute), Superseded: true, Ended: true,
		Splits: []Split{{First: 0, Name: testID.Recording, Final: 1}, {First: 4, Name: "2023-08-24_16-03-08.970"}},
	}
}

func TestJournalRoundTrip(t *testing.T) {
	data, want := sample()
	got, good, err := Read(data)
	if err != nil || good != len(data) {
		t.Fatalf("read %d of %d bytes: %v", good, len(data), err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(State{})); diff != "" {
		t.Error(diff)
	}
}

func TestJournalGolden(t *testing.T) {
	data, _ := sample()
	name := filepath.Join("testdata", "journal.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Error("the format has changed: an older journal must stay readable, so this needs a new version; -update after that")
	}
}

// A crash can end a journal anywhere, and a disk can hold anything after that point.
func TestJournalTornAtEveryOffset(t *testing.T) {
	data, _ := sample()
	whole, _, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		for name, tail := range map[string][]byte{"nothing": nil, "zeros": make([]byte, 64), "garbage": bytes.Repeat([]byte{0xa5}, 64)} {
			s, good, err := Read(append(slices.Clone(data[:n]), tail...))
			if err != nil {
				continue // not even the beginning is there
			}
			if good > n {
				t.Fatalf("cut at %d, then %s: %d bytes are taken for good", n, name, good)
			}
			again, good2, err := Read(data[:good])
			if err != nil || good2 != good {
				t.Fatalf("cut at %d: the good part reads as %d bytes: %v", n, good2, err)
			}
			again.Damage = s.Damage // what is cut off is reported
			if diff := cmp.Diff(again, s, cmp.AllowUnexported(State{})); diff != "" {
				t.Fatalf("cut at %d, then %s: %s", n, name, diff)
			}
			for i := range s.Rows {
				if s.Rows[i].Sequence != whole.Rows[i].Sequence || s.Rows[i].CRC32C != whole.Rows[i].CRC32C {
					t.Fatalf("cut at %d: row %d is %+v", n, i, s.Rows[i])
				}
			}
		}
	}
}

func TestJournalDamagedAtEveryByte(t *testing.T) {
	data, _ := sample()
	for i := len(magic); i < len(data); i++ {
		bad := slices.Clone(data)
		bad[i] ^= 0x40
		if _, good, err := Read(bad); err == nil && good > i {
			t.Fatalf("damage at byte %d goes unnoticed: %d bytes are taken for good", i, good)
		}
	}
}

func TestJournalFillsWhatWasOpened(t *testing.T) {
	data, _ := sample()
	s, _, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	s.fill()
	if len(s.Rows) != 6 {
		t.Fatalf("%d rows", len(s.Rows))
	}
	unknown := s.Rows[5]
	want := Row{Sequence: 5, Start: s.Rows[4].Start.Add(time.Duration(s.Rows[4].Duration) * time.Second / 90000), Duration: s.Rows[4].Duration,
		Unknown: true, DiscontinuitySequence: 1}
	if diff := cmp.Diff(want, unknown); diff != "" {
		t.Error(diff)
	}
}

func TestJournalRefusesAbsurdNumbers(t *testing.T) {
	data, _ := sample()
	for name, add := range map[string]func(*Batch){
		"far number":   func(b *Batch) { b.Opened(1<<40, began) },
		"far row":      func(b *Batch) { b.Row(Row{Sequence: 99 + maxSkip, Start: began}) },
		"row again":    func(b *Batch) { b.Row(Row{Sequence: 2, Start: began}) },
		"last number":  func(b *Batch) { b.Opened(1<<64-1, began) },
		"second begin": func(b *Batch) { b.begin(ID{"a", "b", "c"}) },
	} {
		b := Batch{buf: slices.Clone(data)}
		add(&b)
		s, good, err := Read(b.buf)
		if err != nil || good != len(data) || s.Next != 6 {
			t.Errorf("%s: %d of %d bytes taken for good, next %d, %v", name, good, len(b.buf), s.Next, err)
		}
	}
}

func TestJournalTrust(t *testing.T) {
	for _, c := range []struct {
		sync   Sync
		boot   string
		synced bool
		want   bool
	}{
		{Segment, "other", false, true},
		{Never, "boot", false, true},
		{Never, "other", false, false},
		{Never, "other", true, true},
		{Never, "", false, false},
	} {
		b := Batch{buf: []byte(magic)}
		b.begin(testID)
		b.session("boot", c.sync)
		if c.synced {
			b.synced()
		}
		s, _, err := Read(b.buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.trusted(c.boot); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	data, _ := sample()
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, p []byte) {
		s, good, err := Read(p)
		if good > len(p) {
			t.Fatalf("%d of %d bytes are good", good, len(p))
		}
		if err != nil {
			return
		}
		s.fill()
		for i, r := range s.Rows {
			if r.Sequence != s.Base+uint64(i) || r.Sequence >= s.Next {
				t.Fatalf("row %d is %d; base %d, next %d", i, r.Sequence, s.Base, s.Next)
			}
		}
	})
}

// FuzzRecords feeds the reader records with correct checksums.
func FuzzRecords(f *testing.F) {
	data, _ := sample()
	for p := data[len(magic):]; len(p) > 0; {
		kind, payload, size, ok := next(p)
		if !ok {
			f.Fatal("sample")
		}
		f.Add(kind, payload, kind, payload)
		p = p[size:]
	}
	f.Fuzz(func(t *testing.T, k1 byte, p1 []byte, k2 byte, p2 []byte) {
		b := Batch{buf: []byte(magic)}
		b.begin(testID)
		for range 2 {
			at := b.open(k1)
			b.buf = append(b.buf, p1...)
			b.seal(at)
			at = b.open(k2)
			b.buf = append(b.buf, p2...)
			b.seal(at)
		}
		s, _, err := Read(b.buf)
		if err != nil {
			t.Fatal(err)
		}
		s.fill()
		for i, r := range s.Rows {
			if r.Sequence != s.Base+uint64(i) || r.Sequence >= s.Next {
				t.Fatalf("row %d is %d; base %d, next %d", i, r.Sequence, s.Base, s.Next)
			}
		}
	})
}

func BenchmarkRead24h(b *testing.B) {
	j := Batch{buf: []byte(magic)}
	j.begin(testID)
	for i := range uint64(43200) {
		j.Opened(i+1, began.Add(time.Duration(i)*2*time.Second))
		j.Row(Row{Sequence: i, Start: began.Add(time.Duration(i) * 2 * time.Second), Duration: 180000, Size: 250000, CRC32C: uint32(i) * 2654435761, Independent: true})
		j.Confirmed(0, i, 1)
	}
	b.SetBytes(int64(len(j.buf)))
	b.ReportAllocs()
	for b.Loop() {
		if s, _, err := Read(j.buf); err != nil || len(s.Rows) != 43200 {
			b.Fatal(err)
		}
	}
}

// marks returns where each record of a journal begins.
func marks(t testing.TB, data []byte) (at []int) {
	t.Helper()
	for p := len(magic); p < len(data); {
		_, _, size, ok := next(data[p:])
		if !ok {
			t.Fatalf("no record at %d", p)
		}
		at = append(at, p)
		p += size
	}
	return at
}

// Damage to one record affects that record and nothing else: what follows is read, and a row whose record is lost is unknown, not absent.
func TestJournalResumesBehindDamage(t *testing.T) {
	data, _ := sample()
	whole, _, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	at := append(marks(t, data), len(data))
	for k := range len(at) - 1 {
		from, to := at[k], at[k+1]
		kind := data[from+2]
		for name, bad := range map[string][]byte{
			"a flipped bit in its length":   flip(data, from),
			"a flipped bit in its kind":     flip(data, from+2),
			"a flipped bit in its checksum": flip(data, to-1),
			"a hole":                        hole(data, from, to),
			"cut out":                       append(slices.Clone(data[:from]), data[to:]...),
		} {
			s, good, err := Read(bad)
			if err != nil {
				t.Fatalf("record %d of kind %d, %s: %v", k, kind, name, err)
			}
			if name != "cut out" && (len(s.Damage) == 0 || good != from) {
				t.Errorf("record %d of kind %d, %s: %d bytes are good of %d, damage %v", k, kind, name, good, from, s.Damage)
			}
			s.ID = whole.ID
			s.fill()
			if s.Next != whole.Next && !(kind == recOpened && s.Next == whole.Next-1) { // nobody was shown the newest number
				t.Errorf("record %d of kind %d, %s: next is %d", k, kind, name, s.Next)
			}
			if len(s.Rows) < len(whole.Rows) {
				t.Fatalf("record %d of kind %d, %s: %d rows", k, kind, name, len(s.Rows))
			}
			unknown := 0
			for i, r := range whole.Rows {
				got := s.Rows[i]
				if got.Unknown && kind == recRow {
					if unknown++; unknown > 1 || got.Sequence != r.Sequence || got.Gap || got.Duration > 2*r.Duration || max(got.Start.Sub(r.Start), r.Start.Sub(got.Start)) > time.Second {
						t.Errorf("record %d, %s: row %d is taken for %+v", k, name, i, got)
					}
					continue
				}
				got.Confirmed, got.Dropped, r.Confirmed, r.Dropped = 0, false, 0, false
				if diff := cmp.Diff(r, got); diff != "" {
					t.Errorf("record %d of kind %d, %s: row %d: %s", k, kind, name, i, diff)
				}
			}
			if kind == recRow && unknown == 0 {
				t.Errorf("record %d, %s: no row is unknown", k, name)
			}
		}
	}
}

func flip(data []byte, at int) []byte {
	bad := slices.Clone(data)
	bad[at] ^= 0x04
	return bad
}

func hole(data []byte, from, to int) []byte {
	bad := slices.Clone(data)
	clear(bad[from:to])
	return bad
}

// A journal of another version is not damage, and damage to the first bytes is not another version.
func TestJournalVersions(t *testing.T) {
	data, _ := sample()
	for _, head := range []string{"hlsorigin journal 2\n", "hlsorigin journal 17\n"} {
		if _, _, err := Read(append([]byte(head), data[len(magic):]...)); !errors.Is(err, ErrLater) {
			t.Errorf("%q: %v", head, err)
		}
	}
	for i := range len(magic) {
		s, _, err := Read(flip(data, i))
		if errors.Is(err, ErrLater) {
			continue // one digit replaced by another
		}
		if err != nil || len(s.Rows) != 5 || len(s.Damage) != 1 {
			t.Errorf("byte %d of the first line damaged: %d rows, %v, %v", i, len(s.Rows), s.Damage, err)
		}
	}
	if _, _, err := Read([]byte("something else altogether")); !errors.Is(err, ErrNoJournal) {
		t.Errorf("%v", err)
	}
}

// What a later version wrote is preserved.
func TestJournalKeepsWhatALaterVersionWrote(t *testing.T) {
	b := Batch{buf: []byte(magic)}
	at := b.open(200)
	b.text("before all")
	b.seal(at)
	b.begin(testID)
	b.Opened(0, began)
	at = b.open(201)
	b.text("between")
	b.seal(at)
	b.Row(Row{Sequence: 0, Start: began, Duration: 180000, Size: 188})
	s, good, err := Read(b.buf)
	if err != nil || good != len(b.buf) || len(s.Rows) != 1 || len(s.Damage) != 0 {
		t.Fatalf("%+v, %d of %d, %v", s, good, len(b.buf), err)
	}
	again := Batch{buf: []byte(magic)}
	again.begin(testID)
	again.Later(s.Later)
	s2, _, err := Read(again.buf)
	if err != nil || !bytes.Equal(s2.Later, s.Later) || !bytes.Contains(s.Later, []byte("between")) || !bytes.Contains(s.Later, []byte("before all")) {
		t.Errorf("%q, %v", s2.Later, err)
	}
}

// Missing rows at the beginning of a journal are noticed if the first number is known from elsewhere.
func TestJournalKnowsWhereItBegins(t *testing.T) {
	base := uint64(40)
	b := Batch{buf: []byte(magic)}
	b.begin(testID)
	b.session("boot", Segment)
	b.Meta(Meta{TargetDuration: 2, Base: &base})
	from := len(b.buf)
	b.Row(Row{Sequence: 40, Start: began, Duration: 180000, Size: 188})
	to := len(b.buf)
	b.Row(Row{Sequence: 41, Start: began.Add(2 * time.Second), Duration: 180000, Size: 188})
	s, _, err := Read(flip(b.buf, to-1))
	if err != nil || s.Base != 40 || len(s.Rows) != 2 || !s.Rows[0].Unknown || !s.Rows[0].Start.Equal(began) {
		t.Errorf("%+v, %v", s.Rows, err)
	}
	_ = from
}

// What a target has as CMAF is known after a restart, and in a rewritten journal.
func TestJournalKnowsTracks(t *testing.T) {
	var b Batch
	b.begin(ID{"live", "cam", "2024-05-01_10-00-00.000"})
	for seq := range uint64(6) {
		b.Row(Row{Sequence: seq, Start: began, Duration: 180000, Size: 1000})
	}
	b.Tracks(2, 0, 3, Coding{1 << 31, 7})
	b.Tracks(2, 3, 1, Coding{})
	b.Tracks(3, 1, 1, Coding{1 << 31, 7})
	b.Tracks(2, 4, 1<<62, Coding{9, 1})
	st, _, err := Read(append([]byte(magic), b.buf...))
	if err != nil || len(st.Damage) > 0 {
		t.Fatal(err, st.Damage)
	}
	want := []Row{{Tracks: 4, Coding: Coding{1 << 31, 7}}, {Tracks: 12, Coding: Coding{1 << 31, 7}}, {Tracks: 4, Coding: Coding{1 << 31, 7}}, {Tracks: 4}, {Tracks: 4, Coding: Coding{9, 1}}, {Tracks: 4, Coding: Coding{9, 1}}}
	for i, w := range want {
		if r := st.Rows[i]; r.Tracks != w.Tracks || r.Coding != w.Coding || r.Confirmed != 0 {
			t.Errorf("%d: %+v", i, r)
		}
	}
	bad := Batch{buf: b.buf[:0:0]}
	bad.Tracks(8, 0, 1, Coding{})
	if st, _, err := Read(append(append([]byte(magic), b.buf...), bad.buf...)); err != nil || len(st.Damage) != 1 {
		t.Errorf("a target that there is not: %v, %+v", err, st.Damage)
	}
}
