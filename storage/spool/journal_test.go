package spool

import (
	"bytes"
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

// sample is a journal with every kind of record, and the state that it says.
func sample() ([]byte, State) {
	b := Batch{buf: []byte(magic)}
	b.begin(testID)
	b.session("boot-1", Segment)
	meta := Meta{TargetDuration: 4, Bandwidth: 3_000_000, Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 25, Window: 15}
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

// A crash can end a journal anywhere, and a disk can hold anything behind that point.
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
	if len(s.Rows) != 6 || s.Journaled != 5 {
		t.Fatalf("%d rows, %d of them journalled", len(s.Rows), s.Journaled)
	}
	gap := s.Rows[5]
	want := Row{Sequence: 5, Start: s.Rows[4].Start.Add(time.Duration(s.Rows[4].Duration) * time.Second / 90000), Duration: s.Rows[4].Duration,
		Gap: true, Dropped: true, DiscontinuitySequence: 1}
	if diff := cmp.Diff(want, gap); diff != "" {
		t.Error(diff)
	}
}

func TestJournalRefusesAbsurdNumbers(t *testing.T) {
	data, _ := sample()
	for name, add := range map[string]func(*Batch){
		"far number":   func(b *Batch) { b.Opened(1<<40, began) },
		"row skipped":  func(b *Batch) { b.Row(Row{Sequence: 99, Start: began}) },
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

// FuzzRecords gives the reader records whose checksums are right.
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
