package cue

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

var began = time.Date(2026, 11, 28, 18, 0, 0, 0, time.UTC)

// at is when the segment of a number begins, two seconds each.
func at(number uint64) time.Time { return began.Add(time.Duration(number) * 2 * time.Second) }

// A break goes out where it was ordered, runs, and comes back where it was planned to, or at the first segment after that.
func TestBreak(t *testing.T) {
	for _, tc := range []struct {
		name   string
		lasts  time.Duration
		in     uint64
		really time.Duration
	}{
		{"whole segments", 6 * time.Second, 6, 6 * time.Second}, {"in the middle of one", 5 * time.Second, 6, 6 * time.Second}, {"a frame late", 6*time.Second + 40*time.Millisecond, 6, 6 * time.Second},
		{"shorter than a segment", time.Second, 4, 2 * time.Second},
	} {
		var b Book
		if err := b.Order(Break{ID: "a", Number: 3, Duration: tc.lasts}); err != nil {
			t.Fatal(err)
		}
		for n := range uint64(9) {
			if !errors.Is(b.Order(Break{ID: "b", Number: 3}), ErrRunning) != (n > tc.in) {
				t.Errorf("%s: a second break at %d", tc.name, n)
			}
			if n > tc.in {
				b = Book{}
			}
			cues, running := b.Place(n, at(n))
			d, err := m3u8.ParseDateRange(cues)
			switch n {
			case 3:
				if err != nil || d.ID != "a" || !d.Start.Equal(at(3)) || d.Planned.Round(time.Millisecond) != tc.lasts || d.Out == nil || d.In != nil || running != "" {
					t.Errorf("%s: out: %q, %q, %v", tc.name, cues, running, err)
				}
			case tc.in:
				if err != nil || d.ID != "a" || !d.Start.Equal(at(3)) || d.Duration != tc.really || d.In == nil || d.Out != nil || running != "" {
					t.Errorf("%s: in: %q, %q, %v", tc.name, cues, running, err)
				}
			default:
				within := n > 3 && n < tc.in
				if cues != "" || (running != "") != within {
					t.Errorf("%s: at %d: %q, %q", tc.name, n, cues, running)
				}
			}
		}
	}
}

// A number that is never listed does not take the break away, and after a restart it ends as planned.
func TestBreakOverARestart(t *testing.T) {
	var b Book
	_ = b.Order(Break{ID: "a", Number: 3, Duration: 6 * time.Second})
	cues, running := b.Place(4, at(4))
	if !strings.Contains(cues, "SCTE35-OUT") || running != "" {
		t.Fatalf("%q, %q", cues, running)
	}
	for _, last := range [][2]string{{cues, ""}, {"", cues}} { // the restart comes after the first row of it, or a later one
		var after Book
		after.Resume(last[0], last[1])
		if !after.Busy() {
			t.Fatal("it is forgotten")
		}
		if cues, running := after.Place(6, at(6)); cues != "" || running == "" {
			t.Errorf("%q, %q", cues, running)
		}
		if cues, running := after.Place(9, at(9)); !strings.Contains(cues, "SCTE35-IN") || !strings.Contains(cues, "DURATION=10.000") || running != "" || after.Busy() {
			t.Errorf("%q, %q", cues, running)
		}
	}
	var over Book
	b.Resume(cues, "")
	cues, running = b.Place(7, at(7))
	if over.Resume(cues, running); over.Busy() {
		t.Error("what is over runs again")
	}
	over.Resume("#EXT-X-DATERANGE:x\nhello", "\x00")
	if over.Busy() {
		t.Error("what is none runs")
	}
}

// The sections are those that the standard describes.
func TestSplice(t *testing.T) {
	out, in := splice("cue-1", true, 30*time.Second), splice("cue-1", false, 0)
	for name, s := range map[string][]byte{"out": out, "in": in} {
		if s[0] != 0xFC || int(binary.BigEndian.Uint16(s[1:])&0xFFF) != len(s)-3 || s[13] != 5 || int(s[12])+14+2+4 != len(s) || mpegts.SectionCRC(s) != 0 {
			t.Errorf("%s: %s", name, hex.EncodeToString(s))
		}
	}
	if string(out[14:18]) != string(in[14:18]) || out[19]&0x80 == 0 || in[19]&0x80 != 0 || out[19]&0x10 == 0 {
		t.Errorf("out %s, in %s", hex.EncodeToString(out), hex.EncodeToString(in))
	}
	if ticks := uint64(out[20]&1)<<32 | uint64(binary.BigEndian.Uint32(out[21:])); ticks != 30*90000 {
		t.Errorf("%d ticks", ticks)
	}
	if long := splice("x", true, 24*time.Hour); long[20]&1 != 1 {
		t.Error("the 33rd bit is missing")
	}
}

// TestResumeOfAnothers: what a sender of segments says of its breaks is neither begun nor ended by us after a restart.
func TestResumeOfAnothers(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	theirs := func(id string, out bool) string {
		d := m3u8.DateRange{ID: id, Start: at, Planned: 30 * time.Second}
		if section := []byte{0xFC, 0x30, 0x25, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xF0, 0x14, 5, 0, 0, 0, 1, 0x7F, 0xFF, 0xFE, 0, 1, 2, 3}; out {
			d.Out = section
		} else {
			d.In = section
		}
		return string(d.Append(nil))
	}
	var b Book
	if b.Resume(theirs("their-1", true), ""); b.Busy() {
		t.Error("the sender's break is taken for ours")
	}
	if err := b.Order(Break{ID: "our-1", Number: 5, Duration: 20*time.Second + 333*time.Microsecond}); err != nil {
		t.Fatal(err)
	}
	cues, _ := b.Place(5, at)
	var after Book
	if after.Resume(cues+theirs("their-2", true), ""); !after.Busy() {
		t.Fatal("ours is not resumed")
	}
	if after.Resume(theirs("their-2", false), cues); !after.Busy() {
		t.Error("the end of the sender's break has ended ours")
	}
	if cues, running := after.Place(6, at.Add(4*time.Second)); cues != "" || !strings.Contains(running, "our-1") || strings.Contains(running, "their") {
		t.Errorf("%q, %q", cues, running)
	}
	if cues, _ := after.Place(9, at.Add(20*time.Second)); !strings.Contains(cues, "our-1") || !strings.Contains(cues, "SCTE35-IN") {
		t.Errorf("%q", cues)
	}
}
